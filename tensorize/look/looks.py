"""What each kind of source is looked at with: `look(source, given, run, strict)` gives a suggestion.

If `strict`, no more is proposed than what stands in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from tensorize import pipeline
from tensorize.columns.options import ColumnOptions, TableOptions
from tensorize.core.contracts import Facts
from tensorize.core.errors import TensorizeError
from tensorize.core.options import columns
from tensorize.loaders.series.options import SeriesOptions
from tensorize.look.choices import Choice, combined
from tensorize.look.images import look_at
from tensorize.look.opened import OpenTable, opened
from tensorize.look.picture import Picture
from tensorize.look.pictures import pictures_of, twins
from tensorize.look.series import SteadyTimes, find_times, horizon, window_for
from tensorize.look.suggestion import Suggestion, settled
from tensorize.look.table import Chooser

Look = Callable[..., Suggestion]
CERTAIN = {"drop", "id", "missing", "indicator", "delimiter", "header", "names", "skip_lines", "encoding", "blank"}
"""Choices that need no trying: the whole table was read with them, or they only leave out columns and fill cells."""


@dataclass(frozen=True)
class _Looked:
    """A table that was opened, and the pictures of its columns."""

    source: Any
    given: Mapping[str, Any]
    table: OpenTable
    pictures: Mapping[str, Picture]

    def times(self) -> SteadyTimes | None:
        """The column that orders the rows in steady steps."""
        return find_times(self.table.rows, self.pictures, self.given.get("time"))

    def as_table(self, strict: bool) -> Suggestion:
        """As a table of rows."""
        options = TableOptions.parse(combined(self.given, self.table.choices))
        made = self._suggested("table", self._chosen(options, self.pictures, strict))
        return replace(made, tried={choice.option for choice in made.choices} <= CERTAIN)

    def as_series(self, times: SteadyTimes | None, strict: bool) -> Suggestion:
        """As a series, by its times where there are some, else by position."""
        own = [choice for choice in (times.choices if times is not None else ()) if choice.option not in self.given]
        if not {"window", "fold", "period"} & self.given.keys():
            own.append(window_for(times, self.table.rows.rows))
        own += horizon(self.given)
        options = SeriesOptions.parse(combined(self.given, [*self.table.choices, *own]))
        clock = options.clock(list(self.pictures))
        others = {name: item for name, item in self.pictures.items() if name not in clock}
        return self._suggested("series", [*own, *self._chosen(options, others, strict)])

    def _chosen(self, options: ColumnOptions, pictures: Mapping[str, Picture], strict: bool) -> list[Choice]:
        rows = self.table.rows
        targets = columns(options.target, rows.needs.roles.names, "--target")
        return Chooser(pictures, twins(rows, pictures), targets, options, rows, strict).choices()

    def _suggested(self, kind: str, found: Sequence[Choice]) -> Suggestion:
        choices = (*self.table.choices, *found)
        return Suggestion(kind, self.source, self.table.rows.facts, choices, self.given, tuple(self.pictures.values()))


@contextmanager
def _looked(source: Any, given: Mapping[str, Any], run: pipeline.RunOptions) -> Iterator[_Looked]:
    with opened(source, given, run) as table:
        yield _Looked(source, given, table, pictures_of(table.rows, table.run))


def look_at_rows(source: Any, given: Mapping[str, Any], run: pipeline.RunOptions) -> Suggestion:
    """A series where the rows follow each other in steady steps of time, else a table."""
    with _looked(source, given, run) as found:
        times = found.times() if given.keys() <= SeriesOptions.fields().keys() else None
        if times is not None:
            with suppress(TensorizeError):
                return settled(found.as_series(times, False), run)
        return found.as_table(False)


def look_at_table(source: Any, given: Mapping[str, Any], run: pipeline.RunOptions, strict: bool = False) -> Suggestion:
    """The columns, and what to do with each."""
    with _looked(source, given, run) as found:
        return found.as_table(strict)


def look_at_series(source: Any, given: Mapping[str, Any], run: pipeline.RunOptions, strict: bool = False) -> Suggestion:
    """The time, windows that fit its pace, and the columns."""
    with _looked(source, given, run) as found:
        return found.as_series(found.times(), strict)


def look_at_text(source: Any, given: Mapping[str, Any], run: pipeline.RunOptions, strict: bool = False) -> Suggestion:
    """Words as ids, the smallest that hold all."""
    del run
    own = []
    if not strict and not {"level", "charset"} & given.keys():
        own.append(Choice("level", "word", "a token is a word; --level char --charset corpus for characters"))
    if not strict and "encode" not in given:
        own.append(Choice("encode", "ids", "a number for each token, not a row of zeros and ones"))
    return Suggestion("text", source, Facts(""), tuple(own), given)


def look_at_images(source: Any, given: Mapping[str, Any], run: pipeline.RunOptions, strict: bool = False) -> Suggestion:
    """Classes, sizes and modes; what does not fit together is found as they are read."""
    del run, strict
    notes, choices = look_at(source, given)
    return Suggestion("images", source, Facts(""), tuple(choices), given, notes=tuple(notes))


LOOKS: Mapping[str, Look] = {
    "table": look_at_table,
    "series": look_at_series,
    "text": look_at_text,
    "images": look_at_images,
}
