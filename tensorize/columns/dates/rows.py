"""Rows whose dates are read in one place: whatever their notation, they come as ISO 8601 text."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.dates.notations import DAY_FIRST, FORMS, MONTH_FIRST, ORDERED
from tensorize.columns.dates.text import is_iso, read_cells, to_iso
from tensorize.columns.reader import Needs, Partition, Rows
from tensorize.core.contracts import Facts, Mask
from tensorize.core.errors import DataError, shown
from tensorize.core.schema import Schema
from tensorize.engine.packed import Column, Distances, Packed, Repeats


def with_dates(rows: Rows, *, learns: bool) -> Rows:
    """The rows with all dates in ISO 8601; the notation of a column is found in all its cells if `learns`.

    Raises DataError for a column whose day cannot be told from its month.
    """
    dated = [name for name in rows.needs.dates if name in rows.schema and rows.schema[name].kind == "time"]
    if not dated:
        return rows
    notations = {name: rows.needs.dates[name] for name in dated}
    open_ones = [name for name, notation in notations.items() if notation is None] if learns else []
    found = _found(rows, open_ones) if open_ones else {}
    columns = (
        item.model_copy(update={"notation": found[item.name]}) if found.get(item.name) else item for item in rows.schema.columns
    )
    return DatedRows(rows, Schema(columns=tuple(columns)), rows.needs, notations | found)


def _found(rows: Rows, names: Sequence[str]) -> dict[str, str | None]:
    """Column → its notation, from one pass over all cells."""
    notations = {name: Notation(name) for name in names}
    for partition in rows.partitions:
        packed = rows.read(partition, names)
        for name in names:
            cells = _text(packed.columns[name])
            if cells is not None:
                notations[name].look(cells)
    return {name: notation.found() for name, notation in notations.items()}


def _text(column: Column) -> pa.Array | None:
    """The cells of a column of text, each at least once; None for time stamps."""
    if isinstance(column, Distances) or not pa.types.is_string(column.type):
        return None
    return column.cells if isinstance(column, Repeats) else column


@dataclass(frozen=True)
class DatedRows:
    """Rows of another reader, the dates among them as ISO 8601 text; cells that are no dates stay as they are. See `Rows`."""

    inner: Rows
    schema: Schema
    needs: Needs
    notations: Mapping[str, str | None]

    @property
    def facts(self) -> Facts:
        """Those of the source."""
        return self.inner.facts

    @property
    def rows(self) -> int:
        """Source rows."""
        return self.inner.rows

    @property
    def codes(self) -> tuple[str, ...]:
        """Integers that are kept as text."""
        return self.inner.codes

    @property
    def whole(self) -> frozenset[str]:
        """Columns that are known to be whole."""
        return self.inner.whole

    @property
    def bad(self) -> int:
        """Rows that could not be read."""
        return self.inner.bad

    @property
    def partitions(self) -> Sequence[Partition]:
        """The pieces of the source."""
        return self.inner.partitions

    def read(self, partition: Partition, columns: Collection[str] | None = None) -> Packed:
        """The rows of a partition, dates in ISO 8601."""
        packed = self.inner.read(partition, columns)
        return replace(packed, columns={name: self._column(name, column) for name, column in packed.columns.items()})

    def _column(self, name: str, column: Column) -> Column:
        cells = _text(column) if name in self.notations else None
        if cells is None:
            return column
        iso = to_iso(cells, self.notations[name])
        return replace(column, cells=iso) if isinstance(column, Repeats) else iso

    def invalid(self, start: int, count: int) -> Mask | None:
        """(row) bool: which rows were left out."""
        return self.inner.invalid(start, count)

    def place(self, rows: Sequence[int]) -> list[str]:
        """Where source rows stand."""
        return self.inner.place(rows)

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.inner.__exit__(*error)


class Notation:
    """Finds out how the dates of a column are written, from all its cells."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._finest: dict[str, str] = {}
        self._possible = {DAY_FIRST, MONTH_FIRST}
        self._undecided = ""

    def look(self, cells: pa.Array) -> None:
        """Look at more cells of the column, text (row)."""
        if is_iso(cells):
            self._finest.setdefault("day", next((cell for cell in cells[:64].to_pylist() if cell is not None), ""))
            return
        words = pc.unique(cells).drop_null()
        found = read_cells(words, FORMS)
        for number in np.unique(found.form[found.ok]).tolist():
            first = words[int(np.flatnonzero(found.form == number)[0])].as_py()
            self._finest.setdefault(FORMS[number].finest, first)
        self._order(words.filter(pa.array(~found.ok)))

    def _order(self, words: pa.Array) -> None:
        """Cells that may have the day first, or the month."""
        read = {name: read_cells(words, (form,)).ok for name, form in ORDERED.items()}
        either = read[DAY_FIRST] | read[MONTH_FIRST]
        if not either.any():
            return
        self._finest.setdefault("day", words[int(np.flatnonzero(either)[0])].as_py())
        self._undecided = self._undecided or words[int(np.flatnonzero(either)[0])].as_py()
        self._possible &= {name for name, ok in read.items() if ok[either].all()}

    def found(self) -> str | None:
        """`day-first` or `month-first`, None where no cell needs it.

        Raises DataError where both fit or neither does, and for dates of unlike precision.
        """
        finest = {name: cell for name, cell in self._finest.items() if cell}
        if len(finest) > 1:
            raise DataError(
                f'column "{self._column}" mixes dates of different precision',
                [f"{cell}  a {name}" for name, cell in finest.items()],
                "write all of them as 2011-01-31",
                {"drop": [self._column]},
            )
        if not self._undecided:
            return None
        if len(self._possible) == 1:
            return next(iter(self._possible))
        return self._unsettled()

    def _unsettled(self) -> str:
        name = self._column
        if not self._possible:
            raise DataError(
                f'column "{name}" has dates with the day first and dates with the month first',
                [shown(self._undecided)],
                "write them as 2011-01-31",
                {"drop": [name]},
            )
        raise DataError(
            f'column "{name}": {shown(self._undecided)} can be day/month or month/day, and no cell of the column decides',
            hint=f'--time-format "{name}={DAY_FIRST}" or --time-format "{name}={MONTH_FIRST}"',
            fix={"drop": [name]},
        )
