"""From the rows of a series to a plan: their order, the samples, and what is learned from train steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from tensorize.columns.fitted import Fitted
from tensorize.columns.index import index_note
from tensorize.columns.learning import ColumnLearner
from tensorize.columns.reader import Roles, Rows
from tensorize.columns.roles import separate
from tensorize.columns.selection import SelectedRows
from tensorize.columns.steps import Use, plan_uses
from tensorize.core.contracts import BLOCK_ROWS, Learned, Plan, Run
from tensorize.core.errors import RecipeError, UsageError
from tensorize.core.options import column_and, columns
from tensorize.core.schema import Schema
from tensorize.loaders.series.clock import Clock
from tensorize.loaders.series.cut import Cut
from tensorize.loaders.series.cutting import find_cut, find_pace, given_step, way_of
from tensorize.loaders.series.gaps import ERROR, Filler, gap_policies
from tensorize.loaders.series.grid import GridState
from tensorize.loaders.series.options import SeriesOptions
from tensorize.loaders.series.order import Order, Ordered, find_order
from tensorize.loaders.series.pace import CalendarStep, Pace, pace_of, snap
from tensorize.loaders.series.rows import RowPass
from tensorize.loaders.series.tensors import Ahead, SeriesTensors


@dataclass(frozen=True)
class SeriesState:
    """What is decided about the rows of a series: their order, what fills gaps, and what is made of them. Picklable."""

    order: Order
    filler: Filler
    tensors: SeriesTensors


@dataclass(frozen=True)
class _Checked:
    """Rows that were checked and put in order, and the policies for gaps by input column."""

    kept: SelectedRows
    clock: Clock
    gaps: Mapping[str, str]
    ordered: Ordered

    def place(self, run: Run) -> Callable[[Sequence[int]], list[str]]:
        """What says where the rows of some ordinals, sorted, stand."""
        return partial(_place, self.kept, self.ordered.order, run)

    def ahead(self, cut: Cut, group: str | None) -> Ahead:
        """What is told of forecasts."""
        runs = self.ordered.runs
        groups = runs.groups if group is not None and runs is not None else None
        timed = bool(self.clock.columns) and runs is not None
        return Ahead.of(cut.grid, groups, timed=timed, zone=self._zone() if timed else None)

    def _zone(self) -> str | None:
        """The zone whose clocks show the times, where they are instants; None for times without a zone."""
        if self.clock.zone is not None:
            return None if self.clock.local else self.clock.zone
        first = next(part for block, mask in self.kept if len(part := block.picked(mask)))
        return "UTC" if self.clock.combined(first.slice(0, 1)).type.tz is not None else None

    def planned(
        self,
        cut: Cut,
        options: SeriesOptions,
        learned: Sequence[Learned],
        origin: str,
        notes: Sequence[str],
        *,
        ahead: Ahead | None = None,
    ) -> Plan:
        """The plan. Raises DataError for a split without a sample."""
        tensors = SeriesTensors(Fitted(learned), cut, options, origin, ahead)
        specs = tensors.specs()
        filler = Filler(cut.grid, self.gaps, self.clock, self.kept.rows.schema)
        made = {spec.name: tensors.describe(spec.name) for spec in specs}
        state = SeriesState(self.ordered.order, filler, tensors)
        return Plan(tuple(learned), specs, {}, tuple(dict.fromkeys((*self.ordered.notes, *notes))), made, state)


def _place(kept: SelectedRows, order: Order, run: Run, ordinals: Sequence[int]) -> list[str]:
    found, at = list[int](), 0
    for rows in order.stream(kept.of(), run.engine.store)(()):
        inside = [ordinal - at for ordinal in ordinals if at <= ordinal < at + len(rows)]
        found += rows.source_at(np.array(inside, dtype=np.int64)).tolist()
        at += len(rows)
    return kept.rows.place(found)


def by_position(options: SeriesOptions) -> bool:
    """Whether the samples are cut by the position of the rows, whatever their times."""
    return options.fold is not None or options.time is None


def state_of(pace: Pace | None) -> GridState:
    """What a recipe holds of the steps."""
    if pace is None or pace.calendar is None:
        return GridState(microseconds=None if pace is None else pace.step)
    return GridState(microseconds=None, calendar=str(pace.calendar))


def learn(rows: Rows, options: SeriesOptions, run: Run, preset_gaps: Mapping[str, str]) -> Plan:
    """Put the rows in order, cut samples, and learn every step from the observed train steps."""
    checked = _check_series(rows, options, run, preset_gaps)
    ordered, pace = checked.ordered, None
    if not by_position(options):
        assert ordered.runs is not None
        pace = find_pace(options, ordered.runs, strict=ERROR in checked.gaps.values())
    cut, notes = find_cut(options, pace, ordered.runs, ordered.rows, checked.gaps, place=checked.place(run))
    roles = rows.needs.roles
    learner = ColumnLearner(rows.schema, _uses(rows.schema, roles, options), checked.kept.policies, options)
    stream = ordered.order.stream(checked.kept.of(), run.engine.store)
    train = _Train(stream, (*roles.inputs, *roles.targets), cut, ordered.rows)
    learned = (*learner.learn(run.engine, train, _as_it_is), state_of(pace).learned())
    origin = f"learned from {'train' if options.split else 'all steps'}"
    return checked.planned(cut, options, learned, origin, (*index_note(checked.kept.rows, options), *notes, *learner.notes))


def replay(rows: Rows, options: SeriesOptions, run: Run, learned: Sequence[Learned], preset_gaps: Mapping[str, str]) -> Plan:
    """Put the rows in order, cut samples, and take every step from a recipe."""
    step = GridState.of(learned).given
    if (step is None) != by_position(options):
        raise RecipeError("the recipe's grid step does not fit its options: one of them cuts by position")
    checked = _check_series(rows, options, run, preset_gaps)
    ordered = checked.ordered
    pace = None if step is None or ordered.runs is None else pace_of(ordered.runs, step, strict=False)
    cut, notes = find_cut(options, pace, ordered.runs, ordered.rows, checked.gaps, place=checked.place(run))
    ahead = checked.ahead(cut, options.group) if run.streams and cut.windows else None
    return checked.planned(cut, options, learned, "as the recipe says", notes, ahead=ahead)


def kept_rows(rows: Rows, options: SeriesOptions, run: Run) -> SelectedRows:
    """The rows that are kept; times and groups must be whole."""
    roles = rows.needs.roles
    return SelectedRows(rows, options, run, [name for name in options.ordering(roles.names) if name not in roles.inputs])


def _check_series(rows: Rows, options: SeriesOptions, run: Run, preset_gaps: Mapping[str, str]) -> _Checked:
    roles = rows.needs.roles
    step = given_step(options)
    local = way_of(options) != "window" or isinstance(step, CalendarStep)
    snapped = partial(snap, step=step) if options.snap and step is not None else None
    clock = Clock(options.clock(roles.names), options.zone, local, snapped)
    kept = kept_rows(rows, options, run)
    gaps = gap_policies(options.gaps, rows.schema, roles.inputs, clock.columns, preset_gaps)
    return _Checked(kept, clock, gaps, find_order(kept, clock, options, run, ERROR in gaps.values()))


# what is learned from -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Train:
    """The observed rows of the train steps, each once, a block of them at a time; `rows` is how many there are in all."""

    stream: RowPass
    columns: tuple[str, ...]
    cut: Cut
    rows: int

    def __call__(self) -> Iterator[pa.RecordBatch]:
        if self.cut.is_all_train and self.cut.grid.rows == self.rows:
            yield from self._batches()
            return
        at = 0
        for batch in self._batches():
            places = self.cut.grid.places(np.arange(at, at + batch.num_rows))
            train = (places >= 0) & self.cut.is_train(np.maximum(places, 0))
            at += batch.num_rows
            if train.any():
                yield batch if train.all() else batch.filter(pa.array(train))

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for rows in self.stream(self.columns):
            yield from (rows.batch.slice(first, BLOCK_ROWS) for first in range(0, len(rows), BLOCK_ROWS))


def _as_it_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of train rows, as it comes."""
    return batch


# the steps of columns -------------------------------------------------------------------------------------------


def _uses(schema: Schema, roles: Roles, options: SeriesOptions) -> tuple[Use, ...]:
    """Inputs as in a table, the targets among them; then each target as it is, or as the flag says that names it."""
    inputs = plan_uses(schema, replace(roles, targets=()), options)
    named = _named(roles, options)
    targets = []
    for name in roles.targets:
        if schema[name].kind not in ("number", "bool") and name not in named:
            raise UsageError(f'the target "{name}" is a {schema[name].kind}: a series is continued in numbers')
        own = [use for use in inputs if use.column == name and use.step != "onehot"]
        targets.append(replace(own[0], role="target") if name in named and own else Use(name, "raw", role="target"))
    return (*inputs, *targets)


def _named(roles: Roles, options: SeriesOptions) -> set[str]:
    """The columns that a scaling flag names."""
    flags = (("--zscore", options.zscore), ("--minmax", options.minmax), ("--raw", options.raw))
    found = {name for flag, given in flags for name in columns(given, roles.names, flag)}
    return found | {column_and(value, roles.names)[0] for value in separate(options.ordinal, roles.names)}
