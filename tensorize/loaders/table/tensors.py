"""The tensors of a table: their specs, and their values for a block of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from tensorize.columns.cells import FaultyCells, unseen_notes
from tensorize.columns.fitted import Channelled, Fitted, Unseen, channel_names, ready
from tensorize.columns.options import ColumnOptions
from tensorize.columns.roles import one, separate
from tensorize.core.contracts import Array, TensorSpec
from tensorize.core.errors import plural
from tensorize.core.options import column_and
from tensorize.core.schema import Schema

EXACT = 1 << 24
"""float32 holds every integer up to here."""


@dataclass(frozen=True)
class BlockFindings:
    """What a block's values showed: counted by the thread that makes the block, added up in block order by one thread."""

    inexact: Counter[str] = field(default_factory=Counter)
    """Column → values that float32 cannot hold."""
    inexact_targets: Counter[str] = field(default_factory=Counter)
    """Target → values that float32 cannot hold."""
    unseen: FaultyCells = field(default_factory=FaultyCells)
    """Categories that train has not."""

    def merge(self, other: BlockFindings) -> BlockFindings:
        """With what the next block showed."""
        return BlockFindings(
            self.inexact + other.inexact,
            self.inexact_targets + other.inexact_targets,
            FaultyCells().merge(self.unseen).merge(other.unseen),
        )

    def look(self, batch: pa.RecordBatch, rows: Array, fitted: Fitted, parts: Sequence[Channelled]) -> None:
        """Remember the values that the transforms of `parts` refuse; `rows` (row) are the source rows of the batch."""
        Unseen(self.unseen).look(batch, rows, fitted, parts)

    def remarks(self, unseen: str) -> list[str]:
        """Notes on what was written; `unseen` is what has become of categories that train has not."""
        return (
            unseen_notes(self.unseen, unseen)
            + [
                f'"{name}": {plural(count, "value does", "values do")} not fit float32 exactly; say --zscore or --drop "{name}"'
                for name, count in self.inexact.items()
                if count
            ]
            + [
                f'target "{name}": {plural(count, "value does", "values do")} not fit float32 exactly; say --zscore "{name}"'
                for name, count in self.inexact_targets.items()
                if count
            ]
        )


