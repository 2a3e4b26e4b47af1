"""The hourly bike-sharing file: a preset of `series` of 17 channels, which knows how its missing hours are filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from tensorize.core.contracts import Traits
from tensorize.core.options import Several, flag
from tensorize.loaders.series import Series
from tensorize.loaders.series.options import SeriesOptions


class BikesOptions(SeriesOptions):
    """Options of `bikes`: those of `series`, with the times known. Cut into days, unless another way is named."""

    declared_categories: ClassVar[Mapping[str, str]] = {"weathersit": "1..4"}

    time: str | None = flag("dteday+hr", "The column of times, or a date and an hour column: date+hour.", "COL")
    step: Several = flag(("1h",), "The time between rows; or any registered step: NAME:COLS.", "STEP")
    time_features: Several = flag(("dteday:day",), "The calendar parts of the date that become channels.", "COL")

    gaps: Several = flag(
        (), "Missing hours: instead of the rules of the file, error, drop, ffill, interpolate or a VALUE.", "POLICY"
    )

    def model_post_init(self, context: Any) -> None:
        """Cut into days unless another way of cutting is given."""
        del context
        if self.period is None and self.fold is None and self.window is None:
            object.__setattr__(self, "period", "day")


class Bikes(Series):
    """The rules for an hour that the file lacks: the weather of the last hour, the calendar of its own day, no bikes."""

    Options = BikesOptions
    traits: ClassVar[Traits] = replace(
        Series.traits, target_hint="prepare it again with --window 168 --horizon 24 --target cnt"
    )
    preset_gaps: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("instant", "weathersit", "temp", "atemp", "hum", "windspeed"), "ffill"),
        **dict.fromkeys(("season", "yr", "mnth", "holiday", "weekday", "workingday"), "date"),
        **dict.fromkeys(("casual", "registered", "cnt"), "0"),
    }
