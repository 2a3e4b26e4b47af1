"""`tensorize predict MODEL SOURCE`: from raw data to predictions."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from tensorize.errors import UsageError
from tensorize.units import parse_size, seconds, size

from . import flags
from .prepare import Source
from .progress import progress
from .show import print_json, print_rejects, rejects_body, say

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A trained model.")]
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


def command(
    model: Model,
    source: Source,
    *,
    out: Out = "predictions.csv",
    force: flags.Force = False,
    on_bad: flags.OnBad = None,
    max_bad: flags.MaxBad = None,
    rejects: flags.Rejects = None,
    device: flags.Device = "auto",
    threads: flags.Threads = None,
    chunk_bytes: flags.ChunkBytes = None,
    scratch: flags.Scratch = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Predict from raw data: the model's recipe prepares them, and classes and original units come out."""
    from tensorize.engine import local
    from tensorize.partfile import exists
    from tensorize.train import Checkpoint
    from tensorize.train.predict import predictions
    from tensorize.train.write import check_suffix, write_file, write_stream

    del debug
    began = time.monotonic()
    path = None if out == "-" else Path(out)
    if path is None and as_json:
        raise UsageError("--json and the predictions cannot both go to standard output", hint="name a file with -o")
    if path is not None:
        check_suffix(path)
        if path.exists() and not force:
            raise exists(path)
    found = Checkpoint.load(model)
    output = local.make_output(None, force=force, rejects=rejects)
    with progress(quiet or as_json or path is None) as report:
        run = local.make_run(threads, parse_size(chunk_bytes) if chunk_bytes else None, scratch, report)
        changed = flags.given({"on_bad": on_bad, "max_bad": max_bad})
        data = source if len(source) > 1 else source[0]
        with predictions(found, data, run, output=output, device=device, changed=changed) as made:
            rows = write_stream(made, sys.stdout.buffer, ".csv") if path is None else write_file(made, path, force=force)
    if path is None or quiet:
        return
    if as_json:
        facts, skipped = made.facts, rejects_body(made.stream.rejects)
        body = {"source": {"name": facts.source, "bytes": facts.size}, "rows": rows, "columns": made.schema.names}
        print_json("predict", {**body, "notes": list(made.stream.notes()), "rejects": skipped, "output": {"path": out}})
        return
    say("   ".join(part for part in (made.facts.source, made.facts.shape, *made.facts.notes, size(made.facts.size)) if part))
    for note in made.stream.notes():
        say(f"  note: {note}")
    print_rejects(made.stream.rejects)
    say(f"{path}   {rows:,} rows   {size(path.stat().st_size)}   {seconds(time.monotonic() - began)}")
