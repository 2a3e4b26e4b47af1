"""Can all cells of a column be read as dates, and does that need a notation?"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.dates.rows import Notation
from tensorize.columns.dates.text import to_iso, to_times
from tensorize.columns.reader import Rows
from tensorize.core.errors import DataError


def notation_to_say(rows: Rows, name: str) -> str | None:
    """The notation that has to be said for all dates of a column to be read; None where they can be read without.

    Raises DataError where no notation is certain, or none reads all.
    """
    notation = Notation(name)
    for cells in _texts(rows, name):
        notation.look(cells)
    try:
        _read(rows, name, notation.found())
        return None
    except DataError as error:
        said = error.fix.get("time_format")
        if said is None:
            raise
        guess = str(said[0]).removeprefix(f"{name}=")
        swapped = guess.replace("%d", "%\0").replace("%m", "%d").replace("%\0", "%m")
        fits = [notation for notation in {guess: 0, swapped: 0} if _reads(rows, name, notation)]
        if len(fits) != 1:
            raise
        return fits[0]


def _reads(rows: Rows, name: str, notation: str) -> bool:
    try:
        _read(rows, name, notation)
    except DataError:
        return False
    return True


def _texts(rows: Rows, name: str) -> Iterator[pa.Array]:
    """The different cells of each partition, where they are text."""
    for partition in rows.partitions:
        cells = rows.read(partition, {name}).unpacked().column(name)
        if pa.types.is_string(cells.type):
            yield pc.unique(cells.drop_null())


def _read(rows: Rows, name: str, notation: str | None) -> None:
    """Raise DataError for cells that a notation does not read."""
    for cells in _texts(rows, name):
        to_times(to_iso(cells, notation), name)
