"""JSON Lines: the same tensors as the CSV of the same rows, and a named error for everything else."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from json_rows import rows_of, written

import tensorize
from tensorize.core.errors import DataError, TensorizeError
from tensorize.readers.jsonl.lines import line_blocks

# cells ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 40, 4 << 20])
def test_types_are_those_of_the_whole_file(tmp_path, size):
    lines = ['{"a":null,"b":1,"c":true}', '{"a":2,"b":"x","c":null}'.replace('"x"', "2.5"), '{"a":3,"b":7,"d":"5"}']
    path = written(tmp_path / "x.jsonl", "\n".join(lines))
    found, rows = rows_of(path, size=size)
    assert found == {"a": [None, 2, 3], "b": [1.0, 2.5, 7.0], "c": [True, None, None], "d": [None, None, "5"]}
    assert [(item.kind, item.storage) for item in rows.schema.columns] == [
        ("number", "int64"),
        ("number", "float64"),
        ("bool", "bool"),
        ("category", "string"),
    ]
    assert rows.place([0, 2]) == [f"{path}:1", f"{path}:3"]


@pytest.mark.parametrize("size", [1, 4 << 20])
def test_objects_become_columns_and_keys_stay_in_order(tmp_path, size):
    lines = ['{"a":{"x":1},"b":2}', '{"c":3,"a":{"y":{"z":4}}}', '{"a":null,"d":{}}']
    found, _ = rows_of(written(tmp_path / "x.jsonl", "\n".join(lines)), size=size)
    assert found == {"a.x": [1, None, None], "a.y.z": [None, 4, None], "b": [2, None, None], "c": [None, 3, None]}


@pytest.mark.parametrize("size", [1, 4 << 20])
@pytest.mark.parametrize(
    ("cells", "read", "kind"),
    [
        (["1", "NaN", "3"], [1, None, 3], "number"),
        (["1", '"NA"', "3"], [1, None, 3], "number"),
        (["1.5", "-Infinity", "3"], [1.5, float("-inf"), 3.0], "number"),
        (["9223372036854775807", "-9223372036854775808", "0"], [(1 << 63) - 1, -(1 << 63), 0], "number"),
        (["9223372036854775808", "1", "2"], ["9223372036854775808", "1", "2"], "category"),
        (["100000000000000000000000000000001", "1", "2"], ["100000000000000000000000000000001", "1", "2"], "category"),
        (["9223372036854775808", "1.5", "2"], [9223372036854775808.0, 1.5, 2.0], "number"),
        (['"2024-01-01"', "null", '"2024-01-03"'], ["2024-01-01", None, "2024-01-03"], "time"),
        (['"2024-01-01"', '"x"', '"2024-01-03"'], ["2024-01-01", "x", "2024-01-03"], "category"),
        (['"NaN"', '"x: NaN"', '"null"'], ["NaN", "x: NaN", "null"], "category"),
        (['""', '" "', '"\\u00e9\\n\\ud83d\\ude00"'], [None, None, "é\n😀"], "category"),
        (["true", "null", '"NA"'], [True, None, None], "bool"),
        (["true", '"true"', '"no"'], ["true", "true", "no"], "category"),
        (["1E2", "-0.0", "-0"], [100.0, -0.0, 0.0], "number"),
        (["1e400", "1", "2"], [float("inf"), 1.0, 2.0], "number"),
        (["1e-400", "123456789012345678", "2"], [0.0, 123456789012345680.0, 2.0], "number"),
        (["null", "null", "null"], [None, None, None], "number"),
    ],
)
def test_a_value_is_what_python_reads(tmp_path, cells, read, kind, size):
    path = written(tmp_path / "x.jsonl", "\n".join(f'{{"a": {cell}, "n": 1}}' for cell in cells))
    found, rows = rows_of(path, size=size)
    assert repr(found["a"]) == repr([float(value) if isinstance(value, float) else value for value in read])
    assert rows.schema["a"].kind == kind


def test_times_keep_their_place(tmp_path):
    lines = ['{"a":1,"at":"2024-01-01","in":{"n":null,"b":2,"at":"2024-01-01 10:00"},"e":{},"z":[1]}'] * 3
    found, _ = rows_of(written(tmp_path / "x.jsonl", "\n".join(lines)), without=["z"])
    assert list(found) == ["a", "at", "in.n", "in.b", "in.at"]
    assert found["in.at"] == ["2024-01-01 10:00"] * 3


def test_flags_say_what_strings_are(tmp_path):
    path = written(tmp_path / "x.jsonl", '{"a":"007","b":"yes","c":-999,"d":"-"}\n{"a":7.5,"b":0,"c":1,"d":2}\n')
    kinds = {"a": "number", "b": "bool"}
    found, _ = rows_of(path, forced=kinds, na=["-999", "-"])
    assert found == {"a": [7.0, 7.5], "b": [True, False], "c": [None, 1], "d": [None, 2]}
    found, _ = rows_of(path, forced=dict.fromkeys("abcd", "category"))
    assert found == {"a": ["007", "7.5"], "b": ["yes", "0"], "c": ["-999", "1"], "d": ["-", "2"]}


@pytest.mark.parametrize("size", [1, 4 << 20])
def test_text_of_numbers_is_the_same_whatever_the_partitions(tmp_path, size):
    path = written(tmp_path / "x.jsonl", '{"a":1}\n{"a":2.5}\n{"a":"x"}\n{"a":10000000000000000000}\n')
    assert rows_of(path, lenient=["a"], size=size)[0] == {"a": ["1.0", "2.5", "x", "1e+19"]}


def test_line_ends_blank_lines_marks_and_compression_change_nothing(tmp_path):
    plain = '{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n'
    expected, _ = rows_of(written(tmp_path / "x.jsonl", plain))
    for name, text in {
        "no end": plain[:-1],
        "CRLF": plain.replace("\n", "\r\n"),
        "mark": "\ufeff" + plain,
        "blanks": plain.replace("\n", " \t\n \r\n\n"),
        "spaces": plain.replace(":", " : ").replace("{", " {\t"),
    }.items():
        found, rows = rows_of(written(tmp_path / f"{name}.ndjson", text))
        assert found == expected, name
    assert rows_of(written(tmp_path / "x.jsonl.gz", gzip.compress(plain.encode())))[0] == expected
    assert rows_of(written(tmp_path / "wide.jsonl", plain.encode("utf-16")))[0] == expected
    found, rows = rows_of(written(tmp_path / "places.jsonl", "\n" + plain.replace("\n", "\n\n\n")))
    assert [place.rpartition(":")[2] for place in rows.place([0, 1])] == ["2", "5"]
    assert "5 blank lines skipped" in rows.facts.notes


# refusals -------------------------------------------------------------------------------------------------------------

BAD = {
    '{"a":1,}': "property name",
    '{"a":01}': "delimiter",
    "{'a':1}": "property name",
    '{"a":1}{"a":2}': "something after the object",
    '{"a":1} x': "something after the object",
    '{"a":1,"a":2}': "twice",
    '{"a":{"b":1,"b":2}}': "twice",
    '{"a":"\\ud800"}': "surrogate",
    '{"a":tru}': "value",
    "[1]": "a list, not an object",
    "5": "a number, not an object",
    "null": "null, not an object",
    '{"a":"x': "unterminated",
    '{"a":"\x01"}': "control character",
    '{"a":.5}': "value",
    '{"a":' + "[" * 100_000: "nested",
    '{"a":' * 100_000: "nested",
    '{"a":Inf}': "value",
    '{"a":-NaN}': "value",
    '\ufeff{"a":1}': "expecting value at character 1",
}


@pytest.mark.parametrize("line", BAD, ids=lambda line: line[:20])
def test_an_invalid_line_is_named_with_its_place(tmp_path, line):
    path = written(tmp_path / "x.jsonl", '{"a":1}\n{"a":2}\n' + line + '\n{"a":3}\n')
    with pytest.raises(DataError) as caught:
        tensorize.prepare("table", path)
    assert f"{path}:3" in str(caught.value)
    assert BAD[line] in str(caught.value)
    assert "--on-bad skip" in str(caught.value)
    with tensorize.prepare("table", path, on_bad="skip", max_bad="1", scale="none") as ts:
        assert ts["features"].flatten().tolist() == [1.0, 2.0, 3.0]
        assert ts["row"].tolist() == [0, 1, 3]


def test_rejects_are_listed_as_those_of_csv_are(tmp_path):
    path = written(tmp_path / "x.jsonl", '{"a":1}\n\n{"a"\n{"a":2}\n')
    tensorize.prepare("table", path, on_bad="skip", max_bad="50%", rejects=tmp_path / "bad.jsonl").close()
    (reject,) = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert (reject["line"], reject["row"], reject["kind"], reject["raw"]) == (3, 1, "json", '{"a"')


def test_a_file_that_was_cut_says_so(tmp_path):
    path = written(tmp_path / "x.jsonl", '{"a":1}\n{"a":2')
    with pytest.raises(DataError, match="cut off") as caught:
        tensorize.prepare("table", path)
    assert f"{path}:2" in str(caught.value)


def test_invalid_utf_8_is_named(tmp_path):
    path = written(tmp_path / "x.jsonl", b'{"a":"K\xf6ln"}\n{"a":"Bonn"}\n')
    with pytest.raises(DataError, match=r"not valid text") as caught:
        tensorize.prepare("table", path)
    assert "bytes f6" in str(caught.value)
    assert rows_of(path, encoding="latin-1")[0] == {"a": ["Köln", "Bonn"]}


def test_lists_and_deep_objects_are_refused_by_name_and_may_be_dropped(tmp_path):
    path = written(tmp_path / "x.jsonl", '{"n":1,"tags":[1],"o":{"p":{"q":1}}}\n{"n":2,"tags":[],"o":null}\n')
    for size in (1, 1 << 20):
        with pytest.raises(DataError) as caught:
            rows_of(path, flatten=1, size=size)
        assert f"{path}:1  tags  a list" in str(caught.value)
        assert f"{path}:1  o.p  an object" in str(caught.value)
        assert '--drop "tags" --drop "o.p"' in caught.value.hint
    with tensorize.prepare("table", path, drop=["tags", "o.p"], flatten=1) as ts:
        assert ts["features"].shape == (2, 1)


def test_values_and_objects_under_one_key_are_refused(tmp_path):
    path = written(tmp_path / "x.jsonl", '{"a":1,"n":1}\n{"a":{"b":2},"n":2}\n')
    with pytest.raises(DataError, match="1 column holds lists or objects"):
        rows_of(path)
    assert rows_of(path, without=["a"])[0] == {"a.b": [None, 2], "n": [1, 2]}


@pytest.mark.parametrize("lines", [['{"a.b":1,"a":{"b":2}}'], ['{"a.b":1}', '{"a":{"b":2}}']])
def test_two_keys_of_one_name_are_refused(tmp_path, lines):
    with pytest.raises(DataError, match=r'two keys make a column called "a.b"'):
        rows_of(written(tmp_path / "x.jsonl", "\n".join(lines) + "\n"))


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_numbers_and_words_in_a_column_are_listed(tmp_path, size):
    lines = [f'{{"n": {at}, "w": {at}}}' for at in range(40)]
    lines[7], lines[30] = '{"n": 7, "w": "seven"}', '{"n": 30, "w": true}'
    path = written(tmp_path / "x.jsonl", "\n".join(lines))
    with pytest.raises(DataError, match="1 column mixes numbers and words") as caught:
        tensorize.prepare("table", path, chunk_bytes=size)
    assert f"{path}:8  w  seven" in str(caught.value)
    assert '--onehot "w"' in caught.value.hint
    with tensorize.prepare("table", path, on_bad="skip", max_bad="2", chunk_bytes=size) as ts:
        assert ts["row"].tolist() == [row for row in range(40) if row not in (7, 30)]
    with tensorize.prepare("table", path, onehot="w", chunk_bytes=size) as ts:
        assert ts["features"].shape == (40, 41)


def test_numbers_in_quotes_among_numbers_are_read_as_such_when_told(tmp_path):
    path = written(tmp_path / "x.jsonl", '{"a":1}\n{"a":"2"}\n{"a":3}\n')
    with pytest.raises(DataError, match="some of them in quotes") as caught:
        tensorize.prepare("table", path)
    assert '--type "a:number"' in caught.value.hint
    with tensorize.prepare("table", path, type="a:number", scale="none") as ts:
        assert ts["features"].flatten().tolist() == [1.0, 2.0, 3.0]


def test_a_long_line_is_refused_before_it_fills_the_memory():
    with pytest.raises(DataError, match="--max-record"):
        list(line_blocks((b"x" * 1000 for _ in range(10_000_000)), 4 << 10, "x.jsonl", 1 << 20))


def test_keys_that_are_values_are_refused_before_they_fill_the_memory(tmp_path):
    text = "\n".join(json.dumps({f"key {at} {n}": n for n in range(4)}) for at in range(20_000))
    with pytest.raises(TensorizeError, match="different keys"):
        tensorize.prepare("table", written(tmp_path / "x.jsonl", text))


@pytest.mark.parametrize("text", ["", "\n\n", "{}\n{}\n", " "])
def test_a_file_without_a_cell_is_refused(tmp_path, text):
    with pytest.raises(DataError, match=r"has no row|no key"):
        tensorize.prepare("table", written(tmp_path / "x.jsonl", text))


# recipes --------------------------------------------------------------------------------------------------------------


def test_a_recipe_is_applied_across_formats(tmp_path):
    csv = written(tmp_path / "x.csv", "a,b,code,sold\n1,x,007,true\n2.5,y,123,false\n,x,007,true\n")
    lines = [
        {"a": 1, "b": "x", "code": "007", "sold": True},
        {"a": 2.5, "b": "y", "code": "123", "sold": False},
        {"a": None, "b": "x", "code": "007", "sold": True},
    ]
    jsonl = written(tmp_path / "y.jsonl", "\n".join(map(json.dumps, lines)))
    options: dict[str, Any] = {"missing": "mean", "target": "sold"}
    with tensorize.prepare("table", csv, **options) as one, tensorize.prepare("table", jsonl, **options) as other:
        assert one.equals(other)
        assert one.recipe.apply(jsonl).equals(other.recipe.apply(csv))


def test_an_option_of_another_reader_is_refused(tmp_path):
    path = written(tmp_path / "x.jsonl", '{"a":1}\n')
    with pytest.raises(TensorizeError, match="--delimiter is an option of the csv reader"):
        tensorize.prepare("table", path, delimiter=";")


# suggest --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ('{"a":1,"b":0.5}\n{"a":"2","b":1.5}\n{"a":4,"b":2.5}\n', {"type": ["a:number"]}),
        ('{"a":3,"b":0.5,"c":[1]}\n{"a":2,"b":1.5}\n{"a":4,"b":2.5}\n', {"drop": ["c"]}),
        ('{"a":3,"b":0.5}\n{"a":2,"b":1.5}\n\n{"a":4,"b":2.5}\n{"a":\n', {"on_bad": "skip", "max_bad": "1"}),
    ],
)
def test_what_stands_in_the_way_of_a_table_is_settled_by_flags(tmp_path, text, options):
    found = tensorize.suggest(written(tmp_path / "x.jsonl", text))
    assert (found.kind, found.options) == ("table", options)
