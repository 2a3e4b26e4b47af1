"""From a prepared set to its task: the kind of the target, its names, and what is learned of it from train rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tensorize.core import registry
from tensorize.core.contracts import BLOCK_ROWS, Array, TensorSpec, traits_of
from tensorize.core.errors import UsageError
from tensorize.core.tensorset import TensorSet
from tensorize.statistics.moments import Moments
from tensorize.train.task import Classes, Numbers, One, Targets, Task
from tensorize.transforms.lookup import build


def task_of(train: TensorSet, target_scale: str) -> Task:
    """The task of the train rows, told from the targets alone. Raises UsageError where the set has none."""
    specs = train.by_role("target")
    if not specs:
        raise _no_target(train)
    target: Any = train.batch(slice(0, 1))[1]
    scaled = target_scale == "zscore"
    if not isinstance(target, Mapping):
        return _task_of_one(train, specs[0], tuple(target.shape[1:]), scaled)
    return Targets(
        {name: _task_of_one(train, train.spec(name), tuple(x.shape[1:]), scaled, name) for name, x in target.items()}
    )


def _task_of_one(train: TensorSet, spec: TensorSpec, shape: tuple[int, ...], scaled: bool, of: str | None = None) -> One:
    """The task of a target; `of` is its name where there are several. `shape` is that of one row as it is trained."""
    if spec.axes[-1] == "class" or np.dtype(spec.dtype).kind == "i":
        return _classes(train, spec, of)
    return _numbers(train, spec, shape, scaled, of)


def _no_target(train: TensorSet) -> UsageError:
    """The error for a set with nothing to predict, with the way to make one for its kind."""
    hint = traits_of(train.recipe.loader).target_hint
    return UsageError(f"this file of {train.kind} has no target to train for", hint=hint)


def _classes(train: TensorSet, spec: TensorSpec, of: str | None) -> Classes:
    one_hot = spec.axes[-1] == "class"
    counts = np.zeros(spec.shape[1] if one_hot else 0, dtype=np.int64)
    for block in blocks(train, spec):
        found = block.sum(axis=0).astype(np.int64) if one_hot else np.bincount(block)
        counts = np.pad(counts, (0, max(0, len(found) - len(counts))))
        counts[: len(found)] += found
    column, names = _class_names(train, of)
    names = names or tuple(map(str, range(len(counts))))
    if len(names) < 2:
        raise UsageError(f'there is one class, "{names[0]}", and nothing to tell it from', hint="a model needs two classes")
    return Classes(names, tuple(np.pad(counts, (0, len(names) - len(counts))).tolist()), column, one_hot)


def _class_names(train: TensorSet, of: str | None) -> tuple[str, tuple[str, ...]]:
    """The column and its categories, as the recipe has them; empty where it has none."""
    for step in train.recipe.learned:
        if of not in (None, step.of):
            continue
        if step.role == "target" and "classes" in step.state:
            return of or "class", tuple(map(str, step.state["classes"]))
        if step.role == "target" and step.step in registry.table("transforms"):
            transform = build(step.step, step.state)
            if transform.categorical:
                return step.of, tuple(map(str, transform.values() or ()))
    return of or "class", ()


def _numbers(train: TensorSet, spec: TensorSpec, shape: tuple[int, ...], scaled: bool, of: str | None) -> Numbers:
    learned = tuple(step.of for step in train.recipe.learned if step.role == "target" and of in (None, step.of))
    names = spec.labels.get("target") or learned or (spec.name,)
    moments = [Moments() for _ in names]
    for block in blocks(train, spec):
        flat = _by_target(block, spec).astype(np.float64)
        moments = [found.update(flat[:, index]) for index, found in enumerate(moments)]
    return Numbers(names, shape, tuple(found.mean for found in moments), tuple(found.std() or 1.0 for found in moments), scaled)


def _by_target(block: Array, spec: TensorSpec) -> Array:
    """(row), (row, target), (row, target, step) or (step, target) → (value, target)."""
    if "target" not in spec.axes:
        return block.reshape(-1, 1)
    at = spec.axes.index("target")
    return np.moveaxis(block, at, -1).reshape(-1, spec.shape[at])


def blocks(tensors: TensorSet, spec: TensorSpec) -> Iterator[Array]:
    """The stored values of a tensor, a bounded number of rows at a time."""
    for start in range(0, spec.shape[0], BLOCK_ROWS):
        yield tensors.store.read(spec.key, start, min(start + BLOCK_ROWS, spec.shape[0]))
