"""`suggest`: look at a source, and propose the command that prepares it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tensorize import pipeline
from tensorize.columns.options import TableOptions
from tensorize.core.contracts import Facts
from tensorize.core.errors import DataError, UsageError, near
from tensorize.core.options import columns
from tensorize.look.choices import Choice, combined, command_of
from tensorize.look.kinds import kind_of
from tensorize.look.opened import fixes, opened
from tensorize.look.picture import Picture
from tensorize.look.pictures import pictures_of, twins
from tensorize.look.table import Chooser
from tensorize.readers.open import is_path

KINDS = ("table", "series", "text", "images")
MOST_FIXES = 12


@dataclass(frozen=True)
class Suggestion:
    """What a source is, what is in it, and how to prepare it: `tensorize.prepare(s.kind, s.source, **s.options)`."""

    kind: str
    source: Any
    facts: Facts
    choices: tuple[Choice, ...]
    options: Mapping[str, Any]
    """Those that were given, and those that were chosen."""
    pictures: tuple[Picture, ...] = ()
    """One for each column."""
    notes: tuple[str, ...] = field(default=())
    """What else one should know."""
    out: str = "out.h5"
    more: tuple[str, ...] = ()
    """Further flags of the command."""

    @property
    def argv(self) -> list[str]:
        """The command as its arguments."""
        sources = self.source if isinstance(self.source, list | tuple) else [self.source]
        names = [os.fspath(part) if isinstance(part, str | os.PathLike) else "DATA" for part in sources]
        return command_of(self.kind, names, self.options, self.out, self.more)

    @property
    def command(self) -> str:
        """The command as a line for a shell."""
        return shlex.join(self.argv)


def suggest(
    source: Any,
    *,
    kind: str | None = None,
    target: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    check: bool = True,
    run: pipeline.RunOptions | None = None,
    **options: Any,
) -> Suggestion:
    """Look at a source, and propose how to prepare it.

    source: as for `prepare`.
    kind: `table`, `series`, `text` or `images`, if it is not to be found out.
    target: the column or columns to be predicted.
    out: the file of the proposed command.
    check: try the command on the source, without writing, so that it is known to work.
    options: options of the kind that are settled already; nothing about the columns they name is proposed.

    Raises DataError for a source of which no tensors can be made, UsageError for one that is not there.

    >>> found = suggest({"area": [1.0, 2.0, None], "city": ["a", "b", "a"], "empty": [None, None, None]})
    >>> found.kind, found.options
    ('table', {'drop': ['empty'], 'missing': ['median'], 'indicator': True})
    """
    run = run or pipeline.make_run()
    found, source = kind_of(source)
    _check_kind(kind)
    given = {**options, **({"target": [target] if isinstance(target, str) else list(target)} if target else {})}
    made = LOOKS[kind or found](source, given, run)
    made = _named(made, out)
    return settled(made, run) if check else made


def _check_kind(kind: str | None) -> None:
    if kind is not None and kind not in KINDS:
        raise UsageError(f'there is no kind "{kind}" to look for{near(kind, KINDS)}', hint="kinds: " + ", ".join(KINDS))


def _named(made: Suggestion, out: str | Path | None) -> Suggestion:
    return replace(made, out=os.fspath(out) if out is not None else default_out(made.source))


def default_out(source: Any) -> str:
    """Where the result goes if nothing is said: the name of the source with `.h5`, in the folder one is in."""
    first = source[0] if isinstance(source, list | tuple) else source
    if not is_path(first):
        return "out.h5"
    name = os.fspath(first)
    stem = "stdin" if name == "-" else Path(name).resolve().name
    for suffix in (".gz", ".zst", Path(name).suffix):
        stem = stem.removesuffix(suffix) if suffix else stem
    return ("".join(char for char in stem if char not in "*?[]") or "out") + ".h5"


def settled(made: Suggestion, run: pipeline.RunOptions) -> Suggestion:
    """The suggestion, tried: what a dry run refuses is settled, too. Raises TensorizeError for what cannot be settled."""
    return attempt(made, run, pipeline.Output(dry_run=True))[0]


def attempt(made: Suggestion, run: pipeline.RunOptions, output: pipeline.Output) -> tuple[Suggestion, pipeline.Result]:
    """Prepare as it is suggested; what is refused on the way is settled as the error says, and becomes a choice.

    Returns the suggestion that worked, and the result.
    """
    for turn in range(MOST_FIXES):
        try:
            return made, pipeline.prepare(made.kind, made.source, dict(made.options), run, output)
        except DataError as error:
            more = fixes(error, made.options)
            if not more or turn == MOST_FIXES - 1:
                raise
            choices = (*made.choices, *more)
            made = replace(made, choices=choices, options=combined(made.options, more))
    raise AssertionError


def look_at_table(source: Any, given: Mapping[str, Any], run: pipeline.RunOptions, strict: bool = False) -> Suggestion:
    """The pictures of the columns, and what to do with each; if `strict`, no more than what stands in the way."""
    with opened(source, given, run) as table:
        names = table.rows.schema.names
        options = TableOptions.parse(combined(given, table.choices))
        targets = columns(options.target, table.rows.needs.roles.names, "--target")
        pictures = pictures_of(table.rows, table.run)
        chooser = Chooser(
            pictures, twins(table.rows, pictures), [t for t in targets if t in names], options, table.rows, strict
        )
        choices = (*table.choices, *chooser.choices())
        return Suggestion("table", source, table.rows.facts, choices, combined(given, choices), tuple(pictures.values()))


Look = Callable[..., Suggestion]
LOOKS: Mapping[str, Look] = {"table": look_at_table}
