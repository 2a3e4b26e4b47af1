"""The digest of a file: the SHA-256 of the whole of it, with the 64 bytes that hold the digest read as zeros.

SHA-256 is sequential, so a byte can be hashed while a file is written only if every byte before it is final. A format whose
header comes first, and holds a recipe that is known last, would have to hash everything at the end. Such a format says how
long its header is, and the header is hashed after the rest: `bytes[header:] + bytes[:header]`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tensorize.core.errors import DataError

DIGEST_SIZE = 64
"""A SHA-256 in hexadecimal."""
NO_DIGEST = b"0" * DIGEST_SIZE
"""What stands in the place of a digest until it is known."""
_READ_BYTES = 4 << 20
ReadInto = Callable[[memoryview, int], int]
"""`read(buffer, offset)`: fills a buffer from an offset, as far as one call goes; the bytes that were read, 0 at the end."""


def digest(fd: int, size: int, at: int, header: int = 0) -> str:
    """The digest of a file of `size` bytes whose digest lies at `at`, and whose first `header` bytes are hashed last."""
    return digest_of(lambda buffer, start: os.preadv(fd, [buffer], start), size, at, header)


def digest_of(read: ReadInto, size: int, at: int, header: int = 0) -> str:
    """As `digest`, of what `read` gives."""
    found = hashlib.sha256()
    for start, stop in ((header, size), (0, header)):
        for data in hashed_bytes(read, start, stop, at):
            found.update(data)
    return found.hexdigest()


def hashed_bytes(read: ReadInto, start: int, stop: int, digest_at: int) -> Iterator[memoryview]:
    """Yield the bytes from `start` to `stop` as they are hashed; each view is valid until the next is taken."""
    at, held = start, memoryview(bytearray(min(_READ_BYTES, stop - start)))
    while at < stop:
        data = held[: read(held[: stop - at], at)]
        if not data:
            return
        first, last = max(digest_at, at), min(digest_at + DIGEST_SIZE, at + len(data))
        if first < last:
            data[first - at : last - at] = bytes(last - first)
        yield data
        at += len(data)


def check_digest(path: Path, at: int, header: int = 0) -> None:
    """Raise DataError if the digest at `at` is not that of the file, or the file cannot be read."""
    try:
        with path.open("rb") as file:
            said = os.pread(file.fileno(), DIGEST_SIZE, at)
            found = digest(file.fileno(), os.fstat(file.fileno()).st_size, at, header).encode()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if found != said:
        raise changed(path)


def check_end(path: Path) -> None:
    """`check_digest` for a file that ends with its digest."""
    size = path.stat().st_size
    if size < DIGEST_SIZE:
        raise DataError(f"{path} was not written by tensorize, or it was cut off")
    check_digest(path, size - DIGEST_SIZE)


def changed(path: Path) -> DataError:
    """The error for a file whose digest does not fit."""
    return DataError(f"{path} has changed since it was written: its SHA-256 does not fit", hint="make it again from the source")
