"""Quarantine: with `--on-bad skip` invalid items are counted, listed with their place, and left out.

A loader says how many items it has seen, hands in each bad one, and asks `check` once it has seen them all. The file of
`--rejects` is written as they come and appears whole, or not at all.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from tensorize.core.errors import SHOWN, DataError, UsageError, plural, shown, some

RAW_CHARS = 65_536
"""Of a longer raw text the file of rejects holds the beginning."""

_BUFFER = 1 << 20
_SURROGATE = re.compile("[\ud800-\udfff]")


class TooManyBadError(DataError):
    """There are more invalid items than `--max-bad` allows."""


@dataclass(frozen=True)
class Reject:
    """One invalid item and its place. Bytes that are not text are surrogates, as `surrogateescape` makes them."""

    path: str
    """The file, as the user named it; what Python holds has a name in its place, such as `in memory`."""
    kind: str
    """One of a few words of the loader, which the counts go by, such as `ragged`."""
    reason: str
    """What is wrong, for a person."""
    row: int | None = None
    """The 0-based place in the source, as in the tensor `row`."""
    line: int | None = None
    """The 1-based line of the file at which the item begins."""
    column: str | None = None
    raw: str = ""

    @property
    def place(self) -> str:
        """`houses.csv:212`, or the path alone."""
        return self.path if self.line is None else f"{self.path}:{self.line}"

    def to_json(self) -> str:
        r"""One line of JSON in plain ASCII, so that nothing in it can command a terminal.

        >>> print(Reject("a.csv", "encoding", "not UTF-8", 3, 5, "city", "K\udcf6ln").to_json())
        {"path": "a.csv", "line": 5, "column": "city", "row": 3, "kind": "encoding", "reason": "not UTF-8", "raw": "K\\xf6ln"}
        """
        fields = asdict(self)
        order = ("path", "line", "column", "row", "kind", "reason", "raw")
        raw = self.raw if len(self.raw) <= RAW_CHARS else self.raw[:RAW_CHARS] + "…"
        told = {name: legible(value) if isinstance(value, str) else value for name, value in (fields | {"raw": raw}).items()}
        return json.dumps({name: told[name] for name in order}).replace("\x7f", "\\u007f")

    def __str__(self) -> str:
        """One line for a message: place, column, reason, and the raw text, cut where it is long."""
        parts = (self.place, self.column or "", self.reason, shown(legible(self.raw), 60) if self.raw else "")
        return legible("  ".join(part for part in parts if part))


class RejectsFile(Protocol):
    """A file in the making that lists rejects."""

    target: Path

    def write(self, at: int, data: bytes) -> None:
        """Write bytes at an offset. Raises RunError if that cannot be done."""
        ...


class Rejects:
    """Takes the bad items of one run, in the order of finding and from one thread; memory does not grow with them.

    skip: whether bad items are left out; where it is False a loader raises its own DataError instead.
    limit: how many may be bad: a number, or a percentage of what was seen, such as `0.5%`.
    part: the file to list them in; None to list them nowhere.

    >>> rejects = Rejects(skip=True, limit="50%")
    >>> rejects.saw(2, "row")
    >>> rejects.add(Reject("a.csv", "ragged", "has 3 cells, not 2", row=1, line=3, raw="a,b,c"))
    >>> rejects.check()
    >>> rejects.count, dict(rejects.kinds)
    (1, {'ragged': 1})
    """

    def __init__(self, skip: bool = False, limit: str = "0", part: RejectsFile | None = None) -> None:
        self.skip, self.limit = skip, limit
        self.seen, self.kinds, self.first = 0, Counter[str](), list[Reject]()
        self._nouns = ("item", "items")
        self._part, self._at, self._held = part, 0, bytearray()

    @property
    def count(self) -> int:
        """How many were handed in."""
        return self.kinds.total()

    @property
    def path(self) -> Path | None:
        """The file that lists them."""
        return self._part.target if self._part is not None else None

    def saw(self, count: int, noun: str = "", nouns: str = "") -> None:
        """Note that so many items were looked at, good or bad, each once; `noun` is what one is called."""
        self.seen += count
        if noun:
            self._nouns = (noun, nouns or noun + "s")

    def add(self, reject: Reject) -> None:
        """Report an invalid item that is left out. Raises RunError if the file cannot be written."""
        self.kinds[reject.kind] += 1
        if len(self.first) < SHOWN:
            self.first.append(reject)
        if self._part is not None:
            self._held += reject.to_json().encode() + b"\n"
            if len(self._held) >= _BUFFER:
                self.flush()

    def check(self) -> None:
        """Raise TooManyBadError if more items are invalid than the limit allows. To be called once all items were seen."""
        if self.count <= allowed(self.limit, self.seen):
            return
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.most_common())
        listed = f"all are listed in {self.path}; " if self.path else "--rejects FILE lists them all; "
        raise TooManyBadError(
            f"{self.said()} bad, and --max-bad is {self.limit}",
            [*some([str(reject) for reject in self.first], self.count), f"by kind: {kinds}"],
            f"{listed}mend them, or allow more: --max-bad {self.count}",
            {"on_bad": "skip", "max_bad": str(self.count)},
        )

    def said(self) -> str:
        """`3 of 1,000 rows are`."""
        share = f" ({float(f'{100 * self.count / self.seen:.2g}'):g}%)" if self.seen else ""
        return f"{self.count:,} of {plural(self.seen, *self._nouns)}{share} {'is' if self.count == 1 else 'are'}"

    def flush(self) -> None:
        """Write what is still held. Raises RunError if that cannot be done."""
        if self._part is not None:
            self._part.write(self._at, bytes(self._held))
            self._at += len(self._held)
            self._held.clear()


def allowed(limit: str, seen: int) -> int:
    """How many of `seen` items may be invalid. Raises UsageError if `limit` is not a number or a percentage.

    >>> allowed("0.5%", 1000), allowed("0.5%", 199), allowed("7", 1000)
    (5, 0, 7)
    """
    text = limit.strip()
    number = text.removesuffix("%").strip()
    try:
        if not number.replace(".", "", 1).isdecimal() or not number.isascii():
            raise ValueError
        if not text.endswith("%"):
            return int(number)
        if (share := Fraction(number) / 100) > 1:
            raise ValueError
    except ValueError:
        raise UsageError(f'"{limit}" is no limit', hint="write a percentage such as 0.5%, or a count such as 20") from None
    return int(share * seen)


def legible(text: str) -> str:
    r"""Text with bytes that were none as `\xf6`, and half a pair of surrogates as `\ud800`."""
    return _SURROGATE.sub(lambda found: _escape(ord(found[0])), text)


def _escape(code: int) -> str:
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
