"""What windows know of their own targets: where each stands among the inputs, and in which numbers."""

from __future__ import annotations

from tensorize.columns.fitted import Channelled
from tensorize.core.recipe import Recipe
from tensorize.train.parts import Shape
from tensorize.train.task import Numbers, Task
from tensorize.train.units import channels

Affine = tuple[float, float]
"""(offset, width) of (x − offset) / width."""


def past_channels(task: Task, recipe: Recipe, inputs: Shape) -> list[Channelled]:
    """The input channel of each target; none where one is missing, the horizon is longer than the window, or there is none."""
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

    None where a target is no input, or one of the two is scaled by something else than a factor and an offset.
    """
    before = past_channels(task, recipe, inputs)
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
