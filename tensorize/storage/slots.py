"""Tensors at known offsets of a file: written in slices, read in slices, never mapped into memory."""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from tensorize.core.contracts import Array, TensorSpec
from tensorize.core.errors import DataError
from tensorize.storage.background import Behind
from tensorize.storage.digest import pieces
from tensorize.storage.partfile import PartFile

_OPENING = threading.Lock()
_SYNCED = 64 << 20
"""Bytes that are written before they are brought to the disk, in a thread."""
_HASHED = 4 << 20
"""Bytes that are final before they are hashed."""
_SMALL = 4 << 20
"""Bytes up to which a tensor is held once its rows are asked for one by one."""


@dataclass(frozen=True)
class Slot:
    """Where a tensor lies: C order, little-endian, from byte `at`."""

    spec: TensorSpec
    at: int

    @property
    def row_bytes(self) -> int:
        return self.spec.nbytes // self.spec.shape[0] if self.spec.shape[0] else 0


@dataclass
class SlotWriter:
    """See `tensorize.core.contracts.Writer`. `finish(checksums, recipe)` writes what is known last, after the tensors.

    The digest is a SHA-256 of the whole file with its own 64 bytes at `digest_at` taken as zeros.
    """

    part: PartFile
    slots: Mapping[str, Slot]
    size: int
    digest_at: int
    finish: Callable[[Mapping[str, int], str], None]
    check: Callable[[Path], None]
    checksums: bool = False
    _rows: dict[str, int] = field(default_factory=dict)
    _crc: dict[str, int] = field(default_factory=dict)
    _written: dict[str, int] = field(default_factory=dict)
    _hashed: int = 0
    _writes: Behind = field(default_factory=lambda: Behind("write"))
    _hashes: Behind = field(default_factory=lambda: Behind("digest"))
    _digest: Any = field(default_factory=hashlib.sha256)
    _syncs: Behind = field(default_factory=lambda: Behind("sync"))
    _unsynced: int = 0

    def write(self, key: str, start: int, values: Array) -> None:
        """Write the next rows of a tensor. ValueError for rows out of order, or of another shape or dtype.

        They are written in a thread, while the next are made: `values` must not change any more.
        """
        slot = self.slots[key]
        spec, done = slot.spec, self._rows.get(key, 0)
        if start != done or values.dtype != np.dtype(spec.dtype) or values.shape[1:] != spec.shape[1:]:
            raise ValueError(f"{key}: rows from {start} of {values.dtype} {values.shape} do not follow row {done} of {spec}")
        if start + len(values) > spec.shape[0]:
            raise ValueError(f"{key}: {start + len(values)} rows, where {spec.shape[0]} were laid out")
        data = np.ascontiguousarray(values).data.cast("B") if values.size else memoryview(b"")
        self._writes.ask(partial(self._put, key, slot.at + start * slot.row_bytes), data)
        self._rows[key] = start + len(values)

    def _put(self, key: str, at: int, data: memoryview) -> None:
        self.part.write(at, data)
        self._unsynced += len(data)
        if self._unsynced >= _SYNCED:
            self._sync()
        if self.checksums:
            self._crc[key] = zlib.crc32(data, self._crc.get(key, 0))
        self._written[key] = at + len(data)
        final = self._final()
        if final - self._hashed >= _HASHED:
            self._hash(final)

    def _sync(self) -> None:
        self._unsynced = 0
        self._syncs.ask(lambda _: self.part.sync(), memoryview(b""))

    @cached_property
    def _in_order(self) -> list[str]:
        """The tensors as they lie in the file. Where a checksum follows each of them, what lies behind it is known last."""
        return sorted((key for key in self.slots if self.slots[key].spec.nbytes), key=lambda key: self.slots[key].at)

    def _final(self) -> int:
        """The bytes at the beginning of the file that will not change: up to the first tensor that is not complete."""
        for key in self._in_order:
            slot = self.slots[key]
            written = self._written.get(key, slot.at)
            if self.checksums or written < slot.at + slot.spec.nbytes:
                return written
        return self._hashed

    def _hash(self, stop: int) -> None:
        """Hash the file up to `stop`, in a thread."""
        start, self._hashed = self._hashed, stop

        def update(_: memoryview) -> None:
            for _at, piece in pieces(self.part.fd, start, stop, self.digest_at):
                self._digest.update(piece)

        self._hashes.ask(update, memoryview(b""))

    def _finished_digest(self) -> str:
        """The digest of the whole file: what was hashed along the way, and the rest."""
        self._hash(self.size)
        self._hashes.finish()
        return str(self._digest.hexdigest())

    def commit(self, recipe: str) -> None:
        """Finish the file, and make it appear. ValueError where rows are lacking, or the recipe has no room."""
        for key, slot in self.slots.items():
            if self._rows.get(key, 0) != slot.spec.shape[0]:
                raise ValueError(f"{key}: {self._rows.get(key, 0)} rows were written of {slot.spec.shape[0]}")
        self._writes.finish()
        self.part.truncate(self.size)
        self.finish({key: self._crc.get(key, 0) for key in self.slots}, recipe)
        self._sync()
        digest = self._finished_digest()
        self._syncs.finish()
        self.part.write(self.digest_at, digest.encode())
        self.check(self.part.path)
        self.part.commit()

    def abort(self) -> None:
        self._writes.close()
        self._hashes.close()
        self._syncs.close()
        self.part.abort()


