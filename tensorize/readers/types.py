"""Arrow types: the kind of column that each is, and its cells in the storage types of a schema."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.reader import Needs
from tensorize.core.errors import DataError, plural, some
from tensorize.core.schema import Column, Kind, Schema, Storage

_STORED = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "bool": pa.bool_()}
TRUE_WORDS, FALSE_WORDS = ("true", "yes", "t", "y", "on", "1"), ("false", "no", "f", "n", "off", "0")
EXACT_DIGITS = 15
"""A decimal of up to so many digits is a float64 after one exact division; of more, its text is parsed."""


def schema_of(fields: pa.Schema, needs: Needs) -> Schema:
    """The wanted columns by their Arrow types. Raises DataError that names every column of a type that has no kind."""
    twice = sorted({name for name in fields.names if fields.names.count(name) > 1}) if needs.wanted else []
    if not twice:
        refused = [
            f"{name}: {fields.field(name).type}"
            for name in needs.wanted
            if _kind(fields.field(name), needs.forced.get(name)) is None
        ]
        if refused:
            raise DataError(
                f"{plural(len(refused), 'column has a type', 'columns have types')} that no tensor is made of",
                some(refused),
                "omit them: " + " ".join(f"--drop {line.partition(': ')[0]}" for line in refused),
            )
    return Schema(
        columns=tuple(_column(fields.field(fields.names.index(name)), needs.forced.get(name)) for name in needs.wanted)
    )


def _kind(field: pa.Field, forced: Kind | None = None) -> tuple[Kind, Storage] | None:
    """The kind of a type, and how its cells are held; None for nested types, bytes, and times without a date."""
    types, of = pa.types, field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if types.is_boolean(of):
        return "bool", "bool"
    if types.is_integer(of):
        return "number", "int64"
    if types.is_floating(of) or types.is_decimal(of) or types.is_null(of):
        return "number", "float64"
    if types.is_date(of) or types.is_timestamp(of):
        return "time", "string"
    if types.is_string(of) or types.is_large_string(of) or types.is_string_view(of):
        return "category", "string"
    return ("category", "string") if types.is_time(of) and forced == "category" else None


def _column(field: pa.Field, forced: Kind | None) -> Column:
    """The column as its type has it, or as the kind that was forced on it."""
    known = _kind(field, forced)
    assert known is not None
    kind, storage = known
    if forced is None or forced == kind:
        return Column(name=field.name, kind=kind, storage=storage)
    if forced == "number":
        raise DataError(f'column "{field.name}" holds {field.type}, not numbers', hint="turn it into numbers first")
    return Column(name=field.name, kind=forced, storage="bool" if forced == "bool" else "string")


def stored(cells: pa.Array, column: Column, na: tuple[str, ...], place: Callable[[int], str], clock: bool = False) -> pa.Array:
    """Cells (row) in the storage type of a column, null if missing: NaN, an empty text, a word of `na`.

    place: says where a row of `cells` stands. clock: times without a zone become timestamp[us].
    Raises DataError, with the place of the first, for values that the storage type cannot hold.
    """
    if pa.types.is_dictionary(cells.type):
        cells = _decoded(cells)
    if pa.types.is_timestamp(cells.type) and cells.type.unit == "ns":
        cells = cast_cells(cells, pa.timestamp("us", cells.type.tz), column, place)
    if clock:
        return pc.cast(cells, pa.timestamp("us"))
    if column.storage == "bool" and not pa.types.is_boolean(cells.type):
        return _bools(cells, column, na, place)
    if column.storage == "string":
        return _text(cast_cells(cells, pa.string(), column, place), na)
    if pa.types.is_floating(cells.type):
        cells = _without_nan(cells)
        cells = _without(pc.is_inf(cells), cells) if "inf" in na else cells
    elif pa.types.is_decimal(cells.type) and cells.type.precision > EXACT_DIGITS:
        cells = pc.cast(cells, pa.string())
    return cast_cells(cells, _STORED[column.storage], column, place)


def to_bools(cells: pa.Array) -> pa.BooleanArray:
    """String cells (row) → bool (row): true, yes, t, y, on, 1 against false, no, f, n, off, 0; null for any other."""
    words = pc.utf8_lower(pc.utf8_trim_whitespace(cells))
    true, false = (pc.is_in(words, value_set=pa.array(known, pa.string())) for known in (TRUE_WORDS, FALSE_WORDS))
    return pc.if_else(pc.or_(true, false), true, pa.scalar(None, pa.bool_()))


def _bools(cells: pa.Array, column: Column, na: tuple[str, ...], place: Callable[[int], str]) -> pa.Array:
    """Text and numbers as bool. Raises DataError, with the first place, for a value that is neither true nor false."""
    words = _text(cast_cells(cells, pa.string(), column, place), na)
    found = to_bools(words)
    wrong = np.flatnonzero(pc.and_(pc.is_null(found), pc.is_valid(words)).to_numpy(zero_copy_only=False))
    if len(wrong):
        raise DataError(
            f'{place(int(wrong[0]))}: column "{column.name}": {words[int(wrong[0])]} is neither true nor false',
            hint=f'omit --type "{column.name}:bool", or drop the column: --drop "{column.name}"',
        )
    return found


def _decoded(cells: pa.DictionaryArray) -> pa.Array:
    """The values (row) of a dictionary; Arrow cannot pick views of text."""
    words = cells.dictionary
    return (words.cast(pa.string()) if pa.types.is_string_view(words.type) else words).take(cells.indices)


def _without_nan(cells: pa.Array) -> pa.Array:
    """Null in place of NaN; the cells themselves where there is none."""
    cells = pc.cast(cells, pa.float64())
    return _without(pc.is_nan(cells), cells)


def _without(some: pa.BooleanArray, cells: pa.Array) -> pa.Array:
    """Null in place of some numbers; the cells themselves where there are none of those."""
    return pc.if_else(some, pa.scalar(None, pa.float64()), cells) if pc.any(some).as_py() else cells


def _text(cells: pa.Array, na: tuple[str, ...]) -> pa.Array:
    """Null in place of an empty cell, and of a word that means a missing value."""
    missing = pc.equal(cells, "")
    if na:
        missing = pc.or_(missing, pc.is_in(pc.utf8_trim_whitespace(cells), value_set=pa.array(na, pa.string())))
    return pc.if_else(missing, pa.scalar(None, pa.string()), cells) if pc.any(missing).as_py() else cells


def cast_cells(cells: pa.Array, to: pa.DataType, column: Column, place: Callable[[int], str]) -> pa.Array:
    """Cells (row) as another type. Raises DataError, with the place of the first that it cannot hold."""
    if cells.type == to:
        return cells
    try:
        return pc.cast(cells, to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        where = _first_unfit(cells, to)
        at = "" if where is None else f"{place(where)}: "
        value = "" if where is None else f" {cells[where]}"
        raise DataError(
            f'{at}column "{column.name}" of type {cells.type} cannot be held as {to}:{value or f" {error}"}',
            hint=f"drop the column, or change its type first: --drop {column.name}",
        ) from error


def _first_unfit(cells: pa.Array, to: pa.DataType) -> int | None:
    """The first row whose value does not come through a cast unchanged; None if no cast can tell."""
    try:
        same = pc.equal(pc.cast(pc.cast(cells, to, safe=False), cells.type, safe=False), cells)
        if pa.types.is_uint64(cells.type):
            same = pc.and_(same, pc.less_equal(cells, pa.scalar(2**63 - 1, pa.uint64())))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    unlike = np.flatnonzero(~same.fill_null(True).to_numpy(zero_copy_only=False))
    return int(unlike[0]) if len(unlike) else None
