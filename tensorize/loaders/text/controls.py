"""Characters that text seldom holds and that a wrong encoding makes: control characters, and U+FFFD."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tensorize.core.errors import plural, some

_CONTROLS = bytes([*range(9), *range(0x0E, 0x20), 0x7F])
"""All of ASCII but tab, line feed, vertical tab, form feed and carriage return."""
_USUAL = bytes(set(range(256)) - set(_CONTROLS))
_BEYOND_ASCII = re.compile(rb"\xc2([\x80-\x9f])")
"""U+0080 to U+009F in UTF-8."""
_REPLACEMENT = "\ufffd".encode()
_NAMES = {0x00: "NUL", 0x0E: "SO", 0x0F: "SI", 0x1A: "SUB", 0x1B: "ESC", 0x7F: "DEL"}


@dataclass
class Controls:
    r"""Counts of control characters and of U+FFFD in UTF-8 pieces that are cut between characters.

    >>> found = Controls()
    >>> found.look(b"a\x1b$B\n")
    >>> list(found.notes())
    ['1 control character is in the text (ESC 1): is --encoding right?']
    """

    counts: Counter[int] = field(default_factory=Counter)
    replaced: int = 0

    def look(self, piece: bytes) -> None:
        """Count those of a piece."""
        if found := piece.translate(None, _USUAL):
            self.counts.update(found)
        if b"\xc2" in piece:
            self.counts.update(map(ord, _BEYOND_ASCII.findall(piece)))
        if _REPLACEMENT[:1] in piece:
            self.replaced += piece.count(_REPLACEMENT)

    def notes(self) -> Iterator[str]:
        """A note on control characters, and one on U+FFFD, where there are any."""
        if self.counts:
            listed = some([f"{_NAMES.get(code, f'U+{code:04X}')} {count:,}" for code, count in self.counts.most_common()])
            said = plural(self.counts.total(), "control character is", "control characters are")
            yield f"{said} in the text ({', '.join(listed)}): is --encoding right?"
        if self.replaced:
            said = plural(self.replaced, "character is", "characters are")
            yield f"{said} U+FFFD, which stands for bytes that were lost when the text was made"
