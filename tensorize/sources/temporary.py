"""Temporary folders that are removed with what holds them, as the command ends, or by the next run after a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from tensorize.sources.addresses import COPY_PREFIX

_LOCK = ".lock"
_held: weakref.WeakSet[TemporaryFolder] = weakref.WeakSet()


class TemporaryFolder:
    """A folder for copies, `path`. It is locked for as long as it is used: unlocked means left by a run that was killed."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        _remove_stale(Path(folder or tempfile.gettempdir()))
        self.path = tempfile.mkdtemp(prefix=COPY_PREFIX, dir=folder)
        new = os.path.join(self.path, f"{_LOCK}.new")
        self._lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.rename(new, os.path.join(self.path, _LOCK))  # nobody finds it before it is locked
        self._remover = weakref.finalize(self, _remove, self.path, self._lock)
        _held.add(self)

    def close(self) -> None:
        """Remove it. Safe to call twice."""
        self._remover()


def remove_all() -> None:
    """Remove every folder of this process, for a command that ends without a word to Python."""
    for folder in list(_held):
        folder.close()


def _remove(path: str, lock: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    os.close(lock)


def _remove_stale(parent: Path) -> None:
    """Remove what runs have left that were killed."""
    for path in parent.glob(f"{COPY_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
