"""`--where`: a condition on the rows, parsed and never evaluated as code.

    condition   = term {"or" term}
    term        = factor {"and" factor}
    factor      = "not" factor | "(" condition ")" | COLUMN test
    test        = ("=" | "==" | "!=" | "<" | "<=" | ">" | ">=") VALUE | "in" "(" VALUE {"," VALUE} ")" | "is" ["not"] "missing"

A column with spaces is written as it is, or in back quotes; a value is a number, a word, a date, or quoted text. A missing
value fulfils no comparison. A column that is compared with a date by its size is read as dates, in any notation; the date
itself is ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.dates.text import to_instants
from tensorize.core.contracts import Mask
from tensorize.core.errors import DataError, UsageError, near
from tensorize.core.schema import POINTED, Column, Schema

Test = Callable[[pa.RecordBatch], Any]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": pc.equal,
    "=": pc.equal,
    "!=": pc.not_equal,
    "<=": pc.less_equal,
    "<": pc.less,
    ">=": pc.greater_equal,
    ">": pc.greater,
}
_OPERATOR = re.compile(r"\s*(==|=|!=|<=|<|>=|>)")
_CLOCK = r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
_DATE = re.compile(rf"\d{{4}}-\d\d(?:-\d\d(?:[T ]{_CLOCK})?)?")
_VALUE = re.compile(rf"""\s*("([^"]*)"|'([^']*)'|\d{{4}}-\d\d-\d\d {_CLOCK}|[^\s()<>=!,"'`]+)""")


