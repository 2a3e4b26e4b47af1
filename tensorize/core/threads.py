"""An ordered map over threads: results come in the order of the items, with a bounded look-ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ordered_map(
    function: Callable[[T], U], items: Iterable[T], threads: int, interrupt: Callable[[], None] | None = None
) -> Iterator[U]:
    """Yield `function(item)` for each item, in order; at most `threads + 1` results wait at a time.

    The first error is raised at its place in the order, and what is still waiting is dropped. After Ctrl-C `interrupt` is
    called, so that the calls that are under way can be ended instead of waited for.

    >>> list(ordered_map(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    if threads <= 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tensorize")
    waiting: deque[Future[U]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except KeyboardInterrupt:
        if interrupt is not None:
            interrupt()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
