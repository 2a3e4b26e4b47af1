"""How missing steps are handled: the policy of each column, and the values that fill them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.dates.text import to_times
from tensorize.columns.fitted import Channelled
from tensorize.columns.missing import applies_to
from tensorize.core.contracts import Array, Floats
from tensorize.core.errors import DataError, UsageError, plural, some
from tensorize.core.options import column_and
from tensorize.core.schema import Column, Schema
from tensorize.loaders.series.clock import DAY, HOUR, Clock, time_text
from tensorize.loaders.series.grid import Grid, Steps
from tensorize.loaders.series.rows import RowBatch
from tensorize.transforms.impute import typed_constant

ERROR, DROP, FFILL, INTERPOLATE, DATE, OWN = "error", "drop", "ffill", "interpolate", "date", "own"
"""`date`: the value of another step of the same day. `own`: what the step's own time says, for the columns of the time."""

WORDS = (ERROR, DROP, FFILL, INTERPOLATE, DATE)


def gap_policies(
    flags: Sequence[str], schema: Schema, inputs: Sequence[str], clock: Sequence[str], preset: Mapping[str, str]
) -> dict[str, str]:
    """Return input column → policy. A policy that names no column holds for those that it can hold for.

    `preset` are the policies of a kind, which flags override. Raises UsageError for an unknown column, and for `drop`
    of one column.
    """
    found = dict.fromkeys(inputs, ERROR) | {name: policy for name, policy in preset.items() if name in inputs}
    for flag in flags:
        name, policy = column_and(flag, schema.names, "=")
        if policy is None:
            found.update({column: flag for column in inputs if _holds(schema[column], flag)})
        elif name not in found:
            raise UsageError(f'--gaps {flag}: there is no input column "{name}"', hint="columns: " + ", ".join(found))
        elif policy == DROP:
            raise UsageError(f"--gaps {flag}: a sample is dropped as a whole", hint="say --gaps drop")
        else:
            found[name] = policy
    return found | {name: OWN for name in clock if name in inputs}


def _holds(column: Column, policy: str) -> bool:
    return policy in WORDS or applies_to(column, policy)


def check_gaps(grid: Grid, policies: Mapping[str, str]) -> None:
    """Raise DataError for gaps without a policy, and for gaps that a policy has nothing to fill with."""
    if not grid.missing or DROP in policies.values():
        return
    lacking = [name for name, policy in policies.items() if policy == ERROR]
    noun = grid.noun
    if lacking:
        begins, lengths = grid.gaps
        which = (
            ""
            if len(lacking) == len([name for name, policy in policies.items() if policy != OWN])
            else (f" for {', '.join(lacking)}")
        )
        raise DataError(
            f"{plural(grid.missing, noun)} missing{which}",
            some(
                [_stretch(grid, int(begin), int(length)) for begin, length in zip(begins[:5], lengths[:5], strict=True)],
                len(begins),
            ),
            f"say what to do: {_with_step(grid)}--gaps drop | ffill | interpolate | VALUE",
            {"gaps": "ffill", **({"step": ["1b"]} if _with_step(grid) else {})},
        )
    bare = [steps.stamp[_unfillable(steps, grid, policies)] for steps in _missing(grid)]
    count = sum(map(len, bare))
    if count:
        raise DataError(
            f"{plural(count, f'missing {noun} has', f'missing {noun}s have')} no row to be filled from",
            some([time_text(int(time)) for times in bare for time in times][:5], count),
            "leave out what is not complete: --gaps drop; or give a value: --gaps 0",
            {"gaps": "drop"},
        )


def _with_step(grid: Grid) -> str:
    """Business days are found only where no gap is allowed: with a policy they are to be said."""
    return "--step 1b " if grid.scale is not None and grid.scale.unit == "b" else ""


def check_constants(parts: Sequence[Channelled], filler: Filler) -> None:
    """Raise DataError for a value that fills gaps and that the step of its column refuses."""
    for part in parts if filler.grid.missing else ():
        policy = filler.policies.get(part.column, OWN)
        if policy in (*WORDS, OWN):
            continue
        found = part.transform.invalid(pa.array([typed_constant(policy, filler.schema[part.column].storage)]))
        if found is not None and found[0].any():
            raise _refused(part, policy, found[1])


def _refused(part: Channelled, policy: str, why: str) -> DataError:
    flag = f"--gaps {part.column}={policy}"
    if part.transform.categorical:
        known = ", ".join(map(str, part.transform.values() or ()))
        return DataError(f"{flag}: train has no such category", hint=f"categories: {known}")
    return DataError(f"{flag}: the value {why}", hint="give another value, or say --gaps drop")


