"""`tensorize apply RECIPE SOURCE`: do what a recipe says to new data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import flags
from .running import only, output_of, running
from .show import print_result
from .stdout import to_stdout

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="A prepared file, or a recipe as .json.")]


@to_stdout(out=".h5", rejects=".jsonl")
def run_apply(
    options: dict[str, Any],
    recipe: Recipe,
    source: flags.Source,
    *,
    out: flags.Out = None,
    format: flags.Format = None,
    columns: flags.Columns = False,
    tensor: flags.Tensor = None,
    pictures: flags.Pictures = None,
    force: flags.Force = False,
    max_size: flags.MaxSize = None,
    dry_run: flags.DryRun = False,
    unseen: flags.Unseen = None,
    missing: flags.Missing = None,
    on_bad: flags.OnBad = None,
    max_bad: flags.MaxBad = None,
    rejects: flags.Rejects = None,
    engine: flags.Engine = "threads",
    workers: flags.Workers = None,
    threads: flags.Threads = None,
    chunk_bytes: flags.ChunkBytes = None,
    scratch: flags.Scratch = None,
    max_pipe: flags.MaxPipe = None,
    timeout: flags.Timeout = None,
    max_header: flags.MaxHeader = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    debug: flags.Debug = False,
) -> None:
    """Do what a recipe says to new data: the same columns, statistics and categories; nothing is learned or split."""
    from tensorize import pipeline
    from tensorize.core.recipe import Recipe as RecipeFile
    from tensorize.sources.targets import check_targets

    del debug, max_pipe, timeout
    saving = {"columns": columns, "tensor": tensor, "pictures": pictures}
    output = output_of(source, out, format, max_size, saving, force=force, dry_run=dry_run, rejects=rejects)
    check_targets([output.path, output.rejects], recipe)
    found = RecipeFile.read(recipe)
    policies = {"unseen": unseen, "missing": missing, "on_bad": on_bad, "max_bad": max_bad}
    changed = flags.changes(found, policies, options, max_header)
    how = {"engine": engine, "workers": workers, "threads": threads, "scratch": scratch}
    with running(quiet or as_json, chunk_bytes, **how) as run:
        result = pipeline.apply(found, only(source), run, output, changed)
    print_result("apply", result, as_json=as_json, quiet=quiet, verbose=verbose)


command = flags.for_new_data(run_apply)
