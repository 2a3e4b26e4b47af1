"""A number as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from tensorize.core.contracts import Array, Floats
from tensorize.transforms.base import NUMERIC, Transform, floats

if TYPE_CHECKING:
    from torch import nn


class Raw(Transform):
    """The number as it is; false and true are 0 and 1.

    >>> Raw().encode(pa.array([True, False])).tolist()
    [[1.0], [0.0]]
    """

    kinds = NUMERIC
    identity = True

    def affine(self) -> tuple[float, float]:
        """Return (offset, width)."""
        return 0.0, 1.0

    def encode(self, column: pa.Array) -> Floats:
        """A column (row) without nulls → (row, channel) float64."""
        return floats(column)[:, None]

    def decode(self, values: Array) -> pa.Array:
        """(row, channel) → the column (row)."""
        return pa.array(values[:, 0])

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        from torch import nn

        return nn.Identity()
