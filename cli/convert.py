"""`tensorize convert FILE OUT`: the same tensors and recipe in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tensorize.core.units import size

from . import flags
from .running import exporter_of
from .show import print_json, say, stored_bytes
from .stdout import to_stdout

File = Annotated[Path, typer.Argument(metavar="FILE", help="A prepared file.")]
Target = Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; its suffix names the format.")]


@to_stdout(target="")
def command(
    file: File,
    target: Target,
    *,
    format: flags.Format = None,
    columns: flags.Columns = False,
    tensor: flags.Tensor = None,
    pictures: flags.Pictures = None,
    force: flags.Force = False,
    max_header: flags.MaxHeader = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Write a prepared file in another format: the same tensors, the same recipe."""
    from tensorize.api import read

    del debug, max_header, timeout
    exporter = exporter_of(target, format, {"columns": columns, "tensor": tensor, "pictures": pictures})
    with read(file) as tensors:
        tensors.save(target, format=exporter, force=force)
    if as_json:
        print_json("convert", {"file": {"path": str(file)}, "output": {"path": str(target), "bytes": stored_bytes(target)}})
    elif not quiet:
        say(f"{target}   {size(stored_bytes(target))}")
