"""Gather statistics over blocks, in block order, in as many passes as they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tensorize.types import Statistic

K = TypeVar("K")


def gather(wanted: Mapping[K, Statistic], blocks: Callable[[], Iterable[Mapping[K, Any]]]) -> dict[K, Statistic]:
    """Return the finished statistics.

    `blocks()` starts a pass: it yields, for each block of at most `BLOCK_ROWS` source rows, the train values of each
    key; a key that is absent has no values in that block.
    """
    finished: dict[K, Statistic] = {}
    open_: dict[K, Statistic] = dict(wanted)
    while open_:
        for block in blocks():
            seen = {key: statistic.update(block[key]) for key, statistic in open_.items() if key in block}
            open_ |= seen
        finished.update(open_)
        open_ = {key: more for key, statistic in open_.items() if (more := statistic.again()) is not None}
    return finished
