"""Make synthetic files of the same schema as the public ones: small ones for this folder, or any number of rows.

    python samples/make_samples.py                                      # the files of this folder, byte for byte
    python samples/make_samples.py wine --rows 20000000 --folder /tmp   # a gigabyte, in bounded memory

Nothing in them was measured: every value is drawn from a seeded generator. A file of fewer rows is the beginning of a
file of more rows. The draws use integers and the four basic operations only, which agree on every machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from PIL import Image

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK = 1 << 16


class Draws:
    """Random numbers for one block of rows: the same for the same seed, kind and block."""

    def __init__(self, seed: int, kind: str, block: int, rows: int = BLOCK) -> None:
        self.rows = rows
        self.start = block * rows
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, *kind.encode(), block]))

    def uniform(self) -> Floats:
        """(row) in [0, 1)."""
        return (self._bits.random_raw(self.rows) >> np.uint64(11)) * 2.0**-53

    def bell(self) -> Floats:
        """(row) with mean 0 and std 1, within ±3.47: the sum of the four 16-bit parts of a word."""
        parts = self._bits.random_raw(self.rows).astype("<u8").view("<u2").reshape(-1, 4)
        return (parts.sum(axis=1, dtype=np.int64) - 131_070) / 37_837.0

    def below(self, stop: int) -> Ints:
        """(row) of integers 0 … stop − 1."""
        return (self.uniform() * stop).astype(np.int64)

    def pick(self, words: list[str]) -> pa.Array:
        """(row) of the words, each as likely as the others."""
        return pa.array(words).take(pa.array(self.below(len(words))))

    def holes(self, values: Floats | Ints, share: float) -> pa.Array:
        """The values, that share of them missing."""
        return pa.array(values, mask=self.uniform() < share)


def draws(seed: int, kind: str) -> Iterator[Draws]:
    """Endless: the draws of one block of rows after the other."""
    return (Draws(seed, kind, block) for block in count())


def rounded(values: Floats, decimals: int, low: float, high: float) -> Floats:
    """Clip, and round to so many decimals."""
    unit = 10.0**decimals
    return np.rint(np.clip(values, low, high) * unit) / unit


def whole(values: Floats, low: float, high: float) -> Ints:
    """Clip, and round to whole numbers."""
    return rounded(values, 0, low, high).astype(np.int64)


def hill(turns: Floats) -> Floats:
    """A smooth hill in every turn: 0 at its ends, 1 in its middle."""
    turn = turns % 1.0
    return 4 * turn * (1 - turn)


# name, mean, std, how far it follows the quality, decimals, lowest, highest
WINE = [
    ("fixed acidity", 6.85, 0.84, -0.1, 1, 3.8, 14.2),
    ("volatile acidity", 0.28, 0.10, -0.2, 2, 0.08, 1.1),
    ("citric acid", 0.33, 0.12, 0.0, 2, 0.0, 1.66),
    ("residual sugar", 6.4, 5.1, -0.1, 1, 0.6, 65.8),
    ("chlorides", 0.046, 0.022, -0.2, 3, 0.009, 0.346),
    ("free sulfur dioxide", 35.0, 17.0, 0.0, 0, 2.0, 289.0),
    ("total sulfur dioxide", 138.0, 42.0, -0.3, 0, 9.0, 440.0),
    ("density", 0.994, 0.003, -0.3, 5, 0.987, 1.04),
    ("pH", 3.19, 0.15, 0.1, 2, 2.72, 3.82),
    ("sulphates", 0.49, 0.11, 0.05, 2, 0.22, 1.08),
    ("alcohol", 10.5, 1.23, 0.45, 1, 8.0, 14.2),
]


def wine(seed: int) -> Iterator[pa.Table]:
    """The columns of the wine quality files, red and white alike: eleven measurements and a score."""
    for draw in draws(seed, "wine"):
        good = draw.bell()
        columns: dict[str, Floats | Ints] = {}
        for name, mean, std, pull, decimals, low, high in WINE:
            values = mean + std * (pull * good + (1 - abs(pull)) * draw.bell())
            columns[name] = rounded(values, decimals, low, high)
        columns["quality"] = whole(5.9 + good, 3, 9)
        yield pa.table(columns)


WORKDAY = np.array([2, 1, 1, 0, 0, 1, 4, 11, 17, 9, 7, 8, 10, 10, 9, 10, 14, 20, 18, 13, 9, 7, 5, 3])
DAY_OFF = np.array([5, 4, 3, 1, 1, 1, 1, 2, 4, 7, 10, 12, 14, 15, 15, 15, 14, 13, 11, 9, 7, 6, 5, 4])
HOLIDAYS = [704, 1111, 1225]


def calendar(hours: Ints) -> dict[str, pa.Array | Ints]:
    """The columns that follow from date and hour; `hours` counts from 1 January 2011, a Saturday."""
    days = hours // 24
    dates = np.datetime64("2011-01-01") + days
    months = dates.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    turn = month * 100 + (dates - months).astype(np.int64) + 1
    weekday = (days + 6) % 7
    weekdays = (weekday >= 1) & (weekday <= 5)
    holiday = np.isin(turn, HOLIDAYS) & weekdays
    return {
        "dteday": pa.array(dates),
        "season": np.digitize(turn, [321, 621, 923, 1221]) % 4 + 1,
        "yr": dates.astype("datetime64[Y]").astype(np.int64) - 41,
        "mnth": month,
        "hr": hours % 24,
        "holiday": holiday.astype(np.int64),
        "weekday": weekday,
        "workingday": (weekdays & ~holiday).astype(np.int64),
    }


def bikes(seed: int) -> Iterator[pa.Table]:
    """The 17 columns of the hourly bike-sharing file; one hour in a hundred is missing, as in the original."""
    instant = 1
    for draw in draws(seed, "bikes"):
        hours = np.arange(draw.start, draw.start + draw.rows)
        columns = calendar(hours)
        columns |= rides(draw, hours, columns["workingday"] == 1)
        table = pa.table(columns).filter(pa.array(draw.uniform() >= 0.01))
        yield table.add_column(0, "instant", pa.array(np.arange(instant, instant + len(table))))
        instant += len(table)


def rides(draw: Draws, hours: Ints, working: npt.NDArray[np.bool_]) -> dict[str, Floats | Ints]:
    """The weather of each hour, on the scales of the original (0 to 1), and the bikes that were hired in it."""
    weather = 1 + np.searchsorted([0.66, 0.92, 0.998], draw.uniform(), side="right")
    warm = 0.15 + 0.5 * hill(hours / 8766) + 0.15 * hill((hours + 21) / 24) + 0.04 * draw.bell()
    demand = (0.2 + warm) / weather * (1 + 0.2 * draw.bell())
    rush, stroll = WORKDAY[hours % 24], DAY_OFF[hours % 24]
    casual = whole(np.where(working, stroll, 3 * stroll) * demand, 0, 400)
    registered = whole(12 * np.where(working, rush, stroll) * demand, 1, 900)
    return {
        "weathersit": weather,
        "temp": rounded(warm, 2, 0.02, 1),
        "atemp": rounded(0.03 + 0.93 * warm, 4, 0, 1),
        "hum": rounded(0.45 + 0.12 * weather + 0.12 * draw.bell(), 2, 0, 1),
        "windspeed": rounded(0.19 + 0.12 * draw.bell(), 4, 0, 0.85),
        "casual": casual,
        "registered": registered,
        "cnt": casual + registered,
    }


def meter(seed: int) -> Iterator[pa.Table]:
    """A household's hourly electricity meter, with a time stamp; one hour in two hundred is missing."""
    for draw in draws(seed, "meter"):
        hours = np.arange(draw.start, draw.start + draw.rows)
        cold = 10 - 12 * hill(hours / 8766 + 0.5) + 4 * draw.bell()
        use = 0.3 + 0.9 * hill((hours + 19) / 24) + 0.02 * (15 - cold) + 0.15 * draw.bell()
        columns = {
            "stamp": np.datetime64("2024-01-01T00:00:00") + 3600 * hours,
            "kwh": rounded(use, 3, 0.05, 9),
            "temperature": rounded(cold, 1, -25, 40),
        }
        yield pa.table(columns).filter(pa.array(draw.uniform() >= 0.005))


