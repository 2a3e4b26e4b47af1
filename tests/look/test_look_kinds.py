"""What a source is, and what is proposed for series, texts and images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Command, WriteTable
from PIL import Image

import tensorize as ts
from tensorize import DataError, UsageError, suggest

ROWS = 60


def series(times: Any, **columns: Any) -> str:
    """A table with times and a value that goes up and down."""
    frame = pd.DataFrame({"time": list(times), "value": [(row * 37 % 101) / 4 for row in range(len(times))], **columns})
    return frame.to_csv(index=False)


def dates(freq: str, form: str = "%Y-%m-%d", start: str = "2011-01-01") -> list[str]:
    return list(pd.date_range(start, periods=ROWS, freq=freq).strftime(form))


PACES = {
    "hours": (dates("h", "%Y-%m-%d %H:%M"), {"time": "time", "window": 20}),
    "days": (dates("D"), {"time": "time", "window": 7}),
    "business days": (dates("B"), {"time": "time", "window": 7}),
    "weeks": (dates("W"), {"time": "time", "window": 4}),
    "months": (dates("MS"), {"time": "time", "window": 12}),
    "ends of months": (dates("ME"), {"time": "time", "window": 12}),
    "months as words": (dates("MS", "%b %Y"), {"time": "time", "window": 12}),
    "quarters": (dates("QS"), {"time": "time", "window": 4}),
    "years": (dates("YS", "%Y", "1950-01-01"), None),
    "days of eight digits": (dates("D", "%Y%m%d"), None),
    "day first": (dates("D", "%d/%m/%Y"), {"time": "time", "time_format": ["time=day-first"], "window": 7}),
    "month first": (dates("MS", "%m/%d/%Y"), {"time": "time", "time_format": ["time=month-first"], "window": 12}),
    "years of two digits": (dates("D", "%d-%b-%y"), {"time": "time", "time_format": ["time=%d-%b-%y"], "window": 7}),
    "backward": (dates("D")[::-1], {"time": "time", "unsorted": "sort", "window": 7}),
    "milliseconds": (
        list(pd.date_range("2011-01-01", periods=ROWS, freq="10ms").strftime("%Y-%m-%d %H:%M:%S.%f")),
        {"time": "time", "window": 20},
    ),
}


@pytest.mark.parametrize("pace", PACES)
def test_a_steady_pace_is_a_series(write: WriteTable, pace: str) -> None:
    times, wanted = PACES[pace]
    path = write(series(times))
    found = suggest(path)
    if wanted is None:
        name, window = ("year", 5) if pace == "years" else ("date", 7)
        path = write(series(times).replace("time,", f"{name},"))
        found, wanted = suggest(path), {"time": name, "window": window}
    assert (found.kind, dict(found.options)) == ("series", wanted)
    made = ts.prepare(found.kind, path, **found.options)
    values = pd.read_csv(path)["value"].to_numpy()[:: -1 if pace == "backward" else 1]
    scaled = (values - values.mean()) / values.std(ddof=1)
    windows = np.lib.stride_tricks.sliding_window_view(scaled, int(wanted["window"]))
    np.testing.assert_allclose(made["series"][:, 0].numpy(), windows, rtol=2e-6, atol=1e-6)


def test_gaps_are_filled_from_the_past_and_said(write: WriteTable) -> None:
    text = series(dates("D")).splitlines(keepends=True)
    found = suggest(write("".join(text[:20] + text[23:])))
    assert dict(found.options) == {"time": "time", "window": 7, "gaps": "ffill"}
    assert [choice.reason for choice in found.choices][-1] == "3 days missing"


def test_a_target_is_the_next_step(write: WriteTable) -> None:
    found = suggest(write(series(dates("D"))), target="value")
    assert dict(found.options) == {"target": ["value"], "time": "time", "window": 7, "horizon": 1}


def test_a_series_for_each_group(write: WriteTable) -> None:
    frame = pd.concat([pd.read_csv(write(series(dates("D")))).assign(shop=name, n=1) for name in ("a", "b", "c")])
    one_by_one = suggest(write(frame.to_csv(index=False)))
    assert dict(one_by_one.options) == {"time": "time", "group": "shop", "window": 7, "drop": ["n"]}
    interleaved = suggest(write(frame.sort_values(["time", "shop"]).to_csv(index=False)))
    assert interleaved.kind == "series"
    assert interleaved.options["group"] == "shop"


def test_dates_without_a_pace_are_a_table(write: WriteTable) -> None:
    odd = pd.Timestamp("2011-01-01") + pd.to_timedelta(np.cumsum(np.arange(1, ROWS + 1) ** 2 % 17 + 1), unit="D")
    assert suggest(write(series(odd.strftime("%Y-%m-%d")))).kind == "table"
    found = suggest(write(series(dates("D"))), kind="table")
    assert (found.kind, dict(found.options)) == ("table", {"time_features": ["time"]})


def test_prose_is_a_text(write: WriteTable) -> None:
    prose = "It was the best of times, it was the worst of times.\n\nSo it goes; and so on.\n" * 3
    found = suggest(write(prose, "book.txt"))
    assert (found.kind, dict(found.options)) == ("text", {"level": "word", "encode": "ids"})
    found = suggest(write((prose + "Köln\n").encode("cp1252"), "old.txt"))
    assert dict(found.options) == {"level": "word", "encode": "ids", "encoding": "cp1252"}
    assert suggest(write(prose, "README")).kind == "text"


def test_numbers_in_a_text_file_are_a_table(write: WriteTable) -> None:
    assert suggest(write("a\tb\n1\t2\n3\t5\n4\t4\n", "x.txt")).kind == "table"
    assert suggest(write("1.5\n2.5\n0.5\n", "x.dat")).kind == "table"
    assert suggest(write("x  y\n1  2\n3  5\n4  4\n", "x.txt")).kind == "table"


@pytest.mark.parametrize("name", ["x.csv", "x.txt", "x"])
def test_a_table_that_begins_as_a_picture_does_is_a_table(write: WriteTable, name: str) -> None:
    assert suggest(write("BMI,age\n21.5,30\n25.1,41\n30.2,50\n", name)).kind == "table"


def picture(path: Path, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (90, 60, 30, 128)[: len(mode)] if len(mode) > 1 else 90).save(path)


def test_images_are_brought_to_one_size(tmp_path: Path, tensorize: Command) -> None:
    for name, size in {"cat/1": (8, 8), "cat/2": (8, 8), "dog/1": (8, 8), "dog/2": (12, 6)}.items():
        picture(tmp_path / f"d/{name}.png", size)
    picture(tmp_path / "d/cat/3.png", (8, 8), "RGBA")
    (tmp_path / "d/dog/3.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    found = suggest(tmp_path / "d")
    assert found.kind == "images"
    assert dict(found.options) == {"alpha": "white", "on_bad": "skip", "max_bad": "1", "size": "8"}
    assert found.notes == ("classes: cat 3, dog 3", "sizes: 8×8 4, 6×12 1", "modes: RGB 4, RGBA 1")
    done = tensorize("auto", tmp_path / "d", "-o", tmp_path / "a.h5", "--json")
    assert done.returncode == 0, done.stdout
    argv = json.loads(done.stdout)["suggestion"]["argv"]
    assert tensorize(*argv[1:-1], tmp_path / "b.h5").returncode == 0
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_folder_of_tables_is_one_table(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("x,y\n1,2\n3,5\n4,4\n")
    found = suggest(tmp_path)
    assert (found.kind, found.source) == ("table", tmp_path)
    assert found.facts.files == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="holds no images and no tables"):
        suggest(empty)


def test_standard_input_is_looked_at(tensorize: Command) -> None:
    done = tensorize("-", input="a,b\n1,x\n2,y\n4,x\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "tensorize table - -o stdin.h5"


def test_what_is_no_source_is_no_command(tensorize: Command) -> None:
    done = tensorize("tabel")
    assert done.returncode == 2
    assert 'did you mean "table"?' in done.stderr
    assert "there is no file" in tensorize("nowhere.csv").stderr
    with pytest.raises(UsageError, match="no kind"):
        suggest({"a": [1, 2]}, kind="imagse")


DAYS_AND_HOURS = {
    "whole hours": ("h", "hr", lambda times: times.hour, "%Y-%m-%d", {}),
    "times of day": ("15min", "clock", lambda times: times.strftime("%H:%M"), "%Y-%m-%d", {}),
    "day first": ("6h", "Hour", lambda times: times.hour, "%d/%m/%Y", {"time_format": ["day=day-first"]}),
    "backward": ("-1h", "hour", lambda times: times.hour, "%Y-%m-%d", {"unsorted": "sort"}),
}


@pytest.mark.parametrize("name", DAYS_AND_HOURS)
def test_days_and_hours_in_two_columns_are_one_time(write: WriteTable, name: str) -> None:
    freq, column, told, form, more = DAYS_AND_HOURS[name]
    times = pd.date_range("2011-01-25 00:00", periods=24 * 12, freq=freq)
    values = np.arange(len(times)) * 37 % 101 / 4
    path = write(pd.DataFrame({"day": times.strftime(form), column: told(times), "value": values}).to_csv(index=False))
    found = suggest(path)
    window = 60 if freq == "15min" else 24
    assert (found.kind, dict(found.options)) == ("series", {"time": f"day+{column}", **more, "window": window})
    assert f'"day" and "{column}" tell the time' in found.choices[0].reason
    made = ts.prepare("series", path, **found.options, raw=["value"])
    values = values[::-1] if name == "backward" else values
    np.testing.assert_array_equal(made["series"][:, -1].numpy(), np.lib.stride_tricks.sliding_window_view(values, window))


def test_numbers_that_are_no_hours_of_a_day_are_none(write: WriteTable) -> None:
    rows = [f"2011-01-{day:02},{order},{day * order % 7}" for day in range(1, 29) for order in (3, 1, 2)]
    found = suggest(write("\n".join(["day,hour,value", *rows]) + "\n"))
    assert "day+hour" not in found.options.values()
    rows = [f"2011-01-{day:02},{(day * 7 + 3) % 24},{day % 7}.5" for day in range(1, 29)]
    found = suggest(write("\n".join(["day,hour,value", *rows]) + "\n"))
    assert found.options["time"] == "day"
