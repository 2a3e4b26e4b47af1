"""The local engine: one source through a loader's job into a file, or into memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorize.core import registry
from tensorize.core.contracts import Facts, Job, Layout, Learned, OnePass, Run, Scan, TensorSpec, Writer
from tensorize.core.errors import RecipeError, UsageError
from tensorize.core.options import BadOptions, Options
from tensorize.core.recipe import Recipe
from tensorize.core.rejects import Rejects, collecting
from tensorize.core.schema import Schema

if TYPE_CHECKING:
    from tensorize.core.tensorset import TensorSet

MAX_BYTES = 2 << 30
"""An output up to here is never refused."""


@dataclass(frozen=True)
class Output:
    """Where the result goes: a file, or memory where `path` is None. `max_size` in bytes; None for the default limit."""

    path: Path | None = None
    format: str | None = None
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
    """What came of a run, and what its summary tells."""

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


def make_run(
    threads: int | None = None,
    chunk_bytes: int | None = None,
    scratch: str | Path | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Run:
    """How to run, with defaults for what is None. Raises UsageError for values that make no sense."""
    if (threads is not None and threads < 1) or (chunk_bytes is not None and chunk_bytes < 1):
        raise UsageError("--threads and --chunk-bytes are at least 1")
    folder = Path(scratch) if scratch is not None else None
    if folder is not None and not folder.is_dir():
        raise UsageError(f"the scratch folder {folder} does not exist")
    return Run(threads or default_threads(), chunk_bytes or Run.chunk_bytes, folder, progress)


def make_output(
    out: str | Path | None,
    format: str | None = None,
    *,
    force: bool = False,
    max_size: int | None = None,
    dry_run: bool = False,
    rejects: str | Path | None = None,
) -> Output:
    """Where to write, with paths as the user gave them."""
    paths = [Path(path) if path is not None else None for path in (out, rejects)]
    return Output(paths[0], format, force, max_size, dry_run, paths[1])


def prepare(kind: str, source: Any, options: Mapping[str, Any], run: Run, output: Output) -> Result:
    """Learn a recipe from a source and apply it. See `tensorize.prepare`."""
    started = time.monotonic()
    output.check()
    loader = registry.load("loaders", kind)()
    parsed: Options = loader.Options.parse(dict(options))
    with _running(run, output, parsed) as own, loader.scan(source, parsed, own) as scan:
        job: Job = loader.job(scan, parsed, own)

        @cache
        def final() -> Recipe:
            return Recipe.of(kind, parsed, scan.schema, job.learn())

        outline = job.outline() if isinstance(job, OnePass) and not output.dry_run else None
        recipe = final() if outline is None else Recipe.of(kind, parsed, scan.schema, outline)
        return _finish(recipe, scan, job, output, own.rejects, final=final, started=started)


def apply(recipe: Recipe, source: Any, run: Run, output: Output, changed: Mapping[str, Any] | None = None) -> Result:
    """Do what a recipe says to another source: nothing is learned, nothing is split.

    `changed` are options that hold instead of the recipe's: only those that change no row that is kept, which are `on_bad`,
    `max_bad` and the limits of what is read.
    """
    started = time.monotonic()
    output.check()
    loader, options = recipe.loader, recipe.parsed_options(changed).for_apply()
    with _running(run, output, options) as own, loader.scan(source, options, own, recipe.schema) as scan:
        return _finish(recipe, scan, loader.job(scan, options, own), output, own.rejects, final=lambda: recipe, started=started)


@dataclass(frozen=True)
class Stream:
    """New data on their way through a recipe, piece by piece."""

    kind: str
    facts: Facts
    specs: tuple[TensorSpec, ...]
    pieces: Iterator[TensorSet]
    rejects: Rejects
    notes: Callable[[], tuple[str, ...]]
    """Complete once the pieces are exhausted."""


@contextmanager
def stream(recipe: Recipe, source: Any, run: Run, output: Output, changed: Mapping[str, Any] | None = None) -> Iterator[Stream]:
    """As `apply`, for one who takes finished rows and keeps none, and who predicts: no target is looked for, or looked at.

    Memory is bounded by the piece. The first piece is made before this returns, so that an error which a job finds before
    its first row comes before any output: a table or a series with an unseen category, for instance.
    Windows as an index come in one piece, since their steps belong to all rows.
    """
    output.check()
    loader, options = recipe.loader, recipe.parsed_options(changed).for_predict()
    learned = tuple(item for item in recipe.learned if item.role != "target")
    with _running(run, output, options) as own, loader.scan(source, options, own, recipe.schema) as scan:
        job: Job = loader.job(scan, options, replace(own, streams=True))
        specs = job.layout(learned)
        own.rejects.check()
        own.rejects.flush()
        layout = Layout(recipe.kind, specs, recipe.to_json(), {key: tuple(values) for key, values in job.texts().items()})
        pieces = _as_sets(layout, job, learned)
        begun = chain(list(islice(pieces, 1)), pieces)
        yield Stream(recipe.kind, scan.facts, specs, begun, own.rejects, lambda: job.notes)


def _as_sets(layout: Layout, job: Job, learned: Sequence[Learned]) -> Iterator[TensorSet]:
    """Each piece as a set of its own."""
    from tensorize.core.tensorset import SHARED, MemoryStore, TensorSet

    if any(spec.axes[0] in SHARED for spec in layout.tensors):
        yield _in_memory(layout, job, learned, lambda: layout)()
        return
    at = 0
    for piece in job.pieces(learned):
        rows = len(next(iter(piece.values.values())))
        specs = tuple(replace(spec, shape=(rows, *spec.shape[1:])) for spec in layout.tensors)
        texts = {key: values[at : at + rows] for key, values in layout.texts.items()}
        yield TensorSet(Layout(layout.kind, specs, layout.recipe, texts), MemoryStore(piece.values))
        at += rows


@contextmanager
def _running(run: Run, output: Output, options: Options) -> Iterator[Run]:
    """The run with its scratch beside the output, unless it was said where, and with the collector of what is bad."""
    skip = isinstance(options, BadOptions) and options.on_bad == "skip"
    if output.rejects is not None and not skip:
        raise UsageError("--rejects lists what --on-bad skip leaves out", hint="say --on-bad skip, or leave --rejects away")
    limit = options.max_bad if isinstance(options, BadOptions) else "0"
    scratch = output.path.parent if run.scratch is None and output.path is not None else run.scratch
    with collecting(skip, limit, None if output.dry_run else output.rejects, force=output.force) as rejects:
        yield replace(run, scratch=scratch, rejects=rejects)


def _finish(
    recipe: Recipe, scan: Scan, job: Job, output: Output, rejects: Rejects, *, final: Callable[[], Recipe], started: float
) -> Result:
    """Lay out, check the size and what is bad, and write. `final` is asked for the recipe to keep, behind the last piece."""
    specs = job.layout(recipe.learned)
    rejects.check()
    rejects.flush()
    texts = {key: tuple(values) for key, values in job.texts().items()}
    layout = Layout(recipe.kind, specs, recipe.to_json(), texts)
    _check_size(layout, scan.facts, output)

    def settled() -> Layout:
        return layout if final() is recipe else replace(layout, recipe=final().to_json())

    opener = None if output.dry_run else _write(layout, job, recipe.learned, settled, output)
    names = dict.fromkeys(spec.name for spec in specs)
    made = {name: job.describe(name, final().learned) for name in names}
    seconds = time.monotonic() - started
    return Result(final(), scan.facts, scan.schema, settled(), job.notes, made, output, seconds, rejects, opener)


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


def _write(
    layout: Layout, job: Job, learned: Sequence[Learned], settled: Callable[[], Layout], output: Output
) -> Callable[[], TensorSet]:
    """Write every piece; return how the result is opened. `settled` is the layout with the recipe to keep, asked last."""
    if output.path is None:
        return _in_memory(layout, job, learned, settled)
    path, exporter = output.path, registry.exporter_for(output.path, output.format)
    writer: Writer = exporter.create(path, layout, force=output.force)
    try:
        _copy(layout, job, learned, writer)
        writer.commit(settled().recipe)
    finally:
        writer.abort()
    return partial(exporter.open, path)


def _copy(layout: Layout, job: Job, learned: Sequence[Learned], writer: Any) -> None:
    at: dict[str, int] = {}
    known = {spec.name for spec in layout.tensors}
    for piece in job.pieces(learned):
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


def _in_memory(layout: Layout, job: Job, learned: Sequence[Learned], settled: Callable[[], Layout]) -> Callable[[], TensorSet]:
    from tensorize.core.tensorset import MemoryStore, TensorSet

    memory = _Memory(layout)
    _copy(layout, job, learned, memory)
    tensors = TensorSet(settled(), MemoryStore(memory.arrays))
    return lambda: tensors
