"""Tensors at known offsets of a file, read in slices and never mapped into memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from tensorize.core.contracts import Array, TensorSpec
from tensorize.core.errors import DataError
from tensorize.storage.plan import Slot

_OPENING = threading.Lock()
SMALL = 4 << 20
"""Bytes up to which a tensor is held in memory once single rows are asked for."""


def check_rows(spec: TensorSpec, start: int, stop: int) -> None:
    """Raise IndexError for rows outside a tensor."""
    if not 0 <= start <= stop <= spec.shape[0]:
        raise IndexError(f"{spec.key} has {spec.shape[0]} rows, not {start} to {stop}")


def _stretches(slot: Slot, rows: Array) -> Iterator[tuple[int, int, int]]:
    """Runs of neighbours among rows: (first, last) in the list of rows, and their offset in the file."""
    breaks = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
    places = (slot.at + rows * slot.row_bytes).tolist()
    for first, last in zip([0, *breaks], [*breaks, len(places)], strict=True):
        yield first, last, places[first]


class OpenedFile:
    """A file that is read at offsets, opened on the first read of each process. Safe to pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: tuple[int, int] | None = None

    def fill(self, out: Array, at: int) -> None:
        """Read what `out`, which is contiguous, holds. Raises DataError if the file ends before."""
        view = out.data.cast("B")
        while len(view):
            count = os.preadv(self.opened(), [view], at)
            if not count:
                raise DataError(f"{self.path} ends too soon", hint="it was cut off; make it again from the source")
            view, at = view[count:], at + count

    def opened(self) -> int:
        """The descriptor of this process."""
        with _OPENING:
            if self._fd is None or self._fd[0] != os.getpid():
                self._fd = (os.getpid(), os.open(self.path, os.O_RDONLY))
            return self._fd[1]

    def close(self) -> None:
        """Close the file if this process opened it. Safe to call twice."""
        if self._fd is not None and self._fd[0] == os.getpid():
            with suppress(OSError):
                os.close(self._fd[1])
        self._fd = None

    def __del__(self) -> None:
        self.close()


class HasSpec(Protocol):
    """What says where a tensor lies."""

    @property
    def spec(self) -> TensorSpec:
        """The tensor."""
        ...


S = TypeVar("S", bound=HasSpec)


class SlotStore(OpenedFile, Generic[S]):
    """Reads tensors at places of one kind. Safe to pickle, and to use from forked or spawned workers."""

    def __init__(self, path: Path, slots: Mapping[str, S]) -> None:
        super().__init__(path)
        self._slots = dict(slots)
        self._small: dict[str, Array] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_slots": self._slots, "_fd": None, "_small": {}}

    def read(self, key: str, start: int, stop: int) -> Array:
        """Rows `start:stop` of a tensor, (row, …) in its dtype.

        Raises DataError if the file is too short, IndexError for rows outside the tensor.
        """
        slot = self._slots[key]
        check_rows(slot.spec, start, stop)
        out = np.empty((stop - start, *slot.spec.shape[1:]), dtype=slot.spec.dtype)
        if out.size:
            self._load(slot, start, out)
        return out

    def take(self, key: str, rows: Array) -> Array:
        """The rows at int64 positions (row), in that order; neighbours are read at once."""
        slot = self._slots[key]
        if len(rows):
            check_rows(slot.spec, int(rows.min()), int(rows.max()) + 1)
        if 0 < slot.spec.nbytes <= SMALL:
            return self._whole(key)[rows]
        out = np.empty((len(rows), *slot.spec.shape[1:]), dtype=slot.spec.dtype)
        if out.size:
            self._gather(slot, rows, out)
        return out

    def expect(self, key: str, rows: Array) -> None:
        """Have the system fetch rows at once: a disk that is asked for one after the other mostly waits."""
        slot = self._slots[key]
        if slot.spec.nbytes > SMALL and hasattr(os, "posix_fadvise"):
            fd = self.opened()
            for at, size in self._places(slot, rows):
                os.posix_fadvise(fd, at, size, os.POSIX_FADV_WILLNEED)

    def _whole(self, key: str) -> Array:
        """A small tensor, read once: a call for each row would cost more."""
        if key not in self._small:
            self._small[key] = self.read(key, 0, self._slots[key].spec.shape[0])
        return self._small[key]

    def _load(self, slot: S, start: int, out: Array) -> None:
        """Fill `out` (row, …) with the rows from `start` on."""
        raise NotImplementedError

    def _gather(self, slot: S, rows: Array, out: Array) -> None:
        """Fill `out` (row, …) with rows in no order, one call for each run of neighbours."""
        raise NotImplementedError

    def _places(self, slot: S, rows: Array) -> Iterator[tuple[int, int]]:
        """Yield (offset, bytes) of each run of neighbours."""
        raise NotImplementedError


class FileStore(SlotStore[Slot]):
    """Reads tensors that lie in one piece."""

    def _load(self, slot: Slot, start: int, out: Array) -> None:
        self.fill(out, slot.at + start * slot.row_bytes)

    def _gather(self, slot: Slot, rows: Array, out: Array) -> None:
        size, fd, view = slot.row_bytes, self.opened(), out.data.cast("B")
        for first, last, at in _stretches(slot, rows):
            part = view[first * size : last * size]
            if os.preadv(fd, [part], at) != len(part):
                self.fill(out[first:last], at)

    def _places(self, slot: Slot, rows: Array) -> Iterator[tuple[int, int]]:
        for first, last, at in _stretches(slot, rows):
            yield at, (last - first) * slot.row_bytes
