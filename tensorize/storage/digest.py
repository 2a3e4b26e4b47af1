"""The digest of a file of ours: a SHA-256 of the whole of it, with the 64 bytes that hold the digest taken as zeros."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from tensorize.core.errors import DataError

DIGEST_SIZE = 64
"""A SHA-256 in hexadecimal."""
_READ_BYTES = 4 << 20


def digest(fd: int, size: int, at: int) -> str:
    """The SHA-256 of a file of `size` bytes, with the slot of 64 bytes at `at` taken as zeros."""
    found = hashlib.sha256()
    for _, data in pieces(fd, 0, size, at):
        found.update(data)
    return found.hexdigest()


def pieces(fd: int, start: int, stop: int, digest_at: int) -> Iterator[tuple[int, memoryview]]:
    """Yield (offset, bytes) of a stretch of the file, the slot of the digest as zeros; they hold until the next are taken."""
    at, held = start, memoryview(bytearray(min(_READ_BYTES, stop - start)))
    while at < stop:
        data = held[: os.preadv(fd, [held[: stop - at]], at)]
        if not data:
            return
        first, last = max(digest_at, at), min(digest_at + DIGEST_SIZE, at + len(data))
        if first < last:
            data[first - at : last - at] = bytes(last - first)
        yield at, data
        at += len(data)


def check_digest(path: Path, at: int) -> None:
    """Raise DataError where the digest at `at` is not that of the file, or the file cannot be read."""
    try:
        with path.open("rb") as file:
            said = os.pread(file.fileno(), DIGEST_SIZE, at)
            found = digest(file.fileno(), os.fstat(file.fileno()).st_size, at).encode()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if found != said:
        raise changed(path)


def check_end(path: Path) -> None:
    """`check_digest` for a file whose end is its digest."""
    size = path.stat().st_size
    if size < DIGEST_SIZE:
        raise DataError(f"{path} was not written by tensorize, or it was cut off")
    check_digest(path, size - DIGEST_SIZE)


def changed(path: Path) -> DataError:
    """The error for a file whose digest does not fit."""
    return DataError(f"{path} has changed since it was written: its SHA-256 does not fit", hint="make it again from the source")
