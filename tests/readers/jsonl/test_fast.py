"""The fast parser against the exact one: where it is sure of a block, both find the same in it."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tensorize.readers.jsonl.exact import ReadLines, exact
from tensorize.readers.jsonl.fast import KeyGuess, fast, guess_of
from tensorize.readers.jsonl.lines import lines_of

TOKENS = [
    *("0", "-0", "-0.0", "1", "7.5", "1e5", "1E400", "-1e-400", "01", "1.", ".5", "+1", "-", "0x1", "1_0", "9" * 18, "9" * 19),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "1" * 40, "1.5e308"),
    *("NaN", "Infinity", "-Infinity", "Inf", "nan", "-NaN", "null", "true", "false", "True", "nul", "", "undefined"),
    *('""', '"x"', '"5"', '"NaN"', '": NaN,"', '"null"', '"2024-01-01"', '"2024-01-01 10:00"', '"2024-01-01T10:00:00Z"'),
    *(
        '"\\u00e9"',
        '"\\ud83d\\ude00"',
        '"\\ud800"',
        '"\\udc00x"',
        '"\\n"',
        '"\\x"',
        '"a\tb"',
        '"a\\/b"',
        '"é"',
        '"\\u0000"',
        "'x'",
    ),
    *(
        "[]",
        "[1]",
        "[null]",
        "[{}]",
        "[1,2",
        "[[]]",
        "{}",
        '{"c":1}',
        '{"c":null}',
        '{"c":{"d":"x"}}',
        '{"c":1,"c":2}',
        '{"d":[1]}',
    ),
]
KEYS = ['"a"', '"b"', '"a"', '"\\u0061"', '"a.c"', '"NaN"', '""', "a", '"é"']
ENDS = ["\n", "\n", "\n", "\r\n", "\n\n", " \n", "", ",\n", "}\n", " // x\n", "\0\n", "\ufeff\n"]


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Lines of objects, most of them alike, with something odd here and there."""
    usual = draw(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(TOKENS)), min_size=1, max_size=3))
    found = []
    for _ in range(draw(st.integers(1, 5))):
        cells = (
            draw(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(TOKENS)), max_size=3))
            if draw(st.booleans())
            else usual
        )
        found.append("{" + draw(st.sampled_from([",", ", "])).join(f"{key}: {value}" for key, value in cells) + "}")
        found.append(draw(st.sampled_from(ENDS)))
    return "".join(found).encode()


@settings(max_examples=400, deadline=None)
@given(data=texts(), guess_from=texts(), own=st.booleans())
def test_what_the_fast_parser_is_sure_of_is_what_the_exact_one_finds(data: bytes, guess_from: bytes, own: bool) -> None:
    lines = lines_of(data)
    if not (lines.are_objects and lines.count):
        return
    other = lines_of(data if own else guess_from)
    guess = guess_of(other.data, other.count) if other.are_objects and other.count else KeyGuess()
    found = fast(lines.data, lines.count, 8, guess)
    if found is not None:
        assert_alike(found, exact(lines.all, 8, lines.cut_off), [json.loads(line) for line in lines.all])


def assert_alike(found: ReadLines, sure: ReadLines, rows: list[Any]) -> None:
    assert not sure.bad
    assert found.nans == sure.nans
    assert found.columns.keys() == sure.columns.keys()
    for name, cells in found.columns.items():
        theirs = sure.columns[name]
        if cells.type != theirs.type:  # integers alone may be fractions, where a guess says so
            theirs = theirs.cast(cells.type, safe=False)
        assert str(cells.to_pylist()) == str(theirs.to_pylist()), name
    ours = {leaf.path: leaf for leaf in found.leaves}
    for leaf in sure.leaves:
        mine = ours[leaf.path]
        assert (mine.text, mine.nested, mine.is_object) == (leaf.text, leaf.nested, leaf.is_object)
        assert mine.name not in found.columns or mine.seen in (leaf.seen, type(leaf.seen).FLOAT)
    unknown = [leaf for leaf in found.leaves if leaf.path not in {other.path for other in sure.leaves}]
    assert not any(leaf.seen or leaf.nested or leaf.is_object for leaf in unknown)
    assert all(isinstance(row, dict) for row in rows)
    assert all(math.isfinite(cell) for cells in found.columns.values() for cell in cells.to_pylist() if isinstance(cell, float))
