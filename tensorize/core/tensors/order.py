"""The order in which a pass goes through samples: any stretch of it, without the rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from tensorize.core.layout import Array

Shuffle = bool | Literal["block"]
BLOCK, WINDOW = 256, 32
"""Rows that stay together until they are mixed, and blocks that are mixed with one another: 8,192 rows."""


class PassOrder(Protocol):
    """All rows of a set, each once."""

    def rows(self, start: int, stop: int) -> Array | slice:
        """The rows at the places `start:stop` of the order: int64 positions (row), or a slice of the set."""
        ...


def order_of(count: int, shuffle: Shuffle, seed: int, number: int) -> PassOrder:
    """The order of one pass over `count` rows: the same for the same seed and number of the pass.

    >>> order_of(5, False, 0, 1).rows(1, 3)
    slice(1, 3, None)
    >>> sorted(order_of(1000, "block", 0, 1).rows(0, 1000).tolist()) == list(range(1000))
    True
    """
    if shuffle == "block":
        return BlockOrder(count, seed, number)
    return ShuffledOrder(count, seed, number) if shuffle else FileOrder()


@dataclass(frozen=True)
class FileOrder:
    """The order in which the samples lie."""

    def rows(self, start: int, stop: int) -> slice:
        """See `PassOrder.rows`."""
        return slice(start, stop)


@dataclass(frozen=True)
class ShuffledOrder:
    """Every order is as likely as any other. Takes 8 bytes for each row."""

    count: int
    seed: int
    number: int

    @cached_property
    def _order(self) -> Array:
        return np.random.default_rng([self.seed, self.number]).permutation(self.count)

    def rows(self, start: int, stop: int) -> Array:
        """See `PassOrder.rows`."""
        return self._order[start:stop]


@dataclass
class BlockOrder:
    """Blocks of 256 neighbours in a random order, and the rows of 32 such blocks mixed with one another.

    Memory is bounded: 8 bytes for each block, and the 8,192 rows that are mixed. Neighbours in the set stay near to one
    another, so that what is read at a time is in a few places.
    """

    count: int
    seed: int
    number: int
    _held: tuple[int, Array | None] = (-1, None)
    """The window that was asked for last."""

    @cached_property
    def _blocks(self) -> Array:
        return np.random.default_rng([self.seed, self.number]).permutation(-(-self.count // BLOCK))

    @cached_property
    def _edges(self) -> Array:
        """Where the windows begin and end in the order: the one that has the last block may be shorter."""
        sizes = np.full(len(self._blocks), BLOCK)
        sizes[self._blocks == len(self._blocks) - 1] -= len(self._blocks) * BLOCK - self.count
        ends = np.cumsum(sizes)
        return np.concatenate([[0], ends[WINDOW - 1 : -1 : WINDOW], ends[-1:]])

    def rows(self, start: int, stop: int) -> Array:
        """See `PassOrder.rows`."""
        if stop <= start:
            return np.empty(0, np.int64)
        first, last = np.searchsorted(self._edges, [start, stop - 1], side="right") - 1
        found = np.concatenate([self._window(number) for number in range(int(first), int(last) + 1)])
        at = int(self._edges[first])
        return found[start - at : stop - at]

    def _window(self, number: int) -> Array:
        """The rows of a window, mixed."""
        at, mixed = self._held
        if at != number or mixed is None:
            blocks = self._blocks[number * WINDOW : (number + 1) * WINDOW]
            rows = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
            mixed = np.random.default_rng([self.seed, self.number, number]).permutation(rows[rows < self.count])
            self._held = (number, mixed)
        return mixed
