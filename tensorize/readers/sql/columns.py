"""Columns of PostgreSQL: what each type becomes, and what is refused because no tensor is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.core.errors import DataError, plural, quoted, some
from tensorize.readers.sql.statements import identifier

FIRST, LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The first and the last microsecond of the years 1 to 9999, since 1970."""
_DAY = 86_400_000_000
_INFINITE = frozenset(("infinity", "-infinity", "inf", "-inf"))

Convert = Callable[[pa.Array, str, int, str, tuple[str, ...]], pa.Array]
"""(cells, the source's name, its first row, the column, words that mean missing) → cells of the type in `Conversion.to`."""


@dataclass(frozen=True)
class Conversion:
    """What a column becomes."""

    to: pa.DataType
    convert: Convert
    refused: str = ""
    """The type that PostgreSQL calls it, where no tensor is made of it."""
    cast: str = "text"
    """A type to cast it to."""


def check_types(columns: Mapping[str, Conversion]) -> None:
    """Raise DataError that names every column of a type that no tensor is made of."""
    refused = {name: item for name, item in columns.items() if item.refused}
    if refused:
        cast = ", ".join(f"{identifier(name)}::{item.cast}" for name, item in refused.items())
        raise DataError(
            f"{plural(len(refused), 'column has a type', 'columns have types')} that no tensor is made of",
            some([f"{name}: {item.refused}" for name, item in refused.items()]),
            f"cast in the query: select {cast}, …; or omit them: " + " ".join(f"--drop {quoted(name)}" for name in refused),
            {"drop": list(refused)},
        )


def conversions(fields: pa.Schema, source: str) -> dict[str, Conversion]:
    """Column → what it becomes. Raises DataError for a name that several have."""
    names = fields.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{source}: the query names {', '.join(twice)} more than once", hint="give each a name of its own: a as b"
        )
    return {field.name: _of(field) for field in fields}


def _of(field: pa.Field) -> Conversion:
    kind, said = field.type, (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode() or str(field.type)
    if said in _BY_NAME:
        return _BY_NAME[said]
    if isinstance(kind, pa.BaseExtensionType):
        is_text = pa.types.is_string(kind.storage_type) and said not in ("json", "jsonb")
        return Conversion(pa.string(), _storage, "" if is_text else said)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Conversion(kind, _time)
    if any(is_kind(kind) for is_kind in _AS_THEY_ARE):
        return Conversion(kind, _same)
    return Conversion(pa.string(), _same, said.removeprefix("_") + "[]" if pa.types.is_list(kind) else said)


def _same(cells: pa.Array, source: str, start: int, name: str, na: tuple[str, ...]) -> pa.Array:
    del source, start, name, na
    return cells


def _storage(cells: pa.Array, source: str, start: int, name: str, na: tuple[str, ...]) -> pa.Array:
    del source, start, name, na
    return cells.storage


def _numeric(cells: pa.Array, source: str, start: int, name: str, na: tuple[str, ...]) -> pa.Array:
    """Text → float64, each number the nearest; NaN is missing."""
    del source, start, name, na
    text = cells.storage if isinstance(cells, pa.ExtensionArray) else cells
    numbers = pc.cast(text, pa.float64())
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)


def _uuid(cells: pa.Array, source: str, start: int, name: str, na: tuple[str, ...]) -> pa.Array:
    """16 bytes → 8-4-4-4-12 hexadecimal digits."""
    del source, start, name, na
    held = cells.storage if isinstance(cells, pa.ExtensionArray) else cells
    if pa.types.is_string(held.type):
        return held
    words = [None if value is None else value.hex() for value in held.to_pylist()]
    cut = [None if word is None else "-".join((word[:8], word[8:12], word[12:16], word[16:20], word[20:])) for word in words]
    return pa.array(cut, pa.string())


def _time(cells: pa.Array, source: str, start: int, name: str, na: tuple[str, ...]) -> pa.Array:
    """Dates and times, the infinite ones missing where that is asked for. Raises DataError for those that no calendar has."""
    is_date = pa.types.is_date(cells.type)
    counts = cells.view(pa.int32() if is_date else pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    low, high = (FIRST // _DAY, LAST // _DAY) if is_date else (FIRST, LAST)
    beyond = (counts < low) | (counts > high)
    if not beyond.any():
        return cells
    infinite = beyond & np.isin(counts, _endless(is_date))
    if _INFINITE & set(na):
        beyond &= ~infinite
        cells = pc.if_else(pa.array(infinite), pa.scalar(None, cells.type), cells)
    if beyond.any():
        row = int(np.flatnonzero(beyond)[0])
        count = plural(int(beyond.sum()), "time that is", "times that are")
        what = "infinity" if infinite[row] else "outside of the years 1 to 9999"
        raise DataError(
            f'{source}{start + row + 1}: column "{name}" holds {count} {what}',
            hint=f'count infinity as missing: --na infinity; or drop the column: --drop "{name}"'
            if infinite[row]
            else f'drop the column: --drop "{name}"; or leave such rows out in the query',
            fix={"na": ["infinity"]} if infinite[row] else {"drop": [name]},
        )
    return cells


_AS_THEY_ARE = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_string,
    pa.types.is_time,
)
_BY_NAME = MappingProxyType(
    {
        "numeric": Conversion(pa.float64(), _numeric),
        "uuid": Conversion(pa.string(), _uuid),
        "money": Conversion(pa.int64(), _same, "money", "numeric"),
    }
)


def _endless(is_date: bool) -> list[int]:
    """What infinity and -infinity become, days or microseconds since 2000 as they are in PostgreSQL: they overflow."""
    bits, since = (32, 10_957) if is_date else (64, 10_957 * _DAY)
    ends = (2 ** (bits - 1) - 1, -(2 ** (bits - 1)))
    return [(end + since + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1) for end in ends] + list(ends)
