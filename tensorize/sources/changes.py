"""Detects input that changes during a run: the state of a file when first seen, and whether it is still the same.

A run reads some of its input more than once, and reads for a while. Whatever was changed in between would come out as
something that never was, so the run is refused.
"""

from __future__ import annotations

import io
import os
import zlib
from typing import Any, NamedTuple

from tensorize.core.errors import DataError

HEAD_BYTES = 256 << 10
"""The beginning of a file, which is looked at first and read again with the rest: its checksums must stay the same."""

BLOCK_BYTES = 16 << 10


class Stamp(NamedTuple):
    """The state of a file, as far as the file system knows it."""

    device: int
    inode: int
    size: int
    modified: int
    """Nanoseconds."""

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file's status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def source_changed(name: str) -> DataError:
    """The error for a file that is not what it was."""
    return DataError(f"{name} has changed while it was read", hint="run again once nothing writes to it")


class WatchedFile(io.FileIO):
    """A file that must stay as it was: looked at as it is opened, and as its end is reached.

    blocks: checksums of the blocks of its beginning, shared by all readers of one file: where two of them have read the
    same block it must be the same. Raises DataError if the file has changed.
    """

    def __init__(self, name: str, path: str | os.PathLike[str], stamp: Stamp, blocks: dict[int, int]) -> None:
        super().__init__(os.fspath(path), "rb")
        self._called, self._stamp, self._blocks = name, stamp, blocks
        self._at, self._part = 0, bytearray()
        try:
            self._check()
        except DataError:
            self.close()
            raise

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; the bytes are compared with what others have read."""
        count = super().readinto(buffer) or 0
        self._note(memoryview(buffer)[:count])
        if not count and len(buffer):
            self._end()
        return count

    def readall(self) -> bytes:
        """Read to the end, and check that the file is what it was."""
        data = super().readall() or b""
        self._note(memoryview(data))
        self._end()
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """A reader that jumps is not held against others."""
        self._at = HEAD_BYTES
        return super().seek(offset, whence)

    def _note(self, data: memoryview) -> None:
        """Compare every block of the beginning that is complete."""
        if self._at >= HEAD_BYTES:
            return
        self._part += data[: HEAD_BYTES - self._at - len(self._part)]
        while len(self._part) >= BLOCK_BYTES:
            self._compare(self._part[:BLOCK_BYTES])
            del self._part[:BLOCK_BYTES]

    def _end(self) -> None:
        if self._at < HEAD_BYTES and self._part:
            self._compare(self._part)
        self._at = HEAD_BYTES
        self._check()

    def _compare(self, block: bytearray) -> None:
        if self._blocks.setdefault(self._at, zlib.crc32(block)) != zlib.crc32(block):
            raise source_changed(self._called)
        self._at += BLOCK_BYTES

    def _check(self) -> None:
        if Stamp.of(os.fstat(self.fileno())) != self._stamp:
            raise source_changed(self._called)


class RandomFile(io.FileIO):
    """A file to be read anywhere, that must stay as it was: looked at as it is opened, and after every read.

    Raises DataError if the file has changed.
    """

    def __init__(self, name: str, path: str | os.PathLike[str], stamp: Stamp) -> None:
        super().__init__(os.fspath(path), "rb")
        self._called, self._stamp = name, stamp
        try:
            self._check()
        except DataError:
            self.close()
            raise

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes from where one is, or all to the end."""
        data = super().read(-1 if size is None else size) or b""
        self._check()
        return data

    def readall(self) -> bytes:
        """All to the end."""
        return self.read()

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        count = super().readinto(buffer) or 0
        self._check()
        return count

    def _check(self) -> None:
        if Stamp.of(os.fstat(self.fileno())) != self._stamp:
            raise source_changed(self._called)
