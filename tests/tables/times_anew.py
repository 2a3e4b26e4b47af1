"""Dates of text as time stamps, and time stamps as a count of steps, by pandas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

UNITS = ("s", "ms", "us", "ns")
PERIODS = {"mo": "M", "q": "Q", "y": "Y"}
Times = npt.NDArray[np.datetime64]


def notation_of(name: str, options: Mapping[str, Any]) -> str:
    """How the dates of a column are written, as a flag says; empty where none does."""
    time = options.get("time") or ""
    if time.rpartition(":")[0] == name:
        return time.rpartition(":")[2]
    found = ""
    for value in options.get("time_format", ()):
        column, mark, own = value.partition("=")
        found = own if mark and column == name else found if mark else value
    return found


def moments(words: Sequence[str], notation: str) -> list[np.datetime64 | None]:
    """The times of many cells; those of one ISO form at once."""
    if not notation and all(re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?", word) for word in words):
        stamps = pd.to_datetime(pd.Series(words), format="ISO8601", errors="coerce").to_numpy().astype("datetime64[us]")
        return [None if np.isnat(stamp) else stamp for stamp in stamps]
    return [moment(word, notation) for word in words]


def moment(word: str, notation: str) -> np.datetime64 | None:
    """One cell as a time on the wall clock, in microseconds; None if it is none."""
    try:
        stamp = _stamp(word.strip(), notation)
    except (ValueError, OverflowError):
        return None
    return None if stamp is pd.NaT else np.datetime64(stamp.tz_localize(None).to_datetime64(), "us")


def _stamp(word: str, notation: str) -> pd.Timestamp:
    if notation in UNITS:
        return pd.to_datetime(float(word), unit=notation)
    if notation == "index":
        return pd.to_datetime(int(float(word)), unit="s")
    if "%" in notation:
        return pd.to_datetime(word, format=notation)
    return _year_and_part(word) or pd.to_datetime(word, dayfirst=notation == "day-first")


def _year_and_part(word: str) -> pd.Timestamp | None:
    """The first day of a year, quarter or month, None if the word is none of these."""
    year = re.search(r"\d{4}", word)
    month = re.search(r"[A-Za-z]{3,9}", word)
    if year and re.fullmatch(r"\d{4}(\.0)?", word):
        return pd.Timestamp(int(year[0]), 1, 1)
    if year and re.fullmatch(r"\d{4}[-/ ]?[Qq][1-4]|[Qq][1-4][-/ ]?\d{4}", word):
        return pd.Timestamp(int(year[0]), 3 * int(re.search(r"[Qq]([1-4])", word)[1]) - 2, 1)
    if year and re.fullmatch(r"\d{4}[Mm]\d{1,2}", word):
        return pd.Timestamp(int(year[0]), int(word[5:]), 1)
    if year and month and re.fullmatch(r"\d{4}[-/ ]?[A-Za-z]{3,9}|[A-Za-z]{3,9}\.?[-/, ]+\d{4}", word):
        return pd.to_datetime(f"1 {month[0]} {year[0]}")
    return None


def steps_of(times: Times, step: str, *, snap: bool = False) -> npt.NDArray[np.int64] | None:
    """The number of each time (row), which need not be sorted, on a grid of `step`; None if one is not on it.

    With `snap` each is put on the nearest step.
    """
    span = re.fullmatch(r"(\d+) ?(mo|q|y|b)", step)
    if span is None:
        delta, since = pd.Timedelta(step).to_timedelta64(), times - times.min()
        if snap:
            since = times - np.datetime64(0, "us") + delta // 2
            return (since // delta).astype(np.int64) - int((since // delta).min())
        return None if (since % delta).astype(int).any() else (since // delta).astype(np.int64)
    many, unit = int(span[1]), span[2]
    days = times.astype("datetime64[D]")
    if unit == "b":
        found = np.busday_count(days.min(), days)
    else:
        found = pd.PeriodIndex(days, freq=PERIODS[unit]).astype("int64").to_numpy()
    found = found - found.min()
    return None if (found % many).any() else found // many


def usual_step(times: Sequence[Times]) -> list[str]:
    """The steps that the times of each group may have, the most likely first: the most frequent distance, or the calendar."""
    distances = Counter(
        int(delta) for group in times for delta in np.diff(np.sort(group)).astype("timedelta64[us]").astype(int) if delta
    )
    if not distances:
        return []
    usual = distances.most_common(1)[0][0]
    days = {"1y": 365, "1q": 90, "1mo": 30}
    calendar = [name for name, least in days.items() if least <= usual / 86_400_000_000 <= least + 6]
    return [*calendar, f"{usual}us", "1b"]
