"""The contract of readers: what a tabular format owes the loaders of rows.

source ──► Reader.open ──► Rows: schema, facts, partitions ──► Rows.read(partition) in any process
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

from tensorize.core.contracts import Facts, Mask, Run
from tensorize.core.options import Options
from tensorize.core.schema import Kind, Schema

if TYPE_CHECKING:
    from tensorize.engine.packed import Packed
    from tensorize.sources.files import InputFile


NUMBER_NA = ("", "NA", "NaN", "nan", "null", "N/A")
"""What means a missing value in a column of numbers, or of true and false; in a column of words only the empty cell does."""
INFINITE = tuple(sign + word for word in ("inf", "Inf", "INF", "infinity", "Infinity", "INFINITY") for sign in ("", "-", "+"))
"""The spellings of infinite numbers: all of them are missing where one says that `inf` is."""
INDEX = "Unnamed: 0"
"""The name of a first column that has none, as pandas gives it: an index, unless a flag names it."""


@dataclass(frozen=True)
class Roles:
    """Which column plays which part, in file order. `names` are all columns of the source."""

    names: tuple[str, ...]
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    keys: tuple[str, ...]
    """Needed, but neither input nor target: id, group, order, stratify, where."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that are parsed, in file order."""
        parts = {*self.inputs, *self.targets, *self.keys}
        return tuple(name for name in self.names if name in parts)


@dataclass(frozen=True)
class Needs:
    """What is wanted of the columns, known before the first cell is read.

    `forced` are kinds given by flags or by a recipe; `lenient` columns may mix numbers and words and are text then.
    """

    roles: Roles
    forced: Mapping[str, Kind] = field(default_factory=dict)
    lenient: frozenset[str] = frozenset()
    clocks: frozenset[str] = frozenset()
    """Columns that are nothing but times: where all cells are ISO times they come as timestamp[us], else as text."""
    dates: Mapping[str, str | None] = field(default_factory=dict)
    """Column that is read as dates → its notation where that is known: see `tensorize.columns.dates.notations`."""
    na: tuple[str, ...] = ()
    """More words that mean a missing value, besides the empty cell."""
    verbatim: bool = False
    """Text as it is written: a cell of spaces is not missing."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that are parsed, in file order."""
        return self.roles.wanted


@dataclass(frozen=True)
class Partition:
    """A piece of a source that can be read alone: `rows` rows from source row `row` on. `where` is the reader's own.

    `file` is the file that it is a part of, by its number among those of the source.
    """

    row: int
    rows: int
    where: Any
    file: int = 0


class Rows(Protocol):
    """A tabular source that was opened and looked at. Any process may read any partition of it."""

    @property
    def schema(self) -> Schema:
        """The wanted columns and their kinds."""
        ...

    @property
    def facts(self) -> Facts:
        """What the summary says of the source."""
        ...

    @property
    def needs(self) -> Needs:
        """What was asked of the columns."""
        ...

    @property
    def rows(self) -> int:
        """Source rows, those that were left out included."""
        ...

    @property
    def codes(self) -> tuple[str, ...]:
        """Columns of integers that are kept as text: leading zeros, or too many digits."""
        ...

    @property
    def whole(self) -> frozenset[str]:
        """Columns of which it is known that no cell is missing or infinite."""
        ...

    @property
    def bad(self) -> int:
        """How many rows could not be read and were left out."""
        ...

    @property
    def partitions(self) -> Sequence[Partition]:
        """The pieces of the source, in order."""
        ...

    def read(self, partition: Partition, columns: Collection[str] | None = None) -> Packed:
        """The rows of a partition, or some of their columns, in the storage types of the schema; missing cells are null."""
        ...

    def invalid(self, start: int, count: int) -> Mask | None:
        """(row) bool: which of `count` rows from `start` were left out as invalid; None if none were."""
        ...

    def place(self, rows: Sequence[int]) -> list[str]:
        """Say where source rows stand, such as `houses.csv:212`, for messages."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Reader(Protocol):
    """Knows one tabular format. Plug-in point `tensorize.readers`; every loader of rows works with every reader.

    Files are given to the reader whose `magic` they begin with, else to that of their suffix, else to `csv`; `--reader
    NAME` overrides. The class is loaded for `--help`: heavy libraries are imported in `open`.
    """

    Options: ClassVar[type[Options]]
    """Its own options: flags of every loader of rows, refused where another reader reads the source."""
    suffixes: ClassVar[tuple[str, ...]]
    """Such as `.csv`; lower case."""
    magic: ClassVar[tuple[bytes, ...]]
    """The bytes that its files begin with, up to 16; empty if they tell nothing."""

    def open(self, source: Any, options: Any, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
        """Look at a source: a list of `InputFile`s, or for `memory` what Python holds.

        `needs` tells from all column names what is wanted. Invalid rows go to `run.rejects`, or are a DataError where it
        does not skip. Raises DataError for what cannot be read.
        """
        ...


@runtime_checkable
class Recognises(Protocol):
    """A reader whose `magic` does not tell its files from others, such as workbooks, which begin as every ZIP archive does."""

    @staticmethod
    def recognises(file: InputFile) -> bool | None:
        """Whether a file that begins with `magic`, or any file where that is empty, is of this format.

        None if its content does not tell: then the suffix does. False is never overruled by the suffix.
        """
        ...
