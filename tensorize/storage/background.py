"""Calls over bytes in a thread of their own: in order, and with a bounded number of bytes waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

WAITING_BYTES = 16 << 20


class BackgroundCalls:
    """Calls over bytes, which must not change any more. After one has failed, the later ones are skipped.

    >>> found = []
    >>> calls = BackgroundCalls("example")
    >>> calls.submit(found.append, memoryview(b"abc"))
    >>> calls.finish()
    >>> bytes(found[0])
    b'abc'
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"tensorize-{name}")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0
        self._failed = False

    def submit(self, function: Callable[[memoryview], object], data: memoryview) -> None:
        """Have `function(data)` called. Blocks while more than 16 MB wait; raises what an earlier call has raised."""
        self._waiting.append((self._pool.submit(self._call, function, data), len(data)))
        self._bytes += len(data)
        while self._bytes > WAITING_BYTES:
            self._take()

    def finish(self) -> None:
        """Wait for every call, and end the thread. Raises what one of them has raised."""
        while self._waiting:
            self._take()
        self.close()

    def close(self) -> None:
        """Drop the calls that wait, and end the thread once the current call has returned."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _take(self) -> None:
        future, size = self._waiting.popleft()
        self._bytes -= size
        future.result()

    def _call(self, function: Callable[[memoryview], object], data: memoryview) -> None:
        if self._failed:
            return
        try:
            function(data)
        except BaseException:
            self._failed = True
            raise
