"""A trained model as an ONNX file whose preprocessing is inside the graph.

ports     the inputs          cells, columns, calendar, pixels   the recipe's steps as modules
graph     all of it as one    trace                              module → ONNX
onnx      written, described, and checked against torch
"""

from tensorize.train.export.onnx import Exported, export_onnx

__all__ = ["Exported", "export_onnx"]
