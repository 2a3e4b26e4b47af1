"""A file that is written from front to back by an encoder, and hashed along the way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tensorize.storage.background import BackgroundCalls
from tensorize.storage.digest import DIGEST_SIZE, NO_DIGEST, hashed_bytes
from tensorize.storage.partfile import PartFile

_HELD = 1 << 20
"""Bytes that are gathered before they are written."""
_SYNCED = 64 << 20
"""Bytes that are written before they are synced to the disk, in a thread."""


@dataclass
class HashedOutput:
    """Appends to a part file. It belongs to one thread at a time; hashing and syncing have threads of their own.

    The digest is the SHA-256 of `bytes[header:] + bytes[:header]`, with its own 64 bytes read as zeros: what
    `check_digest(path, at, header)` checks.
    """

    part: PartFile
    header: int = 0
    """Bytes at the beginning that are left free for what is known last; they are hashed last."""
    _at: int = 0
    """Bytes that were written, those that are held not counted."""
    _held: bytearray = field(default_factory=bytearray)
    _synced: int = 0
    _digest_at: int | None = None
    _digest: Any = field(default_factory=hashlib.sha256)
    _hashes: BackgroundCalls = field(default_factory=lambda: BackgroundCalls("digest"))
    _syncs: BackgroundCalls = field(default_factory=lambda: BackgroundCalls("sync"))

    def __post_init__(self) -> None:
        self._at = self._synced = self.header

    def tell(self) -> int:
        """The offset in the file of the next byte."""
        return self._at + len(self._held)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises RunError where the file cannot be written."""
        view = memoryview(data).cast("B")
        if len(self._held) + len(view) < _HELD:
            self._held += view
            return
        self._flush()
        if len(view) < _HELD:
            self._held += view
        else:
            self._append(bytes(view))

    def write_digest(self) -> None:
        """Append the 64 bytes that will hold the digest. Call it once, unless the header holds it."""
        self._flush()
        self._digest_at = self._at
        self._append(NO_DIGEST, hashed=bytes(DIGEST_SIZE))

    def _flush(self) -> None:
        held, self._held = self._held, bytearray()
        if held:
            self._append(bytes(held))

    def _append(self, data: bytes, hashed: bytes | None = None) -> None:
        self.part.write(self._at, data)
        self._at += len(data)
        self._hashes.submit(self._digest.update, memoryview(data if hashed is None else hashed))
        if self._at - self._synced >= _SYNCED:
            self._synced = self._at
            self._syncs.submit(lambda _: self.part.sync(), memoryview(b""))

    def finish(self, header: bytes) -> None:
        """Write the header, cut the file to its length, and put the digest in its place.

        A header that holds `NO_DIGEST` is the place for the digest. Raises ValueError for a header of another length than
        was left free, or if there is no place for the digest.
        """
        self._flush()
        if len(header) != self.header:
            raise ValueError(f"a header of {len(header)} bytes where {self.header} were left free")
        at = header.index(NO_DIGEST) if self._digest_at is None else self._digest_at
        self.part.truncate(self._at)
        self.part.write(0, header)
        self._hashes.submit(partial(self._hash_header, at), memoryview(b""))
        self._hashes.finish()
        self._syncs.finish()
        self.part.write(at, str(self._digest.hexdigest()).encode())

    def _hash_header(self, at: int, _: memoryview) -> None:
        for data in hashed_bytes(self.part.read_into, 0, self.header, at):
            self._digest.update(data)

    def close(self) -> None:
        """End the threads."""
        for calls in (self._hashes, self._syncs):
            calls.close()
