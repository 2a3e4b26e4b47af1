"""Files that count as one: each begins where the one before it ends. So a folder is written and hashed as a file is."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path

from tensorize.core.errors import DataError
from tensorize.storage.digest import DIGEST_SIZE, changed, digest_of
from tensorize.storage.partfile import allocate, write_all
from tensorize.storage.partfolder import PartFolder


@dataclass(frozen=True)
class Volume:
    """Where the bytes of some files are: `files` are (path inside of the folder, bytes), one after the other.

    >>> volume = Volume((("a", 3), ("b", 0), ("c", 5)))
    >>> volume.find(0), volume.find(3), volume.find(7), volume.start("c")
    ((0, 0), (2, 0), (2, 4), 3)
    """

    files: tuple[tuple[str, int], ...]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(size for _, size in self.files))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._ends[-1] if self.files else 0

    def find(self, at: int) -> tuple[int, int]:
        """(number of the file, offset in it) of an offset."""
        number = bisect_right(self._ends, at)
        return number, at - (self._ends[number - 1] if number else 0)

    def start(self, path: str) -> int:
        """The offset of the first byte of a file. Raises ValueError if there is none of this path."""
        number = [name for name, _ in self.files].index(path)
        return self._ends[number] - self.files[number][1]


@dataclass
class PartVolume:
    """The files of a folder in the making, at the offsets of a volume. See `tensorize.storage.writer.OutputPart`."""

    folder: PartFolder
    files: Sequence[tuple[str, int]]
    _dirty: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def path(self) -> Path:
        """The folder that the files are in."""
        return self.folder.path

    @cached_property
    def _volume(self) -> Volume:
        return Volume(tuple(self.files))

    @contextmanager
    def _opened(self, number: int, flags: int) -> Iterator[int]:
        fd = os.open(self.path / self._volume.files[number][0], flags | os.O_CLOEXEC, 0o666)
        try:
            yield fd
        finally:
            os.close(fd)

    def reserve(self, size: int) -> None:
        """Make every file, and allocate it; `size` is that of the volume."""
        del size
        try:
            for number, (name, length) in enumerate(self._volume.files):
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                with self._opened(number, os.O_RDWR | os.O_CREAT | os.O_EXCL) as fd:
                    allocate(fd, length)
                    os.ftruncate(fd, length)
        except OSError as error:
            self.folder.fail(error)

    def write(self, at: int, data: bytes | memoryview) -> None:
        """Write all of `data` at an offset; all of it lies in one file."""
        if not len(data):
            return
        number, start = self._volume.find(at)
        try:
            with self._opened(number, os.O_WRONLY) as fd:
                write_all(fd, start, data)
        except OSError as error:
            self.folder.fail(error)
        with self._lock:
            self._dirty.add(number)

    def read_into(self, buffer: memoryview, at: int) -> int:
        """Read back what was written at an offset, into a buffer; returns how many bytes of it."""
        return read_volume(self.path, self._volume, buffer, at)

    def truncate(self, size: int) -> None:
        """Nothing is allocated beyond the files."""

    def sync(self) -> None:
        """Bring to the disk what was written so far. It may run beside `write`."""
        with self._lock:
            dirty, self._dirty = self._dirty, set()
        try:
            for number in sorted(dirty):
                with self._opened(number, os.O_WRONLY) as fd:
                    getattr(os, "fdatasync", os.fsync)(fd)
        except OSError as error:
            raise self.folder.failed(error) from error

    def commit(self) -> None:
        """Sync everything, and make the folder appear."""
        try:
            for number in range(len(self._volume.files)):
                with self._opened(number, os.O_WRONLY) as fd:
                    os.fsync(fd)
        except OSError as error:
            self.folder.fail(error)
        self.folder.commit()

    def abort(self) -> None:
        """Remove the folder; nothing happens after `commit`."""
        self.folder.abort()


def read_volume(folder: Path, volume: Volume, buffer: memoryview, at: int) -> int:
    """Read from an offset into a buffer, as far as one file goes; returns how many bytes of it. Raises OSError."""
    if at >= volume.size:
        return 0
    number, start = volume.find(at)
    name, size = volume.files[number]
    with (folder / name).open("rb", buffering=0) as file:
        return os.preadv(file.fileno(), [buffer[: size - start]], start)


def check_volume(folder: Path, volume: Volume, digest_at: int) -> None:
    """Raise DataError unless the folder holds these files and no others, and the digest at an offset is theirs."""
    try:
        found = dict(list_files(folder))
        if found != dict(volume.files):
            raise changed(folder)
        read = partial(read_volume, folder, volume)
        said = memoryview(bytearray(DIGEST_SIZE))
        read(said, digest_at)
        if digest_of(read, volume.size, digest_at).encode() != bytes(said):
            raise changed(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from None


def list_files(folder: Path) -> Iterator[tuple[str, int]]:
    """(path inside of the folder, bytes) of every file in it. Raises OSError."""
    for root, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            path = Path(root, name)
            yield path.relative_to(folder).as_posix(), path.lstat().st_size


def _raise(error: OSError) -> None:
    raise error
