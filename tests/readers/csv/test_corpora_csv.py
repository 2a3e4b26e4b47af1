"""CSV that nobody here made, and what is in it: written down by hand, file for file, and held against what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tensorize.columns.rows import Blocks
from tensorize.core.contracts import Run
from tensorize.core.errors import DataError, TensorizeError
from tensorize.engine.threads import ThreadEngine
from tensorize.loaders import read_table
from tensorize.loaders.table import Table
from tensorize.storage.rejects import collecting

# csv-spectrum --------------------------------------------------------------------------------------------------------

SPECTRUM = [
    "comma_in_quotes",
    "empty",
    "empty_crlf",
    "escaped_quotes",
    "json",
    "location_coordinates",
    "newlines",
    "newlines_crlf",
    "quotes_and_newlines",
    "simple",
    "simple_crlf",
    "utf8",
]


def test_csv_spectrum_is_all_there(corpora: Path) -> None:
    assert sorted(path.stem for path in (corpora / "csv-spectrum/csvs").glob("*.csv")) == SPECTRUM


def wanted(corpora: Path, name: str) -> list[dict[str, str]]:
    """What the JSON says; one object is one row."""
    found = json.loads((corpora / f"csv-spectrum/json/{name}.json").read_text("utf-8"))
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("name", [name for name in SPECTRUM if name not in ("location_coordinates", "newlines_crlf")])
def test_csv_spectrum(corpora: Path, name: str) -> None:
    assert read_table(corpora / f"csv-spectrum/csvs/{name}.csv").to_pylist() == wanted(corpora, name)


def test_location_coordinates_but_for_the_telephone_number_which_differs_between_csv_and_json(corpora: Path) -> None:
    path = corpora / "csv-spectrum/csvs/location_coordinates.csv"
    (row,) = read_table(path).to_pylist()
    (other,) = wanted(corpora, "location_coordinates")
    phone = "Contact Phone Number"
    assert phone in other
    assert row.pop(phone) == path.read_text("utf-8").splitlines()[1].split(",")[0]
    del other[phone]
    assert row == other


@pytest.mark.parametrize("name", ["newlines_crlf", "simple_crlf", "empty_crlf"])
def test_the_files_of_windows_are_read_as_their_json_says_once_their_line_ends_are_back(
    corpora: Path, tmp_path: Path, name: str
) -> None:
    """A checkout may have taken the carriage returns off, which the JSON of `newlines_crlf` has."""
    data = (corpora / f"csv-spectrum/csvs/{name}.csv").read_bytes()
    path = tmp_path / "d.csv"
    path.write_bytes(data if b"\r" in data else data.replace(b"\n", b"\r\n"))
    assert read_table(path).to_pylist() == wanted(corpora, name)
    if b"\r" not in data:
        expected = [{key: cell.replace("\r\n", "\n") for key, cell in row.items()} for row in wanted(corpora, name)]
        assert read_table(corpora / f"csv-spectrum/csvs/{name}.csv").to_pylist() == expected


# duckdb-csv: what is in each file -------------------------------------------------------------------------------------

BARKS = ["name", "age", "current_day", " barks"]
Q = {"quote": "'"}
NO, YES = {"header": "no"}, {"header": "yes"}

READ = {
    # file: (options, columns, rows, {(row, column): cell})
    "decimal_separators/decimal_separators.csv": (
        {},
        ["commas", "periods"],
        5,
        {(2, "commas"): "1,53e4", (4, "periods"): "-1.53e4"},
    ),
    "decimal_separators/decimal_separators_csv.csv": ({}, ["commas", "periods"], 1, {(0, "commas"): "1,2345"}),
    "decimal_separators/invalid_char.csv": (YES, ["foo"], 1, {(0, "foo"): "12ö4"}),
    "decimal_separators/mixed_format_fail.csv": ({"delimiter": ";"}, ["foo"], 3, {(1, "foo"): "145,00", (2, "foo"): "5.25"}),
    "encodings/all_latin1.csv": (
        {"encoding": "latin-1", **NO},
        ["c1"],
        190,
        {(1, "c1"): '"', (11, "c1"): ",", (189, "c1"): "ÿ"},
    ),
    "encodings/all_utf16.csv": ({"on_bad": "skip", **NO}, ["c1"], 63_486, {(0, "c1"): "\x01", (1, "c1"): "\x02"}),
    "encodings/latin1.csv": ({"encoding": "latin-1"}, ["name", "age"], 12, {(0, "name"): "José Álvarez", (11, "age"): "29"}),
    "encodings/latin1.csv.gz": ({"encoding": "latin-1"}, ["name", "age"], 12, {(0, "name"): "José Álvarez", (11, "age"): "29"}),
    "encodings/only_latin1.csv": ({"encoding": "latin-1", **NO}, ["c1", "c2"], 6, {(2, "c2"): "Ø", (4, "c2"): "ðý"}),
    "encodings/only_utf16.csv": (NO, ["c1", "c2"], 6, {(0, "c2"): "Ł", (5, "c2"): "ŁŁ"}),
    "encodings/shift_jis.csv": ({"encoding": "shift_jis"}, ["名前", "年齢"], 20, {(0, "名前"): "名前", (1, "名前"): "山田"}),
    "encodings/utf16.csv": ({}, ["name", "age"], 20, {(0, "name"): "José Álvarez", (12, "name"): "Dvořák Novak"}),
    "encodings/utf16.csv.gz": ({}, ["name", "age"], 20, {(0, "name"): "José Álvarez"}),
    "error/banklist.csv": ({"encoding": "cp1252"}, None, 568, {(0, "City\xa0"): "Sac City", (0, "Cert\xa0"): "8758"}),
    "error/csv_error.csv": ({}, ["c1", "c2"], 3102, {(0, "c2"): "world", (3001, "c1"): "bla"}),
    "error/date.csv": (NO, ["c1", "c2"], 3102, {(0, "c1"): "2008-01-01", (0, "c2"): "worlds"}),
    "error/date_multiple_file/0.csv": (YES, ["date"], 1, {(0, "date"): "1991/12/18"}),
    "error/date_multiple_file/1.csv": (YES, ["date"], 1, {(0, "date"): "1991/12/181991/12/18"}),
    "error/flush_cast.csv": ({}, ["a", "b"], 2813, {(0, "a"): "25-09-2001", (0, "b"): " bla"}),
    "error/json.csv": ({"delimiter": "\t", **NO}, ["c1"], 4, {(1, "c1"): "[not a json]"}),
    "error/mismatch/bad.csv": ({}, ["c1", "c2", "c3", "c4"], 3, {(1, "c2"): "BBB", (2, "c4"): ""}),
    "error/mismatch/bad2.csv": ({}, ["c1", "c2", "c3", "c4"], 3, {(2, "c1"): "EEE"}),
    "error/mismatch/big_bad.csv": ({}, ["c1", "c2"], 4272, {(2175, "c1"): "B", (4175, "c1"): "C", (0, "c2"): "A"}),
    "error/mismatch/big_bad2.csv": ({}, ["c1", "c2"], 6776, {(3679, "c1"): "B", (5679, "c1"): "C"}),
    "error/mismatch/example.tsv": ({}, ["c1", "c2", "c3", "c4"], 3, {(1, "c4"): "NOT_A_NUMBER"}),
    "error/mismatch/half1.csv": ({}, ["num", "str"], 3488, {(2464, "num"): "A"}),
    "error/mismatch/half2.csv": ({}, ["num", "str"], 5614, {(2542, "num"): "A"}),
    "error/mismatch/part1.csv": ({}, ["COL1", "COL2"], 5232, {(3135, "COL2"): "BAD1B"}),
    "error/mismatch/part2.csv": ({}, ["COL1", "COL2"], 5420, {(2323, "COL2"): "BAD2B"}),
    "error/mismatch/part3.csv": ({}, ["COL1", "COL2"], 4153, {(4056, "COL2"): "BAD1C"}),
    "error/mismatch/small1.csv": (YES, ["COL1", "COL2"], 5, {(1, "COL1"): "X"}),
    "error/mismatch/small2.csv": (YES, ["COL1", "COL2"], 4, {(3, "COL2"): "Y"}),
    "error/mixedtypes.csv": (Q, ["i", "world"], 13_400, {(0, "i"): "0", (10_000, "i"): "hello"}),
    "error/mixedtypes_rn.csv": (Q, ["i", "world"], 13_400, {(0, "i"): "0", (10_000, "i"): "hello"}),
    "error/quotednewlines.csv": ({"quote": '"'}, ["i", "'world'"], 10_100, {(10_000, "'world'"): "h\n1,e\n2,l\n3,l\n4,o"}),
    "error/time.csv": (NO, ["c1", "c2"], 3102, {(0, "c1"): "00:01:01"}),
    "error/timestamp.csv": (NO, ["c1", "c2"], 3102, {(0, "c1"): "2020-01-01 00:01:01"}),
    "rejects/dr_who.csv": (
        {"header": "yes"},
        ["date", "datetime", "time", "timestamp", "time_tz"],
        1,
        {(0, "date"): "not-a-date"},
    ),
    "rejects/flush.csv": (YES, ["number"], 7, {(4, "number"): "33.4386,00"}),
    "rejects/maximum_line/max_10.csv": ({}, ["a", "b"], 7, {(3, "a"): "blaaaaaaaaaaaaaa"}),
    "rejects/maximum_line/over_vector.csv": ({}, ["a", "b"], 2925, {(2280, "a"): "blaaaaaaaaaaaaaaaaaaaa"}),
    "rejects/multiple_errors/cast_and_maxline.csv": ({}, BARKS, 3, {(2, "age"): "bla"}),
    "rejects/multiple_errors/multiple_cast_implicit.csv": ({}, BARKS, 3, {(2, " barks"): " bla_1"}),
    "rejects/multiple_errors/multiple_casts_flush.csv": ({}, [*BARKS[:3], " tomorrow"], 3, {(2, "current_day"): " bla_2"}),
    "rejects/multiple_errors/multiple_casts_mixed.csv": ({}, BARKS, 3, {(2, " barks"): " bla_1"}),
}
"""Files that hold what they hold, as text: nothing is to be refused once it is told what the file cannot tell."""

REJECTED = {
    # file: (options, lines that are left out, in order, and of what kind)
    "error/csv_error.csv": ({}, {3002: "cast"}),
    "error/mid_null.csv": ({}, {3: "ragged"}),
    "error/mismatch/bad.csv": ({"type": "c3:category"}, {2: "cast"}),
    "error/mismatch/bad2.csv": ({"type": "c3:category"}, {3: "cast"}),
    "error/mismatch/big_bad.csv": ({}, {2176: "cast", 4176: "cast"}),
    "error/mismatch/big_bad2.csv": ({}, {3680: "cast", 5680: "cast"}),
    "error/mismatch/example.tsv": ({}, {2: "cast"}),
    "error/mismatch/half1.csv": ({}, dict.fromkeys(range(2466, 3490), "cast")),
    "error/mismatch/half2.csv": ({"type": "num:number"}, dict.fromkeys(range(2544, 5616), "cast")),
    "error/mismatch/part1.csv": ({}, {3137: "cast", 5137: "cast"}),
    "error/mismatch/part2.csv": ({}, {2325: "cast", 4325: "cast"}),
    "error/mismatch/part3.csv": ({}, {2058: "cast", 4058: "cast"}),
    "error/mismatch/small1.csv": (YES, {3: "cast", 6: "cast"}),
    "error/mismatch/small2.csv": ({"type": "COL1:number", **YES}, {3: "cast", 5: "cast"}),
    "error/mixedtypes.csv": (Q, dict.fromkeys(range(10_002, 13_369, 34), "cast")),
    "error/mixedtypes_rn.csv": (Q, dict.fromkeys(range(10_002, 13_369, 34), "cast")),
    "encodings/all_latin1.csv": ({"type": "c1:category", **NO}, dict.fromkeys(range(95, 191), "encoding")),
    "encodings/latin1.csv": ({}, dict.fromkeys(range(2, 14), "encoding")),
    "encodings/latin1.csv.gz": ({}, dict.fromkeys(range(2, 14), "encoding")),
    "rejects/flush.csv": ({"type": "number:number", **YES}, dict.fromkeys((2, 3, 5, 6), "cast")),
    "rejects/frankstein/nightmare.csv": ({}, {10: "ragged", 14: "ragged", 19: "cast", 22: "quote", 38: "encoding"}),
    "rejects/incorrect_columns/few_columns.csv": ({}, dict.fromkeys((1814, 1823, 2378, 2762), "ragged")),
    "rejects/incorrect_columns/many_columns.csv": ({}, dict.fromkeys((1096, 1159, 1206, 2769), "ragged")),
    "rejects/incorrect_columns/mix_columns.csv": ({}, dict.fromkeys((1604, 1671, 2751, 2768), "ragged")),
    "rejects/incorrect_columns/small_mix.csv": ({}, {3: "ragged", 4: "ragged"}),
    "rejects/multiple_errors/cast_and_less_col.csv": ({}, {4: "ragged", 5: "ragged"}),
    "rejects/multiple_errors/cast_and_maxline.csv": ({}, {4: "cast"}),
    "rejects/multiple_errors/cast_and_more_col.csv": ({}, {4: "ragged", 5: "ragged"}),
    "rejects/multiple_errors/invalid_utf_cast.csv": ({}, {3: "encoding"}),
    "rejects/multiple_errors/invalid_utf_less.csv": ({}, {3: "ragged"}),
    "rejects/multiple_errors/invalid_utf_max_line.csv": ({}, {3: "ragged"}),
    "rejects/multiple_errors/invalid_utf_more.csv": ({}, {3: "ragged"}),
    "rejects/multiple_errors/invalid_utf_unquoted.csv": ({}, {3: "quote"}),
    "rejects/multiple_errors/less_col_and_max_line.csv": ({}, {4: "ragged"}),
    "rejects/multiple_errors/more_col_and_max_line.csv": ({}, {4: "ragged"}),
    "rejects/multiple_errors/multiple_cast_implicit.csv": ({}, {4: "cast"}),
    "rejects/multiple_errors/multiple_casts_mixed.csv": ({}, {4: "cast"}),
    "rejects/multiple_errors/multiple_errors.csv": ({}, {4: "ragged", 5: "ragged", 6: "quote", 7: "ragged", 8: "ragged"}),
    "rejects/multiple_errors/unquoted_cast.csv": ({}, {3: "quote"}),
    "rejects/multiple_errors/unquoted_less.csv": ({}, {3: "quote"}),
    "rejects/multiple_errors/unquoted_maxline.csv": ({}, {3: "quote"}),
    "rejects/multiple_errors/unquoted_more.csv": ({}, {3: "quote"}),
    "rejects/unquoted/basic.csv": ({}, {5: "quote"}),
    "rejects/unquoted/unquoted_last_value.csv": (NO, {5: "quote"}),
    "rejects/unquoted/unquoted_new_line.csv": ({}, {5: "quote"}),
}
"""Files with rows that are no rows of the table, or cells that are no numbers among numbers."""

REFUSED = {
    # file: what its own message says, where nothing is told; none is to be skipped
    "decimal_separators/mixed_format_fail.csv": [
        "2 rows have not 1 cell like the header",
        "csv:2  2 cells: 12,5",
        "--delimiter",
    ],
    "encodings/all_utf16.csv": ["a header, or a row", "--header no"],
    "encodings/only_latin1.csv": ["a header, or a row", "--header yes"],
    "encodings/only_utf16.csv": ["a header, or a row", "--header yes"],
    "encodings/shift_jis.csv": ["the header is no text", "--encoding"],
    "error/banklist.csv": ["the header is no text", "--encoding"],
    "error/json.csv": ["is it one column", "--delimiter"],
    "error/mixedtypes.csv": ["between apostrophes", "--quote"],
    "error/mixedtypes_rn.csv": ["between apostrophes", "--quote"],
    "error/quotednewlines.csv": ["between apostrophes", "--quote"],
}


def files(corpora: Path) -> list[str]:
    root = corpora / "duckdb-csv"
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_every_file_of_duckdb_has_its_expectation(corpora: Path) -> None:
    assert files(corpora) == sorted({*READ, *REJECTED, *REFUSED})


@pytest.mark.parametrize("name", READ)
def test_files_of_duckdb_are_read_as_they_are(corpora: Path, name: str) -> None:
    options, columns, rows, cells = READ[name]
    table = read_table(corpora / "duckdb-csv" / name, **options)
    assert columns is None or table.column_names == columns
    assert table.num_rows == rows
    assert {at: table.column(at[1])[at[0]].as_py() for at in cells} == cells


@pytest.mark.parametrize("name", REJECTED)
def test_every_reject_of_duckdb_is_listed_with_its_line(corpora: Path, tmp_path: Path, name: str) -> None:
    options, lines = REJECTED[name]
    path, out = corpora / "duckdb-csv" / name, tmp_path / "rejects.jsonl"
    loader = Table()
    parsed = loader.Options.parse({**options, "on_bad": "skip", "max_bad": "100%"})
    with (
        collecting(True, "100%", out) as rejects,
        loader.open(str(path), parsed, Run(ThreadEngine(2), rejects=rejects)) as scan,
    ):
        rejects.check()
        assert scan.bad == len(lines)
        kept = sum(len(block) if block.bad is None else int((~block.bad).sum()) for block in Blocks(scan))
        assert kept + len(lines) == scan.rows == rejects.seen
    found = [json.loads(line) for line in out.read_text("ascii").splitlines()]
    assert {item["line"]: item["kind"] for item in found} == lines
    assert len(found) == len(lines)
    assert {item["path"] for item in found} == {str(path)}


@pytest.mark.parametrize("name", [name for name, (_, lines) in REJECTED.items() if set(lines.values()) != {"cast"}])
def test_what_is_not_skipped_is_told_with_its_line(corpora: Path, name: str) -> None:
    options, lines = REJECTED[name]
    with pytest.raises(DataError) as error:
        read_table(corpora / "duckdb-csv" / name, **{key: value for key, value in options.items() if key != "type"})
    first = [line for line, kind in lines.items() if kind != "cast"][:4]
    assert all(f"{name}:{line}  " in str(error.value) for line in first)
    assert "--on-bad skip" in error.value.hint


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_certain_is_refused_and_says_the_way_out(corpora: Path, name: str) -> None:
    with pytest.raises(TensorizeError) as error:
        read_table(corpora / "duckdb-csv" / name)
    assert [part for part in REFUSED[name] if part not in str(error.value)] == []


def test_numbers_in_another_notation_are_no_categories(corpora: Path) -> None:
    from tensorize import prepare

    with pytest.raises(DataError) as error:
        prepare("table", corpora / "duckdb-csv/decimal_separators/decimal_separators.csv")
    assert [part for part in ("csv:2  commas  1,1", "--decimal", "--thousands") if part not in str(error.value)] == []
