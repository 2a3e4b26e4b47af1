"""Losses: the one that fits a target, what it takes for targets, and what it takes the outputs of a model for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tensorize.core import registry
from tensorize.core.errors import UsageError
from tensorize.core.tensorset import TensorSet
from tensorize.train.metrics import units_of
from tensorize.train.named import call_of, part_of
from tensorize.train.settings import Settings
from tensorize.train.task import Classes, Loss, Numbers, One, Targets, Task, by_target, stored_blocks

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
FUNCTIONS: Mapping[Any, str] = {
    functional.binary_cross_entropy: "BCELoss",
    functional.binary_cross_entropy_with_logits: "BCEWithLogitsLoss",
    functional.cross_entropy: "CrossEntropyLoss",
    functional.huber_loss: "HuberLoss",
    functional.kl_div: "KLDivLoss",
    functional.l1_loss: "L1Loss",
    functional.mse_loss: "MSELoss",
    functional.multi_margin_loss: "MultiMarginLoss",
    functional.multilabel_soft_margin_loss: "MultiLabelSoftMarginLoss",
    functional.nll_loss: "NLLLoss",
    functional.poisson_nll_loss: "PoissonNLLLoss",
    functional.smooth_l1_loss: "SmoothL1Loss",
    functional.soft_margin_loss: "SoftMarginLoss",
}
"""Functions that are a loss of torch.nn under another name."""
CLASS_LINKS = {
    "BCELoss": "identity",
    "BCEWithLogitsLoss": "sigmoid",
    "HuberLoss": "identity",
    "L1Loss": "identity",
    "MSELoss": "identity",
    "MultiLabelSoftMarginLoss": "sigmoid",
    "SmoothL1Loss": "identity",
}
"""Loss on a one-hot target → what makes probabilities of the outputs, where that is not softmax."""


@dataclass(frozen=True)
class Domain:
    """The targets that a loss is made for, from `low` to `high` or, with `ends`, these two alone; and the link of outputs."""

    said: str
    low: float
    high: float
    link: str
    predictions: str
    """What predictions are, in words."""
    ends: bool = False

    def outside(self, values: Any) -> Any:
        """Which values (row) are not in it, (row) bool."""
        between = (values > self.low) & (values < self.high)
        return between | (values < self.low) | (values > self.high) if self.ends else (values < self.low) | (values > self.high)


PROBABILITY = Domain("from 0 to 1", 0.0, 1.0, "sigmoid", "probabilities")
COUNT = Domain("of 0 or more", 0.0, math.inf, "exp", "the exponential of the outputs")
SIGN = Domain("-1 or 1", -1.0, 1.0, "margin", "from -1 to 1", ends=True)
DOMAINS: Mapping[str, Domain] = {
    "BCELoss": replace(PROBABILITY, link="identity"),
    "BCEWithLogitsLoss": PROBABILITY,
    "KLDivLoss": replace(PROBABILITY, link="exp"),
    "MultiLabelSoftMarginLoss": PROBABILITY,
    "PoissonNLLLoss": COUNT,
    "SoftMarginLoss": SIGN,
}
"""Losses that are made for some numbers alone."""
LOG_OUTPUTS = "logarithms of probabilities"


class Summed(nn.Module):
    """The losses of several targets, added up with equal weights."""

    def __init__(self, losses: Mapping[str, Any]) -> None:
        super().__init__()
        self._names, self._losses = tuple(losses), nn.ModuleList(losses.values())

    @property
    def by_name(self) -> dict[str, Any]:
        """Target → its loss."""
        return dict(zip(self._names, self._losses, strict=True))

    def forward(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """Outputs and targets (row, …) by name → the sum of the losses, ()."""
        found = [loss(outputs[name], targets[name]) for name, loss in zip(self._names, self._losses, strict=True)]
        return torch.stack(found).sum()


def loss_name(loss: Any) -> Any:
    """A function, or a module, by the name of its loss in torch.nn; by its own name where that is no loss of torch."""
    if not callable(loss):
        return loss
    known = FUNCTIONS.get(loss) if loss.__hash__ is not None else None
    return known or getattr(loss, "__name__", type(loss).__name__)


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


def as_trained(task: Task, trained: Task) -> Task:
    """A task as its loss sees it now, read as it was trained: models keep their link."""
    if isinstance(task, Targets) and isinstance(trained, Targets):
        return Targets({name: _one_as_trained(part, trained.parts[name]) for name, part in task.parts.items()})
    assert not isinstance(task, Targets)
    assert not isinstance(trained, Targets)
    return _one_as_trained(task, trained)


def _one_as_trained(task: One, trained: One) -> One:
    return replace(task, link=trained.link) if isinstance(task, Classes) else trained


def _loss_of_one(settings: Settings, task: One, given: Loss | None) -> tuple[Loss, One]:
    name = loss_name(given) if given is not None else call_of(settings.loss)[0] if settings.loss else task.loss
    seen = _seen(task, name)
    if settings.class_weights and not (isinstance(task, Classes) and name in INDEX_LOSSES and given is None):
        raise UsageError(f"--class-weights weighs classes, and {name} on {task.kind} has none")
    if given is None:
        extra: dict[str, Any] = {"weight": task.weights} if settings.class_weights and isinstance(task, Classes) else {}
        given = part_of(nn, settings.loss or task.loss, **extra)
    domain = domain_of(name, given)
    if isinstance(seen, Numbers) and domain is not None:
        seen = replace(seen, scaled=False, link=domain.link)
    return given, seen


def domain_of(name: str, loss: Any) -> Domain | None:
    """What a loss takes for targets; None if it takes all numbers."""
    if name == "PoissonNLLLoss" and not getattr(loss, "log_input", True):
        return replace(COUNT, link="identity", predictions="the outputs")
    if name == "KLDivLoss" and getattr(loss, "log_target", False):
        return Domain("of 0 or less", -math.inf, 0.0, "identity", "the outputs")
    return DOMAINS.get(name)


def _seen(task: One, loss: str) -> One:
    """The task as a loss takes it. Raises UsageError for a loss of another kind of target."""
    if loss == "HingeEmbeddingLoss":
        raise UsageError(f"{loss} takes distances for outputs, and a model gives predictions", hint="omit --loss")
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
    if loss in NUMBER_LOSSES and DOMAINS.get(loss) is SIGN:
        raise UsageError(f"{loss} takes targets of -1 or 1, and classes are 0 or 1", hint="say --loss BCEWithLogitsLoss")
    return replace(task, as_numbers=loss in NUMBER_LOSSES, link=CLASS_LINKS.get(loss, Classes.link))


def check_outputs(model: Any, settings: Settings, loss: Loss) -> None:
    """Raise UsageError for a loss that takes outputs which a built-in model, by its name, does not give."""
    name = call_of(settings.loss)[0] if settings.loss else ""
    instead = {"BCELoss": "BCEWithLogitsLoss", "NLLLoss": "CrossEntropyLoss"}.get(name)
    wants = {"BCELoss": "probabilities", "NLLLoss": LOG_OUTPUTS, "KLDivLoss": LOG_OUTPUTS}.get(name)
    if name == "PoissonNLLLoss" and not getattr(loss, "log_input", True):
        wants, instead = "rates of 0 or more", name
    if model in registry.MODELS and wants:
        hint = f"say --loss {instead}" if instead else "omit --loss"
        raise UsageError(f"{name} takes {wants} for outputs, and the model {model} gives any number", hint=hint)


def check_targets(train: TensorSet, task: Task, settings: Settings, loss: Loss) -> list[str]:
    """Hold the train rows' targets against what the loss takes; return notes on what predictions are.

    Raises UsageError for a target with other values.
    """
    if isinstance(task, Targets):
        losses = loss.by_name if isinstance(loss, Summed) else {}
        found = [_checked(train, part, settings, losses[name], name) for name, part in task.parts.items() if name in losses]
    else:
        found = [_checked(train, task, settings, loss, None)]
    return list(dict.fromkeys(note for note in found if note))


def _checked(train: TensorSet, task: One, settings: Settings, loss: Any, of: str | None) -> str:
    name = call_of(settings.loss)[0] if settings.loss else task.loss
    domain = domain_of(name, loss)
    if domain is None or not isinstance(task, Numbers):
        return ""
    spec = train.spec(of) if of else train.by_role("target")[0]
    count, low, high = np.zeros(len(task.names), int), np.inf, -np.inf
    for block in stored_blocks(train, spec):
        values = by_target(block, spec)
        count += domain.outside(values).sum(axis=0)
        low, high = min(low, values.min(initial=low)), max(high, values.max(initial=high))
    if count.any():
        names = ", ".join(f'"{column}"' for column, bad in zip(task.names, count, strict=True) if bad)
        scaled = any(part.column in task.names for part in units_of(train.recipe).parts)
        hint = "prepare the file again without scaling the target, or omit --loss" if scaled else "omit --loss"
        hint = "say --loss BCEWithLogitsLoss" if domain is SIGN and low >= 0 and high <= 1 else hint
        raise UsageError(f"{name} takes targets {domain.said}, and {names} goes from {low:g} to {high:g} in train", hint=hint)
    return f"{name}: the target is not scaled (--target-scale none), and predictions are {domain.predictions}"
