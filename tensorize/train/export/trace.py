"""From a module to an ONNX program, quietly."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tensorize.core.errors import UsageError


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter says about itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def traced(module: nn.Module, examples: tuple[Tensor, ...], name: str) -> Any:
    """The graph of a module whose `forward(*given)` takes tensors (row, …), for any number of rows.

    Raises UsageError for a model, called by its `name`, that torch cannot turn into one.
    """
    rows = torch.export.Dim("row")
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module, examples, dynamo=True, dynamic_shapes={"given": tuple({0: rows} for _ in examples)}, verbose=False
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        cause = error.__cause__ or error
        raise UsageError(
            f"torch cannot make a graph of {name}: {str(cause).strip().splitlines()[0]}",
            hint="control flow that depends on the values of the data has no graph; --debug shows where",
        ) from error
    assert program is not None
    _forget(program.model.graph)
    return program


def _forget(graph: Any) -> None:
    """Drop what torch notes of how the graph came about: stack traces, with the paths of this machine in them."""
    graph.metadata_props.clear()
    values = [*graph.inputs, *graph.initializers.values()]
    for node in graph:
        node.metadata_props.clear()
        values += node.outputs
    for value in values:
        value.metadata_props.clear()
