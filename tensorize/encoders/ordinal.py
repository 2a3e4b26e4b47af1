"""Ranks in a declared order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from tensorize.core.contracts import Array, Floats, Mask
from tensorize.core.errors import UsageError
from tensorize.encoders.base import Encoder


class Ordinal(Encoder):
    """0 for the lowest, 1 for the next. Declared, never learned.

    >>> Ordinal(order=("bad", "ok", "good")).encode(pa.array(["good", "bad"])).tolist()
    [[2.0], [0.0]]
    """

    kinds = frozenset({"category"})
    params: ClassVar[tuple[str, ...]] = ("order",)

    order: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("order")
    @classmethod
    def _distinct(cls, order: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(order)) < len(order):
            raise ValueError("a value stands twice in the order")
        return order

    @classmethod
    def learn(cls, statistic: Any, params: Mapping[str, str]) -> Self:
        del statistic
        cls.check(params)
        order = tuple(part.strip() for part in params.get("order", "").split("<"))
        if len(order) < 2 or len(set(order)) < len(order):
            raise UsageError(
                f"an order is wanted, got {params.get('order', '')!r}", hint="write it as --ordinal 'COL:bad<ok<good'"
            )
        return cls(order=order)

    def _ranks(self, column: pa.Array) -> Floats:
        """(row) float64, −1 where a value is not in the order."""
        found = pc.fill_null(pc.index_in(column, value_set=pa.array(self.order)), -1)
        ranks: Floats = found.to_numpy(zero_copy_only=False).astype(np.float64)
        return ranks

    def encode(self, column: pa.Array) -> Floats:
        return self._ranks(column)[:, None]

    def decode(self, values: Array) -> pa.Array:
        ranks = np.clip(np.rint(values[:, 0]), 0, len(self.order) - 1).astype(np.int64)
        return pa.array(self.order).take(pa.array(ranks))

    def unseen(self, column: pa.Array) -> Mask:
        mask: Mask = self._ranks(column) < 0
        return mask
