"""Work that runs behind whoever asks for it: in a thread of its own, in order, and never far behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

WAITING_BYTES = 16 << 20


class Behind:
    """Calls over bytes, which must not change any more. Once one has failed, those after it are not made.

    >>> found = []
    >>> behind = Behind("example")
    >>> behind.ask(found.append, memoryview(b"abc"))
    >>> behind.finish()
    >>> bytes(found[0])
    b'abc'
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"tensorize-{name}")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0
        self._failed = False

    def ask(self, function: Callable[[memoryview], object], data: memoryview) -> None:
        """Let `function(data)` be called. It waits while 16 MB are waiting; raises what an earlier call has raised."""
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
        """Drop what waits, and end the thread once the call it is in has returned."""
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
