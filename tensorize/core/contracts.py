"""The contracts: what a loader, a reader, a statistic, an engine and an exporter owe each other.

    source ──► Loader.open ──► learn (train rows only) ──► Plan ──► apply ──► pieces ──► TensorSet ──► Exporter ──► file

Everything here is torch-free. Shapes are written with named axes; `row` is the sample axis of every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

from tensorize.core.layout import (
    BLOCK_ROWS,
    Array,
    Floats,
    Json,
    Layout,
    Learned,
    Mask,
    Role,
    Store,
    TensorSpec,
)
from tensorize.core.rejects import Rejects

if TYPE_CHECKING:
    from tensorize.core.options import Options
    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet

__all__ = [
    "BLOCK_ROWS",
    "Amends",
    "Array",
    "Engine",
    "Exporter",
    "Facts",
    "Floats",
    "Found",
    "Json",
    "Layout",
    "Learned",
    "Loader",
    "Mask",
    "Opened",
    "OrderedMap",
    "Piece",
    "Plan",
    "Role",
    "Run",
    "ScratchStore",
    "Statistic",
    "Store",
    "Tells",
    "TensorSpec",
    "Traits",
    "Writer",
    "traits_of",
]

T = TypeVar("T")
U = TypeVar("U")
OrderedMap = Callable[[Callable[[T], U], Iterable[T]], Iterator[U]]


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
    """Reads and writes one format: a frozen dataclass whose fields, if it has any, are its options, with their defaults."""

    suffixes: ClassVar[tuple[str, ...]]
    reads: ClassVar[bool] = True
    """Whether `open` returns a set; where it is False the format is only written, and verified."""
    folder: ClassVar[bool] = False
    """Whether what is written is a folder."""
    by_sample: ClassVar[bool] = False
    """Whether rows are best written sample by sample, all tensors of a split together, and not tensor by tensor."""

    def refusal(self, layout: Layout) -> str:
        """Why the format cannot hold this layout, and what to do about it; "" if it can."""
        ...

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> Writer:
        """Lay a file out.

        Raises UsageError if it exists, unless `force`, and for a layout with a `refusal`; RunError if it cannot be written.
        """
        ...

    def open(self, path: Path) -> TensorSet:
        """Open lazily: headers and shapes only. Raises DataError on a file that is not ours or is damaged."""
        ...

    def verify(self, path: Path) -> None:
        """Recompute the digest of the whole file. Raises DataError if a byte has changed."""
        ...


class Statistic(Protocol):
    """What is gathered over blocks of values: frozen, mergeable in block order, JSON.

    One block is at most `BLOCK_ROWS` long. `update(block)` equals `merge(fresh().update(block))`, so that blocks can be
    taken anywhere and merged here, in order.
    """

    def fresh(self) -> Self:
        """The same statistic, in the same pass, that has seen nothing yet."""
        ...

    def update(self, block: Any) -> Self:
        """Return the statistic with one more block of values."""
        ...

    def merge(self, other: Self) -> Self:
        """Return the statistic joined with that of the blocks that follow."""
        ...

    def again(self) -> Self | None:
        """Return the statistic to gather in another pass over the same values; None when finished."""
        ...

    def to_json(self) -> dict[str, Json]:
        """The state as plain JSON."""
        ...

    @classmethod
    def from_json(cls, state: Mapping[str, Json]) -> Self:
        """The statistic with a state that `to_json` gave."""
        ...


class ScratchStore(Protocol):
    """Where an engine keeps values between two passes: scratch on one machine, an object store on a cluster.

    A store that travels with a function is, in another process, that process' view of the same values.
    """

    folder: Path | None
    """Where scratch files are made; None for the system's folder."""

    def keep(self, value: Any) -> Any:
        """Keep a `Packed` batch, or arrays by name; return a small, picklable reference."""
        ...

    def load(self, ref: Any, names: Collection[str] | None = None) -> Any:
        """Return what was kept, or some of its columns or arrays. Safe to call from any thread."""
        ...

    def forget(self, ref: Any) -> None:
        """Give room back: this value is not loaded again."""
        ...


