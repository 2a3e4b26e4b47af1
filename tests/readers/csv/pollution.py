"""Clean tables with known cells, written as CSV in the ways of the world, and spoiled in all the ways that are known.

Each kind is a function from a random generator and a clean table to a `Polluted`: bytes, and the cells that they must read
as, where they are read at all. `certain` marks what has but one meaning, and is to be read; anything else may be refused.

Left out is what no reader can know: a file that ends inside its last cell, a row that was swapped for another, a row of
totals that looks like a row.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

WORDS = [
    "Bonn", "Köln", "New York", "O'Neill", "naïve", "日本", "a, b", 'say "hi"', "two\nlines", "C:\\tmp", "x;y", "tab\there",
    "x|y", "", "NA", "007", "trailing ", "100 %", "smile 🙂", 'the 5" disk', "one,two,three", "#1", "-", "3-4",
]  # fmt: skip
NAMES = ["city", "street", "größe", "note", "price (EUR)", "colour", "kind", "first name", "O'x", "id"]

INDEX = "Unnamed: 0"


@dataclass(frozen=True)
class Clean:
    """A table as it was meant: names, and rows of text."""

    names: list[str]
    rows: list[list[str]]
    numeric: list[int]
    """The columns of numbers."""


@dataclass(frozen=True)
class Polluted:
    """Bytes that came of a table, and what they must read as."""

    kind: str
    data: bytes
    clean: Clean
    certain: bool
    suffix: str = ".csv"
    nameless: bool = False
    """There is no header: the names are c1, c2, …"""


@dataclass(frozen=True)
class Style:
    """One way of writing."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    end: str = "\n"
    every: bool = False
    """Every cell is quoted."""

    def cell(self, text: str, single: bool = False) -> str:
        special = (self.delimiter, self.quote, "\n", "\r", *self.escape)
        if not (self.every or any(sign in text for sign in special) or (single and not text)):
            return text
        if self.escape:
            text = text.replace(self.escape, self.escape * 2).replace(self.quote, self.escape + self.quote)
        else:
            text = text.replace(self.quote, self.quote * 2)
        return self.quote + text + self.quote

    def line(self, row: list[str]) -> str:
        return self.delimiter.join(self.cell(text, len(row) == 1) for text in row)

    def lines(self, clean: Clean) -> list[str]:
        return [self.line(row) for row in [clean.names, *clean.rows]]

    def write(self, clean: Clean) -> str:
        return "".join(line + self.end for line in self.lines(clean))


def make_clean(rng: random.Random, words: list[str] | None = None) -> Clean:
    """2 to 6 columns, at least one of numbers, which proves the header; 4 to 30 rows, none of them alike."""
    width = rng.randint(2, 6)
    names = rng.sample(NAMES, width)
    numeric = sorted(rng.sample(range(width), rng.randint(1, width - 1)))
    pool = words or WORDS
    rows = []
    for index in range(rng.randint(4, 30)):
        row = [rng.choice(pool) for _ in range(width)]
        for column in numeric:
            row[column] = (
                str(index) if column == numeric[0] else rng.choice(["", f"{rng.gauss(0, 100):.2f}", str(rng.randint(-9, 999))])
            )
        rows.append(row)
    rows[-1] = [text or "end" if column not in numeric else text or "1" for column, text in enumerate(rows[-1])]
    return Clean(names, rows, numeric)


PLAIN = [word for word in WORDS if word and not set(word) & set("\",;|\t\n\\'")]
"""Words that need no quotes in any way of writing."""
QUOTED = ["a, b", 'say "hi"', "two\nlines", "one,two,three"]

Kind = Callable[[random.Random, Clean], Polluted]
KINDS: dict[str, Kind] = {}


def kind(certain: bool = False) -> Callable[[Callable[[random.Random, Clean], object]], Kind]:
    """Register a kind under its function's name. It returns text, bytes, or a `Polluted`."""

    def register(make: Callable[[random.Random, Clean], object]) -> Kind:
        name = make.__name__

        def polluted(rng: random.Random, clean: Clean) -> Polluted:
            made = make(rng, clean)
            if isinstance(made, Polluted):
                return replace(made, kind=name, certain=made.certain and certain)
            data = made.encode() if isinstance(made, str) else made
            assert isinstance(data, bytes)
            return Polluted(name, data, clean, certain)

        KINDS[name] = polluted
        return polluted

    return register


def pollute(seed: int, count: int) -> Iterator[Polluted]:
    """`count` files, the kinds in turn."""
    rng = random.Random(seed)
    names = list(KINDS)
    for index in range(count):
        yield KINDS[names[index % len(names)]](rng, make_clean(rng))


