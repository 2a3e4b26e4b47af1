"""Tables that nobody has described: what is proposed for them, and that it works."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, WriteTable

from tensorize import DataError, UsageError, suggest

ROWS = range(40)


def table(**columns: Any) -> str:
    """A table of 40 rows; each column is a function of the row."""
    lines = [",".join(columns)]
    lines += [",".join(str(make(row)) for make in columns.values()) for row in ROWS]
    return "\n".join(lines) + "\n"


def size(row: int) -> float:
    return (row * 37 % 101) / 4


CASES = {
    "nothing to say": (table(size=size, city=lambda row: "ab"[row % 2]), {}),
    "missing numbers": (
        table(size=lambda row: size(row) if row % 7 else "", w=size),
        {"missing": ["median"], "indicator": True},
    ),
    "missing words": (
        table(size=size, city=lambda row: "ab"[row % 2] if row % 7 else ""),
        {"missing": ["mode"], "indicator": True},
    ),
    "missing numbers and words": (
        table(size=lambda row: size(row) if row % 5 else "NA", city=lambda row: "ab"[row % 2] if row % 7 else ""),
        {"missing": ["mode", "median"], "indicator": True},
    ),
    "an empty column": (table(size=size, none=lambda row: ""), {"drop": ["none"]}),
    "a constant": (table(size=size, unit=lambda row: "kg"), {"drop": ["unit"]}),
    "a counter": (table(n=lambda row: row + 1, size=size), {"id": "n"}),
    "two counters": (table(n=lambda row: row, m=lambda row: row + 1, size=size), {"id": "n", "drop": ["m"]}),
    "names": (table(name=lambda row: f"name {row}", size=size), {"id": "name"}),
    "an id by its name": (table(size=size, customer_id=lambda row: row * 7919 % 10007), {"id": "customer_id"}),
    "an index without a name": (table(**{"": lambda row: row, "size": size}), {}),
    "a double": (table(size=size, again=size), {"drop": ["again"]}),
    "dates": (
        table(day=lambda row: f"2024-{row % 12 + 1:02}-{row % 28 + 1:02}", size=size),
        {"time_features": ["day"]},
    ),
    "dates in words": (
        table(day=lambda row: f"{row % 28 + 1} Mar {1970 + row * row % 47}", size=size),
        {"time_features": ["day"]},
    ),
    "dates of which nobody knows the month": (
        table(day=lambda row: f"{row % 9 + 1}/{row % 8 + 1}/2020", size=size),
        {"drop": ["day"]},
    ),
    "a question mark": (
        table(size=lambda row: size(row) if row % 9 else "?"),
        {"na": ["?"], "missing": ["median"], "indicator": True},
    ),
    "a word among numbers": (
        table(size=lambda row: size(row) if row != 11 else "broken"),
        {"type": ["size:number"], "on_bad": "skip", "max_bad": "1"},
    ),
    "numbers among words": (table(size=size, code=lambda row: ["a", "b", "7"][row % 3]), {"onehot": ["code"]}),
    "codes with zeros": (table(size=size, code=lambda row: f"00{row % 3}"), {}),
    "money": (table(price=lambda row: f"${row * 31 % 17}.50", size=size), {"strip": "$"}),
    "thousands": (
        table(price=lambda row: f'"{row % 3 + 1},{row * 31 % 17:03}"', size=size),
        {"thousands": ","},
    ),
    "a ragged row": (table(size=size, city=lambda row: "ab"[row % 2]) + "1,a,3\n", {"on_bad": "skip", "max_bad": "1"}),
    "a blank line": (table(size=size, city=lambda row: "ab"[row % 2]) + "\n1,a\n", {"blank": "skip"}),
    "a name twice": ("a,a\n1,2\n3,5\n5,7\n", {"names": ["a,a_2"]}),
    "semicolons": (table(size=size, city=lambda row: "ab"[row % 2]).replace(",", ";"), {}),
    "infinite": (
        table(size=lambda row: size(row) if row != 7 else "inf"),
        {"na": ["inf"], "missing": ["median"], "indicator": True},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_proposed(write: WriteTable, case: str) -> None:
    text, wanted = CASES[case]
    assert dict(suggest(write(text)).options) == wanted


def test_text_that_holds_too_many_values_is_left_out(write: WriteTable) -> None:
    lines = "".join(f"{row % 7},word {row // 2}\n" for row in range(400))
    found = suggest(write("size,note\n" + lines))
    assert dict(found.options) == {"drop": ["note"]}
    assert found.choices[0].reason == '"note" holds 200 different texts'


def test_dates_of_which_some_cannot_be_read_are_left_out(write: WriteTable) -> None:
    cells = [f"{row % 28 + 1} Mar {row * row % 307 + 1700}" for row in range(3000)] + ["-/-"]
    found = suggest(write("size,day\n" + "".join(f"{row % 7},{day}\n" for row, day in enumerate(cells))))
    assert dict(found.options) == {"drop": ["day"]}


def test_a_notation_that_reads_all_dates_is_said(write: WriteTable) -> None:
    cells = [f"{row % 12 + 1}/{row * row % 28 + 1}/{row * 7 % 29 + 60}" for row in range(3000)]
    found = suggest(write("size,day\n" + "".join(f"{row % 7},{day}\n" for row, day in enumerate(cells))))
    assert dict(found.options) == {"time_format": ["day=%m/%d/%y"], "time_features": ["day"]}


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16-le"])
def test_another_encoding(write: WriteTable, encoding: str) -> None:
    text = table(size=size, city=lambda row: ["Köln", "Bern"][row % 2])
    if encoding == "latin-1":
        text = text.replace("Bern", "\x81rn")
    found = suggest(write(text.encode(encoding)))
    assert dict(found.options) == {"encoding": encoding}


def test_the_target_is_never_filled_and_never_left_out(write: WriteTable) -> None:
    path = write(table(n=lambda row: row + 1, y=lambda row: row % 2 if row % 5 else "", size=size))
    found = suggest(path, target="y")
    assert dict(found.options) == {"target": ["y"], "id": "n", "missing": ["y=drop"]}
    assert dict(suggest(path, target="n").options)["target"] == ["n"]


def test_what_was_given_stays(write: WriteTable) -> None:
    path = write(table(n=lambda row: row + 1, size=size, city=lambda row: "ab"[row % 2]))
    assert dict(suggest(path, drop=["n"]).options) == {"drop": ["n"]}
    assert dict(suggest(path, raw=["n"], split="0.5,0.5").options) == {"raw": ["n"], "split": "0.5,0.5"}


def test_pictures(write: WriteTable) -> None:
    found = suggest(write(table(size=size, city=lambda row: "ab"[row % 2] if row else "", ok=lambda row: row > 5)))
    pictures = {item.name: item for item in found.pictures}
    assert [item.kind for item in found.pictures] == ["number", "category", "bool"]
    assert (pictures["size"].low, pictures["size"].high) == (0.0, max(map(size, ROWS)))
    assert sum(pictures["size"].bars) == 40
    assert (pictures["city"].missing, pictures["city"].distinct) == (1, 2)


def test_pictures_of_many_blocks_are_those_of_one() -> None:
    rows = 200_000
    columns = {
        "a": [row * 7 % 1013 for row in range(rows)],
        "up": list(range(5, rows + 5)),
        "c": [row % 3 for row in range(rows)],
    }
    found = {item.name: item for item in suggest(columns, check=False).pictures}
    assert (found["a"].distinct, found["a"].low, found["a"].high, found["a"].all_differ) == (None, 0, 1012, False)
    assert (found["up"].rising, found["up"].all_differ) == (True, True)
    assert dict(found["c"].values.counts) == {0: 66_667, 1: 66_667, 2: 66_666}


@pytest.mark.parametrize("case", CASES)
def test_auto_makes_what_its_command_makes(write: WriteTable, tensorize: Command, tmp_path: Path, case: str) -> None:
    path, out, again = write(CASES[case][0]), tmp_path / "auto.h5", tmp_path / "again.h5"
    done = tensorize("auto", path, "-o", out, "--json")
    assert done.returncode == 0, done.stdout
    argv = json.loads(done.stdout)["suggestion"]["argv"]
    assert argv[-1] == str(out)
    explicit = tensorize(*argv[1:-1], again)
    assert explicit.returncode == 0, explicit.stderr
    assert out.read_bytes() == again.read_bytes()


def test_a_source_alone_is_looked_at(write: WriteTable, tensorize: Command, tmp_path: Path) -> None:
    path = write(table(n=lambda row: row + 1, size=lambda row: size(row) if row % 7 else ""))
    done = tensorize(path)
    assert done.returncode == 0, done.stderr
    command = done.stdout.splitlines()[-1]
    assert command == f"tensorize table {path} --id n --missing median --indicator -o d.h5"
    assert tensorize(*shlex.split(command)[1:], cwd=tmp_path).returncode == 0
    assert done.stdout == tensorize("suggest", path).stdout


def test_what_cannot_be_a_table(write: WriteTable) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        suggest("nowhere.csv")
    with pytest.raises(DataError, match="no column is left"):
        suggest(write("a,b\n1,1\n1,1\n1,1\n"))
    with pytest.raises(UsageError, match="no kind"):
        suggest({"a": [1, 2]}, kind="tables")
    with pytest.raises(DataError, match="holds dates"):
        suggest(write("a,t\n1,2020-01-01\n2,2020-01-02\n"), target="t")


@pytest.mark.parametrize("case", CASES)
def test_the_last_line_of_an_error_is_a_command_that_works(
    write: WriteTable, tensorize: Command, tmp_path: Path, case: str
) -> None:
    path, out = write(CASES[case][0]), tmp_path / "out.h5"
    done = tensorize("table", path, "-o", out)
    if done.returncode == 0:
        return
    assert done.returncode == 1
    argv = shlex.split(done.stderr.splitlines()[-1])
    assert argv[:3] == ["tensorize", "table", str(path)]
    again = tensorize(*argv[1:])
    assert again.returncode == 0, again.stderr
    assert out.exists()


def test_all_problems_are_told_at_once(write: WriteTable, tensorize: Command, tmp_path: Path) -> None:
    text = table(
        n=lambda row: row + 1,
        size=lambda row: size(row) if row % 7 else "",
        day=lambda row: f"2024-01-{row % 28 + 1:02}",
        code=lambda row: size(row) if row % 9 else "?",
        city=lambda row: "ab"[row % 2] if row % 11 else "",
    )
    said = tensorize("table", write(text), "--force", "--split", "0.8,0.2", "-o", tmp_path / "out.h5").stderr
    for word in ("1 column mixes numbers and words", '"day" holds dates', '"size" lacks 6 values', '"city" lacks 4 values'):
        assert word in said
    command = said.splitlines()[-1].strip()
    assert "--split 0.8,0.2" in command
    assert "--force" in command
    assert "--drop" not in command
    assert "--id" not in command


def test_a_broken_call_has_no_command(write: WriteTable, tensorize: Command) -> None:
    said = tensorize("table", write("a,b\n"), "-o", "x.h5")
    assert said.returncode == 1
    assert not said.stderr.splitlines()[-1].strip().startswith("tensorize ")
    body = tensorize("table", write("a,b\n1,\n2,3\n"), "-o", "x.h5", "--json")
    assert json.loads(body.stdout)["error"]["command"].startswith("tensorize table ")
