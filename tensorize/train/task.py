"""What is predicted: classes or numbers, told from the targets of the train rows; and the loss that fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from tensorize.core import registry
from tensorize.core.contracts import BLOCK_ROWS, Array, TensorSpec, traits_of
from tensorize.core.errors import UsageError
from tensorize.core.tensorset import TensorSet
from tensorize.statistics.moments import Moments
from tensorize.train.named import call_of, part_of
from tensorize.train.settings import Settings
from tensorize.transforms.lookup import build


@dataclass(frozen=True)
class Classes:
    """One of several classes; the model gives a score for each. `counts` are their train rows.

    `one_hot` tells how the target is stored: (row, class) float32, or (row) int64. `as_numbers` is for a loss that
    compares every output with a number: it gets the one-hot target.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    column: str = "class"
    one_hot: bool = False
    as_numbers: bool = False

    kind: ClassVar[str] = "classes"
    loss: ClassVar[str] = "CrossEntropyLoss"

    @property
    def outputs(self) -> int:
        """The number of classes: outputs of the model."""
        return len(self.names)

    def ready(self, target: Tensor) -> Tensor:
        """The stored target as the loss takes it: (row) int64, or (row, class) float32."""
        return target if self.as_numbers else self.truth(target)

    def truth(self, target: Tensor) -> Tensor:
        """The stored target as a class index, (row) int64."""
        return target.argmax(dim=1) if self.one_hot else target

    def shaped(self, output: Tensor) -> Tensor:
        """(row, class) of any float type → float32, as the loss takes it."""
        return output.float()

    def read(self, output: Tensor) -> Tensor:
        """(row, class) → probabilities (row, class) float32."""
        return output.float().softmax(dim=1)

    @property
    def weights(self) -> Tensor:
        """(class) float32: rows / (classes × rows of the class), over the classes that train has; 0 for the others."""
        counts = torch.tensor(self.counts, dtype=torch.float64)
        there = counts > 0
        return torch.where(there, counts.sum() / (there.sum() * counts.clamp(min=1)), 0.0).float()

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor."""
        return {**asdict(self), "names": list(self.names), "counts": list(self.counts)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Return the task that `to_json` wrote."""
        return cls(**{**state, "names": tuple(state["names"]), "counts": tuple(state["counts"])})


@dataclass(frozen=True)
class Numbers:
    """Numbers of the shape `shape` for each row: () one, (target), or (target, step) for windows.

    `mean` and `std` are those of the train rows, one for each target; with `scaled` the model is trained on
    (target − mean) / std, and read back.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scaled: bool = True

    kind: ClassVar[str] = "numbers"
    loss: ClassVar[str] = "MSELoss"

    @property
    def outputs(self) -> int:
        """The number of outputs of the model: targets × steps."""
        return math.prod(self.shape)

    def ready(self, target: Tensor) -> Tensor:
        """The stored target (row, …) as the loss takes it: float32, scaled."""
        if not self.scaled:
            return target
        mean, std = self._moments(target)
        return ((target - mean) / std).float()

    def truth(self, target: Tensor) -> Tensor:
        """The stored target (row, …), unchanged."""
        return target

    def shaped(self, output: Tensor) -> Tensor:
        """(row, output) → (row, …) of the target's shape, float32."""
        return output.float().reshape(-1, *self.shape)

    def read(self, output: Tensor) -> Tensor:
        """(row, output) → (row, …) float32 in the file's numbers."""
        shaped = self.shaped(output)
        if not self.scaled:
            return shaped
        mean, std = self._moments(shaped)
        return (shaped * std + mean).float()

    def _moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and std that broadcast over (row, …): float64, float32 on devices that have nothing wider."""
        dtype = torch.float32 if values.device.type == "mps" else torch.float64
        shape = (len(self.mean), *(1 for _ in self.shape[1:])) if self.shape else ()
        mean, std = (torch.tensor(part, dtype=dtype, device=values.device).reshape(shape) for part in (self.mean, self.std))
        return mean, std

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Return the task that `to_json` wrote."""
        lists = {key: tuple(value) for key, value in state.items() if key != "scaled"}
        return cls(**lists, scaled=bool(state["scaled"]))


One = Classes | Numbers


