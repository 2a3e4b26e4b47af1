"""A file that appears whole or not at all: written beside its place, synced, then renamed.

The part file `.NAME.part` is held by flock for as long as it is written. Locked means that another run is writing it;
unlocked means that it is stale, left by a run that was killed, and may be overwritten.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tensorize.core.errors import RunError, UsageError

_ERRNO = re.compile(r"errno = (\d+)")
"""How HDF5 tells, in the words of another error, what the system said."""

SPARE = 1 << 20
"""Allocated beyond what is known to be needed, for the metadata that a format appends."""


class PartFile:
    """The file in the making. `commit` is the only moment at which the target changes.

    Raises UsageError where the target exists (unless `force`), RunError where the folder cannot be written, the disk
    is full, or another run writes to the same target.
    """

    def __init__(self, target: Path, *, force: bool = False) -> None:
        check_name(target)
        self.target, self._force = target, force
        self.path = target.with_name(f".{target.name}.part")
        if target.exists() and not force:
            raise exists(target)
        try:
            self.fd = _locked(self.path)
        except BlockingIOError:
            raise RunError(f"another run is writing {target}", hint="wait for it, or name another file") from None
        except OSError as error:
            raise self.failed(error) from error
        self._open = True

    def failed(self, error: OSError) -> RunError:
        """The error for a call of the system that failed: the target and the cause."""
        return failed_call(self.target, error)

    def told(self, error: BaseException) -> BaseException:
        """What a library raised while it laid the file out, as a RunError where the system is to blame."""
        cause: BaseException | None = error
        while cause is not None and not isinstance(error, RunError):
            if isinstance(cause, OSError):
                return self.failed(cause)
            if isinstance(cause, RuntimeError) and (match := _ERRNO.search(str(cause))):
                number = int(match[1])
                return self.failed(OSError(number, os.strerror(number)))
            cause = cause.__context__
        return error

    def reserve(self, size: int) -> None:
        """Allocate `size` bytes and some more, so that a full disk is an error before the first row."""
        try:
            allocate(self.fd, size + SPARE)
        except OSError as error:
            self._fail(error)
        self.truncate(size)

    def truncate(self, size: int) -> None:
        """Set the length of the file; what was allocated beyond it is given back."""
        try:
            os.ftruncate(self.fd, size)
        except OSError as error:
            self._fail(error)

    def write(self, at: int, data: bytes | memoryview) -> None:
        """Write all of `data` at an offset."""
        try:
            write_all(self.fd, at, data)
        except OSError as error:
            self._fail(error)

    def sync(self) -> None:
        """Bring to the disk what was written so far, so that there is little left to wait for in `commit`.

        It may run beside `write`: where it fails it leaves the file open, so that no write meets a descriptor of others.
        """
        try:
            getattr(os, "fdatasync", os.fsync)(self.fd)
        except OSError as error:
            raise self.failed(error) from error

    def read_into(self, buffer: memoryview, at: int) -> int:
        """Read back what was written at an offset, into a buffer; returns how many bytes of it."""
        return os.preadv(self.fd, [buffer], at)

    def commit(self) -> None:
        """Sync, rename, and sync the folder. Without `force` a target that has appeared meanwhile is left alone."""
        try:
            os.fsync(self.fd)
            if self._force:
                os.replace(self.path, self.target)
            else:
                self._take_place()
            sync_folder(self.target.parent)
        except FileExistsError:
            raise exists(self.target) from None
        except OSError as error:
            self._fail(error)
        self._close()

    def _take_place(self) -> None:
        """Get the name of the target unless it is taken; where there are no hard links, by a look and a rename."""
        try:
            os.link(self.path, self.target)
        except FileExistsError:
            raise
        except OSError:
            if self.target.exists():
                raise FileExistsError(self.target) from None
            os.replace(self.path, self.target)
        else:
            os.unlink(self.path)

    def abort(self) -> None:
        """Remove the part file; nothing happens after `commit`."""
        if self._open:
            with suppress(OSError):
                os.unlink(self.path)
            self._close()

    def _close(self) -> None:
        self._open = False
        with suppress(OSError):
            os.close(self.fd)

    def _fail(self, error: OSError) -> NoReturn:
        self.abort()
        raise self.failed(error) from error


def check_name(target: Path) -> None:
    """Raise UsageError for a name that a command takes for something else than a file."""
    if str(target) == "-":
        raise UsageError("a file named - would be taken for standard output", hint="name another file")


def failed_call(target: Path, error: OSError) -> RunError:
    """The error for a call of the system that failed: the target and the cause."""
    hint = "make room, or write elsewhere" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
    said = os.strerror(error.errno) if error.errno else str(error)
    return RunError(f"{target} cannot be written: {said}", hint=hint)


def allocate(fd: int, size: int) -> None:
    """Take room for the first `size` bytes of a file, where the system can. Raises OSError if there is none."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def write_all(fd: int, at: int, data: bytes | memoryview) -> None:
    """Write all of `data` at an offset of a file. Raises OSError."""
    view = memoryview(data).cast("B")
    while len(view):
        count = os.pwrite(fd, view, at)
        view, at = view[count:], at + count


def exists(target: Path) -> UsageError:
    """The error for a target that is there already."""
    return UsageError(f"{target} exists", hint="say --force to replace it, or name another file with -o")


def _locked(path: Path) -> int:
    """Open and lock the part file, empty. A rival may have removed it in between: then once more."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(fd), path.stat()):
                os.ftruncate(fd, 0)
                return fd
        except BlockingIOError:
            os.close(fd)
            raise
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            os.close(fd)
            raise
        os.close(fd)


def sync_folder(folder: Path) -> None:
    """Bring to the disk which names are in a folder. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
