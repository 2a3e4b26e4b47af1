"""The pipeline: one source through a loader into a file, or into memory."""

from __future__ import annotations

import inspect
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorize.core import registry
from tensorize.core.contracts import Amends, Engine, Facts, Layout, Learned, Loader, Piece, Plan, Run, Tells, TensorSpec, Writer
from tensorize.core.errors import RecipeError, TensorizeError, UsageError
from tensorize.core.options import BadOptions, Options
from tensorize.core.recipe import Recipe
from tensorize.core.rejects import Rejects
from tensorize.core.schema import Schema
from tensorize.sources.targets import check_targets
from tensorize.storage.rejects import collecting

if TYPE_CHECKING:
    from tensorize.core.tensorset import TensorSet

RecipeOf = Callable[[tuple[Learned, ...]], Recipe]
"""What was learned → the recipe to keep."""

MAX_BYTES = 2 << 30
"""An output up to here is never refused."""


@dataclass(frozen=True)
class Output:
    """Where the result goes: a file, or memory where `path` is None. `max_size` in bytes; None for the default limit."""

    path: Path | None = None
    format: Any = None
    """The name of a format, or an exporter; None for that of the suffix."""
    force: bool = False
    max_size: int | None = None
    dry_run: bool = False
    rejects: Path | None = None
    """Where what is bad is listed, under `--on-bad skip`."""

    def check(self) -> None:
        """Raise UsageError, before any work, for a target that exists or a format that does not."""
        if self.path is not None:
            registry.exporter_for(self.path, self.format)
        for path, flag in ((self.path, "-o"), (self.rejects, "--rejects")):
            if path is None:
                continue
            if path.exists() and not self.force:
                raise UsageError(f"{path} exists", hint=f"say --force to replace it, or name another file with {flag}")
            if not path.parent.is_dir():
                raise UsageError(f"the folder {path.parent} does not exist", hint=f"make it, or name another file with {flag}")
        if self.rejects is not None and self.path is not None and self.rejects.resolve() == self.path.resolve():
            raise UsageError(f"{self.path} cannot be both the output and the list of rejects", hint="name two files")


@dataclass(frozen=True)
class Result:
    """The result of a run, and its summary."""

    recipe: Recipe
    facts: Facts
    schema: Schema
    layout: Layout
    notes: tuple[str, ...]
    made: Mapping[str, str]
    """Tensor name → a few words on how it was made."""
    output: Output
    seconds: float
    rejects: Rejects
    """What was left out: counts, and the first few."""
    _tensors: Callable[[], TensorSet] | None = field(default=None, repr=False)

    @property
    def tensors(self) -> TensorSet:
        """The result itself: in memory, or lazily from the file. Raises UsageError after a dry run."""
        if self._tensors is None:
            raise UsageError("a dry run makes no tensors")
        return self._tensors()