# ways of writing that have one meaning -------------------------------------------------------------------------------


@kind(certain=True)
def nothing_wrong(rng, clean):
    return Style().write(clean)


@kind(certain=True)
def all_quoted(rng, clean):
    return Style(every=True).write(clean)


@kind(certain=True)
def other_delimiter(rng, clean):
    return Style(delimiter=rng.choice(";\t|")).write(clean)


@kind(certain=True)
def space_after_each_delimiter(rng, clean):
    clean = make_clean(rng, [*PLAIN, *QUOTED])
    clean = replace(clean, rows=[[text or "0" for text in row] for row in clean.rows])
    text = "\n".join(", ".join(Style().cell(cell) for cell in row) for row in [clean.names, *clean.rows]) + "\n"
    return Polluted("", text.encode(), clean, certain=True)


@kind(certain=True)
def apostrophe_as_quote(rng, clean):
    clean = make_clean(rng, [*PLAIN, "a, b", "x, y, z"])
    names = [name.replace("'", "") for name in clean.names]
    clean = replace(clean, names=names)
    clean.rows[0][next(index for index in range(len(names)) if index not in clean.numeric)] = "it, is"
    return Polluted("", Style(quote="'", every=rng.random() < 0.5).write(clean).encode(), clean, certain=True)


@kind(certain=True)
def backslash_as_escape(rng, clean):
    clean = make_clean(rng, [*PLAIN, 'say "hi"', "a, b", '6" of 7"'])
    clean.rows[0][next(index for index in range(len(clean.names)) if index not in clean.numeric)] = 'so "it" is'
    return Polluted("", Style(escape="\\", every=rng.random() < 0.5).write(clean).encode(), clean, certain=True)


@kind(certain=True)
def windows_line_ends(rng, clean):
    return Style(end="\r\n", every=rng.random() < 0.3).write(clean)


@kind(certain=True)
def old_mac_line_ends(rng, clean):
    return Style(end="\r").write(clean)


@kind(certain=True)
def mixed_line_ends(rng, clean):
    return "".join(line + rng.choice(["\n", "\r\n", "\r"]) for line in Style().lines(clean))


@kind(certain=True)
def doubled_carriage_returns(rng, clean):
    return Style(end="\r\r\n").write(clean)


@kind(certain=True)
def no_last_line_end(rng, clean):
    return Style(end=rng.choice(["\n", "\r\n", "\r"])).write(clean).rstrip("\r\n")


@kind(certain=True)
def blank_lines_at_the_end(rng, clean):
    return Style().write(clean) + "\n" * rng.randint(1, 4)


@kind(certain=True)
def blank_lines_at_the_start(rng, clean):
    return "\n" * rng.randint(1, 3) + Style().write(clean)


@kind(certain=True)
def byte_order_mark(rng, clean):
    return b"\xef\xbb\xbf" * rng.choice([1, 1, 2]) + Style().write(clean).encode()


@kind(certain=True)
def utf_16(rng, clean):
    return Style(end=rng.choice(["\n", "\r\n"])).write(clean).encode(rng.choice(["utf-16", "utf-32"]))


@kind(certain=True)
def utf_16_big_endian(rng, clean):
    return b"\xfe\xff" + Style().write(clean).encode("utf-16-be")


@kind(certain=True)
def compressed(rng, clean):
    return Polluted("", gzip.compress(Style().write(clean).encode()), clean, certain=True, suffix=".csv.gz")


@kind(certain=True)
def comments_before_the_header(rng, clean):
    return "".join(f"# line {index} of 3\n" for index in range(rng.randint(1, 3))) + Style().write(clean)


@kind(certain=True)
def title_before_the_header(rng, clean):
    return rng.choice(["Report of May", '"Sales"', "Export"]) + "\n" * rng.randint(2, 3) + Style().write(clean)


@kind(certain=True)
def separator_line(rng, clean):
    delimiter = rng.choice(";,\t")
    return f"sep={delimiter}\n" + Style(delimiter=delimiter).write(clean)


@kind(certain=True)
def delimiter_at_every_end(rng, clean):
    return "".join(line + ",\n" for line in Style().lines(clean))


@kind(certain=True)
def no_header(rng, clean):
    text = Style().write(clean).partition("\n")[2]
    return Polluted("", text.encode(), clean, certain=True, nameless=True)


