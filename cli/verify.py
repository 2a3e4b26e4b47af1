"""`tensorize verify FILE…`: whether a prepared file is still what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import flags
from .places import placed
from .show import print_json, say

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Prepared files, or recipes saved as .json.")]


@placed
def command(
    files: Files,
    *,
    format: flags.Format = None,
    max_header: flags.MaxHeader = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Recompute the digest of prepared files: finds any byte that has changed since they were written."""
    from tensorize.api import verify

    del debug, max_header, timeout
    for file in files:
        verify(file, format)
    if as_json:
        print_json("verify", {"files": [str(file) for file in files], "intact": True})
    elif not quiet:
        for file in files:
            say(f"{file}   intact")
