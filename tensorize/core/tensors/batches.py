"""A TensorSet as what `torch.utils.data` understands: rows by number, or ready batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from tensorize.core.errors import UsageError
from tensorize.core.layout import Array, Batched, Named
from tensorize.core.tensors.order import PassOrder, Shuffle, order_of
from tensorize.core.threads import ordered_map

AHEAD = 4
"""Batches announced to the file before they are read."""

Sample = tuple[Named, Named] | tuple[Named]
Batch = tuple[Named, Named | None]
STATE = 1
"""The version of what `state_dict` returns."""


class TensorSetDataset(Dataset[Sample]):
    """Yields (input, target) of one row, or (input,) where there is no target; each a tensor, or a dict of several by name."""

    def __init__(self, tensors: Batched) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return self.tensors.num_rows

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


@dataclass(frozen=True)
class Share:
    """How samples are cut into steps, and which batch of each step this rank gets.

    A step takes `size` samples for each rank, in the order of the pass. What is left at its end is cut evenly: the batches of
    the ranks differ by one sample at most, and a rank for which none is left has no batch in that step.
    """

    size: int
    rank: int = 0
    ranks: int = 1
    drop_last: bool = False

    def steps(self, start: int, count: int) -> Iterator[tuple[int, int, int]]:
        """Yield (first, stop, next) for each batch: its places in the order of a pass, and where the next step begins.

        >>> list(Share(2, rank=1, ranks=2).steps(0, 7))
        [(2, 4, 4), (6, 7, 7)]
        """
        whole = self.size * self.ranks
        for at in range(start, count - whole + 1, whole):
            yield at + self.rank * self.size, at + (self.rank + 1) * self.size, at + whole
        left = (count - start) % whole
        if left and not self.drop_last:
            at, (each, more) = count - left, divmod(left, self.ranks)
            first = at + self.rank * each + min(self.rank, more)
            stop = first + each + (self.rank < more)
            if stop > first:
                yield first, stop, count

    def batches(self, count: int) -> int:
        """The number of batches of this rank in a whole pass."""
        full, left = divmod(count, self.size * self.ranks)
        return full + (not self.drop_last and left > self.rank)


@dataclass(frozen=True)
class Pass(IterableDataset[Any]):
    """What is left of one pass, for the worker processes of `Batches`: each takes its turn."""

    tensors: Batched
    order: PassOrder
    share: Share
    start: int

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        wanted = [self.order.rows(at, stop) for at, stop in self.mine(first, step)]
        yield from batches_of(self.tensors, wanted, "cpu", 1)

    def mine(self, first: int, step: int) -> Iterator[tuple[int, int]]:
        """Yield the places of every `step`-th batch."""
        for index, (at, stop, _) in enumerate(self.share.steps(self.start, self.tensors.num_rows)):
            if index % step == first:
                yield at, stop


class Batches(IterableDataset[Any]):
    """See `TensorSet.batches`. Several workers of a `DataLoader` share the batches out among themselves."""

    def __init__(
        self, tensors: Batched, share: Share, device: Any = "cpu", *, shuffle: Shuffle = False, seed: int = 0, workers: int = 0
    ) -> None:
        if share.size < 1:
            raise UsageError(f"a batch of {share.size} rows is none")
        if not 0 <= share.rank < share.ranks:
            raise UsageError(f"there is no rank {share.rank} among {share.ranks}: ranks count from 0")
        if shuffle not in (True, False, "block"):
            raise UsageError(f"shuffle is {shuffle!r}", hint='say True, False or "block"')
        self._tensors, self._share, self._device = tensors, share, device
        self._shuffle, self._seed, self._workers = shuffle, seed, workers
        self._at = (1, 0)
        """The pass under way, and the samples of it that all ranks have been given."""
        self._resumes, self._loaded_in = False, 0
        """Whether the next pass goes on with a state, and the process that it was loaded in."""
        self._began: tuple[int, int] | None = None
        """In a worker of a `DataLoader`: the pass under way, and the next of its steps."""
        self._passes = 0
        """In a worker that is kept: the passes before."""

    def __len__(self) -> int:
        """The number of batches of this rank in a pass."""
        return self._share.batches(self._tensors.num_rows)

    def __iter__(self) -> Iterator[Batch]:
        if get_worker_info() is not None:
            yield from self._in_worker()
            return
        number, start = self._at if self._resumes or not self._at[1] else (self._at[0] + 1, 0)
        self._resumes, self._at = False, (number, start)
        order = order_of(self._tensors.num_rows, self._shuffle, self._seed, number)
        steps = self._share.steps(start, self._tensors.num_rows)
        for batch, (_, _, after) in zip(self._made(order, start), steps, strict=True):
            self._at = (number, after)
            yield batch
        self._at = (number + 1, 0)

    def _made(self, order: PassOrder, start: int) -> Iterator[Batch]:
        """What is left of a pass, made in threads, or in worker processes."""
        if not self._workers:
            wanted = (order.rows(at, stop) for at, stop, _ in self._share.steps(start, self._tensors.num_rows))
            return batches_of(self._tensors, wanted, self._device)
        left = Pass(self._tensors, order, self._share, start)
        loader = DataLoader(left, batch_size=None, num_workers=self._workers, collate_fn=_as_it_is)
        return (_moved(batch, self._device) for batch in loader)

    def _in_worker(self) -> Iterator[Batch]:
        """Every n-th batch, in a worker of a `DataLoader`.

        Workers are started anew for each pass: they go by the seed that the `DataLoader` draws for it from torch.
        """
        if self._resumes and self._loaded_in != os.getpid():
            raise UsageError(
                "a DataLoader with workers cannot go on with a pass of ts.batches()",
                hint="say ts.batches(…, workers=N), or load the state into torchdata's StatefulDataLoader",
            )
        if not self._resumes:
            self._began, self._passes = None, self._passes + (self._began is not None)
        number, begun, turns = self._turn()
        self._resumes, self._began = False, (number, begun)
        order = order_of(self._tensors.num_rows, self._shuffle, self._seed, number)
        steps = [*self._share.steps(0, self._tensors.num_rows)][begun::turns]
        wanted = (order.rows(at, stop) for at, stop, _ in steps)
        for index, batch in enumerate(batches_of(self._tensors, wanted, self._device, 1), 1):
            self._began = (number, begun + index * turns)
            yield batch

    def _turn(self) -> tuple[int, int, int]:
        """In a worker of a `DataLoader`: the number of the pass, the next step of this worker, and the number of workers."""
        worker = get_worker_info()
        assert worker is not None
        number, step = self._began or (worker.seed - worker.id + self._passes, worker.id)
        return number, step, worker.num_workers

    def state_dict(self) -> dict[str, Any]:
        """Where the pass is: plain numbers, the same for every rank. `load_state_dict` goes on with the very next sample.

        The state counts samples, not batches: it can be loaded with another batch size, number of ranks or number of workers.
        """
        (number, rows), more = self._at, {}
        if get_worker_info() is not None:
            number, more["step"], _ = self._turn()
        state = {"version": STATE, "pass": number, "rows": rows, "num_rows": self._tensors.num_rows}
        return {**state, "shuffle": self._shuffle, "seed": self._seed, **more}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was asked. Raises UsageError where the samples, their order or the seed are others."""
        mine = self.state_dict()
        for name in ("version", "num_rows", "shuffle", "seed"):
            if state.get(name) != mine[name]:
                raise UsageError(f"the state has {name} {state.get(name)!r}, and these batches have {mine[name]!r}")
        self._at = (int(state["pass"]), int(state["rows"]))
        self._began = (int(state["pass"]), int(state["step"])) if "step" in state else None
        self._resumes, self._loaded_in = True, os.getpid()


def _as_it_is(batch: Any) -> Any:
    return batch


def _moved(batch: Batch, device: Any) -> Batch:
    """A batch on another device."""
    inputs, target = (
        {name: part.to(device) for name, part in item.items()}
        if isinstance(item, Mapping)
        else item.to(device)
        if item is not None
        else None
        for item in batch
    )
    return inputs, target
