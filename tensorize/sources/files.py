"""Where raw bytes are: a path, a glob, an address, a list of them, or `-` for standard input."""

from __future__ import annotations

import codecs
import glob
import io
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, cast

from tensorize.core.errors import DataError, RunError, UsageError, near
from tensorize.core.limits import check_pipe, timeout
from tensorize.sources.addresses import is_address, parse_address
from tensorize.sources.archives import unpacked
from tensorize.sources.beginnings import check_text
from tensorize.sources.changes import RandomFile, Stamp, WatchedFile, source_changed
from tensorize.sources.databases import is_database
from tensorize.sources.folders import data_files, files_below, is_folder, read_in, walked
from tensorize.sources.places.ranges import Remote, RemoteFile, RemoteStream
from tensorize.sources.streams import is_file, open_stream, spooled
from tensorize.sources.temporary import TemporaryFolder

STDIN = "-"
_BUFFER = 128 << 10
_FREE_BYTES = 64 << 20
"""Up to here a compressed file may grow as it likes."""


@dataclass(frozen=True)
class InputFile:
    """One file to be read, as often as needed. `name` is what messages call it: the path as the user gave it.

    What is read more than once must stay as it was: see `WatchedFile`.
    """

    name: str
    path: Path
    _held: IO[bytes] | None = field(default=None, compare=False, repr=False)
    _stamp: Stamp | None = field(default=None, compare=False, repr=False)
    _blocks: dict[int, int] = field(default_factory=dict, compare=False, repr=False)
    _remote: Remote | None = field(default=None, compare=False, repr=False)
    _copies: list[TemporaryFolder] = field(default_factory=list, compare=False, repr=False)
    """What was copied of a file elsewhere for one who needs a path, if anything."""

    @classmethod
    def at(cls, path: Path, name: str) -> InputFile:
        """A file as it is now. A pipe or a device is read once, into a temporary file, since it cannot be read again."""
        try:
            status = path.stat()
            if is_file(path, status, name):
                return cls(name, path, _stamp=Stamp.of(status))
            with open_stream(name, path, status) as stream:
                return cls(name, path, spooled(name, stream))
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}") from error

    @classmethod
    def elsewhere(cls, name: str, inside: Sequence[str] | None = None) -> list[InputFile]:
        """The files that an address names: one of a web server, or the objects of a store, a pattern in sorted order.

        inside: the files to take of a folder of a store, relative to it.

        Raises UsageError for what is not there, RunError for what is refused or does not come in time.
        """
        address = parse_address(name)
        if not address.is_web:
            from tensorize.sources.places.objects import stored_files

            return [cls(found.name, Path(found.name), _remote=found) for found in stored_files(address, inside)]
        from tensorize.sources.places.http import WebFile, open_web

        web = open_web(address, timeout())
        kept, remote = (None, web) if isinstance(web, WebFile) else (web, None)
        return [cls(address.shown, Path(address.shown), kept, _remote=remote)]

    @property
    def size(self) -> int:
        """Bytes as stored (compressed ones, where it is compressed)."""
        if self._remote is not None:
            return self._remote.size
        return self._stamp.size if self._stamp is not None else os.fstat(self._checked.fileno()).st_size

    @property
    def is_remote(self) -> bool:
        """Whether it lies elsewhere, so that each read takes its time."""
        return self._remote is not None

    @property
    def readable(self) -> Path:
        """A path under which any process of ours can open it, also what was kept of a pipe, as long as this one lives.

        Of a file elsewhere, a copy. Raises UsageError for a pipe, or a copy, where the system has no such path.
        """
        if self._remote is not None:
            return self._copy()
        held = self._held
        if held is None:
            return self.path
        path = Path(f"/proc/{os.getpid()}/fd/{held.fileno()}")
        if not path.exists():
            raise UsageError(f"{self.name} cannot be read in pieces on this system", hint="save it to a file first")
        return path

    def _copy(self) -> Path:
        """A copy of a file elsewhere on this machine, made once."""
        if not self._copies:
            check_pipe(self.name, self.size)
            folder = TemporaryFolder()
            with self.stored() as stream, open(os.path.join(folder.path, self.path.name), "wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
            self._copies.append(folder)
        return Path(self._copies[0].path) / self.path.name

    def check(self) -> None:
        """Raise DataError if the file is not what it was, for one who opens its path by himself."""
        if self._remote is not None:
            self._remote.check()
        elif self._stamp is not None:
            try:
                now = Stamp.of(self.path.stat())
            except OSError:
                raise source_changed(self.name) from None
            if now != self._stamp:
                raise source_changed(self.name)

    def __getstate__(self) -> dict[str, Any]:
        """What was kept of a pipe is open in this process alone; others find it under the path that the system gives it."""
        if self._held is None:
            return {**self.__dict__, "_copies": []}
        kept = Path(f"/proc/{os.getpid()}/fd/{self._held.fileno()}")
        there = {"path": kept, "_stamp": Stamp.of(os.fstat(self._held.fileno()))} if kept.exists() else {}
        return {**self.__dict__, "_held": None, **there}

    def head(self, count: int = 16) -> bytes:
        """The first bytes as stored on disk."""
        with io.BufferedReader(self._raw(), max(count, 1)) as raw:
            return raw.read(count) or b""

    def stored(self) -> BinaryIO:
        """Open the bytes as stored, from the start: nothing is decompressed. See `open`."""
        return cast(BinaryIO, io.BufferedReader(self._raw(), _BUFFER))

    def random(self) -> io.RawIOBase:
        """The bytes as stored, to be read anywhere: a seekable binary file of its own.

        Raises DataError here, and after any read, where the file is not what it was.
        """
        if self._remote is not None:
            return RemoteFile(self._remote)
        if self._stamp is None:
            return _Positioned(self._checked)
        try:
            return RandomFile(self.name, self.path, self._stamp)
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error.strerror}") from error

    def open(self) -> BinaryIO:
        """Open for reading, from the start; gzip, zstd, bzip2, xz and ZIP archives of one file are recognised and unpacked.

        Raises DataError for a file of another kind that is known, and, here or as its end is read, where it is not what it was.
        """
        raw = io.BufferedReader(self._raw(), _BUFFER)
        try:
            magic = raw.peek(16)[:16]
            check_text(self.name, self.path, magic)
            inner = unpacked(raw, magic, self.name, self.random)
            if isinstance(inner, io.BufferedReader):
                check_text(self.name, self.path, inner.peek(16)[:16])
        except BaseException:
            raw.close()
            raise
        return cast(BinaryIO, raw) if inner is None else inner

    def _raw(self) -> io.RawIOBase:
        if self._remote is not None:
            return RemoteStream(self._remote)
        if self._stamp is None:
            return _Positioned(self._checked)
        try:
            return WatchedFile(self.name, self.path, self._stamp, self._blocks)
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error.strerror}") from error

    @property
    def _checked(self) -> IO[bytes]:
        assert self._held is not None
        return self._held


