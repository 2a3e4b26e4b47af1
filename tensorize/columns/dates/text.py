"""The text of a date column as ISO 8601, and as time stamps, for tables and series alike. See `notations`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.dates.notations import ORDERED, UNITS, DateForm, form_of, forms_of
from tensorize.core.contracts import Mask
from tensorize.core.errors import DataError, shown, some

Times = npt.NDArray[np.int64]

STAMP, ZONED = pa.timestamp("us"), pa.timestamp("us", "UTC")
DAY = 86_400_000_000
SECOND = 1_000_000

# cells --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReadCells:
    """What was read of cells (cell): the time on the wall clock in microseconds, and whether it could be read.

    `zone` is the offset from UTC as it is written, null where none is; `form` the number of the form, −1 for none.
    """

    wall: Times
    ok: Mask
    zone: pa.Array
    form: npt.NDArray[np.int64]


def read_cells(cells: pa.Array, forms: Sequence[DateForm]) -> ReadCells:
    """Read text (cell), each cell by the first form that it has."""
    wall, form = np.zeros(len(cells), dtype=np.int64), np.full(len(cells), -1, dtype=np.int64)
    zone = np.full(len(cells), None, dtype=object)
    left = np.flatnonzero(cells.is_valid().to_numpy(zero_copy_only=False))
    trimmed = pc.utf8_trim_whitespace(cells)
    for number, one in enumerate(forms):
        if not len(left):
            break
        for pattern in _patterns(one):
            parts = pc.extract_regex(trimmed.take(pa.array(left)), f"^{pattern}$")
            hit = parts.is_valid().to_numpy(zero_copy_only=False)
            if hit.any():
                times, valid, zones = _times(parts.filter(pa.array(hit)))
                at = left[hit][valid]
                wall[at], zone[at], form[at] = times[valid], zones[valid], number
                left = np.setdiff1d(left, at, assume_unique=True)
    return ReadCells(wall, form >= 0, pa.array(zone, pa.string()), form)


def _patterns(form: DateForm) -> list[str]:
    """The alternatives of a form: a group can have a name once."""
    return form.pattern.split("$|^")


def _times(parts: pa.StructArray) -> tuple[Times, Mask, npt.NDArray[Any]]:
    """The parts of times (cell) as microseconds, whether there is such a time, and the offset that is written."""
    names = {field.name for field in parts.type}

    def number(name: str, default: int) -> Times:
        if name not in names:
            return np.full(len(parts), default, dtype=np.int64)
        text = pc.struct_field(parts, name)
        whole = pc.cast(pc.if_else(pc.equal(text, ""), str(default), text), pa.int64())
        values: Times = whole.to_numpy(zero_copy_only=False)
        return values

    def word(name: str) -> list[str]:
        return pc.utf8_lower(pc.struct_field(parts, name)).to_pylist() if name in names else [""] * len(parts)

    year = number("y", 0)
    if "yy" in names:
        short = number("yy", 0)
        year = short + np.where(short < 69, 2000, 1900)
    month = (number("q", 1) - 1) * 3 + 1 if "q" in names else number("M", 1)
    known = np.ones(len(parts), dtype=bool)
    if "n" in names:
        found = [_month(name) for name in word("n")]
        month = np.array(found)
        known = month > 0
    days, real = _days(year, month, number, names)
    hour, minute, second = number("h", 0), number("m", 0), number("s", 0)
    if "p" in names:
        half = np.array([name[:1] for name in word("p")])
        real &= (half == "") | ((hour >= 1) & (hour <= 12))
        hour = np.where(half == "", hour, hour % 12 + np.where(half == "p", 12, 0))
    midnight = (hour == 24) & (minute == 0) & (second == 0)
    real &= ((hour < 24) | midnight) & (minute < 60) & (second < 60) & known
    micros = _fraction(parts, names)
    wall = days * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + micros
    zones = np.array([_offset(text) for text in word("z")], dtype=object)
    written: npt.NDArray[Any] = np.array([text or None for text in zones], dtype=object)
    return wall, real & (zones != "?"), written


def _days(year: Times, month: Times, number: Any, names: set[str]) -> tuple[Times, Mask]:
    """Days since 1970 (cell), and whether there is such a day."""
    if "w" in names:
        week, weekday = number("w", 1), number("u", 1)
        fourth = _first_of(year, np.ones_like(year)) + 3
        days = fourth - (fourth + 3) % 7 + (week - 1) * 7 + weekday - 1
        next_year = _first_of(year + 1, np.ones_like(year)) + 3
        return days, (week >= 1) & (days < next_year - (next_year + 3) % 7)
    if "j" in names:
        day = number("j", 1)
        first = _first_of(year, np.ones_like(year))
        return first + day - 1, (day >= 1) & (first + day - 1 < _first_of(year + 1, np.ones_like(year)))
    day = number("d", 1)
    is_month = (month >= 1) & (month <= 12)
    safe = np.where(is_month, month, 1)
    first = _first_of(year, safe)
    last = _first_of(year + safe // 12, safe % 12 + 1)
    return first + day - 1, is_month & (day >= 1) & (first + day - 1 < last)


def _first_of(year: Times, month: Times) -> Times:
    """The first of some months, in days since 1970."""
    return first_days((year - 1970) * 12 + month - 1)


def first_days(months: Times) -> Times:
    """The first days of some months since 1970 (month), in days since 1970."""
    days: Times = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days


_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


def _month(name: str) -> int:
    """1 to 12 for an English name of a month, or at least three letters of it; 0 for no month."""
    return next((place for place, known in enumerate(_MONTHS, 1) if known.startswith(name) or name == f"{known[:3]}t"), 0)


def _fraction(parts: pa.StructArray, names: set[str]) -> Times:
    if "f" not in names:
        return np.zeros(len(parts), dtype=np.int64)
    text = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(parts, "f"), 9, "0"), 0, 6)
    micros: Times = pc.cast(text, pa.int64()).to_numpy(zero_copy_only=False)
    return micros


def _offset(text: str) -> str:
    """`Z` or `+01:00` for what is written, `?` for what is no offset."""
    if text in ("", "z", "utc", "gmt"):
        return "Z" if text else ""
    digits = text[1:].replace(":", "").ljust(4, "0")
    return f"{text[0]}{digits[:2]}:{digits[2:]}" if int(digits[:2]) < 24 and int(digits[2:]) < 60 else "?"


_NUMBER = r"^(?P<sign>[+-]?)(?P<whole>\d{1,19})(?:\.(?P<part>\d*))?$"
_FARTHEST = 2**62
"""Microseconds to 148,000 years from now."""


def _counted(cells: pa.Array, unit: str) -> ReadCells:
    """Numbers of a unit since 1970, exactly; what is finer than a microsecond is cut off."""
    cells = pc.utf8_trim_whitespace(cells)
    whole = _whole(cells, unit)
    if whole is not None:
        return ReadCells(
            whole, np.ones(len(cells), dtype=bool), pa.nulls(len(cells), pa.string()), np.zeros(len(cells), np.int64)
        )
    parts = pc.extract_regex(cells, _NUMBER)
    numbers = parts.is_valid().to_numpy(zero_copy_only=False)
    wall, ok = np.zeros(len(cells), dtype=np.int64), numbers.copy()
    found = [_micros(cell, unit) for cell in parts.filter(pa.array(numbers)).to_pylist()]
    inside = np.array([abs(value) < _FARTHEST for value in found], dtype=bool)
    ok[numbers] = inside
    wall[ok] = [value for value, good in zip(found, inside.tolist(), strict=True) if good]
    return ReadCells(wall, ok, pa.nulls(len(cells), pa.string()), np.where(ok, 0, -1))


def _whole(cells: pa.Array, unit: str) -> Times | None:
    """Integers of a unit in microseconds; None where a cell is no integer, or far away."""
    try:
        count: Times = pc.cast(cells, pa.int64()).to_numpy(zero_copy_only=not cells.null_count)
    except pa.ArrowInvalid:
        return None
    if cells.null_count or (np.abs(count) >= _FARTHEST * 1000 // UNITS[unit]).any():
        return None
    return count * (UNITS[unit] // 1000) if UNITS[unit] >= 1000 else count // 1000


def _micros(cell: Mapping[str, str], unit: str) -> int:
    """A number, taken apart, in microseconds."""
    nanos = int(cell["whole"] + cell["part"][:9].ljust(9, "0")) * UNITS[unit] // 1_000_000_000
    return -nanos // 1000 if cell["sign"] == "-" else nanos // 1000


def to_iso(cells: pa.Array, notation: str | None) -> pa.Array:
    """Text (row) in a notation → ISO 8601 text, such as 2011-01-31 13:00:00+01:00; what cannot be read stays as it is."""
    if notation is None and is_iso(cells):
        return cells
    encoded = cells.dictionary_encode()
    words = encoded.dictionary
    found = _by_notation(words, notation)
    seconds = pc.cast(pa.array(found.wall // SECOND), pa.timestamp("s"))
    plain = pc.cast(seconds, pa.string())
    micros = found.wall % SECOND
    if micros.any():
        fine = pc.cast(pa.array(found.wall), STAMP).cast(pa.string())
        plain = pc.if_else(pa.array(micros != 0), fine, plain)
    text = pc.binary_join_element_wise(plain, pc.fill_null(found.zone, ""), "")
    return pc.if_else(pa.array(found.ok), text, words).take(encoded.indices)


def _by_notation(words: pa.Array, notation: str | None) -> ReadCells:
    if notation in UNITS:
        return _counted(words, str(notation))
    return read_cells(words, forms_of(notation))


def is_iso(cells: pa.Array) -> bool:
    """Whether Arrow reads all cells: dates and times in ISO 8601, all with an offset from UTC or none."""
    for kind in (STAMP, ZONED):
        try:
            pc.cast(cells, kind)
        except pa.ArrowInvalid:
            continue
        return True
    return False


# time stamps --------------------------------------------------------------------------------------------------------

_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?)$"


def to_times(cells: pa.Array, column: str) -> pa.Array:
    """ISO text (row) → timestamp[us] (row) as the wall clock shows it, whatever the zone; null where missing.

    Raises DataError for cells that are not ISO dates.
    """
    try:
        return pc.cast(cells, STAMP)
    except pa.ArrowInvalid:
        pass
    try:
        pc.cast(cells, ZONED)  # a zone that is none is not cut off
        return pc.cast(pc.replace_substring_regex(cells, _ZONE, ""), STAMP)
    except pa.ArrowInvalid:
        return _mixed(cells, column)


def _mixed(cells: pa.Array, column: str) -> pa.Array:
    """Cells with and without a zone."""
    bad = unreadable(cells)
    if bad:
        raise not_dates(column, bad)
    is_dated = pc.match_substring_regex(cells, r"\d:\d")
    return pc.cast(pc.if_else(is_dated, pc.replace_substring_regex(cells, _ZONE, ""), cells), STAMP)


def to_instants(cells: pa.Array, column: str) -> pa.Array:
    """ISO text (row) → timestamp[us] (row): with an offset in UTC, else as written. Raises DataError as `to_times` does."""
    try:
        return pc.cast(pc.cast(cells, ZONED), STAMP)
    except pa.ArrowInvalid:
        return to_times(cells, column)


def unreadable(cells: pa.Array) -> list[str]:
    """The different cells that are not ISO dates, in the order in which they come."""
    words = pc.unique(cells).drop_null()
    found: list[str] = words.take(pa.array(_places(words), pa.int64())).to_pylist()
    return found


def _places(cells: pa.Array, start: int = 0) -> list[int]:
    """The cells that cannot be read, counted from `start`: what cannot be read is halved until it is one cell."""
    if is_iso(cells):
        return []
    half = len(cells) // 2
    return [*_places(cells[:half], start), *_places(cells[half:], start + half)] if half else [start]


def not_dates(column: str, bad: Sequence[str]) -> DataError:
    """The error for cells that are not dates in any form that is sure."""
    return DataError(
        f'column "{column}" has cells that are not unambiguous dates',
        some([shown(cell) for cell in bad]),
        way_out(column, bad),
        {"time_format": [f"{column}={guess}"]} if (guess := guessed(bad)) else {"drop": [column]},
    )


def way_out(column: str, bad: Sequence[str]) -> str:
    """What to say about cells that cannot be read: a notation that reads the first of them."""
    orders = [name for name, form in ORDERED.items() if bad and read_cells(pa.array([bad[0].strip()]), (form,)).ok[0]]
    if orders:
        return "say how they are written: " + " or ".join(f'--time-format "{column}={name}"' for name in orders)
    guess = guessed(bad)
    if guess is None:
        return "write dates as 2011-01-31 or 2011-01-31 13:00:00"
    return f'say how they are written: --time-format "{column}={guess}"'


def guessed(bad: Sequence[str]) -> str | None:
    """A notation that reads the first of some cells; None where none comes to mind."""
    return next((found for cell in bad[:8] if (found := _guess(cell))), None)


def _guess(cell: str) -> str | None:
    """A notation that reads a cell; None where none comes to mind."""
    text = cell.strip()
    if re.fullmatch(r"[+-]?\d+(\.\d*)?", text):
        return unit_of(text)
    tries = ("%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d", "%d{0}%b{0}%y", "%b{0}%y")
    marks = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
    for date in tries:
        for sign in "/.- ":
            for clock in marks:
                notation = date.format(sign) + clock
                if read_cells(pa.array([text]), (form_of(notation),)).ok[0]:
                    return notation
    return None


def unit_of(number: str) -> str | None:
    """The unit in which a number since 1970 is a time between 1990 and 2100; `index` for a small one; None for none."""
    digits = number.lstrip("+-").partition(".")[0]
    if re.fullmatch(r"(19|20)\d{2}(0[1-9]|1[0-2])", number):
        return "%Y%m"
    if len(digits) <= 7:
        return "index"
    return {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}.get(len(digits))


# the time of day ----------------------------------------------------------------------------------------------------


def to_time_of_day(cells: pa.Array) -> tuple[Times, Mask]:
    """Text such as 13:15, 1:15 PM or 7 (row) → microseconds since midnight, and whether it is a time of day."""
    encoded = cells.dictionary_encode()
    pattern = r"(?P<h>\d{1,2})(?::(?P<m>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)? ?(?P<p>[AaPp]\.?[Mm]\.?)?"
    found = read_cells(encoded.dictionary, (DateForm(pattern),))
    places = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    midnight = int(_first_of(np.zeros(1, np.int64), np.ones(1, np.int64))[0]) * DAY
    wall, ok = np.append(found.wall - midnight, 0), np.append(found.ok, False)
    return wall[places], ok[places]
