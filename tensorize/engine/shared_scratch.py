"""Scratch that several processes share: nameless files, one for each process to write, all of them for all to read."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tensorize.core.errors import RunError
from tensorize.engine.pickling import Codec
from tensorize.engine.scratch import scratch_error

if TYPE_CHECKING:
    from tensorize.core.contracts import Array
    from tensorize.engine.packed import Packed

_KEEP_SIZE, _PUNCH_HOLE = 1, 2
"""From linux/falloc.h."""


@dataclass(frozen=True)
class Ref:
    """Where a value lies: the slot of its file, its first byte, its bytes, and how many of these, the last, list its parts."""

    slot: int
    at: int
    size: int
    listed: int


class SharedStore:
    """See `tensorize.core.contracts.ScratchStore`. Each process has one, over the same files, and appends to its own.

    A process that replaces another continues at the end of the file; what was kept stays.

    >>> import numpy as np
    >>> store = SharedStore(slots=1)
    >>> ref = store.keep({"ids": np.arange(3), "counts": np.array([3])})
    >>> store.load(ref, ["ids"])["ids"].tolist()
    [0, 1, 2]
    >>> store.close()
    """

    def __init__(self, folder: Path | None = None, slots: int = 1, own: int = 0, files: tuple[int, ...] = ()) -> None:
        self.folder = folder
        self._slots, self._own, self._lock, self._is_closed = slots, own, threading.Lock(), False
        self._made: list[IO[bytes]] = []
        self._files, self._end = files, os.fstat(files[own]).st_size if files else 0
        self._codec = Codec()

    @property
    def files(self) -> tuple[int, ...]:
        """The descriptor of each slot's file. The files are made when first asked for. Raises RunError once closed."""
        with self._lock:
            if self._is_closed:
                raise RunError("scratch space is closed")
            if not self._files:
                self._files = self._make()
        return self._files

    def _make(self) -> tuple[int, ...]:
        try:
            while len(self._made) < self._slots:
                self._made.append(tempfile.TemporaryFile(dir=self.folder, buffering=0))  # noqa: SIM115 - close() closes it
        except OSError as error:
            raise scratch_error(self.folder, error) from error
        return tuple(file.fileno() for file in self._made)

    def keep(self, value: Packed | Mapping[str, Array]) -> Ref:
        """Keep a batch of rows, or arrays of any shape by name. Raises RunError if the folder is full or cannot be written."""
        file = self.files[self._own]
        parts, rest = (value, None) if isinstance(value, Mapping) else (value.columns, (type(value), value.rows))
        with self._lock:
            at, sizes = self._end, {}
            for name, part in parts.items():
                sizes[name] = self._append(file, self._codec.dumps(part, name))
            listed = self._append(file, self._codec.dumps((rest, sizes)))
            return Ref(self._own, at, self._end - at, listed)

    def _append(self, file: int, data: bytes) -> int:
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(file, view, self._end)
                view, self._end = view[count:], self._end + count
        except OSError as error:
            raise scratch_error(self.folder, error) from error
        return len(data)

    def load(self, ref: Ref, names: Collection[str] | None = None) -> Any:
        """What was kept, or some of its columns or arrays."""
        rest, sizes = self._codec.loads(self._read(ref.slot, ref.at + ref.size - ref.listed, ref.listed))
        parts, at = {}, ref.at
        for name, size in sizes.items():
            if names is None or name in names:
                parts[name] = self._codec.loads(self._read(ref.slot, at, size))
            at += size
        return parts if rest is None else rest[0](parts, rest[1])

    def _read(self, slot: int, at: int, size: int) -> bytes:
        data = os.pread(self.files[slot], size, at)
        while len(data) < size:
            more = os.pread(self.files[slot], size - len(data), at + len(data))
            if not more:
                raise RunError("scratch space was cut off", hint="say where nothing else writes: --scratch DIR")
            data += more
        return data

    def forget(self, ref: Ref) -> None:
        """Give the room of a value back to the file system, where that can be done (Linux)."""
        if sys.platform == "linux":
            libc, place = ctypes.CDLL(None), (ctypes.c_int64(ref.at), ctypes.c_int64(ref.size))
            allocate = getattr(libc, "fallocate64", None) or libc.fallocate
            allocate(self.files[ref.slot], _PUNCH_HOLE | _KEEP_SIZE, *place)

    def close(self) -> None:
        """Close the files that were made here. Safe to call twice."""
        self._is_closed = True
        for file in self._made:
            with suppress(OSError):
                file.close()
