"""Parts of a time stamp, in integers: what the encoder `calendar` gives, as a module for a graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SECOND = 1_000_000
DAY = 86_400 * SECOND
ERA = 146_097
"""Days in 400 years, after which the calendar repeats."""
TO_MARCH = 719_468
"""Days from 0000-03-01 to 1970-01-01: years that start in March have the leap day at their end."""


class CalendarParts(nn.Module):
    """Microseconds since 1970 (row) int64, from the year 0 on → the parts (row, part) float64.

    After Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.

    >>> CalendarParts(["year", "month", "day", "hour"])(torch.tensor([951_782_400_000_000]))
    tensor([[2000.,    2.,   29.,    0.]], dtype=torch.float64)
    """

    def __init__(self, parts: Sequence[str]) -> None:
        super().__init__()
        self.parts = tuple(parts)

    def forward(self, stamps: Tensor) -> Tensor:
        """Positive numbers and `//` throughout: torch's exporter takes `div` with a rounding mode through float32."""
        shifted = stamps + TO_MARCH * DAY
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
