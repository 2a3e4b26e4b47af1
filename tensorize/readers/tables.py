"""Arrow tables as rows, and whatever Python holds as an Arrow table: data frames, columns, rows, one row, an array."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tensorize.columns.reader import Needs, Partition
from tensorize.columns.rows import partitioned
from tensorize.core.contracts import BLOCK_ROWS, Facts, Run
from tensorize.core.errors import DataError, UsageError, plural
from tensorize.core.schema import Schema
from tensorize.engine.packed import Packed, batch_of
from tensorize.readers.types import schema_of, stored

PARTITION_ROWS = BLOCK_ROWS


def to_arrow(source: Any) -> pa.Table:
    """Return any in-memory source as an Arrow table (row): whatever gives an Arrow C stream without a copy.

    Raises UsageError for a source that is not tabular, DataError for rows that do not make columns.
    """
    if _is_frame(source):
        twice = sorted({str(name) for name in source.columns[source.columns.duplicated()]})
        if twice:
            raise UsageError(f"the DataFrame has several columns called {', '.join(twice)}", hint="give each a name of its own")
    elif hasattr(source, "__arrow_c_stream__"):
        return pa.table(source)
    try:
        if _is_frame(source):
            return pa.Table.from_pandas(source, preserve_index=False)
        if isinstance(source, Mapping):
            return _from_mapping(source)
        if isinstance(source, Sequence | np.ndarray) and len(source):
            return _from_rows(source)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise DataError(f"the rows cannot be read as columns: {error}") from error
    raise UsageError(
        f"a table cannot be made of {type(source).__name__}",
        hint="give a path, a DataFrame, an Arrow table, a mapping of columns, a list of rows as mappings, or one row",
    )


def _is_frame(source: Any) -> bool:
    """A DataFrame of pandas, whose index and columns of objects Arrow's own way knows."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.DataFrame)


def _from_mapping(source: Mapping[str, Any]) -> pa.Table:
    """Columns where the values are sequences, else one row."""
    if source and all(_is_column(value) for value in source.values()):
        return pa.table({name: _column(name, value) for name, value in source.items()})
    return pa.table({name: _cells(name, [value]) for name, value in source.items()})


def _is_column(value: Any) -> bool:
    """Whether a value holds many cells: a list, an array, a Series, a tensor with an axis."""
    if isinstance(value, str | bytes | Mapping):
        return False
    return isinstance(value, Sequence | pa.Array) or bool(getattr(value, "shape", ())) or hasattr(value, "__arrow_c_stream__")


def _column(name: str, values: Any) -> Any:
    """One column of a mapping as Arrow takes it."""
    if isinstance(values, pa.Array | pa.ChunkedArray | np.ndarray):
        return values
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    return _cells(name, values) if isinstance(values, Sequence) else np.asarray(values)


def _cells(name: str, values: Sequence[Any]) -> pa.Array:
    """Python's values (row) as one column: missing values of pandas and NaN are null, as in a data frame.

    Raises DataError, with the column, for values that make no column together.
    """
    cells = [_plain(value) for value in values]
    try:
        return pa.array(cells, from_pandas=True)
    except OverflowError:
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f'column "{name}" cannot be read: {error}') from error


def _plain(value: Any) -> Any:
    """A scalar of numpy, pandas, torch or Arrow as Python's own, None where it is missing."""
    if isinstance(value, pa.Scalar):
        return value.as_py()
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else value.astype("datetime64[us]").item()
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _from_rows(source: Any) -> pa.Table:
    """Rows as mappings, or a (row, column) array whose columns are called c1, c2, …"""
    if isinstance(source[0], Mapping):
        names = list(dict.fromkeys(name for row in source for name in row))
        return pa.table({name: _cells(name, [row.get(name) for row in source]) for name in names})
    array = np.asarray(source)
    if array.ndim != 2:
        raise UsageError(f"an array of shape {array.shape} is no table", hint="give two axes: (row, column)")
    return pa.table({f"c{index + 1}": np.ascontiguousarray(array[:, index]) for index in range(array.shape[1])})


