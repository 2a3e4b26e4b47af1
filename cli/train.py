"""`tensorize train FILE`: from a prepared file to a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from . import flags
from .show import print_json, say

MODEL, HOW = "The model", "How to train"

File = Annotated[Path, typer.Argument(metavar="FILE", help="A prepared file.")]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A registered model (tensorize plugins), or package.module:Class.",
        rich_help_panel=MODEL,
    ),
]
Hidden = Annotated[
    str | None, typer.Option("--hidden", metavar="N,N", help="Widths of the hidden layers.", rich_help_panel=MODEL)
]
Dropout = Annotated[
    float | None, typer.Option("--dropout", metavar="P", help="How much is dropped in training.", rich_help_panel=MODEL)
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other keyword of the model.", rich_help_panel=MODEL),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", metavar="FILE", help=r"The model's file. \[default: FILE-model.pt]", rich_help_panel=flags.OUTPUT
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help=r"auto, cpu, cuda, cuda:1, mps. \[default: auto]", rich_help_panel=flags.HOW),
]


def run_train(
    settings: dict[str, Any],
    file: File,
    *,
    model: Model,
    hidden: Hidden = None,
    dropout: Dropout = None,
    set_: Set = None,
    out: Out = None,
    force: flags.Force = False,
    device: Device = "auto",
    threads: flags.Threads = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Train and print what came of it."""
    from tensorize.train import fit
    from tensorize.train.named import keywords, value_of

    del debug
    options = keywords(set_ or [], "--set")
    if hidden is not None:
        options["hidden"] = value_of(hidden)
    if dropout is not None:
        options["dropout"] = dropout
    path = out or Path(f"{file.stem}-model.pt")
    history = fit(model, file, options=options, out=path, force=force, device=device, workers=threads, **settings)
    if as_json:
        print_json("train", {"epochs": [epoch.to_json() for epoch in history], "output": {"path": str(path)}})
        return
    if not quiet:
        for note in history.notes:
            say(f"  note: {note}")
        best = history.best
        said = "".join(f"   val {name} {value:.4g}" for name, value in best.val.items())
        say(f"  epoch {best.number} of {len(history)}   loss {best.loss:.4g}{said}")
        say(f"{path}")


def _command() -> Callable[..., None]:
    """The command, with a flag for each of the settings."""
    from tensorize.train.settings import Settings

    def command(**values: Any) -> None:
        own = {name: values.pop(name) for name in Settings.model_fields}
        run_train(flags.given(own), **values)

    shared = list(inspect.signature(run_train, eval_str=True).parameters.values())[1:]
    made = [item.replace(annotation=item.annotation) for item in flags.option_parameters(Settings)]
    parameters = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in (shared[0], *made, *shared[1:])]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    command.__doc__ = "Train a model on a prepared file: its train rows, judged by its val rows."
    return command


command = _command()
