"""Judge a model by the rows of a part: the loss, the metrics, and what the trivial predictor gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from tensorize.train.metrics import ClassMeter, NumberMeter, Scores, meter_of
from tensorize.train.parts import Part
from tensorize.train.runner import Runner
from tensorize.train.task import Task
from tensorize.train.units import Units

GATHERED = 64
"""Batches whose predictions are looked at together."""


def judge(
    runner: Runner, part: Part, task: Task, units: Units, loss: Callable[[Tensor, Tensor], Tensor]
) -> tuple[float, Scores]:
    """The mean loss over the rows, and the scores of a model."""
    losses: list[Tensor] = []
    sizes: list[int] = []

    def predictions() -> Iterable[tuple[Tensor, Tensor]]:
        for output, target in runner.outputs(part):
            losses.append(loss(task.shaped(output), task.ready(target)).detach())
            sizes.append(len(target))
            yield task.read(output), task.truth(target)

    found = score(predictions(), task, units, runner.device)
    return float(np.average(torch.stack(losses).cpu().numpy(), weights=sizes)), found


def score(predictions: Iterable[tuple[Tensor, Tensor]], task: Task, units: Units, device: torch.device) -> Scores:
    """The scores of (prediction, truth) pairs, as `task.read` and `task.truth` give them."""
    meter = meter_of(task, units, device)
    held: list[tuple[Tensor, Tensor]] = []
    for pair in predictions:
        held.append(pair)
        if len(held) == GATHERED:
            _flush(meter, held)
    _flush(meter, held)
    return meter.compute()


def _flush(meter: ClassMeter | NumberMeter, held: list[tuple[Tensor, Tensor]]) -> None:
    if held:
        predicted, truth = (torch.cat(parts) for parts in zip(*held, strict=True))
        meter.update(predicted, truth)
        held.clear()
