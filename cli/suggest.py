"""`tensorize SOURCE`, `tensorize suggest SOURCE`: what a source is, what is in it, and the command that prepares it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorize.core.errors import shown
from tensorize.core.units import size

from . import flags
from .running import only, running
from .show import print_json, say, source_body

if TYPE_CHECKING:
    from tensorize.look.choices import Choice
    from tensorize.look.picture import Picture
    from tensorize.look.suggestion import Suggestion

As = Annotated[str | None, typer.Option("--as", metavar="KIND", help="table, series, text or images, if it is known.")]
Target = Annotated[list[str] | None, typer.Option("--target", metavar="COLS", help="What is to be predicted.")]
Split = Annotated[
    str | None,
    typer.Option("--split", metavar="RATIOS", help="Ratios of train, test or train, val, test, such as 0.8,0.1,0.1."),
]
Sheet = Annotated[str | None, typer.Option("--sheet", metavar="NAME", help="The sheet of a workbook, by its name or number.")]
Table = Annotated[str | None, typer.Option("--table", metavar="NAME", help="The table of a database.")]
Query = Annotated[str | None, typer.Option("--query", metavar="SELECT", help="What to read of a database.")]
Proposed = Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="The file that the command is to write.")]
LEVELS = "▁▂▃▄▅▆▇█"


def command(
    source: flags.Source,
    *,
    target: Target = None,
    kind: As = None,
    split: Split = None,
    sheet: Sheet = None,
    table: Table = None,
    query: Query = None,
    out: Proposed = None,
    threads: flags.Threads = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Say what a source is and what is in it, and propose the command that prepares it."""
    from tensorize.look.front import suggest

    del debug, timeout
    given = flags.given({"split": split, "target": target, "sheet": sheet, "table": table, "query": query})
    if not (as_json or quiet):
        print_first(only(source), kind, given)
    with running(quiet or as_json, None, threads=threads) as run:
        found = suggest(only(source), kind=kind, out=out, run=run, **given)
    if as_json:
        print_json("suggest", body(found))
        return
    if not quiet:
        print_source(found)
        print_pictures(found.pictures)
        for note in found.notes:
            say(f"  {note}")
    print_choices(found)
    say()
    say(found.command)


def print_first(source: str | list[str], kind: str | None, given: dict[str, Any]) -> None:
    """The picture of the first rows of a large file, before the whole of it is read."""
    from tensorize.core.errors import TensorizeError
    from tensorize.look.front import suggest
    from tensorize.look.head import head_of

    with head_of(source) as head:
        if head is None:
            return
        try:
            found = suggest(head, kind=kind, check=False, **given)
        except TensorizeError:
            return
        say(f"{source}   {found.facts.shape} of its first {size(found.facts.size)}; the whole of it follows")
        print_pictures(found.pictures)
        say()
        sys.stdout.flush()


def print_source(found: Suggestion) -> None:
    """One line on the source."""
    facts = found.facts
    parts = (facts.source, f"a {found.kind}" if found.kind != "images" else "images", facts.shape, *facts.notes)
    say("   ".join(part for part in (*parts, size(facts.size)) if part))


def print_pictures(pictures: tuple[Picture, ...]) -> None:
    """A line for each column."""
    if not pictures:
        return
    rows = [("column", "kind", "missing", "distinct", "range", "")]
    rows += [(item.name, _kind(item), _count(item.missing), _distinct(item), _range(item), bars(item)) for item in pictures]
    widths = [max(len(row[at]) for row in rows) for at in range(6)]
    for row in rows:
        left = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        right = [row[at].rjust(widths[at]) for at in (2, 3)]
        say(("  " + "  ".join([*left, *right, row[4].ljust(widths[4]), row[5]])).rstrip())


def _kind(item: Picture) -> str:
    return "mixed" if item.is_mixed else "text" if item.kind == "category" else item.kind


def _count(count: int) -> str:
    return f"{count:,}" if count else ""


def _distinct(item: Picture) -> str:
    from tensorize.look.picture import MOST

    return f"> {MOST:,}" if item.distinct is None else f"{item.distinct:,}"


def _range(item: Picture) -> str:
    if item.low is None:
        return ""
    if item.kind == "number":
        return f"{item.low:.6g} … {item.high:.6g}"
    if item.kind == "category" and item.distinct is not None:
        most = sorted(item.values.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return ", ".join(shown(str(value), 16) for value, _ in most[:3]) + (" …" if len(most) > 3 else "")
    return f"{shown(str(item.low), 20)} … {shown(str(item.high), 20)}"


def bars(item: Picture) -> str:
    """A small histogram."""
    most = max(item.bars, default=0)
    return "".join(LEVELS[round(count / most * (len(LEVELS) - 1))] if count else " " for count in item.bars) if most else ""


def print_choices(found: Suggestion) -> None:
    """A reason for every flag."""
    if not found.choices:
        return
    say("what the command says, and why")
    width = min(max(len(choice.flag) for choice in found.choices), 48)
    for choice in found.choices:
        say(f"  {choice.flag:<{width}}  {choice.reason}")


def body(found: Suggestion) -> dict[str, Any]:
    """A suggestion as JSON."""
    return {
        "kind": found.kind,
        "source": source_body(found.facts),
        "columns": [_column(item) for item in found.pictures],
        "choices": [choice_body(choice) for choice in found.choices],
        "notes": list(found.notes),
        "argv": found.argv,
        "command": found.command,
    }


def choice_body(choice: Choice) -> dict[str, Any]:
    """A choice as JSON."""
    return {"option": choice.option, "value": choice.value, "flag": choice.flag, "reason": choice.reason}


def _column(item: Picture) -> dict[str, Any]:
    return {
        "name": item.name,
        "kind": _kind(item),
        "missing": item.missing,
        "infinite": item.infinite,
        "distinct": item.distinct,
        "low": item.low,
        "high": item.high,
        "histogram": list(item.bars),
    }
