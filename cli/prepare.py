"""A command for each loader, built-in or plugged in: made from its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tensorize import registry
from tensorize.options import Options
from tensorize.units import parse_size

from . import flags
from .progress import progress
from .show import print_result

Source = Annotated[
    list[str], typer.Argument(metavar="SOURCE…", help="What to read: files, a glob, a folder, or - for standard input.")
]


def loader_command(name: str) -> Callable[..., None]:
    """Return the command of a loader as a function with one keyword for each of its options."""
    entry = registry.table("loaders")[name]
    options: type[Options] = entry.load().Options

    def command(**values: Any) -> None:
        own = {field: values.pop(field) for field in options.model_fields}
        run_loader(name, flags.given(own), **values)

    shared = list(inspect.signature(run_loader, eval_str=True).parameters.values())[2:]
    made = list(flags.option_parameters(options))
    source = [shared[0].replace(kind=inspect.Parameter.KEYWORD_ONLY)]
    parameters = [*source, *made, *(item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in shared[1:])]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    command.__doc__ = entry.summary
    return command


def run_loader(
    kind: str,
    options: dict[str, Any],
    source: Source,
    *,
    out: flags.Out = None,
    format: flags.Format = None,
    force: flags.Force = False,
    max_size: flags.MaxSize = None,
    dry_run: flags.DryRun = False,
    rejects: flags.Rejects = None,
    threads: flags.Threads = None,
    chunk_bytes: flags.ChunkBytes = None,
    scratch: flags.Scratch = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    debug: flags.Debug = False,
) -> None:
    """Prepare a source and print the summary."""
    from tensorize.engine import local

    del debug
    output = local.make_output(
        out or default_out(source),
        format,
        force=force,
        max_size=parse_size(max_size) if max_size else None,
        dry_run=dry_run,
        rejects=rejects,
    )
    with progress(quiet or as_json) as report:
        run = local.make_run(threads, parse_size(chunk_bytes) if chunk_bytes else None, scratch, report)
        result = local.prepare(kind, source if len(source) > 1 else source[0], options, run, output)
    print_result(kind, result, as_json=as_json, quiet=quiet, verbose=verbose)


def default_out(source: list[str]) -> Path:
    """Where the result goes when nothing is said: the source's name with `.h5`, in the folder one is in."""
    first = Path(source[0])
    stem = "stdin" if source[0] == "-" else first.resolve().name
    for suffix in (".gz", ".zst", first.suffix):
        stem = stem.removesuffix(suffix) if suffix else stem
    return Path("".join(char for char in stem if char not in "*?[]") or "out").with_suffix(".h5")
