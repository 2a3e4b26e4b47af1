"""Lines that are no text: an error that names one, or left out under `--on-bad skip`, each with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, refused, summary

from tensorize import TensorSet, prepare
from tensorize.core.errors import DataError
from tensorize.core.rejects import TooManyBadError

SKIP = {"on_bad": "skip", "max_bad": "100%"}
LINES = [b"one two", b"\xff\xfe", b"", b"three \xc3\xa9", b"fo\xc3", b"\xc3\xa9 five five", b"six", b"\x80 seven"]
BAD = [1, 4, 7]
GOOD = [line for row, line in enumerate(LINES) if row not in BAD]


def made(source: Any, **options: Any) -> TensorSet:
    return prepare("text", source, **({"level": "word", "encode": "ids"} | options))


def without_rows(ts: TensorSet) -> dict[str, bytes]:
    return {key: ts.numpy(key).tobytes() for key in ts if not key.endswith("row")}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "t.txt"
    path.write_bytes(b"\n".join(LINES))
    return path


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.txt"
    path.write_bytes(b"\n".join(GOOD) + b"\n")
    return path


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    "options", [{}, {"per": "line"}, {"level": "char"}, {"level": "char", "charset": "corpus", "per": "line"}]
)
def test_what_is_left_is_as_if_the_bad_lines_had_never_been(
    tmp_path: Path, clean: Path, end: bytes, options: dict[str, str]
) -> None:
    source, rejects = tmp_path / "t.txt", tmp_path / "bad.jsonl"
    source.write_bytes(end.join(LINES))
    ts = made(source, rejects=rejects, **SKIP, **options)
    assert without_rows(ts) == without_rows(made(clean, **options))
    assert ts["row"].tolist() == [row for row in range(len(LINES)) if row not in BAD]
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(item["path"], item["line"], item["row"], item["kind"]) for item in found] == [
        (str(source), row + 1, row, "encoding") for row in BAD
    ]
    assert [item["raw"] for item in found] == [r"\xff\xfe", r"fo\xc3", r"\x80 seven"]


@pytest.mark.parametrize("level", ["word", "char"])
def test_neither_threads_nor_chunks_change_a_bit(tmp_path: Path, level: str) -> None:
    source = tmp_path / "long.txt"
    source.write_bytes(b"\n".join(LINES * 500))
    outputs = []
    for threads, size in ((1, 1 << 22), (1, 7), (4, 100), (3, 4096)):
        out, rejects = tmp_path / f"{size}.h5", tmp_path / f"{size}.jsonl"
        options = {"out": out, "rejects": rejects, "level": level, "per": "line", "split": "0.8,0.2", "length": 9, **SKIP}
        made(source, threads=threads, chunk_bytes=size, **options)
        outputs.append((out.read_bytes(), rejects.read_bytes()))
    assert all(output == outputs[0] for output in outputs)
    assert len(outputs[0][1].splitlines()) == 1500


def test_lines_are_picked_by_their_number_in_the_source(source: Path, clean: Path) -> None:
    picked = made(source, lines="4:7", per="line", **SKIP)
    assert picked["row"].tolist() == [3, 5, 6]
    assert without_rows(picked) == without_rows(made(clean, lines="3:5", per="line"))
    with pytest.raises(DataError, match="none of these lines is left"):
        made(source, lines="2", **SKIP)


def test_the_vocabulary_is_that_of_the_train_lines_that_are_left(source: Path) -> None:
    ts = made(source, split="0.6,0.4", per="line", length=3, **SKIP)
    assert ts["train/row"].tolist() == [0, 2, 3]
    assert ts.recipe.learned[0].state["words"] == ["one", "three", "two", "é"]


def test_lines_of_several_files_are_named_by_their_own_number(tmp_path: Path, source: Path) -> None:
    rejects = tmp_path / "bad.jsonl"
    ts = made([source, source], rejects=rejects, per="line", **SKIP)
    assert ts["row"].tolist() == [row for row in range(16) if row % 8 not in BAD]
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(item["line"], item["row"]) for item in found] == [(2, 1), (5, 4), (8, 7), (2, 9), (5, 12), (8, 15)]


@pytest.mark.parametrize(
    ("encoding", "data", "bad", "raw"),
    [
        ("ascii", "a\né\nb".encode(), 1, r"\xc3\xa9"),
        ("cp1252", b"caf\xe9\n\x81x\nb", 1, r"\x81x"),
        ("shift_jis", "本\n".encode("shift_jis") + b"\x85\x20\nx", 1, r"\x85 "),
    ],
)
def test_other_encodings_have_bad_lines_too(tmp_path: Path, encoding: str, data: bytes, bad: int, raw: str) -> None:
    source, rejects = tmp_path / "t.txt", tmp_path / "bad.jsonl"
    source.write_bytes(data)
    ts = made(source, encoding=encoding, rejects=rejects, **SKIP)
    (found,) = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert (found["row"], found["raw"]) == (bad, raw)
    assert bad not in ts["row"].tolist()


def test_an_encoding_that_gives_no_lines_once_it_is_broken_stays_an_error(tmp_path: Path) -> None:
    source = tmp_path / "t.txt"
    source.write_bytes("one\n".encode("utf-16") + b"\x00\xd8\x20\x00" + "\ntwo".encode("utf-16-le"))
    with pytest.raises(DataError, match="is not utf-16 text"):
        made(source, encoding="utf-16", **SKIP)


def test_half_a_character_in_memory_is_a_bad_line() -> None:
    text = {"text": ["good", "half \ud800", "better"]}
    with pytest.raises(DataError, match="is not utf-8 text"):
        made(text)
    assert made(text, per="line", **SKIP)["row"].tolist() == [0, 2]


def test_the_default_is_an_error_that_names_the_line(source: Path) -> None:
    with pytest.raises(DataError, match=r"t\.txt:2  byte ff"):
        made(source)


def test_apply_leaves_out_what_the_recipe_says(source: Path) -> None:
    ts = made(source, per="line", **SKIP)
    assert ts.recipe.apply(source).equals(ts)
    with pytest.raises(TooManyBadError, match=r"3 of 8 lines \(38%\) are bad, and --max-bad is 2"):
        ts.recipe.apply(source, max_bad=2)


def test_the_command_tells_what_was_left_out(tensorize: Command, source: Path, tmp_path: Path) -> None:
    flags = ["text", source, "--level", "word", "--encode", "ids", "--on-bad", "skip", "-o", "t.h5"]
    assert refused(tensorize, *flags) == "error: 3 of 8 lines (38%) are bad, and --max-bad is 0.5%"
    assert not (tmp_path / "t.h5").exists()
    told = summary(tensorize, *flags, "--max-bad", "3")
    assert "skipped: 3 of 8 lines (38%) are bad: 3 encoding" in told
    assert rf"{source}:2  not utf-8-sig text  \xff\xfe" in told
