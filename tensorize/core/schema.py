"""The schema: which columns a source has, and of what kind each is. Declared state, not learned."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator

from tensorize.core.errors import DataError, some

Kind = Literal["number", "category", "bool", "time"]
Storage = Literal["int64", "float64", "string", "bool"]
POINTED = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""Text that reads as a number, with a decimal point."""


class Column(BaseModel):
    """One column: its name, its kind, and how its cells are held once parsed.

    A `time` column is held as `string` and turned into time stamps where it is used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    storage: Storage
    notation: str | None = None
    """How the dates of a `time` column are written, if its cells alone do not tell: see `columns.dates.notations`."""

    @model_serializer(mode="wrap")
    def _brief(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a notation where there is none."""
        return {name: value for name, value in handler(self).items() if name != "notation" or value is not None}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.storage == "string") != (self.kind in ("category", "time")) or (self.kind == "bool") != (
            self.storage == "bool"
        ):
            raise ValueError(f"a column of kind {self.kind} is not held as {self.storage}")
        return self


class Schema(BaseModel):
    """The columns of a source in file order. Empty for kinds without columns (text, images).

    >>> Schema(columns=(Column(name="a", kind="number", storage="int64"),)).names
    ('a',)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> Schema:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise DataError(
                "the header names a column twice",
                some([repr(name) for name in twice]),
                "rename one of them in the file, or give all names with --names",
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in file order."""
        return tuple(self._by_name)

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name
