"""A file elsewhere as a stream, whose next ranges are fetched while one is used, and as a file to be read anywhere."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from tensorize.sources.places.retries import Patience, filled

SMALL, LARGE = 1 << 20, 4 << 20
"""Bytes of the first range that is fetched alone, and of those that are fetched ahead."""
THREADS = 4


class Session(Protocol):
    """What reads one file elsewhere, for one thread at a time."""

    def read(self, start: int, buffer: memoryview, patience: Patience) -> int:
        """Read a range once; return how many bytes came.

        Raises MayPassError for what may pass, DataError where the file is not what it was.
        """
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class Remote(Protocol):
    """A file elsewhere as it was when it was found. Picklable."""

    @property
    def name(self) -> str:
        """What messages call it: nothing secret is in it."""
        ...

    @property
    def size(self) -> int:
        """Bytes as stored."""
        ...

    @property
    def timeout(self) -> float:
        """Seconds that it may send nothing."""
        ...

    @property
    def first(self) -> bytes:
        """Its beginning, as far as that came when it was found."""
        ...

    def session(self) -> Session:
        """What reads it."""
        ...

    def check(self) -> None:
        """Raise DataError if it is not what it was."""
        ...


class _Sessions:
    """The sessions of one file that are not in use."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._free: SimpleQueue[Session] = SimpleQueue()

    def read(self, start: int, count: int) -> bytes:
        """A range, whole. Raises DataError if the file has changed, RunError where it does not come in time."""
        try:
            session = self._free.get_nowait()
        except Empty:
            session = self._remote.session()
        try:
            return filled(
                self._remote.name,
                self._remote.timeout,
                count,
                lambda done, view, patience: session.read(start + done, view, patience),
            )
        finally:
            self._free.put(session)

    def close(self) -> None:
        while True:
            try:
                self._free.get_nowait().close()
            except Empty:
                return


class RemoteStream(io.RawIOBase):
    """A file elsewhere from its start to its end. Several ranges are fetched at once, after the first."""

    def __init__(self, remote: Remote) -> None:
        super().__init__()
        self._remote, self._sessions = remote, _Sessions(remote)
        self._pool: ThreadPoolExecutor | None = None
        self._coming = self._pieces()
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer what is there, at least a byte before the end."""
        if not self._piece:
            self._piece = memoryview(next(self._coming, b""))
        count = min(len(buffer), len(self._piece))
        buffer[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def close(self) -> None:
        """Stop what is being fetched."""
        if self.closed:
            return
        self._coming.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._sessions.close()
        super().close()

    def _pieces(self) -> Generator[bytes, None, None]:
        remote, at = self._remote, len(self._remote.first)
        if at:
            yield remote.first
        if at < remote.size:
            count = min(SMALL, remote.size - at)
            yield self._sessions.read(at, count)
            at += count
        if at >= remote.size:
            return
        self._pool = ThreadPoolExecutor(THREADS, "tensorize-fetch")
        ranges = ((start, min(LARGE, remote.size - start)) for start in range(at, remote.size, LARGE))
        ahead: deque[Future[bytes]] = deque()
        for start, count in ranges:
            ahead.append(self._pool.submit(self._sessions.read, start, count))
            if len(ahead) > THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


class RemoteFile(io.RawIOBase):
    """A file elsewhere to be read anywhere: small reads come from a range around them, large ones in several at once."""

    def __init__(self, remote: Remote) -> None:
        super().__init__()
        self._remote, self._sessions = remote, _Sessions(remote)
        self._at, self._held_at, self._held = 0, 0, remote.first

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._remote.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read as many bytes as the buffer holds, fewer only at the end. Raises DataError if the file has changed."""
        count = max(0, min(len(buffer), self._remote.size - self._at))
        buffer[:count] = self._range(self._at, count)
        self._at += count
        return count

    def close(self) -> None:
        """Close its connections."""
        if not self.closed:
            self._sessions.close()
        super().close()

    def _range(self, start: int, count: int) -> bytes:
        if not (self._held_at <= start and start + count <= self._held_at + len(self._held)):
            if count >= SMALL:
                return self._large(start, count)
            first = max(0, min(start, self._remote.size - SMALL // 4))
            self._held = self._sessions.read(first, min(max(start + count - first, SMALL // 4), self._remote.size - first))
            self._held_at = first
        at = start - self._held_at
        return self._held[at : at + count]

    def _large(self, start: int, count: int) -> bytes:
        """Pieces of a large range, at once."""
        starts = range(start, start + count, LARGE)
        if len(starts) == 1:
            return self._sessions.read(start, count)
        with ThreadPoolExecutor(THREADS, "tensorize-fetch") as pool:
            return b"".join(pool.map(lambda at: self._sessions.read(at, min(LARGE, start + count - at)), starts))
