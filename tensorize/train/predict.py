"""Predict from raw data: the model's own recipe prepares them, and what it says is turned back into classes and units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from tensorize import pipeline
from tensorize.core.contracts import Facts
from tensorize.core.tensorset import TensorSet
from tensorize.train.checkpoint import Checkpoint
from tensorize.train.device import device_of, enough_memory
from tensorize.train.runner import ROWS, Runner
from tensorize.train.task import Classes, Numbers, Task
from tensorize.train.units import Units, units_of


def predict(
    checkpoint: Checkpoint | str | Path,
    source: Any,
    *,
    model: nn.Module | None = None,
    device: str = "auto",
    changed: Mapping[str, Any] | None = None,
    **run: Any,
) -> pa.Table:
    """Predict from raw data of any kind that `Recipe.apply` takes: a path, a table, one row as a mapping.

    One row for each sample, in the order of the source: `row`, the source row; `id` or `path` where there is one; then for
    classes the name and the probability of each, `p(name)`, for numbers the prediction in original units, one column for
    each step of a horizon. `changed` are policies (`on_bad`, `max_bad`, `unseen`, `missing`) and limits; `run` takes threads,
    chunk_bytes, scratch.

    Raises what `Recipe.apply` raises.
    """
    found = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint.load(checkpoint)
    with predictions(found, source, pipeline.make_run(**run), model=model, device=device, changed=changed) as made:
        return pa.Table.from_batches(made.tables, schema=made.schema)


@dataclass(frozen=True)
class Predictions:
    """Finished rows, table by table."""

    facts: Facts
    schema: pa.Schema
    tables: Iterator[pa.RecordBatch]
    stream: pipeline.Stream


@contextmanager
def predictions(
    checkpoint: Checkpoint,
    source: Any,
    run: pipeline.RunOptions,
    *,
    output: pipeline.Output | None = None,
    model: nn.Module | None = None,
    device: str = "auto",
    changed: Mapping[str, Any] | None = None,
) -> Iterator[Predictions]:
    """As `predict`, a bounded number of rows at a time."""
    recipe = checkpoint.recipe
    where, units = device_of(device), units_of(recipe)
    with enough_memory(where):
        runner = Runner.of(checkpoint.build(model), where, checkpoint.settings.precision)
        with pipeline.stream(recipe, source, run, output or pipeline.Output(), changed) as stream:
            schema = _schema(checkpoint.task, stream)
            tables = (
                _table(schema, part, checkpoint.task, units, _values(checkpoint.task, runner, part)) for part in stream.pieces
            )
            yield Predictions(stream.facts, schema, tables, stream)


def _values(task: Task, runner: Runner, part: TensorSet) -> Tensor:
    """Probabilities or numbers of the file, (row, …) on the CPU, in the very batches of the evaluation."""
    edges = [*range(0, part.rows, ROWS), part.rows]
    inputs = (part.batch(slice(start, stop), runner.device)[0] for start, stop in pairwise(edges))
    return torch.cat([task.read(runner.predict(batch)).cpu() for batch in inputs])


def _schema(task: Task, stream: pipeline.Stream) -> pa.Schema:
    kept: list[tuple[str, pa.DataType]] = [("row", pa.int64())]
    kept += [(spec.name, pa.from_numpy_dtype(np.dtype(spec.dtype))) for spec in stream.specs if spec.name == "id"]
    if stream.kind == "images":
        kept.append(("path", pa.string()))
    if isinstance(task, Classes):
        kept += [(task.column, pa.string()), *((f"p({name})", pa.float32()) for name in task.names)]
    else:
        kept += [(name, pa.float64()) for name in number_names(task)]
    return pa.schema(kept)


def number_names(task: Numbers) -> list[str]:
    """A column for each number: the target's name, with the step of the horizon where there is one.

    >>> number_names(Numbers(names=("cnt",), shape=(1, 2), mean=(0.0,), std=(1.0,)))
    ['cnt+1', 'cnt+2']
    """
    steps = task.shape[1] if len(task.shape) == 2 else 0
    return [f"{name}+{step}" for name in task.names for step in range(1, steps + 1)] if steps else list(task.names)


def _table(schema: pa.Schema, part: TensorSet, task: Task, units: Units, values: Tensor) -> pa.RecordBatch:
    columns: list[Any] = [part.numpy(name) for name in ("row", "id") if name in part]
    if "path" in schema.names:
        columns.append(list(part.meta["paths"]))
    if isinstance(task, Classes):
        names = np.array(task.names, dtype=object)
        columns += [names[values.argmax(dim=1).numpy()], *values.numpy().T]
    else:
        columns += list(units.original(values).reshape(len(values), -1).numpy().T)
    return pa.record_batch([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)