def houses(seed: int) -> Iterator[pa.Table]:
    """House sales with numbers, categories, a yes or no, and missing values."""
    cities = ["Eastford", "Harbour Hill", "Millbrook", "Northwick", "Two Rivers"]
    for draw in draws(seed, "houses"):
        rooms, city = 1 + draw.below(7), draw.below(len(cities))
        area = rounded(18.0 * rooms + 30 + 12 * draw.bell(), 1, 20, 400)
        worth = 900.0 * area + 25_000 * city + 20_000 * draw.bell()
        yield pa.table(
            {
                "id": 1000 + np.arange(draw.start, draw.start + draw.rows),
                "rooms": draw.holes(rooms, 0.01),
                "area": draw.holes(area, 0.03),
                "city": pa.array(cities).take(pa.array(city)),
                "condition": draw.pick(["bad", "good", "ok"]),
                "garden": draw.uniform() < 0.4,
                "price": 100 * whole(worth / 100, 100, 9999),
            }
        )


NAMES = ["the baker", "an old clock", "the river", "my neighbour", "a grey cat", "the night train", "nobody"]
VERBS = ["waits for", "forgets", "counts", "paints", "listens to", "carries", "mends"]
THINGS = ["the morning", "seven boats", "an empty house", "the last letter", "a café", "every window", "its own shadow"]
ENDS = [".", ";", ", slowly.", " — again.", "!", ", he said.", "?"]


