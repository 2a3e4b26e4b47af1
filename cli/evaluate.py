"""`tensorize evaluate MODEL FILE`: judge a model by rows that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import flags
from .places import placed
from .show import number, print_json, print_table, say

if TYPE_CHECKING:
    from tensorize.train import Evaluation

CONFUSION = 12
"""Classes up to which the confusion matrix is printed."""

File = Annotated[Path, typer.Argument(metavar="FILE", help="The prepared file it was trained on, or one of the same recipe.")]
Split = Annotated[
    str | None,
    typer.Option("--split", metavar="PART", help=r"train, val or test. \[default: test, else val, else all]"),
]


@placed
def command(
    model: flags.Model,
    file: File,
    *,
    split: Split = None,
    device: flags.Device = "auto",
    max_header: flags.MaxHeader = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    debug: flags.Debug = False,
) -> None:
    """Judge a model by the test part of a prepared file, beside a predictor that has learned nothing."""
    from tensorize.train import evaluate

    del debug, max_header, timeout
    found = evaluate(model, file, split=split, device=device)
    if as_json:
        print_json("evaluate", _body(found))
        return
    say(f"{file}   {found.split} {found.rows:,} rows")
    _print_metrics(found)
    _print_classes(found)


def _print_metrics(found: Evaluation) -> None:
    rows = [["", "model", found.trivial_is]]
    rows += [[name, number(value), number(found.trivial.get(name))] for name, value in found.metrics.items()]
    print_table(rows)


def _print_classes(found: Evaluation) -> None:
    if not found.per_class:
        return
    names, counts = list(found.per_class), found.confusion
    if not counts:  # several targets have no confusion matrix in common
        print_table([["class", "accuracy"], *([name, number(share)] for name, share in found.per_class.items())])
        return
    small = len(names) <= CONFUSION
    say("  each class: the share of its rows that were recognised" + (", and what they were taken for" if small else ""))
    rows = [["class", "rows", "accuracy", *(names if small else [])]]
    for name, row in zip(names, counts, strict=True):
        rows.append([name, f"{sum(row):,}", number(found.per_class[name]), *(map(str, row) if small else [])])
    print_table(rows)


def _body(found: Evaluation) -> Mapping[str, object]:
    return {
        "split": found.split,
        "rows": found.rows,
        "metrics": dict(found.metrics),
        "per_class": dict(found.per_class),
        "confusion": [list(row) for row in found.confusion],
        "trivial": dict(found.trivial),
        "trivial_is": found.trivial_is,
    }
