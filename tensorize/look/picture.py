"""What one column holds: a picture of it, gathered over blocks and merged in their order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.core.contracts import BLOCK_ROWS, Array
from tensorize.core.schema import Column
from tensorize.readers.csv.infer import are_numbers
from tensorize.statistics.categories import Categories

MOST = 1000
"""Distinct values that are counted; of a column with more it is known that there are more."""
BARS = 8
FEW = 8
"""Words among numbers that are kept as examples."""


@dataclass(frozen=True)
class Picture:
    """One column over all rows that were looked at. `low` and `high` are the extremes of what is finite."""

    column: Column
    rows: int = 0
    missing: int = 0
    infinite: int = 0
    numbers: int = 0
    """Of a column of text: the cells that are numbers."""
    words: tuple[str, ...] = ()
    """Of a column of text that holds numbers: the first different cells that are none."""
    values: Categories = field(default_factory=lambda: Categories(MOST))
    low: Any = None
    high: Any = None
    rising: bool = True
    """Whether every value is above the one before it, and none is missing."""
    unlike: bool = True
    """Whether no value occurs twice, as far as one block tells."""
    first: Any = None
    last: Any = None
    bars: tuple[int, ...] = ()
    """A histogram of the first block: the values in each of `BARS` equal parts of its range."""

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def kind(self) -> str:
        """The column's kind."""
        return self.column.kind

    @property
    def there(self) -> int:
        """Cells that are not missing."""
        return self.rows - self.missing

    @property
    def distinct(self) -> int | None:
        """How many different values there are; None for more than `MOST`."""
        return None if self.values.overflowed else len(self.values.counts)

    @property
    def all_differ(self) -> bool:
        """Whether it is known that no value occurs twice."""
        return self.there > 1 and (self.rising or (self.unlike and self.rows <= BLOCK_ROWS))

    @property
    def is_mixed(self) -> bool:
        """Whether numbers and words stand in it."""
        return self.kind == "category" and 0 < self.numbers < self.there

    def merge(self, other: Picture) -> Picture:
        """With the rows that follow."""
        ends = [value for value in (self.low, self.high, other.low, other.high) if value is not None]
        return replace(
            self,
            rows=self.rows + other.rows,
            missing=self.missing + other.missing,
            infinite=self.infinite + other.infinite,
            numbers=self.numbers + other.numbers,
            words=tuple(dict.fromkeys((*self.words, *other.words)))[:FEW],
            values=self.values.merge(other.values),
            low=min(ends, default=None),
            high=max(ends, default=None),
            rising=self.rising and other.rising and (self.last is None or other.first is None or self.last < other.first),
            unlike=self.unlike and other.unlike,
            first=self.first if self.first is not None else other.first,
            last=other.last if other.last is not None else self.last,
            bars=self.bars or other.bars,
        )


def picture_of(cells: pa.Array, column: Column, decimal: str, *, counts: bool, first: bool, alone: bool) -> Picture:
    """The picture of some cells (row) in the storage type of their column.

    counts: whether values are counted. first: whether it is the first block, of which a histogram is taken. alone: whether
    there is no other, so that it can be said whether all values differ.
    """
    there = cells.drop_null() if cells.null_count else cells
    known = Picture(column, len(cells), cells.null_count)
    if column.storage == "string":
        return _of_text(there, known, decimal)
    if column.storage == "bool":
        return replace(known, values=known.values.update(there), rising=False, unlike=False)
    numbers = there.to_numpy(zero_copy_only=False)
    finite = numbers[np.isfinite(numbers)] if column.storage == "float64" else numbers
    values = known.values.update(pa.array(finite)) if counts else replace(known.values, overflowed=True)
    found = replace(known, infinite=len(numbers) - len(finite), values=values)
    if not len(finite):
        return replace(found, rising=not len(cells))
    return replace(
        found,
        low=finite.min().item(),
        high=finite.max().item(),
        rising=len(finite) == len(cells) and bool((finite[1:] > finite[:-1]).all()),
        unlike=not alone or (_all_differ(finite) if values.overflowed else len(values.counts) == len(finite)),
        first=finite[0].item(),
        last=finite[-1].item(),
        bars=_bars(finite) if first else (),
    )


def _all_differ(values: Array) -> bool:
    """Whether no value (row) occurs twice. Values that go up all the way need no sorting."""
    return bool((values[1:] > values[:-1]).all()) or len(np.unique(values)) == len(values)


def _bars(values: Array) -> tuple[int, ...]:
    """How many values (row) lie in each part of their range."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(high - low):
        return ()
    return tuple(np.histogram(values, bins=BARS, range=(low, high if high > low else low + 1))[0].tolist())


def _of_text(there: pa.Array, known: Picture, decimal: str) -> Picture:
    found = pc.value_counts(there)
    cells, times = found.field("values"), found.field("counts")
    values = Categories(MOST, {}, overflowed=True)
    if len(cells) <= MOST:
        values = Categories(MOST, dict(zip(cells.to_pylist(), times.to_pylist(), strict=True)))
    numbers = are_numbers(cells, decimal).fill_null(False)
    count = pc.sum(times.filter(numbers)).as_py() or 0
    words = cells.filter(pc.invert(numbers))[:FEW].to_pylist() if count else []
    ends = pc.min_max(there) if len(there) else None
    return replace(
        known,
        numbers=count,
        words=tuple(words),
        values=values,
        low=ends["min"].as_py() if ends is not None else None,
        high=ends["max"].as_py() if ends is not None else None,
        rising=False,
        unlike=len(cells) == len(there),
    )
