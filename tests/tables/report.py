"""What was tried, as figures and as the page docs/first-try.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packages import PACKAGES

SORTS = {"table": "tables", "series": "time series", "text": "texts", "images": "image folders"}
INTRO = """# The first try

`make try-tables` takes every table that {count} packages of the Python Package Index ship, {tables:,} files that differ in
content, and with them real time series, texts and folders of images. None was made for tensorize. It tries each as a new user
would, reads the result, and compares every value with an independent computation: pandas and numpy for tables and series,
`str` for texts, Pillow for images. It writes this page.

{figures}

- **`table` at the first try**: `tensorize table FILE -o OUT`, without any option.
- **at the second**: of the others, those for which the command in the last line of the error works as it stands.
- **`auto`**: `tensorize auto FILE -o OUT`; a series with `--as series`.
- **same bytes**: the command that `auto` prints gives a file with the same bytes.
- **values equal**: of the files that `auto` makes, those in which every value is as computed: within 1e-6 of it, relative,
  after the cast to float32. Kinds of columns, medians, means, categories and classes are found anew, not taken from the recipe.

"""


def table_of_figures(found: Sequence[Any]) -> str:
    """One line for each sort of source."""
    lines = [
        "| | tried | `table` at the first try | at the second | `auto` | same bytes | values equal |",
        "|---|---|---|---|---|---|---|",
    ]
    for sort, name in SORTS.items():
        some = [item for item in found if item.sort == sort]
        if some:
            lines.append(f"| {name} | {len(some):,} | {' | '.join(_figures(sort, some))} |")
    return "\n".join(lines)


def _figures(sort: str, some: Sequence[Any]) -> list[str]:
    failed, made = [item for item in some if item.strict], [item for item in some if not item.auto]
    strict = [_share(len(some) - len(failed), len(some)), _share(sum(not item.second for item in failed), len(failed))]
    return [
        *(strict if sort == "table" else ["", ""]),
        _share(len(made), len(some)),
        _share(sum(not item.repeated for item in made), len(made)),
        _share(sum(not item.faults for item in made), len(made)),
    ]


def _share(count: int, of: int) -> str:
    return f"{count:,} of {of:,} ({100 * count / of:.1f} %)" if of else "–"


def page(found: Sequence[Any], files: Path) -> str:
    """The whole page, in Markdown."""
    tables = sum(item.sort == "table" for item in found)
    text = INTRO.format(count=len(PACKAGES), tables=tables, figures=table_of_figures(found))
    text += _section("What `auto` does not do", [(item, item.auto) for item in found if item.auto], files)
    second = [(item, item.second) for item in found if item.strict and item.second]
    text += _section("Where the proposed command does not work", second, files)
    faults = [(item, "; ".join(item.faults)) for item in found if item.faults and not item.auto]
    text += _section("Values that differ, or that the checker cannot compute", faults, files)
    text += _section(
        "Printed commands that give other bytes", [(item, item.repeated) for item in found if item.repeated], files
    )
    return text + "## The packages\n\n" + ", ".join(f"`{name}`" for name in PACKAGES) + ".\n"


def _section(title: str, items: Iterable[tuple[Any, str]], files: Path) -> str:
    rows = [f"| `{_name(item.source, files)}` | {_said(reason, item.source)} |" for item, reason in items]
    return f"## {title}\n\n" + ("\n".join(["| source | why |", "|---|---|", *rows]) if rows else "None.") + "\n\n"


def _name(source: str, files: Path) -> str:
    """A source without the folder that it was unpacked into."""
    for root in (files, files.parent / "images"):
        if Path(source).is_relative_to(root):
            return str(Path(source).relative_to(root))
    return "/".join(Path(source).parts[-2:])


def _said(reason: str, source: str) -> str:
    """The reason in one cell of a Markdown table, without the path of the source."""
    short = reason.replace(source, Path(source).name).replace("|", "\\|")
    return short if len(short) <= 240 else short[:239] + "…"
