"""Commands that can be pasted into a shell, whatever the names of files and columns are."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


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


def _escaped(char: str) -> str:
    if char in "\\'":
        return "\\" + char
    return char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
