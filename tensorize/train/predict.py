"""Predict from raw data: the model's own recipe prepares them, and what it says is turned back into classes and units."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from torch import nn

from tensorize import pipeline
from tensorize.core.contracts import Facts
from tensorize.core.errors import UsageError, near
from tensorize.core.layout import Named
from tensorize.core.tensorset import TensorSet
from tensorize.storage.partfile import PartFile
from tensorize.train.checkpoint import Checkpoint
from tensorize.train.device import ROWS, Runner, device_of, enough_memory
from tensorize.train.metrics import UnitsOf, units_for
from tensorize.train.parts import joined_batches, mapped
from tensorize.train.task import Classes, Numbers, Targets, Task


def predict(
    checkpoint: Checkpoint | str | Path,
    source: Any,
    *,
    model: nn.Module | None = None,
    device: str = "auto",
    changed: Mapping[str, Any] | None = None,
    **others: Any,
) -> pa.Table:
    """Predict from raw data of any kind that `Recipe.apply` takes: a path, a table, one row as a mapping.

    One row for each sample, in the order of the source: `row`, the source row; `id` or `path` where there is one; for windows
    the `group` where there are groups and the `time` of the first step that is predicted, where there are times; then for
    classes the name and the probability of each, `p(name)`, for numbers the prediction in original units, one column for
    each step of a horizon. `changed` are policies (`on_bad`, `max_bad`, `unseen`, `missing`) and limits; `others` are those of
    `Recipe.apply`: threads, chunk_bytes, scratch, and how the data are written, such as `encoding`.

    Raises what `Recipe.apply` raises.
    """
    found = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint.load(checkpoint)
    run, written = pipeline.split_run(others)
    with predictions(found, source, run, model=model, device=device, changed={**written, **(changed or {})}) as made:
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
    where, units = device_of(device), units_for(checkpoint.task, recipe)
    with enough_memory(where):
        runner = Runner.of(checkpoint.build(model), where, checkpoint.settings.precision)
        with pipeline.stream(recipe, source, run, output or pipeline.Output(), changed) as stream:
            schema = _schema(checkpoint.task, stream)
            tables = (
                _table(schema, part, stream, _values(checkpoint.task, runner, part), task=checkpoint.task, units=units)
                for part in stream.pieces
            )
            yield Predictions(stream.facts, schema, tables, stream)


def _values(task: Task, runner: Runner, part: TensorSet) -> Named:
    """Probabilities or numbers of the file, (row, …) on the CPU, in the very batches of the evaluation."""
    edges = [*range(0, part.num_rows, ROWS), part.num_rows]
    inputs = (part.batch(slice(start, stop), runner.device)[0] for start, stop in pairwise(edges))
    return joined_batches([mapped(lambda x: x.cpu(), task.read(runner.predict(batch))) for batch in inputs])


def _schema(task: Task, stream: pipeline.Stream) -> pa.Schema:
    kept: list[tuple[str, pa.DataType]] = [("row", pa.int64())]
    kept += [(spec.name, pa.from_numpy_dtype(np.dtype(spec.dtype))) for spec in stream.specs if spec.name == "id"]
    kept += [("path", pa.string())] * ("paths" in stream.texts)
    kept += [(name, told(np.empty(0, np.int64)).type) for name, told in stream.told.items()]
    return pa.schema([*kept, *_fields(task)])


def _fields(task: Task, of: str = "") -> list[tuple[str, pa.DataType]]:
    """The columns of a prediction; `of` is the name of the target where there are several."""
    if isinstance(task, Targets):
        return [field for name, part in task.parts.items() for field in _fields(part, name)]
    if isinstance(task, Classes):
        said = f"{of}=" if of else ""
        return [(task.column, pa.string()), *((f"p({said}{name})", pa.float32()) for name in task.names)]
    return [(name, pa.float64()) for name in number_names(task)]


def number_names(task: Numbers) -> list[str]:
    """A column for each number: the target's name, with the step of the horizon where there is one.

    >>> number_names(Numbers(names=("cnt",), shape=(1, 2), mean=(0.0,), std=(1.0,)))
    ['cnt+1', 'cnt+2']
    """
    steps = task.shape[1] if len(task.shape) == 2 else 0
    return [f"{name}+{step}" for name in task.names for step in range(1, steps + 1)] if steps else list(task.names)


def _table(
    schema: pa.Schema, part: TensorSet, stream: pipeline.Stream, values: Named, *, task: Task, units: UnitsOf
) -> pa.RecordBatch:
    columns: list[Any] = [part.numpy(name) for name in ("row", "id") if name in part]
    if "path" in schema.names:
        columns.append(list(part.meta["paths"]))
    columns += [told(part.numpy(name)) for name, told in stream.told.items()]
    columns += _columns(task, units, values)
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def _columns(task: Task, units: UnitsOf, values: Named) -> list[Any]:
    """What `_fields` names."""
    if isinstance(task, Targets):
        return [column for name, part in task.parts.items() for column in _columns(part, units[name], values[name])]
    if isinstance(task, Classes):
        names = np.array(task.names, dtype=object)
        return [names[values.argmax(dim=1).numpy()], *values.numpy().T]
    return list(units.original(values).reshape(len(values), -1).numpy().T)


WRITERS: Mapping[str, Callable[[Any, pa.Schema], Any]] = {".csv": pc.CSVWriter, ".parquet": pq.ParquetWriter}


def check_suffix(path: Path) -> str:
    """The suffix, if predictions can be written under it. Raises UsageError if not."""
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(
            f'predictions cannot be written as "{suffix}"{near(suffix, WRITERS)}', hint="suffixes: .csv, .parquet, or -"
        )
    return suffix


def write_file(made: Predictions, path: Path, *, force: bool = False) -> int:
    """Write a .csv or .parquet file; the number of rows. Raises UsageError if it exists, unless `force`."""
    suffix, part = check_suffix(path), PartFile(path, force=force)
    try:
        with os.fdopen(os.dup(part.fd), "wb") as file:
            rows = write_stream(made, file, suffix)
        part.commit()
    except OSError as error:
        raise part.told(error) from error
    finally:
        part.abort()
    return rows


def write_stream(made: Predictions, stream: BinaryIO, suffix: str) -> int:
    """Write everything to an open stream; the number of rows."""
    rows = 0
    with WRITERS[suffix](stream, made.schema) as writer:
        for table in made.tables:
            writer.write_batch(table)
            rows += table.num_rows
    return rows
