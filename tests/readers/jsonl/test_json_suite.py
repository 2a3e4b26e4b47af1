"""The texts of a JSON conformance suite, as JSON and as JSON Lines, and random rows: as Python's own parser has them."""

from __future__ import annotations

import json
import math
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from json_rows import rows_of, written

import tensorize
from tensorize.core.errors import TensorizeError


def flat(record: dict[str, Any], above: str = "") -> dict[str, Any]:
    """The cells of a row."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return found


def same(ours: Any, theirs: Any) -> bool:
    """Whether a cell is what Python reads: integers among fractions are fractions, and what is missing is null."""
    if isinstance(theirs, str) and not theirs.strip():
        return ours in (None, theirs)  # what is white space is Arrow's to say
    if theirs is None or (isinstance(theirs, float) and math.isnan(theirs)):
        return ours is None
    if isinstance(theirs, int) and not isinstance(theirs, bool) and isinstance(ours, str):
        return ours == str(theirs)
    return ours == (float(theirs) if isinstance(ours, float) else theirs) and isinstance(ours, bool) == isinstance(theirs, bool)


def records_of(text: str, suffix: str) -> list[dict[str, Any]]:
    """What Python reads."""
    found = json.loads(text) if suffix == ".json" else [json.loads(line) for line in text.splitlines() if line.strip()]
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_every_text_of_the_suite_is_a_table_or_a_named_error(corpora: Path, tmp_path: Path, suffix: str) -> None:
    names = sorted((corpora / "json-suite").glob("*.json"))
    assert len(names) == 318
    read, unhelpful = 0, list[str]()
    for source in names:
        path = written(tmp_path / f"x{suffix}", source.read_bytes())
        reader = "json" if suffix == ".json" else "jsonl"
        try:
            found, _ = rows_of(path, reader=reader)
        except TensorizeError as error:
            unhelpful += [] if error.hint else [source.name]
            continue
        read += 1
        assert not source.name.startswith("n_") or suffix == ".jsonl", source.name
        theirs = [flat(record) for record in records_of(source.read_text("utf-8-sig"), suffix)]
        for name, cells in found.items():
            assert all(same(ours, row.get(name)) for ours, row in zip(cells, theirs, strict=True)), source.name
        assert set(found) == set(chain.from_iterable(theirs)), source.name
    assert (unhelpful, read) == ([], {".json": 7, ".jsonl": 6}[suffix])


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_every_value_of_the_suite_is_read_as_python_reads_it_or_refused(corpora: Path, tmp_path: Path, suffix: str) -> None:
    """Each text as the value of a key: those that hold no list are cells."""
    unhelpful = list[str]()
    for source in sorted((corpora / "json-suite").glob("*.json")):
        inner = source.read_bytes().strip().removeprefix(b"[").removesuffix(b"]")
        row = b'{"n": 1, "v": ' + inner + b"}"
        path = written(tmp_path / f"x{suffix}", b"[" + row + b"]" if suffix == ".json" else row + b"\n")
        try:
            theirs = json.loads(row)
        except (ValueError, RecursionError):
            theirs = None
        try:
            found, _ = rows_of(path, reader=suffix[1:])
        except TensorizeError as error:
            unhelpful += [] if error.hint else [source.name]
            continue
        assert theirs is not None, source.name
        expected = flat(theirs)
        assert all(same(cells[0], expected[name]) for name, cells in found.items()), source.name
    assert unhelpful == []


KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="."), max_size=4)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["NaN", "null", "x: NaN,", "5", "-0", "\\", '"', "Infinity", "2024-01-01", "}\n{", "\u2028", "\\ud800"]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 2**63 - 1, 2**64, -0.0, 0, 1e308])
COLUMNS = st.sampled_from([NUMBERS, st.integers(-5, 5), TEXTS, st.booleans(), NUMBERS | TEXTS, st.booleans() | TEXTS])


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of some columns, some of them nested, with keys that are missing here and there."""
    names = draw(st.lists(KEYS, min_size=1, max_size=4, unique=True))
    inner = draw(st.lists(KEYS, max_size=2, unique=True))
    kinds = {name: draw(COLUMNS) for name in (*names, *(f".{name}" for name in inner))}
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        row: dict[str, Any] = {name: draw(kinds[name] | st.none()) for name in names if draw(st.booleans())}
        if inner and draw(st.booleans()):
            row["in"] = {name: draw(kinds[f".{name}"] | st.none()) for name in inner}
        rows.append(row)
    return rows


def expected(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Column → cells, as Python has them."""
    cells = [flat(row) for row in rows]
    return {name: [row.get(name) for row in cells] for name in dict.fromkeys(chain.from_iterable(cells))}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=tables(), size=st.sampled_from([1, 50, 1 << 20]), ascii_only=st.booleans(), array=st.booleans())
def test_random_rows_come_through(tmp_path: Path, rows: list[dict[str, Any]], size: int, ascii_only: bool, array: bool) -> None:
    if any("in" in row and not isinstance(row["in"], dict) for row in rows):
        return
    theirs = expected(rows)
    texts = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    path = written(tmp_path / "x", "[" + ", ".join(texts) + "]" if array else "\n".join(texts))
    if not theirs:
        with pytest.raises(TensorizeError, match="no key"):
            rows_of(path, reader="json" if array else "jsonl", size=size)
        return
    found, source = rows_of(path, reader="json" if array else "jsonl", lenient=list(theirs), size=size)
    assert set(found) == set(theirs)
    for name, cells in theirs.items():
        kind = source.schema[name].kind
        fractions = any(isinstance(cell, float) and not math.isnan(cell) for cell in cells)
        for ours, cell in zip(found[name], cells, strict=True):
            assert as_read(cell, kind, fractions, name in source.codes) == ours or same(ours, cell), (name, cell, ours)


def as_read(cell: Any, kind: str, fractions: bool, code: bool) -> Any:
    """A cell of a column that is text: numbers as Python writes them, what is blank or means missing among numbers as null."""
    if isinstance(cell, str):
        return None if not cell.strip() or ((code or kind != "category") and cell.strip() in NA) else cell
    if kind == "number" or cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None if isinstance(cell, float) and math.isnan(cell) else cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return repr(float(cell)) if fractions else str(cell)


NA = ("", "NA", "NaN", "nan", "null", "N/A")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    numbers=st.lists(st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6), min_size=4, max_size=30),
    words=st.lists(st.sampled_from(["red", "grün", "NA", "5"]), min_size=4, max_size=30),
    size=st.sampled_from([30, 1 << 20]),
)
def test_the_tensors_are_those_of_the_same_rows_in_memory(
    tmp_path: Path, numbers: list[float], words: list[str], size: int
) -> None:
    rows = [
        {"x": float(x), "n": index % 3, "w": w, "b": index % 2 == 0}
        for index, (x, w) in enumerate(zip(numbers, words, strict=False))
    ]
    path = written(tmp_path / "x.jsonl", "\n".join(json.dumps(row) for row in rows))
    with tensorize.prepare("table", rows) as one, tensorize.prepare("table", path, chunk_bytes=size) as other:
        assert one.equals(other)
