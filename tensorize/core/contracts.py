"""The contracts: what a loader, an encoder, a statistic and an exporter owe each other.

    source ──► Loader.scan ──► Scan.chunks ──► Job: learn, then apply ──► TensorSet ──► Exporter ──► file

Everything here is torch-free. Shapes are written with named axes; `row` is the sample axis of every kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypeVar, runtime_checkable

from tensorize.core.rejects import Rejects

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tensorize.core.options import Options
    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet

    Array = npt.NDArray[Any]
    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]
else:  # numpy is not imported for the names alone: `--help` goes through here
    Array = Floats = Mask = Any

Role = Literal["input", "target", "meta"]
Json = Any

BLOCK_ROWS = 65_536
"""Source rows in a block. Statistics are taken over blocks, so that the chunk size never changes a bit."""

T = TypeVar("T")
U = TypeVar("U")
OrderedMap = Callable[[Callable[[T], U], Iterable[T]], Iterator[U]]


@dataclass(frozen=True)
class TensorSpec:
    """One tensor before it exists: its name, shape, dtype, axis names, role and split.

    `labels` names the positions of an axis, for instance `{"feature": ("alcohol", "pH")}`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[str, ...]
    role: Role
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split: str | None = None

    @property
    def key(self) -> str:
        """The name in a file: `features`, or `train/features` where there is a split."""
        return f"{self.split}/{self.name}" if self.split else self.name

    @property
    def itemsize(self) -> int:
        import numpy as np

        return np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.itemsize


@dataclass(frozen=True)
class Layout:
    """A whole file before its first byte: every tensor, every string, and the recipe as JSON.

    `texts` holds what is not a tensor (image paths, text ids) under the same kind of key as a tensor:
    `paths`, or `train/paths`.
    """

    kind: str
    tensors: tuple[TensorSpec, ...]
    recipe: str
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return sum(spec.nbytes for spec in self.tensors)


class Store(Protocol):
    """Where the numbers of a `TensorSet` lie: in memory, or in a file that is read on demand."""

    def read(self, key: str, start: int, stop: int) -> Array:
        """Return rows `start:stop` of a tensor, (row, …) in the dtype of its spec."""
        ...

    def take(self, key: str, rows: Array) -> Array:
        """Return the rows at the int64 positions `rows`, in that order."""
        ...

    def expect(self, key: str, rows: Array) -> None:
        """Prepare for a `take` of the same rows that comes soon, without waiting; a hint, which changes no result."""
        ...

    def close(self) -> None: ...


class Writer(Protocol):
    """A file in the making. Nothing is visible at the target before `commit`."""

    def write(self, key: str, start: int, values: Array) -> None:
        """Write `values` (row, …) at row `start` of tensor `key`; each tensor comes in row order, without gaps.

        They may be written later, while the next are made: `values` must not change any more.
        """
        ...

    def commit(self, recipe: str) -> None:
        """Make the file appear, whole and synced: the only moment at which it does.

        `recipe` is the one to keep. It is the layout's, or differs from that in the values of numbers alone, which were
        learned from what has been written.
        """
        ...

    def abort(self) -> None:
        """Remove what was written. Safe to call twice, and after `commit`."""
        ...


class Exporter(Protocol):
    """Reads and writes one file format."""

    suffixes: ClassVar[tuple[str, ...]]

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> Writer: ...

    def open(self, path: Path) -> TensorSet:
        """Open lazily: headers and shapes only. Raises DataError on a file that is not ours or is damaged."""
        ...

    def verify(self, path: Path) -> None:
        """Recompute the digest of the whole file. Raises DataError where a byte has changed."""
        ...


class Statistic(Protocol):
    """What is gathered over blocks of values: frozen, mergeable in block order, JSON.

    One block is at most `BLOCK_ROWS` long. `update(block)` equals `merge(fresh().update(block))`, so that blocks can be
    taken anywhere and merged here, in order.
    """

    def fresh(self) -> Self:
        """The same statistic, in the same pass, that has seen nothing yet."""
        ...

    def update(self, block: Any) -> Self: ...

    def merge(self, other: Self) -> Self: ...

    def again(self) -> Self | None:
        """Return the statistic to gather in another pass over the same values; None when finished."""
        ...

    def to_json(self) -> dict[str, Json]: ...

    @classmethod
    def from_json(cls, state: Mapping[str, Json]) -> Self: ...


class Encoder(Protocol):
    """A step over one column: frozen, built from finished state, torch-free.

    Every encoder is a frozen pydantic model whose fields are its learned state, so that a recipe holds exactly its
    constructor's keywords. See `tensorize.encoders.base`.
    """

    kinds: ClassVar[frozenset[str]]

    def encode(self, column: Any) -> Array:
        """A pyarrow array (row) without nulls → (row, channel) float64."""
        ...

    def decode(self, values: Array) -> Any:
        """(row, channel) → a pyarrow array (row). Raises UsageError where there is no inverse."""
        ...

    def channels(self, column: str) -> tuple[str, ...]:
        """The names of the channels that a column of this name becomes."""
        ...


