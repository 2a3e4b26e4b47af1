"""A `torch.utils.data.Dataset` over a TensorSet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from tensorize.tensorset import TensorSet

Sample = tuple[torch.Tensor, torch.Tensor] | tuple[torch.Tensor]


class TensorSetDataset(Dataset[Sample]):
    """Yields (input, target) of one row, or (input,) where there is no target."""

    def __init__(self, tensors: TensorSet) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return self.tensors.rows

    def __getitem__(self, row: int) -> Sample:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self.__getitems__([row % len(self)])[0]

    def __getitems__(self, rows: list[int]) -> list[Sample]:
        inputs, target = self.tensors.batch(np.asarray(rows, dtype=np.int64))
        if target is None:
            return [(item,) for item in inputs]
        return list(zip(inputs, target, strict=True))
