"""JSON: arrays of objects, in pieces of any size; other ways of writing a table are refused with the command that helps."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import tensorize
from tensorize.core.errors import DataError
from tensorize.readers.json.records import record_blocks
from tensorize.readers.jsonl.recognise import format_of_text

ROWS = [{"a": at, "b": ['x"', "y\\", "],[", "{é\n", "z,"][at % 5], "c": {"d": at / 4}} for at in range(50)]


def blocks(text: str, size: int, piece: int | None = None) -> list[bytes]:
    data = text.encode()
    step = piece or size
    return list(record_blocks((data[at : at + step] for at in range(0, len(data), step)), size, "x.json", 1 << 20))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 0, 3])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_records_are_cut_wherever_pieces_end(size, indent, ascii_only):
    text = json.dumps(ROWS, indent=indent, ensure_ascii=ascii_only)
    for written in (text, f" \r\n{text}\t\n", "\n".join(json.dumps(row, indent=indent) for row in ROWS)):
        lines = b"".join(blocks(written, 100, size)).decode().splitlines()
        assert [json.loads(line) for line in lines] == ROWS


def test_no_record_is_put_together_from_a_string_with_a_line_end(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('[{"a": "x\ny"}, {"a": "z"}]')
    with pytest.raises(DataError, match=r"control character") as caught:
        tensorize.prepare("table", path)
    assert f"{path}:1" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a":1},]', "a comma and no record"),
        ('[,{"a":1}]', "a comma and no record"),
        ('[{"a":1},,{"a":1}]', "a comma and no record"),
        ('[{"a":1}', "ends before its array does"),
        ('[{"a":1}, {"a"', "ends before its array does"),
        ('[{"a":1}] x', "something after the end"),
        ('[{"a":1}][]', "something after the end"),
        ('[{"a":1} {"a":2}]', "something after the object"),
        ('[{"a":1]]', "not JSON"),
        ('[{"a":1}, 5]', "a number, not an object"),
        ('[{"a":1}, {"a":2, "a":3}]', "twice"),
        ("[1, 2]", "an array of single values"),
        ("[[1, 2]]", "rows without names"),
        ("[]", "has no row"),
        ("", "has no row"),
        ("5", "a single JSON value"),
        ('"x"', "a single JSON value"),
        ("{}", "no key"),
        ('{"a": 1', "cut off"),
        ("{'a': 1}", "not JSON"),
        ("nonsense", "not JSON"),
    ],
)
def test_what_is_no_array_of_records_is_named(tmp_path, text, said):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        tensorize.prepare("table", path)
    assert said in str(caught.value)


FRAME = pd.DataFrame({"a": [1, 2, 3], "b": [1.5, 2.5, 3.5], "c": ["x", "y", "x"]})


@pytest.mark.parametrize("orient", ["columns", "index", "split", "table"])
@pytest.mark.parametrize("rows", [3, 30_000])
def test_what_pandas_writes_is_refused_with_a_command_that_works(tmp_path, monkeypatch, orient, rows):
    monkeypatch.chdir(tmp_path)
    frame = pd.concat([FRAME] * (rows // 3), ignore_index=True)
    frame.to_json("x.json", orient=orient, index=orient != "table")
    with pytest.raises(DataError, match="records") as caught:
        tensorize.prepare("table", "x.json")
    command = shlex.split(caught.value.hint.partition(": ")[2])
    subprocess.run(command, check=True)
    (made,) = [path for path in Path().iterdir() if path.name.startswith("rows")]
    with tensorize.prepare("table", made) as one, tensorize.prepare("table", frame) as other:
        assert one.equals(other)


def test_records_under_a_key_are_refused_with_a_command_that_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.json").write_text(json.dumps({"count": 3, "items": FRAME.to_dict("records")}))
    with pytest.raises(DataError, match='under the key "items"') as caught:
        tensorize.prepare("table", "x.json")
    command = shlex.split(caught.value.hint.partition(": ")[2])
    assert command[0] == sys.executable
    subprocess.run(command, check=True)
    with tensorize.prepare("table", "rows.json") as one, tensorize.prepare("table", FRAME) as other:
        assert one.equals(other)


def test_an_object_alone_is_a_row(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1,\n "b": {"c": 2.5}}')
    with tensorize.prepare("table", tmp_path / "x.json", scale="none") as ts:
        assert ts["features"].tolist() == [[1.0, 2.5]]


def test_the_suffix_may_be_wrong_or_missing(tmp_path):
    lines, array = "\n".join(map(json.dumps, FRAME.to_dict("records"))), json.dumps(FRAME.to_dict("records"))
    with tensorize.prepare("table", FRAME) as expected:
        for name, text in {"x.json": lines, "y.jsonl": array, "z": lines, "w.txt": array, "v.csv": lines}.items():
            (tmp_path / name).write_text(text)
            with tensorize.prepare("table", tmp_path / name) as made:
                assert made.equals(expected), name


@pytest.mark.parametrize(
    "head",
    [
        "[[package]]\nname = 1\n",
        "[] a task\n",
        "[[Home]] is a page\n",
        "a,b\n1,2\n",
        '"a","b"\n',
        "{a},{b}\n1,2\n",
        '{"a"};{"b"}\n1;2\n',
        "[a]\n1\n",
        "[a,b]\n1,2\n",
        "",
        "\n",
        '{"a": 1};x\n',
    ],
)
def test_a_csv_is_not_taken_for_json(head):
    assert format_of_text(head, True) is None