class Engine(Protocol):
    """Runs pure functions over items: in order, bounded, retried. It may change the speed, never a bit of the result.

    Plug-in point `tensorize.engines`. Functions and items may be sent to another process, so both can be pickled: a
    function is a module-level function, a `partial` of one, or a frozen dataclass with `__call__`.
    """

    workers: int
    """How many items are worked on at once."""
    store: ScratchStore

    def map(self, function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
        """Yield `function(item)` for each item, in order; a bounded number of results waits at a time."""
        ...

    def keep(self, function: Callable[[T], tuple[U, Any]], items: Iterable[T]) -> Iterator[tuple[U, Any]]:
        """As `map`, for a function that returns (facts, value): the value stays in the store, its reference is yielded."""
        ...

    def notes(self) -> tuple[str, ...]:
        """What happened on the way that the user should know, such as a worker process that was replaced."""
        ...

    def close(self) -> None:
        """Release workers and scratch. Safe to call twice."""
        ...


@dataclass(frozen=True)
class Run:
    """How a job runs: it may change the speed, never a bit of the result, and is never recorded in a recipe."""

    engine: Engine
    partition_bytes: int = 4 << 20
    """Bytes that are read at a time."""
    progress: Callable[[str, int, int | None], None] | None = None
    """Called as `progress(stage, done, total)`; `total` is None if it is not known."""
    rejects: Rejects = field(default_factory=Rejects, compare=False)
    """Collects invalid items where `rejects.skip`. A loader hands in all of them before `learn` or `plan` returns; the
    items that are left keep their source position in `row`."""
    learns: bool = True
    """Whether a recipe is made; False where one is applied."""
    streams: bool = False
    """Whether rows are printed as they are finished and cannot be taken back: a loader then looks for errors first."""

    def report(self, stage: str, done: int, total: int | None) -> None:
        """Report the progress of a stage."""
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
    unlabelled: tuple[tuple[str, int], ...] = ()
    """(path, how many items) of what has no labels and is left out; the recipe can be applied to it."""


class Opened(Protocol):
    """A source that was opened and looked at: what it is, and how its content is read. Picklable, but for its scratch.

    Nothing of its size is held in memory. A context manager: leaving it releases what it holds.
    """

    @property
    def schema(self) -> Schema:
        """The columns; empty for kinds without columns."""
        ...

    @property
    def facts(self) -> Facts:
        """What the summary says of the source."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Found(Protocol):
    """What a loader gathers while pieces are made, such as a histogram: merged in the order of the pieces."""

    def merge(self, other: Self) -> Self:
        """Return what this and the following pieces gathered."""
        ...


@dataclass(frozen=True)
class Piece:
    """Finished rows of one split: `values[name]` is (row, …), the same rows for every tensor.

    Rows of a split come in their final order over all pieces.
    """

    split: str | None
    values: Mapping[str, Array]
    found: Found | None = None
    """What was gathered from these rows, for `Loader.finish`."""


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the first row is written. Picklable: any process can apply it."""

    learned: tuple[Learned, ...]
    specs: tuple[TensorSpec, ...]
    """Every tensor of every split."""
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What is kept beside the tensors: image paths, text ids. See `Layout.texts`."""
    notes: tuple[str, ...] = ()
    """Notes and warnings for the summary: filled hours, constant columns."""
    made: Mapping[str, str] = field(default_factory=dict)
    """Tensor name → a few words on how it was made, such as `z-score, learned from train`."""
    state: Any = None
    """Private to the loader."""
    open: bool = False
    """Whether `finish` learns from what `apply` gathers: until then the numbers in `learned` are placeholders."""


class Loader(Protocol):
    """Knows one kind of sample. Plug-in point `tensorize.loaders`.

    `open`, `learn` or `plan`, `apply` and `finish` make tensors, in this order; the rest needs nothing but a recipe.
    """

    Options: ClassVar[type[Options]]

    def open(self, source: Any, options: Any, run: Run, schema: Schema | None = None) -> Opened:
        """Open a source and look at it. With `schema` (from a recipe) nothing is inferred: it says what must be there."""
        ...

    def learn(self, rows: Any, options: Any, run: Run) -> Plan:
        """Decide everything. The only place where anything is learned, from train rows only."""
        ...

    def plan(self, rows: Any, options: Any, run: Run, learned: Sequence[Learned]) -> Plan:
        """Decide everything as a recipe says: nothing is learned."""
        ...

    def apply(self, plan: Plan, rows: Any, run: Run) -> Iterator[Piece]:
        """Yield the finished rows."""
        ...

    def finish(self, plan: Plan, found: Any) -> Plan:
        """Return the plan with what only `apply` could tell: final numbers (where it is `open`) and notes.

        `found` is what the pieces gathered, merged in their order; None if they gathered nothing.
        """
        ...

    def batch(self, recipe: Recipe, stored: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Stored torch tensors of one batch → the model's inputs and targets by name, each (row, …), on the same device.

        `stored` holds the tensors of the roles `input` and `target`: their rows, or all of a tensor that has no axis
        `row`, such as the steps that windows are taken from. Inputs are float32; targets are empty where there are none.
        Who trains sees a tensor where there is one, a dict by these names where there are several.
        """
        ...

    def inverse(self, recipe: Recipe, tensors: TensorSet) -> Any:
        """Undo the reversible steps. The return type depends on the kind and is documented there."""
        ...


@dataclass(frozen=True)
class Traits:
    """What the trainer asks about a kind of sample: the attribute `traits` of a loader, where it has one."""

    target_hint: str = "prepare it again with --target COL"
    """How a set without a target gets one."""
    overlapping: bool = False
    """Whether samples with a target share values, as windows do: a split by rows would put the same ones into two parts."""
    graph: str = ""
    """The name of the preprocessing in `tensorize.train.export.graph` that an exported model begins with; "" for none."""


def traits_of(loader: Any) -> Traits:
    """The traits of a loader, or those of one that has none of its own."""
    found: Traits = getattr(loader, "traits", Traits())
    return found


@runtime_checkable
class Amends(Loader, Protocol):
    """A loader for which another policy is more than another option: it may need a step in the recipe."""

    def amended(self, recipe: Recipe, policies: Mapping[str, Any]) -> Recipe:
        """The recipe with other policies for what only new data can bring. See `Recipe.amended`."""
        ...


@runtime_checkable
class Tells(Loader, Protocol):
    """A loader that tells more of each row than its tensors, where rows are printed as they come (`Run.streams`)."""

    def told(self, plan: Plan) -> Mapping[str, Callable[[Array], Any]]:
        """Tensor of a plan that streams, (row) int64 → what makes a pyarrow Array (row) of its values."""
        ...
