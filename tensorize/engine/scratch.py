"""Scratch: bytes that are kept for a second pass. The first 64 MB stay in memory, the rest goes to files.

The files have no names (they are unlinked as they are made), so nothing of ours is left behind, whatever happens. They
are written and read with plain file calls, never through a memory map: see DESIGN, "Files".
"""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from tensorize.core.errors import RunError

if TYPE_CHECKING:
    import pyarrow as pa

    from tensorize.core.contracts import Array
    from tensorize.engine.packed import Packed

MEMORY_BYTES = 64 << 20
FILE_BYTES = 64 << 20


def scratch_error(folder: Path | None, error: OSError) -> RunError:
    """What to say when scratch cannot be written in `folder`, or in the system's folder if it is None."""
    return RunError(
        f"scratch space in {folder or tempfile.gettempdir()}: {error.strerror}", hint="say where there is room: --scratch DIR"
    )


class Scratch:
    """Append-only bytes, addressed by offset. Close it, or use it as a context manager.

    What is over the memory lies in files of 64 MB or a sixteenth of all, so that room can be given back from the front.

    >>> with Scratch() as scratch:
    ...     at = scratch.append(b"abc")
    ...     scratch.read(at, 3)
    b'abc'
    """

    def __init__(self, folder: Path | None = None, memory: int = MEMORY_BYTES) -> None:
        self.size = 0
        self._folder = folder
        self._memory = memory
        self._held = bytearray()
        self._files: list[IO[bytes]] = []
        self._begins: list[int] = []

    def append(self, data: bytes | memoryview) -> int:
        """Keep `data`; return its offset. Raises RunError if the scratch folder is full or cannot be written."""
        at, size = self.size, len(data)
        if not self._files and at + size <= self._memory:
            self._held += data
        else:
            self._write(data)
        self.size += size
        return at

    def read(self, at: int, size: int) -> bytes:
        """Return `size` bytes from offset `at`; safe to call from several threads."""
        stop = min(at + size, self.size)
        parts = [bytes(memoryview(self._held)[at:stop])] if at < len(self._held) else []
        at += sum(map(len, parts))
        while at < stop:
            place = bisect_right(self._begins, at) - 1
            end = self._begins[place + 1] if place + 1 < len(self._begins) else self.size
            part = os.pread(self._files[place].fileno(), min(stop, end) - at, at - self._begins[place])
            if not part:
                raise RunError("scratch space was cut off", hint="say where nothing else writes: --scratch DIR")
            parts.append(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def forget(self, stop: int) -> None:
        """Give back what lies in files that end at offset `stop` or before: it is not read again."""
        ends = [*self._begins[1:], self.size]
        for file, end in zip(self._files, ends, strict=False):
            if end <= stop:
                file.close()

    def _write(self, data: bytes | memoryview) -> None:
        try:
            if not self._files or self.size - self._begins[-1] >= max(FILE_BYTES, self.size // 16):
                self._files.append(tempfile.TemporaryFile(dir=self._folder, buffering=0))  # noqa: SIM115 - close() closes it
                self._begins.append(self.size)
            view = memoryview(data).cast("B")
            while len(view):
                view = view[self._files[-1].write(view) :]
        except OSError as error:
            raise scratch_error(self._folder, error) from error

    def close(self) -> None:
        """Give back memory and files. Safe to call twice."""
        self._held = bytearray()
        for file in self._files:
            with suppress(OSError):
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class _Slot:
    """Where the plain columns of a batch lie in scratch, and its columns in order."""

    at: int
    size: int
    schema: pa.Schema
    names: tuple[str, ...]


class Spool:
    """Arrow record batches that are read repeatedly: in memory at first, then in scratch.

    What is packed stays in memory, as long as there is as much room again for it.
    """

    def __init__(self, folder: Path | None = None, memory: int = MEMORY_BYTES) -> None:
        self._scratch = Scratch(folder, memory=0)
        self._room = self._packed_room = memory
        self._items: list[tuple[Packed, _Slot | None]] = []

    def append(self, packed: Packed) -> None:
        """Keep one batch."""
        if packed.nbytes > self._packed_room:
            packed = packed.of(packed.unpacked())
        self._packed_room -= packed.nbytes
        plain = packed.plain
        if plain.nbytes <= self._room:
            self._room -= plain.nbytes
            self._items.append((packed, None))
            return
        self._room = 0
        data = memoryview(plain.serialize())
        slot = _Slot(self._scratch.append(data), len(data), plain.schema, tuple(packed.columns))
        self._items.append((type(packed)(packed.small, packed.rows), slot))

    def __len__(self) -> int:
        return len(self._items)

    def get(self, index: int, columns: Collection[str] | None = None) -> pa.RecordBatch:
        """A batch, or some of its columns."""
        return self.packed(index, columns).unpacked()

    def packed(self, index: int, columns: Collection[str] | None = None) -> Packed:
        """A batch, or some of its columns, as it is kept."""
        packed, slot = self._items[index]
        found, names = dict(packed.columns), slot.names if slot else tuple(packed.columns)
        wanted = [name for name in names if columns is None or name in columns]
        if slot is not None and not found.keys() >= set(wanted):
            import pyarrow as pa

            data = pa.py_buffer(self._scratch.read(slot.at, slot.size))
            plain = pa.ipc.read_record_batch(data, slot.schema)
            found |= dict(zip(plain.schema.names, plain.columns, strict=True))
        return type(packed)({name: found[name] for name in wanted}, packed.rows)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for index in range(len(self)):
            yield self.get(index)

    def close(self) -> None:
        """Give back memory and files. Safe to call twice."""
        self._items.clear()
        self._scratch.close()


@dataclass(frozen=True)
class _Part:
    """Where an array lies in scratch."""

    at: int
    size: int
    dtype: str
    shape: tuple[int, ...]


class LocalStore:
    """See `tensorize.core.contracts.ScratchStore`: values in memory at first, then in nameless scratch files of this process.

    >>> store = LocalStore()
    >>> ref = store.keep({"ids": np.arange(3), "counts": np.array([3])})
    >>> store.load(ref, ["ids"])["ids"].tolist()
    [0, 1, 2]
    """

    def __init__(self, folder: Path | None = None, memory: int = MEMORY_BYTES) -> None:
        self.folder = folder
        self._spool = Spool(folder, memory)
        self._scratch, self._room = Scratch(folder, memory=0), memory
        self._arrays: dict[int, Mapping[str, Array | _Part]] = {}

    def keep(self, value: Packed | Mapping[str, Array]) -> int:
        """Keep a batch of rows, or arrays of any shape by name. Raises RunError if the folder is full or cannot be written."""
        if not isinstance(value, Mapping):
            self._spool.append(value)
            return len(self._spool) - 1
        size = sum(array.nbytes for array in value.values())
        ref = -1 - len(self._arrays)
        if size <= self._room:
            self._room -= size
            self._arrays[ref] = dict(value)
        else:
            self._room = 0
            self._arrays[ref] = {name: self._written(array) for name, array in value.items()}
        return ref

    def _written(self, array: Array) -> _Part:
        data = np.ascontiguousarray(array)
        at = self._scratch.append(data.data.cast("B") if data.size else b"")
        return _Part(at, data.nbytes, data.dtype.str, data.shape)

    def load(self, ref: int, names: Collection[str] | None = None) -> Any:
        """What was kept, or some of its columns or arrays."""
        if ref >= 0:
            return self._spool.packed(ref, names)
        held = self._arrays[ref]
        return {name: self._read(held[name]) for name in held if names is None or name in names}

    def _read(self, part: Array | _Part) -> Array:
        if not isinstance(part, _Part):
            return part
        return np.frombuffer(self._scratch.read(part.at, part.size), part.dtype).reshape(part.shape)

    def forget(self, ref: int) -> None:
        """Give back the room of arrays; a file's is given back once all before it are forgotten, too."""
        if ref >= 0:
            return
        stops = [part.at + part.size for part in self._arrays[ref].values() if isinstance(part, _Part)]
        self._arrays[ref] = {}
        if stops:
            self._scratch.forget(max(stops))

    def close(self) -> None:
        """Give back memory and files. Safe to call twice."""
        self._arrays.clear()
        self._spool.close()
        self._scratch.close()