@kind(certain=True)
def quotes_inside_an_unquoted_cell(rng, clean):
    column = next(index for index in range(len(clean.names)) if index not in clean.numeric)
    lines = Style().lines(clean)
    at = rng.randrange(len(clean.rows))
    clean.rows[at][column] = "37'8\"N 121'9\"W"
    row = [clean.rows[at][column] if index == column else Style().cell(text) for index, text in enumerate(clean.rows[at])]
    lines[at + 1] = ",".join(row)
    return Polluted("", ("\n".join(lines) + "\n").encode(), clean, certain=True)


@kind(certain=True)
def decimal_comma(rng, clean):
    rows = [[text.replace(".", ",") if at in clean.numeric else text for at, text in enumerate(row)] for row in clean.rows]
    clean = replace(clean, rows=rows)
    return Polluted("", Style(delimiter=";").write(clean).encode(), clean, certain=True)


@kind(certain=True)
def thousands_marks(rng, clean):
    rows = [
        [f"{rng.randint(1000, 10**8):,}" if at in clean.numeric[1:] else text for at, text in enumerate(row)]
        for row in clean.rows
    ]
    clean = replace(clean, rows=rows)
    return Polluted("", Style().write(clean).encode(), clean, certain=True)


@kind(certain=True)
def numbers_beyond_any_integer(rng, clean):
    rows = [
        [str(2**63 + index) if at in clean.numeric[:1] else text for at, text in enumerate(row)]
        for index, row in enumerate(clean.rows)
    ]
    clean = replace(clean, rows=rows)
    return Polluted("", Style().write(clean).encode(), clean, certain=True)


# what is broken ------------------------------------------------------------------------------------------------------


def _spoiled(rng, clean, change, *, style=None, header=False):
    """One line changed, of the rows or (sometimes) of the header."""
    style = style or Style(every=rng.random() < 0.5)
    lines = style.lines(clean)
    at = 0 if header and rng.random() < 0.2 else rng.randrange(1, len(lines))
    lines[at] = change(lines[at])
    return style.end.join(lines) + style.end


@kind()
def row_with_more_cells(rng, clean):
    return _spoiled(rng, clean, lambda line: line + "," + rng.choice(["", "x", "1,2", '"y"']), header=True)


@kind()
def delimiter_at_the_end_of_rows(rng, clean):
    head, *rows = Style().lines(clean)
    return head + "\n" + "".join(line + ",\n" for line in rows)


@kind()
def row_with_fewer_cells(rng, clean):
    style = Style(every=rng.random() < 0.5)
    lines = style.lines(clean)
    at = rng.randrange(1, len(lines))
    lines[at] = style.line(clean.rows[at - 1][: rng.randint(1, len(clean.names) - 1)])
    return "\n".join(lines) + "\n"


@kind()
def quote_never_closed(rng, clean):
    def change(line):
        ends = [at for at, char in enumerate(line) if char == '"']
        at = rng.choice(ends) if ends else 0
        return line[:at] + line[at + 1 :] if ends else '"' + line

    return _spoiled(rng, clean, change, header=True)


@kind()
def stray_quote(rng, clean):
    def change(line):
        at = rng.randint(0, len(line))
        return line[:at] + '"' + line[at:]

    return _spoiled(rng, clean, change, header=True)


@kind()
def text_after_a_closing_quote(rng, clean):
    return _spoiled(rng, clean, lambda line: line.replace('"', '"x', 2)[:-1] + '"z' if line.endswith('"') else '"q"x' + line)


@kind()
def space_before_a_quote(rng, clean):
    return _spoiled(
        rng, clean, lambda line: line.replace(',"', ', "', 1) if ',"' in line else ' "' + line, style=Style(every=True)
    )


@kind()
def quotes_left_out(rng, clean):
    clean = make_clean(rng, QUOTED)
    column = next(index for index in range(len(clean.names)) if index not in clean.numeric)
    lines = Style().lines(clean)
    at = rng.randrange(len(clean.rows))
    raw = clean.rows[at][column]
    told = raw.replace('"', '""')
    lines[at + 1] = ",".join(told if index == column else Style().cell(text) for index, text in enumerate(clean.rows[at]))
    return Polluted("", ("\n".join(lines) + "\n").encode(), clean, certain=False)


@kind()
def zero_byte(rng, clean):
    def change(line):
        at = rng.randint(0, len(line))
        return line[:at] + "\0" + line[at:]

    return _spoiled(rng, clean, change, header=True)


@kind()
def byte_order_mark_amid_the_rows(rng, clean):
    return _spoiled(rng, clean, lambda line: "\ufeff" + line)


@kind()
def wrong_encoding(rng, clean):
    clean = make_clean(rng, ["Köln", "naïve", "Ärger", "größe", "x"])
    clean.rows[-1][next(index for index in range(len(clean.names)) if index not in clean.numeric)] = "Ürdingen"
    data = Style().write(clean).encode(rng.choice(["latin-1", "cp1252", "mac-roman", "cp850"]))
    return Polluted("", data, clean, certain=False)


