"""`tensorize fetch NAME`: download the public originals of the samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tensorize.core.errors import UsageError

from . import flags
from .show import print_json, say

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME…]", help="Which ones; without a name they are listed.")]
Folder = Annotated[
    Path, typer.Option("-o", "--out", metavar="DIR", help="The folder to download to.", rich_help_panel=flags.OUTPUT)
]
Mirror = Annotated[str | None, typer.Option("--mirror", metavar="URL", help="Another place that holds the same files.")]


def command(
    names: Names = None,
    *,
    folder: Folder = Path("data"),
    mirror: Mirror = None,
    force: flags.Force = False,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Download public data sets, each checked by its SHA-256."""
    from tensorize.sources.fetch import ORIGINALS, fetch

    del debug, timeout
    if str(folder) == "-":
        raise UsageError("a folder of downloads cannot go to standard output", hint="name a folder with -o")
    if not names:
        for name, original in ORIGINALS.items():
            say(f"{name:<12}  {original.summary}")
        return
    paths = [fetch(name, folder, mirror=mirror, force=force) for name in names]
    if as_json:
        print_json("fetch", {"paths": [str(path) for path in paths]})
    elif not quiet:
        for path in paths:
            say(str(path))
