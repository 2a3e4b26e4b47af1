"""Times that are read as times while the file is parsed, and the look-up of steps, give what the slow ways give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorize
from tensorize.core.errors import DataError, UsageError
from tensorize.loaders.series.clock import step_of
from tensorize.loaders.series.grid import Grid, owners

HOURS = [f"2024-01-{1 + hour // 24:02} {hour % 24:02}:00:00" for hour in range(240)]


def prepared(path, times, chunk_bytes=300, **options):
    path.write_text("at,kwh\n" + "".join(f"{time},{row % 7}.5\n" for row, time in enumerate(times)))
    return tensorize.prepare("series", path, time="at", window=6, scale="none", chunk_bytes=chunk_bytes, **options)


@pytest.mark.parametrize("way", ["T", " 24h of another form", "zone"])
def test_a_form_that_changes_late_is_read_all_the_same(tmp_path, way):
    changed = {
        "T": [time.replace(" ", "T") for time in HOURS[200:]],
        " 24h of another form": [time.removesuffix(":00") for time in HOURS[200:]],
        "zone": HOURS[200:],
    }[way]
    plain = prepared(tmp_path / "plain.csv", HOURS)
    assert prepared(tmp_path / "mixed.csv", HOURS[:200] + changed).equals(plain)


def test_a_time_with_an_offset_among_plain_ones_is_an_error(tmp_path):
    with pytest.raises(DataError, match="time column"):
        prepared(tmp_path / "x.csv", [*HOURS[:200], *[time + "Z" for time in HOURS[200:]]])


@pytest.mark.parametrize("word", ["NA", "soon", "2024-02-30 00:00:00"])
def test_a_word_among_times_is_named_wherever_it_stands(tmp_path, word):
    for at in (0, 120, 239):
        times = [*HOURS[:at], word, *HOURS[at + 1 :]]
        with pytest.raises(DataError) as caught:
            prepared(tmp_path / "x.csv", times)
        assert word in str(caught.value)


def test_a_missing_time_is_missing_wherever_it_stands(tmp_path):
    for at in (0, 120, 239):
        with pytest.raises(DataError, match="1 value is missing"):
            prepared(tmp_path / "x.csv", [*HOURS[:at], "", *HOURS[at + 1 :]])


def test_a_condition_on_the_time_compares_it_as_written(tmp_path):
    ts = prepared(tmp_path / "x.csv", HOURS, where='at >= "2024-01-06"')
    assert ts["row"][0] == 120


@given(st.lists(st.integers(0, 60), min_size=1, unique=True), st.lists(st.integers(-5, 70)), st.booleans())
def test_owners_are_those_of_a_binary_search(borders, places, in_order):
    borders = np.sort(np.array(borders, dtype=np.int64))
    places = np.array(sorted(places) if in_order else places, dtype=np.int64)
    expected = np.searchsorted(borders, places, side="right") - 1
    assert owners(borders, places).tolist() == expected.tolist()


@given(st.data())
def test_steps_of_a_stretch_are_those_of_each_step_alone(data):
    """Groups of one to three segments of rows, with gaps between some; any stretch of them."""
    base, place, ordinal, length, row = [0], [], [], [], 0
    for _ in range(data.draw(st.integers(1, 4))):
        at = base[-1]
        for _ in range(data.draw(st.integers(1, 3))):
            rows = data.draw(st.integers(1, 4))
            place.append(at)
            ordinal.append(row)
            length.append(rows)
            row += rows
            at += rows + data.draw(st.sampled_from([0, 0, 2]))
        base.append(place[-1] + length[-1])
    numbers = [np.array(values, dtype=np.int64) for values in (base, place, ordinal, length)]
    grid = Grid(10, numbers[0], np.arange(len(base) - 1) * 1000, *numbers[1:])
    start = data.draw(st.integers(0, grid.steps - 1))
    stop = data.draw(st.integers(start + 1, grid.steps))
    whole, alone = grid.at(start, stop), [grid.at(at, at + 1) for at in range(start, stop)]
    for name in ("time", "ordinal", "before", "after", "observed"):
        assert getattr(whole, name).tolist() == [int(getattr(step, name)[0]) for step in alone]
    first, end = grid.span(start, stop)
    near = [ordinal for ordinals in (whole.before, whole.after) for ordinal in ordinals.tolist() if ordinal >= 0]
    assert (first, end) == (min(near), max(near) + 1)
    each = whole.nearest(np.arange(len(whole)))
    assert each.tolist() == [int(step.nearest(np.zeros(1, dtype=np.int64))[0]) for step in alone]
    assert first <= each.min()
    assert each.max() < end
    assert whole.nearest(np.array([len(whole) - 1])).tolist() == [each[-1]]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h", 3600),
        ("15min", 900),
        ("30 s", 30),
        ("d", 86400),
        ("1h30min", 5400),
        ("1.5h", 5400),
        ("2 days", 172800),
        ("250ms", 0.25),
    ],
)
def test_lengths_of_time(text, seconds):
    assert step_of(text) == seconds * 1_000_000


@pytest.mark.parametrize(
    "text", ["", "5", "0h", "-1h", "1M", "1 fortnight", "1h x", "1e3s", "h1", "1.5us", "1h,", "a" * 9999 + "!"]
)
def test_what_is_no_length_of_time(text):
    with pytest.raises(UsageError, match="not a length of time"):
        step_of(text)
