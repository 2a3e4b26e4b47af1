"""Random small tables, with and without a header, whose names and rows are known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

WORDS = [
    "red",
    "green",
    "blue",
    "black",
    "amber",
    "rose",
    "north",
    "south",
    "east",
    "west",
    "oak",
    "ash",
    "elm",
    "pine",
    "iron",
    "gold",
    "tin",
    "lead",
    "apple",
    "pear",
    "plum",
    "cherry",
    "Berlin",
    "Paris",
    "Rome",
    "Oslo",
    "Lima",
    "Quito",
    "Chad",
    "Peru",
    "Laos",
    "Fiji",
    "Anna",
    "Bob",
    "Carla",
    "Dan",
    "low",
    "mid",
    "high",
    "yes",
    "no",
    "maybe",
    "cat",
    "dog",
    "name",
    "total",
    "small",
    "large",
]
NAMES = [
    "price",
    "area",
    "rooms",
    "city",
    "country",
    "name",
    "id",
    "value",
    "total",
    "count",
    "rate",
    "score",
    "age",
    "height",
    "width",
    "weight",
    "income",
    "label",
    "class",
    "species",
    "Name",
    "Age",
    "City",
    "Sepal.Length",
    "Sepal.Width",
    "first_name",
    "last_name",
    "zip_code",
    "date",
    "time",
    "temp_c",
    "wind_speed",
    "pH",
    "SALES",
    "Region",
    "x",
    "y",
    "z",
    "x1",
    "x2",
]
MISSING = ("", "NA", "NaN", "nan", "null", "N/A")


@dataclass(frozen=True)
class Table:
    """A table as text: its names (None where it has no header) and its rows."""

    kind: str
    names: list[str] | None
    rows: list[list[str]]

    @property
    def text(self) -> str:
        head = [self.names] if self.names else []
        return "".join(",".join(row) + "\n" for row in [*head, *self.rows])


Cells = Callable[[random.Random, int], list[str]]


def words(rng: random.Random, count: int) -> list[str]:
    pool = rng.sample(WORDS, rng.choice((2, 3, 5, len(WORDS))))
    return [rng.choice(pool) for _ in range(count)]


def labels(rng: random.Random, count: int) -> list[str]:
    """Words that all differ."""
    return [f"{rng.choice(WORDS).title()} {chr(65 + at % 26)}{'abcdefghij'[at // 26]}" for at in range(count)]


def codes(rng: random.Random, count: int) -> list[str]:
    head, digits = rng.choice(("s", "A", "AB-", "id", "0", "00")), rng.choice((2, 4))
    return [f"{head}{rng.randrange(10**digits):0{digits}d}" for _ in range(count)]


def integers(rng: random.Random, count: int) -> list[str]:
    most = rng.choice((1, 9, 255, 10_000, 10**7))
    return [str(rng.randint(0, most)) for _ in range(count)]


def decimals(rng: random.Random, count: int) -> list[str]:
    mean, spread, digits = rng.choice((0, 5, 1000)), rng.choice((1, 10, 300)), rng.choice((1, 2, 4))
    return [str(round(rng.gauss(mean, spread), digits)) for _ in range(count)]


def years(rng: random.Random, count: int) -> list[str]:
    return [str(rng.randint(1990, 2025)) for _ in range(count)]


def counter(rng: random.Random, count: int) -> list[str]:
    first = rng.choice((0, 1, 100))
    return [str(first + at) for at in range(count)]


def dates(rng: random.Random, count: int) -> list[str]:
    return [f"{rng.randint(2000, 2024)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}" for _ in range(count)]


def walk(rng: random.Random, count: int) -> list[str]:
    at, found = rng.uniform(10, 1000), []
    for _ in range(count):
        at += rng.gauss(0.2, 1)
        found.append(f"{at:.2f}")
    return found


NUMERIC: tuple[Cells, ...] = (integers, decimals, decimals, walk, years, counter)
COLUMNS: tuple[Cells, ...] = (*NUMERIC, *NUMERIC, words, words, labels, codes, dates)


def tables(seed: int, count: int) -> Iterator[Table]:
    """`count` tables."""
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.choices((_plain, _years, _all_words, _pixels), (80, 8, 6, 6))[0](rng)


def _made(rng: random.Random, columns: list[Cells], names: list[str], kind: str, header: bool | None = None) -> Table:
    count = rng.choice((1, 2, 3, 5, 10, 20, 60, 150, 250))
    cells = [make(rng, count) for make in columns]
    rows = [[cell.replace(",", ";") for cell in row] for row in zip(*cells, strict=True)]
    header = rng.random() < 0.5 if header is None else header
    if rng.random() < 0.25:
        for row in rows[: rng.choice((1, 2))]:
            at = [index for index, make in enumerate(columns) if make in NUMERIC] or [0]
            row[rng.choice(at)] = rng.choice(MISSING)
        kind += ", NA first"
    rows = [row for row in rows if any(row)] or [["1"] * len(columns)]
    return Table(f"{kind}, {'header' if header else 'no header'}", names if header else None, rows)


def _plain(rng: random.Random) -> Table:
    columns = [rng.choice(COLUMNS) for _ in range(rng.choice((1, 2, 3, 4, 6, 12)))]
    return _made(rng, columns, rng.sample(NAMES, len(columns)), "columns of all sorts")


def _all_words(rng: random.Random) -> Table:
    columns = [rng.choice((words, words, labels)) for _ in range(rng.choice((1, 2, 3, 5)))]
    return _made(rng, columns, rng.sample(NAMES, len(columns)), "words")


def _years(rng: random.Random) -> Table:
    """A column of names, and one for each year."""
    count, step = rng.choice((1, 2, 3, 6)), rng.choice((1, -1, 5, 10))
    first = rng.randint(1960, 2015)
    corner = rng.choice(("country", "name", "city", "Region", "item", "who", "product", ""))
    names = [corner, *(str(first + at * step) for at in range(count))]
    values = rng.choice((integers, decimals))
    return _made(rng, [labels, *[values] * count], names, "years", True)


def _pixels(rng: random.Random) -> Table:
    """Numbers that count the columns, before or after a label."""
    count, step, first = rng.choice((3, 6, 10)), rng.choice((1, 2, 10)), rng.choice((0, 1, 400))
    names = [str(first + at * step) for at in range(count)]
    values = rng.choice((integers, decimals))
    columns: list[Cells] = [values] * count
    if rng.random() < 0.5:
        return _made(rng, [words, *columns], ["label", *names], "channels", True)
    return _made(rng, columns, names, "channels", True)
