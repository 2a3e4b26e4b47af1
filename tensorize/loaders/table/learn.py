"""From the rows of a table to a plan: which rows are kept, where they go, and what is learned from train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.cells import FaultyCells
from tensorize.columns.fitted import Fitted
from tensorize.columns.index import counting_notes, index_note
from tensorize.columns.learning import ColumnLearner
from tensorize.columns.missing import check_words
from tensorize.columns.options import ColumnOptions
from tensorize.columns.reader import Rows
from tensorize.columns.roles import one
from tensorize.columns.selection import KeptBlocks, SelectedRows, Selection, left_out
from tensorize.columns.splits import Assignment, SplitBy, assign, assign_by
from tensorize.columns.steps import plan_uses
from tensorize.core.contracts import Learned, Piece, Plan, Run
from tensorize.core.errors import DataError, plural
from tensorize.loaders.table.duplicates import RepeatedRows, dropped_notes, repeats_error, repeats_notes, repeats_of
from tensorize.loaders.table.tensors import BlockFindings, TableTensors
from tensorize.statistics.categories import order_notes


@dataclass(frozen=True)
class TableState:
    """What is decided about the rows of a table, besides its tensors' specs."""

    selection: Selection
    assignment: Assignment
    tensors: TableTensors


@dataclass(frozen=True)
class _Train:
    """The train rows of a block, by its number."""

    kept: KeptBlocks
    assignment: Assignment

    def __call__(self, index: int) -> pa.RecordBatch:
        block, mask = self.kept(index)
        return block.picked(self.assignment.parts(block, mask) == 0)


@dataclass(frozen=True)
class _Finish:
    """The finished rows of a block, by its number: a piece for each split that has rows there."""

    kept: KeptBlocks
    assignment: Assignment
    tensors: TableTensors

    def __call__(self, index: int) -> list[Piece]:
        block, mask = self.kept(index)
        parts = self.assignment.parts(block, mask)
        pieces = []
        for number, split in enumerate(self.assignment.names or (None,)):
            picked = parts == number
            if picked.any():
                rows = np.flatnonzero(picked) + block.start
                pieces.append(Piece(split, *self.tensors.values(block.picked(picked), rows)))
        return pieces


def learn(rows: Rows, options: ColumnOptions, run: Run) -> Plan:
    """Check the rows, share them out, and learn every step from train rows."""
    words = check_words(options.missing, rows.schema, rows.needs.roles.inputs)
    kept = SelectedRows(rows, options, run)
    uses = plan_uses(rows.schema, rows.needs.roles, options)
    assignment, notes = _shared_out(kept, options, run)
    learner = ColumnLearner(rows.schema, uses, kept.policies, options)
    train = _Train(kept.of(), assignment)
    learned = learner.learn(run.engine, lambda: range(len(train.kept)), train)
    origin = f"learned from {'train' if assignment.names else 'all rows'}"
    notes += [*index_note(rows, options), *counting_notes(rows, options), *_code_notes(rows), *words, *learner.notes]
    notes += [note for item in learned if item.role == "target" for note in order_notes(item.state.get("categories", ()))]
    return _plan(kept, options, assignment, _tensors(rows, options, learned, origin), notes)


def replay(rows: Rows, options: ColumnOptions, run: Run, learned: Sequence[Learned]) -> Plan:
    """Check the rows, and take every step from a recipe."""
    kept = SelectedRows(rows, options, run)
    assignment, notes = _shared_out(kept, options, run)
    return _plan(kept, options, assignment, _tensors(rows, options, learned, "as the recipe says"), notes)


def finished(plan: Plan, rows: Rows, run: Run) -> Iterator[Piece]:
    """Yield the finished rows. Raises DataError for values that the recipe has no place for, after the last row.

    Where rows are printed as they come, it is raised before the first.
    """
    state: TableState = plan.state
    tensors, found, done = state.tensors, BlockFindings(), 0
    kept = SelectedRows(rows, tensors.options, run)
    if run.streams:
        kept.check_unseen(tensors.fitted, tensors.may_be_unseen)
    finish = _Finish(KeptBlocks(kept.of().blocks, state.selection), state.assignment, tensors)
    for pieces in run.engine.map(finish, range(len(finish.kept))):
        for piece in pieces:
            yield piece
            found = found.merge(cast(BlockFindings, piece.found))
            done += len(piece.values["row"])
        run.report("write", done, sum(state.assignment.counts))
    kept.check_unseen(tensors.fitted, [part for part in tensors.may_be_unseen if part.column in found.unseen.counts])


