"""Evaluate a trained model on rows that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from tensorize.api import read
from tensorize.core.errors import UsageError, near
from tensorize.core.tensorset import TensorSet
from tensorize.train.baseline import trivial
from tensorize.train.checkpoint import Checkpoint
from tensorize.train.device import Runner, device_of, enough_memory, resident_bytes
from tensorize.train.losses import as_trained, make_loss
from tensorize.train.metrics import Scores, judge, units_for
from tensorize.train.parts import Part, as_stored, parts_of, place
from tensorize.train.task import Classes, Targets, Task


@dataclass(frozen=True)
class Evaluation:
    """The scores of a model on one part, beside those of a trivial predictor.

    `metrics`: for classes `loss`, `accuracy`, `macro_f1`; for numbers `loss`, and `mae`, `rmse`, `r2` in original units.
    `per_class`: class → the share of its rows that were recognised, None if it has none. `confusion`: (true, predicted).
    Several targets: metrics such as `size_mae`, classes such as `kind=round`, and no confusion.
    """

    split: str
    rows: int
    metrics: Mapping[str, float | None]
    per_class: Mapping[str, float | None]
    confusion: tuple[tuple[int, ...], ...]
    trivial: Mapping[str, float | None]
    trivial_is: str


def evaluate(
    checkpoint: Checkpoint | str | Path,
    data: TensorSet | str | Path,
    *,
    split: str | None = None,
    model: nn.Module | None = None,
    device: str = "auto",
) -> Evaluation:
    """Evaluate a checkpoint on a part of a prepared set: `split`, or the test part, else val, else all rows.

    `model` is the module that was passed to `fit`, if one was. A set without a split is split as `fit` did it.

    Raises UsageError if the set was prepared by another recipe, or has no such part.
    """
    found = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint.load(checkpoint)
    tensors = data if isinstance(data, TensorSet) else read(data)
    _same_recipe(found, tensors)
    name, rows = _chosen(found, tensors, split)
    where = device_of(device)
    with enough_memory(where):
        part = place(rows, as_stored, where, resident_bytes(where))
        loss, scores = _judged(found, part, Runner.of(found.build(model), where, found.settings.precision))
    words, baseline = trivial(place(rows, as_stored, torch.device("cpu"), 0), found.task, found.recipe, found.inputs)
    return Evaluation(
        split=name,
        rows=rows.num_rows,
        metrics={"loss": loss, **scores.values},
        per_class=_per_class(found.task, scores),
        confusion=scores.confusion,
        trivial=baseline.values,
        trivial_is=words,
    )


def _per_class(task: Task, scores: Scores) -> dict[str, float | None]:
    """Class → the share of its rows that were recognised; `target=class` where there are several targets."""
    if isinstance(task, Targets):
        parts = {name: _per_class(part, scores.parts[name]) for name, part in task.parts.items()}
        return {f"{name}={label}": share for name, part in parts.items() for label, share in part.items()}
    return dict(zip(task.names, scores.per_class, strict=True)) if isinstance(task, Classes) else {}


def _judged(found: Checkpoint, part: Part, runner: Runner) -> tuple[float, Scores]:
    """Loss and scores; a loss that was passed in is not stored, so the task's own replaces it."""
    settings = found.settings
    if settings.loss is not None and not hasattr(nn, settings.loss.partition(":")[0]):
        settings = settings.model_copy(update={"loss": None})
    loss, task = make_loss(settings, found.task, None)
    moved = loss.to(runner.device) if isinstance(loss, nn.Module) else loss
    task = as_trained(task, found.task)
    return judge(runner, part, task, units_for(task, found.recipe), moved)


def _same_recipe(found: Checkpoint, tensors: TensorSet) -> None:
    if not tensors.recipe.amends(found.recipe):
        raise UsageError(
            "this file was prepared by another recipe than the model's data, so its numbers mean something else",
            hint="prepare it with the model's recipe; for raw data there is: tensorize predict MODEL RAW",
        )


def _chosen(found: Checkpoint, tensors: TensorSet, split: str | None) -> tuple[str, TensorSet]:
    """The part to look at. A set without a split has the parts of `fit` if it was trained on; else all of it is new."""
    if tensors.splits or tensors.num_rows == found.split_rows:
        parts = parts_of(tensors, found.settings.split, found.settings.seed)
    else:
        parts = {"all": tensors}
    name = split or next(part for part in ("test", "val", "all", "train") if part in parts)
    if name not in parts:
        raise UsageError(f'there is no part "{name}"{near(name, parts)}', hint="parts: " + ", ".join(parts))
    return name, parts[name]
