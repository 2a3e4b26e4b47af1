"""How a CSV file is written: what is found and said, what is told by flags, and where it stops."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from conftest import Command, WriteTable
from hypothesis import given, settings
from hypothesis import strategies as st
from pollution import Clean, Style

from tensorize import prepare
from tensorize.core.contracts import Run
from tensorize.core.errors import DataError, TensorizeError, UsageError
from tensorize.engine.threads import ThreadEngine
from tensorize.loaders import read_table
from tensorize.loaders.table import Table


def rows(path: Path, **options: object) -> list[list[str]]:
    table = read_table(path, **options)
    return [table.column_names, *(list(row.values()) for row in table.to_pylist())]


def notes(path: Path, **options: object) -> list[str]:
    loader = Table()
    with loader.open(str(path), loader.Options.parse(dict(options)), Run(ThreadEngine())) as scan:
        return list(scan.facts.notes)


# what is repaired, and said ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xef\xbb\xbfa,b\n1,x\n2,y\n", []),
        ("a,b\n1,x\n2,y\n".encode("utf-16"), ["encoding utf-16"]),
        ("a,b\n1,x\n2,y\n".encode("utf-32"), ["encoding utf-32"]),
        ("a,b\n1,x\r\n2,y\n", ["mixed line ends"]),
        ("a,b\r1,x\r2,y\r", ["line ends are carriage returns"]),
        ("a,b\r\r\n1,x\r\r\n2,y\r\r\n", []),
        ("a,b\n1,x\n2,y\n\n\n", []),
        ("\n\na,b\n1,x\n2,y", []),
        ("'a','b'\n'1','x'\n'2','y'\n", ['quote "\'"']),
        ("# made by hand\n# twice\na,b\n1,x\n2,y\n", ["left out before the header: lines 1 to 2"]),
        ("A report\n\na,b\n1,x\n2,y\n", ["left out before the header: lines 1 to 2"]),
        ("sep=,\na,b\n1,x\n2,y\n", []),
        ("a,b,\n1,x,\n2,y,\n", ["a delimiter at the end of every line"]),
        ("a,b\n1,x,\n2,y,\n", ["a delimiter at the end of every row"]),
        ("The yearly report of sales\na,b\n1,x\n2,y\n", ["left out before the header: line 1"]),
        ("a, b\n1, x\n2, y\n", ['delimiter "," and a space']),
        ("a,   b\n1,      x\n2, y\n", ['delimiter "," and a space']),
        ('a,   b\n"1",      "x"\n"2", "y"\n', ['delimiter "," and a space']),
        ("a^b\n1^x\n2^y\n", ['delimiter "^"']),
    ],
)
def test_what_is_certain_is_repaired_and_said(write: WriteTable, text: str | bytes, said: list[str]) -> None:
    path = write(text)
    assert rows(path) == [["a", "b"], ["1", "x"], ["2", "y"]]
    found = notes(path)
    assert found[0].startswith("delimiter")
    assert [note for note in found if note != 'delimiter ","'] == said


def test_a_backslash_before_quotes_is_found(write: WriteTable) -> None:
    path = write('a,b\n1,"x \\"y\\""\n2,"c:\\\\"\n')
    assert rows(path) == [["a", "b"], ["1", 'x "y"'], ["2", "c:\\"]]
    assert 'escape "\\"' in notes(path)


def test_quotes_inside_an_unquoted_cell_are_kept_and_said(write: WriteTable) -> None:
    path = write("a,b\n1,37'8\"N 121'9\"W\n")
    assert rows(path) == [["a", "b"], ["1", "37'8\"N 121'9\"W"]]
    assert "quotes inside 1 row kept as they are" in notes(path)


# what is told --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "want"),
    [
        ("Export\na,b\n1,x\n", {"skip_lines": 1}, [["a", "b"], ["1", "x"]]),
        ("a b\n1 x\n", {"delimiter": " "}, [["a", "b"], ["1", "x"]]),
        ("full name\nAnn Lee\n", {"delimiter": ",", "header": "yes"}, [["full name"], ["Ann Lee"]]),
        ("a,b\n1,'x'\n", {"quote": '"'}, [["a", "b"], ["1", "'x'"]]),
        ("a,b\n1,'x, y'\n", {"quote": "'"}, [["a", "b"], ["1", "x, y"]]),
        ('a,b\n1,5" x\n', {"quote": "none"}, [["a", "b"], ["1", '5" x']]),
        ("a,b\n1,x\\,y\n", {"escape": "\\"}, [["a", "b"], ["1", "x,y"]]),
        ('a,b\n1,"x^"y"\n', {"escape": "^"}, [["a", "b"], ["1", 'x"y']]),
        ("a,b\n1,x\\y\n", {"escape": "\\"}, [["a", "b"], ["1", "xy"]]),
        ('a,b\n1,"x\\"\n', {"escape": "none"}, [["a", "b"], ["1", "x\\"]]),
        ("a,b\n1,x\n\n2,y\n", {"blank": "skip"}, [["a", "b"], ["1", "x"], ["2", "y"]]),
        ("a\n1\n\n2\n", {"blank": "missing"}, [["a"], ["1"], [""], ["2"]]),
        ("a\n1\n\n2\n\n", {"blank": "skip"}, [["a"], ["1"], ["2"]]),
        ("a\n\n1\n2\n", {"blank": "skip"}, [["a"], ["1"], ["2"]]),
        ("a\n\n1\n2\n", {"blank": "missing"}, [["a"], [""], ["1"], ["2"]]),
        ("\na\n1\n2\n", {}, [["a"], ["1"], ["2"]]),
        ("\na,b\n\n1,x\n2,y\n\n", {}, [["a", "b"], ["1", "x"], ["2", "y"]]),
        ("country,2019,2020\nDE,1.5,2.5\n", {"header": "yes"}, [["country", "2019", "2020"], ["DE", "1.5", "2.5"]]),
        ("x,y\nz,w\n", {"header": "no"}, [["c1", "c2"], ["x", "y"], ["z", "w"]]),
        ("h,i\n(m),(s)\n1,2\n3,4\n", {"names": "a,b", "header": "no", "skip_lines": 2}, [["a", "b"], ["1", "2"], ["3", "4"]]),
        ("a |b\n1 |x\n", {"delimiter": "|"}, [["a ", "b"], ["1 ", "x"]]),
    ],
)
def test_flags_settle_what_the_file_cannot_tell(
    write: WriteTable, text: str, options: dict[str, object], want: list[list[str]]
) -> None:
    path = write(text)
    assert rows(path, **options) == want
    assert rows(path, chunk_bytes=1, **options) == want


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a b\n1 x\n2 y\n", ["is it one column", '--delimiter " "']),
        ("red,2019,2020\nblue,1.5,2.5\n", [":1  is the first line a header", "--header yes"]),
        ("x,y\nz,w\n", [":1  is the first line a header", "--header yes"]),
        (",a\n0,x\n7,y\n", ["is the first line a header"]),
        ("Berlin,\nParis,100\nRome,87\n", ["is the first line a header"]),
        ("red,1990,2000,2010\nblue,27619,12402,64044\nblack,812,4411,9023\n", ["is the first line a header"]),
        ("a,,b\n1,x,2\n3,y,4\n", ["column 2 of the header has no name", '--names "a,c2,b"']),
        ("a,b,a\n1,x,2\n3,y,4\n", ['names "a" more than once', '--names "a,b,a_2"']),
        ("h,i\n(m),(s)\n1,2\n3,4\n", [":2  seems to be a second line of the header", "--skip-lines 2"]),
        ("Export\na,b\n1,x\n2,y\n", ["1 line stands before a table of 2 columns", "--skip-lines 1"]),
        ("a,b\n1,'x'\n2,'y'\n", ["between apostrophes", "--quote"]),
        ("a,b\n1,x\n\n2,y\n", ["1 line is blank", "d.csv:3", "--blank skip"]),
        ("a\n\n1\n2\n", ["1 line is blank", "d.csv:2", "--blank missing", "--blank skip"]),
        ("a\n1\n2\n\n", ["1 line is blank", "d.csv:4", "--blank skip"]),
        ("a,b\n1,x\na,b\n2,y\n", ["1 row is the header again", "d.csv:3"]),
        ("a,b,c\n1,x,y\n2,x,y\nsource: me,,\n", ["1 row at the end holds one cell", "d.csv:4"]),
        ("a,b\n1,x\0\n", ["1 cell holds a zero byte", "d.csv:2  b"]),
        (b"a,b\n1,x\n2,z\n\xef\xbb\xbf3,y\n", ["1 row begins with a byte order mark", "d.csv:4"]),
        ("a,b\n1,x\n".encode("utf-16-le"), ["UTF-16 without a byte order mark", "--encoding utf-16-le"]),
        ("a,b\n1,x\n".encode("utf-16-be"), ["--encoding utf-16-be"]),
        ("a\n1\r2\n3\n", ["carriage return"]),
        ("a | b\n1 | x\n", ["spaces stand on both sides", '--delimiter "|"']),
        ("a,b\n1,x\n2,y\nname,colour\n3,z\n", ["1 row does not belong to the table", "d.csv:4"]),
        ("a,b\n1,\"x\"\n2,y\n'3','z'\n", ["1 row does not belong to the table", "d.csv:4"]),
    ],
)
def test_what_is_not_certain_is_refused_with_a_way_out(write: WriteTable, text: str | bytes, said: list[str]) -> None:
    path = write(text)
    with pytest.raises(DataError) as error:
        read_table(path)
    assert [part for part in said if part not in str(error.value)] == []
    with pytest.raises(DataError) as again:
        read_table(path, chunk_bytes=1, threads=2)
    assert str(again.value) == str(error.value)


def test_an_encoding_that_the_mark_denies_is_refused(write: WriteTable) -> None:
    with pytest.raises(DataError, match="byte order mark of UTF-8"):
        read_table(write(b"\xef\xbb\xbfa,b\n1,x\n"), encoding="latin-1")
    with pytest.raises(UsageError, match='no encoding "utf-9"'):
        read_table(write("a,b\n1,x\n"), encoding="utf-9")


@pytest.mark.parametrize(
    "options", [{"delimiter": "ab"}, {"quote": "ab"}, {"escape": "ab"}, {"quote": "\n"}, {"skip_lines": 9}]
)
def test_a_sign_is_one_character(write: WriteTable, options: dict[str, object]) -> None:
    with pytest.raises(TensorizeError):
        read_table(write("a,b\n1,x\n"), **options)


# numbers -------------------------------------------------------------------------------------------------------------


def test_thousands_marks_are_refused_and_read_where_told(write: WriteTable) -> None:
    path = write('n;m\n1,234,567;1\n2,345;2\n"1,000";3\n')
    with pytest.raises(DataError, match="--thousands"):
        prepare("table", path, scale="none")
    ts = prepare("table", path, thousands=",", scale="none")
    assert ts["features"].tolist() == [[1234567, 1], [2345, 2], [1000, 3]]
    german = prepare("table", write("n;m\n1.234,5;1\n12.000,25;2\n"), decimal=",", thousands=".", scale="none")
    assert german["features"].tolist() == [[1234.5, 1], [12000.25, 2]]


def test_a_comma_that_may_be_both_is_no_decimal_mark(write: WriteTable) -> None:
    with pytest.raises(DataError) as error:
        prepare("table", write("n;m\n1,234;1\n2,345;2\n"))
    assert "--decimal" in error.value.hint
    assert prepare("table", write("n;m\n1,234;1\n2,345;2\n"), decimal=",", scale="none")["features"][
        0, 0
    ].item() == pytest.approx(1.234)


# limits --------------------------------------------------------------------------------------------------------------


def test_limits_are_named(write: WriteTable) -> None:
    wide = write(",".join(f"n{index}" for index in range(300)) + "\n" + ",".join("1" for _ in range(300)) + "\n")
    with pytest.raises(DataError, match="has 300 columns") as columns:
        read_table(wide, max_columns=299)
    assert "--max-columns 300" in columns.value.hint
    with pytest.raises(DataError, match="--max-header"):
        read_table(wide, max_header=200)
    long = write('a,b\n1,x\n2,"' + "y" * 500 + '"\n3,' + "z" * 500 + "\n")
    for chunk in (64, 1 << 20):
        with pytest.raises(DataError, match="2 cells are longer") as cells:
            read_table(long, max_cell=400, chunk_bytes=chunk)
        assert "d.csv:3" in str(cells.value)
        assert read_table(long, max_cell="400", chunk_bytes=chunk, on_bad="skip", max_bad="2").num_rows == 1
    assert read_table(long, max_cell=600).num_rows == 3


def test_a_bomb_is_refused_before_it_fills_anything(tmp_path: Path) -> None:
    path = tmp_path / "d.csv.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"a,b\n")
        for _ in range(100):
            file.write(b"1,2\n" * 250_000)
    with pytest.raises(DataError, match="grows to more than 50 times its size") as error:
        read_table(path, max_expansion=50)
    assert "--max-expansion" in error.value.hint


def test_a_compressed_file_that_is_cut_off_is_named(write: WriteTable) -> None:
    data = gzip.compress(b"a,b\n" + b"1,x\n" * 1000)
    with pytest.raises(DataError, match="cannot be read to its end"):
        read_table(write(data[:-9], "d.csv.gz"))


# what is left out ----------------------------------------------------------------------------------------------------

BAD = 'n,word\n0,a\n1,b,c\n2,"d\ne"\n3,"f"g\nx,h\n5,\xff\n6,i\n'.encode("latin-1")


def test_bad_rows_are_left_out_counted_and_listed_and_the_others_keep_their_places(write: WriteTable, tmp_path: Path) -> None:
    path, out = write(BAD), tmp_path / "bad.jsonl"
    for chunk in (1, 1 << 20):
        ts = prepare("table", path, on_bad="skip", max_bad="4", scale="none", rejects=out, force=True, chunk_bytes=chunk)
        assert ts["row"].tolist() == [0, 2, 6]
        assert ts["features"][:, 0].tolist() == [0, 2, 6]
        found = [json.loads(line) for line in out.read_text("ascii").splitlines()]
        assert [(item["line"], item["row"], item["column"], item["kind"], item["raw"]) for item in found] == [
            (3, 1, None, "ragged", "1,b,c"),
            (6, 3, None, "quote", '3,"f"g'),
            (8, 5, "word", "encoding", "5,\\xff"),
            (7, 4, "n", "cast", "x"),
        ]
    with pytest.raises(DataError, match=r"4 of 7 rows \(57%\) are bad"):
        prepare("table", path, on_bad="skip", max_bad="3")


def test_bad_rows_of_several_files_keep_their_files(write: WriteTable, tmp_path: Path) -> None:
    paths = [write("n,m\n1,2\n3\n", "a.csv"), write("n,m\n4\n5,6\n", "b.csv")]
    out = tmp_path / "bad.jsonl"
    ts = prepare("table", paths, on_bad="skip", max_bad="50%", scale="none", rejects=out)
    assert ts["row"].tolist() == [0, 3]
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(Path(item["path"]).name, item["line"], item["row"]) for item in found] == [("a.csv", 3, 1), ("b.csv", 2, 2)]


def test_missing_values_beside_bad_rows_are_placed_right(write: WriteTable) -> None:
    path = write('n,m\n1,"a\nb"\n2\n,c\n4,d\n')
    for chunk in (1, 1 << 20):
        with pytest.raises(DataError, match="1 value is missing") as error:
            prepare("table", path, on_bad="skip", max_bad="1", chunk_bytes=chunk)
        assert "d.csv:5  n  (empty)" in str(error.value)


def test_a_column_with_more_words_than_numbers_is_not_skipped_to_numbers(write: WriteTable) -> None:
    path = write("n,m\n1,1\nx,2\ny,3\n")
    with pytest.raises(DataError, match="mixes numbers and words"):
        prepare("table", path, on_bad="skip", max_bad="100%")
    ts = prepare("table", path, on_bad="skip", max_bad="100%", type="n:number", scale="none")
    assert ts["row"].tolist() == [0]


def test_a_recipe_reads_new_data_as_the_old(write: WriteTable, tmp_path: Path) -> None:
    ts = prepare("table", write("n;word\n1;x\n2;y\n3\n4;x\n"), on_bad="skip", max_bad="1", scale="none")
    again = ts.recipe.apply(write("n;word\n7;y\n8\n9;x\n", "new.csv"))
    assert again["row"].tolist() == [0, 2]
    assert again["features"][:, 0].tolist() == [7, 9]


def test_the_command_says_what_it_found_and_skipped(write: WriteTable, tensorize: Command) -> None:
    write("# notes\nn;word\n1;x\n2;y\n3\n4;x\r\n")
    done = tensorize("table", "d.csv", "--on-bad", "skip", "--max-bad", "1", "-o", "o.h5")
    assert done.returncode == 0, done.stderr
    for part in (
        'delimiter ";"',
        "left out before the header: line 1",
        "mixed line ends",
        "1 of 4 rows",
        "d.csv:5",
        "1 ragged",
    ):
        assert part in done.stdout + done.stderr


# the same whatever the chunks ----------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.text('ab"\n\r,é\\ ', max_size=6), min_size=2, max_size=2), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(1, 40),
)
def test_what_was_written_is_read_wherever_blocks_end(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]], end: str, every: bool, chunk: int
) -> None:
    names, keyed = ["key", "word", "other"], [[str(at), *row] for at, row in enumerate(cells)]
    path = tmp_path_factory.mktemp("t") / "d.csv"
    path.write_bytes(Style(end=end, every=every).write(Clean(names, keyed, [0])).encode())
    told = {"delimiter": ",", "quote": '"', "escape": "none", "header": "yes", "on_bad": "skip", "max_bad": "0"}
    assert rows(path, chunk_bytes=chunk, threads=2, **told) == [names, *keyed]


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 9))
def test_any_bytes_are_read_alike_or_refused_alike_wherever_blocks_end(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("t") / "d.csv"
    path.write_bytes(b"a,b\n1,2\n" + data)

    def outcome(**run: int) -> object:
        try:
            return rows(path, **run)
        except TensorizeError as error:
            return str(error)

    assert outcome(chunk_bytes=chunk, threads=2) == outcome()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoted", ['"x"', '"x"y'])
def test_stretches_of_blank_lines_are_counted_in_little_memory(write: WriteTable, end: str, quoted: str) -> None:
    import tracemalloc

    blanks = 300_000
    text = end.join(["a,b", "1,x", f"2,{quoted}"]) + end * (blanks + 1) + f"3,z{end}"
    path = write(text)
    tracemalloc.start()
    with pytest.raises(DataError) as error:
        read_table(path)
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()
    assert "d.csv:4" in str(error.value)
    assert f"{blanks:,}" in str(error.value)
    if quoted == '"x"':
        assert rows(path, blank="skip", chunk_bytes=1000) == [["a", "b"], ["1", "x"], ["2", "x"], ["3", "z"]]


def test_blank_lines_of_a_single_column_are_missing_values_at_their_lines(write: WriteTable) -> None:
    path = write("a\n1\n\n\n\n4\n\n")
    assert rows(path, blank="missing") == [["a"], ["1"], [""], [""], [""], ["4"], [""]]
    with pytest.raises(DataError, match=r"4 values are missing") as error:
        prepare("table", path, blank="missing")
    assert [f"d.csv:{line}" in str(error.value) for line in (2, 3, 4, 5, 6, 7)] == [False, True, True, True, False, True]


@pytest.mark.parametrize("head", ["a,a,a", "a,a_2,a", "a,b,a,b,a", ",".join(["x"] * 40)])
def test_the_names_that_a_hint_proposes_are_taken(write: WriteTable, head: str) -> None:
    path = write(f"{head}\n" + f"{','.join('1' for _ in head.split(','))}\n" * 3)
    with pytest.raises(DataError, match="more than once") as error:
        prepare("table", path)
    names = error.value.hint.partition('--names "')[2].partition('"')[0]
    made = prepare("table", path, names=names, header="no", skip_lines=1, scale="none")
    assert made.labels("features", "feature") == tuple(names.split(","))
    assert len(set(names.split(","))) == len(head.split(","))
