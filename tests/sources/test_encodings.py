"""Text in another encoding than was said: told from the first bytes, and from the characters that come out."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from tensorize import pipeline
from tensorize.core.errors import DataError

WORDS = {
    "latin": "naïve café, the end\nof it\n" * 3,
    "cyrillic": "Привет мир, как дела\nхорошо\n" * 3,
    "greek": "Καλημέρα κόσμε\n" * 3,
}
CITIES = "a,city\n" + "".join(f"{row},Köln\n" for row in range(20))
HOURS = "time,v\n" + "".join(f"2024-01-01T{row:02}:00:00,{row}.5\n" for row in range(20))
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "text": (WORDS["latin"], {"level": "word", "encode": "ids"}),
    "table": (CITIES, {"onehot": "city"}),
    "series": (HOURS, {"time": "time", "fold": 4}),
}
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


def made(kind: str, path: Path, **more: Any) -> pipeline.Result:
    return pipeline.prepare(kind, path, KINDS[kind][1] | more, pipeline.RunOptions(), pipeline.Output())


def refused(kind: str, path: Path, **more: Any) -> str:
    """The message; the encoding that it names has to be one that works."""
    with pytest.raises(DataError) as caught:
        made(kind, path, **more)
    named = re.fullmatch(r"say --encoding (\S+)", caught.value.hint)
    assert named
    made(kind, path, **(more | {"encoding": named[1]}))
    return str(caught.value)


@pytest.mark.parametrize("said", ["utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("kind", KINDS)
def test_wide_text_without_a_mark_is_named(tmp_path: Path, kind: str, encoding: str, said: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(KINDS[kind][0].encode(encoding))
    message = refused(kind, path, encoding=said)
    assert f"{path} is {encoding[:6].upper()} without a byte order mark" in message
    assert f"{path}:1  zero bytes" in message
    assert f"--encoding {encoding}" in message


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("script", WORDS)
def test_wide_text_in_any_script_is_told(tmp_path: Path, script: str, encoding: str) -> None:
    path = tmp_path / "t.txt.gz"
    path.write_bytes(gzip.compress(WORDS[script].encode(encoding)))
    assert f"--encoding {encoding}" in refused("text", path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mark_against_the_encoding_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(KINDS[kind][0].encode("utf-16"))
    assert "begins with the byte order mark of UTF-16" in refused(kind, path, encoding="latin-1")
    path.write_bytes(KINDS[kind][0].encode("utf-32"))
    assert "begins with the byte order mark of UTF-32" in refused(kind, path, encoding="utf-16")


@pytest.mark.parametrize("kind", KINDS)
def test_narrow_text_is_not_read_as_utf_16(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(KINDS[kind][0].encode())
    assert "is not utf-16 text: it is ASCII or UTF-8" in refused(kind, path, encoding="utf-16")
    path.write_bytes("本本本".encode("utf-16-le"))
    with pytest.raises(DataError, match="has no byte order mark"):
        made("text", path, encoding="utf-16")


@pytest.mark.parametrize("encoding", WIDE)
def test_a_mark_is_no_part_of_a_name(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(("\ufeff" + CITIES).encode(encoding))
    assert made("table", path, encoding=encoding).schema.names == ("a", "city")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("iso2022_jp", "日本語のテキスト\n"), ("iso2022_kr", "한국어 텍스트\n"), ("iso2022_jp_2", "漢字 中文 한국\n")],
)
def test_escape_sequences_are_noted(tmp_path: Path, encoding: str, text: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(text.encode(encoding))
    notes = made("text", path).notes
    assert "the bytes hold escape sequences: is --encoding iso2022_" in notes[0]
    assert "ESC" in notes[1]
    assert made("text", path, encoding=encoding).notes == ()


def test_escape_sequences_in_a_table_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(("a,city\n" + "1,東京\n" * 5).encode("iso2022_jp"))
    assert "the bytes hold escape sequences: is --encoding iso2022_jp right?" in made("table", path).facts.notes


@pytest.mark.parametrize("kind", ["text", "table"])
def test_utf_8_read_byte_by_byte_is_noted(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(KINDS[kind][0].encode())
    result = made(kind, path, encoding="cp1252")
    assert any("the bytes are valid UTF-8" in note for note in (*result.notes, *result.facts.notes))
    path.write_bytes(KINDS[kind][0].encode("cp1252"))
    result = made(kind, path, encoding="cp1252")
    assert not any("valid UTF-8" in note for note in (*result.notes, *result.facts.notes))


@pytest.mark.parametrize(
    ("data", "encoding", "said"),
    [
        ("it’s “fine”\n".encode("cp1252"), "latin-1", "3 control characters are in the text (U+0092 1, U+0093 1, U+0094 1)"),
        (b"abc\0def ghi jkl\n", "utf-8-sig", "1 control character is in the text (NUL 1)"),
        (b"\x1b[31mred\x1b[0m\n", "utf-8-sig", "2 control characters are in the text (ESC 2)"),
        ("lost \ufffd\n".encode(), "utf-8-sig", "1 character is U+FFFD"),
    ],
)
@pytest.mark.parametrize("level", ["char", "word"])
def test_characters_that_text_seldom_holds_are_noted(tmp_path: Path, level: str, data: bytes, encoding: str, said: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(data)
    assert any(said in note for note in made("text", path, level=level, encoding=encoding).notes)


def test_plain_text_has_no_note(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes("page one\r\n\x0cpage\ttwo: naïve, “grey”\xa0cat\n".encode())
    assert made("text", path).notes == ()
