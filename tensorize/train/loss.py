"""The loss, by name or as it was handed in, and whether it fits the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from tensorize.core.errors import UsageError
from tensorize.train.named import call_of, part_of
from tensorize.train.settings import Settings
from tensorize.train.task import Classes, Task

Loss = Callable[[Tensor, Tensor], Tensor]

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


def make_loss(settings: Settings, task: Task, given: Loss | None) -> tuple[Loss, Task]:
    """The loss, and the task as this loss sees it. Raises UsageError where the two do not fit."""
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


def _seen(task: Task, loss: str) -> Task:
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
