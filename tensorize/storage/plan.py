"""Where everything in a file lies, decided before its first byte is written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tensorize.core.contracts import Array, TensorSpec
from tensorize.storage.digest import ReadInto

Patch = tuple[int, bytes]
"""Bytes, and the offset in the file at which they are written."""
Piece = tuple[int, memoryview]
"""An offset, and bytes of a tensor that are written there."""
NEVER = sys.maxsize
"""An offset after the end of any file."""


class Placed(Protocol):
    """Where the rows of a tensor lie in a file, and as what bytes."""

    @property
    def spec(self) -> TensorSpec:
        """The tensor."""
        ...

    def pieces(self, start: int, values: Array, read: ReadInto) -> Iterator[Piece]:
        """The bytes of rows (row, …) from `start` on, and where they lie. `read` reads back what was written before."""
        ...

    def final(self, rows: int) -> int:
        """The first byte of the tensor that may still change once `rows` rows are written; `NEVER` if there is none."""
        ...


@dataclass(frozen=True)
class Slot:
    """Where a tensor lies: C order, little-endian, from byte `at`.

    After each `every` rows, `gap` bytes follow that are no rows, where more rows follow; 0 for none.
    """

    spec: TensorSpec
    at: int
    every: int = 0
    gap: int = 0

    @property
    def row_bytes(self) -> int:
        """Bytes in one row; 0 for a tensor without rows."""
        return self.spec.nbytes // self.spec.shape[0] if self.spec.shape[0] else 0

    @property
    def stop(self) -> int:
        """The offset after the last byte."""
        gaps = (self.spec.shape[0] - 1) // self.every if self.every and self.spec.shape[0] else 0
        return self.at + self.spec.nbytes + gaps * self.gap

    def runs(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """The rows `start:stop` as runs that lie together: (first row, row after the last, offset of the first)."""
        while start < stop:
            end = min(stop, (start // self.every + 1) * self.every) if self.every else stop
            gaps = start // self.every if self.every else 0
            yield start, end, self.at + start * self.row_bytes + gaps * self.gap
            start = end

    def pieces(self, start: int, values: Array, read: ReadInto) -> Iterator[Piece]:
        """See `Placed.pieces`."""
        del read
        data, size = values.data.cast("B") if values.size else memoryview(b""), self.row_bytes
        for first, last, at in self.runs(start, start + len(values)):
            yield at, data[(first - start) * size : (last - start) * size]

    def final(self, rows: int) -> int:
        """See `Placed.final`."""
        if rows == self.spec.shape[0] or not self.spec.nbytes:
            return NEVER
        return next(at for _, _, at in self.runs(rows, rows + 1))


@dataclass(frozen=True)
class FilePlan:
    """What a format decides about a file: where the tensors, the header, the recipe and the digest lie.

    The digest is the SHA-256 of the file with its own 64 bytes at `digest_at` read as zeros. Bytes are hashed in file order,
    except for the first `header` bytes, which come last: so a format that begins with its header can hold there what is known
    last, and still be hashed while it is written. See `tensorize.storage.digest`.
    """

    size: int
    """Bytes in the whole file."""
    slots: Mapping[str, Placed]
    """Tensor key → where it lies."""
    digest_at: int
    recipe: str
    """The recipe that the plan was made with: `Layout.recipe`."""
    early: Iterable[Patch]
    """Written before the first row."""
    late: Callable[[str, Mapping[str, int]], Sequence[Patch]]
    """`late(recipe, checksums)`: written at commit. Offsets and lengths must not depend on the arguments, since they say which
    bytes are not final before that. `checksums` maps each key of `checksums` below to the CRC-32 of its tensor."""
    header: int = 0
    """Bytes at the beginning of the file that are hashed last."""
    checksums: Mapping[str, int] = field(default_factory=dict)
    """Tensors whose CRC-32 the format keeps: key → the CRC-32 of what is counted in before the numbers, 0 if there is none."""
    files: Sequence[tuple[str, int]] = ()
    """The files of a folder, (path inside of it, bytes): they count as one file, each after the one before it, and no tensor's
    run of rows and no patch lies in two of them. Empty where the output is a file."""


def check_next(spec: TensorSpec, done: int, start: int, values: Array) -> None:
    """Raise ValueError unless `values` (row, …) are the next rows of a tensor, of which `done` are written."""
    if start != done or values.dtype != np.dtype(spec.dtype) or values.shape[1:] != spec.shape[1:]:
        raise ValueError(f"{spec.key}: rows from {start} of {values.dtype} {values.shape} do not follow row {done} of {spec}")
    if start + len(values) > spec.shape[0]:
        raise ValueError(f"{spec.key}: {start + len(values)} rows, where {spec.shape[0]} were laid out")


def check_complete(spec: TensorSpec, done: int) -> None:
    """Raise ValueError unless all rows of a tensor are written."""
    if done != spec.shape[0]:
        raise ValueError(f"{spec.key}: {done} rows were written of {spec.shape[0]}")
