"""A file, or a folder of files, that is written in slices: tensors at their offsets, the recipe and the digest at the end."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from tensorize.core.contracts import Array
from tensorize.storage.background import BackgroundCalls
from tensorize.storage.digest import hashed_bytes
from tensorize.storage.partfile import PartFile
from tensorize.storage.plan import FilePlan, Patch, check_complete, check_next

_SYNCED = 64 << 20
"""Bytes that are written before they are synced to the disk, in a thread."""
_HASHED = 4 << 20
"""Bytes that are final before they are hashed."""


class OutputPart(Protocol):
    """The output in the making: a `PartFile`, or the files of a folder."""

    @property
    def path(self) -> Path:
        """Where it is until it appears."""
        ...

    def reserve(self, size: int) -> None:
        """Allocate `size` bytes in all."""
        ...

    def write(self, at: int, data: bytes | memoryview) -> None:
        """Write all of `data` at an offset."""
        ...

    def read_into(self, buffer: memoryview, at: int) -> int:
        """Read back what was written, as `ReadInto`."""
        ...

    def truncate(self, size: int) -> None:
        """Give back what was allocated beyond `size`."""
        ...

    def sync(self) -> None:
        """Bring to the disk what was written so far; may run beside `write`."""
        ...

    def commit(self) -> None:
        """Make the output appear."""
        ...

    def abort(self) -> None:
        """Remove it; nothing happens after `commit`."""
        ...


@dataclass
class SlotWriter:
    """See `tensorize.core.contracts.Writer`. Writes what a `FilePlan` says, and hashes it along the way.

    Any number of writers may be at work in a process, and in several processes, each with a target and threads of its own;
    `commit` and `abort` end the threads. One writer belongs to one thread at a time.
    """

    plan: FilePlan
    part: OutputPart
    check: Callable[[Path], object]
    _rows: dict[str, int] = field(default_factory=dict)
    _crc: dict[str, int] = field(default_factory=dict)
    _written: dict[str, int] = field(default_factory=dict)
    _hashed: int = 0
    _writes: BackgroundCalls = field(default_factory=lambda: BackgroundCalls("write"))
    _hashes: BackgroundCalls = field(default_factory=lambda: BackgroundCalls("digest"))
    _digest: Any = field(default_factory=hashlib.sha256)
    _syncs: BackgroundCalls = field(default_factory=lambda: BackgroundCalls("sync"))
    _unsynced: int = 0

    @classmethod
    def create(cls, path: Path, plan: FilePlan, check: Callable[[Path], object], *, force: bool = False) -> Self:
        """Reserve the room for a file and write what is known of it. `check(part)` opens the finished file before it appears.

        Raises UsageError if the target exists (unless `force`), RunError if it cannot be written.
        """
        return cls.start(PartFile(path, force=force), plan, check)

    @classmethod
    def start(cls, part: OutputPart, plan: FilePlan, check: Callable[[Path], object]) -> Self:
        """As `create`, for an output that was begun."""
        try:
            part.reserve(plan.size)
            for at, data in plan.early:
                part.write(at, data)
            return cls(plan, part, check, _crc=dict(plan.checksums), _hashed=plan.header)
        except BaseException:
            part.abort()
            raise

    def write(self, key: str, start: int, values: Array) -> None:
        """Write the next rows of a tensor, (row, …). Raises ValueError for rows out of order, or of another shape or dtype.

        They are written in a thread while the next rows are made: `values` must not change any more.
        """
        check_next(self.plan.slots[key].spec, self._rows.get(key, 0), start, values)
        values = np.ascontiguousarray(values)
        data = values.data.cast("B") if values.size else memoryview(b"")
        self._writes.submit(partial(self._put, key, start, values), data)
        self._rows[key] = start + len(values)

    def _put(self, key: str, start: int, values: Array, data: memoryview) -> None:
        for at, piece in self.plan.slots[key].pieces(start, values, self.part.read_into):
            self.part.write(at, piece)
        self._unsynced += len(data)
        if self._unsynced >= _SYNCED:
            self._sync()
        if key in self._crc:
            self._crc[key] = zlib.crc32(data, self._crc[key])
        self._written[key] = start + len(values)
        final = self._final()
        if final - self._hashed >= _HASHED:
            self._hash(self._hashed, final)
            self._hashed = final

    def _sync(self) -> None:
        self._unsynced = 0
        self._syncs.submit(lambda _: self.part.sync(), memoryview(b""))

    @cached_property
    def _late_places(self) -> list[tuple[int, int]]:
        """(offset, bytes) of what is written at commit."""
        return _places(self.plan.late(self.plan.recipe, self.plan.checksums))

    @cached_property
    def _first_late(self) -> int:
        """The first byte after the header that is written at commit."""
        return min((at for at, _ in self._late_places if at >= self.plan.header), default=self.plan.size)

    def _final(self) -> int:
        """Where the bytes end that will not change any more: at the first row that is not written, or the first late byte."""
        finals = (slot.final(self._written.get(key, 0)) for key, slot in self.plan.slots.items())
        return min([self._first_late, *finals])

    def _hash(self, start: int, stop: int) -> None:
        """Hash a range of the file, in a thread."""

        def update(_: memoryview) -> None:
            for data in hashed_bytes(self.part.read_into, start, stop, self.plan.digest_at):
                self._digest.update(data)

        self._hashes.submit(update, memoryview(b""))

    def _finished_digest(self) -> str:
        """The digest of the whole file: what was hashed along the way, then the rest, then the header."""
        self._hash(self._hashed, self.plan.size)
        self._hash(0, self.plan.header)
        self._hashes.finish()
        return str(self._digest.hexdigest())

    def commit(self, recipe: str) -> None:
        """Finish the file, and make it appear.

        Raises ValueError if rows are lacking or the recipe differs from the planned one in more than its numbers; RunError.
        """
        for key, slot in self.plan.slots.items():
            check_complete(slot.spec, self._rows.get(key, 0))
        self._writes.finish()
        self.part.truncate(self.plan.size)
        for at, data in self._late(recipe):
            self.part.write(at, data)
        self._sync()
        digest = self._finished_digest()
        self._syncs.finish()
        self.part.write(self.plan.digest_at, digest.encode())
        self.check(self.part.path)
        self.part.commit()

    def _late(self, recipe: str) -> Sequence[Patch]:
        """What is written at commit, if it lies where the plan said that it would. Raises ValueError."""
        patches = self.plan.late(recipe, self._crc)
        found = _places(patches)
        if found != self._late_places:
            needed, planned = (sum(size for _, size in places) for places in (found, self._late_places))
            raise ValueError(
                f"the recipe takes {needed} bytes where {planned} were laid out: more has changed than its numbers"
            )
        return patches

    def abort(self) -> None:
        """Remove the unfinished file and end the threads; nothing happens after `commit`."""
        self._writes.close()
        self._hashes.close()
        self._syncs.close()
        self.part.abort()


def _places(patches: Sequence[Patch]) -> list[tuple[int, int]]:
    return sorted((at, len(data)) for at, data in patches)