@dataclass(frozen=True)
class TableTensors:
    """What the rows of a table become: `features`, `categories`, `target`, `row` and a numeric `id`."""

    fitted: Fitted
    options: ColumnOptions
    schema: Schema
    with_target: bool
    origin: str = ""
    """Where the statistics come from, in words."""

    @property
    def as_ids(self) -> bool:
        """Whether one-hot blocks are stored as ids."""
        return getattr(self.options, "encode", "onehot") == "ids"

    @cached_property
    def blocks(self) -> tuple[Channelled, ...]:
        """The one-hot blocks among the inputs."""
        return tuple(part for part in self.fitted.inputs if part.transform.categorical)

    @cached_property
    def plain(self) -> tuple[Channelled, ...]:
        """What `features` holds: all inputs, or those that are no ids; with their places in it."""
        kept = [part for part in self.fitted.inputs if not (self.as_ids and part in self.blocks)]
        at = np.cumsum([0, *(part.stop - part.start for part in kept)])
        return tuple(
            Channelled(part.column, part.transform, int(start), int(stop))
            for part, start, stop in zip(kept, at, at[1:], strict=False)
        )

    @property
    def reserved(self) -> int:
        """1 where id 0 means unseen, else 0."""
        return int(self.options.unseen == "unknown")

    @cached_property
    def may_be_unseen(self) -> tuple[Channelled, ...]:
        """Where a value without a place is an error: everywhere, or in targets and ranks alone."""
        strict = [part for part in self.fitted.inputs if part.is_strict(bool(self.reserved))]
        targets = self.fitted.targets if self.with_target else ()
        return (*strict, *(part for part in targets if part.is_strict(False)))

    @cached_property
    def target_is_index(self) -> bool:
        """A class target that no flag asked to be one-hot: int64 index into the sorted values."""
        asked = {column_and(value, self.schema.names)[0] for value in separate(self.options.onehot, self.schema.names)}
        parts = self.fitted.targets
        return len(parts) == 1 and parts[0].transform.categorical and parts[0].column not in asked

    @property
    def id(self) -> str | None:
        """The column of a numeric id."""
        name = one(self.options, "id")
        return name if name and name in self.schema and self.schema[name].storage in ("int64", "float64") else None

    def specs(self, rows: int, split: str | None) -> list[TensorSpec]:
        """The specs of one split of so many rows."""
        names = channel_names(self.plain, self.fitted.channels[self._width :])
        found = [TensorSpec("features", (rows, len(names)), "float32", ("row", "feature"), "input", {"feature": names}, split)]
        if self.as_ids and self.blocks:
            columns = tuple(part.column for part in self.blocks)
            found.append(
                TensorSpec("categories", (rows, len(columns)), "int64", ("row", "column"), "input", {"column": columns}, split)
            )
        if self.fitted.targets and self.with_target:
            found.append(self._target_spec(rows, split))
        found.append(TensorSpec("row", (rows,), "int64", ("row",), "meta", {}, split))
        if self.id:
            found.append(TensorSpec("id", (rows,), self.schema[self.id].storage, ("row",), "meta", {}, split))
        return found

    @property
    def _width(self) -> int:
        """The number of channels before the indicators."""
        return self.fitted.inputs[-1].stop if self.fitted.inputs else 0

    def _target_spec(self, rows: int, split: str | None) -> TensorSpec:
        parts = self.fitted.targets
        if self.target_is_index:
            return TensorSpec("target", (rows,), "int64", ("row",), "target", {}, split)
        names = channel_names(parts)
        if len(parts) == 1 and len(names) == 1:
            return TensorSpec("target", (rows,), "float32", ("row",), "target", {}, split)
        axis = "class" if len(parts) == 1 else "target"
        return TensorSpec("target", (rows, len(names)), "float32", ("row", axis), "target", {axis: names}, split)

    def values(self, batch: pa.RecordBatch, rows: Array) -> tuple[dict[str, Array], BlockFindings]:
        """The values of every tensor for the rows of a batch; `rows` (row) int64 are their source rows."""
        count = batch.num_rows
        width = sum(part.stop - part.start for part in self.plain) + len(self.fitted.indicators)
        features = np.zeros((count, width), dtype=np.float32)
        seen = BlockFindings()
        seen.look(batch, rows, self.fitted, self.fitted.encode(batch, features, self.plain))
        self.fitted.indicate(batch, features)
        seen.inexact.update(self._inexact(batch, features, self.plain))
        found: dict[str, Array] = {"features": features}
        if self.as_ids and self.blocks:
            found["categories"] = np.stack([self._ids(batch, rows, part, seen) + self.reserved for part in self.blocks], axis=1)
        if self.fitted.targets and self.with_target:
            found["target"] = self._target(batch, rows, seen)
        found["row"] = rows
        if self.id:
            found["id"] = batch.column(self.id).to_numpy(zero_copy_only=False)
        return found, seen

    def _ids(self, batch: pa.RecordBatch, rows: Array, part: Channelled, seen: BlockFindings) -> Array:
        """The ids (row) int64 of a one-hot column, −1 for an unseen category."""
        ids = part.transform.ids(self.fitted.filled(batch, part.column))
        if len(ids) and ids.min() < 0:
            seen.look(batch, rows, self.fitted, [part])
        return ids

    def _target(self, batch: pa.RecordBatch, rows: Array, seen: BlockFindings) -> Array:
        parts = self.fitted.targets
        if self.target_is_index:
            return self._ids(batch, rows, parts[0], seen)
        values = np.zeros((batch.num_rows, parts[-1].stop), dtype=np.float32)
        seen.look(batch, rows, self.fitted, self.fitted.encode(batch, values, parts))
        seen.inexact_targets.update(self._inexact(batch, values, parts))
        return values[:, 0] if values.shape[1] == 1 and len(parts) == 1 else values

    def _inexact(self, batch: pa.RecordBatch, values: Array, parts: Sequence[Channelled]) -> Counter[str]:
        """Count the values of unscaled columns that float32 cannot hold: ids above 2^24, time stamps."""
        found: Counter[str] = Counter()
        for part in parts:
            if part.stop - part.start == 1 and part.transform.identity:
                given = ready(self.fitted.filled(batch, part.column), part).to_numpy(zero_copy_only=False).astype(np.float64)
                large = np.abs(given) > EXACT
                if large.any():
                    found[part.column] = int((large & (values[:, part.start] != given)).sum())
        return found

    def describe(self, tensor: str) -> str:
        """A few words on how a tensor was made."""
        parts = self.plain if tensor == "features" else self.fitted.targets if tensor == "target" else ()
        if tensor == "categories":
            return "ids of " + ", ".join(part.column for part in self.blocks)
        if tensor == "target" and self.target_is_index:
            return f"class index of {parts[0].column}: {_classes(parts[0])}"
        if tensor == "target" and len(parts) == 1 and parts[0].transform.categorical:
            return f"one-hot of {parts[0].column}: {_classes(parts[0])}"
        words = dict.fromkeys(part.transform.describe() for part in parts)
        return ", ".join(words) + ("" if set(words) <= {"raw"} else f", {self.origin}")


def _classes(part: Channelled) -> str:
    """The categories of a target, shortened: 0…9, or red, green."""
    values = [str(value) for value in part.transform.values() or ()]
    if len(values) <= 4:
        return ", ".join(values)
    return f"{values[0]}…{values[-1]}"
