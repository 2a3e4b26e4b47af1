"""A folder that appears whole or not at all: written beside its place, synced, then renamed.

The folder in the making `.NAME.part` holds the files under `set`, and `lock`, which is held by flock for as long as it is
written. Locked means that another run is writing it; unlocked means that it is stale, left by a run that was killed, and the
next run to the same target removes it.

A set that is there is replaced (`force`) by exchanging the two names in one call of the system, so that at every moment the
target is the old set or the new one; the old one is then removed from `.NAME.part`. Where the system cannot exchange names,
the old set is moved to `old` in there first, and a run that was killed between the two renames leaves both sets whole in
`.NAME.part`: the next run puts the old one back. A folder that is not a set of ours is never replaced.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tensorize.core.errors import RunError, UsageError, quoted
from tensorize.storage.partfile import check_name, exists, failed_call, sync_folder

_LOCK, _SET, _OLD = "lock", "set", "old"
_NO_REPLACE, _EXCHANGE = 1, 2
"""Flags of renameat2(2)."""
_HERE = -100
"""AT_FDCWD: paths are taken from the current folder."""
_UNABLE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
"""What a system, or a file system, answers that knows none of the flags."""


class PartFolder:
    """The folder in the making: files are made in `path`. `commit` is the only moment at which the target changes.

    `is_ours(folder)` tells whether a folder is a set that `force` may replace.

    Raises UsageError where the target exists (unless `force`) or is a folder of others, RunError where the folder around it
    cannot be written, or another run writes to the same target.
    """

    def __init__(self, target: Path, is_ours: Callable[[Path], bool], *, force: bool = False) -> None:
        check_name(target)
        self.target, self._force, self._is_ours = target, force, is_ours
        self.room = target.with_name(f".{target.name}.part")
        self.path = self.room / _SET
        self._check_target()
        try:
            self._lock = _locked(self.room)
        except BlockingIOError:
            raise RunError(f"another run is writing {target}", hint="wait for it, or name another folder") from None
        except OSError as error:
            raise self.failed(error) from error
        self._open = True
        try:
            self._tidy()
            self._check_target()
            self.path.mkdir()
        except OSError as error:
            self.fail(error)
        except BaseException:
            self.abort()
            raise

    def _check_target(self) -> None:
        """Raise UsageError unless the target is free, or may be replaced."""
        if not os.path.lexists(self.target):
            return
        if not self._force:
            raise exists(self.target)
        if self.target.is_dir() and not self._is_ours(self.target):
            raise UsageError(
                f"{self.target} is a folder that tensorize did not write, or that was changed: it is not replaced",
                hint=f"name another with -o, or remove it first: rm -r {quoted(os.fspath(self.target))}",
            )

    def _tidy(self) -> None:
        """Remove what a killed run left; a set that it had moved away, and not yet replaced, returns to its place."""
        old = self.room / _OLD
        if os.path.lexists(old) and not os.path.lexists(self.target):
            os.rename(old, self.target)
            sync_folder(self.target.parent)
        for stale in (self.path, old):
            _remove(stale)

    def failed(self, error: OSError) -> RunError:
        """The error for a call of the system that failed: the target and the cause."""
        return failed_call(self.target, error)

    def fail(self, error: OSError) -> NoReturn:
        """Remove what was written, and raise the error for a call of the system that failed."""
        self.abort()
        raise self.failed(error) from error

    def commit(self) -> None:
        """Sync the folders, rename, and sync the folder around. The files in it must have been synced.

        Without `force` a target that has appeared meanwhile is left alone.
        """
        try:
            for folder, _, _ in os.walk(self.path, topdown=False):
                sync_folder(Path(folder))
            self._check_target()
            self._take_place()
            sync_folder(self.target.parent)
        except FileExistsError:
            raise exists(self.target) from None
        except OSError as error:
            self.fail(error)
        self._close()

    def _take_place(self) -> None:
        """Get the name of the target. Raises FileExistsError if it is taken, and may not be replaced."""
        if os.path.lexists(self.target):
            self._exchange()
        elif not _renamed(self.path, self.target, _NO_REPLACE):
            if os.path.lexists(self.target):
                raise FileExistsError(self.target)
            os.rename(self.path, self.target)

    def _exchange(self) -> None:
        """Take the place of what is there, which is then removed."""
        if not _renamed(self.path, self.target, _EXCHANGE):
            os.rename(self.target, self.room / _OLD)
            try:
                os.rename(self.path, self.target)
            except OSError:
                os.rename(self.room / _OLD, self.target)
                raise

    def abort(self) -> None:
        """Remove the folder in the making; nothing happens after `commit`."""
        if self._open:
            self._close()

    def _close(self) -> None:
        """Remove what is in `.NAME.part`, the lock last, and give the name back."""
        self._open = False
        with suppress(OSError):
            self._tidy()
            os.unlink(self.room / _LOCK)
            os.rmdir(self.room)
        os.close(self._lock)


def _remove(path: Path) -> None:
    """Remove a file, or a folder and what is in it; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _renamed(source: Path, target: Path, flag: int) -> bool:
    """Rename with a flag of renameat2(2); False where the system does not know it. Raises OSError if it fails."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_HERE, os.fsencode(source), _HERE, os.fsencode(target), flag) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNABLE:
        return False
    raise OSError(code, os.strerror(code), os.fspath(target))


def _locked(room: Path) -> int:
    """Make the folder and lock it. A rival may have removed it in between: then once more."""
    path = room / _LOCK
    while True:
        with suppress(FileExistsError):
            room.mkdir()
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            if room.is_symlink():
                raise
            continue
        except OSError:
            with suppress(OSError):
                room.rmdir()
            raise
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        except BlockingIOError:
            os.close(fd)
            raise
        except BaseException:
            with suppress(OSError):
                path.unlink()
                room.rmdir()
            os.close(fd)
            raise
        os.close(fd)
