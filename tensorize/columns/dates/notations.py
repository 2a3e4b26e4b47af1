"""The ways in which dates are written: patterns of one form each, and the words and formats that name them.

A cell that can be read in one way only is read so: ISO 8601 in all forms, years, quarters and months, names of months.
Everything else needs a notation for the column: `day-first` or `month-first` where the day is not told from the month,
`s`, `ms`, `us` or `ns` for the time since 1970, `index` for a count of steps, or a format such as `%d.%m.%y`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tensorize.core.errors import UsageError

DAY_FIRST, MONTH_FIRST = "day-first", "month-first"
UNITS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1, "index": 10**9}
"""Notation of numbers → nanoseconds in one. A step of an index is held as a second."""

_NAME = r"(?P<n>[A-Za-z]{3,9})"
_CLOCK = (
    r"(?:[T, ]+(?P<h>\d{1,2})(?::?(?P<m>\d{2})(?::?(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)? ?(?P<p>[AaPp]\.?[Mm]\.?)?)?"
    r" ?(?P<z>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
)
_YEAR = r"(?P<y>\d{4})"
_WEEKDAY = r"(?:[A-Za-z]{3,9},? )?"


@dataclass(frozen=True)
class DateForm:
    """One way of writing times: a pattern with a group for each part, and what the finest part of the date is."""

    pattern: str
    finest: str = "day"


FORMS = (
    DateForm(rf"{_YEAR}[-/.](?P<M>\d{{1,2}})[-/.](?P<d>\d{{1,2}}){_CLOCK}"),
    DateForm(rf"{_YEAR}(?P<M>\d{{2}})(?P<d>\d{{2}}){_CLOCK}"),
    DateForm(rf"{_YEAR}-(?P<j>\d{{3}}){_CLOCK}"),
    DateForm(rf"{_YEAR}-?W(?P<w>\d{{2}})-?(?P<u>[1-7]){_CLOCK}"),
    DateForm(rf"{_YEAR}-?W(?P<w>\d{{2}})", "week"),
    DateForm(rf"{_YEAR}(?:[-/]?[Mm]|[-/])(?P<M>\d{{1,2}})", "month"),
    DateForm(rf"{_YEAR}[-/ ]?[Qq](?P<q>[1-4])", "quarter"),
    DateForm(rf"[Qq](?P<q>[1-4])[-/ ]?{_YEAR}", "quarter"),
    DateForm(_YEAR, "year"),
    DateForm(rf"{_WEEKDAY}(?P<d>\d{{1,2}})[-/. ]*{_NAME}\.?[-/, ]*{_YEAR}{_CLOCK}"),
    DateForm(rf"{_WEEKDAY}{_NAME}\.?[-/ ]+(?P<d>\d{{1,2}}),?[-/ ]+{_YEAR}{_CLOCK}"),
    DateForm(rf"{_YEAR}[-/ ]{_NAME}[-/ ](?P<d>\d{{1,2}}){_CLOCK}"),
    DateForm(rf"{_NAME}\.?[-/, ]+{_YEAR}|{_YEAR}[-/ ]?{_NAME}".replace("|", "$|^"), "month"),
)
ORDERED = {
    DAY_FIRST: DateForm(rf"(?P<d>\d{{1,2}})[-/.](?P<M>\d{{1,2}})[-/.]{_YEAR}{_CLOCK}"),
    MONTH_FIRST: DateForm(rf"(?P<M>\d{{1,2}})[-/.](?P<d>\d{{1,2}})[-/.]{_YEAR}{_CLOCK}"),
}
_DIRECTIVES = {
    "Y": _YEAR,
    "y": r"(?P<yy>\d{2})",
    "m": r"(?P<M>\d{1,2})",
    "d": r" ?(?P<d>\d{1,2})",
    "e": r" ?(?P<d>\d{1,2})",
    "b": _NAME,
    "B": _NAME,
    "h": _NAME,
    "j": r"(?P<j>\d{1,3})",
    "H": r"(?P<h>\d{1,2})",
    "I": r"(?P<h>\d{1,2})",
    "M": r"(?P<m>\d{1,2})",
    "S": r"(?P<s>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "p": r"(?P<p>[AaPp]\.?[Mm]\.?)",
    "z": r"(?P<z>Z|[+-]\d{2}(?::?\d{2})?)",
    "Z": r"(?P<z>Z|UTC|GMT)",
    "a": r"[A-Za-z]{2,9}",
    "A": r"[A-Za-z]{2,9}",
    "%": "%",
}
_COMPOUND = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y"}


NOTATIONS = (DAY_FIRST, MONTH_FIRST, *UNITS)
"""The words that name a notation."""


def check_notation(notation: str) -> str:
    """The notation. Raises UsageError for what is neither a known word nor a format with a date in it."""
    if notation in NOTATIONS:
        return notation
    form = form_of(notation) if "%" in notation else None
    if form is None or not re.search(r"\(\?P<(y|yy)>", form.pattern):
        raise UsageError(
            f'"{notation}" is not a format for dates',
            hint=f'give a format such as "%d.%m.%Y %H:%M", or one of {", ".join(NOTATIONS)}',
        )
    return notation


def form_of(text: str) -> DateForm:
    """A format as `strptime` takes it. Raises UsageError for a directive that is not known, or appears twice."""
    for short, whole in _COMPOUND.items():
        text = text.replace(short, whole)
    found, used = "", set[str]()
    for literal, directive in re.findall(r"([^%]+)|%(.?)", text):
        if literal:
            found += re.sub(r"\s+", r"\\s+", re.sub(r"([^\w\s])", r"\\\1", literal))
            continue
        pattern = _DIRECTIVES.get(directive)
        group = pattern and re.search(r"P<(\w+)>", pattern)
        if pattern is None or (group and group[1] in used):
            raise UsageError(
                f'--time-format "{text}": %{directive} ' + ("is not known" if pattern is None else "appears twice"),
                hint="known are " + ", ".join(f"%{name}" for name in _DIRECTIVES),
            )
        used |= {group[1]} if group else set()
        found += pattern
    return DateForm(found)


def forms_of(notation: str | None) -> tuple[DateForm, ...]:
    """The forms that a column of a notation, other than of numbers, may have."""
    if notation is None:
        return FORMS
    return (*FORMS, ORDERED[notation]) if notation in ORDERED else (form_of(notation),)
