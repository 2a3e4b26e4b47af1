"""`tensorize plot MODEL`: the curves of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tensorize.core.units import size
from tensorize.sources.targets import check_targets

from . import flags
from .show import print_json, say
from .stdout import to_stdout

File = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="A prepared file, to draw its test scores and confusion matrix too.")
]
Out = Annotated[
    Path,
    typer.Option("-o", "--out", metavar="FILE", help="A .png, .svg or .pdf file.", rich_help_panel=flags.OUTPUT),
]


@to_stdout(out=".png")
def command(
    model: flags.Model,
    file: File = None,
    *,
    out: Out = Path("curves.png"),
    force: flags.Force = False,
    max_header: flags.MaxHeader = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Draw the losses and metrics of a training run; with a prepared file its confusion matrix too."""
    from tensorize.train import Checkpoint, evaluate
    from tensorize.train.plot import plot

    del debug, max_header, timeout
    check_targets([out], model, file)
    found = Checkpoint.load(model)
    plot(found, out, evaluation=evaluate(found, file) if file is not None else None, force=force)
    if as_json:
        print_json("plot", {"output": {"path": str(out), "bytes": out.stat().st_size}})
    elif not quiet:
        say(f"{out}   {size(out.stat().st_size)}")
