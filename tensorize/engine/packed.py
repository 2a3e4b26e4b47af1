"""Columns that repeat themselves, kept small: hours that follow each other, a group that stays the same for a while."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]

SAMPLE, GAIN = 1024, 16
"""A column is packed where its first rows, and then all, take a sixteenth of the places."""


@dataclass(frozen=True)
class Distances:
    """Whole numbers or times (row), as runs of equal distances to the row before; the first is its distance to 0."""

    type: pa.DataType
    distance: Ints
    length: Ints

    @property
    def nbytes(self) -> int:
        return self.distance.nbytes + self.length.nbytes

    def unpacked(self) -> pa.Array:
        values = np.cumsum(np.repeat(self.distance, self.length))
        return pa.array(values).view(self.type)


@dataclass(frozen=True)
class Repeats:
    """Text (row), as runs of equal cells."""

    runs: pa.RunEndEncodedArray

    @property
    def nbytes(self) -> int:
        return int(self.runs.nbytes)

    def unpacked(self) -> pa.Array:
        return pc.run_end_decode(self.runs)


@dataclass(frozen=True)
class Packed:
    """A batch whose columns that repeat themselves are packed; `plain` holds the others."""

    schema: pa.Schema
    small: dict[str, Distances | Repeats]
    plain: pa.RecordBatch

    @property
    def nbytes(self) -> int:
        """Bytes of what is packed."""
        return sum(column.nbytes for column in self.small.values())

    def unpacked(self, columns: Collection[str] | None = None) -> pa.RecordBatch:
        """The batch, or some of its columns, in its order."""
        names = [name for name in self.schema.names if columns is None or name in columns]
        arrays = [self.small[name].unpacked() if name in self.small else self.plain.column(name) for name in names]
        return pa.RecordBatch.from_arrays(arrays, names=names)


def pack(batch: pa.RecordBatch) -> Packed:
    """Pack what is worth it.

    >>> hours = pa.array(range(0, 36_000, 3600), pa.int64())
    >>> packed = pack(pa.record_batch({"hour": hours, "wind": pa.array([0.5] * 10)}))
    >>> list(packed.small), packed.unpacked().column("hour").equals(hours)
    (['hour'], True)
    """
    small = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        found = _distances(column) if _is_whole(column) else _repeats(column) if pa.types.is_string(column.type) else None
        if found is not None:
            small[name] = found
    rest = [name for name in batch.schema.names if name not in small]
    return Packed(batch.schema, small, batch.select(rest))


def _is_whole(column: pa.Array) -> bool:
    is_kind = pa.types.is_int64(column.type) or pa.types.is_timestamp(column.type)
    return is_kind and not column.null_count and len(column) > 0


def _distances(column: pa.Array) -> Distances | None:
    values = column.view(pa.int64()).to_numpy()
    if _runs(values[:SAMPLE]) is None:
        return None
    return Distances(column.type, *found) if (found := _runs(values)) is not None else None


def _runs(values: Ints) -> tuple[Ints, Ints] | None:
    """The distance and length of each run; None where there are too many."""
    distance = np.empty_like(values)
    distance[0] = values[0]
    np.subtract(values[1:], values[:-1], out=distance[1:])
    starts = np.flatnonzero(distance[1:] != distance[:-1]) + 1
    if len(starts) > len(values) // GAIN + 1:
        return None
    starts = np.concatenate([[0], starts])
    return distance[starts], np.diff(starts, append=len(values))


def _repeats(column: pa.Array) -> Repeats | None:
    sample = pc.run_end_encode(column[:SAMPLE])
    if len(sample.values) > len(sample) // GAIN + 1:
        return None
    runs = pc.run_end_encode(column)
    return Repeats(runs) if len(runs.values) <= len(runs) // GAIN + 1 else None
