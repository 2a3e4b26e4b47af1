"""The parts of a prepared set, and their rows as batches: resident on the device, or streamed from the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tensorize.core.contracts import Array, TensorSpec, traits_of
from tensorize.core.errors import DataError, UsageError
from tensorize.core.layout import SHARED, Named
from tensorize.core.splits import hash_keys, sizes
from tensorize.core.tensors.batches import batches_of
from tensorize.core.tensorset import TensorSet, one_or_named
from tensorize.train.settings import Settings

Shape = tuple[int, ...] | Mapping[str, tuple[int, ...]]
"""The axis sizes of one row of the input, without the row's; of each input by name where there are several."""
PICKED_BYTES = 1 << 20
"""Bytes picked from resident rows at once."""
NAMES = {1: ("train",), 2: ("train", "test"), 3: ("train", "val", "test")}


def parts_of(data: TensorSet, ratios: tuple[float, ...], seed: int) -> dict[str, TensorSet]:
    """Split name → its set. A set without a split is split here, by a hash of seed and position; ratios are 1, 2 or 3.

    Raises UsageError for a split without train rows, and for windows without a split: they overlap.
    """
    if data.splits:
        found = {name: data.split(name) for name in data.splits}
        if "train" not in found or not found["train"].num_rows:
            raise DataError("there are no train rows in this file")
        return {name: part for name, part in found.items() if part.num_rows}
    if traits_of(data.recipe.loader).overlapping and data.by_role("target"):
        raise UsageError(
            "windows overlap, so a split by rows would put the same steps into train and test",
            hint="prepare the file again with --split 0.7,0.15,0.15, which cuts in time",
        )
    order = np.argsort(hash_keys(seed, np.arange(data.num_rows, dtype=np.int64)), kind="stable")
    edges = np.cumsum([0, *sizes(data.num_rows, ratios)])
    cut = [np.sort(order[start:stop]) for start, stop in pairwise(edges)]
    return {name: data.select(rows) for name, rows in zip(NAMES[len(ratios)], cut, strict=True) if len(rows)}


def mapped(function: Callable[[Any], Any], named: Named) -> Named:
    """What a function makes of a value, or of each of several: by name, or in order.

    >>> mapped(len, "ab"), mapped(len, {"x": "a"}), mapped(len, ("a", "bc"))
    (2, {'x': 1}, (1, 2))
    """
    if isinstance(named, Mapping):
        return {name: function(value) for name, value in named.items()}
    return tuple(map(function, named)) if isinstance(named, tuple) else function(named)


def joined_batches(batches: Sequence[Named]) -> Named:
    """Batches one after the other as one, (row, …), by name where there are several tensors."""
    if isinstance(batches[0], Mapping):
        return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    return torch.cat(list(batches))


def rows_in(named: Named) -> int:
    """The number of rows in a batch."""
    return len(next(iter(named.values())) if isinstance(named, Mapping) else named)


def bytes_in(named: Named) -> int:
    """Bytes of a batch, all of its tensors together."""
    return sum(value.nbytes for value in (named.values() if isinstance(named, Mapping) else [named]))


Ready = Callable[[Named], Named]
"""Applied to the stored target."""
Augment = Callable[[Tensor], Tensor]
"""Applied to the inputs of a batch in training."""


def as_stored(target: Named) -> Named:
    """The target as it is stored."""
    return target


Pair = tuple[Named, Named]
"""(input, target) of some rows."""


class Part(Protocol):
    """The rows of one part, as (input, target) on the device: each a tensor, or a dict of several by name."""

    @property
    def rows(self) -> int:
        """The number of rows."""
        ...

    def batches(self, edges: list[int], order: Array | None) -> Iterator[Pair]:
        """Yield rows `edges[i]:edges[i + 1]` of `order` (row) int64, or of the file's order if it is None."""
        ...


@dataclass(frozen=True)
class Resident:
    """All rows on the device: as the model takes them, or as they are stored where that is much smaller."""

    rows: int
    stored: Mapping[str, Tensor]
    shared: Mapping[str, Tensor]
    expand: Callable[[Mapping[str, Tensor]], Pair]
    device: torch.device

    def batches(self, edges: list[int], order: Array | None) -> Iterator[Pair]:
        """Yield (input, target) of each batch, on the device."""
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
        """Small rows are picked for several batches at once, which costs as much as for one."""
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
        """The number of rows."""
        return self.tensors.num_rows

    def batches(self, edges: list[int], order: Array | None) -> Iterator[Pair]:
        """Yield (input, target) of each batch, on the device; the next ones are read meanwhile."""
        wanted = (slice(start, stop) if order is None else order[start:stop] for start, stop in pairwise(edges))
        for inputs, target in batches_of(self.tensors, wanted, self.device):
            yield inputs, self.ready(target)