def _shared_out(kept: SelectedRows, options: ColumnOptions, run: Run) -> tuple[Assignment, list[str]]:
    """Which split every kept row belongs to, and notes on the rows that are not kept, or equal others."""
    count, rows = kept.check()
    notes = left_out(count, rows)
    policy = one(options, "duplicate_rows") if run.learns and options.tells_repeats else None
    repeats = repeats_of(kept, run) if policy else RepeatedRows()
    if policy == "error" and len(repeats):
        raise repeats_error(repeats, kept.rows)
    if policy == "drop":
        kept.leave_out(repeats.rows)
        count -= len(repeats)
    assignment = _assigned(kept, count, options, run)
    if policy:
        notes += repeats_notes(repeats, kept.of(), assignment) if policy == "keep" else dropped_notes(repeats)
    return assignment, [*notes, *assignment.notes]


def _assigned(kept: SelectedRows, count: int, options: ColumnOptions, run: Run) -> Assignment:
    """The split of the `count` rows that are kept."""
    column = one(options, "split_by") if run.learns else None
    if column is not None:
        return assign_by(column, kept.of({column}))
    ways = {way: one(options, way) for way in ("stratify", "group", "order")} if options.split else {}
    by = SplitBy(options.split_names, options.split, options.seed, **ways)
    assignment = assign(by, kept.of({name for name in ways.values() if name}), count, run.engine)
    empty = [name for name, size in zip(assignment.names, assignment.counts, strict=False) if not size]
    if empty:
        raise DataError(
            f"no row is left for {', '.join(empty)}: {plural(count, 'row')} in all", hint="give larger ratios, or more rows"
        )
    return assignment


def _code_notes(rows: Rows) -> list[str]:
    """Say of which integers the leading zeros were kept."""
    codes = [name for name in rows.codes if name not in rows.needs.roles.keys]
    return [f'"{name}" is kept as text: leading zeros, or too many digits (--type "{name}:number" to count)' for name in codes]


def _tensors(rows: Rows, options: ColumnOptions, learned: Sequence[Learned], origin: str) -> TableTensors:
    targets = {item.of for item in learned if item.role == "target"} <= set(rows.schema.names)
    return TableTensors(Fitted(learned), options, rows.schema, targets, origin)


def _plan(kept: SelectedRows, options: ColumnOptions, assignment: Assignment, tensors: TableTensors, notes: list[str]) -> Plan:
    _check_ids(kept, tensors)
    learned = tuple(tensors.fitted.learned)
    if any(item.role == "target" for item in learned) and not tensors.with_target:
        notes.append("the target column is not there: no target")
    splits: Sequence[str | None] = assignment.names or (None,)
    specs = tuple(spec for name, rows in zip(splits, assignment.counts, strict=True) for spec in tensors.specs(rows, name))
    made = {spec.name: tensors.describe(spec.name) for spec in specs}
    state = TableState(kept.selection, assignment, tensors)
    return Plan(learned, specs, _texts(kept, options, assignment), tuple(dict.fromkeys(notes)), made, state)


def _check_ids(kept: SelectedRows, tensors: TableTensors) -> None:
    """Raise DataError for rows without an id, where ids are whole numbers: int64 has none that is missing."""
    name = tensors.id
    if name is None or name in kept.rows.whole or tensors.schema[name].storage != "int64":
        return
    cells = FaultyCells()
    for block, mask in kept.blocks({name}):
        cells.look(block, mask, name, pc.is_null)
    if cells.counts:
        places = kept.rows.place([row for row, _, _ in cells.first])
        raise DataError(
            f"{plural(cells.total, 'row has', 'rows have')} no id",
            cells.lines(places),
            f'keep the ids as text: --type "{name}:category"; or the rows that have one: --where "{name} is not missing"',
            {"type": [f"{name}:category"]},
        )


def _texts(kept: SelectedRows, options: ColumnOptions, assignment: Assignment) -> Mapping[str, Sequence[str]]:
    """The values of a text `--id`, in row order."""
    name, schema = one(options, "id"), kept.rows.schema
    if name is None or name not in schema or schema[name].storage != "string":
        return {}
    found: dict[str, list[str]] = {f"{split}/id": [] for split in assignment.names} if assignment.names else {"id": []}
    for block, mask in kept:
        parts = assignment.parts(block, mask)
        values = block.batch.column(name)
        for index, key in enumerate(found):
            found[key] += ["" if value is None else value for value in values.filter(pa.array(parts == index)).to_pylist()]
    return found
