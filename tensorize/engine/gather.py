"""Gather statistics over blocks, in block order, in as many passes as they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tensorize.core.contracts import Statistic
from tensorize.core.threads import ordered_map

B = TypeVar("B")


def gather(
    wanted: Mapping[Any, Statistic],
    blocks: Callable[[], Iterable[B]],
    values: Callable[[B, Iterable[Any]], Mapping[Any, Any]],
    threads: int = 1,
) -> dict[Any, Statistic]:
    """Return the finished statistics.

    `blocks()` starts a pass over blocks of at most `BLOCK_ROWS` source rows, and `values(block, keys)` gives the train
    values of each key; a key that is left out has no values there. Blocks are looked at in threads, and what was found
    is merged in their order.
    """
    finished: dict[Any, Statistic] = {}
    open_: dict[Any, Statistic] = dict(wanted)
    while open_:
        empty = {key: statistic.fresh() for key, statistic in open_.items()}

        def look(block: B, empty: Mapping[Any, Statistic] = empty) -> dict[Any, Statistic]:
            return {key: empty[key].update(part) for key, part in values(block, empty).items()}

        for found in ordered_map(look, blocks(), threads):
            for key, statistic in found.items():
                open_[key] = open_[key].merge(statistic)
        finished.update(open_)
        open_ = {key: more for key, statistic in open_.items() if (more := statistic.again()) is not None}
    return finished
