"""Columns of text as values, by rules of their own: kinds of columns, invalid rows, missing cells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas_cells import BAD, NUMBER_NA, CannotCheckError, is_number, plain
from times_anew import moments, notation_of

_DATE = re.compile(r"(\d{4}-\d{1,2}-\d{1,2}|\d{1,4}[/.]\d{1,2}[/.]\d{1,4})([T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?)?")
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
TRUE, FALSE = {"true", "yes", "t", "y", "on", "1"}, {"false", "no", "f", "n", "off", "0"}


@dataclass(frozen=True)
class Column:
    """Values (row): float64 of numbers and booleans, datetime64 of times, or text; `missing` and `bad` (row) bool."""

    name: str
    kind: str
    values: npt.NDArray[Any]
    missing: Mask
    bad: Mask

    @property
    def observed(self) -> npt.NDArray[Any]:
        return self.values[~self.missing]

    def of(self, rows: Rows) -> Column:
        """The same of some rows."""
        return Column(self.name, self.kind, self.values[rows], self.missing[rows], self.bad[rows])


def column_and(text: str, mark: str) -> tuple[str, str]:
    """`COL=REST` or `COL:REST`, where a column's name may hold the mark, too.

    >>> column_and("a=b=mode", "="), column_and("mode", "=")
    (('a=b', 'mode'), ('mode', ''))
    """
    head, found, tail = text.rpartition(mark)
    return (head, tail) if found else (text, "")


def flagged(options: Mapping[str, Any], option: str, mark: str = ":") -> dict[str, str]:
    """Column → what a flag says of it."""
    return dict(column_and(value, mark) for value in options.get(option, ()))


def policy(name: str, kind: str, options: Mapping[str, Any]) -> str:
    """What happens to the missing values of a column: that of its own, else the last one that fits its kind."""
    found = "error"
    for flag in options.get("missing", ()):
        column, own = column_and(flag, "=")
        if own:
            found = own if column == name else found
        elif flag in ("drop", "mode", "error") or (flag in ("mean", "median") or is_number(flag)) == (kind == "number"):
            found = flag
    return found


def typed(frame: pd.DataFrame, names: Sequence[str], options: Mapping[str, Any]) -> tuple[Rows, dict[str, Column]]:
    """The source rows that are kept, (row) int64, and name → Column of them."""
    ragged = (frame.isna().any(axis=1) | (frame.iloc[:, 0] == BAD)).to_numpy(dtype=bool)
    whole = frame[~ragged]
    known = {"decimal": decimal_of(whole)} | dict(options)
    columns = {name: column_of(whole[name].to_numpy(), name, known) for name in names}
    bad = np.any([np.zeros(len(whole), bool), *(column.bad for column in columns.values())], axis=0)
    if (ragged.any() or bad.any()) and options.get("on_bad") != "skip":
        raise CannotCheckError(f"{int(ragged.sum() + bad.sum())} rows are invalid")
    dropped = [column.missing for column in columns.values() if policy(column.name, column.kind, options) == "drop"]
    kept = np.flatnonzero(~np.any([bad, *dropped], axis=0))
    return np.flatnonzero(~ragged)[kept], {name: column.of(kept) for name, column in columns.items()}


def decimal_of(frame: pd.DataFrame) -> str:
    """A comma where numbers have commas before other than three digits, and none has a point."""
    cells = pd.Series([cell for name in frame for cell in pd.unique(frame[name]) if "," in cell or "." in cell], dtype=str)
    commas = cells.str.fullmatch(r"\s*[+-]?\d*,(\d{1,2}|\d{4,})\s*").any()
    return "," if commas and not cells.str.fullmatch(r"\s*[+-]?\d*\.\d+\s*").any() else "."


def column_of(cells: npt.NDArray[Any], name: str, options: Mapping[str, Any]) -> Column:
    """A column of text (row) as values of its kind."""
    more = {word for value in options.get("na", ()) for word in (value, *value.split(","))}
    places, words = pd.factorize(cells)
    if "inf" in more:
        more |= {word for word in words if word.lower().lstrip("+-") in ("inf", "infinity")}
    kind = kind_of([word for word in words if word not in more], name, options)
    never = {*more, ""} if kind == "category" else {*more, *NUMBER_NA}
    absent = np.array([word in never or (kind != "category" and word.strip() in never) for word in words])
    values = read_words(words, kind, name, options)
    values = [None if gone else value for value, gone in zip(values, absent, strict=True)]
    bad = np.array([value is None and not gone for value, gone in zip(values, absent, strict=True)])
    return Column(name, kind, _array(values, kind)[places], absent[places], bad[places])


def read_words(words: Sequence[str], kind: str, name: str, options: Mapping[str, Any]) -> list[Any]:
    """Words as values of a kind, None for what is none."""
    if kind == "time":
        return moments(words, notation_of(name, options))
    if kind == "number":
        return [_number(word, options) for word in words]
    return [_bool(word) for word in words] if kind == "bool" else list(words)


def _array(values: list[Any], kind: str) -> npt.NDArray[Any]:
    if kind == "category":
        return np.array(["" if value is None else value for value in values], dtype=object)
    if kind == "time":
        return np.array(values, dtype="datetime64[us]")
    return np.array([np.nan if value is None else value for value in values])


def kind_of(words: Sequence[str], name: str, options: Mapping[str, Any]) -> str:
    """number, bool, time or category: what a flag says, else what all distinct cells are."""
    forced, time = flagged(options, "type").get(name), options.get("time") or ""
    if forced:
        return forced
    if name in flagged(options, "time_features") or name in {time, column_and(time, ":")[0]}:
        return "time"
    present = [word.strip() for word in words if word.strip() not in NUMBER_NA]
    numbers = [word for word in present if _number(word, options) is not None]
    if any(re.match(r"[+-]?0\d+$", word) for word in numbers):
        return "category"
    most = (
        options.get("on_bad") == "skip"
        and name not in ",".join(options.get("onehot", ())).split(",")
        and len(numbers) * 2 > len(present)
    )
    if present and (len(numbers) == len(present) or most):
        return "number"
    if present and all(word.lower() in ("true", "false") for word in present):
        return "bool"
    return "time" if present and all(_DATE.fullmatch(word) for word in present) else "category"


def _number(word: str, options: Mapping[str, Any]) -> float | None:
    word = plain(word, options)
    return float(word) if is_number(word) else None


def _bool(word: str) -> float | None:
    word = word.strip().lower()
    return 1.0 if word in TRUE else 0.0 if word in FALSE else None
