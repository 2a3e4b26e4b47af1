"""Passes over the rows of a series: those that are kept, each time once, and by ordinal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import pyarrow as pa

from tensorize.columns.selection import KeptBlocks
from tensorize.core.contracts import Array, Floats
from tensorize.engine.packed import batch_of


@dataclass(frozen=True)
class RowBatch:
    """A batch of rows, and their 0-based source rows: (row) int64, or a range where they follow each other."""

    batch: pa.RecordBatch
    source: Array | range

    def __len__(self) -> int:
        return len(self.source)

    def source_at(self, places: Array) -> Array:
        """(row) int64: the source rows of some rows, by their places in the batch."""
        return places + self.source.start if isinstance(self.source, range) else self.source[places]


class RowPass(Protocol):
    """Starts a pass over the rows, with all their columns, or at least some. The place of a row in it is its ordinal."""

    def __call__(self, columns: Collection[str] | None = None) -> Iterator[RowBatch]: ...


@dataclass(frozen=True)
class KeptRows:
    """The rows that are kept, in source order."""

    blocks: KeptBlocks

    def __call__(self, columns: Collection[str] | None = None) -> Iterator[RowBatch]:
        """Start a pass over the rows, with all their columns, or at least some."""
        for block, mask in replace(self.blocks, columns=None if columns is None else frozenset(columns)):
            if mask.all():
                yield RowBatch(block.batch, range(block.start, block.start + len(block)))
            elif mask.any():
                yield RowBatch(block.batch.filter(pa.array(mask)), np.flatnonzero(mask) + block.start)


@dataclass(frozen=True)
class DistinctRows:
    """Rows without those at the ordinals `repeats` (row) int64, sorted; with `means`, the row before them holds the mean.

    Numbers are averaged over the values that are there, and come as float64 in every batch; of anything else, and of the
    columns in `categories`, the first value stays.
    """

    stream: RowPass
    repeats: Array
    means: bool
    categories: frozenset[str] = frozenset()

    def __call__(self, columns: Collection[str] | None = None) -> Iterator[RowBatch]:
        """Start a pass over the rows, with all their columns, or at least some."""
        for rows, repeated in _whole(_marked(self.stream(columns), self.repeats)):
            if not repeated.any():
                yield RowBatch(self._averaged(rows.batch, rows.batch, ~repeated), rows.source) if self.means else rows
                continue
            batch = rows.batch.filter(pa.array(~repeated))
            source = rows.source_at(np.flatnonzero(~repeated))
            yield RowBatch(self._averaged(rows.batch, batch, ~repeated) if self.means else batch, source)

    def _averaged(self, batch: pa.RecordBatch, kept: pa.RecordBatch, first: Array) -> pa.RecordBatch:
        """The kept rows with the means of all rows of their time, (row) float64 where they are numbers."""
        starts = np.flatnonzero(first)
        columns = {}
        for name in kept.schema.names:
            column = batch.column(name)
            is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
            averaged = is_number and name not in self.categories
            columns[name] = _means(column, starts) if averaged else kept.column(name)
        return batch_of(columns, kept.num_rows)


def _marked(passing: Iterator[RowBatch], repeats: Array) -> Iterator[tuple[RowBatch, Array]]:
    """Each batch, and which of its rows repeat the time of the one before."""
    at = 0
    for rows in passing:
        first, stop = np.searchsorted(repeats, [at, at + len(rows)])
        mask = np.zeros(len(rows), dtype=bool)
        mask[repeats[first:stop] - at] = True
        yield rows, mask
        at += len(rows)


def _whole(marked: Iterator[tuple[RowBatch, Array]]) -> Iterator[tuple[RowBatch, Array]]:
    """Hold back the last time of each batch, so that all rows of one time come together."""
    held: tuple[RowBatch, Array] | None = None
    for new, repeats in marked:
        rows, mask = (new, repeats) if held is None else (_joined([held[0], new]), np.concatenate([held[1], repeats]))
        cut = int(np.flatnonzero(~mask)[-1])
        if cut:
            yield _sliced(rows, 0, cut), mask[:cut]
        held = _sliced(rows, cut, len(rows)), mask[cut:]
    if held is not None:
        yield held


def _joined(parts: Sequence[RowBatch]) -> RowBatch:
    return RowBatch(pa.concat_batches([part.batch for part in parts]), _all_sources(parts))


def _all_sources(parts: Sequence[RowBatch]) -> Array | range:
    sources = [part.source for part in parts]
    ranges = [source for source in sources if isinstance(source, range)]
    if len(ranges) == len(sources) and all(left.stop == right.start for left, right in pairwise(ranges)):
        return range(ranges[0].start, ranges[-1].stop)
    return np.concatenate([part.source_at(np.arange(len(part))) for part in parts])


def _sliced(rows: RowBatch, start: int, stop: int) -> RowBatch:
    return RowBatch(rows.batch.slice(start, stop - start), rows.source[start:stop])


def _means(column: pa.Array, starts: Array) -> pa.Array:
    there = column.is_valid().to_numpy(zero_copy_only=False)
    values: Floats = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
    counts = np.add.reduceat(there.astype(np.int64), starts)
    sums = np.add.reduceat(values, starts)
    return pa.array(sums / np.maximum(counts, 1), mask=counts == 0)


class Cursor:
    """Rows by ordinal, for requests that never go back."""

    def __init__(self, rows: Iterator[RowBatch]) -> None:
        self._rows = rows
        self._start = 0
        self._held: list[RowBatch] = []

    def take(self, first: int, stop: int) -> RowBatch:
        """The rows at the ordinals `first:stop`; `first` is not before that of the last request."""
        while self._held and self._start + len(self._held[0]) <= first:
            self._start += len(self._held.pop(0))
        end = self._start + sum(map(len, self._held))
        while end < stop:
            rows = next(self._rows)
            end += len(rows)
            if end <= first and not self._held:
                self._start = end
                continue
            self._held.append(rows)
        while self._held and self._start + len(self._held[0]) <= first:
            self._start += len(self._held.pop(0))
        return self._cut(first - self._start, stop - self._start)

    def _cut(self, first: int, stop: int) -> RowBatch:
        parts: list[RowBatch] = []
        at = 0
        for rows in self._held:
            low, high = max(first - at, 0), min(stop - at, len(rows))
            if low < high:
                parts.append(_sliced(rows, low, high))
            at += len(rows)
        return parts[0] if len(parts) == 1 else _joined(parts)
