"""A column that holds the file of each row."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Self

import pyarrow as pa

from tensorize.columns.reader import Needs, Partition, Rows
from tensorize.core.contracts import Facts, Mask
from tensorize.core.errors import UsageError
from tensorize.core.schema import Column, Schema
from tensorize.engine.packed import Packed, Repeats

Asked = Callable[[Sequence[str]], Needs]


@dataclass
class FileColumn:
    """Adds the column: `asked` stands between what is wanted and a reader, which knows nothing of the column."""

    name: str
    wanted: Asked
    needs: Needs | None = None

    def asked(self, names: Sequence[str]) -> Needs:
        """What a reader is asked for: all that is wanted but this column. Raises UsageError if there is one of its name."""
        if self.name in names:
            raise UsageError(
                f'--file-column {self.name}: there is a column "{self.name}" already', hint="choose another name for it"
            )
        self.needs = self.wanted([*names, self.name])
        roles = self.needs.roles
        parts = (roles.names, roles.inputs, roles.targets, roles.keys)
        return replace(self.needs, roles=type(roles)(*(tuple(name for name in part if name != self.name) for part in parts)))

    def added(self, rows: Rows, files: Sequence[str]) -> Rows:
        """The rows with the column, where it is wanted."""
        assert self.needs is not None
        if self.name not in self.needs.wanted:
            return rows
        column = Column(name=self.name, kind="category", storage="string")
        schema = Schema(columns=(*rows.schema.columns, column))
        return FiledRows(rows, schema, self.needs, self.name, tuple(short_names(files)))


def short_names(files: Sequence[str]) -> list[str]:
    """The names of files below the folder that all of them lie in, with `/` between folders.

    >>> short_names(["sales/a.csv", "sales/b.csv"]), short_names(["x/a/1.csv", "x/b/1.csv"]), short_names(["x/a.csv"])
    (['a.csv', 'b.csv'], ['a/1.csv', 'b/1.csv'], ['a.csv'])
    """
    parts = [name.replace(os.sep, "/").split("/") for name in files]
    levels = zip(*(part[:-1] for part in parts), strict=False)
    common = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    return ["/".join(part[common:]) for part in parts]


@dataclass(frozen=True)
class FiledRows:
    """Rows of another reader, with the file of each. See `Rows`."""

    inner: Rows
    schema: Schema
    needs: Needs
    name: str
    files: tuple[str, ...]

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
        """Columns that are known to be whole: every row has a file."""
        return self.inner.whole | {self.name}

    @property
    def bad(self) -> int:
        """Rows that could not be read."""
        return self.inner.bad

    @property
    def partitions(self) -> Sequence[Partition]:
        """The pieces of the source."""
        return self.inner.partitions

    def read(self, partition: Partition, columns: Collection[str] | None = None) -> Packed:
        """The rows of a partition, with their file."""
        if columns is not None and self.name not in columns:
            return self.inner.read(partition, columns)
        own = None if columns is None else frozenset(columns) - {self.name}
        packed = self.inner.read(partition, own)
        file = pa.array([self.files[partition.file]])
        return replace(packed, columns={**packed.columns, self.name: Repeats(file, pa.array([packed.rows], pa.int32()))})

    def invalid(self, start: int, count: int) -> Mask | None:
        """(row) bool: which rows were left out."""
        return self.inner.invalid(start, count)

    def place(self, rows: Sequence[int]) -> list[str]:
        """Where rows stand."""
        return self.inner.place(rows)

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.inner.__exit__(*error)
