"""Open a table whatever is wrong with it: what a reader refuses is settled as most people would, and said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

from tensorize.columns.options import RowOptions, TableOptions
from tensorize.columns.reader import Needs, Roles, Rows
from tensorize.core.contracts import Run
from tensorize.core.errors import TensorizeError
from tensorize.core.options import as_list, columns
from tensorize.core.schema import Kind
from tensorize.look.choices import Choice, combined
from tensorize.pipeline import Output, RunOptions, running
from tensorize.readers.open import open_table

MOST_FIXES = 8


@dataclass(frozen=True)
class OpenTable:
    """A table that was opened, and the choices that it took to read it."""

    rows: Rows
    run: Run
    choices: tuple[Choice, ...]


def fixes(error: TensorizeError, before: Mapping[str, Any]) -> list[Choice]:
    """The options that settle an error as choices; none where there are none, or they are there already."""
    return [
        Choice(name, value, error.what)
        for name, value in error.fix.items()
        if before.get(name) != value and not (isinstance(value, list) and set(value) <= set(as_list(before.get(name))))
    ]


@contextmanager
def opened(source: Any, given: Mapping[str, Any], run: RunOptions) -> Iterator[OpenTable]:
    """Open a source as a table, every column of it. Raises TensorizeError for what no option settles.

    Columns that mix numbers and words are read as text in a second turn: one that is read so from the start takes longer.
    """
    choices: list[Choice] = []
    mixed: list[str] = []
    told: dict[str, Kind] = {}
    with ExitStack() as stack:
        for turn in range(MOST_FIXES):
            options = combined(given, choices)
            reading = {name: value for name, value in options.items() if name in _reading()}
            parsed = TableOptions.parse({**reading, "drop": options.get("drop", [])})
            own = None
            try:
                with ExitStack() as tried:
                    own = tried.enter_context(running(run, Output(), parsed))
                    rows = tried.enter_context(open_table(source, parsed, own, asked=_everything(parsed, mixed, told)))
                    own.rejects.check()
                    stack.enter_context(tried.pop_all())
                break
            except TensorizeError as error:
                if error.fix.keys() == {"onehot"}:
                    mixed += error.fix["onehot"]
                    continue
                more = fixes(error, options)
                if more and error.fix.keys() == {"type"}:
                    told |= {name: cast(Kind, kind) for name, _, kind in (value.rpartition(":") for value in error.fix["type"])}
                if not more or turn == MOST_FIXES - 1 or (own is not None and _loses_most(error, own)):
                    raise
                choices = [choice for choice in choices if choice.option not in {item.option for item in more}] + more
        assert own is not None
        yield OpenTable(rows, own, tuple(choices))


def _loses_most(error: TensorizeError, run: Run) -> bool:
    """Whether more than three of four rows would have to be left out: this is another kind of file."""
    return "max_bad" in error.fix and int(error.fix["max_bad"]) * 4 > run.rejects.seen * 3


def _reading() -> set[str]:
    """The options that say how rows are read."""
    return set(RowOptions.fields()) - {"where", "split", "seed", "type"}


def _everything(options: TableOptions, mixed: Sequence[str], told: Mapping[str, Kind]) -> Callable[[Sequence[str]], Needs]:
    """Every column; those that are `mixed` as text, others as the kind that was `told`."""

    def asked(names: Sequence[str]) -> Needs:
        dropped = columns([name for flag in options.drop for name in _named(flag, names)], names, "--drop")
        kept = tuple(name for name in names if name not in dropped)
        return Needs(Roles(tuple(names), kept, (), ()), dict(told), lenient=frozenset(mixed), na=options.na_words)

    return asked


def _named(flag: str, names: Sequence[str]) -> list[str]:
    """The columns of a flag that are there."""
    return [flag] if flag in names else [part.strip() for part in flag.split(",") if part.strip() in names]
