"""The tensors of a series before they exist: their specs, split by split, and words on how they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tensorize.columns.fitted import Channelled, Fitted, channel_names
from tensorize.core.contracts import Array, TensorSpec
from tensorize.loaders.series.clock import DAY, SECOND
from tensorize.loaders.series.cut import Cut
from tensorize.loaders.series.grid import Grid, owners
from tensorize.loaders.series.options import SeriesOptions
from tensorize.loaders.series.runs import Ints


@dataclass(frozen=True)
class Ahead:
    """What is told of the step after a window, which a forecast begins with: its time, as `kind`, and its group.

    `kind` is None without times, `groups` without groups. Picklable.
    """

    kind: pa.DataType | None
    groups: tuple[str, ...] | None

    @classmethod
    def of(cls, grid: Grid, groups: tuple[str, ...] | None, *, timed: bool, zone: str | None) -> Ahead:
        """Times in the unit that holds them: days, seconds or microseconds; with a `zone`, instants as its clocks show them."""
        if not timed:
            return cls(None, groups)
        parts = np.append(grid.origin, grid.step) if grid.scale is None else np.array([grid.scale.micros])
        unit = "s" if not (parts % SECOND).any() else "us"
        if zone is None and not (parts % DAY).any():
            return cls(pa.date32(), groups)
        return cls(pa.timestamp(unit, zone), groups)

    def specs(self, count: int) -> Iterator[TensorSpec]:
        """The tensors, all int64: `group`, an index into `groups`, and `time`, microseconds since 1970."""
        for name, there in (("group", self.groups is not None), ("time", self.kind is not None)):
            if there:
                yield TensorSpec(name, (count,), "int64", ("row",), "meta")

    def values(self, cut: Cut, places: Ints) -> dict[str, Array]:
        """Their values for the windows that start at some places of the grid."""
        found = {} if self.groups is None else {"group": owners(cut.grid.base, places)}
        return found if self.kind is None else found | {"time": cut.grid.stamps_after(places, cut.length)}

    def columns(self) -> dict[str, Callable[[Array], pa.Array]]:
        """How their values (row) int64 are told: by names, and as times."""
        found: dict[str, Callable[[Array], pa.Array]] = {}
        if self.groups is not None:
            found["group"] = lambda codes: pa.array(self.groups, pa.string()).take(pa.array(codes))
        if self.kind is not None:
            found["time"] = self._times
        return found

    def _times(self, micros: Array) -> pa.Array:
        assert self.kind is not None
        if pa.types.is_date(self.kind):
            return pa.array((micros // DAY).astype(np.int32)).cast(self.kind)
        return pa.array(micros // SECOND if self.kind.unit == "s" else micros).cast(self.kind)


@dataclass(frozen=True)
class SeriesTensors:
    """What the samples of a series become. Picklable.

    Spelt out: `series` (row, channel, step) float32, `target` (row, target, step) float32, `observed` (row, step) uint8
    and `row` (row) int64. As an index: `start` and `row` (row) int64, and of the steps, each once, `observed` (step)
    uint8, `series` (step, channel) and `target` (step, target) float32.
    """

    fitted: Fitted
    cut: Cut
    options: SeriesOptions
    origin: str
    """Where the statistics come from, in words."""
    ahead: Ahead | None = None
    """Where forecasts are made: what is told of each."""

    @property
    def is_index(self) -> bool:
        """Whether windows are stored as their steps and where each starts."""
        return self.options.encode == "index"

    @property
    def splits(self) -> Sequence[str | None]:
        """The names of the splits; one nameless split without."""
        return self.options.split_names or (None,)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of what is predicted."""
        return channel_names(self.fitted.targets)

    def specs(self) -> tuple[TensorSpec, ...]:
        """Every tensor of every split. Raises DataError for a split without a sample."""
        made = self._index_specs if self.is_index else self._sample_specs
        counts = enumerate(zip(self.splits, self.cut.counts, strict=True))
        told = self.ahead.specs(self.cut.counts[0]) if self.ahead is not None else ()
        return (*(spec for part, (name, count) in counts for spec in made(count, part, name)), *told)

    def told(self, places: Ints) -> dict[str, Array]:
        """What is told of the windows that start at some places of the grid."""
        return {} if self.ahead is None else self.ahead.values(self.cut, places)

    def _sample_specs(self, count: int, part: int, split: str | None) -> Iterator[TensorSpec]:
        del part
        axes, channels, targets = ("row", "channel", "step"), self.fitted.channels, self.targets
        shape = (count, len(channels), self.cut.length)
        yield TensorSpec("series", shape, "float32", axes, "input", {"channel": channels}, split)
        if self.fitted.targets:
            shape, axes = (count, len(targets), self.cut.horizon), ("row", "target", "step")
            yield TensorSpec("target", shape, "float32", axes, "target", {"target": targets}, split)
        yield TensorSpec("observed", (count, self.cut.length), "uint8", ("row", "step"), "meta", {}, split)
        yield TensorSpec("row", (count,), "int64", ("row",), "meta", {}, split)

    def _index_specs(self, count: int, part: int, split: str | None) -> Iterator[TensorSpec]:
        """What needs no cell comes first: it is written, and hashed, while the steps are made."""
        steps, channels, targets = self.cut.steps[part], self.fitted.channels, self.targets
        yield TensorSpec("start", (count,), "int64", ("row",), "input", {}, split)
        yield TensorSpec("row", (count,), "int64", ("row",), "meta", {}, split)
        yield TensorSpec("observed", (steps,), "uint8", ("step",), "meta", {}, split)
        labels, axes = {"channel": channels}, ("step", "channel")
        yield TensorSpec("series", (steps, len(channels)), "float32", axes, "input", labels, split)
        if self.fitted.targets:
            labels, axes = {"target": targets}, ("step", "target")
            yield TensorSpec("target", (steps, len(targets)), "float32", axes, "target", labels, split)

    @property
    def may_be_unseen(self) -> list[Channelled]:
        """Where a value without a place is an error: everywhere, or in targets and ranks alone."""
        unknown = self.options.unseen == "unknown"
        inputs = [part for part in self.fitted.inputs if part.is_strict(unknown)]
        return [*inputs, *(part for part in self.fitted.targets if part.is_strict(False))]

    @property
    def may_be_zero(self) -> list[Channelled]:
        """Where a value without a place becomes an all-zero block."""
        strict = self.may_be_unseen
        return [part for part in self.fitted.inputs if part.transform.may_refuse and part not in strict]

    def describe(self, tensor: str) -> str:
        """A few words on how a tensor was made."""
        if tensor not in ("series", "target"):
            return {"observed": "1 where the step has a row", "row": "source row of the start"}.get(tensor, "")
        parts = self.fitted.inputs if tensor == "series" else self.fitted.targets
        words = dict.fromkeys(part.transform.describe() for part in parts)
        return ", ".join(words) + ("" if set(words) <= {"raw", "calendar parts"} else f", {self.origin}")