def default_threads() -> int:
    """The number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class RunOptions:
    """How to run, as given by the user. None of it changes a bit of the result, and none of it is recorded.

    `engine` is a registered engine. `scratch` is where it keeps what does not fit in memory: beside the output where it
    is None.
    """

    engine: str = "threads"
    workers: int = 1
    partition_bytes: int = Run.partition_bytes
    scratch: Path | None = None
    progress: Callable[[str, int, int | None], None] | None = None


def make_run(
    threads: int | None = None,
    chunk_bytes: int | None = None,
    scratch: str | Path | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
    *,
    engine: str = "threads",
    workers: int | None = None,
) -> RunOptions:
    """How to run, with defaults for what is None. Raises UsageError for values that make no sense."""
    if (chunk_bytes is not None and chunk_bytes < 1) or any(count is not None and count < 1 for count in (threads, workers)):
        raise UsageError("--threads, --workers and --chunk-bytes are at least 1")
    if threads is not None and workers is not None:
        raise UsageError("--threads and --workers are two names for the same number", hint="omit one of them")
    folder = Path(scratch) if scratch is not None else None
    if folder is not None and not folder.is_dir():
        raise UsageError(f"the scratch folder {folder} does not exist")
    count = workers or threads or default_threads()
    return RunOptions(engine, count, chunk_bytes or Run.partition_bytes, folder, progress)


def split_run(values: Mapping[str, Any]) -> tuple[RunOptions, dict[str, Any]]:
    """How to run, and the other options among keywords: those that say how new data are written."""
    how = inspect.signature(make_run).parameters
    run = make_run(**{name: value for name, value in values.items() if name in how})
    return run, {name: value for name, value in values.items() if name not in how and value is not None}


def make_output(
    out: str | Path | None,
    format: Any = None,
    *,
    force: bool = False,
    max_size: int | None = None,
    dry_run: bool = False,
    rejects: str | Path | None = None,
) -> Output:
    """Where to write, with paths as the user gave them."""
    paths = [Path(path) if path is not None else None for path in (out, rejects)]
    return Output(paths[0], format, force, max_size, dry_run, paths[1])


def prepare(kind: str, source: Any, options: Mapping[str, Any], run: RunOptions, output: Output) -> Result:
    """Learn a recipe from a source and apply it. See `tensorize.prepare`."""
    started = time.monotonic()
    output.check()
    loader = registry.load("loaders", kind)()
    parsed: Options = loader.Options.parse(dict(options))
    check_targets((output.path, output.rejects), source)
    with running(run, output, parsed) as own, loader.open(source, parsed, own) as rows:
        parsed = parsed.settled(rows.schema.names)
        plan = loader.learn(rows, parsed, own)

        def recipe_of(learned: tuple[Learned, ...]) -> Recipe:
            return Recipe.of(kind, parsed, rows.schema, learned)

        return _finish(_Made(loader, plan, rows, own), recipe_of, output, started)


def apply(recipe: Recipe, source: Any, run: RunOptions, output: Output, changed: Mapping[str, Any] | None = None) -> Result:
    """Apply a recipe to another source: nothing is learned, nothing is split.

    `changed` are options that hold instead of the recipe's: policies for what only new data can bring (`on_bad`, `max_bad`,
    `unseen`, `missing`), recorded in the recipe of the result; and how the new data are written (`encoding`, `delimiter`, …)
    and limits of what is read, recorded nowhere.
    """
    started = time.monotonic()
    output.check()
    check_targets((output.path, output.rejects), source)
    kept, others = _amended(recipe, changed or {})
    loader, options = kept.loader, kept.parsed_options(others).for_apply()
    with _applying(run, output, options) as own, loader.open(source, options, own, kept.schema) as rows:
        plan = loader.plan(rows, options, own, kept.learned)
        return _finish(_Made(loader, plan, rows, own), lambda _: kept, output, started)


def _amended(recipe: Recipe, changed: Mapping[str, Any]) -> tuple[Recipe, Mapping[str, Any]]:
    """The recipe with the policies among the changed options, and the others: how the data are written, and limits."""
    loader, unrecorded = recipe.loader, recipe.loader.Options.unrecorded_names()
    others = {name: value for name, value in changed.items() if name in unrecorded}
    policies = {name: value for name, value in changed.items() if name not in unrecorded}
    if not policies:
        return recipe, others
    return (loader.amended(recipe, policies) if isinstance(loader, Amends) else recipe.amended(policies)), others


@dataclass(frozen=True)
class Stream:
    """New data on their way through a recipe, piece by piece."""

    kind: str
    facts: Facts
    specs: tuple[TensorSpec, ...]
    texts: tuple[str, ...]
    """The names of what is kept beside the tensors, such as `paths`."""
    pieces: Iterator[TensorSet]
    rejects: Rejects
    notes: Callable[[], tuple[str, ...]]
    """Complete once the pieces are exhausted."""
    told: Mapping[str, Callable[[Any], Any]]
    """See `Tells`."""


@contextmanager
def stream(
    recipe: Recipe, source: Any, run: RunOptions, output: Output, changed: Mapping[str, Any] | None = None
) -> Iterator[Stream]:
    """As `apply`, for one who takes finished rows and keeps none, and who predicts: no target is looked for, or looked at.

    Memory is bounded by the piece. The first piece is made before this returns, so that an error which a loader finds before
    its first row comes before any output: a table or a series with an unseen category, for instance.
    Windows as an index come in one piece, since their steps belong to all rows.
    """
    output.check()
    check_targets((output.path, output.rejects), source)
    kept, others = _amended(recipe, changed or {})
    loader, options = kept.loader, kept.parsed_options(others).for_predict()
    learned = tuple(item for item in kept.learned if item.role != "target")
    with _applying(run, output, options) as own, loader.open(source, options, own, kept.schema) as rows:
        streaming = replace(own, streams=True)
        plan = loader.plan(rows, options, streaming, learned)
        own.rejects.check()
        own.rejects.flush()
        made = _Made(loader, plan, rows, streaming)
        layout = Layout(kept.kind, plan.specs, kept.to_json(), plan.texts)
        pieces = _as_sets(layout, made)
        begun = chain(list(islice(pieces, 1)), pieces)
        told = loader.told(plan) if isinstance(loader, Tells) else {}
        texts = tuple(plan.texts)
        yield Stream(kept.kind, rows.facts, plan.specs, texts, begun, own.rejects, lambda: made.finished().notes, told)


@dataclass
class _Made:
    """The pieces of a plan, and what they gathered: `finished` is the plan with it, once they are exhausted."""

    loader: Loader
    plan: Plan
    rows: Any
    run: Run
    found: Any = None

    def pieces(self) -> Iterator[Piece]:
        for piece in self.loader.apply(self.plan, self.rows, self.run):
            if piece.found is not None:
                self.found = piece.found if self.found is None else self.found.merge(piece.found)
            yield piece

    def finished(self) -> Plan:
        plan = self.loader.finish(self.plan, self.found)
        return replace(plan, notes=(*plan.notes, *self.run.engine.notes()))


def _as_sets(layout: Layout, made: _Made) -> Iterator[TensorSet]:
    """Each piece as a set of its own."""
    from tensorize.core.layout import SHARED
    from tensorize.core.tensorset import MemoryStore, TensorSet

    if any(spec.axes[0] in SHARED for spec in layout.tensors):
        yield TensorSet(layout, MemoryStore(_in_memory(layout, made)))
        return
    at = 0
    for piece in made.pieces():
        rows = len(next(iter(piece.values.values())))
        specs = tuple(replace(spec, shape=(rows, *spec.shape[1:])) for spec in layout.tensors)
        texts = {key: values[at : at + rows] for key, values in layout.texts.items()}
        yield TensorSet(Layout(layout.kind, specs, layout.recipe, texts), MemoryStore(piece.values))
        at += rows


@contextmanager
def running(run: RunOptions, output: Output, options: Options) -> Iterator[Run]:
    """The engine, with its scratch beside the output unless another folder was named, and the collector of invalid items."""
    skip = isinstance(options, BadOptions) and options.on_bad == "skip"
    if output.rejects is not None and not skip:
        raise UsageError("--rejects lists what --on-bad skip leaves out", hint="say --on-bad skip, or leave --rejects away")
    limit = options.max_bad if isinstance(options, BadOptions) else "0"
    scratch = output.path.parent if run.scratch is None and output.path is not None else run.scratch
    engine: Engine = registry.load("engines", run.engine)(run.workers, scratch)
    try:
        with collecting(skip, limit, None if output.dry_run else output.rejects, force=output.force) as rejects:
            yield Run(engine, run.partition_bytes, run.progress, rejects)
    finally:
        engine.close()


@contextmanager
def _applying(run: RunOptions, output: Output, options: Options) -> Iterator[Run]:
    """As `running`, for a recipe that is applied. The hint of an error says which of its flags the recipe alone can have."""
    try:
        with running(run, output, options) as own:
            yield replace(own, learns=False)
    except TensorizeError as error:
        flags = dict.fromkeys(re.findall(r"--[a-z]+(?:-[a-z]+)*", error.hint))
        names = {flag: flag[2:].replace("-", "_") for flag in flags}
        taken = (*options.amendable, *options.unrecorded_names())
        fixed = [flag for flag, name in names.items() if name in options.fields() and name not in taken]
        if fixed and "prepare" not in error.hint:
            error.hint += f"\n{', '.join(fixed)} cannot be changed for this recipe: prepare again"
        raise


def _finish(made: _Made, recipe_of: RecipeOf, output: Output, started: float) -> Result:
    """Check the size and what is invalid, and write. A plan that is open has its final numbers after the last piece."""
    plan, rows, rejects = made.plan, made.rows, made.run.rejects
    rejects.check()
    rejects.flush()
    recipe = recipe_of(plan.learned)
    layout = Layout(recipe.kind, plan.specs, recipe.to_json(), plan.texts)
    _check_size(layout, rows.facts, output)
    _check_format(layout, output)
    opener, final = _dry(made) if output.dry_run else _write(layout, made, recipe_of, output)
    if final.learned != plan.learned:
        recipe = recipe_of(final.learned)
        layout = replace(layout, recipe=recipe.to_json())
    seconds = time.monotonic() - started
    return Result(recipe, rows.facts, rows.schema, layout, final.notes, final.made, output, seconds, rejects, opener)


def _dry(made: _Made) -> tuple[None, Plan]:
    """Write nothing; only a plan that is open needs its pieces."""
    if made.plan.open:
        deque(made.pieces(), maxlen=0)
        return None, made.finished()
    return None, made.plan


def _check_size(layout: Layout, facts: Facts, output: Output) -> None:
    """Raise UsageError for an output that nobody can have meant."""
    limit = output.max_size if output.max_size is not None else max(MAX_BYTES, 4 * facts.size)
    if layout.nbytes > limit:
        from tensorize.core.units import size

        largest = sorted(layout.tensors, key=lambda spec: -spec.nbytes)[:3]
        lines = [f"{spec.key}  {spec.dtype}  {'×'.join(map(str, spec.shape))}  {size(spec.nbytes)}" for spec in largest]
        raise UsageError(
            f"the output would take {size(layout.nbytes)}, over the limit of {size(limit)}",
            lines,
            "make it smaller (--encode ids, --dtype uint8), or allow it: --max-size 10GB",
        )


def _check_format(layout: Layout, output: Output) -> None:
    """Raise UsageError for an output whose format cannot hold the tensors."""
    if output.path is not None:
        exporter = registry.exporter_for(output.path, output.format)
        if hasattr(exporter, "refusal") and (refusal := exporter.refusal(layout)):
            raise UsageError(refusal)


def _write(layout: Layout, made: _Made, recipe_of: RecipeOf, output: Output) -> tuple[Callable[[], TensorSet], Plan]:
    """Write every piece; return how the result is opened, and the finished plan."""

    def settled(final: Plan) -> Layout:
        return layout if final.learned == made.plan.learned else replace(layout, recipe=recipe_of(final.learned).to_json())

    if output.path is None:
        from tensorize.core.tensorset import MemoryStore, TensorSet

        arrays = _in_memory(layout, made)
        final = made.finished()
        tensors = TensorSet(settled(final), MemoryStore(arrays))
        return lambda: tensors, final
    path, exporter = output.path, registry.exporter_for(output.path, output.format)
    writer: Writer = exporter.create(path, layout, force=output.force)
    try:
        _copy(layout, made.pieces(), writer)
        final = made.finished()
        writer.commit(settled(final).recipe)
    finally:
        writer.abort()
    return partial(_opened, exporter, path, settled(final)), final


def _opened(exporter: Any, path: Path, layout: Layout) -> TensorSet:
    """What was written, lazily; where the format is only written, a set that can be asked for all but its numbers."""
    from tensorize.core.tensors.views import WrittenStore
    from tensorize.core.tensorset import TensorSet

    return exporter.open(path) if getattr(exporter, "reads", True) else TensorSet(layout, WrittenStore(path))


def _copy(layout: Layout, pieces: Iterable[Piece], writer: Any) -> None:
    at: dict[str, int] = {}
    known = {spec.name for spec in layout.tensors}
    for piece in pieces:
        if not piece.values.keys() <= known:
            raise RecipeError(f"the recipe has no step for {', '.join(sorted(piece.values.keys() - known))}")
        for name, values in piece.values.items():
            key = f"{piece.split}/{name}" if piece.split else name
            writer.write(key, at.get(key, 0), values)
            at[key] = at.get(key, 0) + len(values)


class _Memory:
    """A writer into arrays."""

    def __init__(self, layout: Layout) -> None:
        import numpy as np

        self.arrays = {spec.key: np.empty(spec.shape, spec.dtype) for spec in layout.tensors}

    def write(self, key: str, start: int, values: Any) -> None:
        self.arrays[key][start : start + len(values)] = values


def _in_memory(layout: Layout, made: _Made) -> dict[str, Any]:
    memory = _Memory(layout)
    _copy(layout, made.pieces(), memory)
    return memory.arrays
