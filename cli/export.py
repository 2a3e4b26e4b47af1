"""`tensorize export MODEL OUT`: a trained model as an ONNX file that takes raw data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tensorize.core.errors import UsageError
from tensorize.core.units import size
from tensorize.sources.targets import check_targets

from . import flags
from .show import print_json, say
from .stdout import to_stdout

if TYPE_CHECKING:
    from tensorize.train.export import Exported

Target = Annotated[Path, typer.Argument(metavar="OUT", help="The .onnx file to write.")]


@to_stdout(target=".onnx")
def command(
    model: flags.Model,
    target: Target,
    *,
    force: flags.Force = False,
    max_header: flags.MaxHeader = None,
    timeout: flags.Timeout = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Write a trained model as one ONNX graph: raw columns or pixels in, predictions in original units out.

    The recipe's preprocessing is inside the graph. It is run by onnxruntime beside torch before it is written.
    """
    from tensorize.train import Checkpoint
    from tensorize.train.export import export_onnx

    del debug, max_header, timeout
    check_targets([target], model)
    if target.suffix.lower() != ".onnx":
        raise UsageError(f"{target} is no .onnx file", hint=f"say {target.with_suffix('.onnx')}")
    made = export_onnx(Checkpoint.load(model), target, force=force)
    if as_json:
        print_json("export", _body(model, made))
    elif not quiet:
        _print(made)


def _print(made: Exported) -> None:
    for port in made.inputs:
        known = port.get("columns") or port.get("vocabulary") or []
        shown = ", ".join(map(str, known[:6])) + (f" … {len(known)} in all" if len(known) > 6 else "")
        say(f"  in   {port['name']}  {port['dtype']}  ({', '.join(port['axes'])})  {shown}".rstrip())
    output = made.output
    known = output.get("classes") or output.get("targets") or []
    say(f"  out  {output['name']}  {output['dtype']}  ({', '.join(output['axes'])})  {', '.join(known)}")
    rows = " and ".join(f"{batch:,}" for batch in made.batches)
    say(f"  checked with onnxruntime: batches of {rows}, largest difference from torch {made.difference:.1e}")
    say(f"{made.path}   {size(made.path.stat().st_size)}")


def _body(model: Path, made: Exported) -> dict[str, object]:
    return {
        "model": {"path": str(model)},
        "inputs": list(made.inputs),
        "output": made.output | {"path": str(made.path), "bytes": made.path.stat().st_size},
        "check": {"difference": made.difference, "batches": list(made.batches)},
        "opset": made.opset,
    }