class _Positioned(io.RawIOBase):
    """A read position of its own over a file that others read too."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._file.fileno(), len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = max(0, offset + (os.fstat(self._file.fileno()).st_size if start is None else start))
        return self._at


def resolve(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[InputFile]:
    """Return the files of a source: a glob and a folder in sorted order, a list in its own.

    Raises UsageError for what is not there (with the near names of its folder), and for a folder of mixed formats.
    """
    if isinstance(source, list | tuple):
        if not source:
            raise UsageError("no input is named")
        return [file for part in source for file in resolve(part)]
    if not isinstance(source, str | os.PathLike):
        raise UsageError(f"{type(source).__name__} is not a path", hint="give a path, a glob, a folder, or a list of those")
    name = os.fspath(source)
    if name == STDIN:
        return [_stdin()]
    if is_database(name):
        raise UsageError("a database is read by itself, as a table", hint="name it alone: tensorize table ADDRESS --table NAME")
    if is_address(name):
        return _elsewhere(name)
    path = Path(name)
    if path.is_dir():
        inside = data_files(name, walked(name), read_in(name))
        return [InputFile.at(path / part, os.path.join(name, part)) for part in inside]
    if path.exists():
        return [InputFile.at(path, name)]
    matches = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []
    if not matches:
        raise missing_file(path)
    return [InputFile.at(Path(match), match) for match in matches if _is_file(Path(match))]


def _elsewhere(name: str) -> list[InputFile]:
    """What an address names: a file, a pattern, or the data files of a folder in a store."""
    if not is_folder(name):
        return InputFile.elsewhere(name)
    folder = parse_address(name).shown.rstrip("/")

    def read(inside: str) -> bytes:
        (file,) = InputFile.elsewhere(name, [inside])
        return file.head(1 << 20)

    return InputFile.elsewhere(name, data_files(folder, files_below(name), read))


def _is_file(match: Path) -> bool:
    """What a glob means: files, and links that lead nowhere, which are told of; no folder, pipe or device."""
    return match.is_file() or not match.exists()


def _stdin() -> InputFile:
    """Standard input, kept since it is read more than once."""
    return InputFile("<stdin>", Path(STDIN), spooled("<stdin>", sys.stdin.buffer))


def missing_file(path: str | os.PathLike[str]) -> UsageError:
    """The error for a path that does not exist: the near name in its folder, or the folder that is missing."""
    missing = Path(path)
    parent = missing.parent
    if not parent.is_dir():
        return UsageError(f"there is no file {missing}", hint=f"the folder {parent} does not exist")
    names = sorted(entry.name for entry in parent.iterdir())
    hint = (
        f"in {parent}: " + ", ".join(names[:8]) + (f", … and {len(names) - 8} more" if len(names) > 8 else "")
        if names
        else f"the folder {parent} is empty"
    )
    return UsageError(f"there is no file {missing}{near(missing.name, names)}", hint=hint)


class Named(Protocol):
    """What can be read from its start, as often as needed."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def size(self) -> int:
        """Its size in bytes as stored."""
        ...

    def open(self) -> BinaryIO:
        """Open for reading, from the start."""
        ...


