"""TensorSet: the result. Named tensors with named axes, channel names, a role and a split; plus the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np

from tensorize.core import registry
from tensorize.core.errors import UsageError, near
from tensorize.core.layout import SHARED, Array, Layout, Named, Role, Store, TensorSpec
from tensorize.core.tensors.views import concatenated, rows_of, split_of

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import torch
    import xarray as xr
    from torch.utils.data import Dataset

    from tensorize.core.recipe import Recipe
    from tensorize.core.tensors.batches import Batches

WRITE_BYTES = 8 << 20


@dataclass(frozen=True)
class MemoryStore:
    """Tensors that are held in memory, as numpy arrays."""

    arrays: Mapping[str, Array]

    def read(self, key: str, start: int, stop: int) -> Array:
        """See `Store.read`."""
        found = self.arrays[key][start:stop]
        found.flags.writeable = False  # a view of what the set holds
        return found

    def take(self, key: str, rows: Array) -> Array:
        """See `Store.take`."""
        return self.arrays[key][rows]

    def expect(self, key: str, rows: Array) -> None:
        """Nothing to prepare: everything is in memory."""

    def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True, eq=False)
class TensorSet:
    """Immutable, and lazy where it was read from a file: a tensor is loaded when it is asked for.

    `ts["features"]` is what is stored; `ts.dataset()` gives what a model wants. On a split set the names are
    `train/features` and so on, and `ts.split("train")` is the set of one split. `equals` compares two sets; `==` says
    whether they are one object.
    """

    layout: Layout
    store: Store = field(repr=False, compare=False)

    @property
    def kind(self) -> str:
        """The loader that made it, such as `table`."""
        return self.layout.kind

    @property
    def recipe_json(self) -> str:
        """The recipe as JSON, as it is stored."""
        return self.layout.recipe

    @cached_property
    def recipe(self) -> Recipe:
        """How it was made. Raises RecipeError if it cannot be read."""
        from tensorize.core.recipe import Recipe

        return Recipe.from_json(self.layout.recipe)

    @cached_property
    def specs(self) -> dict[str, TensorSpec]:
        """Key → spec, in the order of the file."""
        return {spec.key: spec for spec in self.layout.tensors}

    @property
    def splits(self) -> tuple[str, ...]:
        """`()` without a split, else such as `("train", "val", "test")`."""
        return tuple(dict.fromkeys(spec.split for spec in self.layout.tensors if spec.split))

    @property
    def meta(self) -> Mapping[str, Sequence[str]]:
        """What is not a tensor: image paths, text ids."""
        return self.layout.texts

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def keys(self) -> tuple[str, ...]:
        """The keys of all tensors, in the order of the file."""
        return tuple(self.specs)

    def __contains__(self, key: object) -> bool:
        return key in self.specs

    def __len__(self) -> int:
        """The number of tensors."""
        return len(self.layout.tensors)

    def spec(self, key: str) -> TensorSpec:
        """The spec of a tensor. Raises UsageError with the near name where there is none."""
        specs = self.specs
        if key in specs:
            return specs[key]
        parts = [f'ts["{split}/{key}"]' for split in self.splits if f"{split}/{key}" in specs]
        if parts:
            raise UsageError(f'this set is split; say {", ".join(parts)}, or ts.split("{self.splits[0]}")["{key}"]')
        raise UsageError(f'there is no tensor "{key}"{near(key, specs)}', hint="tensors: " + ", ".join(specs))

    def numpy(self, key: str) -> Array:
        """Return a tensor as a numpy array (row, …), in its stored shape and dtype. Raises UsageError if there is none.

        An array of a set that is held in memory is read-only: it is a view of the set.
        """
        spec = self.spec(key)
        return self.store.read(key, 0, spec.shape[0])

    @overload
    def __getitem__(self, key: str) -> torch.Tensor: ...
    @overload
    def __getitem__(self, key: slice) -> TensorSet: ...
    def __getitem__(self, key: str | slice) -> torch.Tensor | TensorSet:
        """Return a tensor (row, …), in its stored shape and dtype; for a slice of rows, the set of these samples.

        Raises UsageError if there is none.
        """
        return self.select(key) if isinstance(key, slice) else _tensor(self.numpy(key))

    def labels(self, key: str, axis: str) -> tuple[str, ...]:
        """The names of the positions of an axis, such as the feature names; empty if it has none."""
        return self.spec(key).labels.get(axis, ())

    def split(self, name: str) -> TensorSet:
        """Return the set of one split; its tensors lose the prefix. Raises UsageError if there is no such split."""
        if name not in self.splits:
            hint = (
                "splits: " + ", ".join(self.splits)
                if self.splits
                else "this set has no split; prepare it with --split 0.8,0.1,0.1"
            )
            raise UsageError(f'there is no split "{name}"{near(name, self.splits)}', hint=hint)
        return TensorSet(*split_of(self.layout, self.store, name))

    def select(self, what: Any) -> TensorSet:
        """Return the set of some tensors, or of some samples; nothing is read for it.

        what: names (a name, or a list of them: `train/features`, or `features` for that of every split); or rows of a set
            without a split, as `batch` takes them: positions, a mask, or a slice.

        Raises UsageError for a name that there is not, and for rows of a split set; IndexError for rows that there are not.

        >>> from tensorize import prepare
        >>> ts = prepare("table", {"x": [1.0, 2.0, 3.0], "y": [0, 1, 0]}, target="y", scale="none")
        >>> ts.select("features").keys(), ts.select([2, 0])["features"].tolist(), ts[1:].num_rows
        (('features',), [[3.0], [1.0]], 2)
        """
        names = [what] if isinstance(what, str) else list(what) if isinstance(what, list | tuple) else []
        if names and all(isinstance(name, str) for name in names):
            return self._named(names)
        self._unsplit("select")
        rows = self._positions(what)
        at = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        return TensorSet(*rows_of(self.layout, self.store, self.num_rows, at))

    def _named(self, names: Sequence[str]) -> TensorSet:
        """The set of the tensors that are called so, in the order of the file."""
        plain = {spec.name for spec in self.layout.tensors}
        wanted = {name if name in plain else self.spec(name).key for name in names}
        specs = tuple(spec for spec in self.layout.tensors if not wanted.isdisjoint({spec.name, spec.key}))
        return TensorSet(Layout(self.kind, specs, self.recipe_json, self.layout.texts), self.store)

    def by_role(self, role: Role) -> tuple[TensorSpec, ...]:
        """The specs of a role, in the order of the file."""
        return tuple(spec for spec in self.layout.tensors if spec.role == role)

    @property
    def num_rows(self) -> int:
        """The number of samples, of all splits together; `len` counts tensors."""
        first: dict[str | None, int] = {}
        for spec in sorted(self.layout.tensors, key=lambda spec: spec.role != "input"):
            if spec.axes[0] not in SHARED:
                first.setdefault(spec.split, spec.shape[0])
        return sum(first.values())

    def batch(self, rows: Array | slice, device: Any = "cpu") -> tuple[Named, Named | None]:
        """Return (input, target) of some rows as a model wants them, on `device`. Target is None if there is none.

        Each is a tensor (row, …), or a dict of them by name where a sample has several inputs or targets. `rows` are
        positions (a list, an array or a tensor of integers, from 0), a mask (row) bool, or a slice. The stored tensors are
        moved first and expanded (one-hot, normalised) on the device.
        Raises IndexError for rows that the set does not have, UsageError for rows that are no positions.
        """
        self._unsplit("batch")
        rows = self._positions(rows)
        specs = (*self.by_role("input"), *self.by_role("target"))
        inputs, targets = self._loader.batch(self.recipe, {spec.name: self._stored(spec, rows, device) for spec in specs})
        return one_or_named(inputs), one_or_named(targets) if targets else None

    def _positions(self, rows: Any) -> Array | slice:
        """Rows as a store takes them: int64 positions from 0, or a slice with step 1."""
        count = self.num_rows
        if isinstance(rows, slice):
            start, stop, step = rows.indices(count)
            return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step)
        found = np.asarray(rows)
        if found.dtype == bool and found.shape == (count,):
            return np.flatnonzero(found)
        if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
            raise UsageError(f"rows of the type {found.dtype} and the shape {found.shape} are not positions of rows")
        found = found.astype(np.int64)
        if found.size and not 0 <= found.min() <= found.max() < count:
            raise IndexError(f"the set has the rows 0 to {count - 1}, not {found.min()} to {found.max()}")
        return found

    def expect(self, rows: Array) -> None:
        """Say that a `batch` of these rows, an int64 array of positions, is asked for soon: a file is read ahead."""
        for spec in (*self.by_role("input"), *self.by_role("target")):
            if spec.axes[0] not in SHARED:
                self.store.expect(spec.key, rows)

    @cached_property
    def _loader(self) -> Any:
        return self.recipe.loader

    @cached_property
    def _shared(self) -> dict[tuple[str, str], torch.Tensor]:
        """What all batches share, on each device that asked for it."""
        return {}

    def _stored(self, spec: TensorSpec, rows: Array | slice, device: Any) -> torch.Tensor:
        """Rows of a tensor on a device; the whole of it where its first axis is no row, kept there."""
        if spec.axes[0] not in SHARED:
            values = self._rows(spec, rows)
            return (values.pin_memory() if "cuda" in str(device) else values).to(device, non_blocking=True)
        key = spec.key, str(device)
        if key not in self._shared:
            self._shared[key] = self[spec.key].to(device)
        return self._shared[key]

    def __getstate__(self) -> dict[str, Any]:
        """For workers: what is cached is not sent along."""
        return {"layout": self.layout, "store": self.store}

    def batches(
        self,
        batch_size: int,
        *,
        split: str | None = None,
        device: Any = "cpu",
        shuffle: bool | Literal["block"] = False,
        seed: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
    ) -> Batches:
        """Return the (input, target) batches of one split, as `batch` gives them, from memory or straight from the file.

        They can be iterated over repeatedly. Compact tensors (ids, uint8 images, an index of windows) are moved to `device`
        first and expanded there, unless `workers` do it.

        shuffle: True mixes all rows, in another order in each pass, the same for the same `seed`. "block" does with bounded
            memory: blocks of 256 neighbours come in a random order, and the rows of 32 of them are mixed.
        rank, world_size: which of so many processes this is. Each gets its own batch of each step; together they see every
            row once. What is left in the last step is cut evenly: the batches of the ranks differ by one row at most, and a
            rank for which none is left has one batch less. `drop_last` leaves that step out, and so all ranks have as many.
        workers: processes that make the batches; by default two threads of this one do.

        `state_dict()` tells where a pass is, and `load_state_dict(state)` goes on with the very next sample, also with another
        batch size, number of ranks or number of workers. As the dataset of a `DataLoader(..., batch_size=None, num_workers=n)`
        every batch comes once.

        >>> from tensorize import prepare
        >>> ts = prepare("table", {"x": [1.0, 2.0, 3.0], "y": [0, 1, 0]}, target="y", scale="none")
        >>> [(x.tolist(), y.tolist()) for x, y in ts.batches(2)]
        [([[1.0], [2.0]], [0, 1]), ([[3.0]], [0])]
        """
        from tensorize.core.tensors.batches import Batches, Share

        tensors = self.split(split) if split is not None else self
        tensors._unsplit("batches")
        share = Share(batch_size, rank, world_size, drop_last)
        return Batches(tensors, share, device, shuffle=shuffle, seed=seed, workers=workers)

    def _rows(self, spec: TensorSpec, rows: Array | slice) -> torch.Tensor:
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(spec.shape[0])
            return _tensor(self.store.read(spec.key, start, stop))
        return _tensor(self.store.take(spec.key, rows))

    def dataset(self) -> Dataset[Any]:
        """Return a map-style `torch.utils.data.Dataset` of (input, target), for a `DataLoader`.

        It has `__getitems__`, so that a `DataLoader` fetches a batch at a time.
        """
        self._unsplit("dataset")
        from tensorize.core.tensors.batches import TensorSetDataset

        return TensorSetDataset(self)

    def save(self, path: str | Path, *, format: Any = None, force: bool = False, **options: Any) -> Path:
        """Write to a file; the format comes from the suffix, or is the name of one.

        options: those of the format, such as `columns=True` for Parquet.

        Raises UsageError if it exists, unless `force`; for an unknown suffix or option; and if the format cannot hold the set.
        """
        exporter = registry.exporter_for(path, format, **options)
        writer = exporter.create(Path(path), self.layout, force=force)
        try:
            for specs in self._written_together(getattr(exporter, "by_sample", False)):
                rows = max((spec.shape[0] for spec in specs), default=0)
                step = max(1, WRITE_BYTES * rows // max(1, sum(spec.nbytes for spec in specs)))
                for start in range(0, rows, step):
                    for spec in specs:
                        if start < spec.shape[0]:
                            values = self.store.read(spec.key, start, min(spec.shape[0], start + step))
                            writer.write(spec.key, start, values)
            writer.commit(self.layout.recipe)
        finally:
            writer.abort()
        return Path(path)

    def _written_together(self, by_sample: bool) -> list[list[TensorSpec]]:
        """The tensors whose rows are written by turns: those of a split, or each alone."""
        if not by_sample:
            return [[spec] for spec in self.layout.tensors]
        splits = dict.fromkeys(spec.split for spec in self.layout.tensors)
        return [[spec for spec in self.layout.tensors if spec.split == split] for split in splits]

    def to_numpy(self) -> dict[str, Array]:
        """Return every tensor as a numpy array, by key."""
        return {key: self.numpy(key) for key in self}

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table, one row for each sample; on a split set with a column `split`.

        Features with names are a column each; what else has more than one axis is a column of lists of fixed size. Texts that
        go along with the rows, such as the paths of images, are columns, too.

        Raises UsageError where the tensors have different numbers of rows, as an index of windows has.
        """
        from tensorize.core.tensors.frames import to_arrow

        return to_arrow(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return what `to_arrow` does, as a pandas DataFrame."""
        from tensorize.core.tensors.frames import to_pandas

        return to_pandas(self)

    def to_polars(self) -> pl.DataFrame:
        """Return what `to_arrow` does, as a polars DataFrame. Raises UsageError where polars is not installed."""
        from tensorize.core.tensors.frames import to_polars

        return to_polars(self)

    def to_xarray(self) -> xr.Dataset:
        """Return an xarray Dataset: a variable for each tensor, its axes as dimensions, the names of an axis as coordinates.

        Raises UsageError on a split set, and where xarray is not installed.
        """
        from tensorize.core.tensors.frames import to_xarray

        self._unsplit("to_xarray()")
        return to_xarray(self)

    def equals(self, other: TensorSet) -> bool:
        """True where kind, recipe, specs, texts and every bit of every tensor agree."""
        same = self.layout == other.layout
        return same and all(self.numpy(key).tobytes() == other.numpy(key).tobytes() for key in self)

    def _unsplit(self, what: str) -> None:
        if self.splits:
            raise UsageError(f'this set is split; say ts.split("{self.splits[0]}").{what}')

    def close(self) -> None:
        """Close the file behind a lazy set."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _repr_html_(self) -> str:
        from tensorize.core.tensors.frames import page

        return page(self)

    def __repr__(self) -> str:
        lines = [f"  {spec.key}  {spec.dtype}  {'×'.join(map(str, spec.shape))}  {spec.role}" for spec in self.layout.tensors]
        return "\n".join([f"TensorSet of {self.kind}", *lines])


def concat(sets: Sequence[TensorSet]) -> TensorSet:
    """The samples of several sets of one recipe, one after the other; nothing is read for it.

    Raises UsageError where their recipes or tensors differ.

    >>> from tensorize import prepare
    >>> ts = prepare("table", {"x": [1.0, 2.0, 3.0]}, scale="none")
    >>> concat([ts[2:], ts])["features"].ravel().tolist()
    [3.0, 1.0, 2.0, 3.0]
    """
    if not sets:
        raise UsageError("there is no set to go by")
    return TensorSet(*concatenated([ts.layout for ts in sets], [ts.store for ts in sets]))


def one_or_named(tensors: Mapping[str, torch.Tensor]) -> Named:
    """The tensor where there is one, a dict by name where there are several."""
    return next(iter(tensors.values())) if len(tensors) == 1 else dict(tensors)


def _tensor(values: Array) -> torch.Tensor:
    """Numpy → torch, in memory of its own, so that a set stays as it is whatever is done to its tensors."""
    import torch

    own = values.flags.owndata and values.flags.writeable and values.flags.c_contiguous
    return torch.from_numpy(values if own else np.array(values))
