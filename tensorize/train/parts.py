"""The parts of a prepared set, and their rows as batches: resident on the device, or streamed from the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from tensorize.core.batches import batches_of
from tensorize.core.contracts import Array, Layout, Store, TensorSpec
from tensorize.core.errors import DataError, UsageError
from tensorize.core.splits import hash_keys, sizes
from tensorize.core.tensorset import SHARED, TensorSet, one_or_named

PICKED_BYTES = 1 << 20
"""What is picked from resident rows in one go."""
NAMES = {1: ("train",), 2: ("train", "test"), 3: ("train", "val", "test")}


def parts_of(data: TensorSet, ratios: tuple[float, ...], seed: int) -> dict[str, TensorSet]:
    """Split name → its set. A set without a split is split here, by a hash of seed and position; ratios are 1, 2 or 3.

    Raises UsageError for a split without train rows, and for windows without a split: they overlap.
    """
    if data.splits:
        found = {name: data.split(name) for name in data.splits}
        if "train" not in found or not found["train"].rows:
            raise DataError("there are no train rows in this file")
        return {name: part for name, part in found.items() if part.rows}
    if any("step" in spec.axes and spec.role == "target" for spec in data.layout.tensors):
        raise UsageError(
            "windows overlap, so a split by rows would put the same steps into train and test",
            hint="prepare the file again with --split 0.7,0.15,0.15, which cuts in time",
        )
    order = np.argsort(hash_keys(seed, np.arange(data.rows, dtype=np.int64)), kind="stable")
    edges = np.cumsum([0, *sizes(data.rows, ratios)])
    cut = [np.sort(order[start:stop]) for start, stop in pairwise(edges)]
    return {name: picked(data, rows) for name, rows in zip(NAMES[len(ratios)], cut, strict=True) if len(rows)}


def picked(data: TensorSet, rows: Array) -> TensorSet:
    """The set of some rows, (row) int64 positions, of a set without a split."""
    specs = tuple(
        spec
        if spec.axes[0] in SHARED
        else TensorSpec(spec.name, (len(rows), *spec.shape[1:]), spec.dtype, spec.axes, spec.role, spec.labels)
        for spec in data.layout.tensors
    )
    whole = frozenset(spec.key for spec in specs if spec.axes[0] in SHARED)
    return TensorSet(Layout(data.kind, specs, data.recipe_json), _Picked(data.store, rows, whole))


@dataclass(frozen=True)
class _Picked:
    """Some rows of a store; `whole` are the tensors that belong to all rows."""

    store: Store
    rows: Array
    whole: frozenset[str]

    def read(self, key: str, start: int, stop: int) -> Array:
        return self.store.read(key, start, stop) if key in self.whole else self.store.take(key, self.rows[start:stop])

    def take(self, key: str, rows: Array) -> Array:
        return self.store.take(key, self.rows[rows])

    def expect(self, key: str, rows: Array) -> None:
        self.store.expect(key, self.rows[rows])

    def close(self) -> None:
        self.store.close()


Ready = Callable[[Tensor], Tensor]
"""What is done to the stored target."""


def as_stored(target: Tensor) -> Tensor:
    """Nothing is done to it."""
    return target


class Part(Protocol):
    """The rows of one part, as (input, target) on the device."""

    @property
    def rows(self) -> int: ...

    def batches(self, edges: list[int], order: Array | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield rows `edges[i]:edges[i + 1]` of `order`, or of the file's order where that is None."""
        ...


@dataclass(frozen=True)
class Resident:
    """All rows on the device: as the model takes them, or as they are stored where that is much smaller."""

    rows: int
    stored: Mapping[str, Tensor]
    shared: Mapping[str, Tensor]
    expand: Callable[[Mapping[str, Tensor]], tuple[Tensor, Tensor]]
    device: torch.device

    def batches(self, edges: list[int], order: Array | None) -> Iterator[tuple[Tensor, Tensor]]:
        at = None if order is None else torch.from_numpy(order).to(self.device)
        several = 1 if at is None else self._batches_at_once(edges)
        for index in range(0, len(edges) - 1, several):
            cut = edges[index : index + several + 1]
            rows = slice(cut[0], cut[-1]) if at is None else at[cut[0] : cut[-1]]
            held = {name: values[rows] for name, values in self.stored.items()}
            for start, stop in pairwise(cut):
                batch = {name: values[start - cut[0] : stop - cut[0]] for name, values in held.items()}
                yield self.expand({**self.shared, **batch})

    def _batches_at_once(self, edges: list[int]) -> int:
        """Small rows are picked for several batches in one go, which costs as much as for one."""
        row = sum(values.nbytes for values in self.stored.values()) // max(1, self.rows)
        return max(1, PICKED_BYTES // max(1, row * (edges[1] - edges[0])))


@dataclass(frozen=True)
class Streamed:
    """Rows that are read as they are needed, a little ahead of it, and expanded on the device."""

    tensors: TensorSet
    ready: Ready
    device: torch.device

    @property
    def rows(self) -> int:
        return self.tensors.rows

    def batches(self, edges: list[int], order: Array | None) -> Iterator[tuple[Tensor, Tensor]]:
        wanted = (slice(start, stop) if order is None else order[start:stop] for start, stop in pairwise(edges))
        for inputs, target in batches_of(self.tensors, wanted, self.device):
            assert target is not None
            yield inputs, self.ready(target)


def edges_of(rows: int, size: int) -> list[int]:
    """Where batches begin and end; a single row that is left over joins the batch before, as no norm can be taken of it.

    >>> edges_of(7, 3), edges_of(8, 3)
    ([0, 3, 7], [0, 3, 6, 8])
    """
    edges = [*range(0, rows, size), rows]
    if len(edges) > 2 and size > 1 and edges[-1] - edges[-2] == 1:
        del edges[-2]
    return edges


def place(tensors: TensorSet, ready: Ready, device: torch.device, budget: int) -> Part:
    """Put a part on the device where it fits into `budget` bytes: as the model takes it, else as it is stored; or stream it."""
    specs = [*tensors.by_role("input"), *tensors.by_role("target")]
    inputs, target = tensors.batch(slice(0, 1))
    assert target is not None
    expanded = tensors.rows * (inputs.nbytes + target.nbytes)
    if expanded <= budget:
        return _expanded(tensors, ready, device)
    if sum(spec.nbytes for spec in specs) <= budget:
        return _stored(tensors, specs, ready, device)
    return Streamed(tensors, ready, device)


def _expanded(tensors: TensorSet, ready: Ready, device: torch.device) -> Resident:
    pieces = list(Streamed(tensors, ready, torch.device("cpu")).batches([*range(0, tensors.rows, 4096), tensors.rows], None))
    inputs, target = (torch.cat(parts).to(device) for parts in zip(*pieces, strict=True))
    inputs = inputs.to(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs
    return Resident(tensors.rows, {"input": inputs, "target": target}, {}, _as_it_is, device)


def _as_it_is(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    return batch["input"], batch["target"]


def _stored(tensors: TensorSet, specs: list[TensorSpec], ready: Ready, device: torch.device) -> Resident:
    recipe, loader = tensors.recipe, tensors.recipe.loader
    values = {spec.name: tensors[spec.key].to(device) for spec in specs}
    shared = {spec.name for spec in specs if spec.axes[0] in SHARED}

    def expand(batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        inputs, targets = loader.batch(recipe, batch)
        return one_or_named(inputs), ready(one_or_named(targets))

    stored = {name: part for name, part in values.items() if name not in shared}
    return Resident(tensors.rows, stored, {name: values[name] for name in shared}, expand, device)
