"""Metrics of a model's predictions, in the units of the raw data. torchmetrics gathers; class scores come from exact counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from tensorize.columns.fitted import Channelled, Fitted
from tensorize.core import registry
from tensorize.core.contracts import Array, Role
from tensorize.core.errors import UsageError
from tensorize.core.recipe import Recipe
from tensorize.train.device import Runner
from tensorize.train.parts import Pair, Part, joined_batches, rows_in
from tensorize.train.task import Classes, Loss, Numbers, Targets, Task


@dataclass(frozen=True)
class Units:
    """What the steps of a recipe did to numbers, undone; those without a part stay as they are."""

    parts: tuple[Channelled, ...] = ()

    def original(self, values: Tensor) -> Tensor:
        """(row), (row, target) or (row, target, step) in the file's numbers → float64 in original units, on the CPU."""
        found = values.detach().cpu().double()
        if not self.parts:
            return found
        table = found.numpy().copy().reshape(len(found), -1, *found.shape[2:])
        for part in self.parts:
            table[:, part.start] = decoded(part, table[:, part.start])
        return torch.from_numpy(table).reshape(found.shape)


def units_of(recipe: Recipe, of: str | None = None) -> Units:
    """The units of a recipe's target; of the one called `of` where there are several."""
    return Units(tuple(part for part in channels(recipe, "target", of) if not part.transform.identity))


def channels(recipe: Recipe, role: Role, of: str | None = None) -> tuple[Channelled, ...]:
    """The numbers among the inputs or targets that can be undone, each with its place among all channels of its role."""
    steps = [step for step in recipe.learned if step.role == role and of in (None, step.of)]
    if any(step.step not in registry.table("transforms") for step in steps):
        return ()
    fitted = Fitted(steps)
    parts = fitted.inputs if role == "input" else fitted.targets
    return tuple(part for part in parts if part.stop - part.start == 1 and part.transform.invertible)


def decoded(part: Channelled, values: Array) -> Array:
    """One channel, (row) or (row, step), in its original units, float64."""
    flat = part.transform.decode(values.reshape(-1, 1).astype(np.float64))
    return np.asarray(flat, dtype=np.float64).reshape(values.shape)


Confusion = tuple[tuple[int, ...], ...]
"""Counts of rows: (true class, predicted class)."""


@dataclass(frozen=True)
class Scores:
    """`values`, such as accuracy or mae, and for classes `confusion` (true class, predicted class) counts."""

    values: Mapping[str, float | None]
    confusion: Confusion = field(default=(), repr=False)
    parts: Mapping[str, Scores] = field(default_factory=dict, repr=False)
    """The scores of each target, where there are several: `values` then has them all, such as `size_mae`."""

    @classmethod
    def of(cls, parts: Mapping[str, Scores]) -> Self:
        """Those of several targets."""
        values = {f"{name}_{metric}": value for name, part in parts.items() for metric, value in part.values.items()}
        return cls(values, parts=parts)

    @property
    def per_class(self) -> tuple[float | None, ...]:
        """(class): the share of a class's rows that were recognised; None if it has no rows."""
        return tuple(row[index] / sum(row) if sum(row) else None for index, row in enumerate(self.confusion))


def torchmetrics() -> Any:
    """The library of metrics. Raises UsageError if it is not installed."""
    try:
        import torchmetrics as found
    except ImportError:
        raise UsageError("metrics need torchmetrics, which is not installed", hint="pip install 'tensorize[train]'") from None
    return found