class Where:
    """A parsed condition. `Where("quality > 3", schema)(batch)` is (row) bool.

    Raises UsageError, with the place, for what cannot be parsed, an unknown column and a value that does not fit.
    """

    def __init__(self, text: str, schema: Schema) -> None:
        self._text, self._schema, self._at = text, schema, 0
        self.columns: list[str] = []
        self.dated: list[str] = []
        """Columns that are compared with a date by their size: they are read as dates."""
        self._test = self._condition()
        if self._text[self._at :].strip():
            raise self._wrong("and, or, or the end")

    def __reduce__(self) -> tuple[type[Where], tuple[str, Schema]]:
        """Parsed again in another process."""
        return Where, (self._text, self._schema)

    def __call__(self, batch: pa.RecordBatch) -> Mask:
        kept: Mask = pc.fill_null(self._test(batch), False).to_numpy(zero_copy_only=False)
        return kept

    def _condition(self) -> Test:
        tests = [self._term()]
        while self._word("or"):
            tests.append(self._term())
        return _joined(tests, pc.or_)

    def _term(self) -> Test:
        tests = [self._factor()]
        while self._word("and"):
            tests.append(self._factor())
        return _joined(tests, pc.and_)

    def _factor(self) -> Test:
        if self._word("not"):
            inner = self._factor()
            return lambda batch: pc.invert(pc.fill_null(inner(batch), False))
        if self._sign("("):
            test = self._condition()
            self._expect(")")
            return test
        return self._comparison(self._column())

    def _comparison(self, name: str) -> Test:
        if self._word("is"):
            present = self._word("not")
            if not self._word("missing"):
                raise self._wrong("missing")
            return lambda batch: (pc.is_valid if present else pc.is_null)(batch.column(name))
        if self._word("in"):
            self._expect("(")
            values = [self._value(name)]
            while self._sign(","):
                values.append(self._value(name))
            self._expect(")")
            return _joined([_compared(name, pc.equal, value) for value in values], pc.or_)
        match = _OPERATOR.match(self._text, self._at)
        if not match:
            raise self._wrong("a comparison such as > or ==")
        self._at = match.end()
        value = self._value(name)
        if match[1] in ("<", "<=", ">", ">=") and isinstance(value, str) and _DATE.fullmatch(value):
            self.dated.append(name)
        return _compared(name, _COMPARE[match[1]], value)

    def _column(self) -> str:
        """The longest column name at this position."""
        rest = self._text[self._at :].lstrip()
        for name in sorted(self._schema.names, key=len, reverse=True):
            for written in (f"`{name}`", name):
                after = rest[len(written) : len(written) + 1]
                if rest.startswith(written) and not (after.isalnum() or after == "_"):
                    self._at = len(self._text) - len(rest) + len(written)
                    self.columns.append(name)
                    return name
        word = re.match(r"`[^`]*`|[^\s<>=!()]*", rest)
        said = word[0].strip("`") if word else ""
        raise UsageError(
            f'--where: there is no column "{said}"{near(said, self._schema.names)}',
            hint="columns: " + ", ".join(self._schema.names),
        )

    def _value(self, name: str) -> Any:
        match = _VALUE.match(self._text, self._at)
        if not match:
            raise self._wrong("a value")
        self._at = match.end()
        text = next(part for part in (match[2], match[3], match[1]) if part is not None)
        return self._typed(name, text)

    def _typed(self, name: str, text: str) -> Any:
        storage = self._schema[name].storage
        if self._schema[name].kind == "time":
            return self._moment(name, text)
        if storage == "string":
            return text
        if storage == "bool":
            if text.lower() in ("true", "false", "1", "0"):
                return text.lower() in ("true", "1")
        elif POINTED.fullmatch(text):
            return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
        kind = self._schema[name].kind
        raise UsageError(f'--where: "{name}" is a {kind}; {text!r} is none')

    def _moment(self, name: str, text: str) -> pa.Scalar:
        """A date as timestamp[us]. Raises UsageError for what is not ISO 8601."""
        try:
            return to_instants(pa.array([text]), name)[0]
        except DataError:
            raise UsageError(
                f'--where: "{name}" holds dates, and {text!r} is not one', hint="write dates as 2024-01-31 or 2024-01-31 12:00"
            ) from None

    def _word(self, word: str) -> bool:
        match = re.compile(rf"\s*{word}\b", re.IGNORECASE).match(self._text, self._at)
        self._at = match.end() if match else self._at
        return match is not None

    def _sign(self, sign: str) -> bool:
        rest = self._text[self._at :].lstrip()
        if rest.startswith(sign):
            self._at = len(self._text) - len(rest) + len(sign)
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._sign(sign):
            raise self._wrong(f'"{sign}"')

    def _wrong(self, expected: str) -> UsageError:
        seen = self._text[self._at :].strip() or "the end"
        return UsageError(
            f"--where {self._text!r}: expected {expected}, got {seen!r}",
            hint='such as: --where "quality > 3 and (color == red or pH is missing)"',
        )


def where_columns(text: str | None, names: Sequence[str]) -> list[str]:
    """The columns that a condition asks for, before their kinds are known."""
    return [] if text is None else _unknown(text, names).columns


def dated_columns(text: str | None, names: Sequence[str]) -> list[str]:
    """The columns that a condition compares with dates, before their kinds are known."""
    return [] if text is None else _unknown(text, names).dated


def _unknown(text: str, names: Sequence[str]) -> Where:
    """A condition on columns whose kinds are not known."""
    return Where(text, Schema(columns=tuple(Column(name=name, kind="category", storage="string") for name in names)))


def _compared(name: str, compare: Callable[[Any, Any], Any], value: Any) -> Test:
    if isinstance(value, pa.Scalar):
        return lambda batch: compare(to_instants(batch.column(name), name), value)
    return lambda batch: compare(batch.column(name), pa.scalar(value))


def _joined(tests: Sequence[Test], join: Callable[[Any, Any], Any]) -> Test:
    """All tests under `and` or `or`; a missing value counts as not fulfilled."""
    if len(tests) == 1:
        return tests[0]

    def test(batch: pa.RecordBatch) -> Any:
        first, *rest = (pc.fill_null(each(batch), False) for each in tests)
        for other in rest:
            first = join(first, other)
        return first

    return test
