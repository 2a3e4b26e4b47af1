"""Tensors whose rows lie in several stores, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from tensorize.core.layout import Array, Store


@dataclass(frozen=True)
class Joined:
    """One tensor: `stores` hold `rows` of it each, all under its own key."""

    key: str
    stores: Sequence[Store]
    rows: Sequence[int]

    @cached_property
    def _ends(self) -> Array:
        return np.fromiter(accumulate(self.rows), np.int64, len(self.rows))

    def _check(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= sum(self.rows):
            raise IndexError(f"{self.key} has {sum(self.rows)} rows, not {start} to {stop}")

    def read(self, start: int, stop: int) -> Array:
        """See `Store.read`."""
        if len(self.stores) == 1:
            return self.stores[0].read(self.key, start, stop)
        self._check(start, stop)
        firsts, found = self._ends - np.array(self.rows), []
        for store, first, end in zip(self.stores, firsts.tolist(), self._ends.tolist(), strict=True):
            if start < end and first < stop:
                found.append(store.read(self.key, max(start - first, 0), min(stop, end) - first))
        return np.concatenate(found) if found else self.stores[0].read(self.key, 0, 0)

    def take(self, rows: Array) -> Array:
        """See `Store.take`."""
        if len(self.stores) == 1:
            return self.stores[0].take(self.key, rows)
        out = self.read(0, 0)
        if not len(rows):
            return out
        self._check(int(rows.min()), int(rows.max()) + 1)
        out = np.empty((len(rows), *out.shape[1:]), dtype=out.dtype)
        for store, which, inside in self._shared_out(rows):
            out[which] = store.take(self.key, inside)
        return out

    def expect(self, rows: Array) -> None:
        """See `Store.expect`."""
        for store, _, inside in self._shared_out(rows):
            store.expect(self.key, inside)

    def _shared_out(self, rows: Array) -> list[tuple[Store, Array, Array]]:
        """(store, which of the rows it has, and their positions in it), for each store that is asked."""
        number = np.searchsorted(self._ends, rows, side="right")
        firsts = self._ends - np.array(self.rows)
        asked = [(at, np.flatnonzero(number == at)) for at in np.unique(number).tolist()]
        return [(self.stores[at], which, rows[which] - firsts[at]) for at, which in asked]


class JoinedStore:
    """Reads tensors of which each may lie in several stores. Safe to pickle, to fork and to spawn where they are."""

    def __init__(self, tensors: Mapping[str, Joined]) -> None:
        self._tensors = dict(tensors)

    def read(self, key: str, start: int, stop: int) -> Array:
        """See `Store.read`."""
        return self._tensors[key].read(start, stop)

    def take(self, key: str, rows: Array) -> Array:
        """See `Store.take`."""
        return self._tensors[key].take(rows)

    def expect(self, key: str, rows: Array) -> None:
        """See `Store.expect`."""
        self._tensors[key].expect(rows)

    def close(self) -> None:
        """Close every file. Safe to call twice."""
        for tensor in self._tensors.values():
            for store in tensor.stores:
                store.close()
