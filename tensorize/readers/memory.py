"""Tables that Python already holds: data frames, Arrow tables, columns, rows, one row, a two-dimensional array."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.rows import Needs, Partition, partitioned
from tensorize.core.contracts import BLOCK_ROWS, Facts
from tensorize.core.errors import DataError, UsageError, plural
from tensorize.core.schema import Column, Kind, Schema, Storage
from tensorize.engine.packed import Packed, batch_of

_STORED = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "bool": pa.bool_()}


PARTITION_ROWS = BLOCK_ROWS


def to_arrow(source: Any) -> pa.Table:
    """Return any in-memory source as an Arrow table (row). Raises UsageError for what is none."""
    if isinstance(source, pa.Table):
        return source
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    if _is_frame(source):
        return pa.Table.from_pandas(source, preserve_index=False)
    try:
        if isinstance(source, Mapping):
            return _from_mapping(source)
        if isinstance(source, Sequence | np.ndarray) and len(source):
            return _from_rows(source)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the rows cannot be read as columns: {error}") from error
    raise UsageError(
        f"a table cannot be made of {type(source).__name__}",
        hint="give a path, a DataFrame, an Arrow table, a mapping of columns, a list of rows as mappings, or one row",
    )


def _is_frame(source: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.DataFrame)


def _from_mapping(source: Mapping[str, Any]) -> pa.Table:
    """Columns where the values are sequences, else one row."""
    many = all(isinstance(value, list | tuple | np.ndarray | pa.Array) for value in source.values())
    return pa.table(dict(source)) if many and source else pa.Table.from_pylist([dict(source)])


def _from_rows(source: Any) -> pa.Table:
    """Rows as mappings, or a (row, column) array whose columns are called c1, c2, …"""
    if isinstance(source[0], Mapping):
        names = list(dict.fromkeys(name for row in source for name in row))
        return pa.table({name: [row.get(name) for row in source] for name in names})
    array = np.asarray(source)
    if array.ndim != 2:
        raise UsageError(f"an array of shape {array.shape} is no table", hint="give two axes: (row, column)")
    return pa.table({f"c{index + 1}": np.ascontiguousarray(array[:, index]) for index in range(array.shape[1])})


@dataclass(frozen=True)
class ArrowRows:
    """Rows of known types: their kinds are those of the types, nothing is inferred from strings. See `Rows`."""

    table: pa.Table
    schema: Schema
    facts: Facts
    needs: Needs
    partitions: tuple[Partition, ...]
    codes: tuple[str, ...] = ()
    whole: frozenset[str] = frozenset()
    bad: int = 0

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    def read(self, partition: Partition, columns: Collection[str] | None = None) -> Packed:
        """Some rows of the table in the storage types of the schema."""
        items = [item for item in self.schema.columns if columns is None or item.name in columns]
        part = self.table.select([item.name for item in items]).slice(partition.row, partition.rows)
        found = {item.name: _cast(_whole(part.column(item.name)), item.name, item.storage) for item in items}
        return Packed.of(batch_of(found, partition.rows))

    def invalid(self, start: int, count: int) -> None:
        """Every row of a table in memory can be read."""
        del start, count

    def place(self, rows: Sequence[int]) -> list[str]:
        """Such as `row 212`."""
        return [f"row {row}" for row in rows]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def arrow_rows(table: pa.Table, needs: Callable[[Sequence[str]], Needs], size: int = PARTITION_ROWS) -> ArrowRows:
    """An Arrow table as rows, `size` of them in a partition. Raises DataError for a table without rows."""
    wanted = needs(table.schema.names)
    columns = tuple(_column(table.schema.field(name), wanted.forced.get(name)) for name in wanted.wanted)
    if not table.num_rows:
        raise DataError("there is no row", hint="columns: " + ", ".join(table.schema.names))
    shape = f"{plural(table.num_rows, 'row')} × {plural(len(table.schema.names), 'column')}"
    parts = partitioned((min(size, table.num_rows - at), None) for at in range(0, table.num_rows, size))
    return ArrowRows(table, Schema(columns=columns), Facts("in memory", 0, table.nbytes, shape), wanted, parts)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.chunked_array(column.chunks, column.type).combine_chunks()


def _column(field: pa.Field, forced: Kind | None) -> Column:
    """The kind of an Arrow type, or the one that was forced on it."""
    types = pa.types
    kind: Kind
    storage: Storage
    if types.is_boolean(field.type):
        kind, storage = "bool", "bool"
    elif types.is_integer(field.type):
        kind, storage = "number", "int64"
    elif types.is_floating(field.type) or types.is_decimal(field.type) or types.is_null(field.type):
        kind, storage = "number", "float64"
    elif types.is_temporal(field.type):
        kind, storage = "time", "string"
    else:
        kind, storage = "category", "string"
    if forced is None or forced == kind:
        return Column(name=field.name, kind=kind, storage=storage)
    if forced == "number" and kind == "category":
        raise DataError(f'column "{field.name}" holds {field.type}, not numbers', hint="turn it into numbers first")
    return Column(name=field.name, kind=forced, storage={"number": storage, "bool": "bool"}.get(forced, "string"))


def _cast(values: pa.Array, name: str, storage: Storage) -> pa.Array:
    """One column in its storage type. Raises DataError for values that do not fit it."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type) and storage != "string":
        values = pc.if_else(pc.is_nan(values), None, values)
    try:
        cast = pc.cast(values, _STORED[storage])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f'column "{name}" of type {values.type} cannot be held as {storage}: {error}') from error
    if storage == "string":
        return pc.if_else(pc.equal(cast, ""), pa.scalar(None, pa.string()), cast)
    return cast
