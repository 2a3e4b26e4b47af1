"""Tensors in groups of rows, as row groups of Parquet and record batches of Arrow hold them: written and read at offsets."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tensorize.core.contracts import Array, TensorSpec
from tensorize.storage.digest import ReadInto
from tensorize.storage.plan import NEVER, Piece
from tensorize.storage.store import SlotStore

Form = Literal["plain", "int32", "bits"]
"""How numbers are stored: as they are, little-endian; 16 bits in 32; booleans as bits, the lowest first."""


@dataclass(frozen=True, eq=False)
class GroupSlot:
    """Where a tensor lies whose rows are in groups: in each the cells of its columns, one column after the other.

    It has one column, or, where each of its channels is one, as many as a row has numbers.
    """

    spec: TensorSpec
    rows: int
    """Rows in a group; the last group has the rest."""
    starts: Sequence[int]
    """The offset of each group."""
    inner: Sequence[int]
    """Where each column begins in a group; none for a tensor that takes no room."""
    last: Sequence[int]
    """The same in the last group."""
    form: Form = "plain"

    @property
    def width(self) -> int:
        """Numbers in a cell."""
        return math.prod(self.spec.shape[1:]) // max(1, len(self.inner))

    def at(self, group: int, column: int) -> int:
        """The offset of a column's cells in a group."""
        inner = self.last if group == len(self.starts) - 1 else self.inner
        return self.starts[group] + inner[column]

    def size(self, numbers: int) -> int:
        """Bytes that so many numbers of a cell take."""
        if self.form == "bits":
            return (numbers + 7) // 8
        return numbers * (4 if self.form == "int32" else self.spec.itemsize)

    @property
    def stop(self) -> int:
        """The offset after the last byte of all groups."""
        if not len(self.inner) or not len(self.starts):
            return 0
        rest = self.spec.shape[0] - (len(self.starts) - 1) * self.rows
        end = self.starts[-1] + max(self.last) + self.size(rest * self.width)
        whole = max(self.starts[:-1], default=0) + max(self.inner) + self.size(self.rows * self.width)
        return max(end, whole) if len(self.starts) > 1 else end

    def runs(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """The rows `start:stop` by groups: (first row, row after the last, group)."""
        while start < stop:
            end = min(stop, (start // self.rows + 1) * self.rows)
            yield start, end, start // self.rows
            start = end

    def pieces(self, start: int, values: Array, read: ReadInto) -> Iterator[Piece]:
        """See `Placed.pieces`."""
        if not values.size:
            return
        for first, stop, group in self.runs(start, start + len(values)):
            cells = values[first - start : stop - start]
            columns = cells.reshape(1, -1) if len(self.inner) == 1 else np.ascontiguousarray(cells.reshape(len(cells), -1).T)
            for column, numbers in enumerate(columns):
                yield self._piece(numbers, self.at(group, column), first % self.rows * self.width, read)

    def _piece(self, numbers: Array, at: int, done: int, read: ReadInto) -> Piece:
        """The bytes of numbers, of which a column that begins at `at` has `done` already."""
        if self.form == "bits":
            return _packed(numbers, at + done // 8, done % 8, read)
        stored = numbers.astype("<i4") if self.form == "int32" else numbers
        return at + self.size(done), stored.data.cast("B")

    def final(self, rows: int) -> int:
        """See `Placed.final`."""
        if rows == self.spec.shape[0] or not len(self.inner):
            return NEVER
        done = rows % self.rows * self.width
        return self.at(rows // self.rows, 0) + (done // 8 if self.form == "bits" else self.size(done))


def _packed(flags: Array, at: int, lead: int, read: ReadInto) -> Piece:
    """Booleans as bits, after the `lead` bits that the first byte has already."""
    if lead:
        old = bytearray(1)
        read(memoryview(old), at)
        before = np.unpackbits(np.frombuffer(old, np.uint8), count=lead, bitorder="little")
        flags = np.concatenate([before.astype(np.bool_), flags])
    return at, np.packbits(flags, bitorder="little").data


class GroupStore(SlotStore[GroupSlot]):
    """Reads tensors in groups of rows."""

    def _load(self, slot: GroupSlot, start: int, out: Array) -> None:
        for first, last, group in slot.runs(start, start + len(out)):
            self._load_group(slot, group, first % slot.rows, out[first - start : last - start])

    def _gather(self, slot: GroupSlot, rows: Array, out: Array) -> None:
        if slot.form == "bits":
            for first, last, group, within in _stretches(slot, rows):
                self._load_group(slot, group, within, out[first:last])
            return
        columns = out.reshape(len(rows), len(slot.inner), slot.width)
        for column in range(len(slot.inner)):
            self._gather_column(slot, column, rows, columns[:, column])

    def _places(self, slot: GroupSlot, rows: Array) -> Iterator[tuple[int, int]]:
        for first, last, group, within in _stretches(slot, rows):
            for column in range(len(slot.inner)):
                at = slot.at(group, column) + slot.size(within * slot.width)
                yield at, slot.size((last - first) * slot.width)

    def _gather_column(self, slot: GroupSlot, column: int, rows: Array, out: Array) -> None:
        """Fill `out` (row, number) with rows of a column, one call for each run of neighbours."""
        size, fd = slot.size(slot.width), self.opened()
        held = np.empty((len(rows), slot.width), "<i4" if slot.form == "int32" else slot.spec.dtype)
        groups, within = np.divmod(rows, slot.rows)
        places = np.array(slot.starts, np.int64)[groups] + within * size
        places += np.where(groups == len(slot.starts) - 1, slot.last[column], slot.inner[column])
        breaks = (np.flatnonzero(np.diff(places) != size) + 1).tolist()
        view, offsets = held.data.cast("B"), places.tolist()
        for first, last in zip([0, *breaks], [*breaks, len(offsets)], strict=True):
            part = view[first * size : last * size]
            if os.preadv(fd, [part], offsets[first]) != len(part):
                self.fill(held[first:last], offsets[first])
        out[:] = held

    def _load_group(self, slot: GroupSlot, group: int, within: int, out: Array) -> None:
        """Fill `out` (row, …) with the rows of a group from its row `within` on."""
        done, count = within * slot.width, len(out) * slot.width
        if slot.form == "plain" and len(slot.inner) == 1:
            self.fill(out, slot.at(group, 0) + slot.size(done))
            return
        columns = out.reshape(len(out), len(slot.inner), slot.width)
        for column in range(len(slot.inner)):
            numbers = self._numbers(slot, slot.at(group, column), done, count)
            columns[:, column] = numbers.reshape(len(out), slot.width)

    def _numbers(self, slot: GroupSlot, at: int, done: int, count: int) -> Array:
        """Numbers of a column that begins at `at`, (number) in the type that is stored."""
        if slot.form == "bits":
            held = np.empty((done % 8 + count + 7) // 8, np.uint8)
            self.fill(held, at + done // 8)
            return np.unpackbits(held, bitorder="little")[done % 8 : done % 8 + count]
        stored = np.empty(count, "<i4" if slot.form == "int32" else slot.spec.dtype)
        self.fill(stored, at + slot.size(done))
        return stored


def _stretches(slot: GroupSlot, rows: Array) -> Iterator[tuple[int, int, int, int]]:
    """Runs of neighbours in one group among rows: (first, last) in the list of rows, their group, the first row in it."""
    groups, within = np.divmod(rows, slot.rows)
    breaks = (np.flatnonzero((np.diff(rows) != 1) | (np.diff(groups) != 0)) + 1).tolist()
    for first, last in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        if first < last:
            yield first, last, int(groups[first]), int(within[first])
