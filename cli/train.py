"""`tensorize train FILE`: from a prepared file to a model."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorize.core.errors import plural
from tensorize.core.units import seconds, size
from tensorize.sources.targets import check_targets

from . import flags
from .show import number, print_json, print_table, safe, say
from .stdout import is_stdout, to_stdout

if TYPE_CHECKING:
    from tensorize.train import History
    from tensorize.train.parts import Shape
    from tensorize.train.task import Task

MODEL, HOW = "The model", "How to train"

File = Annotated[Path, typer.Argument(metavar="FILE", help="A prepared file.")]
Model = Annotated[
    str | None,
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
    float | None,
    typer.Option("--dropout", metavar="P", help="The share of values dropped in training.", rich_help_panel=MODEL),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any keyword of the model.", rich_help_panel=MODEL),
]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="FILE", help=r"The model. \[default: FILE-model.pt]", rich_help_panel=flags.OUTPUT),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the model that is there.", rich_help_panel=flags.OUTPUT)]


@to_stdout(out=".pt")
def run_train(
    settings: dict[str, Any],
    file: File,
    *,
    model: Model = None,
    hidden: Hidden = None,
    dropout: Dropout = None,
    set_: Set = None,
    out: Out = None,
    force: flags.Force = False,
    resume: Resume = False,
    device: flags.Device = "auto",
    threads: flags.Threads = None,
    max_header: flags.MaxHeader = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Train and print what came of it."""
    from tensorize.train import fit
    from tensorize.train.named import value_of

    from .live import live_table

    del debug, max_header, timeout
    began = time.monotonic()
    path = out or Path(f"{file.stem}-model.pt")
    check_targets([path], file)
    named = {"hidden": None if hidden is None else value_of(hidden), "dropout": dropout}
    options = _keywords(set_ or []) | {key: value for key, value in named.items() if value is not None}
    shown = live_table(quiet or as_json)
    try:
        history = fit(
            model,
            file,
            options=options,
            out=path,
            force=force,
            resume=resume,
            device=device,
            workers=threads,
            callbacks=[shown] if shown else [],
            **settings,
        )
    except KeyboardInterrupt:
        _say_what_is_kept(path)
        raise
    finally:
        if shown:
            shown.close()
    if as_json:
        print_json("train", _body(history, path, time.monotonic() - began))
    elif not quiet:
        _print(history, file, path, time.monotonic() - began)


def _keywords(parts: list[str]) -> dict[str, Any]:
    from tensorize.train.named import keywords

    return keywords(parts, "--set")


def _say_what_is_kept(path: Path) -> None:
    """After Ctrl-C: the file of the last finished epoch is whole."""
    from tensorize.train import Checkpoint

    if path.exists() and not is_stdout(path):
        done = Checkpoint.load(path)
        how = f"{path} holds epoch {len(done.epochs)} of {done.settings.epochs}; go on with the same command and --resume"
        print(safe(how), file=sys.stderr)


def _print(history: History, file: Path, path: Path, took: float) -> None:
    checkpoint, best, facts = history.checkpoint, history.best, history.facts
    rows = "   ".join(f"{name} {count:,}" for name, count in facts.rows.items())
    say(f"{file}   {rows}   rows of {_shape(checkpoint.inputs)}   {_target(checkpoint.task)}")
    settings = checkpoint.settings
    how = f"{settings.optimizer} lr {settings.lr:g} {settings.schedule}, batches of {settings.batch_size:,}"
    say(f"  {facts.model}   {facts.parameters:,} parameters   {facts.device}   {how}")
    stopped = "" if len(history) == settings.epochs else f", stopped early of {settings.epochs}"
    say(f"  {plural(len(history), 'epoch')}{stopped}   best {best.number}   loss {best.loss:.4g}")
    if best.val:
        lines = [[name, f"{value:.4g}", number(facts.trivial.get(name))] for name, value in best.val.items()]
        print_table([["val", "model", facts.trivial_is], *lines])
    for note in history.notes:
        say(f"  note: {note}")
    say(f"{path}   {size(path.stat().st_size)}   {seconds(took)}")
    if not is_stdout(path):
        say(f"next: tensorize evaluate {path} {file}")


def _shape(inputs: Shape) -> str:
    if isinstance(inputs, Mapping):
        return ", ".join(f"{name} {_shape(sizes)}" for name, sizes in inputs.items())
    return "×".join(map(str, inputs))


def _target(task: Task) -> str:
    from tensorize.train.task import Numbers, Targets

    if isinstance(task, Targets):
        return "; ".join(_target(part) for part in task.parts.values())
    if isinstance(task, Numbers):
        return plural(task.outputs, "number") + " of " + ", ".join(task.names)
    return f"{task.outputs} classes" + ("" if task.column == "class" else f" of {task.column}")


def _body(history: History, path: Path, took: float) -> dict[str, Any]:
    checkpoint, facts = history.checkpoint, history.facts
    return {
        "model": facts.model,
        "parameters": facts.parameters,
        "device": facts.device,
        "task": checkpoint.task.kind,
        "rows": dict(facts.rows),
        "settings": checkpoint.settings.model_dump(mode="json"),
        "epochs": [epoch.to_json() for epoch in history],
        "best": history.best.number,
        "trivial": dict(facts.trivial),
        "trivial_is": facts.trivial_is,
        "notes": list(history.notes),
        "output": {"path": str(path), "bytes": path.stat().st_size},
        "seconds": round(took, 3),
    }


def _command() -> Callable[..., None]:
    """The command, with a flag for each of the settings."""
    from tensorize.train.settings import Settings

    def command(**values: Any) -> None:
        own = {name: values.pop(name) for name in Settings.model_fields}
        run_train(flags.given(own), **values)

    shared = list(inspect.signature(run_train, eval_str=True).parameters.values())[1:]
    made = flags.option_parameters(Settings, HOW)
    summary = "Train a model on a prepared file: its train rows, judged by its val rows."
    return flags.as_command(command, [*shared[:5], *made, *shared[5:]], summary)


command = _command()
