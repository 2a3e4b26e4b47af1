"""Learn the steps of columns from train rows: every statistic from the parsed, observed values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from tensorize.columns.fitted import ready_values
from tensorize.columns.missing import LEARNED, is_filled
from tensorize.columns.options import ColumnOptions
from tensorize.columns.reader import NUMBER_NA
from tensorize.columns.steps import AUTO, Use
from tensorize.core.contracts import Engine, Learned, Statistic
from tensorize.core.errors import DataError, UsageError, plural
from tensorize.core.schema import Schema
from tensorize.engine.gather import gather
from tensorize.statistics.categories import Categories
from tensorize.statistics.nulls import Nulls
from tensorize.transforms.impute import Impute, typed_constant
from tensorize.transforms.lookup import find

B = TypeVar("B")
FILL = "impute"
FEW, MANY = 10, 20
"""A target of so few numbers with a decimal point may be classes; one of more integers may be a number."""


class ColumnLearner:
    """Learns what the uses and the missing policies of a table (or a series) need.

    `notes` are warnings, such as of a constant column.
    """

    def __init__(self, schema: Schema, uses: Sequence[Use], policies: Mapping[str, str], options: ColumnOptions) -> None:
        self._schema, self._options = schema, options
        self._uses = uses
        inputs = dict.fromkeys(use.column for use in uses if use.role == "input")
        self._fills = {name: policies[name] for name in inputs if is_filled(policies[name])}
        self.notes: list[str] = []

    def learn(
        self, engine: Engine, blocks: Callable[[], Iterable[B]], train: Callable[[B], pa.RecordBatch]
    ) -> tuple[Learned, ...]:
        """Return the learned steps in channel order, then the fills.

        `blocks()` starts a pass over blocks, or over what `train` makes blocks of: `train(block)` gives the train rows of
        one, wherever the engine calls it.
        """
        self._check_policies()
        found = gather(engine, self._wanted(), blocks, partial(self._observed, train))
        steps = [self._finish(use, found.get(("use", index))) for index, use in enumerate(self._uses)]
        self._check_fills({name: found.get(("fill", name)) for name in self._fills})
        fills = [self._fill(name, found.get(("fill", name)), found.get(("nulls", name))) for name in self._fills]
        return (*steps, *fills)

    def _observed(self, train: Callable[[B], pa.RecordBatch], block: B, keys: Iterable[Any]) -> dict[Any, Any]:
        batch = train(block)
        return {key: self._look(batch, *key) for key in keys}

    def _wanted(self) -> dict[Any, Statistic]:
        """What is to be gathered, by what it is for."""
        found: dict[Any, Statistic | None] = {("use", index): self._statistic(use) for index, use in enumerate(self._uses)}
        for name, policy in self._fills.items():
            found["fill", name] = self._limited(Impute.statistic({"policy": policy}))
            found["nulls", name] = Nulls() if self._options.indicator else None
        return {key: statistic for key, statistic in found.items() if statistic is not None}

    def _statistic(self, use: Use) -> Statistic | None:
        if use.step == AUTO:
            column = self._schema[use.column]
            task, is_float = self._options.task, column.storage == "float64"
            if self._options.declared(use.column) or task == "numbers":
                return None
            return self._limited(Categories(limit=FEW if is_float and task == "auto" else self._limit))
        return self._limited(find(use.step).statistic(use.params))

    def _limited(self, statistic: Statistic | None) -> Statistic | None:
        """Distinct values are held in memory: no more of them than `--max-distinct` allows."""
        if isinstance(statistic, Categories):
            return replace(statistic, limit=min(statistic.limit, self._options.max_distinct))
        return statistic

    @property
    def _limit(self) -> int:
        """The most distinct values with which a target of integers or words is one of classes by default."""
        return self._options.max_distinct if self._options.task == "classes" else self._options.max_categories

    def _look(self, batch: pa.RecordBatch, sort: str, which: Any) -> Any:
        """What one statistic looks at: the values of its column that are there, or all where they are counted."""
        column = self._uses[which].column if sort == "use" else which
        values = batch.column(column)
        if sort == "nulls":
            return values
        values = values.drop_null() if values.null_count else values
        if sort == "fill":
            return Impute.observe_as(values, self._fills[column])
        if self._uses[which].step == AUTO:
            return values
        owner = find(self._uses[which].step)
        return owner.observe(ready_values(values, owner.kinds, column))

    def _finish(self, use: Use, statistic: Statistic | None) -> Learned:
        use, statistic = self._decided(use, statistic)
        self._check_distinct(use, statistic)
        if isinstance(statistic, Categories) and use.role == "input":
            statistic = statistic.merge(self._declared_fill(use.column))
        params = {**use.params, "kind": self._schema[use.column].kind}
        transform = find(use.step).learn(statistic, params)
        self.notes += transform.remarks(use.column)
        if isinstance(statistic, Categories) and use.step == "onehot":
            self._note_missing_words(use.column, statistic)
        if use.automatic:
            self.notes.append(f'"{use.column}" is text of {plural(len(transform.channels(use.column)), "value")}: one-hot')
        return Learned(use.step, use.column, transform.model_dump(mode="json"), use.role)

    def _decided(self, use: Use, statistic: Statistic | None) -> tuple[Use, Statistic | None]:
        """Decide the task of a target that no flag settled: class ids, or the number itself."""
        if use.step != AUTO:
            return use, statistic
        declared = self._options.declared(use.column)
        if declared and self._options.task != "numbers":
            return replace(use, step="onehot", params={"values": declared}), None
        column = self._schema[use.column]
        if isinstance(statistic, Categories) and (not statistic.overflowed or self._options.task == "classes"):
            self._note_task(use.column, statistic)
            if column.storage != "float64" or self._options.task == "classes":
                return replace(use, step="onehot"), statistic
        if column.kind not in ("number", "bool"):
            if self._options.task == "numbers":
                raise DataError(
                    f'the target "{use.column}" holds text, not numbers', hint="say --task classes, or omit --task numbers"
                )
            raise DataError(
                f'the target "{use.column}" has more than {self._limit} values in train',
                hint="is it the right column? Else say --task classes, or raise --max-categories",
            )
        return replace(use, step="raw"), None

    def _note_missing_words(self, name: str, found: Categories) -> None:
        """Say so if a category is a word that means a missing value among numbers."""
        words = [word for word in NUMBER_NA if word and word in found.counts]
        if words and self._schema[name].kind == "category":
            said = ", ".join(f'"{word}" ({plural(found.counts[word], "cell")})' for word in words)
            flags = " ".join(f"--na {word}" for word in words)
            self.notes.append(f'"{name}" has the category {said}: say {flags} if it means missing')

    def _note_task(self, name: str, found: Categories) -> None:
        """Say so if whole numbers are taken as classes, or what may be classes as numbers."""
        column, count = self._schema[name], len(found.counts)
        if self._options.task != "auto":
            return
        if column.storage == "int64" and count > MANY:
            self.notes.append(f'"{name}" holds {count} whole numbers, taken as classes: say --task numbers for a number')
        if column.storage == "float64" and 1 < count <= FEW and all(float(value).is_integer() for value in found.values):
            said = ", ".join(str(value) for value in found.values[:4]) + (" …" if count > 4 else "")
            self.notes.append(f'"{name}" holds {said} and is taken as a number: say --task classes for classes')

    def _declared_fill(self, name: str) -> Categories:
        """A constant that stands for what is missing is a category of its own: declared, not learned."""
        policy = self._fills.get(name, LEARNED[0])
        return Categories() if policy in LEARNED else Categories(counts={typed_constant(policy, self._schema[name].storage): 0})

    def _check_distinct(self, use: Use, statistic: Statistic | None) -> None:
        """Raise DataError for a column of more values than may become channels: 100, unless a flag asks for them all."""
        if not isinstance(statistic, Categories) or not statistic.overflowed:
            return
        if not use.automatic:
            raise self._too_many(use.column, statistic.limit)
        raise DataError(
            f'the text column "{use.column}" has more than {statistic.limit:,} values',
            hint=f'say --drop "{use.column}", or --onehot "{use.column}" to have them all, or raise --max-categories',
            fix={"drop": [use.column]},
        )

    def _too_many(self, column: str, limit: int) -> DataError:
        most = self._options.max_distinct
        hint = f", or allow more: --max-distinct {10 * most}" if limit == most else ""
        return DataError(
            f'the column "{column}" has more than {limit:,} distinct values in train',
            hint=f'say --drop "{column}"{hint}',
            fix={"drop": [column]},
        )

    def _check_policies(self) -> None:
        """Raise UsageError for the mean of a column that is not of numbers."""
        for name, policy in self._fills.items():
            if policy in ("mean", "median") and self._schema[name].kind != "number":
                raise UsageError(
                    f'there is no {policy} of "{name}", which is a {self._schema[name].kind}',
                    hint=f'say --missing "{name}=mode", or the value itself: --missing "{name}=VALUE"',
                )

    def _check_fills(self, found: Mapping[str, Any]) -> None:
        """Raise DataError naming every column that has no value to learn a fill from."""
        empty = [name for name, statistic in found.items() if statistic is not None and statistic.is_empty]
        if empty:
            said = ", ".join(f'"{name}"' for name in empty)
            raise DataError(
                f"{said} {'has' if len(empty) == 1 else 'have'} no value in train: there is nothing to fill with",
                hint="say " + " ".join(f'--drop "{name}"' for name in empty) + f', or --missing "{empty[0]}=VALUE"',
                fix={"drop": empty},
            )

    def _fill(self, name: str, statistic: Statistic | None, nulls: Statistic | None) -> Learned:
        if isinstance(statistic, Categories) and statistic.overflowed:
            raise self._too_many(name, statistic.limit)
        params = {"policy": self._fills[name], "kind": self._schema[name].storage}
        indicator = "true" if isinstance(nulls, Nulls) and nulls.count else "false"
        fill = Impute.learn(statistic, {**params, "indicator": indicator})
        return Learned(FILL, name, fill.model_dump(mode="json"), "meta")
