"""`tensorize apply RECIPE SOURCE`: do what a recipe says to new data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tensorize.units import parse_size

from . import flags
from .prepare import Source, default_out
from .progress import progress
from .show import print_result

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="A prepared file, or a recipe as .json.")]


def command(
    recipe: Recipe,
    source: Source,
    *,
    out: flags.Out = None,
    format: flags.Format = None,
    force: flags.Force = False,
    max_size: flags.MaxSize = None,
    dry_run: flags.DryRun = False,
    on_bad: flags.OnBad = None,
    max_bad: flags.MaxBad = None,
    rejects: flags.Rejects = None,
    threads: flags.Threads = None,
    chunk_bytes: flags.ChunkBytes = None,
    scratch: flags.Scratch = None,
    max_header: flags.MaxHeader = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    debug: flags.Debug = False,
) -> None:
    """Do what a recipe says to new data: the same columns, statistics and categories; nothing is learned or split."""
    from tensorize.engine import local
    from tensorize.recipe import Recipe as RecipeFile

    del debug, max_header
    output = local.make_output(
        out or default_out(source),
        format,
        force=force,
        max_size=parse_size(max_size) if max_size else None,
        dry_run=dry_run,
        rejects=rejects,
    )
    found = RecipeFile.read(recipe)
    with progress(quiet or as_json) as report:
        run = local.make_run(threads, parse_size(chunk_bytes) if chunk_bytes else None, scratch, report)
        changed = flags.given({"on_bad": on_bad, "max_bad": max_bad})
        result = local.apply(found, source if len(source) > 1 else source[0], run, output, changed)
    print_result("apply", result, as_json=as_json, quiet=quiet, verbose=verbose)