class ClassMeter:
    """Gathers predictions of classes: accuracy, macro F1, the confusion matrix."""

    def __init__(self, task: Classes, device: torch.device) -> None:
        kinds = torchmetrics().classification
        self._found = kinds.MulticlassConfusionMatrix(num_classes=task.outputs, validate_args=False).to(device)

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Probabilities (row, class) and class indices (row)."""
        self._found.update(predicted, truth)

    def compute(self) -> Scores:
        """Return accuracy, macro F1 and the confusion matrix of what was gathered."""
        confusion = tuple(tuple(map(int, row)) for row in self._found.compute().tolist())
        return Scores({"accuracy": accuracy(confusion), "macro_f1": macro_f1(confusion)}, confusion)


def accuracy(confusion: Confusion) -> float:
    """The share of rows whose class was recognised, from counts (true class, predicted class); 0 without a row.

    >>> accuracy(((134, 100), (11, 0)))
    0.5469387755102041
    """
    rows = sum(map(sum, confusion))
    return sum(row[index] for index, row in enumerate(confusion)) / rows if rows else 0.0


def macro_f1(confusion: Confusion) -> float:
    """The mean of 2·TP / (2·TP + FP + FN) over the classes that occur, as truth or as prediction; 0 without a row.

    >>> macro_f1(((1, 1, 0), (0, 2, 0), (0, 0, 0)))
    0.7333333333333334
    """
    both = [sum(row) + sum(column) for row, column in zip(confusion, zip(*confusion, strict=True), strict=True)]
    found = [2 * confusion[index][index] / count for index, count in enumerate(both) if count]
    return math.fsum(found) / len(found) if found else 0.0


class NumberMeter:
    """Gathers predictions of numbers, in the units of the raw data: mean absolute and root mean squared error, R²."""

    def __init__(self, units: Units) -> None:
        found, self._units, self._rows = torchmetrics(), units, 0
        self._found = found.MetricCollection(
            {"mae": found.MeanAbsoluteError(), "rmse": found.MeanSquaredError(squared=False), "r2": found.R2Score()},
            compute_groups=False,
        ).set_dtype(torch.float64)

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """(row, …) and (row, …), both in the file's numbers."""
        self._rows += truth.numel()
        self._found.update(self._units.original(predicted).reshape(-1), self._units.original(truth).reshape(-1))

    def compute(self) -> Scores:
        """Return mae, rmse and r2 of what was gathered; no r2 for fewer than two values."""
        if self._rows < 2:
            self._found.pop("r2")
        return Scores({name: float(value) for name, value in self._found.compute().items()})


class TargetsMeter:
    """Gathers predictions of several targets, each by its own meter."""

    def __init__(self, task: Targets, units: UnitsOf, device: torch.device) -> None:
        self._meters: dict[str, Any] = {name: meter_of(part, units[name], device) for name, part in task.parts.items()}

    def update(self, predicted: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> None:
        """Predictions and truths (row, …) by name, as each meter takes them."""
        for name, meter in self._meters.items():
            meter.update(predicted[name], truth[name])

    def compute(self) -> Scores:
        """The scores of all, each metric with the target's name before it."""
        return Scores.of({name: meter.compute() for name, meter in self._meters.items()})


Meter = ClassMeter | NumberMeter | TargetsMeter
UnitsOf = Any
"""The `Units` of a target; a mapping by name where there are several."""


def units_for(task: Task, recipe: Recipe) -> UnitsOf:
    """The units of the target of a task, or of each of several."""
    return {name: units_of(recipe, name) for name in task.parts} if isinstance(task, Targets) else units_of(recipe)


def meter_of(task: Task, units: UnitsOf, device: torch.device) -> Meter:
    """What gathers the predictions of a task. Raises UsageError if torchmetrics is not installed."""
    if isinstance(task, Targets):
        return TargetsMeter(task, units, device)
    return ClassMeter(task, device) if isinstance(task, Classes) else NumberMeter(units)


def main_metric(task: Task) -> str:
    """The one number to look at: the loss where there are several targets."""
    if isinstance(task, Targets):
        return "loss"
    return "mae" if isinstance(task, Numbers) else "accuracy"


GATHERED = 64
"""Batches whose predictions are looked at together."""


def judge(runner: Runner, part: Part, task: Task, units: UnitsOf, loss: Loss) -> tuple[float, Scores]:
    """The mean loss over the rows, and the scores of a model."""
    losses: list[Tensor] = []
    sizes: list[int] = []

    def predictions() -> Iterable[Pair]:
        for output, target in runner.outputs(part):
            losses.append(loss(task.shaped(output), task.ready(target)).detach())
            sizes.append(rows_in(target))
            yield task.read(output), task.truth(target)

    found = score(predictions(), task, units, runner.device)
    return float(np.average(torch.stack(losses).cpu().numpy(), weights=sizes)), found


def score(predictions: Iterable[Pair], task: Task, units: UnitsOf, device: torch.device) -> Scores:
    """The scores of (prediction, truth) pairs, as `task.read` and `task.truth` give them."""
    meter = meter_of(task, units, device)
    held: list[Pair] = []
    for pair in predictions:
        held.append(pair)
        if len(held) == GATHERED:
            _flush(meter, held)
    _flush(meter, held)
    return meter.compute()


def _flush(meter: Any, held: list[Pair]) -> None:
    if held:
        predicted, truth = (joined_batches(batches) for batches in zip(*held, strict=True))
        meter.update(predicted, truth)
        held.clear()
