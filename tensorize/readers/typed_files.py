"""Files whose columns have types: the contract of one file, and the types that several can be read as."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import pyarrow as pa

from tensorize.core.errors import DataError, quoted, some
from tensorize.core.schema import Column
from tensorize.readers.types import cast_cells
from tensorize.sources.files import InputFile

_INDEX = re.compile(r"__index_level_\d+__")
"""How pandas calls an index without a name that it writes beside the columns: it is left out, as from a DataFrame."""


def without_index(fields: pa.Schema) -> pa.Schema:
    """The columns but for the index of pandas."""
    return pa.schema([item for item in fields if not _INDEX.fullmatch(item.name)])


class TypedFile(Protocol):
    """One file that was looked at. Picklable: who reads opens it anew."""

    @property
    def source(self) -> InputFile:
        """Where its bytes are."""
        ...

    @property
    def fields(self) -> pa.Schema:
        """The columns and their Arrow types."""
        ...

    @property
    def rows(self) -> int:
        """How many rows it has."""
        ...

    def parts(self, size: int) -> Sequence[tuple[int, Any]]:
        """(rows, where) of pieces of about `size` bytes that can be read alone, in order."""
        ...

    def read(self, where: Any, columns: Sequence[str], threads: bool) -> pa.Table:
        """Some columns of a piece, in the order asked. Raises DataError if the file has changed, or is damaged."""
        ...

    def nulls(self, name: str) -> int | None:
        """How many cells of a column are null; None if that is not known without reading them."""
        ...


def common_fields(files: Sequence[TypedFile], names: Sequence[str], wanted: Collection[str]) -> pa.Schema:
    """The wanted columns, of types that hold the cells of all files: whole numbers and fractions become fractions.

    A single file may have a column twice; it is left as it is. Raises DataError, with the files, for columns that some lack
    or have of another type.
    """
    if len(files) == 1:
        return files[0].fields
    _check_columns(files, names, wanted)
    found: list[pa.Field] = []
    unlike: dict[str, str] = {}
    for name in names:
        if name not in wanted:
            continue
        made: pa.Field = next(file.fields.field(name) for file in files if name in file.fields.names)
        for file in files:
            kind = file.fields.field(name).type
            shared = common_type(made.type, kind)
            if shared is None:
                unlike.setdefault(name, f"{name}: {made.type} in {files[0].source.name}, {kind} in {file.source.name}")
            else:
                made = made.with_type(shared)
        found.append(made)
    if unlike:
        hint = "write the files with the same types, or omit the columns:" + _drops(unlike)
        raise DataError("the files have columns of other types", some(list(unlike.values())), hint, {"drop": list(unlike)})
    return pa.schema(found)


def _check_columns(files: Sequence[TypedFile], names: Sequence[str], wanted: Collection[str]) -> None:
    odd: dict[str, str] = {}
    for file in files:
        for name in names:
            if name in wanted and name not in file.fields.names:
                odd.setdefault(name, f"{file.source.name} has no column {name}")
    if odd:
        hint = "name files of the same columns, or omit the columns:" + _drops(odd)
        raise DataError("the files have other columns", some(list(odd.values())), hint, {"drop": list(odd)})


def _drops(names: Collection[str]) -> str:
    return "".join(f" --drop {quoted(name)}" for name in names)


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds the cells of two; None if there is none.

    >>> common_type(pa.int32(), pa.float64()), common_type(pa.int8(), pa.uint8()), common_type(pa.int8(), pa.string())
    (DataType(double), DataType(int64), None)
    """
    types = pa.types
    one, other = (kind.value_type if types.is_dictionary(kind) else kind for kind in (one, other))
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if types.is_timestamp(one) and types.is_timestamp(other):
        return pa.timestamp("us", one.tz) if one.tz == other.tz else None
    for is_kind, shared in ((types.is_integer, pa.int64()), (_is_number, pa.float64()), (_is_text, pa.string())):
        if is_kind(one) and is_kind(other):
            return shared
    return None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def as_common(cells: pa.Array, kind: pa.DataType, column: Column, place: Callable[[int], str]) -> pa.Array:
    """Times in the unit that all files share, and nulls as the type of the others; other cells as they are.

    Raises DataError, with the place of the first, for times that the unit cannot hold.
    """
    is_time = pa.types.is_timestamp(kind) and pa.types.is_timestamp(cells.type)
    return cast_cells(cells, kind, column, place) if is_time or pa.types.is_null(cells.type) else cells


def unreadable(name: str, form: str, error: Exception | str) -> DataError:
    """The error for a file that a library cannot read as what it claims to be."""
    said = " ".join(str(error).split())[:200]
    return DataError(f"{name} cannot be read as {form}: {said}", hint="is it whole? Fetch or write it again")


def damaged(name: str, said: str) -> DataError:
    """The error for a file that contradicts itself."""
    return DataError(f"{name} is damaged: {said}", hint="fetch or write it again")
