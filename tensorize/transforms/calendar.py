"""Parts of a time stamp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tensorize.core.contracts import Floats
from tensorize.core.errors import UsageError, near
from tensorize.transforms.base import Transform, floats, lazy

if TYPE_CHECKING:
    from torch import Tensor, nn

Part = Literal["year", "month", "day", "weekday", "dayofyear", "hour", "minute"]
DEFAULT: tuple[Part, ...] = ("month", "day", "weekday", "hour")
SECOND = 1_000_000
DAY = 86_400 * SECOND
ERA = 146_097
"""Days in 400 years, after which the calendar repeats."""
TO_MARCH = 719_468
"""Days from 0000-03-01 to 1970-01-01: years that start in March have the leap day at their end."""
_FUNCTIONS: dict[str, Any] = {"weekday": pc.day_of_week, "dayofyear": pc.day_of_year}


class Calendar(Transform):
    """Month 1…12, day 1…31, weekday 0 (Monday)…6, hour 0…23, minute 0…59, dayofyear 1…366, as they are.

    Takes a column of time stamps.
    """

    kinds = frozenset({"time"})
    params: ClassVar[tuple[str, ...]] = ("parts",)
    invertible = False

    parts: Annotated[tuple[Part, ...], Field(min_length=1)]

    @classmethod
    def learn(cls, found: Any, params: Mapping[str, str]) -> Self:
        """Build the transform from the finished statistic and the parameters."""
        del found
        cls.check(params)
        parts = tuple(part.strip() for part in params["parts"].split(",")) if "parts" in params else DEFAULT
        known = get_args(Part)
        for part in parts:
            if part not in known:
                raise UsageError(f'a time has no part "{part}"{near(part, known)}', hint="parts: " + ", ".join(known))
        return cls.model_validate({"parts": parts})

    def encode(self, column: pa.Array) -> Floats:
        """A column (row) without nulls → (row, channel) float64."""
        return np.stack([floats((_FUNCTIONS.get(part) or getattr(pc, part))(column)) for part in self.parts], axis=1)

    def channels(self, column: str) -> tuple[str, ...]:
        """Return the names of the channels."""
        return tuple(f"{column}.{part}" for part in self.parts)

    def describe(self) -> str:
        """Return the step in a word or two."""
        return "calendar parts"

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        return module_class()(self.parts)


@lazy("CalendarParts")
def module_class() -> type[nn.Module]:
    """The step as a module, in whole numbers.

    After Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.

    >>> import torch
    >>> Calendar(parts=("year", "month", "day", "hour")).module()(torch.tensor([[951_782_400_000_000]]))
    tensor([[2000.,    2.,   29.,    0.]], dtype=torch.float64)
    """
    import torch
    from torch import nn

    class _CalendarParts(nn.Module):
        """Microseconds since 1970 (row, 1) int64, from the year 0 on → the parts (row, part) float64."""

        def __init__(self, parts: Sequence[str]) -> None:
            super().__init__()
            self.parts = tuple(parts)

        def forward(self, stamps: Tensor) -> Tensor:
            """Positive numbers and `//` throughout: torch's exporter takes `div` with a rounding mode through float32."""
            shifted = stamps[:, 0] + TO_MARCH * DAY
            days, inside = shifted // DAY, shifted % DAY
            found = self._date(days) | {
                "weekday": (days + 2) % 7,
                "hour": inside // (3600 * SECOND),
                "minute": inside // (60 * SECOND) % 60,
            }
            return torch.stack([found[part].to(torch.float64) for part in self.parts], dim=1)

        @staticmethod
        def _date(days: Tensor) -> dict[str, Tensor]:
            """Days since 0000-03-01 (row) → year, month, day and day of the year."""
            of_era = days % ERA
            of_years = of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096
            year = of_years // 365
            of_year = of_era - (365 * year + year // 4 - year // 100)
            march = (5 * of_year + 2) // 153
            january = (march >= 10).to(torch.int64)
            civil = year + days // ERA * 400 + january
            leap = ((civil % 4 == 0) & ((civil % 100 != 0) | (civil % 400 == 0))).to(torch.int64)
            return {
                "year": civil,
                "month": march + 3 - 12 * january,
                "day": of_year - (153 * march + 2) // 5 + 1,
                "dayofyear": of_year + 1 + torch.where(january == 1, -306, 59 + leap),
            }

    return _CalendarParts
