"""The engine of one process: threads, and scratch in memory and nameless files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tensorize.core.contracts import ScratchStore
from tensorize.core.threads import ordered_map
from tensorize.engine.scratch import LocalStore

T = TypeVar("T")
U = TypeVar("U")


class ThreadEngine:
    """See `tensorize.core.contracts.Engine`. NumPy, Arrow and the image decoders release the GIL.

    >>> list(ThreadEngine(2).map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """

    def __init__(self, workers: int = 1, scratch: Path | None = None) -> None:
        self.workers = workers
        self._store = LocalStore(scratch)
        self.store: ScratchStore = self._store

    def map(self, function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
        """Yield `function(item)` in the order of the items; at most `workers + 1` results wait."""
        return ordered_map(function, items, self.workers)

    def keep(self, function: Callable[[T], tuple[U, Any]], items: Iterable[T]) -> Iterator[tuple[U, Any]]:
        """As `map` over a function that returns (facts, value); the values are stored in the order of the items."""
        for facts, value in self.map(function, items):
            yield facts, self.store.keep(value)

    def notes(self) -> tuple[str, ...]:
        """Nothing happens to threads."""
        return ()

    def close(self) -> None:
        """Give scratch back. Safe to call twice."""
        self._store.close()