@dataclass(frozen=True)
class OneTarget:
    """A part with one of its several targets, by name."""

    part: Part
    name: str

    @property
    def rows(self) -> int:
        """As many as the part has."""
        return self.part.rows

    def batches(self, edges: list[int], order: Array | None) -> Iterator[Pair]:
        """Yield the batches of the part, with this target (row, …) alone."""
        for inputs, targets in self.part.batches(edges, order):
            yield inputs, targets[self.name]


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
    expanded = tensors.num_rows * sum(map(bytes_in, tensors.batch(slice(0, 1))))
    if expanded <= budget:
        return _expanded(tensors, ready, device)
    if sum(spec.nbytes for spec in specs) <= budget:
        return _stored(tensors, specs, ready, device)
    return Streamed(tensors, ready, device)


def _expanded(tensors: TensorSet, ready: Ready, device: torch.device) -> Resident:
    edges = [*range(0, tensors.num_rows, 4096), tensors.num_rows]
    pieces = list(Streamed(tensors, ready, torch.device("cpu")).batches(edges, None))
    inputs, target = (mapped(lambda x: x.to(device), joined_batches(batches)) for batches in zip(*pieces, strict=True))
    inputs = mapped(lambda x: x.to(memory_format=torch.channels_last) if x.ndim == 4 else x, inputs)
    if isinstance(inputs, Mapping) or isinstance(target, Mapping):
        return _several(tensors.num_rows, inputs, target, device)
    return Resident(tensors.num_rows, {"input": inputs, "target": target}, {}, _as_it_is, device)


def _as_it_is(batch: Mapping[str, Tensor]) -> Pair:
    return batch["input"], batch["target"]


def _several(rows: int, inputs: Named, target: Named, device: torch.device) -> Resident:
    """Several inputs or targets, kept by role and name."""
    named = [values if isinstance(values, Mapping) else {"": values} for values in (inputs, target)]
    stored = {f"{role} {name}": values for role, part in enumerate(named) for name, values in part.items()}

    def expand(batch: Mapping[str, Tensor]) -> Pair:
        first, second = ({name: batch[f"{role} {name}"] for name in part} for role, part in enumerate(named))
        return one_or_named(first), one_or_named(second)

    return Resident(rows, stored, {}, expand, device)


def _stored(tensors: TensorSet, specs: list[TensorSpec], ready: Ready, device: torch.device) -> Resident:
    recipe, loader = tensors.recipe, tensors.recipe.loader
    values = {spec.name: tensors[spec.key].to(device) for spec in specs}
    shared = {spec.name for spec in specs if spec.axes[0] in SHARED}

    def expand(batch: Mapping[str, Any]) -> Pair:
        inputs, targets = loader.batch(recipe, batch)
        return one_or_named(inputs), ready(one_or_named(targets))

    stored = {name: part for name, part in values.items() if name not in shared}
    return Resident(tensors.num_rows, stored, {name: values[name] for name in shared}, expand, device)


def augmentation(settings: Settings, inputs: Shape) -> Augment | None:
    """Return what augments each batch in training; None for no augmentation. Raises UsageError if rows are not images."""
    if not (settings.flip or settings.shift):
        return None
    if isinstance(inputs, Mapping):
        raise UsageError(f"--flip and --shift are for images alone, and rows here have the inputs {', '.join(inputs)}")
    if len(inputs) != 3:
        shape = "×".join(map(str, inputs))
        raise UsageError(f"--flip and --shift are for images (channel, height, width), and rows here are {shape}")
    if settings.shift >= min(inputs[1:]):
        raise UsageError(f"--shift {settings.shift} would move images of {inputs[1]}×{inputs[2]} out of sight")

    def augment(images: Tensor) -> Tensor:
        images = flipped(images) if settings.flip else images
        return shifted(images, settings.shift) if settings.shift else images

    return augment


def flipped(images: Tensor) -> Tensor:
    """Mirror each of (row, channel, height, width) with probability one half."""
    mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(3), images)


def shifted(images: Tensor, most: int) -> Tensor:
    """Move each of (row, channel, height, width) by up to `most` pixels in both directions; the border is reflected."""
    padded = functional.pad(images, (most,) * 4, mode="reflect")
    rows, _, height, width = images.shape
    down, right = torch.randint(0, 2 * most + 1, (2, rows, 1), device=images.device)
    at_row = down + torch.arange(height, device=images.device)
    at_column = right + torch.arange(width, device=images.device)
    row = torch.arange(rows, device=images.device)[:, None, None]
    # (row, height, width, channel) → (row, channel, height, width), laid out with the channels side by side
    return padded.permute(0, 2, 3, 1)[row, at_row[:, :, None], at_column[:, None, :]].permute(0, 3, 1, 2)
