"""A series on its way to tensors: rows in order, a grid under them, samples cut from it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from tensorize.columns.fitted import Channelled, Fitted
from tensorize.columns.learning import ColumnLearner
from tensorize.columns.rows import Rows as TableRows
from tensorize.columns.selection import Kept, left_out
from tensorize.core.contracts import BLOCK_ROWS, Array, Learned, Piece, Run, TensorSpec
from tensorize.core.errors import DataError, RecipeError, plural, some
from tensorize.core.threads import ordered_map
from tensorize.encoders.one_hot import OneHot
from tensorize.engine.packed import Distances, Packed
from tensorize.engine.scratch import Spool
from tensorize.loaders.series.clock import Clock, say, step_name
from tensorize.loaders.series.cut import Cut
from tensorize.loaders.series.gaps import DROP, OWN, WORDS, Filler, check_gaps, gap_policies
from tensorize.loaders.series.grid import Steps, position_grid, time_grid
from tensorize.loaders.series.options import SeriesOptions
from tensorize.loaders.series.plan import given_step, period_of, series_uses, way_of
from tensorize.loaders.series.rows import Cursor, Rows, Stream, distinct_rows, kept_rows, not_packed, sorted_rows
from tensorize.loaders.series.runs import Ints, Runs, find_runs, order_of
from tensorize.loaders.series.stamps import leave_out_untimed
from tensorize.loaders.series.state import GridState

PIECE_BYTES = 8 << 20
INDEX_STEPS = 4 * BLOCK_ROWS
"""Steps of which the index is made at a time: there is little to do for each."""


@dataclass(frozen=True)
class Stretch:
    """Steps of the grid, the rows that they need, from ordinal `first` on, and the place at which samples stop starting."""

    steps: Steps
    rows: Rows
    first: int
    end: int

    def source(self, at: Ints) -> Array:
        """The source rows of some steps, counted from the first: in a gap of the next row or else of the last."""
        return self.rows.source_at(self.steps.nearest(at) - self.first)


class SeriesJob:
    """See `tensorize.loaders.jobs.Job`."""

    def __init__(self, scan: TableRows, options: SeriesOptions, run: Run, preset_gaps: Mapping[str, str] | None = None) -> None:
        self._scan, self._options, self._run = scan, options, run
        self._way = way_of(options)
        self._roles, self._schema = scan.needs.roles, scan.schema
        self._columns = options.clock(self._roles.names)
        self._order = options.ordering(self._roles.names)
        keys = [name for name in self._order if name not in self._roles.inputs]
        self._kept = Kept(scan, options, run, keys)
        self._gaps = gap_policies(options.gaps, self._schema, self._roles.inputs, self._columns, preset_gaps or {})
        self._spool = Spool(run.engine.store.folder)
        weakref.finalize(self, self._spool.close)
        self._notes: dict[str, None] = {}
        self._fresh = False
        self._cuts: dict[int | None, Cut] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def _note(self, *notes: str) -> None:
        self._notes.update(dict.fromkeys(notes))

    # rows in order ----------------------------------------------------------------------------------------------

    def _clock(self) -> Clock:
        return Clock(self._options, self._roles.names, local=self._way != "window")

    @cached_property
    def _ordered(self) -> tuple[Stream, Runs | None, int]:
        """The rows in order and each time once, the runs of their times, and how many there are.

        Raises DataError for times that go back or repeat without a flag for it, both at once.
        """
        if self._run.rejects.skip and self._columns:
            leave_out_untimed(self._kept, self._clock, self._scan, self._run.rejects)
        kept, rows = self._kept.check()
        self._note(*left_out(kept, rows))
        stream = kept_rows(self._kept)
        if not self._columns and not self._options.group:
            return stream, None, kept
        if not self._columns:
            return stream, self._by_position(), kept
        return self._in_time(stream, kept)

    def _by_position(self) -> Runs:
        """Groups without times: each must be in one piece."""
        runs = find_runs(self._kept.packed(self._order), _NoTimes(), self._options.group)
        if runs.backward:
            raise DataError(f'the rows of a group of "{self._options.group}" are not together', hint="sort the file by it")
        return runs

    def _in_time(self, stream: Stream, kept: int) -> tuple[Stream, Runs, int]:
        group, problems, hints = self._options.group, [], []
        runs = self._runs_of(self._kept.packed(self._order))
        if runs.backward and self._way == "fold":
            self._note(f"{plural(runs.backward, 'step goes', 'steps go')} backward in time; the fold goes by position")
        elif runs.backward:
            if self._options.unsorted == "error":
                problems.append(f"{plural(runs.backward, 'step goes', 'steps go')} backward in time")
                hints.append("--unsorted sort")
            order = order_of(stream, self._clock(), group)
            stream = sorted_rows(stream, order, self._spool)
            runs = self._runs_of(not_packed(stream, self._order))
        repeats = runs.repeats
        if len(repeats) and self._way == "fold":
            self._note(f"{plural(len(repeats), 'time')} repeated; the fold goes by position")
        elif len(repeats):
            if self._options.duplicates == "error":
                problems.append(f"{plural(len(repeats), 'time is', 'times are')} repeated")
                problems += [f"  {line}" for line in some([say(int(time)) for time in runs.times(runs.apart == 0)])]
                hints.append("--duplicates first | mean")
            stream = distinct_rows(stream, repeats, self._options.duplicates == "mean")
            kept -= len(repeats)
            runs = self._runs_of(not_packed(stream, self._order))
            self._note(f"{plural(len(repeats), 'repeated time')}: {_REPEATS.get(self._options.duplicates, '')}")
        if problems:
            self._and_gaps(runs, problems, hints)
            raise DataError("the times are not in order", problems, "say what to do: " + ", ".join(hints))
        return stream, runs, kept

    def _and_gaps(self, runs: Runs, problems: list[str], hints: list[str]) -> None:
        """Tell the gaps in the same message, so that one look shows all."""
        grid = time_grid(runs, given_step(self._options) or runs.usual_step(), None)
        if grid.missing and "error" in self._gaps.values():
            problems.append(f"{plural(grid.missing, step_name(grid.step))} missing")
            hints.append("--gaps drop | ffill | interpolate | VALUE")

    def _runs_of(self, blocks: Iterable[Packed]) -> Runs:
        return find_runs(blocks, self._clock(), self._options.group)

    def _rows(self) -> Iterator[Rows]:
        """The rows in order, with what becomes tensors."""
        return self._ordered[0]((*self._roles.inputs, *self._roles.targets))

    def _places(self) -> Iterator[Rows]:
        """The rows in order, without any cell: where each stands in the source."""
        return self._ordered[0](())

    # the grid and its samples -----------------------------------------------------------------------------------

    def _cut(self, step: int | None) -> Cut:
        """The samples, for a step in microseconds."""
        if (step is None) != (self._options.fold is not None):
            raise RecipeError("the recipe's grid step does not fit its options: one of them cuts by position")
        if step not in self._cuts:
            self._cuts[step] = self._by_fold() if step is None else self._by_time(step)
        return self._cuts[step]

    def _by_time(self, step: int) -> Cut:
        options, (_, runs, _) = self._options, self._ordered
        assert runs is not None
        period = period_of(options, step) if self._way == "period" else None
        grid = time_grid(runs, step, period)
        check_gaps(grid, self._gaps)
        whole = DROP in self._gaps.values()
        if period is not None:
            cut = Cut(grid, period // step, stride=period // step, whole_only=whole, ratios=options.split)
        else:
            assert options.window is not None
            cut = Cut(grid, options.window, options.horizon, options.stride, whole, options.split, windows=True)
        self._note_gaps(cut)
        return cut

    def _note_gaps(self, cut: Cut) -> None:
        noun = step_name(cut.grid.step)
        if cut.dropped:
            self._note(f"{plural(cut.dropped, 'sample')} left out over {plural(cut.grid.missing, f'missing {noun}')}")
        elif cut.grid.missing and not cut.whole_only:
            said: dict[str, list[str]] = {}
            for name, policy in self._gaps.items():
                said.setdefault("by their own time" if policy == OWN else policy, []).append(name)
            ways = ", ".join(policy for policy in said)
            self._note(f"{plural(cut.grid.missing, f'missing {noun}')} filled ({ways}), 0 in observed")

    def _by_fold(self) -> Cut:
        options, (_, runs, rows) = self._options, self._ordered
        assert options.fold is not None
        if runs is not None and self._columns:
            self._note_time_gaps(runs)
        grid = position_grid(runs if options.group else None, rows, options.fold)
        left = rows - grid.steps
        if left and DROP not in self._gaps.values():
            raise DataError(
                f"{plural(rows, 'row')} do not fill samples of {options.fold}: {plural(left, 'row is', 'rows are')} left over",
                hint="leave them out: --gaps drop; or cut by the calendar: --period day --time COL",
            )
        if left:
            self._note(f"{plural(left, 'row')} left over at the end")
        return Cut(grid, options.fold, stride=options.fold, ratios=options.split)

    def _note_time_gaps(self, runs: Runs) -> None:
        if not (runs.apart > 0).any():
            return
        step = given_step(self._options) or runs.usual_step()
        jumps = int(runs.lengths[(runs.apart > 0) & (runs.apart != step)].sum())
        if jumps:
            self._note(f"{plural(jumps, 'gap')} in time; the fold goes by position")

    # what is learned --------------------------------------------------------------------------------------------

    def learn(self) -> tuple[Learned, ...]:
        self._fresh = True
        _, runs, _ = self._ordered
        step = None
        if self._way != "fold":
            assert runs is not None
            step = given_step(self._options) or runs.usual_step()
        cut = self._cut(step)
        uses = series_uses(self._schema, self._roles, self._options)
        learner = ColumnLearner(self._schema, uses, self._kept.policies, self._options)
        learned = learner.learn(self._run.engine, lambda: self._train(cut), as_it_is)
        self._note(*learner.notes)
        return (*learned, GridState(microseconds=step).learned())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, a block of them at a time."""
        for rows in self._rows():
            yield from (rows.batch.slice(first, BLOCK_ROWS) for first in range(0, len(rows), BLOCK_ROWS))

    def _train(self, cut: Cut) -> Iterator[pa.RecordBatch]:
        """The observed rows of the train steps, each once."""
        if cut.is_all_train and cut.grid.rows == self._ordered[2]:
            yield from self._batches()
            return
        at = 0
        for batch in self._batches():
            places = cut.grid.places(np.arange(at, at + batch.num_rows))
            train = (places >= 0) & cut.is_train(np.maximum(places, 0))
            at += batch.num_rows
            if train.any():
                yield batch if train.all() else batch.filter(pa.array(train))

    # the finished samples ---------------------------------------------------------------------------------------

    def layout(self, learned: Sequence[Learned]) -> tuple[TensorSpec, ...]:
        cut, fitted = self._cut(GridState.of(learned).microseconds), Fitted(learned)
        names: Sequence[str | None] = self._options.split_names or (None,)
        return tuple(
            spec for name, count in zip(names, cut.counts, strict=True) for spec in self._specs(cut, fitted, count, name)
        )

    def _specs(self, cut: Cut, fitted: Fitted, count: int, split: str | None) -> Iterator[TensorSpec]:
        channels = fitted.channels
        if self._options.encode == "index":
            yield from self._index_specs(cut, fitted, count, split)
            return
        axes = ("row", "channel", "step")
        yield TensorSpec("series", (count, len(channels), cut.length), "float32", axes, "input", {"channel": channels}, split)
        if fitted.targets:
            names = tuple(name for part in fitted.targets for name in part.names)
            shape = (count, len(names), cut.horizon)
            yield TensorSpec("target", shape, "float32", ("row", "target", "step"), "target", {"target": names}, split)
        yield TensorSpec("observed", (count, cut.length), "uint8", ("row", "step"), "meta", {}, split)
        yield TensorSpec("row", (count,), "int64", ("row",), "meta", {}, split)

    def _index_specs(self, cut: Cut, fitted: Fitted, count: int, split: str | None) -> Iterator[TensorSpec]:
        """Where each window of a split starts, and the steps, each once. What needs no cell comes first: see `_index`."""
        steps = cut.steps[0 if split is None else self._options.split_names.index(split)]
        channels = fitted.channels
        yield TensorSpec("start", (count,), "int64", ("row",), "input", {}, split)
        yield TensorSpec("row", (count,), "int64", ("row",), "meta", {}, split)
        yield TensorSpec("observed", (steps,), "uint8", ("step",), "meta", {}, split)
        labels = {"channel": channels}
        yield TensorSpec("series", (steps, len(channels)), "float32", ("step", "channel"), "input", labels, split)
        if fitted.targets:
            names = tuple(name for part in fitted.targets for name in part.names)
            yield TensorSpec("target", (steps, len(names)), "float32", ("step", "target"), "target", {"target": names}, split)

    def texts(self) -> Mapping[str, Sequence[str]]:
        return {}

    def pieces(self, learned: Sequence[Learned]) -> Iterator[Piece]:
        cut, fitted = self._cut(GridState.of(learned).microseconds), Fitted(learned)
        self._kept.check_unseen(fitted, self._may_be_unseen(fitted))
        self._check_constants(fitted, cut)
        filler = Filler(cut.grid, self._gaps, self._columns, self._clock(), self._schema)

        indexed = self._options.encode == "index"
        if indexed:
            yield from self._index(cut)

        def encode(stretch: Stretch) -> tuple[Iterable[Piece], int]:
            steps = stretch.steps
            batch = filler.fill(steps, stretch.rows, stretch.first)
            values = np.zeros((len(steps), len(fitted.channels)), dtype=np.float32)
            fitted.encode(batch, values, fitted.inputs)
            fitted.indicate(batch, values)
            width = fitted.targets[-1].stop if fitted.targets else 0
            target = np.zeros((len(steps), width), dtype=np.float32)
            fitted.encode(batch, target, fitted.targets)
            if indexed:
                return list(self._steps(cut, stretch, values, target)), stretch.end
            # Windows that are spelt out are many times their steps: a few are made at a time, as they are written.
            return self._samples(cut, stretch, values, target), stretch.end

        # Of steps alone there is so little to do that threads would mostly wait for each other.
        for pieces, end in ordered_map(encode, self._stretches(cut, self._rows()), 1 if indexed else self._run.engine.workers):
            yield from pieces
            self._run.report("write", end, cut.grid.steps)

    def _stretches(self, cut: Cut, rows: Iterator[Rows], size: int = BLOCK_ROWS) -> Iterator[Stretch]:
        """The grid, a stretch of it at a time, of about `size` steps."""
        cursor = Cursor(rows)
        size = max(size, 8 * cut.span)
        size -= 0 if cut.windows else size % cut.length
        # A window that is spelt out takes steps of the next stretch; its index does not.
        ahead = cut.span - 1 if cut.windows and self._options.encode != "index" else 0
        for begin in range(0, cut.grid.steps, size):
            end = min(begin + size, cut.grid.steps)
            stop = min(end + ahead, cut.grid.steps)
            steps = cut.grid.at(begin, stop)
            first, last = steps.span()
            yield Stretch(steps, cursor.take(first, last), first, end)

    def _samples(self, cut: Cut, stretch: Stretch, values: Array, target: Array) -> Iterator[Piece]:
        """The samples that start in a stretch, a few MB at a time and split by split."""
        steps = stretch.steps
        parts = cut.by_part(cut.starts(steps.start, stretch.end))
        names: Sequence[str | None] = self._options.split_names or (None,)
        count = max(1, PIECE_BYTES // max(1, 4 * cut.length * values.shape[1]))
        for name, chosen in zip(names, parts, strict=True):
            for first in range(0, len(chosen), count):
                at = chosen[first : first + count] - steps.start
                inside = at[:, None] + np.arange(cut.length)
                piece = {"series": np.ascontiguousarray(values[inside].swapaxes(1, 2))}
                if cut.horizon:
                    after = at[:, None] + cut.length + np.arange(cut.horizon)
                    piece["target"] = np.ascontiguousarray(target[after].swapaxes(1, 2))
                piece["observed"] = steps.observed[inside].astype(np.uint8)
                piece["row"] = stretch.source(at)
                yield Piece(name, piece)

    def _index(self, cut: Cut) -> Iterator[Piece]:
        """The starts of all windows, split by split, their source rows, and which steps have a row.

        They come before the steps, and lie before them: so they are written, and hashed, while the steps are made.
        """
        names: Sequence[str | None] = self._options.split_names or (None,)
        for stretch in self._stretches(cut, self._places(), INDEX_STEPS):
            begin, end = stretch.steps.start, stretch.end
            observed = stretch.steps.observed.view(np.uint8)
            for part, (name, chosen) in enumerate(zip(names, cut.by_part(cut.starts(begin, end)), strict=True)):
                piece = {"start": cut.within(chosen, part), "row": stretch.source(chosen - begin)}
                yield Piece(name, piece | {"observed": observed[cut.inside(part, begin, end)]})

    def _steps(self, cut: Cut, stretch: Stretch, values: Array, target: Array) -> Iterator[Piece]:
        """The steps of a stretch, split by split."""
        names: Sequence[str | None] = self._options.split_names or (None,)
        for part, name in enumerate(names):
            at = cut.inside(part, stretch.steps.start, stretch.end)
            yield Piece(name, {"series": values[at]} | ({"target": target[at]} if target.shape[1] else {}))

    def _may_be_unseen(self, fitted: Fitted) -> list[Channelled]:
        unknown = self._options.unseen == "unknown"
        parts = [part for part in fitted.inputs if not (unknown and isinstance(part.encoder, OneHot))]
        return [part for part in (*parts, *fitted.targets) if part.may_be_unseen]

    def _check_constants(self, fitted: Fitted, cut: Cut) -> None:
        """Raise DataError for a value that fills gaps and is none of the categories of its column."""
        if not cut.grid.missing or cut.whole_only or self._options.unseen == "unknown":
            return
        for part in fitted.inputs:
            policy = self._gaps[part.column]
            if isinstance(part.encoder, OneHot) and policy not in (*WORDS, OWN):
                known = [str(value) for value in part.encoder.categories]
                if policy not in known:
                    raise DataError(
                        f"--gaps {part.column}={policy}: train has no such category",
                        hint="categories: " + ", ".join(known),
                    )

    def describe(self, tensor: str, learned: Sequence[Learned]) -> str:
        fitted = Fitted(learned)
        if tensor in ("series", "target"):
            parts = fitted.inputs if tensor == "series" else fitted.targets
            words = dict.fromkeys(part.encoder.describe() for part in parts)
            origin = f"learned from {'train' if self._options.split else 'all steps'}" if self._fresh else "as the recipe says"
            return ", ".join(words) + ("" if set(words) <= {"raw", "calendar parts"} else f", {origin}")
        return {"observed": "1 where the step has a row", "row": "source row of the start"}.get(tensor, "")


def as_it_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of train rows, as it comes."""
    return batch


_REPEATS = {"first": "the first row is kept", "mean": "their mean"}


class _NoTimes:
    """All rows at once: where nothing is said of times, nothing goes back."""

    def runs(self, block: Packed) -> Distances:
        return Distances(pa.int64(), np.zeros(1, dtype=np.int64), np.array([block.rows]))
