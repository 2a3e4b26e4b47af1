"""Blocks of 65,536 source rows, put together from the partitions of any reader."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from tensorize.columns.reader import Partition, Rows
from tensorize.core.contracts import BLOCK_ROWS, Mask
from tensorize.engine.packed import Packed


@dataclass(frozen=True)
class RowBlock:
    """Up to 65,536 parsed rows, in the storage types of the schema, missing cells null: `parts` that follow each other.

    `start` is the 0-based source row of the first. `bad` (row) bool are rows that could not be read and were left out:
    they hold no value. None if there is none.
    """

    start: int
    parts: tuple[pa.RecordBatch, ...]
    bad: Mask | None = None

    def __len__(self) -> int:
        return sum(part.num_rows for part in self.parts)

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows as one batch, each column contiguous: joined by the thread that asks first, and then the only part."""
        if len(self.parts) > 1:
            object.__setattr__(self, "parts", (pa.concat_batches(self.parts),))
        return self.parts[0]

    def picked(self, mask: Mask) -> pa.RecordBatch:
        """The rows in `mask` (row) bool."""
        return self.batch if mask.all() else self.batch.filter(pa.array(mask))


RECENT_BYTES = 32 << 20
"""Partitions that are kept for the blocks after: a partition seldom ends where a block does."""


class _Recent:
    """The last partitions that were read, by partition and columns. In another process it starts empty."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Any, tuple[pa.RecordBatch, int]] = {}
        self._bytes = 0

    def __reduce__(self) -> tuple[type[_Recent], tuple[()]]:
        return _Recent, ()

    def get(self, key: Any, read: Callable[[], pa.RecordBatch]) -> pa.RecordBatch:
        """What was read under a key, or is read now; one reader at a time, so that no partition is read twice at once."""
        with self._lock:
            if key not in self._held:
                self._make_room(0)
                batch = read()
                size = batch.nbytes
                self._make_room(size)
                self._held[key], self._bytes = (batch, size), self._bytes + size
            return self._held[key][0]

    def _make_room(self, size: int) -> None:
        """Forget the oldest: a large partition is let go before the next one is read."""
        while self._held and size + self._bytes > RECENT_BYTES:
            self._bytes -= self._held.pop(next(iter(self._held)))[1]


@dataclass(frozen=True)
class Blocks:
    """The blocks of 65,536 source rows that statistics are taken over, put together from partitions of any size."""

    rows: Rows
    _recent: _Recent = field(default_factory=_Recent, compare=False, repr=False)

    def __len__(self) -> int:
        return (self.rows.rows + BLOCK_ROWS - 1) // BLOCK_ROWS

    @cached_property
    def _starts(self) -> list[int]:
        return [partition.row for partition in self.rows.partitions]

    def read(self, index: int, columns: Collection[str] | None = None) -> RowBlock:
        """Block `index`, or some of its columns. Safe to call from any thread."""
        start = index * BLOCK_ROWS
        stop = min(start + BLOCK_ROWS, self.rows.rows)
        parts = tuple(self._parts(start, stop, None if columns is None else frozenset(columns)))
        return RowBlock(start, parts, self.rows.invalid(start, stop - start))

    def _parts(self, start: int, stop: int, columns: frozenset[str] | None) -> Iterator[pa.RecordBatch]:
        at = bisect_right(self._starts, start) - 1
        while at < len(self._starts) and self._starts[at] < stop:
            partition = self.rows.partitions[at]
            first, last = max(start - partition.row, 0), min(stop - partition.row, partition.rows)
            if first < last:
                yield self._batch(at, columns).slice(first, last - first)
            at += 1

    def _batch(self, at: int, columns: frozenset[str] | None) -> pa.RecordBatch:
        return self._recent.get((at, columns), lambda: self.rows.read(self.rows.partitions[at], columns).unpacked())

    def __iter__(self) -> Iterator[RowBlock]:
        return (self.read(index) for index in range(len(self)))


def packed_rows(rows: Rows, columns: Collection[str] | None = None) -> Iterator[Packed]:
    """Every partition in source order, with columns packed that lie so in memory."""
    return (rows.read(partition, columns) for partition in rows.partitions)


def partitioned(batches: Iterable[tuple[int, Any]], *, of_files: bool = False) -> tuple[Partition, ...]:
    """Partitions of (rows, where), one after the other; `where` begins with the number of a file if they are `of_files`."""
    found: list[Partition] = []
    at = 0
    for rows, where in batches:
        found.append(Partition(at, rows, where, where[0] if of_files else 0))
        at += rows
    return tuple(found)
