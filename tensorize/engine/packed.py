"""Columns that repeat themselves, kept small: hours that follow each other, a group that stays the same for a while."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]

SAMPLE, GAIN = 1024, 16
"""A column is packed where its first rows, and then all, take a sixteenth of the places, but for two."""


@dataclass(frozen=True)
class Distances:
    """Whole numbers or times (row), as runs of equal distances to the row before; the first is its distance to 0."""

    type: pa.DataType
    distance: Ints
    length: Ints

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.distance.nbytes + self.length.nbytes

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self.length)

    @property
    def rows(self) -> int:
        """How many rows they stand for."""
        return int(self.length.sum())

    def unpacked(self) -> pa.Array:
        """The values of every row, (row) of `type`."""
        values = np.cumsum(np.repeat(self.distance, self.length))
        return pa.array(values).view(self.type)


@dataclass(frozen=True)
class Repeats:
    """Cells (row) as runs of equal ones: what each holds, `cells` (run), and the row behind it, `ends` (run) int32."""

    cells: pa.Array
    ends: pa.Array

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of a cell."""
        return self.cells.type

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.cells.nbytes + self.ends.nbytes)

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self.ends)

    @property
    def rows(self) -> int:
        """How many rows they stand for."""
        return int(self.ends[-1].as_py()) if len(self.ends) else 0

    def unpacked(self, start: int = 0) -> pa.Array:
        """The cells (row) from row `start` on."""
        return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(self.ends, self.cells)[start:])


Column: TypeAlias = pa.Array | Distances | Repeats


@dataclass(frozen=True)
class Packed:
    """A batch, some of whose columns are packed."""

    columns: Mapping[str, Column]
    rows: int

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> Self:
        """A batch as it is."""
        return cls(dict(zip(batch.schema.names, batch.columns, strict=True)), batch.num_rows)

    @property
    def small(self) -> dict[str, Distances | Repeats]:
        """The columns that are packed."""
        return {name: column for name, column in self.columns.items() if not isinstance(column, pa.Array)}

    @property
    def plain(self) -> pa.RecordBatch:
        """The columns that are not."""
        return batch_of({name: column for name, column in self.columns.items() if isinstance(column, pa.Array)}, self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of what is packed."""
        return sum(column.nbytes for column in self.small.values())

    def unpacked(self) -> pa.RecordBatch:
        """All columns, row by row, as one record batch."""
        columns = self.columns.items()
        return batch_of(
            {name: column if isinstance(column, pa.Array) else column.unpacked() for name, column in columns}, self.rows
        )


def batch_of(columns: Mapping[str, pa.Array], rows: int) -> pa.RecordBatch:
    """A batch of columns, each (row); without columns it still has its rows."""
    if columns:
        return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    return pa.RecordBatch.from_struct_array(pa.Array.from_buffers(pa.struct([]), rows, [None], children=[]))


def pack(columns: Mapping[str, pa.Array | Repeats]) -> Packed:
    """Pack the columns (row) that become much smaller, unless they are packed already.

    >>> hours = pa.array(range(0, 36_000, 3600), pa.int64())
    >>> packed = pack({"hour": hours, "wind": pa.array([0.5] * 10)})
    >>> list(packed.small), packed.unpacked().column("hour").equals(hours)
    (['hour'], True)
    """
    rows = {column.rows if isinstance(column, Repeats) else len(column) for column in columns.values()}
    return Packed({name: _packed(column) or column for name, column in columns.items()}, max(rows, default=0))


def _packed(column: pa.Array | Repeats) -> Distances | Repeats | None:
    if isinstance(column, Repeats):
        return column
    if pa.types.is_string(column.type):
        return repeating(column)
    is_whole = pa.types.is_int64(column.type) or pa.types.is_timestamp(column.type)
    return _if_few(distances, column) if is_whole and not column.null_count else None


def repeating(column: pa.Array) -> Repeats | None:
    """The runs of equal cells of a column (row), where they are few."""
    return _if_few(repeats, column)


def repeats(column: pa.Array) -> Repeats:
    """The runs of equal cells of a column (row) of text."""
    starts = _changes(column)
    if starts is None:
        runs = pc.run_end_encode(column)
        return Repeats(runs.values, runs.run_ends)
    ends = np.append(starts[1:], len(column)).astype(np.int32)
    return Repeats(column.take(pa.array(starts)), pa.array(ends))


def _changes(cells: pa.Array) -> Ints | None:
    """The cells (row) that differ from the one before, and the first; None if that is not found at once.

    Cells of one length lie in memory like the rows of a table: all are compared in a sixth of the time of Arrow's runs.
    """
    if cells.null_count or not len(cells):
        return None
    _, offsets, data = cells.buffers()
    bounds = np.frombuffer(offsets, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    lengths = np.diff(bounds)
    edges = [0, *(np.flatnonzero(lengths[1:] != lengths[:-1]) + 1).tolist(), len(cells)]
    if len(edges) > len(cells) // GAIN + 2:
        return None
    found = []
    for first, stop in pairwise(edges):
        width = int(lengths[first])
        text = np.frombuffer(data or b"", np.uint8)[bounds[first] : bounds[stop]]
        differing = np.flatnonzero(text[width:] != text[:-width]) // width + 1
        found += [np.array([first]), differing[np.diff(differing, prepend=0) > 0] + first]
    return np.concatenate(found)


def distances(column: pa.Array) -> Distances:
    """The runs of equal distances of whole numbers or times (row), none of which is missing."""
    values = column.view(pa.int64()).to_numpy()
    distance = np.empty_like(values)
    distance[:1] = values[:1]
    np.subtract(values[1:], values[:-1], out=distance[1:])
    starts = np.concatenate([np.arange(min(len(values), 1)), np.flatnonzero(distance[1:] != distance[:-1]) + 1])
    return Distances(column.type, distance[starts], np.diff(starts, append=len(values)))


Runs = TypeVar("Runs", Distances, Repeats)


def _if_few(find: Callable[[pa.Array], Runs], column: pa.Array) -> Runs | None:
    """The runs of a column; None if they are many."""
    sample = column[:SAMPLE]
    if find(sample).runs > len(sample) // GAIN + 2:
        return None
    found = find(column)
    return found if found.runs <= len(column) // GAIN + 2 else None
