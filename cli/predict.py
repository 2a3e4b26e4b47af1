"""`tensorize predict MODEL SOURCE`: from raw data to predictions."""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorize.core.errors import UsageError
from tensorize.core.units import seconds, size
from tensorize.sources.targets import check_targets

from . import flags
from .running import only, running
from .show import print_json, print_rejects, rejects_body, say
from .stdout import to_stdout

if TYPE_CHECKING:
    from tensorize.train.predict import Predictions

Out = Annotated[
    str,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="A .csv or .parquet file, or - for CSV on standard output.",
        rich_help_panel=flags.OUTPUT,
    ),
]


@to_stdout(rejects=".jsonl")
def run_predict(
    options: dict[str, Any],
    model: flags.Model,
    source: flags.Source,
    *,
    out: Out = "predictions.csv",
    force: flags.Force = False,
    unseen: flags.Unseen = None,
    missing: flags.Missing = None,
    on_bad: flags.OnBad = None,
    max_bad: flags.MaxBad = None,
    rejects: flags.Rejects = None,
    device: flags.Device = "auto",
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
    debug: flags.Debug = False,
) -> None:
    """Predict from raw data: the model's recipe prepares them, and classes and original units come out."""
    from tensorize import pipeline
    from tensorize.train import Checkpoint
    from tensorize.train.predict import predictions, write_file, write_stream

    del debug, max_pipe, timeout
    began, path = time.monotonic(), _target(out, as_json, force)
    check_targets([path, rejects], model, source)
    found = Checkpoint.load(model)
    policies = {"unseen": unseen, "missing": missing, "on_bad": on_bad, "max_bad": max_bad}
    changed = flags.changes(found.recipe, policies, options, max_header)
    output = pipeline.make_output(None, force=force, rejects=rejects)
    how = {"engine": engine, "workers": workers, "threads": threads, "scratch": scratch}
    with (
        running(quiet or as_json or path is None, chunk_bytes, **how) as run,
        predictions(found, only(source), run, output=output, device=device, changed=changed) as made,
    ):
        rows = write_stream(made, sys.stdout.buffer, ".csv") if path is None else write_file(made, path, force=force)
    if as_json:
        print_json("predict", _body(made, rows, out))
    elif not quiet and path is None:
        with redirect_stdout(sys.stderr):
            _print_notes(made)
    elif not quiet and path is not None:
        facts = made.facts
        say("   ".join(part for part in (facts.source, facts.shape, *facts.notes, size(facts.size)) if part))
        _print_notes(made)
        say(f"{path}   {rows:,} rows   {size(path.stat().st_size)}   {seconds(time.monotonic() - began)}")


def _target(out: str, as_json: bool, force: bool) -> Path | None:
    """The file to write, None for standard output. Raises UsageError before the model is read where it cannot be written."""
    from tensorize.storage.partfile import exists
    from tensorize.train.predict import check_suffix

    if out == "-":
        if as_json:
            raise UsageError("--json and the predictions cannot both go to standard output", hint="name a file with -o")
        return None
    check_suffix(Path(out))
    if Path(out).exists() and not force:
        raise exists(Path(out))
    return Path(out)


def _print_notes(made: Predictions) -> None:
    """What was noticed and what was left out."""
    for note in made.stream.notes():
        say(f"  note: {note}")
    print_rejects(made.stream.rejects)


def _body(made: Predictions, rows: int, out: str) -> dict[str, object]:
    return {
        "source": {"name": made.facts.source, "bytes": made.facts.size},
        "rows": rows,
        "columns": made.schema.names,
        "notes": list(made.stream.notes()),
        "rejects": rejects_body(made.stream.rejects),
        "output": {"path": out},
    }


command = flags.for_new_data(run_predict)