def pieces(file: Named, size: int, growth: int) -> Iterator[bytes]:
    """Yield a file's bytes, `size` at a time, decompressed.

    Raises DataError for one that cannot be decompressed, or that grows to more than `growth` times its size.
    """
    done, most = 0, max(_FREE_BYTES, growth * file.size)
    with file.open() as stream:
        while data := _read(stream, file, size):
            done += len(data)
            if done > most:
                raise DataError(
                    f"{file.name} grows to more than {growth} times its size as it is decompressed",
                    hint=f"is it what it should be? Allow more: --max-expansion {growth * 10}",
                )
            yield data


def _read(stream: BinaryIO, file: Named, size: int) -> bytes:
    try:
        return bytes(stream.read(size))
    except RunError:
        raise
    except OSError as error:
        raise DataError(f"{file.name} cannot be read to its end: {error}", hint="is it whole? Fetch it again") from error


def is_utf8(data: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def utf8(given: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield bytes as UTF-8; a byte order mark at their start is left out by `utf-8-sig`.

    Raises UnicodeDecodeError if another encoding does not fit; UTF-8 itself is checked by the parser.
    """
    name = codecs.lookup(encoding).name
    if name in ("utf-8", "utf-8-sig"):
        first = True
        for data in given:
            yield data.removeprefix(codecs.BOM_UTF8) if first and name == "utf-8-sig" else data
            first = False
        return
    decoder = codecs.getincrementaldecoder(name)()
    for data in given:
        yield decoder.decode(data).encode()
    yield decoder.decode(b"", final=True).encode()
