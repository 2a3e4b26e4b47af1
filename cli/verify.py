"""`tensorize verify FILE…`: whether a prepared file is still what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tensorize import registry
from tensorize.sources import missing_file

from . import flags
from .show import print_json, say

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Prepared files.")]


def command(
    files: Files,
    *,
    format: flags.Format = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Recompute the digest of prepared files: finds any byte that has changed since they were written."""
    del debug
    for file in files:
        exporter = registry.exporter_for(file, format)
        if not file.exists():
            raise missing_file(file)
        exporter.verify(file)
    if as_json:
        print_json("verify", {"files": [str(file) for file in files], "intact": True})
    elif not quiet:
        for file in files:
            say(f"{file}   intact")