@dataclass(frozen=True)
class Origins:
    """Where source rows come from: `starts[i]` is the first source row of the file `names[i]`; no names for memory."""

    names: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()

    @classmethod
    def of(cls, files: Sequence[tuple[str, int]]) -> Self:
        """From (file, its rows), one after the other."""
        starts = np.cumsum([0, *(rows for _, rows in files)]).tolist()[:-1]
        return cls(tuple(name for name, _ in files), tuple(starts))

    def place(self, rows: Sequence[int]) -> list[str]:
        """`houses.parquet:212` for the 212th row of that file; `row 211`, from 0, in memory."""
        if not self.names:
            return [f"row {row}" for row in rows]
        files = [bisect_right(self.starts, row) - 1 for row in rows]
        return [f"{self.names[at]}:{row - self.starts[at] + 1}" for at, row in zip(files, rows, strict=True)]

    def one(self, start: int, row: int) -> str:
        """Where a row of a partition that starts at source row `start` stands."""
        return self.place([start + row])[0]


@dataclass(frozen=True)
class ArrowRows:
    """Rows of known types: their kinds are those of the types, nothing is inferred from strings. See `Rows`."""

    table: pa.Table
    schema: Schema
    facts: Facts
    needs: Needs
    partitions: tuple[Partition, ...]
    origins: Origins = Origins()
    clocks: frozenset[str] = frozenset()
    """Columns of times that come as timestamp[us]."""
    codes: tuple[str, ...] = ()
    whole: frozenset[str] = frozenset()
    bad: int = 0

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.table.num_rows)

    def read(self, partition: Partition, columns: Collection[str] | None = None) -> Packed:
        """Some rows of the table in the storage types of the schema."""
        items = [item for item in self.schema.columns if columns is None or item.name in columns]
        part = self.table.select([item.name for item in items]).slice(partition.row, partition.rows)
        place = partial(self.origins.one, partition.row)
        found = {
            item.name: stored(one_array(part.column(item.name)), item, self.needs.na, place, item.name in self.clocks)
            for item in items
        }
        return Packed.of(batch_of(found, partition.rows))

    def invalid(self, start: int, count: int) -> None:
        """Every row of a table in memory can be read."""
        del start, count

    def place(self, rows: Sequence[int]) -> list[str]:
        """Such as `row 212`, or `houses.arff:213` where the rows come from a file."""
        return self.origins.place(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def arrow_rows(
    table: pa.Table,
    needs: Callable[[Sequence[str]], Needs],
    run: Run,
    size: int = PARTITION_ROWS,
    files: Sequence[tuple[str, int]] = (),
) -> ArrowRows:
    """An Arrow table as rows, `size` of them in a partition; `files` are the names and rows of those that it was read from.

    Raises DataError for a table without rows, and for wanted columns of a type that has no kind.
    """
    wanted = needs(table.schema.names)
    run.rejects.saw(table.num_rows, "row")
    schema = schema_of(table.schema, wanted)
    if not table.num_rows:
        raise DataError("there is no row", hint="columns: " + ", ".join(table.schema.names))
    shape = f"{plural(table.num_rows, 'row')} × {plural(len(table.schema.names), 'column')}"
    parts = partitioned((min(size, table.num_rows - at), None) for at in range(0, table.num_rows, size))
    facts = Facts(files[0][0] if files else "in memory", len(files), table.nbytes, shape)
    clocks = frozenset(
        name for name in wanted.clocks if is_clock(table.schema.field(name).type) and not table.column(name).null_count
    )
    return ArrowRows(table, schema, facts, wanted, parts, Origins.of(files), clocks)


def is_clock(kind: pa.DataType) -> bool:
    """Dates and time stamps without a zone."""
    return pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """One array (row); without a copy where the column lies in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else pa.chunked_array(column.chunks, column.type).combine_chunks()