@dataclass(frozen=True)
class Targets:
    """Several targets of a row by name, each a task of its own. Targets are dicts by name.

    A model gives its outputs as a mapping by name, or as a tuple in this order.
    """

    parts: Mapping[str, One]

    kind: ClassVar[str] = "targets"

    @property
    def outputs(self) -> dict[str, int]:
        """The number of outputs for each target."""
        return {name: part.outputs for name, part in self.parts.items()}

    def by_name(self, output: Any) -> dict[str, Tensor]:
        """What a model gave, (row, output) for each target. Raises KeyError, TypeError or ValueError where one lacks."""
        named = output if isinstance(output, Mapping) else dict(zip(self.parts, output, strict=True))
        return {name: named[name] for name in self.parts}

    def ready(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each stored target (row, …) as its loss takes it."""
        return {name: part.ready(targets[name]) for name, part in self.parts.items()}

    def truth(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each stored target (row, …) as its metrics take it."""
        return {name: part.truth(targets[name]) for name, part in self.parts.items()}

    def shaped(self, output: Any) -> dict[str, Tensor]:
        """Each output (row, …) as its loss takes it."""
        found = self.by_name(output)
        return {name: part.shaped(found[name]) for name, part in self.parts.items()}

    def read(self, output: Any) -> dict[str, Tensor]:
        """Each output as probabilities (row, class), or (row, …) in the file's numbers."""
        found = self.by_name(output)
        return {name: part.read(found[name]) for name, part in self.parts.items()}

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor, each part with its kind."""
        return {"parts": {name: {"kind": part.kind, **part.to_json()} for name, part in self.parts.items()}}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote. Raises KeyError if a kind is not known."""
        parts = {name: dict(part) for name, part in state["parts"].items()}
        return cls({name: ONES[part.pop("kind")].from_json(part) for name, part in parts.items()})


Task = One | Targets
ONES: Mapping[str, type[Classes] | type[Numbers]] = {"classes": Classes, "numbers": Numbers}
TASKS: Mapping[str, type[Classes] | type[Numbers] | type[Targets]] = {**ONES, "targets": Targets}


Loss = Callable[[Any, Any], Tensor]
"""(output, target) as the task shapes them → (); dicts by name where there are several targets."""

INDEX_LOSSES = frozenset({"CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"})
"""Losses of torch.nn that take the index of a class."""
NUMBER_LOSSES = frozenset(
    {
        "BCELoss",
        "BCEWithLogitsLoss",
        "HuberLoss",
        "KLDivLoss",
        "L1Loss",
        "MSELoss",
        "MultiLabelSoftMarginLoss",
        "PoissonNLLLoss",
        "SmoothL1Loss",
        "SoftMarginLoss",
    }
)
"""Losses of torch.nn that take a number for each output."""


class Summed(nn.Module):
    """The losses of several targets, added up with equal weights."""

    def __init__(self, losses: Mapping[str, Any]) -> None:
        super().__init__()
        self._names, self._losses = tuple(losses), nn.ModuleList(losses.values())

    def forward(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """Outputs and targets (row, …) by name → the sum of the losses, ()."""
        found = [loss(outputs[name], targets[name]) for name, loss in zip(self._names, self._losses, strict=True)]
        return torch.stack(found).sum()


def make_loss(settings: Settings, task: Task, given: Loss | None) -> tuple[Loss, Task]:
    """The loss, and the task as this loss sees it. Raises UsageError if the two do not fit.

    Several targets: each has its own loss, and they are added up; a function that was handed in gets dicts by name.
    """
    if not isinstance(task, Targets):
        return _loss_of_one(settings, task, given)
    if given is not None:
        return given, task
    unweighted = settings.model_copy(update={"class_weights": False})
    weighs = any(isinstance(part, Classes) for part in task.parts.values())
    made = {
        name: _loss_of_one(unweighted if weighs and isinstance(part, Numbers) else settings, part, None)
        for name, part in task.parts.items()
    }
    return Summed({name: loss for name, (loss, _) in made.items()}), Targets({name: seen for name, (_, seen) in made.items()})


def _loss_of_one(settings: Settings, task: One, given: Loss | None) -> tuple[Loss, One]:
    name = call_of(settings.loss)[0] if settings.loss else task.loss
    if given is not None:
        name = type(given).__name__
    seen = _seen(task, name)
    if settings.class_weights and not (isinstance(task, Classes) and name in INDEX_LOSSES and given is None):
        raise UsageError(f"--class-weights weighs classes, and {name} on {task.kind} has none")
    if given is not None:
        return given, seen
    extra: dict[str, Any] = {"weight": task.weights} if settings.class_weights and isinstance(task, Classes) else {}
    made: Loss = part_of(nn, settings.loss or task.loss, **extra)
    return made, seen


def _seen(task: One, loss: str) -> One:
    if not isinstance(task, Classes):
        if loss in INDEX_LOSSES:
            raise UsageError(
                f"{loss} tells classes apart, and the target {', '.join(task.names)} is numbers",
                hint="leave --loss away, or prepare the file again with --task classes",
            )
        return task
    if loss in NUMBER_LOSSES and not task.one_hot:
        raise UsageError(
            f'{loss} compares numbers, and the target "{task.column}" is a class index',
            hint="leave --loss away, or prepare the file again with --task numbers, or with --onehot of the target",
        )
    return replace(task, as_numbers=loss in NUMBER_LOSSES)


def task_of(train: TensorSet, target_scale: str) -> Task:
    """The task of the train rows, told from the targets alone. Raises UsageError if the set has none."""
    specs = train.by_role("target")
    if not specs:
        raise _no_target(train)
    target: Any = train.batch(slice(0, 1))[1]
    scaled = target_scale == "zscore"
    if not isinstance(target, Mapping):
        return _task_of_one(train, specs[0], tuple(target.shape[1:]), scaled)
    return Targets(
        {name: _task_of_one(train, train.spec(name), tuple(x.shape[1:]), scaled, name) for name, x in target.items()}
    )


def _task_of_one(train: TensorSet, spec: TensorSpec, shape: tuple[int, ...], scaled: bool, of: str | None = None) -> One:
    """The task of a target; `of` is its name where there are several. `shape` is that of one row as it is trained."""
    if spec.axes[-1] == "class" or np.dtype(spec.dtype).kind == "i":
        return _classes(train, spec, of)
    return _numbers(train, spec, shape, scaled, of)


def _no_target(train: TensorSet) -> UsageError:
    """The error for a set with nothing to predict, with the way to make one for its kind."""
    hint = traits_of(train.recipe.loader).target_hint
    return UsageError(f"this file of {train.kind} has no target to train for", hint=hint)


def _classes(train: TensorSet, spec: TensorSpec, of: str | None) -> Classes:
    one_hot = spec.axes[-1] == "class"
    counts = np.zeros(spec.shape[1] if one_hot else 0, dtype=np.int64)
    for block in stored_blocks(train, spec):
        found = block.sum(axis=0).astype(np.int64) if one_hot else np.bincount(block)
        counts = np.pad(counts, (0, max(0, len(found) - len(counts))))
        counts[: len(found)] += found
    column, names = _class_names(train, of)
    names = names or tuple(map(str, range(len(counts))))
    if len(names) < 2:
        raise UsageError(f'there is one class, "{names[0]}", and nothing to tell it from', hint="a model needs two classes")
    return Classes(names, tuple(np.pad(counts, (0, len(names) - len(counts))).tolist()), column, one_hot)


def _class_names(train: TensorSet, of: str | None) -> tuple[str, tuple[str, ...]]:
    """The column and its categories, as the recipe has them; empty if it has none."""
    for step in train.recipe.learned:
        if of not in (None, step.of):
            continue
        if step.role == "target" and "classes" in step.state:
            return of or "class", tuple(map(str, step.state["classes"]))
        if step.role == "target" and step.step in registry.table("transforms"):
            transform = build(step.step, step.state)
            if transform.categorical:
                return step.of, tuple(map(str, transform.values() or ()))
    return of or "class", ()


def _numbers(train: TensorSet, spec: TensorSpec, shape: tuple[int, ...], scaled: bool, of: str | None) -> Numbers:
    learned = tuple(step.of for step in train.recipe.learned if step.role == "target" and of in (None, step.of))
    names = spec.labels.get("target") or learned or (spec.name,)
    moments = [Moments() for _ in names]
    for block in stored_blocks(train, spec):
        flat = _by_target(block, spec).astype(np.float64)
        moments = [found.update(flat[:, index]) for index, found in enumerate(moments)]
    return Numbers(names, shape, tuple(found.mean for found in moments), tuple(found.std() or 1.0 for found in moments), scaled)


def _by_target(block: Array, spec: TensorSpec) -> Array:
    """(row), (row, target), (row, target, step) or (step, target) → (value, target)."""
    if "target" not in spec.axes:
        return block.reshape(-1, 1)
    at = spec.axes.index("target")
    return np.moveaxis(block, at, -1).reshape(-1, spec.shape[at])


def stored_blocks(tensors: TensorSet, spec: TensorSpec) -> Iterator[Array]:
    """Yield the stored values of a tensor, (row, …) in its dtype, at most `BLOCK_ROWS` rows at a time."""
    for start in range(0, spec.shape[0], BLOCK_ROWS):
        yield tensors.store.read(spec.key, start, min(start + BLOCK_ROWS, spec.shape[0]))
