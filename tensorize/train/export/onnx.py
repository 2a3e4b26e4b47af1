"""A checkpoint as one ONNX file, which needs neither torch nor this library to predict from raw data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tensorize.core.contracts import Array, Json
from tensorize.core.errors import RunError, UsageError, plural
from tensorize.storage.partfile import PartFile, exists
from tensorize.train.export.graph import Predictor
from tensorize.train.export.ports import MISSING, UNSEEN, names_of
from tensorize.train.export.trace import traced
from tensorize.train.task import Classes

if TYPE_CHECKING:
    from tensorize.train.checkpoint import Checkpoint

TOLERANCE = 1e-5
BATCHES = (1, 1000)
CHECK_BYTES = 256 << 20
"""What a batch of the check may take in float64: large pictures and vocabularies have smaller ones than `BATCHES`."""
MAX_BYTES = 2**31 - 1
"""What protobuf can hold in one file."""


@dataclass(frozen=True)
class Exported:
    """A written graph: its inputs and outputs as in `metadata_props`, and how far it is from torch.

    `difference` is the largest over the batches that were checked: of probabilities, or of numbers in units of the
    target's standard deviation (relative to the number itself where that is larger).
    """

    path: Path
    inputs: tuple[dict[str, Json], ...]
    output: dict[str, Json]
    difference: float
    batches: tuple[int, ...]
    opset: int


def export_onnx(checkpoint: Checkpoint, path: str | Path, *, module: nn.Module | None = None, force: bool = False) -> Exported:
    """Write a checkpoint's preprocessing, model and the way back as one ONNX graph, and check it against torch.

    module: the module that `fit` was handed, where the checkpoint has no model of a name.

    Raises UsageError if the file exists, for a kind of data or a step without a graph, and for a model that torch
    cannot turn into one; RunError if onnx is not installed, or the graph differs from torch by more than 1e-5.
    """
    _need_onnx()
    target = Path(path)
    if target.exists() and not force:
        raise exists(target)
    predictor = Predictor(checkpoint, module).eval()
    program = traced(predictor, predictor.before.typical(2, torch.Generator().manual_seed(0)), type(predictor.model).__name__)
    inputs, output = _described(predictor, program, checkpoint)
    data = _bytes(program)
    difference, batches = compare_with_torch(predictor, data, [port["name"] for port in inputs])
    part = PartFile(target, force=force)
    try:
        part.reserve(len(data))
        part.write(0, data)
        part.commit()
    finally:
        part.abort()
    return Exported(target, inputs, output, difference, batches, int(program.model.opset_imports[""]))


def _need_onnx() -> None:
    try:
        import onnxruntime
        import onnxscript
    except ImportError as error:
        raise RunError(f"an export needs {error.name}, which is not installed", hint='pip install "tensorize[onnx]"') from None
    del onnxruntime, onnxscript


def _described(
    predictor: Predictor, program: Any, checkpoint: Checkpoint
) -> tuple[tuple[dict[str, Json], ...], dict[str, Json]]:
    """Name the inputs and the output, and write into the graph what they are and how raw data become them."""
    graph = program.model.graph
    taken = {value.name for node in graph for value in node.outputs} | set(graph.initializers) | {predictor.output}
    names = names_of(predictor.before.ports, taken)
    for value, name in zip(graph.inputs, names, strict=True):
        value.name = name
    graph.outputs[0].name = predictor.output
    inputs = tuple(port.to_json(name) for port, name in zip(predictor.before.ports, names, strict=True))
    output = described_output(predictor)
    program.model.metadata_props.update(
        {
            "tensorize.inputs": json.dumps(inputs, ensure_ascii=False),
            "tensorize.output": json.dumps(output, ensure_ascii=False),
            "tensorize.ids": json.dumps({"unseen": UNSEEN, "missing": MISSING}),
            "tensorize.recipe": checkpoint.recipe_json,
        }
    )
    return inputs, output


def described_output(predictor: Predictor) -> dict[str, Json]:
    """What comes out: the classes in the order of the probabilities, or the targets."""
    if isinstance(predictor.task, Classes):
        said: dict[str, Json] = {"dtype": "float32", "axes": ["row", "class"], "classes": list(predictor.task.names)}
    else:
        axes = ["row", "target", "step"][: 1 + len(predictor.task.shape)]
        said = {"dtype": "float64", "axes": axes, "targets": list(predictor.task.names)}
    return {"name": predictor.output, **said}


def _bytes(program: Any) -> bytes:
    try:
        data: bytes = program.model_proto.SerializeToString()
    except ValueError as error:
        raise UsageError(f"the model does not fit one ONNX file, which holds 2 GiB: {error}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"the model takes {len(data):,} bytes, and one ONNX file holds 2 GiB")
    return data


def compare_with_torch(predictor: Predictor, data: bytes, names: Sequence[str]) -> tuple[float, tuple[int, ...]]:
    """Run the graph beside torch on batches like the train rows: the largest difference, and the sizes of the batches.

    Raises RunError if it is more than 1e-5, or one of them has no number where the other has.
    """
    draws = torch.Generator().manual_seed(0)
    one = predictor.before.typical(1, draws)
    row = 8 * max(sum(x.numel() for x in one), predictor.before(*one).numel())
    sizes = tuple(dict.fromkeys(max(1, min(size, CHECK_BYTES // row)) for size in BATCHES))
    worst = 0.0
    for size in sizes:
        given = predictor.before.typical(size, draws)
        with torch.no_grad():
            wanted = predictor(*given)
        found = run(data, dict(zip(names, given, strict=True)))
        worst = max(worst, apart(wanted, found, predictor.unit))
    if not worst <= TOLERANCE:
        raise RunError(f"the graph and torch differ by {worst:.2g}, more than {TOLERANCE:g}", hint="nothing was written")
    return worst, sizes


def run(data: bytes, given: Mapping[str, Tensor]) -> Array:
    """The output (row, …) of onnxruntime for one batch. Raises UsageError if it cannot run the graph."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        found: Array = session.run(None, {name: x.numpy() for name, x in given.items()})[0]
    except Exception as error:
        rows = len(next(iter(given.values())))
        raise UsageError(
            f"onnxruntime cannot run the graph of this model on {plural(rows, 'row')}",
            [str(error).splitlines()[0]],
            "a model that takes the number of rows for a constant, as len(x) does, is good for that number alone",
        ) from error
    return found


def apart(wanted: Tensor, found: Array, unit: Tensor) -> float:
    """The largest difference of two outputs (row, …): in `unit`s, or relative to larger numbers; infinite if NaNs differ."""
    got = torch.from_numpy(found)
    if got.shape != wanted.shape or not torch.equal(got.isnan(), wanted.isnan()):
        return float("inf")
    scale = torch.maximum(wanted.abs().double(), unit.double().expand_as(wanted))
    return float(((got.double() - wanted.double()).abs() / scale).nan_to_num().max())
