"""Runs of times, found from run to run in packed blocks, against a loop over every row."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorize.engine.packed import Packed, pack
from tensorize.loaders.series.clock import Clock, Reading
from tensorize.loaders.series.runs import NEW, find_runs
from tensorize.readers.csv import parse as parser
from tensorize.readers.csv.dialect import find_dialect
from tensorize.readers.csv.options import CsvOptions

HOUR = 3600 * 1_000_000

stretches = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([-HOUR, 0, HOUR, 2 * HOUR]), st.integers(1, 40)), min_size=1, max_size=8
)
"""(group, distance, rows)."""


def rows_of(drawn):
    """(row) group, (row) time: each stretch goes on where the last ended, or a little off."""
    names, times, now = [], [], 5 * HOUR
    for group, distance, count in drawn:
        for _ in range(count):
            now += distance
            names.append(f"g{group}")
            times.append(now)
    return names, times


def by_loop(names, times):
    """(first, time, apart) of every run, and the groups."""
    found, groups, before = [], [], None
    for row, (name, time) in enumerate(zip(names, times, strict=True)):
        is_new = row == 0 or name != names[row - 1]
        apart = NEW if is_new else time - times[row - 1]
        if is_new or before == NEW or apart != before:
            found.append((row, time, apart))
        groups += [name] if is_new else []
        before = apart
    return found, groups


def clock() -> Reading:
    return Clock(("at",)).reading()


@settings(max_examples=300, deadline=None)
@given(stretches, st.lists(st.integers(1, 150), max_size=4), st.booleans(), st.booleans())
def test_runs_are_those_of_a_loop(drawn, cuts, is_packed, is_grouped):
    names, times = rows_of(drawn)
    names = names if is_grouped else [""] * len(names)
    edges = sorted({0, len(times), *(cut for cut in cuts if cut < len(times))})
    blocks = []
    for start, stop in pairwise(edges):
        columns = {"at": pa.array(times[start:stop], pa.timestamp("us")), "group": pa.array(names[start:stop])}
        blocks.append(pack(columns) if is_packed else Packed.of(pa.record_batch(columns)))
    found = find_runs(blocks, clock(), "group" if is_grouped else None)
    expected, groups = by_loop(names, times)
    assert list(zip(found.first.tolist(), found.time.tolist(), found.apart.tolist(), strict=True)) == expected
    assert found.rows == len(times)
    assert list(found.groups) == groups


def test_a_block_without_rows_is_nothing():
    some = {"at": pa.array([0, HOUR, 2 * HOUR], pa.timestamp("us"))}
    none = {"at": pa.array([], pa.timestamp("us"))}
    found = find_runs([pack(none), pack(some), Packed.of(pa.record_batch(none)), pack(some)], clock(), None)
    assert found.rows == 6
    assert found.apart.tolist() == [NEW, HOUR, -2 * HOUR, HOUR]


REPEATED = {
    "words": ["a", "a", "b", ""],
    "integers": ["1", "-2", "300"],
    "codes": ["007", "007", "12"],
    "fractions": ["1.5", "2", "NA"],
    "missing numbers": ["4", "", "NaN"],
    "other notation": ["1,5", "2,25"],
    "times": ["2011-01-01", "2011-01-02 10:00:00"],
    "true": ["true", "False", ""],
    "mixed": ["1", "x", "2.5"],
    "large": ["99999999999999999999", "1"],
    "spaces": [" 1", "2 "],
}


@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.parametrize("na", [(), ("-2", "a")])
def test_a_column_that_repeats_itself_is_parsed_as_any_other(name, na, monkeypatch):
    cells = np.repeat(REPEATED[name], 100).tolist()
    data = "\n".join(f'"{cell}";{row}' for row, cell in enumerate(cells)).encode() + b"\n"
    dialect = find_dialect(b"c;d\n" + data, True, CsvOptions.parse({"delimiter": ";"}), "x.csv")
    reader = parser.ChunkParser(dialect, ("c", "d"), frozenset(), frozenset({"c"}) if name == "mixed" else frozenset(), na)
    by_runs = parser.parse(data, reader)
    assert not isinstance(by_runs.columns["c"], pa.Array)
    monkeypatch.setattr(parser, "repeating", lambda cells: None)
    one_by_one = parser.parse(data, reader)
    assert isinstance(one_by_one.columns["c"], pa.Array)
    assert by_runs.columns["c"].unpacked().equals(one_by_one.columns["c"])
    assert by_runs.last(7).equals(one_by_one.last(7))
    assert (by_runs.seen, by_runs.whole, by_runs.rows) == (one_by_one.seen, one_by_one.whole, one_by_one.rows)


@pytest.mark.parametrize(
    ("cells", "whole"),
    [
        (["1e308", "1e308", "-1e308"], True),
        (["1e308", "inf", "1"], False),
        (["inf", "-inf", "0.5"], False),
        (["0.5", "", "2"], False),
        (["0.5", "1", "2"], True),
        (["1", "2", "9"], True),
        (["1", "2", ""], False),
    ],
)
def test_a_column_is_whole_where_no_cell_is_missing_or_infinite(cells, whole):
    data = "\n".join(f"{cell};{row}" for row, cell in enumerate(cells * 3)).encode() + b"\n"
    dialect = find_dialect(b"c;d\n" + data, True, CsvOptions.parse({"delimiter": ";"}), "x.csv")
    parsed = parser.parse(data, parser.ChunkParser(dialect, ("c", "d"), frozenset(), frozenset(), ()))
    assert parsed.whole == (whole, True)


@pytest.mark.parametrize(("cells", "type"), [("1 2 3 9 0", pa.int64()), ("1 2 3 01 2", pa.string()), ("1 2 3 x", pa.string())])
def test_integers_of_one_digit_are_so_all_of_them(cells, type):
    data = "\n".join(f"{cell};{row}" for row, cell in enumerate(cells.split() * 5)).encode() + b"\n"
    dialect = find_dialect(b"c;d\n" + data, True, CsvOptions.parse({"delimiter": ";"}), "x.csv")
    parsed = parser.parse(data, parser.ChunkParser(dialect, ("c", "d"), frozenset(), frozenset(), ()))
    assert parsed.columns["c"].type == type
