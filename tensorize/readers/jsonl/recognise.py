"""Whether a file is JSON, by its first text: lines of objects, an array of them, or one object."""

from __future__ import annotations

import json
import re
from typing import Literal

from tensorize.core.errors import DataError
from tensorize.sources.encodings import marked
from tensorize.sources.files import InputFile, pieces

HEAD_BYTES = 64 << 10
_OBJECT = re.compile(r'\{\s*("[^"\\]*(?:\\.[^"\\]*)*"\s*:|\}|$)')
_JSON = re.compile(r"\.json(\.gz|\.zst)?$", re.IGNORECASE)
_ARRAY = re.compile(r'\[\s*(\{|\]\s*$|\[\s*([-\d"\[\]{]|null|true|false)|$)')

Format = Literal["jsonl", "json"]


def format_of(file: InputFile) -> Format | None:
    """The reader that a file is for by its first text; None if that is not certainly JSON."""
    try:
        head = next(pieces(file, HEAD_BYTES, 200), b"")
    except DataError:
        return None
    found = format_of_text(text_of(head), len(head) < HEAD_BYTES)
    if found == "long":
        return "json" if _JSON.search(file.name) else "jsonl"
    return found


def text_of(head: bytes) -> str:
    """The first bytes of a text as text; bytes that mean nothing in it are replaced."""
    return head.decode(marked(head) or "utf-8", "replace")


def format_of_text(head: str, complete: bool) -> Format | Literal["long"] | None:
    r"""As `format_of`, from the first text; `complete` if that is all. `long` if an object goes on after it in one line.

    >>> format_of_text('{"a": 1}\n{"a": 2}\n', True), format_of_text('[{"a": 1}]', True), format_of_text("a,b", True)
    ('jsonl', 'json', None)
    """
    head = head.removeprefix("\ufeff").lstrip()
    first, _, rest = head.partition("\n")
    if head.startswith("["):
        return "json" if _is_array(head, first) else None
    if not _OBJECT.match(head):
        return None
    if not (rest or complete):
        return "long"
    if not _is_object(first):
        return "json" if _goes_on(first.rstrip()) else None
    rest = rest.lstrip()
    return "jsonl" if rest.startswith("{") else "json" if not rest else None


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _goes_on(line: str) -> bool:
    """Whether a line is the beginning of a JSON text, and nothing is wrong with it but that it ends."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line)
    except RecursionError:
        return False
    return False


def _is_array(head: str, first: str) -> bool:
    """Whether a text is an array of objects or of arrays, or on its first line a whole one."""
    if _ARRAY.match(head):
        inner = head[1:].lstrip()
        return not inner.startswith("{") or bool(_OBJECT.match(inner))
    try:
        return isinstance(json.loads(first), list)
    except (ValueError, RecursionError):
        return False
