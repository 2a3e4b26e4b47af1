"""`tensorize auto SOURCE`: prepare a source as `tensorize SOURCE` proposes, and say what was chosen."""

from __future__ import annotations

from tensorize.core.errors import quoted

from . import flags
from .running import only, output_of, running, saving_words
from .show import print_json, print_result, result_body, say
from .stdout import to_stdout
from .suggest import As, Query, Sheet, Split, Table, Target, body


@to_stdout(out=".h5")
def command(
    source: flags.Source,
    *,
    target: Target = None,
    kind: As = None,
    split: Split = None,
    sheet: Sheet = None,
    table: Table = None,
    query: Query = None,
    out: flags.Out = None,
    format: flags.Format = None,
    columns: flags.Columns = False,
    tensor: flags.Tensor = None,
    pictures: flags.Pictures = None,
    force: flags.Force = False,
    max_size: flags.MaxSize = None,
    dry_run: flags.DryRun = False,
    engine: flags.Engine = "threads",
    workers: flags.Workers = None,
    threads: flags.Threads = None,
    chunk_bytes: flags.ChunkBytes = None,
    scratch: flags.Scratch = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    debug: flags.Debug = False,
) -> None:
    """Prepare a source whatever is in it. Every choice is told, and is an option of the command that is printed."""
    from tensorize.look.front import named, readable, suggest
    from tensorize.look.suggestion import attempt

    del debug, timeout
    given = flags.given({"split": split, "target": target, "sheet": sheet, "table": table, "query": query})
    saving = {"columns": columns, "tensor": tensor, "pictures": pictures}
    output = output_of(source, out, format, max_size, saving, force=force, dry_run=dry_run)
    output.check()
    how = {"engine": engine, "workers": workers, "threads": threads, "scratch": scratch}
    with running(quiet or as_json, chunk_bytes, **how) as run:
        with readable(only(source)) as kept:
            found = suggest(kept, kind=kind, run=run, check=False, **given)
            found, result = attempt(found, run, output)
        found = named(found, only(source), output.path)
    if as_json:
        print_json("auto", {**result_body(result), "suggestion": body(found)})
        return
    print_result(found.kind, result, as_json=False, quiet=quiet, verbose=verbose)
    if not quiet:
        for choice in found.choices:
            say(f"  chose: {choice.flag}   {choice.reason}")
        say("the same: " + " ".join([found.command, *map(quoted, saving_words(format, saving))]))
