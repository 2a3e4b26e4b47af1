"""Parts of a time stamp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tensorize.core.contracts import Floats
from tensorize.core.errors import UsageError, near
from tensorize.encoders.base import Encoder, floats

Part = Literal["year", "month", "day", "weekday", "dayofyear", "hour", "minute"]
DEFAULT: tuple[Part, ...] = ("month", "day", "weekday", "hour")
_FUNCTIONS: dict[str, Any] = {"weekday": pc.day_of_week, "dayofyear": pc.day_of_year}


class Calendar(Encoder):
    """Month 1…12, day 1…31, weekday 0 (Monday)…6, hour 0…23, minute 0…59, dayofyear 1…366, as they are.

    Takes a column of time stamps.
    """

    kinds = frozenset({"time"})
    params: ClassVar[tuple[str, ...]] = ("parts",)
    invertible = False

    parts: Annotated[tuple[Part, ...], Field(min_length=1)]

    @classmethod
    def learn(cls, statistic: Any, params: Mapping[str, str]) -> Self:
        del statistic
        cls.check(params)
        parts = tuple(part.strip() for part in params["parts"].split(",")) if "parts" in params else DEFAULT
        known = get_args(Part)
        for part in parts:
            if part not in known:
                raise UsageError(f'a time has no part "{part}"{near(part, known)}', hint="parts: " + ", ".join(known))
        return cls.model_validate({"parts": parts})

    def encode(self, column: pa.Array) -> Floats:
        return np.stack([floats((_FUNCTIONS.get(part) or getattr(pc, part))(column)) for part in self.parts], axis=1)

    def channels(self, column: str) -> tuple[str, ...]:
        return tuple(f"{column}.{part}" for part in self.parts)

    def describe(self) -> str:
        return "calendar parts"
