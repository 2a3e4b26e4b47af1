"""A set as a table: one row for each sample, a column for each tensor or, on request, for each named channel."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.layout import by_split, uneven_rows
from tensorize.storage.layout import FORMAT, escape, padded
from tensorize.storage.samples import group_rows

SPLIT = "split"
"""The column with the name of the split, where there is one."""
_GROUP, _COLUMN, _LARGEST = 8 << 20, 64 << 10, 128 << 20
"""Bytes in a group of rows: in all, at least for each column, and at most."""
_MOST_GROUPS = 4096
"""Groups become larger before a file has more."""
_LONGEST = 1 << 27
"""Numbers in a cell."""


@dataclass(frozen=True)
class TableColumn:
    """One column: of `width` numbers in each cell, or of the numbers of one channel."""

    name: str
    spec: TensorSpec
    """The tensor, that of the first split."""
    channel: int | None = None

    @property
    def is_scalar(self) -> bool:
        """Whether a cell is a number and not a list."""
        return self.channel is not None or len(self.spec.shape) == 1

    @property
    def is_tensor(self) -> bool:
        """Whether it is an `arrow.fixed_shape_tensor`, whose numbers might be null for Arrow."""
        return self.channel is None and len(self.spec.shape) > 2

    @property
    def width(self) -> int:
        """Numbers in a cell."""
        return 1 if self.channel is not None else math.prod(self.spec.shape[1:])

    @property
    def field(self) -> pa.Field:
        """The Arrow field: numbers, or lists of a fixed size; tensors of 3 and more axes as `arrow.fixed_shape_tensor`."""
        kind = pa.from_numpy_dtype(self.spec.dtype)
        if not self.is_scalar:
            kind = pa.list_(pa.field("element", kind, nullable=self.is_tensor), self.width)
        return pa.field(self.name, kind, nullable=False, metadata=self._metadata)

    @property
    def _metadata(self) -> dict[str, str]:
        spec = self.spec
        if self.channel is not None:
            return {"role": spec.role, "tensor": spec.name, "channel": str(self.channel)}
        told: dict[str, Any] = {"axes": spec.axes, "shape": spec.shape[1:]}
        if spec.labels:
            told["labels"] = spec.labels
        found = {"role": spec.role, **{key: json.dumps(value) for key, value in told.items()}}
        if self.is_tensor:
            shape = {"shape": spec.shape[1:], "dim_names": spec.axes[1:]}
            found |= {"ARROW:extension:name": "arrow.fixed_shape_tensor", "ARROW:extension:metadata": json.dumps(shape)}
        return found


@dataclass(frozen=True)
class SampleTable:
    """The rows and columns that a layout becomes. Rows of a split lie together, in groups of `group` rows."""

    layout: Layout
    splits: Mapping[str | None, int]
    """Split → rows."""
    columns: tuple[TableColumn, ...]
    texts: Mapping[str, str]
    """Column → what is kept beside the tensors as one string for each row, such as `paths`."""

    @classmethod
    def of(cls, layout: Layout, *, by_channel: bool) -> SampleTable:
        """The table of a layout without a `refusal`."""
        split, specs = next(iter(by_split(layout).items()), (None, []))
        taken = {SPLIT} if split else set()
        wide = [spec for spec in specs if not by_channel or not _named(spec)]
        columns = [TableColumn(_unique(spec.name, taken), spec) for spec in wide if math.prod(spec.shape[1:])]
        for spec in specs:
            for channel, label in enumerate(_named(spec) if by_channel else ()):
                columns.append(TableColumn(_unique(escape(label) or f"{spec.name}_{channel}", taken), spec, channel))
        rows = {split: specs[0].shape[0] for split, specs in by_split(layout).items()}
        texts = {_unique(name, taken): name for name in _row_texts(layout, rows)}
        return cls(layout, rows, tuple(columns), texts)

    @cached_property
    def group(self) -> int:
        """Rows in a group: decided by the layout alone."""
        wanted = max(_GROUP, self.layout.nbytes // _MOST_GROUPS, _COLUMN * len(self.columns))
        return group_rows(self.layout, min(wanted, _LARGEST))

    @property
    def has_splits(self) -> bool:
        """Whether there is a column `split`."""
        return any(self.splits)

    def groups(self) -> Iterator[tuple[str | None, int, int]]:
        """The groups as (split, first row, row after the last)."""
        for split, rows in self.splits.items():
            for start in range(0, rows, self.group):
                yield split, start, min(start + self.group, rows)

    def text(self, split: str | None, name: str, start: int, stop: int) -> list[bytes]:
        """Some rows of a column of text."""
        values = self.layout.texts[text_key(split, name)]
        return [escape(values[row]).encode() for row in range(start, stop)]

    @property
    def loose(self) -> dict[str, list[str]]:
        """What is kept beside the tensors and is not one string for each row."""
        held = {text_key(split, name) for split in self.splits for name in self.texts.values()}
        return {key: list(map(escape, values)) for key, values in self.layout.texts.items() if key not in held}

    def metadata(self) -> dict[str, str]:
        """What the file says of itself, for everyone: the recipe comes first."""
        found = {"recipe": padded(self.layout.recipe), "kind": self.layout.kind, "tensorize_format": str(FORMAT)}
        return found | ({"texts": json.dumps(self.loose)} if self.loose else {})

    def fields(self, index: pa.DataType) -> list[pa.Field]:
        """The Arrow fields; `index` is the type of the numbers that stand for the names of splits."""
        found = [pa.field(SPLIT, pa.dictionary(index, pa.string()), nullable=False)] if self.has_splits else []
        found += [column.field for column in self.columns]
        return found + [pa.field(name, pa.string(), nullable=False) for name in self.texts]


def refusal(layout: Layout) -> str:
    """Why a layout is not one row per sample, and what to do about it; "" if it is."""
    found = uneven_rows(layout) or _unlike_splits(layout) or _long_cells(layout)
    if not found:
        return ""
    return f"a file with one row per sample cannot hold this set: {found}; write it as .h5, .pt, .safetensors, .npz or .zarr"


def _unlike_splits(layout: Layout) -> str:
    """What tensors are not the same in all splits."""
    first: dict[str, TensorSpec] = {}
    splits = by_split(layout)
    for split, specs in splits.items():
        known = first or {spec.name: spec for spec in specs}
        if split is None and len(splits) > 1:
            return "some of its tensors belong to no split"
        if set(known) != {spec.name for spec in specs}:
            return f"the splits have different tensors: {', '.join(known)}, but {', '.join(spec.name for spec in specs)}"
        for spec in specs:
            one = known[spec.name]
            if (one.shape[1:], one.dtype, one.axes, one.role) != (spec.shape[1:], spec.dtype, spec.axes, spec.role):
                return f"{one.key} and {spec.key} have different shapes, types or roles"
        first = known
    return ""


def _long_cells(layout: Layout) -> str:
    long = [spec.key for spec in layout.tensors if math.prod(spec.shape[1:]) > _LONGEST]
    return f"a row of {long[0]} has more than {_LONGEST:,} numbers" if long else ""


def _named(spec: TensorSpec) -> tuple[str, ...]:
    """The names of the channels of a (row, channel) tensor, if they have names."""
    names = spec.labels.get(spec.axes[1], ()) if len(spec.shape) == 2 else ()
    return names if len(names) == spec.shape[-1] else ()


def _row_texts(layout: Layout, rows: Mapping[str | None, int]) -> list[str]:
    """Names of texts with one string for each row of every split."""
    split = next(iter(rows), None)
    prefix = text_key(split, "")
    names = [key.removeprefix(prefix) for key in layout.texts if key.startswith(prefix)]
    counts = {name: [len(layout.texts.get(text_key(split, name), ())) for split in rows] for name in names}
    return [name for name in names if counts[name] == list(rows.values()) and "/" not in name]


def text_key(split: str | None, name: str) -> str:
    """The key of a text in `Layout.texts`."""
    return f"{split}/{name}" if split else name


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number if another column has it, upper and lower case alike; it is taken then."""
    found, number = name, 2
    while found.casefold() in taken:
        found, number = f"{name}_{number}", number + 1
    taken.add(found.casefold())
    return found
