"""Finished samples of a series: the engine encodes a stretch of steps at a time, samples are spelt out as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tensorize.columns.fitted import Fitted
from tensorize.columns.reader import Rows
from tensorize.core.contracts import BLOCK_ROWS, Array, Piece, Plan, Run
from tensorize.loaders.series.cut import Cut
from tensorize.loaders.series.gaps import Filler, check_constants
from tensorize.loaders.series.grid import Steps
from tensorize.loaders.series.learn import SeriesState, kept_rows
from tensorize.loaders.series.rows import Cursor, RowBatch, RowPass
from tensorize.loaders.series.runs import Ints
from tensorize.loaders.series.tensors import SeriesTensors

PIECE_BYTES = 8 << 20
INDEX_STEPS = 4 * BLOCK_ROWS
"""Steps of which the index is made at a time: there is little to do for each."""


@dataclass(frozen=True)
class Stretch:
    """The places `start:stop` of the grid, of which samples start before `end`; `rows` come from ordinal `first` on."""

    start: int
    stop: int
    end: int
    first: int
    rows: RowBatch


@dataclass(frozen=True)
class Encode:
    """Fills the gaps of a stretch and encodes its steps."""

    filler: Filler
    fitted: Fitted

    def __call__(self, stretch: Stretch, steps: Steps) -> tuple[Array, Array]:
        """Return the channels (step, channel) and the targets (step, target) of a stretch and its steps, both float32."""
        fitted = self.fitted
        batch = self.filler.fill(steps, stretch.rows, stretch.first)
        values = np.zeros((len(steps), len(fitted.channels)), dtype=np.float32)
        fitted.encode(batch, values, fitted.inputs)
        fitted.indicate(batch, values)
        width = fitted.targets[-1].stop if fitted.targets else 0
        target = np.zeros((len(steps), width), dtype=np.float32)
        fitted.encode(batch, target, fitted.targets)
        return values, target


@dataclass(frozen=True)
class Samples:
    """The samples that start in a stretch, before they are spelt out.

    `starts` holds an array (sample) int64 for each split: the first step of each, counted from that of the stretch. `told`
    are other values of each by name, (sample) int64: its source row at least. `observed` is (step) uint8.
    """

    end: int
    values: Array
    target: Array
    observed: Array
    starts: list[Ints]
    told: list[dict[str, Array]]

    def pieces(self, tensors: SeriesTensors) -> Iterator[Piece]:
        """The samples, a few MB at a time and split by split.

        Windows that are spelt out are many times their steps: a few are made at a time, as they are written.
        """
        count = max(1, PIECE_BYTES // max(1, 4 * tensors.cut.length * self.values.shape[1]))
        for name, starts, told in zip(tensors.splits, self.starts, self.told, strict=True):
            for first in range(0, len(starts), count):
                chosen = slice(first, first + count)
                others = {key: values[chosen] for key, values in told.items()}
                yield Piece(name, self._spelt_out(tensors.cut, starts[chosen]) | others)

    def _spelt_out(self, cut: Cut, starts: Ints) -> dict[str, Array]:
        inside = starts[:, None] + np.arange(cut.length)
        found = {"series": np.ascontiguousarray(self.values[inside].swapaxes(1, 2))}
        if cut.horizon:
            after = starts[:, None] + cut.length + np.arange(cut.horizon)
            found["target"] = np.ascontiguousarray(self.target[after].swapaxes(1, 2))
        return found | {"observed": self.observed[inside]}


@dataclass(frozen=True)
class MakeSamples:
    """Encodes a stretch and finds the samples that start in it."""

    encode: Encode
    tensors: SeriesTensors

    def __call__(self, stretch: Stretch) -> Samples:
        """Return the samples that start in the stretch, split by split."""
        cut = self.tensors.cut
        steps = cut.grid.at(stretch.start, stretch.stop)
        chosen, told = [], []
        for places in cut.by_part(cut.starts(stretch.start, stretch.end)):
            chosen.append(places - stretch.start)
            source = stretch.rows.source_at(steps.nearest(chosen[-1]) - stretch.first)
            told.append({"row": source} | self.tensors.told(places))
        return Samples(stretch.end, *self.encode(stretch, steps), steps.observed.view(np.uint8), chosen, told)


@dataclass(frozen=True)
class MakeSteps:
    """Encodes a stretch and shares its steps out among the splits."""

    encode: Encode
    tensors: SeriesTensors

    def __call__(self, stretch: Stretch) -> tuple[int, list[Piece]]:
        """Return where the stretch ends, and `series` and `target` of each split."""
        values, target = self.encode(stretch, self.tensors.cut.grid.at(stretch.start, stretch.stop))
        pieces = []
        for part, name in enumerate(self.tensors.splits):
            at = self.tensors.cut.inside(part, stretch.start, stretch.end)
            pieces.append(Piece(name, {"series": values[at]} | ({"target": target[at]} if target.shape[1] else {})))
        return stretch.end, pieces


@dataclass(frozen=True)
class MakeStarts:
    """Finds the windows that start in a stretch."""

    tensors: SeriesTensors

    def __call__(self, stretch: Stretch) -> list[Piece]:
        """Return `start`, `row` and `observed` of each split."""
        cut, begin, end = self.tensors.cut, stretch.start, stretch.end
        steps = cut.grid.at(begin, stretch.stop)
        observed = steps.observed.view(np.uint8)
        pieces = []
        for part, (name, chosen) in enumerate(zip(self.tensors.splits, cut.by_part(cut.starts(begin, end)), strict=True)):
            source = stretch.rows.source_at(steps.nearest(chosen - begin) - stretch.first)
            values = {"start": cut.within(chosen, part), "row": source, "observed": observed[cut.inside(part, begin, end)]}
            pieces.append(Piece(name, values | self.tensors.told(chosen)))
        return pieces


def finished(plan: Plan, rows: Rows, run: Run) -> Iterator[Piece]:
    """Yield the finished samples. Raises DataError, before the first, for values that the recipe cannot encode."""
    state: SeriesState = plan.state
    tensors, filler, roles = state.tensors, state.filler, rows.needs.roles
    kept = kept_rows(rows, tensors.options, run)
    kept.leave_out(state.order.selection.out)
    blocks = kept.of()
    repeated = state.order.repeated(blocks, run.engine.store)
    kept.leave_out(np.union1d(state.order.selection.out, repeated))
    kept.check_unseen(tensors.fitted, tensors.may_be_unseen)
    if not tensors.cut.whole_only:
        check_constants(tensors.may_be_unseen, filler)
    unseen = kept.unseen(tensors.fitted, tensors.may_be_zero)
    stream = state.order.stream(blocks, run.engine.store)
    columns = (*roles.inputs, *roles.targets)
    pieces = (_as_index if tensors.is_index else _spelt_out)(state, stream, columns, run)
    yield from (replace(piece, found=None if number else unseen) for number, piece in enumerate(pieces))


def _spelt_out(state: SeriesState, stream: RowPass, columns: tuple[str, ...], run: Run) -> Iterator[Piece]:
    tensors, cut = state.tensors, state.tensors.cut
    make = MakeSamples(Encode(state.filler, tensors.fitted), tensors)
    # The last windows of a stretch take steps of the next.
    ahead = cut.span - 1 if cut.windows else 0
    for samples in run.engine.map(make, _stretches(cut, stream(columns), BLOCK_ROWS, ahead)):
        yield from samples.pieces(tensors)
        run.report("write", samples.end, cut.grid.steps)


def _as_index(state: SeriesState, stream: RowPass, columns: tuple[str, ...], run: Run) -> Iterator[Piece]:
    """First where all windows start, and which steps have a row; then the steps.

    The index comes before the steps, and lies before them: so it is written, and hashed, while the steps are made.
    """
    tensors, cut = state.tensors, state.tensors.cut
    for pieces in map(MakeStarts(tensors), _stretches(cut, stream(()), INDEX_STEPS)):
        yield from pieces
    make = MakeSteps(Encode(state.filler, tensors.fitted), tensors)
    for end, pieces in run.engine.map(make, _stretches(cut, stream(columns), BLOCK_ROWS)):
        yield from pieces
        run.report("write", end, cut.grid.steps)


def _stretches(cut: Cut, rows: Iterator[RowBatch], size: int, ahead: int = 0) -> Iterator[Stretch]:
    """The grid, a stretch of about `size` steps at a time, and `ahead` steps more."""
    cursor, steps = Cursor(rows), cut.grid.steps
    size = max(size, 8 * cut.span)
    size -= 0 if cut.windows else size % cut.length
    for begin in range(0, steps, size):
        end = min(begin + size, steps)
        stop = min(end + ahead, steps)
        first, last = cut.grid.span(begin, stop)
        yield Stretch(begin, stop, end, first, cursor.take(first, last))
