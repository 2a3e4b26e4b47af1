"""What a predictor gets that has learned nothing: no model is worth its name that does no better."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tensorize.columns.fitted import Channelled
from tensorize.core.recipe import Recipe
from tensorize.train.judge import score
from tensorize.train.metrics import Scores
from tensorize.train.parts import Part
from tensorize.train.past import past_channels
from tensorize.train.runner import ROWS
from tensorize.train.task import Classes, Numbers, Task
from tensorize.train.units import Units, decoded, units_of

CPU = torch.device("cpu")
Pairs = Iterator[tuple[Tensor, Tensor]]


def trivial(part: Part, task: Task, recipe: Recipe, inputs: tuple[int, ...]) -> tuple[str, Scores]:
    """What it does, in words, and its scores on a part.

    Classes: the most frequent one of train. Windows: the target one window before, where it is among the inputs and the
    horizon no longer than the window. Other numbers: the mean of train.
    """
    units = units_of(recipe)
    if isinstance(task, Classes):
        most = max(range(task.outputs), key=lambda index: task.counts[index])
        return f'always "{task.names[most]}"', score(_constant(part, task, most), task, units, CPU)
    past = past_channels(task, recipe, inputs)
    if past:
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