@dataclass(frozen=True)
class Run:
    """How a job is run: it may change the speed, never a bit of the result, and is never recorded."""

    threads: int = 1
    chunk_bytes: int = 4 << 20
    scratch: Path | None = None
    progress: Callable[[str, int, int | None], None] | None = None
    """Called as `progress(stage, done, total)`; `total` is None where it is not known."""
    rejects: Rejects = field(default_factory=Rejects, compare=False)
    """Takes what is bad where `rejects.skip`. A loader hands in everything before `layout` returns; what is left keeps its
    source position in `row`."""

    streams: bool = False
    """Whether rows are printed as they are finished and cannot be taken back. A job then looks for errors before the first."""

    def report(self, stage: str, done: int, total: int | None) -> None:
        if self.progress is not None:
            self.progress(stage, done, total)


@dataclass(frozen=True)
class Facts:
    """What is known of a source, for the summary: its name as given, its size, and what was found out about it."""

    source: str
    files: int = 1
    size: int = 0
    shape: str = ""
    """Such as `4,898 rows × 12 columns`."""
    notes: tuple[str, ...] = ()
    """Such as `delimiter ";"`."""


class Scan(Protocol):
    """A source that was looked through: its schema and facts, and its chunks, as often as they are asked for.

    Nothing of its size is held in memory. A context manager: leaving it removes any scratch file.
    """

    schema: Schema
    facts: Facts

    def chunks(self) -> Iterator[Any]:
        """Yield the parsed chunks: fixed borders, fixed order, whatever `Run` says."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@dataclass(frozen=True)
class Learned:
    """One learned step of a recipe: the registered name, what it works on, and its state as JSON.

    `role` tells what it makes: `input` and `target` channels, or nothing of its own (`meta`: a fill value, say).
    """

    step: str
    of: str
    state: Mapping[str, Json]
    role: Role = "input"


@dataclass(frozen=True)
class Piece:
    """Finished rows of one split: `values[name]` is (row, …), the same rows for every tensor.

    Rows of a split come in their final order over all pieces.
    """

    split: str | None
    values: Mapping[str, Array]


class Job(Protocol):
    """One source on its way to tensors: bound to a scan, it decides everything and writes no file.

    `learn` is the only place where anything is learned, from train rows only; `layout` and `pieces` take its result,
    fresh or out of a recipe.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings for the summary: filled hours, constant columns. Complete once `pieces` is exhausted."""
        ...

    def learn(self) -> tuple[Learned, ...]: ...

    def layout(self, learned: Sequence[Learned]) -> tuple[TensorSpec, ...]:
        """Every tensor's name, shape, dtype and labels, of all splits."""
        ...

    def texts(self) -> Mapping[str, Sequence[str]]:
        """What goes along and is not a tensor: image paths, text ids. See `Layout.texts`."""
        ...

    def pieces(self, learned: Sequence[Learned]) -> Iterator[Piece]: ...

    def describe(self, tensor: str, learned: Sequence[Learned]) -> str:
        """A few words on how a tensor was made, such as `z-score, learned from train`."""
        ...


@runtime_checkable
class OnePass(Job, Protocol):
    """A job that can learn from what it writes, so that nothing has to be kept for a second pass."""

    def outline(self) -> tuple[Learned, ...] | None:
        """What `learn` will return, but for the values of numbers. `pieces` and `layout` take it; `learn` comes behind them.

        None where the pieces need what is learned: then `learn` comes first.
        """
        ...


class Loader(Protocol):
    """Knows one kind of raw data. Plug-in point `tensorize.loaders`.

    `scan` and `job` make tensors; `expand` and `inverse` need nothing but a recipe.
    """

    Options: ClassVar[type[Options]]

    def scan(self, source: Any, options: Any, run: Run, schema: Schema | None = None) -> Scan:
        """Look through a source. With `schema` (from a recipe) nothing is inferred: it says what must be there."""
        ...

    def job(self, scan: Any, options: Any, run: Run) -> Job: ...

    def expand(self, recipe: Recipe, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Stored torch tensors of one batch → the model's (input, target), each (row, …), on the same device.

        The batch holds the tensors of the roles `input` and `target`: their rows, or all of a tensor that has no axis
        `row`, such as the steps that windows are taken from. The input is float32; the target is None where there is none.
        """
        ...

    def inverse(self, recipe: Recipe, tensors: TensorSet) -> Any:
        """Undo what can be undone; the type that comes back is the kind's own and documented there."""
        ...
