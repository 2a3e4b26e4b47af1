"""Workbooks: sheets, headers, kinds of cells, places, and workbooks that somebody made to break something."""

from __future__ import annotations

import zipfile
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from workbooks import Raw, parts, sheet_xml, write_ods, write_parts, write_xlsx

from tensorize import Recipe, prepare, suggest
from tensorize.core.errors import DataError, UsageError

pytest.importorskip("python_calamine")

ROWS = [["area", "rooms", "city"], [1.5, 2, "a"], [2.5, 3, "b"], [4, 4, "a"], [5, 7, "b"]]


def features(source: Any, **options: Any) -> list[list[float]]:
    found: list[list[float]] = prepare("table", source, scale="none", **options)["features"].tolist()
    return found


def notes(path: Path, **options: Any) -> str:
    return " | ".join(suggest(path, check=False, **options).facts.notes)


# formats ------------------------------------------------------------------------------------------------------------


def as_xls(path: Path, rows: list[list[Any]]) -> Path:
    xlwt = pytest.importorskip("xlwt")
    book = xlwt.Workbook()
    sheet = book.add_sheet("Sheet1")
    for at, row in enumerate(rows):
        for place, cell in enumerate(row):
            sheet.write(at, place, cell)
    book.save(str(path))
    return path


@pytest.mark.parametrize(
    ("suffix", "write"), [(".xlsx", write_xlsx), (".xlsm", write_xlsx), (".ods", write_ods), (".xls", as_xls)]
)
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str, write: Any) -> None:
    path = write(tmp_path / f"b{suffix}", ROWS)
    expected = [[1.5, 2, 1, 0], [2.5, 3, 0, 1], [4, 4, 1, 0], [5, 7, 0, 1]]
    assert features(path) == expected
    assert notes(path) == 'sheet "Sheet1"'


