"""Columns that stand apart by any number of blanks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tensorize import prepare
from tensorize.core.errors import DataError
from tensorize.loaders import read_table
from tensorize.readers.csv.sniff import tabbed, tabbed_pieces

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(text: str) -> Path:
        path = tmp_path / "d.txt"
        path.write_text(text)
        return path

    return make


def rows(path: Path, **options: object) -> list[list[str]]:
    table = read_table(path, **options)
    return [table.column_names, *(list(row.values()) for row in table.to_pylist())]


XYZ = [["x", "y", "z"], ["1", "2.5", "3"], ["14", "5.0", "6"], ["100", "7.25", "9"]]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("x   y     z\n1   2.5   3\n14  5.0   6\n100 7.25  9\n", XYZ),
        ("  x    y     z\n  1    2.5   3\n 14    5.0   6\n100    7.25  9  \n", XYZ),
        ("  x    y     z\r\n  1    2.5   3\r\n 14    5.0   6\r\n100    7.25  9", XYZ),
        ("x y z\n1 2.5 3\n14 5.0 6\n100 7.25 9\n", XYZ),
        (
            '18.0   8   307.0\t"chevelle malibu"\n15.0   8   350.0\t"skylark"\n',
            [["c1", "c2", "c3", "c4"], ["18.0", "8", "307.0", "chevelle malibu"], ["15.0", "8", "350.0", "skylark"]],
        ),
    ],
)
@pytest.mark.parametrize("size", [3, 1 << 20])
def test_columns_apart_by_blanks_are_found_and_told(write: Write, text: str, want: list[list[str]], size: int) -> None:
    path = write(text)
    assert rows(path, delimiter="whitespace", chunk_bytes=size) == want
    if "100 7.25  9" not in text:
        assert rows(path, chunk_bytes=size) == want


@pytest.mark.parametrize("text", ["n\n1 234\n5 678\n", "when\n2020-01-01 10:00\n2020-01-02 11:00\n"])
def test_one_column_stays_one(write: Write, text: str) -> None:
    assert rows(write(text)) == [[line] for line in text.splitlines()]


@pytest.mark.parametrize("text", ["a b\n1 x\n2 y\n", "Ann Lee\nBob Ray\nCarl Poe\n"])
def test_what_may_be_one_column_is_asked(write: Write, text: str) -> None:
    with pytest.raises(DataError, match=r"is it one column|is the first line a header"):
        read_table(write(text))


def test_empty_cells_of_a_tab_separated_file_stay(write: Write) -> None:
    path = write("a\tb\tc\n1\t\t3\n4\t5\t6\n")
    assert rows(path)[1] == ["1", "", "3"]
    path = write("a\tb\n1  2\t3\n4  5\t6\n")
    assert rows(path)[1] == ["1  2", "3"]


def test_a_single_blank_as_delimiter_names_the_way_out(write: Write) -> None:
    path = write("x   y     z\n1   2.5   3\n14  5.0   6\n100 7.25  9\n")
    with pytest.raises(DataError, match="--delimiter whitespace"):
        prepare("table", path, delimiter=" ")
    made = prepare("table", path, delimiter="whitespace")
    assert made.recipe.apply(path)["features"].shape == (3, 3)


def test_rows_keep_their_lines(write: Write) -> None:
    with pytest.raises(DataError) as error:
        read_table(write("x   y   z\n1   2   3\n4   5\n6   7   8\n9   1   2\n"), delimiter="whitespace")
    assert "d.txt:3" in str(error.value)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_the_pieces_of_a_stream_do_not_matter(size: int) -> None:
    text = b'  a   "x  y"\tc  \r\n1\t \t2 3\n\n  \n"q" w" e'
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert b"".join(tabbed_pieces(pieces)) == tabbed(text) == b'a\t"x  y"\tc\r\n1\t2\t3\n\n\n"q"\tw"\te'
