"""What can be predicted without a model: the most frequent class, the mean, or the value one window before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tensorize.columns.fitted import Channelled
from tensorize.core.recipe import Recipe
from tensorize.train.device import ROWS
from tensorize.train.metrics import Scores, Units, channels, decoded, score, units_of
from tensorize.train.parts import OneTarget, Part, Shape
from tensorize.train.task import Classes, Numbers, Targets, Task

CPU = torch.device("cpu")
Pairs = Iterator[tuple[Tensor, Tensor]]


def trivial(part: Part, task: Task, recipe: Recipe, inputs: Shape, of: str | None = None) -> tuple[str, Scores]:
    """What the trivial predictor does, in words, and its scores on a part.

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


Affine = tuple[float, float]
"""(offset, width) of (x − offset) / width."""


def past_channels(task: Task, recipe: Recipe, inputs: Shape) -> list[Channelled]:
    """The input channel of each target; none if one is missing, the horizon is longer than the window, or there is none."""
    if (
        not isinstance(task, Numbers)
        or not isinstance(inputs, tuple)
        or len(task.shape) != 2
        or len(inputs) != 2
        or task.shape[1] > inputs[1]
    ):
        return []
    found = {part.column: part for part in channels(recipe, "input")}
    return [found[name] for name in task.names] if all(name in found for name in task.names) else []


def past_of(task: Task, recipe: Recipe, inputs: Shape) -> list[list[float]] | None:
    """For each target (channel, factor, offset): value · factor + offset of that input channel are the target as it is trained.

    None if a target is not among the inputs, or one of the two is scaled by something else than a factor and an offset.
    """
    before = past_channels(task, recipe, inputs) if not task.linked else []
    after = {part.column: part for part in channels(recipe, "target")}
    if not before or not isinstance(task, Numbers) or not all(name in after for name in task.names):
        return None
    found = []
    for part, name, moments in zip(before, task.names, _moments(task), strict=True):
        own, target = part.transform.affine(), after[name].transform.affine()
        if own is None or target is None:
            return None
        found.append([part.start, *_between(own, target, *moments)])
    return found


def _moments(task: Numbers) -> list[tuple[float, float]]:
    return list(zip(task.mean, task.std, strict=True)) if task.scaled else [(0.0, 1.0)] * len(task.names)


def _between(own: Affine, target: Affine, mean: float, std: float) -> tuple[float, float]:
    """(factor, offset) from an input channel to a target as it is trained."""
    (offset, width), (target_offset, target_width) = own, target
    return width / (target_width * std), ((offset - target_offset) / target_width - mean) / std
