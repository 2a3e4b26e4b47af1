"""One error root: every failure that a user can meet derives from `TensorizeError`.

A message has three parts: what is wrong, where it was seen, and the way out. The exit code of the command line
stands on the class, so that the two can never disagree.
"""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SHOWN = 5


class TensorizeError(Exception):
    """Something that tensorize refuses or cannot do. `exit_code` is what the command line ends with.

    `fix` are options that settle it as most people would; empty where that cannot be known. `command` is a whole command that
    works, where one was found.

    >>> print(TensorizeError("2 values are missing", ["d.csv:3  area  (empty)"], "say --missing drop"))
    2 values are missing
      d.csv:3  area  (empty)
      say --missing drop
    """

    exit_code = 1

    def __init__(self, what: str, details: Sequence[str] = (), hint: str = "", fix: Mapping[str, Any] | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.details = tuple(details)
        self.hint = hint
        self.fix = dict(fix or {})
        self.command = ""

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """What is wrong, where, and the way out, a line each."""
        more = (*self.details, *(self.hint.split("\n") if self.hint else []), *([self.command] if self.command else []))
        return [self.what, *(f"  {line}" for line in more)]


class DataError(TensorizeError, ValueError):
    """The data are not what was asked for: a missing value, a broken image, a ragged row."""


class RunError(TensorizeError, OSError):
    """The machine failed: a full disk, a folder that cannot be written."""

    def __str__(self) -> str:
        return TensorizeError.__str__(self)


class UsageError(TensorizeError, ValueError):
    """The call is wrong: an option, a column name, a suffix, a recipe, an existing output, a size limit."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that cannot be read: unknown fields, a newer version, values out of their range."""


class TensorizeWarning(UserWarning):
    """What a script should know though nothing failed. The command line prints it as a note on stderr."""


def near(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean "price"?` for the known name nearest to `name`, or an empty string.

    >>> near("prize", ["price", "area"])
    '; did you mean "price"?'
    """
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{matches[0]}"?' if matches else ""


def some(items: Sequence[str], total: int | None = None) -> list[str]:
    """Return the first few of `items`, and a line that counts the rest of `total`."""
    total = len(items) if total is None else total
    shown = list(items[:SHOWN])
    return [*shown, f"… and {total - len(shown):,} more"] if total > len(shown) else shown


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return `1 row`, `2 rows`; `nouns` where an s does not do.

    >>> plural(1, "value is", "values are"), plural(1200, "row")
    ('1 value is', '1,200 rows')
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def shown(value: str, width: int = 40) -> str:
    r"""A value as a message shows it: quoted where it is not plain, cut where it is long, never a control character.

    >>> shown(""), shown("plain"), shown("a\x1b[2J")
    ('(empty)', 'plain', "'a\\x1b[2J'")
    """
    if not value:
        return "(empty)"
    text = value if len(value) <= width else value[: width - 1] + "…"
    return text if text.isprintable() and text.strip() == text else repr(text)


def quoted(word: str) -> str:
    r"""A word as a shell reads it back; characters that a terminal does not print are escapes of their bytes.

    >>> quoted("price"), quoted("a b"), quoted("a\xa0b")
    ('price', "'a b'", "$'a\\xc2\\xa0b'")
    """
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(_escaped(char) for char in word) + "'"


def joined(words: Iterable[str]) -> str:
    """Words as one command line."""
    return " ".join(map(quoted, words))


def in_python(path: Any) -> str:
    r"""A path as Python reads it back.

    >>> print(in_python("x.npz"), in_python('a "b".npz'))
    "x.npz" "a \"b\".npz"
    """
    text = str(path)
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _escaped(char: str) -> str:
    if char in "\\'":
        return "\\" + char
    return char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