@kind()
def one_cell_in_another_encoding(rng, clean):
    line = f"{','.join(['é'] * len(clean.names))}\n".encode("latin-1")
    return Style().write(clean).encode() + line


@kind()
def utf_16_without_a_mark(rng, clean):
    return Style().write(clean).encode(rng.choice(["utf-16-le", "utf-16-be"]))


@kind()
def japanese_encoding(rng, clean):
    clean = make_clean(rng, ["日本", "東京", "大阪"])
    names = [f"n{index}" for index in range(len(clean.names))]
    clean = replace(clean, names=names)
    return Polluted("", Style().write(clean).encode(rng.choice(["shift_jis", "euc-jp"])), clean, certain=False)


@kind()
def name_twice(rng, clean):
    names = [clean.names[0], *clean.names[1:-1], clean.names[0]]
    return Style().write(replace(clean, names=names))


@kind()
def empty_name(rng, clean):
    names = list(clean.names)
    at = rng.randrange(len(names))
    names[at] = rng.choice(["", " "])
    data = Style().write(replace(clean, names=names)).encode()
    index = [INDEX if not at else names[0], *clean.names[1:]]
    return Polluted("", data, replace(clean, names=index), certain=False)


@kind()
def header_over_two_lines(rng, clean):
    head, *rows = Style().lines(clean)
    units = ",".join(rng.choice(["(m)", "unit", "kg"]) for _ in clean.names)
    return "\n".join([head, units, *rows]) + "\n"


@kind()
def header_again(rng, clean):
    lines = Style().lines(clean)
    at = rng.randint(1, len(lines))
    return "\n".join([*lines[:at], lines[0], *lines[at:]]) + "\n"


@kind()
def two_tables_with_a_blank_line(rng, clean):
    return Style().write(clean) + "\n" * rng.randint(1, 2) + Style().write(make_clean(rng))


@kind()
def two_tables_without_one(rng, clean):
    other = [["name", *("xyz" for _ in clean.names[1:])], *clean.rows]
    return Style().write(clean) + "".join(Style().line(row) + "\n" for row in other)


@kind()
def blank_line_amid_the_rows(rng, clean):
    return _spoiled(rng, clean, lambda line: "\n" + line)


@kind()
def title_without_a_blank_line(rng, clean):
    return rng.choice(["Report of May", '"Sales"', "Export"]) + "\n" + Style().write(clean)


@kind()
def title_of_several_cells(rng, clean):
    return "Report" + "," * (len(clean.names) - 1) + "\n" + Style().write(clean)


@kind()
def title_as_wide_as_the_table(rng, clean):
    return Style().line([f"about {name}" for name in clean.names]) + "\n" + Style().write(clean)


@kind()
def footnote(rng, clean):
    return Style().write(clean) + rng.choice(["-- end of report --\n", "Source: the office\n", "\nTotal\n", "(42 rows)\n"])


@kind()
def footnote_as_wide_as_the_table(rng, clean):
    clean = make_clean(rng)
    while len(clean.names) < 3:
        clean = make_clean(rng)
    note = "Source: office" + "," * (len(clean.names) - 1) + "\n"
    return Polluted("", (Style().write(clean) + note * rng.randint(1, 3)).encode(), clean, certain=False)


@kind()
def comment_amid_the_rows(rng, clean):
    return _spoiled(rng, clean, lambda line: "# checked\n" + line)


@kind()
def other_delimiter_in_one_line(rng, clean):
    style = Style(delimiter=";")
    lines = Style().lines(clean)
    at = rng.randrange(len(lines))
    lines[at] = style.line([clean.names, *clean.rows][at])
    return "\n".join(lines) + "\n"


@kind()
def other_quote_in_one_line(rng, clean):
    style = Style(quote="'", every=True)
    lines = Style(every=True).lines(clean)
    at = rng.randrange(1, len(lines))
    lines[at] = style.line(clean.rows[at - 1])
    return "\n".join(lines) + "\n"


@kind()
def escape_in_one_line(rng, clean):
    clean = make_clean(rng, ['say "hi"', '5"', "x"])
    column = next(index for index in range(len(clean.names)) if index not in clean.numeric)
    at = rng.randrange(len(clean.rows))
    clean.rows[at][column] = rng.choice(['5"', '"x" and y', 'a "b" c'])
    lines = Style().lines(clean)
    lines[at + 1] = Style(escape="\\").line(clean.rows[at])
    return Polluted("", ("\n".join(lines) + "\n").encode(), clean, certain=False)


