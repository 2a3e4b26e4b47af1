"""What the commands that go through raw data have in common: where it comes from, how they run, where they write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorize.core import registry
from tensorize.core.units import parse_size
from tensorize.sources.targets import default_out

from .progress import progress

if TYPE_CHECKING:
    from tensorize.pipeline import Output, RunOptions


def only(source: list[str]) -> str | list[str]:
    """One source as what it is: `-`, a folder, a glob."""
    return source if len(source) > 1 else source[0]


def output_of(
    source: list[str], out: Path | None, format: str | None, max_size: str | None, options: dict[str, Any], **more: Any
) -> Output:
    """Where a prepared file goes; `options` are those of its format, `more` are `force`, `dry_run` and `rejects`."""
    from tensorize import pipeline

    path = out or default_out(source)
    limit = parse_size(max_size) if max_size else None
    return pipeline.make_output(path, exporter_of(path, format, options), max_size=limit, **more)


def exporter_of(path: Path, format: str | None, options: dict[str, Any]) -> Any:
    """The exporter with its options; the name of the format, if any, where no option is given."""
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    return registry.exporter_for(path, format, **given) if given else format


def saving_words(format: str | None, options: dict[str, Any]) -> list[str]:
    """The flags of a call that say how its output is written."""
    words = ["--format", format] if format is not None else []
    for name, value in options.items():
        words += [f"--{name}"] if value is True else [f"--{name}", value] if value else []
    return words


@contextmanager
def running(silent: bool, chunk_bytes: str | None, **how: Any) -> Iterator[RunOptions]:
    """How to run, with a bar for each stage unless `silent`; `how` are engine, workers, threads and scratch."""
    from tensorize import pipeline

    with progress(silent) as report:
        yield pipeline.make_run(chunk_bytes=parse_size(chunk_bytes) if chunk_bytes else None, progress=report, **how)
