"""What the first bytes of a text say of its encoding, against what was said."""

from __future__ import annotations

import codecs
import re

from tensorize.core.errors import DataError

FIRST_BYTES = 4096
"""How much of a file is looked at."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order mark → the encoding to read with; those of UTF-32 first, since they begin as those of UTF-16 do."""

_HIGH_BYTES = bytes([0x00, 0x03, 0x04, 0x05, 0x06])
"""The first bytes of Latin, Greek, Cyrillic, Hebrew and Arabic letters in UTF-16, which are no letters by themselves."""
_WIDE = re.compile(r"utf-(16|32)(-[lb]e)?")
_LEAST_NARROW = 32
"""Bytes that are ASCII or UTF-8 by chance no more, if they were meant as UTF-16."""

_DESIGNATIONS = (
    (rb"\x1b\$\)C", "iso2022_kr"),
    (rb"\x1b\$[@B]|\x1b\([IJ]", "iso2022_jp"),
    (rb"\x1b\$(A|\(C)", "iso2022_jp_2"),
    (rb"\x1b\$\(D", "iso2022_jp_1"),
)
"""Escape sequences that choose a set of characters → the encoding that knows them. Source: RFC 1468, 1554, 1557, 2237."""


def marked(first: bytes) -> str | None:
    """The encoding that a byte order mark tells."""
    return next((name for mark, name in MARKS if first.startswith(mark)), None)


def unmarked(first: bytes) -> str | None:
    """UTF-16 or UTF-32 without a byte order mark: every second byte is mostly of the few that letters begin with.

    >>> unmarked("price".encode("utf-16-le")), unmarked("цена".encode("utf-16-be")), unmarked("a b".encode("utf-32-be"))
    ('utf-16-le', 'utf-16-be', 'utf-32-be')
    >>> unmarked(b"a b")
    """
    whole = first[: min(len(first), FIRST_BYTES) // 4 * 4]
    for name, outer, inner in (("utf-32-be", 0, 1), ("utf-32-le", 3, 2)):
        if whole and not any(whole[outer::4]) and whole[inner::4].count(0) * 8 > len(whole):
            return name
    for name, start in (("utf-16-be", 0), ("utf-16-le", 1)):
        half = first[start:FIRST_BYTES:2]
        if (len(half) - len(half.translate(None, _HIGH_BYTES))) * 4 > len(first[:FIRST_BYTES]):
            return name
    return None


def check_encoding(first: bytes, encoding: str, file: str) -> None:
    """Raise DataError where the first bytes of a file speak against the encoding, which has to be a known one."""
    name = codecs.lookup(encoding).name
    mark = marked(first)
    if mark:
        if not _is_marked_so(first, name, mark):
            what = f"{file} begins with the byte order mark of {mark.removesuffix('-sig').upper()}"
            raise DataError(what, hint=f"say --encoding {mark}", fix={"encoding": mark})
        return
    if (found := unmarked(first)) and found != name:
        raise DataError(
            f"{file} is {found[:6].upper()} without a byte order mark, or no text",
            [f"{file}:1  zero bytes"] if 0 in first else [],
            f"say --encoding {found}",
            {"encoding": found},
        )
    if _WIDE.fullmatch(name) and _is_narrow(first):
        what = f"{file} is not {encoding} text: it is ASCII or UTF-8"
        raise DataError(what, hint="say --encoding utf-8-sig", fix={"encoding": "utf-8-sig"})
    if name in ("utf-16", "utf-32") and first and not found:
        raise DataError(f"{file} has no byte order mark", hint=f"say --encoding {name}-le, or --encoding {name}-be")


def doubts(first: bytes, encoding: str) -> str:
    """What makes an encoding doubtful that can read a file, with the flag to try; nothing if all is well.

    >>> doubts("naïve café".encode(), "latin-1")
    'the bytes are valid UTF-8: is --encoding utf-8-sig right?'
    """
    name = codecs.lookup(encoding).name
    if not name.startswith(("iso2022", "hz", "utf-16", "utf-32")):
        for sequence, found in _DESIGNATIONS:
            if re.search(sequence, first):
                return f"the bytes hold escape sequences: is --encoding {found} right?"
    if _is_single_byte(name) and not first.isascii() and _is_utf8(first):
        return "the bytes are valid UTF-8: is --encoding utf-8-sig right?"
    return ""


def _is_marked_so(first: bytes, name: str, mark: str) -> bool:
    """Whether an encoding reads a file with this byte order mark."""
    if mark == "utf-8-sig":
        return name in ("utf-8", "utf-8-sig")
    little = first[0] == 0xFF or first.startswith(codecs.BOM_UTF32_LE)
    return name in (mark, f"{mark}-{'le' if little else 'be'}")


def _is_narrow(first: bytes) -> bool:
    return len(first) >= _LEAST_NARROW and 0 not in first and _is_utf8(first)


def _is_utf8(first: bytes) -> bool:
    """Whether bytes are UTF-8, of which the last character may be cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return False
    return True


def _is_single_byte(name: str) -> bool:
    return name.startswith(("iso8859", "cp125", "mac-", "koi8", "cp437", "cp85"))
