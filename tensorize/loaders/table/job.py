"""A table on its way to tensors: which rows are kept and where they go, what is learned, and the finished rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from tensorize.columns.fitted import Fitted
from tensorize.columns.learning import ColumnLearner
from tensorize.columns.options import ColumnOptions
from tensorize.columns.roles import one
from tensorize.columns.rows import RowBlock, TableScan
from tensorize.columns.selection import Kept, left_out
from tensorize.columns.splits import Assignment, SplitBy, assign
from tensorize.columns.steps import plan_uses
from tensorize.core.contracts import Learned, Mask, Piece, Run, TensorSpec
from tensorize.core.errors import DataError, plural
from tensorize.core.threads import ordered_map
from tensorize.loaders.table.tensors import Found, Tensors


class TableJob:
    """See `tensorize.loaders.jobs.Job`."""

    def __init__(self, scan: TableScan, options: ColumnOptions, run: Run) -> None:
        self._scan, self._options, self._run = scan, options, run
        self._roles = scan.needs.roles
        self._kept = Kept(scan, options, learns=run.learns)
        self._notes: list[str] = []
        self._fresh = False

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._notes))

    # which rows -------------------------------------------------------------------------------------------------

    @cached_property
    def _assignment(self) -> Assignment:
        """Check the rows that are kept, and share them out."""
        kept, rows = self._kept.check()
        self._notes += left_out(kept, rows)
        assignment = assign(self._split_by, self._kept.__iter__, kept)
        empty = [name for name, count in zip(assignment.names, assignment.counts, strict=False) if not count]
        if empty:
            raise DataError(
                f"no row is left for {', '.join(empty)}: {plural(kept, 'row')} in all", hint="give larger ratios, or more rows"
            )
        return assignment

    @property
    def _split_by(self) -> SplitBy:
        options = self._options
        ways = {way: one(options, way) for way in ("stratify", "group", "order")}
        return SplitBy(options.split_names, options.split, options.seed, **(ways if options.split else {}))

    # what is learned --------------------------------------------------------------------------------------------

    def learn(self) -> tuple[Learned, ...]:
        uses = plan_uses(self._scan.schema, self._roles, self._options)
        learner = ColumnLearner(self._scan.schema, uses, self._kept.policies, self._options)
        assignment = self._assignment

        def train(item: tuple[RowBlock, Mask]) -> pa.RecordBatch:
            block, mask = item
            return block.picked(assignment.parts(block, mask) == 0)

        learned = learner.learn(self._kept.blocks, train, self._run.engine.workers)
        self._fresh = True
        self._notes += [*self._code_notes(), *learner.notes]
        return learned

    def _code_notes(self) -> list[str]:
        """Say of which integers the leading zeros were kept."""
        codes = [name for name in self._scan.codes if name not in self._roles.keys]
        return [
            f'"{name}" is kept as text: leading zeros, or too many digits (--type "{name}:number" to count)' for name in codes
        ]

    # the finished rows ------------------------------------------------------------------------------------------

    def _tensors(self, learned: Sequence[Learned]) -> Tensors:
        targets = {item.of for item in learned if item.role == "target"} <= set(self._scan.schema.names)
        origin = "as the recipe says" if not self._fresh else f"learned from {'train' if self._options.split else 'all rows'}"
        return Tensors(Fitted(learned), self._options, self._scan.schema, targets, origin)

    def layout(self, learned: Sequence[Learned]) -> tuple[TensorSpec, ...]:
        tensors = self._tensors(learned)
        if any(item.role == "target" for item in learned) and not tensors.with_target:
            self._notes.append("the target column is not there: no target")
        names: Sequence[str | None] = self._assignment.names or (None,)
        return tuple(
            spec for name, rows in zip(names, self._assignment.counts, strict=True) for spec in tensors.specs(rows, name)
        )

    def texts(self) -> Mapping[str, Sequence[str]]:
        """The values of a text `--id`, in row order."""
        name = one(self._options, "id")
        if name is None or name not in self._scan.schema or self._scan.schema[name].storage != "string":
            return {}
        names = self._assignment.names
        found: dict[str, list[str]] = {f"{split}/id": [] for split in names} if names else {"id": []}
        for block, mask in self._kept:
            parts = self._assignment.parts(block, mask)
            values = block.batch.column(name)
            for index, key in enumerate(found):
                found[key] += ["" if value is None else value for value in values.filter(pa.array(parts == index)).to_pylist()]
        return found

    def pieces(self, learned: Sequence[Learned]) -> Iterator[Piece]:
        tensors = self._tensors(learned)
        names: Sequence[str | None] = self._assignment.names or (None,)
        if self._run.streams:
            self._kept.check_unseen(tensors.fitted, tensors.may_be_unseen)

        def work(item: tuple[RowBlock, Mask]) -> list[tuple[Piece, Found]]:
            block, mask = item
            parts = self._assignment.parts(block, mask)
            return [
                self._piece(tensors, name, block, parts == index) for index, name in enumerate(names) if (parts == index).any()
            ]

        found, done = Found(), 0
        for pieces in ordered_map(work, self._kept, self._run.engine.workers):
            for piece, seen in pieces:
                yield piece
                found.add(seen)
                done += len(piece.values["row"])
            self._run.report("write", done, sum(self._assignment.counts))
        self._kept.check_unseen(tensors.fitted, [part for part in tensors.may_be_unseen if part.column in found.unseen])
        self._notes += found.remarks()

    def _piece(self, tensors: Tensors, split: str | None, block: RowBlock, mask: Mask) -> tuple[Piece, Found]:
        values, found = tensors.values(block.picked(mask), np.flatnonzero(mask) + block.start)
        return Piece(split, values), found

    def describe(self, tensor: str, learned: Sequence[Learned]) -> str:
        return self._tensors(learned).describe(tensor)
