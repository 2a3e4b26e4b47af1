"""Gather statistics over blocks, in block order, in as many passes as they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tensorize.core.contracts import Engine, Statistic

B = TypeVar("B")
Values = Callable[[B, Iterable[Any]], Mapping[Any, Any]]
"""`values(block, keys)` gives the train values of each key; a key that is left out has no values in the block."""


@dataclass(frozen=True)
class _Look:
    """One pass over one block: what each statistic sees there."""

    empty: Mapping[Any, Statistic]
    values: Values[Any]

    def __call__(self, block: Any) -> dict[Any, Statistic]:
        return {key: self.empty[key].update(part) for key, part in self.values(block, self.empty).items()}


def gather(
    engine: Engine, wanted: Mapping[Any, Statistic], blocks: Callable[[], Iterable[B]], values: Values[B]
) -> dict[Any, Statistic]:
    """Return the finished statistics.

    `blocks()` starts a pass over blocks of at most `BLOCK_ROWS` source rows, or over what `values` makes such blocks of.
    The engine looks at the blocks, and what it finds is merged in their order. Blocks and `values` can be pickled.
    """
    finished: dict[Any, Statistic] = {}
    unfinished: dict[Any, Statistic] = dict(wanted)
    while unfinished:
        empty = {key: statistic.fresh() for key, statistic in unfinished.items()}
        for found in engine.map(_Look(empty, values), blocks()):
            for key, statistic in found.items():
                unfinished[key] = unfinished[key].merge(statistic)
        finished.update(unfinished)
        unfinished = {key: more for key, statistic in unfinished.items() if (more := statistic.again()) is not None}
    return finished