def text(seed: int) -> Iterator[pa.Table]:
    """Lines of plain sentences in one column: ASCII, a few accents, dashes and curly quotes."""
    for draw in draws(seed, "text"):
        said = draw.below(5) == 0
        opening, closing = pa.array(np.where(said, "“", "")), pa.array(np.where(said, "”", ""))
        parts = [draw.pick(words) for words in (NAMES, VERBS, THINGS)]
        plain = pc.binary_join_element_wise(*parts, " ")
        yield pa.table({"line": pc.binary_join_element_wise(opening, pc.utf8_capitalize(plain), draw.pick(ENDS), closing, "")})


def write_csv(tables: Iterator[pa.Table], file: IO[bytes]) -> None:
    """Comma-separated, the header as it is."""
    _write(tables, file, ",", "{}")


def write_wine_csv(tables: Iterator[pa.Table], file: IO[bytes]) -> None:
    """As the public wine files: separated by semicolons, every name in the header in quotes."""
    _write(tables, file, ";", '"{}"')


def _write(tables: Iterator[pa.Table], file: IO[bytes], delimiter: str, name: str) -> None:
    options = pa.csv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="none")
    for index, table in enumerate(tables):
        if index == 0:
            file.write(delimiter.join(map(name.format, table.column_names)).encode() + b"\n")
        pa.csv.write_csv(table, file, options)


def write_lines(tables: Iterator[pa.Table], file: IO[bytes]) -> None:
    """One line of text a row."""
    for table in tables:
        file.writelines(f"{line}\n".encode() for line in table["line"].to_pylist())


@dataclass(frozen=True)
class Kind:
    """One kind of table: its endless rows, how they are written, the file's name, and how many rows samples/ holds."""

    tables: Callable[[int], Iterator[pa.Table]]
    write: Callable[[Iterator[pa.Table], IO[bytes]], None]
    file: str
    rows: int


KINDS = {
    "wine": Kind(wine, write_wine_csv, "wine-synthetic.csv", 1000),
    "bikes": Kind(bikes, write_csv, "bikes-synthetic.csv", 1430),
    "meter": Kind(meter, write_csv, "meter-synthetic.csv", 1438),
    "houses": Kind(houses, write_csv, "houses-synthetic.csv", 400),
    "text": Kind(text, write_lines, "text-synthetic.txt", 120),
}


def first(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The tables up to that many rows."""
    for table in tables:
        yield table.slice(0, rows)
        rows -= len(table)
        if rows <= 0:
            return


def write_table(kind: Kind, folder: Path, rows: int, seed: int) -> None:
    """Write so many rows as text, a block at a time."""
    with (folder / kind.file).open("wb") as file:
        kind.write(first(kind.tables(seed), rows), file)


def write_shapes(folder: Path, pictures: int, seed: int) -> None:
    """Draw pictures of 32×32 into class folders: PNG, and every fourth one JPEG."""
    for index in range(pictures):
        name = list(SHAPES)[index % len(SHAPES)]
        path = folder / name / f"{index:04}{'.jpg' if index % 4 == 3 else '.png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(name, Draws(seed, "shapes", index, rows=9))).save(path)


SHAPES = {
    "cross": lambda across, down, size: (np.minimum(across, down) <= size / 3) & (np.maximum(across, down) <= size),
    "disc": lambda across, down, size: across**2 + down**2 <= size**2,
    "square": lambda across, down, size: np.maximum(across, down) <= size,
}


def picture(name: str, draw: Draws) -> npt.NDArray[np.uint8]:
    """(height, width, channel): one shape of any colour, size and place on a ground of another colour."""
    shade = (draw.uniform() * 256).astype(np.uint8)
    place = draw.below(8)
    across = np.abs(np.arange(32) - 12 - place[0])[None, :]
    down = np.abs(np.arange(32) - 12 - place[1])[:, None]
    inside = SHAPES[name](across, down, 6 + place[2] // 2)
    return np.where(inside[:, :, None], shade[:3], shade[3:6] // 3)


def main() -> None:
    """Read the command line, and make what it names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", help=f"any of {', '.join([*KINDS, 'shapes'])}; all of them without")
    parser.add_argument("--rows", type=int, help="rows, lines or pictures; without, as many as in samples/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="where to; samples/ without")
    call = parser.parse_args()
    wrong = set(call.kinds) - {*KINDS, "shapes"}
    if wrong:
        parser.error(f"there is no kind {', '.join(sorted(wrong))}; kinds: {', '.join([*KINDS, 'shapes'])}")
    if call.rows is not None and call.rows < 1:
        parser.error("--rows: one row at least")
    call.folder.mkdir(parents=True, exist_ok=True)
    for name in call.kinds or [*KINDS, "shapes"]:
        if name == "shapes":
            write_shapes(call.folder / "shapes-synthetic", call.rows or 24, call.seed)
        else:
            write_table(KINDS[name], call.folder, call.rows or KINDS[name].rows, call.seed)


if __name__ == "__main__":
    main()
