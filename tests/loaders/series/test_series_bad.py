"""Times that cannot be read, and the hours of a power grid: what is bad, missing, repeated or backward, under every flag."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import Command, refused, summary

from tensorize import TensorSet, prepare
from tensorize.core.errors import DataError
from tensorize.core.rejects import TooManyBadError

SKIP = {"on_bad": "skip", "max_bad": "100%"}
WRONG = {5: "yesterday", 17: "2024-13-01 00:00", 30: "", 40: "2024-01-02 25:00"}


def hours(count: int, first: str = "2024-01-01", zone: str | None = None) -> list[str]:
    return [f"{stamp:%Y-%m-%d %H:%M}" for stamp in pd.date_range(first, periods=count, freq="h", tz=zone)]


@pytest.fixture
def meter(tmp_path: Path) -> Path:
    """Four days of hours, four of which have no time that can be read."""
    path = tmp_path / "meter.csv"
    rows = [f"{WRONG.get(row, stamp)},{row}" for row, stamp in enumerate(hours(96))]
    path.write_text("t,x\n" + "\n".join(rows) + "\n")
    return path


def made(source: Any, **options: Any) -> TensorSet:
    return prepare("series", source, **({"time": "t", "step": "1h", "window": 6, "gaps": "drop", "scale": "none"} | options))


def test_the_default_is_an_error_that_shows_what_is_no_time(meter: Path) -> None:
    with pytest.raises(DataError):
        made(meter)


def test_rows_without_a_time_are_left_out_and_leave_gaps(meter: Path, tmp_path: Path) -> None:
    rejects = tmp_path / "bad.jsonl"
    ts = made(meter, rejects=rejects, **SKIP)
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(item["path"], item["line"], item["row"], item["column"], item["kind"], item["raw"]) for item in found] == [
        (str(meter), row + 2, row, "t", "time", raw) for row, raw in WRONG.items()
    ]
    starts = [row for row in range(91) if not set(range(row, row + 6)) & set(WRONG)]
    assert ts["row"].tolist() == starts
    assert ts["series"][:, 0].tolist() == [list(range(row, row + 6)) for row in starts]
    with pytest.raises(DataError, match="4 hours missing"):
        made(meter, gaps="error", **SKIP)


def test_statistics_come_from_train_rows_that_are_left(meter: Path) -> None:
    ts = made(meter, scale="zscore", split="0.5,0.5", **SKIP)
    kept = [row for row in range(48) if row not in WRONG]
    state = next(item.state for item in ts.recipe.learned if item.step == "zscore")
    assert state["mean"] == pytest.approx(np.mean(kept), rel=1e-12)
    assert state["std"] == pytest.approx(np.std(kept, ddof=1), rel=1e-12)


def test_an_unsorted_series_is_sorted_without_them(tmp_path: Path) -> None:
    rng, source = np.random.default_rng(0), tmp_path / "s.csv"
    order = rng.permutation(96)
    rows = [f"{WRONG.get(int(row), stamp)},{row}" for row, stamp in zip(order, np.array(hours(96))[order], strict=True)]
    source.write_text("t,x\n" + "\n".join(rows) + "\n")
    ts = made(source, unsorted="sort", **SKIP)
    starts = [row for row in range(91) if not set(range(row, row + 6)) & set(WRONG)]
    assert ts["series"][:, 0, 0].tolist() == starts
    assert order[ts.numpy("row")].tolist() == starts


def test_neither_threads_nor_chunks_change_a_bit(tmp_path: Path) -> None:
    source = tmp_path / "long.csv"
    stamps = hours(70_000)
    source.write_text(
        "t,x\n" + "".join(f"{'never' if row % 1000 == 7 else stamp},{row % 91}\n" for row, stamp in enumerate(stamps))
    )
    outputs = []
    for threads, size in ((1, 1 << 22), (4, 10_000), (2, 100_000)):
        out, rejects = tmp_path / f"{size}.h5", tmp_path / f"{size}.jsonl"
        made(source, out=out, rejects=rejects, threads=threads, chunk_bytes=size, split="0.8,0.2", encode="index", **SKIP)
        outputs.append((out.read_bytes(), rejects.read_bytes()))
    assert outputs[0] == outputs[1] == outputs[2]
    assert len(outputs[0][1].splitlines()) == 70


def test_an_hour_that_is_none_and_a_date_that_is_none(tmp_path: Path) -> None:
    source, rejects = tmp_path / "s.csv", tmp_path / "bad.jsonl"
    rows = [["2024-01-01", str(hour), str(hour)] for hour in range(24)]
    rows[3][1], rows[9][0], rows[20][1] = "24", "2024-02-31", "-1"
    source.write_text("d,h,x\n" + "".join(",".join(row) + "\n" for row in rows))
    ts = made(source, time="d+h", window=2, rejects=rejects, **SKIP)
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(item["row"], item["column"], item["raw"]) for item in found] == [
        (3, "h", "24"),
        (9, "d", "2024-02-31"),
        (20, "h", "-1"),
    ]
    assert ts["row"].tolist() == [row for row in range(23) if not {row, row + 1} & {3, 9, 20}]


def test_a_time_that_the_zone_never_had_is_bad(tmp_path: Path) -> None:
    source, rejects = tmp_path / "s.csv", tmp_path / "bad.jsonl"
    stamps = hours(48, "2024-03-30")
    source.write_text("t,x\n" + "".join(f"{stamp},{row}\n" for row, stamp in enumerate(stamps)))
    with pytest.raises(DataError, match="1 time does not exist in Europe/Berlin"):
        made(source, zone="Europe/Berlin")
    ts = made(source, zone="Europe/Berlin", rejects=rejects, **SKIP)
    (found,) = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert (found["raw"], found["reason"]) == ("2024-03-31 02:00:00", "does not exist in Europe/Berlin")
    assert (ts["observed"] == 1).all()
    assert len(ts["row"]) == 47 - 5, "the hour that never was leaves no gap"


def test_zones_that_mix_are_an_error_wherever_they_meet(tmp_path: Path) -> None:
    source = tmp_path / "s.csv"
    stamps = hours(70_000)
    source.write_text(
        "t,x\n" + "".join(f"{stamp}{'Z' if row >= 66_000 else ''},{row % 7}\n" for row, stamp in enumerate(stamps))
    )
    for options in ({}, SKIP):
        with pytest.raises(DataError, match="holds what is no time"):
            made(source, **options)


def test_a_table_in_memory_has_bad_times_too() -> None:
    times = [None if row == 4 else stamp for row, stamp in enumerate(pd.date_range("2024-01-01", periods=30, freq="h"))]
    frame = pa.table({"t": pa.array(times, pa.timestamp("us")), "x": list(range(30))})
    with pytest.raises(DataError):
        made(frame)
    assert made(frame, **SKIP)["row"].tolist() == list(range(5, 25))
    with pytest.raises(TooManyBadError, match=r"1 of 30 rows \(3.3%\) is bad"):
        made(frame, on_bad="skip")


def test_the_command_tells_of_bad_times(tensorize: Command, meter: Path, tmp_path: Path) -> None:
    flags = ["series", meter, "--time", "t", "--step", "1h", "--window", 6, "--gaps", "drop", "--on-bad", "skip", "-o", "m.h5"]
    assert refused(tensorize, *flags, "--max-bad", 3) == "error: 4 of 96 rows (4.2%) are bad, and --max-bad is 3"
    assert not (tmp_path / "m.h5").exists()
    told = summary(tensorize, *flags, "--max-bad", "5%")
    assert "skipped: 4 of 96 rows (4.2%) are bad: 4 time" in told
    assert f"{meter}:7  t  is no time  yesterday" in told


# The hours of a power grid, in local time without a zone: 27 missing, 4 repeated, 5,039 steps back


@pytest.fixture
def grid(corpora: Path) -> Path:
    return corpora / "hourly-dst/AEP_hourly.csv"


SAID = {"unsorted": "5,039 steps go backward", "duplicates": "4 times are repeated", "gaps": "27 hours missing"}
WAYS = [
    {},
    {"unsorted": "sort"},
    {"duplicates": "first", "on_bad": "skip"},
    {"gaps": "drop"},
    {"unsorted": "sort", "duplicates": "mean", "on_bad": "skip"},
    {"unsorted": "sort", "gaps": "interpolate"},
    {"unsorted": "sort", "duplicates": "first", "gaps": "drop"},
    {"unsorted": "sort", "duplicates": "mean", "gaps": "drop", "on_bad": "skip"},
    {"unsorted": "sort", "duplicates": "first", "gaps": "interpolate"},
    {"unsorted": "sort", "duplicates": "mean", "gaps": "ffill", "on_bad": "skip"},
]


@pytest.mark.parametrize("given", WAYS, ids=lambda given: "-".join(given.values()) or "plain")
def test_the_grid_is_refused_with_its_counts_or_windows_cross_no_gap(grid: Path, given: dict[str, str]) -> None:
    lacking = [name for name in SAID if name not in given]
    options = {
        "time": "Datetime",
        "window": 168,
        "horizon": 24,
        "target": "AEP_MW",
        "encode": "index",
        "scale": "none",
        **given,
    }
    if lacking:
        with pytest.raises(DataError) as error:
            prepare("series", grid, **options)
        told = str(error.value)
        assert [name for name, said in SAID.items() if said in told] == lacking
        return
    ts = prepare("series", grid, **options)
    observed, starts = ts.numpy("observed"), ts.numpy("start")
    assert (len(observed), int((observed == 0).sum())) == (121_296, 27)
    before = np.concatenate([[0], np.cumsum(observed == 0)])
    crossing = int((before[starts + 192] > before[starts]).sum())
    possible = np.arange(len(observed) - 191)
    whole = possible[before[possible + 192] == before[possible]]
    if given["gaps"] == "drop":
        assert crossing == 0
        assert starts.tolist() == whole.tolist()
    else:
        assert starts.tolist() == possible.tolist(), "a policy fills the gaps, and observed tells where"
        assert crossing == len(possible) - len(whole)


def test_the_grid_with_spoiled_times_has_more_gaps_and_no_window_over_one(grid: Path, tmp_path: Path) -> None:
    lines = grid.read_text().splitlines()
    spoiled = list(range(1000, 121_000, 4000))
    for line in spoiled:
        lines[line] = re.sub(r"^[^,]*", "never", lines[line])
    source, rejects = tmp_path / "spoiled.csv", tmp_path / "bad.jsonl"
    source.write_text("\n".join(lines) + "\n")
    options = {"time": "Datetime", "window": 168, "unsorted": "sort", "duplicates": "first", "encode": "index"}
    with pytest.raises(DataError, match=f"{27 + len(spoiled)} hours missing"):
        prepare("series", source, on_bad="skip", **options)
    ts = prepare("series", source, on_bad="skip", gaps="drop", rejects=rejects, **options)
    assert [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == [line + 1 for line in spoiled]
    observed, starts = ts.numpy("observed"), ts.numpy("start")
    assert int((observed == 0).sum()) == 27 + len(spoiled)
    before = np.concatenate([[0], np.cumsum(observed == 0)])
    assert (before[starts + 168] == before[starts]).all()
