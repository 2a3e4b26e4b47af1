"""Sizes and times for people."""

from __future__ import annotations

import re

from tensorize.core.errors import UsageError

_UNITS = ("B", "KB", "MB", "GB", "TB")
_SIZE = re.compile(r"\s*(\d+\.?\d*)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE | re.ASCII)
LARGEST_SIZE = 10**18
"""Bytes: no machine has more, and every library can still count them."""


def size(count: int) -> str:
    """Bytes for people, in powers of 1000.

    >>> size(419700), size(2_147_483_648)
    ('420 KB', '2.15 GB')
    """
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.3g} {_UNITS[unit]}"


def parse_size(text: str) -> int:
    """`10GB`, `512MiB` or a plain number of bytes. Raises UsageError for anything else, and for more than an exabyte.

    >>> parse_size("10GB"), parse_size("1 MiB")
    (10000000000, 1048576)
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise UsageError(f"{text!r} is no size", hint="write it as 512MB, 10GB or 1048576")
    power = "KMGT".find(match[2].upper()) + 1 if match[2] else 0
    found = float(match[1]) * (1024 if match[3] else 1000) ** power
    if found > LARGEST_SIZE:
        raise UsageError(
            f"{text if len(text) < 40 else text[:39] + '…'} is more than any machine has", hint="at most 1000000TB"
        )
    return int(found)


def seconds(value: float) -> str:
    """A duration for people.

    >>> seconds(0.412), seconds(75)
    ('0.4 s', '1 min 15 s')
    """
    return f"{value:.1f} s" if value < 60 else f"{int(value // 60)} min {int(value % 60)} s"
