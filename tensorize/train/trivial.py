"""What a predictor gets that has learned nothing: no model is worth its name that does no better."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tensorize.columns.fitted import Channelled
from tensorize.core.recipe import Recipe
from tensorize.train.device import ROWS
from tensorize.train.metrics import Scores, score
from tensorize.train.parts import OneTarget, Part, Shape
from tensorize.train.past import past_channels
from tensorize.train.task import Classes, Numbers, Targets, Task
from tensorize.train.units import Units, decoded, units_of

CPU = torch.device("cpu")
Pairs = Iterator[tuple[Tensor, Tensor]]


def trivial(part: Part, task: Task, recipe: Recipe, inputs: Shape, of: str | None = None) -> tuple[str, Scores]:
    """What it does, in words, and its scores on a part.

    Classes: the most frequent one of train. Windows: the target one window before, where it is among the inputs and the
    horizon no longer than the window. Other numbers: the mean of train. Several targets: each by itself; `of` is the name.
    """
    if isinstance(task, Targets):
        found = {name: trivial(OneTarget(part, name), one, recipe, inputs, name) for name, one in task.parts.items()}
        words = "; ".join(f"{name}: {words}" for name, (words, _) in found.items())
        return words, Scores.of({name: scores for name, (_, scores) in found.items()})
    units = units_of(recipe, of)
    if isinstance(task, Classes):
        most = max(range(task.outputs), key=lambda index: task.counts[index])
        return f'always "{task.names[most]}"', score(_constant(part, task, most), task, units, CPU)
    past = past_channels(task, recipe, inputs)
    if past and isinstance(inputs, tuple):
        words = f"the value {inputs[-1]} steps before"
        return words, score(_one_window_before(part, task, past, units), task, Units(), CPU)
    return "the mean of train", score(_mean(part, task), task, units, CPU)


def _batches(part: Part) -> Pairs:
    yield from part.batches([*range(0, part.rows, ROWS), part.rows], None)


def _constant(part: Part, task: Classes, index: int) -> Pairs:
    for _, target in _batches(part):
        predicted = torch.zeros(len(target), task.outputs)
        predicted[:, index] = 1
        yield predicted, task.truth(target).cpu()


def _mean(part: Part, task: Numbers) -> Pairs:
    mean = torch.tensor(task.mean, dtype=torch.float64)
    shape = (len(task.mean), *(1 for _ in task.shape[1:])) if task.shape else ()
    for _, target in _batches(part):
        yield mean.reshape(shape).expand(len(target), *task.shape), target.cpu()


def _one_window_before(part: Part, task: Numbers, past: list[Channelled], units: Units) -> Pairs:
    for inputs, target in _batches(part):
        values = [decoded(one, inputs[:, one.start, : task.shape[1]].cpu().numpy()) for one in past]
        yield torch.from_numpy(np.stack(values, axis=1)), units.original(target)
