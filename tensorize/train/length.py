"""How long a run is where nobody has said it: few rows make few steps, and 20 epochs of them teach a model little."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tensorize.core.errors import plural
from tensorize.train.checkpoint import Epoch, best_of
from tensorize.train.device import SMALL_STEP, forward_flops
from tensorize.train.parts import edges_of
from tensorize.train.plan import TrainingPlan

STEPS = 1000
"""A run of a small model has at least so many steps,"""
MOST_EPOCHS = 300
"""in at most so many epochs."""


def long_enough(plan: TrainingPlan, given: Mapping[str, Any]) -> TrainingPlan:
    """The plan with more epochs, where `given` has none, 20 are few steps, and a step of the model is short.

    What a model learns too well is found on val, so without val there are more epochs only for a model that says what is to be
    changed then: `few_steps`, its settings for this case.
    """
    own: Mapping[str, Any] = getattr(type(plan.runner.model), "few_steps", {})
    steps = len(edges_of(plan.train.rows, plan.settings.batch_size)) - 1
    epochs = min(MOST_EPOCHS, math.ceil(STEPS / steps))
    if "epochs" in given or epochs <= plan.settings.epochs or not (plan.val is not None or own) or not _is_small(plan):
        return plan
    fixed = {*given, *(("lr",) if "optimizer" in given else ())}
    changed = {name: value for name, value in own.items() if name not in fixed} | {"epochs": epochs}
    note = f"{epochs} epochs, not {plan.settings.epochs}: an epoch has {plural(steps, 'step')} (--epochs N for another number)"
    return replace(plan, settings=plan.settings.model_copy(update=changed), notes=(*plan.notes, note))


def _is_small(plan: TrainingPlan) -> bool:
    inputs, _ = next(iter(plan.train.batches([0, min(plan.train.rows, plan.settings.batch_size)], None)))
    return forward_flops(plan.runner.model, inputs) < SMALL_STEP


def unfinished(epochs: Sequence[Epoch], plan: TrainingPlan) -> list[str]:
    """A note where val was best in the last epoch of all."""
    settings = plan.settings
    if not epochs or not epochs[-1].val or len(epochs) < settings.epochs:
        return []
    if best_of(epochs, settings.best_by).number < settings.epochs:
        return []
    return [f"the last epoch is the best on val: more may be better (--epochs {2 * settings.epochs})"]