def _stretch(grid: Grid, begin: int, length: int) -> str:
    first, last = (time_text(int(time)) for time in grid.stamps(np.array([begin, begin + length - 1])))
    return first if length == 1 else f"{first} to {last}  {plural(length, grid.noun)}"


def _missing(grid: Grid) -> list[Steps]:
    """The steps of every gap."""
    return [grid.at(int(begin), int(begin + length)) for begin, length in zip(*grid.gaps, strict=True)]


def _unfillable(steps: Steps, grid: Grid, policies: Mapping[str, str]) -> Array:
    """(step) bool: steps of a gap that some policy has no row for."""
    wanted = set(policies.values())
    bare = np.zeros(len(steps), dtype=bool)
    if wanted & {FFILL, INTERPOLATE}:
        bare |= steps.before < 0
    if INTERPOLATE in wanted:
        bare |= steps.after < 0
    if DATE in wanted:
        bare |= same_day(steps, grid) < 0
    return bare


def same_day(steps: Steps, grid: Grid) -> Array:
    """(step) the ordinal of the nearest row before, else after, on the same day; −1 if the day has none."""
    found = np.full(len(steps), -1, dtype=np.int64)
    for ordinals in (steps.after, steps.before):
        there = ordinals >= 0
        days = grid.stamps(grid.places(np.maximum(ordinals, 0))) // DAY
        found = np.where(there & (days == steps.stamp // DAY), ordinals, found)
    return found


@dataclass(frozen=True)
class Filler:
    """Fills missing steps, column by column, before anything is encoded. Picklable."""

    grid: Grid
    policies: Mapping[str, str]
    clock: Clock
    schema: Schema

    def fill(self, steps: Steps, rows: RowBatch, first: int) -> pa.RecordBatch:
        """The columns of every step (step); `rows` are the ordinals from `first` on."""
        if steps.rows is not None:
            return rows.batch.slice(steps.rows.start - first, len(steps))
        names = rows.batch.schema.names
        held = np.where(steps.before >= 0, steps.before, steps.after) - first
        nearest = rows.batch.take(pa.array(held))
        columns = [self._column(name, steps, rows.batch, nearest, first) for name in names]
        return pa.RecordBatch.from_arrays(columns, names=names)

    def _column(self, name: str, steps: Steps, batch: pa.RecordBatch, nearest: pa.RecordBatch, first: int) -> pa.Array:
        policy = self.policies.get(name, FFILL)
        there = pa.array(steps.observed)
        if policy == OWN:
            return self._own(name, steps, nearest.column(name), there)
        if policy == DATE:
            found = same_day(steps, self.grid)
            return batch.column(name).take(pa.array(np.where(steps.observed, steps.ordinal, np.maximum(found, first)) - first))
        column = nearest.column(name)
        if policy == INTERPOLATE:
            is_number = self.schema[name].kind == "number"
            return self._between(batch.column(name), column, steps, first) if is_number else column
        if policy in WORDS:
            return column
        value = typed_constant(policy, self.schema[name].storage)
        column = column.cast(pa.float64()) if isinstance(value, float) else column
        return pc.if_else(there, column, pa.scalar(value, column.type))

    def _own(self, name: str, steps: Steps, column: pa.Array, there: pa.Array) -> pa.Array:
        """The date, or the hour, that a missing step has of itself."""
        if name == self.clock.columns[0]:
            dates = to_times(column, name) if pa.types.is_string(column.type) else pc.cast(column, pa.timestamp("us"))
            return pc.if_else(there, dates, self.clock.wall(steps.stamp))
        return pc.if_else(there, column, pa.array(steps.stamp % DAY // HOUR, column.type))

    def _between(self, column: pa.Array, nearest: pa.Array, steps: Steps, first: int) -> pa.Array:
        """On the straight line between the rows before and after, (step) float64."""
        gap = np.flatnonzero(~steps.observed & (steps.before >= 0) & (steps.after >= 0))
        before, after = steps.before[gap], steps.after[gap]
        left, right = (_floats(column.take(pa.array(ordinals - first))) for ordinals in (before, after))
        begin, end = self.grid.times(self.grid.places(before)), self.grid.times(self.grid.places(after))
        values = _floats(nearest)
        values[gap] = left + (right - left) * ((steps.time[gap] - begin) / (end - begin))
        return pa.array(values, mask=np.isnan(values))


def _floats(column: pa.Array) -> Floats:
    """(row) float64, NaN where missing, in memory of its own."""
    return np.array(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
