"""Pictures of a training run: losses, metrics, and the confusion matrix where there is one."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from tensorize.core.errors import UsageError, shown
from tensorize.storage.partfile import PartFile
from tensorize.train.checkpoint import Checkpoint
from tensorize.train.evaluate import Evaluation
from tensorize.train.metrics import main_metric

SUFFIXES = (".png", ".svg", ".pdf")


def plot(checkpoint: Checkpoint, path: str | Path, *, evaluation: Evaluation | None = None, force: bool = False) -> Path:
    """Draw the curves of a run into a .png, .svg or .pdf, and beside them the confusion matrix of an evaluation.

    Raises UsageError for another suffix, a file that exists, or where matplotlib is not installed.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(f'a picture cannot be written as "{target.suffix}"', hint="suffixes: " + ", ".join(SUFFIXES))
    part = PartFile(target, force=force)
    try:
        part.write(0, _drawn(checkpoint, evaluation, target.suffix[1:].lower()))
        part.commit()
    finally:
        part.abort()
    return target


def _drawn(checkpoint: Checkpoint, evaluation: Evaluation | None, kind: str) -> bytes:
    figures = _figure()
    confusion = evaluation is not None and bool(evaluation.confusion)
    columns = 3 if confusion else 2
    figure = figures.Figure(figsize=(5 * columns, 4), layout="constrained")
    axes = figure.subplots(1, columns)
    _losses(axes[0], checkpoint)
    _metric(axes[1], checkpoint, evaluation)
    if evaluation is not None and confusion:
        _confusion(axes[2], evaluation)
    held = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a letter that the font lacks is a box in the picture
        figure.savefig(held, format=kind)
    return held.getvalue()


def _figure() -> Any:
    try:
        from matplotlib import figure
    except ImportError:
        raise UsageError("plots need matplotlib, which is not installed", hint="pip install 'tensorize[plot]'") from None
    return figure


def _losses(axes: Any, checkpoint: Checkpoint) -> None:
    numbers = [epoch.number for epoch in checkpoint.epochs]
    axes.plot(numbers, [epoch.loss for epoch in checkpoint.epochs], label="train")
    if checkpoint.epochs and checkpoint.epochs[0].val:
        axes.plot(numbers, [epoch.val["loss"] for epoch in checkpoint.epochs], label="val")
    axes.set(xlabel="epoch", ylabel="loss", title="loss")
    axes.legend()


def _metric(axes: Any, checkpoint: Checkpoint, evaluation: Evaluation | None) -> None:
    name = main_metric(checkpoint.task)
    judged = [epoch for epoch in checkpoint.epochs if name in epoch.val]
    axes.plot([epoch.number for epoch in judged], [epoch.val[name] for epoch in judged], label="val")
    if evaluation is not None and (value := evaluation.metrics.get(name)) is not None:
        axes.axhline(value, linestyle="--", color="black", label=evaluation.split)
    if evaluation is not None and (baseline := evaluation.trivial.get(name)) is not None:
        axes.axhline(baseline, linestyle=":", color="grey", label=_written(evaluation.trivial_is))
    axes.set(xlabel="epoch", ylabel=name, title=name)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def _confusion(axes: Any, evaluation: Evaluation) -> None:
    names = [_written(name) for name in evaluation.per_class]
    rows = [[count / max(1, sum(row)) for count in row] for row in evaluation.confusion]
    axes.imshow(rows, vmin=0, vmax=1, cmap="Blues")
    axes.set(xlabel="predicted", ylabel="true", title=f"{evaluation.split}: share of each class")
    if len(names) <= 20:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)


def _written(name: str) -> str:
    r"""A name that comes from a file, as a picture shows it: no control characters, and no formula between dollar signs.

    >>> _written("5$ to 9$")
    '5\\$ to 9\\$'
    """
    return shown(name).replace("$", r"\$")
