"""Metrics of a model's predictions, by the task. torchmetrics gathers; scores of classes come from exact counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tensorize.core.errors import UsageError
from tensorize.train.task import Classes, Numbers, Task
from tensorize.train.units import Units

Confusion = tuple[tuple[int, ...], ...]
"""Counts of rows: (true class, predicted class)."""


@dataclass(frozen=True)
class Scores:
    """`values`, such as accuracy or mae, and for classes `confusion` (true class, predicted class) counts."""

    values: Mapping[str, float | None]
    confusion: Confusion = field(default=(), repr=False)

    @property
    def per_class(self) -> tuple[float | None, ...]:
        """(class): the share of a class's rows that were recognised; None where it has no rows."""
        return tuple(row[index] / sum(row) if sum(row) else None for index, row in enumerate(self.confusion))


def torchmetrics() -> Any:
    """The library of metrics. Raises UsageError where it is not installed."""
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
        if self._rows < 2:
            self._found.pop("r2")
        return Scores({name: float(value) for name, value in self._found.compute().items()})


def meter_of(task: Task, units: Units, device: torch.device) -> ClassMeter | NumberMeter:
    """What gathers the predictions of a task. Raises UsageError where torchmetrics is not installed."""
    return ClassMeter(task, device) if isinstance(task, Classes) else NumberMeter(units)


def main_metric(task: Task) -> str:
    """The one number to look at."""
    return "mae" if isinstance(task, Numbers) else "accuracy"