def test_a_workbook_is_known_by_its_content(tensorize: Command, tmp_path: Path) -> None:
    write_xlsx(tmp_path / "b.dat", ROWS)
    assert tensorize("table", "b.dat", "-o", "b.h5").returncode == 0
    with (tmp_path / "b.dat").open("rb") as stream:
        assert tensorize("table", "-", "-o", "c.h5", stdin=stream).returncode == 0
    assert (tmp_path / "b.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()
    (tmp_path / "export.xls").write_text("a\tb\n1\t2\n3\t4\n")
    assert features(tmp_path / "export.xls") == [[1, 2], [3, 4]]


def test_the_command_without_a_kind_looks_into_a_workbook(tensorize: Command, tmp_path: Path) -> None:
    write_xlsx(tmp_path / "b.xlsx", ROWS)
    done = tensorize("b.xlsx")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("b.xlsx:Sheet1   a table   4 rows × 3 columns")
    assert tensorize("auto", "b.xlsx", "--target", "city", "-o", "b.h5").returncode == 0


# sheets -------------------------------------------------------------------------------------------------------------


def test_the_first_sheet_that_holds_cells_is_read_and_others_are_named(tmp_path: Path) -> None:
    path = write_parts(
        tmp_path / "b.xlsx",
        {**parts({"Empty": sheet_xml([]), "One": sheet_xml(ROWS), "Blank": sheet_xml([]), "Two": sheet_xml(ROWS[:3])})},
    )
    assert len(features(path)) == 4
    assert notes(path) == 'sheet "One", the first of several: --sheet NAME reads "Two"'
    for sheet in ("Two", "4"):
        assert len(features(path, sheet=sheet)) == 2


def test_a_hidden_sheet_is_read_if_it_is_named_or_the_only_one(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "b.xlsx", ROWS, hidden=["Sheet1"], Seen=ROWS[:3])
    assert len(features(path)) == 2
    assert len(features(path, sheet="Sheet1")) == 4


def test_a_sheet_that_is_not_there_is_refused_with_those_that_are(tensorize: Command, tmp_path: Path) -> None:
    write_xlsx(tmp_path / "b.xlsx", ROWS, Sales=ROWS)
    done = tensorize("table", "b.xlsx", "--sheet", "Sale", "-o", "b.h5")
    assert done.returncode == 2
    assert 'b.xlsx has no sheet "Sale"; did you mean "Sales"?' in done.stderr
    assert "sheets: Sheet1, Sales" in done.stderr


def test_the_sheet_is_recorded_and_other_formats_take_the_recipe(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "b.xlsx", ROWS[:1], Data=ROWS)
    prepare("table", tmp_path / "b.xlsx", sheet="Data", out=tmp_path / "b.h5")
    recipe = Recipe.read(tmp_path / "b.h5")
    assert recipe.options["sheet"] == "Data"
    (tmp_path / "new.csv").write_text("area,rooms,city\n1.5,2,a\n")
    made = recipe.apply(tmp_path / "new.csv")
    assert made["features"].tolist() == recipe.apply(tmp_path / "b.xlsx")["features"][:1].tolist()
    other = write_xlsx(tmp_path / "new.xlsx", ROWS[:2])
    assert recipe.apply(other, sheet="1")["features"].tolist() == made["features"].tolist()


# the header ---------------------------------------------------------------------------------------------------------


def test_titles_above_the_header_and_empty_columns_are_left_out(tmp_path: Path) -> None:
    rows = [["Sales of 2024"], [None], *([None, *row, None] for row in ROWS), [None] * 5]
    path = write_xlsx(tmp_path / "b.xlsx", rows)
    assert features(path) == features(write_xlsx(tmp_path / "c.xlsx", ROWS))
    assert "left out before the table: rows 1 to 2" in notes(path)
    merged = [[None, None, "Sales of 2024"], *([None, *row] for row in ROWS)]
    assert features(write_xlsx(tmp_path / "d.xlsx", merged)) == features(path)


def test_a_sheet_without_a_header(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "b.xlsx", [[1, 2.5], [2, 3.5], [4, 7.5]])
    assert features(path) == [[1, 2.5], [2, 3.5], [4, 7.5]]
    assert "no header: columns c1 … c2" in notes(path)
    assert features(path, names="a,b", header="no") == features(path)


def test_what_is_not_certain_is_asked(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "b.xlsx", [["x", "y"], ["a", "b"], ["b", "a"]])
    with pytest.raises(DataError, match=r"b\.xlsx:Sheet1:1  is the first line a header"):
        features(path)
    with pytest.raises(DataError, match=r"b\.xlsx:Sheet1:1  column 2 of the header has no name"):
        features(write_xlsx(path, [["x", None, "z"], [1, 2, 3], [2, 3, 4]]))
    with pytest.raises(DataError, match=r"b\.xlsx:Sheet1 has a header and no row"):
        features(write_xlsx(path, [["x", "y"]]))
    with pytest.raises(DataError, match=r"b\.xlsx holds no cells"):
        features(write_xlsx(path, []))


# cells --------------------------------------------------------------------------------------------------------------


def test_kinds_of_cells(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["whole", "sold", "day", "at", "clock", "took", "code"]]
    for at in range(300):
        stamp = datetime(2024, 1, 1) + timedelta(hours=at)
        rows.append([float(at), at % 2 == 0, stamp.date(), stamp, time(12, at % 60), timedelta(hours=at), f"{at:03}"])
    found = suggest(write_xlsx(tmp_path / "b.xlsx", rows), check=False)
    kinds = {item.name: (item.column.kind, item.column.storage) for item in found.pictures}
    assert kinds == {
        "whole": ("number", "int64"),
        "sold": ("bool", "bool"),
        "day": ("time", "string"),
        "at": ("time", "string"),
        "clock": ("category", "string"),
        "took": ("number", "int64"),
        "code": ("category", "string"),
    }


def test_errors_and_formulas_without_a_value_are_missing_and_counted(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "b.xlsx",
        [
            ["a", "b"],
            [1, "#N/A"],
            [2, Raw('<c r="{ref}" t="e"><f>1/0</f><v>#DIV/0!</v></c>')],
            [Raw('<c r="{ref}"><f>A2+1</f></c>'), 3],
            [Raw('<c r="{ref}"><f>A2+1</f><v>2</v></c>'), 4],
            [9, "#SPILL!"],
        ],
    )
    with pytest.raises(DataError, match="missing") as caught:
        features(path)
    assert all(f"b.xlsx:Sheet1:{line}" in str(caught.value) for line in (2, 3, 4, 6))
    assert features(path, missing="0") == [[1, 0], [2, 0], [0, 3], [2, 4], [9, 0]]
    said = notes(path)
    assert "3 cells hold errors, read as missing: 1 #DIV/0!, 1 #N/A, 1 #SPILL!" in said
    assert "1 formula has no stored value, read as missing" in said


def test_numbers_and_words_in_a_column_are_told_with_their_places(tmp_path: Path) -> None:
    rows = [["a", "b"], *([at, at + 0.5] for at in range(400))]
    rows[17][1] = "many"
    rows[350][1] = "few"
    path = write_xlsx(tmp_path / "b.xlsx", rows)
    with pytest.raises(DataError, match="column mixes numbers and words") as caught:
        features(path)
    assert [line.removeprefix(f"{tmp_path}/") for line in caught.value.details] == [
        "b.xlsx:Sheet1:18  b  many",
        "b.xlsx:Sheet1:351  b  few",
        'column "b": 398 numbers, 2 words',
    ]
    assert len(features(path, on_bad="skip")) == 398
    assert len(features(path, na="many,few", missing="drop")) == 398


def test_empty_rows_at_the_end_are_nothing_and_those_between_are_missing(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "b.xlsx", [*ROWS, [""] * 3, ["", None, ""]])
    assert len(features(path)) == 4
    write_xlsx(path, [*ROWS[:3], [None] * 3, *ROWS[3:]])
    with pytest.raises(DataError, match="missing") as caught:
        features(path)
    assert "b.xlsx:Sheet1:4" in str(caught.value)


def test_hidden_rows_are_noted(tmp_path: Path) -> None:
    xml = sheet_xml(ROWS).replace('<row r="3">', '<row r="3" hidden="1">')
    assert "1 hidden row is read, too" in notes(write_parts(tmp_path / "b.xlsx", {**parts({"S": xml})}))


# hostile ------------------------------------------------------------------------------------------------------------

XXE = '<!DOCTYPE x [<!ENTITY a "{a}"><!ENTITY b "{b}"><!ENTITY c "{b}">]>'.replace("{a}", "ha" * 100)


def hostile() -> dict[str, dict[str, str | bytes]]:
    plain = sheet_xml(ROWS)
    far = plain.replace("</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')
    entities = XXE.replace("{b}", "&a;" * 100)
    return {
        "a bomb": {**parts({"S": plain}), "xl/media/image1.png": b"\0" * (80 << 20)},
        "a bomb in a sheet": {**parts({"S": sheet_xml(ROWS, "<x>" + " " * (80 << 20) + "</x>")})},
        "two cells far apart": {**parts({"S": far})},
        "entities": {
            **parts({"S": plain.replace('<?xml version="1.0"?>', '<?xml version="1.0"?>' + entities).replace(">a<", ">&c;<")})
        },
        "a file of this machine": {
            **parts(
                {
                    "S": plain.replace(
                        '<?xml version="1.0"?>', '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY c SYSTEM "file:///etc/passwd">]>'
                    ).replace(">a<", ">&c;<")
                }
            )
        },
        "no sheet": {name: data for name, data in parts({"S": plain}).items() if "sheet1" not in name},
        "no relations": {name: data for name, data in parts({"S": plain}).items() if "rels" not in name},
        "broken XML": {**parts({"S": plain[: len(plain) // 2]})},
        "a wrong reference": {**parts({"S": plain.replace('r="B2"', 'r="ZZZZZZ99999999999"')})},
        "strings that are not there": {**parts({"S": plain.replace('<c r="B2"><v>2</v>', '<c r="B2" t="s"><v>77</v>')})},
        "a path outside": {**parts({"S": plain}), "../../../../tmp/evil.xml": b"x"},
        "deep XML": {**parts({"S": sheet_xml(ROWS, "<a>" * 200_000 + "</a>" * 200_000)})},
    }


def read_or_refused(path: Path) -> list[list[float]] | None:
    """The features, or None where an error names the file and a way out."""
    try:
        return features(path)
    except DataError as error:
        said = error
    assert path.name in str(said)
    assert said.hint
    return None


@pytest.mark.parametrize("name", hostile())
def test_hostile_workbooks_are_refused_or_read_and_nothing_else_happens(tmp_path: Path, name: str) -> None:
    path = write_parts(tmp_path / "b.xlsx", hostile()[name])
    found = read_or_refused(path)
    assert found is None or (len(found) == 4 and found[0][:2] == [1.5, 2])


def test_a_bomb_is_told_with_the_option_that_allows_it(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "b.xlsx", hostile()["a bomb"])
    with pytest.raises(DataError, match=r"b\.xlsx grows to more than 200 times its size") as caught:
        features(path)
    assert "--max-expansion 2000" in (caught.value.hint or "")
    assert len(features(path, max_expansion=2000)) == 4


def test_a_wrong_size_of_the_range_is_not_believed(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "b.xlsx", {**parts({"S": sheet_xml(ROWS, '<dimension ref="A1:XFD1048576"/>')})})
    assert len(features(path)) == 4


def test_external_links_are_not_followed(tmp_path: Path) -> None:
    link = '<externalLink xmlns="http://x"><externalBook r:id="rId1"/></externalLink>'
    cell = Raw('<c r="{ref}"><f>[1]Other!A1</f><v>8</v></c>')
    given = {**parts({"S": sheet_xml([["a", "b"], [1, 2.5], [cell, 3.5]])}), "xl/externalLinks/externalLink1.xml": link}
    assert features(write_parts(tmp_path / "b.xlsx", given)) == [[1, 2.5], [8, 3.5]]


def test_what_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "b.xlsx"
    for data in (b"PK\3\4" + b"\0" * 100, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, b"PK\3\4"):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"b\.xlsx"):
            features(path)
    write_xlsx(path, ROWS)
    whole = path.read_bytes()
    for stop in (len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:stop])
        with pytest.raises(DataError, match=r"b\.xlsx"):
            features(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(DataError, match=r"b\.xlsx"):
        features(path)
    with pytest.raises(UsageError, match="there is no file"):
        features(tmp_path / "none.xlsx")


def test_flipped_bytes_never_crash(tmp_path: Path) -> None:
    whole = write_xlsx(tmp_path / "w.xlsx", ROWS).read_bytes()
    for at in range(0, len(whole), len(whole) // 6):
        (tmp_path / "b.xlsx").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        found = read_or_refused(tmp_path / "b.xlsx")
        assert found is None or len(found) == 4
