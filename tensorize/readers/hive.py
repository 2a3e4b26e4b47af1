"""Folders named `column=value`, as Hive and Spark partition a table: each is a column of the files inside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from tensorize.core.errors import DataError, some
from tensorize.readers.typed_files import TypedFile
from tensorize.sources.files import InputFile

NULL = "__HIVE_DEFAULT_PARTITION__"
_NAMED = re.compile(r"([^=/?&]+)=([^=]*)")
_INTEGER = re.compile(r"-?\d{1,18}")


@dataclass(frozen=True)
class FolderFile:
    """A file with the columns that its folders name. See `TypedFile`."""

    inner: TypedFile
    constants: tuple[tuple[str, pa.Scalar], ...]

    @property
    def source(self) -> InputFile:
        """Where its bytes are."""
        return self.inner.source

    @property
    def fields(self) -> pa.Schema:
        """The columns of the file, then those of its folders."""
        return pa.schema([*self.inner.fields, *(pa.field(name, value.type) for name, value in self.constants)])

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.inner.rows

    def parts(self, size: int) -> Sequence[tuple[int, Any]]:
        """(rows, where) of its pieces."""
        return [(rows, (rows, where)) for rows, where in self.inner.parts(size)]

    def read(self, where: Any, columns: Sequence[str], threads: bool) -> pa.Table:
        """Some columns of a piece."""
        rows, inside = where
        values = dict(self.constants)
        own = [name for name in columns if name not in values]
        cells = {name: pa.repeat(value, rows) for name, value in values.items() if name in columns}
        if own:
            table = self.inner.read(inside, own, threads)
            cells = {name: pa.repeat(value, table.num_rows) for name, value in values.items()}
            cells |= {name: table.column(name) for name in own}
        return pa.table({name: cells[name] for name in columns})

    def nulls(self, name: str) -> int | None:
        """How many cells of a column are null."""
        value = dict(self.constants).get(name)
        if value is None:
            return self.inner.nulls(name)
        return 0 if value.is_valid else self.rows


def named_folders(path: str) -> dict[str, str]:
    """Column → value of the folders of a path.

    >>> named_folders("sales/year=2024/city=New%20York/part-0.parquet")
    {'year': '2024', 'city': 'New York'}
    """
    found = (_NAMED.fullmatch(part) for part in PurePosixPath(path).parts[:-1])
    return {unquote(match[1]): unquote(match[2]) for match in found if match}


def with_folders(files: Sequence[TypedFile]) -> list[TypedFile]:
    """The files with the columns that their folders name: integers where all values are, else text.

    A column that the file itself has is taken from there. Raises DataError where the folders of some files name others.
    """
    named = [named_folders(file.source.name) for file in files]
    names = [name for name in dict.fromkeys(name for found in named for name in found) if not _is_own(name, files)]
    if not names:
        return list(files)
    odd = [file.source.name for file, found in zip(files, named, strict=True) if not found.keys() >= set(names)]
    if odd:
        raise DataError(
            f"not all files lie in folders that name {', '.join(names)}", some(odd), "name files of the same kind of folders"
        )
    columns = {name: _scalars([found[name] for found in named]) for name in names}
    return [FolderFile(file, tuple((name, columns[name][at]) for name in names)) for at, file in enumerate(files)]


def _is_own(name: str, files: Sequence[TypedFile]) -> bool:
    return any(name in file.fields.names for file in files)


def _scalars(values: Sequence[str]) -> list[pa.Scalar]:
    known = [value for value in values if value not in ("", NULL)]
    whole = bool(known) and all(_INTEGER.fullmatch(value) for value in known)
    kind = pa.int64() if whole else pa.string()
    cells = [None if value in ("", NULL) else int(value) if whole else value for value in values]
    return [pa.scalar(cell, kind) for cell in cells]
