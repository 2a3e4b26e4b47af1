"""`tensorize auto SOURCE`: prepare a source as `tensorize SOURCE` proposes, and say what was chosen."""

from __future__ import annotations

from pathlib import Path

from tensorize.core.units import parse_size

from . import flags
from .running import only, running
from .show import print_json, print_result, result_body, say
from .stdout import to_stdout
from .suggest import As, Split, Target, body


@to_stdout(out=".h5")
def command(
    source: flags.Source,
    *,
    target: Target = None,
    kind: As = None,
    split: Split = None,
    out: flags.Out = None,
    format: flags.Format = None,
    force: flags.Force = False,
    max_size: flags.MaxSize = None,
    dry_run: flags.DryRun = False,
    engine: flags.Engine = "threads",
    workers: flags.Workers = None,
    threads: flags.Threads = None,
    chunk_bytes: flags.ChunkBytes = None,
    scratch: flags.Scratch = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    debug: flags.Debug = False,
) -> None:
    """Prepare a source whatever is in it. Every choice is told, and is an option of the command that is printed."""
    from tensorize import pipeline
    from tensorize.look.front import default_out, named, readable, suggest
    from tensorize.look.suggestion import attempt

    del debug
    given = flags.given({"split": split, "target": target})
    target_file = Path(out or default_out(only(source)))
    output = pipeline.make_output(
        target_file, format, force=force, max_size=parse_size(max_size) if max_size else None, dry_run=dry_run
    )
    output.check()
    how = {"engine": engine, "workers": workers, "threads": threads, "scratch": scratch}
    with running(quiet or as_json, chunk_bytes, **how) as run:
        with readable(only(source)) as kept:
            found = suggest(kept, kind=kind, run=run, check=False, **given)
            found, result = attempt(found, run, output)
        found = named(found, only(source), target_file)
    if as_json:
        print_json("auto", {**result_body(result), "suggestion": body(found)})
        return
    print_result(found.kind, result, as_json=False, quiet=quiet, verbose=verbose)
    if not quiet:
        for choice in found.choices:
            say(f"  chose: {choice.flag}   {choice.reason}")
        say(f"the same: {found.command}")
