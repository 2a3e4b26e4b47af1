"""A TensorSet as what `torch.utils.data` understands: rows by number, or ready batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from tensorize.core.errors import UsageError
from tensorize.core.layout import Array, Batched, Named
from tensorize.core.threads import ordered_map

AHEAD = 4
"""Batches announced to the file before they are read."""

Sample = tuple[Named, Named] | tuple[Named]
Batch = tuple[Named, Named | None]


class TensorSetDataset(Dataset[Sample]):
    """Yields (input, target) of one row, or (input,) where there is no target; each a tensor, or a dict of several by name."""

    def __init__(self, tensors: Batched) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return self.tensors.rows

    def __getitem__(self, row: int) -> Sample:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self.__getitems__([row % len(self)])[0]

    def __getitems__(self, rows: list[int]) -> list[Sample]:
        inputs, target = self.tensors.batch(np.asarray(rows, dtype=np.int64))
        if target is None:
            return [(item,) for item in _samples(inputs)]
        return list(zip(_samples(inputs), _samples(target), strict=True))


def _samples(batch: Named) -> list[Named]:
    """A batch, row by row."""
    if not isinstance(batch, Mapping):
        return list(batch)
    return [dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True)]


def batches_of(tensors: Batched, wanted: Iterable[Array | slice], device: Any, threads: int = 2) -> Iterator[Batch]:
    """Yield (input, target) of each item of `wanted`, positions of rows or a slice of them, read and expanded in threads."""
    return ordered_map(lambda rows: tensors.batch(rows, device), _announced(tensors, wanted), threads)


def _announced(tensors: Batched, wanted: Iterable[Array | slice]) -> Iterator[Array | slice]:
    """The same, `AHEAD` later: rows in no order are announced to the store before they are asked for."""
    waiting: deque[Array | slice] = deque()
    for rows in wanted:
        if not isinstance(rows, slice):
            tensors.expect(rows)
        waiting.append(rows)
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    yield from waiting


class Batches(IterableDataset[Any]):
    """See `TensorSet.batches`. Several workers of a `DataLoader` share the batches out among themselves."""

    def __init__(self, tensors: Batched, batch_size: int, device: Any, *, shuffle: bool, seed: int, drop_last: bool) -> None:
        if batch_size < 1:
            raise UsageError(f"a batch of {batch_size} rows is none")
        self._tensors, self._size, self._device = tensors, batch_size, device
        self._shuffle, self._seed, self._drop_last = shuffle, seed, drop_last
        self._epoch = 0

    def __len__(self) -> int:
        """The number of batches."""
        rows = self._tensors.rows
        return rows // self._size if self._drop_last else -(-rows // self._size)

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        order = self._order(worker.seed - worker.id if worker is not None else None)
        wanted = (self._rows(order, index) for index in range(first, len(self), step))
        yield from batches_of(self._tensors, wanted, self._device, 1 if worker is not None else 2)

    def _order(self, of_workers: int | None) -> Array | None:
        """All rows in the order of this pass; None for the order of the file.

        Workers are started anew for each pass: they go by the seed that the `DataLoader` draws for it from torch.
        """
        if not self._shuffle:
            return None
        self._epoch += 1
        this_pass = self._epoch if of_workers is None else of_workers
        return np.random.default_rng([self._seed, this_pass]).permutation(self._tensors.rows)

    def _rows(self, order: Array | None, index: int) -> Array | slice:
        at = slice(index * self._size, min((index + 1) * self._size, self._tensors.rows))
        return at if order is None else order[at]