@kind()
def delimiter_of_two_characters(rng, clean):
    clean = make_clean(rng, PLAIN)
    mark = rng.choice(["\t\t", "||", "::", ";;", " | "])
    rows = [clean.names, *clean.rows]
    return Polluted("", ("\n".join(mark.join(row) for row in rows) + "\n").encode(), clean, certain=False)


@kind()
def spaces_as_delimiter(rng, clean):
    clean = make_clean(rng, ["a", "b", "cc", "d-e"])
    clean = replace(clean, names=[f"n{index}" for index in range(len(clean.names))])
    rows = [clean.names, *([text or "0" for text in row] for row in clean.rows)]
    clean = replace(clean, rows=rows[1:])
    return Polluted("", ("\n".join(" ".join(row) for row in rows) + "\n").encode(), clean, certain=False)


@kind()
def delimiter_that_fits_two_ways(rng, clean):
    clean = make_clean(rng, ["a;b", "c;d", "x;y"])
    rows = [[f"{row[0]};u", *row[1:]] if 0 in clean.numeric else row for row in clean.rows]
    names = [f"{clean.names[0]};v", *clean.names[1:]]
    clean = Clean(names, rows, clean.numeric)
    return Polluted("", Style().write(clean).encode(), clean, certain=False)


@kind()
def line_end_in_an_unquoted_cell(rng, clean):
    def change(line):
        at = rng.randint(1, max(1, len(line) - 1))
        return line[:at] + rng.choice(["\n", "\r", "\r\n"]) + line[at:]

    clean = make_clean(rng, PLAIN)
    return Polluted("", _spoiled(rng, clean, change, style=Style(), header=True).encode(), clean, certain=False)


@kind()
def two_names_in_one_over_an_empty_column(rng, clean):
    """Byte for byte it is a table with a comma at the end of every row, so it is read as one."""
    head = Style().line([clean.names[0] + clean.names[1], *clean.names[2:], "comments"])
    lines = [head, *(Style().line([*row, ""]) for row in clean.rows)]
    names = [clean.names[0] + clean.names[1], *clean.names[2:], "comments"]
    return Polluted("", ("\n".join(lines) + "\n").encode(), replace(clean, names=names), certain=False)


@kind()
def two_rows_in_one_line(rng, clean):
    lines = Style().lines(clean)
    at = rng.randrange(len(lines) - 1)
    return "\n".join([*lines[:at], lines[at] + lines[at + 1], *lines[at + 2 :]]) + "\n"


@kind()
def text_without_a_header(rng, clean):
    names, rows = ["a", "b"], [[rng.choice(PLAIN), rng.choice(PLAIN)] for _ in range(rng.randint(3, 20))]
    table = Clean(names, rows, [])
    text = "".join(",".join(row) + "\n" for row in rows)
    return Polluted("", text.encode(), table, certain=False, nameless=True)


@kind()
def text_with_a_header(rng, clean):
    rows = [[rng.choice(PLAIN), rng.choice(PLAIN)] for _ in range(rng.randint(3, 20))]
    table = Clean(["a", "b"], rows, [])
    return Polluted("", Style().write(table).encode(), table, certain=False)


@kind()
def compressed_and_cut_off(rng, clean):
    data = gzip.compress(Style().write(clean).encode())
    return Polluted("", data[: rng.randrange(20, len(data) - 1)], clean, certain=False, suffix=".csv.gz")


@kind()
def years_as_names(rng, clean):
    width = rng.randint(3, 6)
    names = ["country", *(str(2018 + index) for index in range(1, width))]
    rows = [[f"c{index}", *(f"{rng.gauss(0, 9):.1f}" for _ in names[1:])] for index in range(rng.randint(3, 12))]
    table = Clean(names, rows, list(range(1, width)))
    return Polluted("", Style().write(table).encode(), table, certain=False)


@kind()
def one_column(rng, clean):
    rows = [[str(rng.randint(0, 99))] for _ in range(rng.randint(3, 12))]
    table = Clean(["n"], rows, [0])
    text = Style(end=rng.choice(["\n", "\r\n", "\r"])).write(table)
    at = rng.choice([0, len(text)])
    return Polluted("", (text[:at] + rng.choice(["", "\n", "\r"]) + text[at:]).encode(), table, certain=False)


def expected(polluted: Polluted) -> tuple[list[str], list[list[str]]]:
    """Names and rows, as they must come out where they come out at all."""
    clean = polluted.clean
    names = [f"c{index + 1}" for index in range(len(clean.names))] if polluted.nameless else clean.names
    return names, clean.rows