def fitting(data: bytes, size: int) -> bytes:
    """What is known last, if it takes the bytes that were kept for it. Raises ValueError."""
    if len(data) != size:
        raise ValueError(f"the recipe takes {len(data)} bytes where {size} were laid out: more has changed than its numbers")
    return data


def _check_rows(slot: Slot, start: int, stop: int) -> None:
    """Raise IndexError for rows that a tensor has not."""
    if not 0 <= start <= stop <= slot.spec.shape[0]:
        raise IndexError(f"{slot.spec.key} has {slot.spec.shape[0]} rows, not {start} to {stop}")


def _stretches(slot: Slot, rows: Array) -> Iterator[tuple[int, int, int]]:
    """Neighbours among rows: (first, last) in the list of rows, and the byte of the file at which they begin."""
    breaks = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
    places = (slot.at + rows * slot.row_bytes).tolist()
    for first, last in zip([0, *breaks], [*breaks, len(places)], strict=True):
        yield first, last, places[first]


class FileStore:
    """Reads tensors at known offsets. Safe to pickle, and to use from forked or spawned workers."""

    def __init__(self, path: Path, slots: Mapping[str, Slot]) -> None:
        self.path, self._slots = path, dict(slots)
        self._fd: tuple[int, int] | None = None
        self._small: dict[str, Array] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_slots": self._slots, "_fd": None, "_small": {}}

    def read(self, key: str, start: int, stop: int) -> Array:
        """Rows `start:stop` of a tensor. Raises DataError where the file ends too soon, IndexError for rows that are not."""
        slot = self._slots[key]
        _check_rows(slot, start, stop)
        out = np.empty((max(stop - start, 0), *slot.spec.shape[1:]), dtype=slot.spec.dtype)
        if out.size:
            self._fill(out, slot.at + start * slot.row_bytes)
        return out

    def take(self, key: str, rows: Array) -> Array:
        """The rows at int64 positions (row), in that order; neighbours are read at once."""
        slot = self._slots[key]
        if len(rows):
            _check_rows(slot, int(rows.min()), int(rows.max()) + 1)
        if 0 < slot.spec.nbytes <= _SMALL:
            return self._whole(key)[rows]
        out = np.empty((len(rows), *slot.spec.shape[1:]), dtype=slot.spec.dtype)
        if out.size:
            self._gather(slot, rows, out)
        return out

    def _whole(self, key: str) -> Array:
        """A small tensor, read once: its rows are not worth a call each."""
        if key not in self._small:
            self._small[key] = self.read(key, 0, self._slots[key].spec.shape[0])
        return self._small[key]

    def expect(self, key: str, rows: Array) -> None:
        """Let the system fetch rows, many at a time: a disk that is asked for one after the other mostly waits."""
        slot = self._slots[key]
        if slot.spec.nbytes <= _SMALL or not hasattr(os, "posix_fadvise"):
            return
        size, fd = slot.row_bytes, self._opened()
        for first, last, at in _stretches(slot, rows):
            os.posix_fadvise(fd, at, (last - first) * size, os.POSIX_FADV_WILLNEED)

    def _gather(self, slot: Slot, rows: Array, out: Array) -> None:
        """Fill `out` with rows, one call for each run of neighbours."""
        size, fd, view = slot.row_bytes, self._opened(), out.data.cast("B")
        for first, last, at in _stretches(slot, rows):
            part = view[first * size : last * size]
            if os.preadv(fd, [part], at) != len(part):
                self._fill(out[first:last], at)

    def _fill(self, out: Array, at: int) -> None:
        view = out.data.cast("B")
        while len(view):
            count = os.preadv(self._opened(), [view], at)
            if not count:
                raise DataError(f"{self.path} ends too soon", hint="it was cut off; make it again from the source")
            view, at = view[count:], at + count

    def _opened(self) -> int:
        """The descriptor of this process."""
        with _OPENING:
            if self._fd is None or self._fd[0] != os.getpid():
                self._fd = (os.getpid(), os.open(self.path, os.O_RDONLY))
            return self._fd[1]

    def close(self) -> None:
        if self._fd is not None and self._fd[0] == os.getpid():
            with suppress(OSError):
                os.close(self._fd[1])
        self._fd = None

    def __del__(self) -> None:
        self.close()
