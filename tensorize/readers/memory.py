"""Tables that Python already holds: data frames, Arrow tables, columns, rows, one row, a two-dimensional array."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.rows import Needs, RowBlock, blocks
from tensorize.core.contracts import Facts
from tensorize.core.errors import DataError, UsageError, plural
from tensorize.core.schema import Column, Kind, Schema, Storage
from tensorize.engine.packed import Packed, batch_of

_STORED = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "bool": pa.bool_()}


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


class ArrowScan:
    """Record batches of known types: their kinds are those of the types, nothing is inferred from strings.

    The base for loaders of other raw formats with rows and columns: give it a table, or a function that starts a pass
    over record batches, with the schema in `arrow`.
    """

    def __init__(
        self,
        source: pa.Table | Callable[[], Iterable[pa.RecordBatch]],
        needs: Callable[[Sequence[str]], Needs],
        arrow: pa.Schema | None = None,
        facts: Facts | None = None,
    ) -> None:
        table = source if isinstance(source, pa.Table) else None
        self._batches = table.to_batches if table is not None else source
        fields = table.schema if table is not None else arrow
        if fields is None:
            raise TypeError("a function of record batches needs their schema: ArrowScan(batches, needs, arrow=schema)")
        self.needs = needs(fields.names)
        self.codes: tuple[str, ...] = ()
        self.whole: frozenset[str] = frozenset()
        self.bad = 0
        forced = self.needs.forced
        self.schema = Schema(columns=tuple(_column(fields.field(name), forced.get(name)) for name in self.needs.wanted))
        self.rows = sum(batch.num_rows for batch in self._batches())
        if not self.rows:
            raise DataError("there is no row", hint="columns: " + ", ".join(fields.names))
        size = table.nbytes if table is not None else 0
        shape = f"{plural(self.rows, 'row')} × {plural(len(fields.names), 'column')}"
        self.facts = facts or Facts("in memory", 0, size, shape)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[RowBlock]:
        return blocks(self._stored(batch, columns) for batch in self._batches())

    def packed(self, columns: Collection[str] | None = None) -> Iterator[Packed]:
        return (Packed.of(self._stored(batch, columns)) for batch in self._batches())

    def _stored(self, batch: pa.RecordBatch, columns: Collection[str] | None) -> pa.RecordBatch:
        items = [item for item in self.schema.columns if columns is None or item.name in columns]
        return batch_of({item.name: _cast(batch.column(item.name), item.name, item.storage) for item in items}, batch.num_rows)

    def place(self, rows: Sequence[int]) -> list[str]:
        return [f"row {row}" for row in rows]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


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
