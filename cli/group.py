"""`tensorize` itself: a group whose commands are imported when they are called.

Names and summaries come from tables, so that `--help` and completion import no loader.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from tensorize.core import registry
from tensorize.core.errors import near
from tensorize.core.version import __version__

from .show import safe
from .text import fitting

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

COMMANDS = {
    "suggest": "Say what a source is and what is in it, and propose the command that prepares it.",
    "auto": "Prepare a source whatever is in it, and say what was chosen.",
    "apply": "Do what a recipe says to new data.",
    "inspect": "Show what is in a prepared file.",
    "convert": "Write a prepared file in another format.",
    "verify": "Find out whether a prepared file has changed.",
    "train": "Train a model on a prepared file.",
    "evaluate": "Judge a model by rows that it has not seen.",
    "predict": "Predict from raw data.",
    "export": "Write a trained model as an ONNX file that takes raw data.",
    "plot": "Draw the curves of a training run.",
    "fetch": "Download the public sample data.",
    "plugins": "List what there is: loaders, transforms, exporters, models, engines.",
}
"""Command → summary; each is `cli/NAME.py` with a function `command`. Loaders come before them, from the registry."""


class Commands(TyperGroup):
    """The group: `tensorize COMMAND`."""

    def get_help(self, ctx: Any) -> str:
        """The help, in what standard output can show."""
        return fitting(super().get_help(ctx), sys.stdout)

    def list_commands(self, ctx: Any) -> list[str]:
        """Loaders first, then what works on prepared files. A plug-in whose name a terminal would obey is no command."""
        return [*filter(str.isprintable, registry.table("loaders")), *COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by name and summary alone, for help and completion."""
        loaders = registry.table("loaders")
        summary = loaders[cmd_name].summary if cmd_name in loaders else COMMANDS.get(cmd_name)
        return None if summary is None else TyperCommand(cmd_name, help=safe(summary), rich_markup_mode=None)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the command that is called; a source without a command is looked at; name the near one where there is none."""
        known = self.list_commands(ctx)
        if args[0] not in known and _is_source(args[0]):
            args = ["suggest", *args]
        name = args[0]
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f'there is no command "{name}"{near(name, known)}')
        name_, found, rest = super().resolve_command(ctx, args)
        return name_, found if found is None else load_command(name), rest


def _is_source(name: str) -> bool:
    """Whether a word is something to read: a command's name has no dot and no slash."""
    return name == "-" or os.path.exists(name) or (not name.startswith("-") and any(sign in name for sign in "./*?"))


def load_command(name: str) -> Any:
    """Import one command: a loader's is made from its options, the others have a file each."""
    if name in COMMANDS:
        command = import_module(f"{__package__}.{name}").command
    else:
        from .prepare import loader_command

        command = loader_command(name)
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=SETTINGS)
    app.command(name, context_settings=SETTINGS)(command)
    found = typer.main.get_command(app)
    found.name = name
    return found


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tensorize {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")]


def root() -> Any:
    """The command `tensorize`, ready to be called."""
    app = typer.Typer(
        cls=Commands,
        help="Raw data to training-ready tensors, in one command.",
        epilog="Example: tensorize wine winequality-white.csv --onehot quality -o wine.h5",
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings=SETTINGS,
        subcommand_metavar="COMMAND|SOURCE [ARGS]…",
    )

    @app.callback()
    def tensorize(version: Version = False) -> None:
        del version

    return typer.main.get_command(app)
