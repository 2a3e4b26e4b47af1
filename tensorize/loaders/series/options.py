"""What to make of a series. Column options are those of `table`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from tensorize.columns.dates.notations import NOTATIONS
from tensorize.columns.options import ColumnOptions
from tensorize.core.options import Several, column_and, flag


class SeriesOptions(ColumnOptions):
    """Options of `series`: what the time is, and how it is cut into samples."""

    target_stays_input: ClassVar[bool] = True

    time: str | None = flag(
        None,
        "The column of times; COL:s or COL:ms since 1970, COL:index for a count of steps; date+hour for two columns, "
        "date,clock if neither is a feature.",
        "COL",
    )
    step: Several = flag(
        (),
        "The time between rows, such as 1h, 15min or 1d; 1mo, 1q, 1y or 1b (business days) [default: the most frequent one]; "
        "or any registered step: NAME:COLS.",
        "STEP",
    )
    period: str | None = flag(None, "Cut by the calendar: day, week, or a number of steps.", "day|week|N")
    fold: int | None = flag(None, "Cut by position: this many rows in a sample, whatever their times.", "N", ge=1)
    window: int | None = flag(None, "Sliding windows of this many steps.", "N", ge=1)
    horizon: int = flag(0, "Steps of the target right after each window.", "N", ge=0)
    stride: int = flag(1, "Steps from one window to the next.", "N", ge=1)
    target: Several = flag((), "What is to be predicted after each window; it stays an input.", "COLS")
    group: str | None = flag(None, "One series for each value of this column; it is no feature.", "COL")
    encode: Literal["windows", "index"] = flag(
        "windows", "Store every window, or the steps once and where each window starts; expanded on read."
    )
    gaps: Several = flag(
        ("error",),
        "Missing steps: error, drop (samples that have one), ffill, interpolate, or a VALUE; COL=POLICY for one column.",
        "POLICY",
    )
    duplicates: Literal["error", "first", "mean"] = flag("error", "A time that occurs twice: keep the first, or the mean.")
    unsorted: Literal["error", "sort"] = flag("error", "Times that go backward: sort by group, then time.")
    snap: bool = flag(
        False, "Put each row on the nearest step of --step, or on the month, quarter, year or day of the calendar it lies in."
    )
    zone: str | None = flag(None, "Times are local to this zone: windows run over true hours, periods over local days.", "NAME")

    def for_predict(self) -> Self:
        """Windows whose horizon lies beyond the end, too: they are those that one wants to know of."""
        return super().for_predict().model_copy(update={"horizon": 0})

    @property
    def column_steps(self) -> tuple[str, ...]:
        """The steps of `--step` that name columns, such as `zscore:kwh`; the rest is the time between rows."""
        return tuple(value for value in self.step if ":" in value)

    @property
    def time_step(self) -> str | None:
        """The time between rows, where it was given."""
        given = [value for value in self.step if ":" not in value]
        return given[-1] if given else None

    def key_columns(self, names: Sequence[str]) -> Sequence[str]:
        """The date column, unless its calendar parts are features; of `date,clock` both."""
        parts = {column_and(value, names)[0] for value in self.time_features}
        clock = self.clock(names)
        return [name for name in (clock if self._joined(names) else clock[:1]) if name not in parts]

    def _joined(self, names: Sequence[str]) -> bool:
        """Whether the time is that of two columns, neither of them a feature."""
        return self.time is not None and self.time not in names and "," in self.time and self._unit(names) is None

    def _unit(self, names: Sequence[str]) -> str | None:
        """`s` of `--time COL:s`."""
        if self.time is None or self.time in names:
            return None
        name, unit = column_and(self.time, names)
        return unit if name in names and unit in NOTATIONS else None

    def notation(self, column: str, names: Sequence[str]) -> str | None:
        """As `--time COL:s` says, else as `--time-format`."""
        found = super().notation(column, names)
        unit = self._unit(names)
        return unit if unit is not None and column in self.clock(names)[:1] else found

    def clock(self, names: Sequence[str]) -> tuple[str, ...]:
        """`(column,)`, or `(date, hour)`; empty if no time is named."""
        if self.time is None:
            return ()
        if self.time in names:
            return (self.time,)
        if self._unit(names) is not None:
            return (column_and(self.time, names)[0],)
        sign = "," if "," in self.time else "+"
        date, found, hour = self.time.partition(sign)
        return (date.strip(), hour.strip()) if found else (self.time,)

    def ordering(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns that rows are ordered by: those of the time, then the group."""
        return (*self.clock(names), *((self.group,) if self.group else ()))
