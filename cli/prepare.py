"""A command for each loader, built-in or plugged in: made from its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorize.core import registry
from tensorize.core.errors import DataError, TensorizeError, UsageError
from tensorize.core.options import Options

from . import flags
from .running import only, output_of, running, saving_words
from .show import print_result, safe
from .stdout import to_stdout


def loader_command(name: str) -> Callable[..., None]:
    """Return the command of a loader as a function with one keyword for each of its options."""
    entry = registry.table("loaders")[name]
    options: type[Options] = entry.load().Options

    def command(**values: Any) -> None:
        own = {field: values.pop(field) for field in options.fields()}
        run_loader(name, flags.given(own), **values)

    shared = list(inspect.signature(run_loader, eval_str=True).parameters.values())[2:]
    return flags.as_command(command, [shared[0], *flags.option_parameters(options), *shared[1:]], safe(entry.summary))


@to_stdout(out=".h5", rejects=".jsonl")
def run_loader(
    kind: str,
    options: dict[str, Any],
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
    rejects: flags.Rejects = None,
    engine: flags.Engine = "threads",
    workers: flags.Workers = None,
    threads: flags.Threads = None,
    chunk_bytes: flags.ChunkBytes = None,
    scratch: flags.Scratch = None,
    max_pipe: flags.MaxPipe = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    debug: flags.Debug = False,
) -> None:
    """Prepare a source and print the summary."""
    from tensorize import pipeline

    del debug, max_pipe, timeout
    saving = {"columns": columns, "tensor": tensor, "pictures": pictures}
    output = output_of(source, out, format, max_size, saving, force=force, dry_run=dry_run, rejects=rejects)
    how = {"engine": engine, "workers": workers, "threads": threads, "scratch": scratch}
    with running(quiet or as_json, chunk_bytes, **how) as run:
        try:
            result = pipeline.prepare(kind, only(source), options, run, output)
        except DataError as error:
            more = _kept({"--rejects": rejects, "--max-size": max_size}, force or _was_listed(rejects))
            more = saving_words(format, saving) + more
            raise mended(error, kind, only(source), options, out=str(output.path), more=more) from None
        except UsageError as error:
            raise signed(error, kind, only(source)) from None
    print_result(kind, result, as_json=as_json, quiet=quiet, verbose=verbose)


def signed(error: UsageError, kind: str, source: str | list[str]) -> TensorizeError:
    """The error for a folder of another kind if the error is about it, else the error itself."""
    if not error.what.startswith(f"{source} "):
        return error
    from tensorize.look.mended import folder_of_other_kind

    return folder_of_other_kind(kind, source) or error


def mended(error: DataError, kind: str, source: str | list[str], options: dict[str, Any], **more: Any) -> DataError:
    """The error with a command that works, where one is found."""
    from tensorize.look.mended import with_command

    return with_command(error, kind, source, options, **more)


def _was_listed(rejects: Path | None) -> bool:
    """Whether a failed call has left its list of rejects, which the next one replaces."""
    return rejects is not None and rejects.exists()


def _kept(flags: dict[str, Any], force: bool) -> list[str]:
    """The flags of a call that are no options of the kind."""
    return [part for flag, value in flags.items() if value is not None for part in (flag, str(value))] + ["--force"] * force
