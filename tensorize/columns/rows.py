"""What a table is once it was looked through: blocks of rows, and what was wanted of its columns."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, Self

import pyarrow as pa

from tensorize.core.contracts import BLOCK_ROWS, Facts, Mask
from tensorize.core.schema import Kind, Schema
from tensorize.engine.packed import Packed


@dataclass(frozen=True)
class RowBlock:
    """Up to 65,536 parsed rows, in the storage types of the schema, missing cells null: `parts` that follow each other.

    `start` is the 0-based source row of the first. `bad` (row) bool are rows that could not be read and were left out:
    they hold no value. None where there is none.
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


@dataclass(frozen=True)
class Roles:
    """Which column plays which part, in file order. `names` are all columns of the source."""

    names: tuple[str, ...]
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    keys: tuple[str, ...]
    """Neither input nor target, and needed all the same: id, group, order, stratify, where."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that are parsed, in file order."""
        parts = {*self.inputs, *self.targets, *self.keys}
        return tuple(name for name in self.names if name in parts)


@dataclass(frozen=True)
class Needs:
    """What is wanted of the columns, known before the first cell is read.

    `forced` are kinds given by flags or by a recipe; `lenient` columns may mix numbers and words and are text then.
    """

    roles: Roles
    forced: Mapping[str, Kind] = field(default_factory=dict)
    lenient: frozenset[str] = frozenset()
    clocks: frozenset[str] = frozenset()
    """Columns that are nothing but times: where all cells are ISO times they come as timestamp[us], else as text."""
    verbatim: bool = False
    """Text as it is written: a cell of spaces is not missing."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that are parsed, in file order."""
        return self.roles.wanted


@dataclass(frozen=True)
class Partition:
    """A piece of a source that can be read alone: `rows` rows from source row `row` on. `where` is the reader's own."""

    row: int
    rows: int
    where: Any


class Rows(Protocol):
    """A tabular source that was opened and looked at. Any process may read any partition of it."""

    @property
    def schema(self) -> Schema:
        """The wanted columns and their kinds."""
        ...

    @property
    def facts(self) -> Facts:
        """What the summary says of the source."""
        ...

    @property
    def needs(self) -> Needs:
        """What was asked of the columns."""
        ...

    @property
    def rows(self) -> int:
        """Source rows, those that were left out included."""
        ...

    @property
    def codes(self) -> tuple[str, ...]:
        """Columns of integers that are kept as text: leading zeros, or too many digits."""
        ...

    @property
    def whole(self) -> frozenset[str]:
        """Columns of which it is known that no cell is missing or infinite."""
        ...

    @property
    def bad(self) -> int:
        """How many rows could not be read and were left out."""
        ...

    @property
    def partitions(self) -> Sequence[Partition]:
        """The pieces of the source, in order."""
        ...

    def read(self, partition: Partition, columns: Collection[str] | None = None) -> Packed:
        """The rows of a partition, or some of their columns, in the storage types of the schema; missing cells are null."""
        ...

    def invalid(self, start: int, count: int) -> Mask | None:
        """(row) bool: which of `count` rows from `start` were left out as invalid; None where none was."""
        ...

    def place(self, rows: Sequence[int]) -> list[str]:
        """Say where source rows stand, such as `houses.csv:212`, for messages."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


RECENT_BYTES = 32 << 20
"""Partitions that are kept for the blocks after: a partition seldom ends where a block does."""


class _Recent:
    """The last partitions that were read, by partition and columns. In another process it starts empty."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Any, pa.RecordBatch] = {}

    def __reduce__(self) -> tuple[type[_Recent], tuple[()]]:
        return _Recent, ()

    def get(self, key: Any, read: Callable[[], pa.RecordBatch]) -> pa.RecordBatch:
        """What was read under a key, or is read now; one reader at a time, so that no partition is read twice at once."""
        with self._lock:
            if key not in self._held:
                batch = read()
                while self._held and batch.nbytes + sum(held.nbytes for held in self._held.values()) > RECENT_BYTES:
                    del self._held[next(iter(self._held))]
                self._held[key] = batch
            return self._held[key]


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


def partitioned(batches: Iterable[tuple[int, Any]]) -> tuple[Partition, ...]:
    """Partitions of (rows, where), one after the other."""
    found: list[Partition] = []
    at = 0
    for rows, where in batches:
        found.append(Partition(at, rows, where))
        at += rows
    return tuple(found)
