"""Text for terminals and pipes of any encoding: what it lacks is replaced by what looks like it."""

from __future__ import annotations

import codecs
import json
import sys
from contextlib import suppress
from typing import TextIO

HANDLER = "tensorize"
LIKE = {
    "×": "x",
    "…": "...",
    "−": "-",
    "–": "-",
    "—": "-",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "²": "^2",
    "µ": "u",
    "·": "*",
    "’": "'",
    "█": "#",
    **dict.fromkeys("▁▂▃", "_"),
    **dict.fromkeys("▄▅", "="),
    **dict.fromkeys("▆▇", "+"),
    **dict.fromkeys("─━═╌┄╸╺", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝┏┓┗┛┡┩╇╈╪╞╡", "+"),
}
"""Signs of ours → ASCII."""


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """A codec's handler: signs as above, anything else as an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(LIKE.get(char) or char.encode("unicode_escape", "surrogatepass").decode() for char in found), error.end


codecs.register_error(HANDLER, _replaced)


def any_encoding() -> None:
    """Make standard output and standard error take every character."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with suppress(OSError):  # a stream whose file has been replaced by a pipe
                reconfigure(errors=HANDLER)


def fitting(text: str, stream: TextIO) -> str:
    """Text in the encoding of a stream: what that lacks is replaced. For libraries that would write in another encoding."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, HANDLER).decode(encoding)


def encodable(text: str, stream: TextIO) -> str:
    """JSON in the encoding of a stream: what that lacks is written as an escape of JSON."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in text)
    return text
