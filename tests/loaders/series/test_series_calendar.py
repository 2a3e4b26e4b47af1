"""Steps of all sorts, windows and gaps as pandas computes them: calendars, units since 1970, zones, leap days, positions."""

import numpy as np
import pandas as pd
import pytest

from tensorize import prepare
from tensorize.core.errors import DataError, UsageError
from tensorize.loaders.series.pace import calendar_of, scale_of, snap

REGULAR = {
    "months": ("2015-01-01", "MS", "%Y-%m-%d", {}, "1mo"),
    "months in short": ("2015-01-01", "MS", "%Y-%m", {}, "1mo"),
    "ends of months": ("2015-01-31", "ME", "%Y-%m-%d", {}, "1mo"),
    "two months": ("2015-01-15", pd.DateOffset(months=2), "%Y/%m/%d", {}, "2mo"),
    "quarters": ("1990-01-01", "QS", "%Y-%m-%d", {}, "1q"),
    "ends of quarters": ("1990-03-31", "QE", "%Y-%m-%d", {}, "1q"),
    "years": ("1871-01-01", "YS", "%Y", {}, "1y"),
    "years of June": ("1871-06-30", pd.DateOffset(years=1), "%Y-%m-%d", {}, "1y"),
    "business days": ("2020-01-01", "B", "%Y-%m-%d", {}, "1b"),
    "business days, said": ("2020-01-01", "B", "%d.%m.%Y", {"step": "1b"}, "1b"),
    "quarter hours": ("2020-02-28", "15min", "%Y-%m-%d %H:%M", {}, 900_000_000),
    "milliseconds": ("2020-02-28 23:59:59.9", "ms", "%Y-%m-%d %H:%M:%S.%f", {}, 1000),
    "leap days": ("2020-02-26", "D", "%m/%d/%Y", {}, 86_400_000_000),
    "weeks": ("2020-02-03", "W-MON", "%Y-%m-%d", {}, 7 * 86_400_000_000),
}


def table(tmp_path, times, name="t.csv", **more):
    path = tmp_path / name
    frame = pd.DataFrame({"t": times, "y": np.arange(len(times), dtype=float) ** 2, **more})
    frame.to_csv(path, index=False)
    return path, frame


def windows(values, length, horizon=0):
    """An independent computation: the windows of an array, and what follows each."""
    found = np.lib.stride_tricks.sliding_window_view(np.asarray(values, dtype=np.float32), length + horizon)
    return found[:, :length], found[:, length:]


def step_of(made):
    state = next(step.state for step in made.recipe.steps if step.step == "grid")
    return state.get("calendar") or state["microseconds"]


@pytest.mark.parametrize("sort", REGULAR)
def test_steps_are_found(tmp_path, sort):
    start, freq, written, options, step = REGULAR[sort]
    times = pd.date_range(start, periods=60, freq=freq).strftime(written)
    path, frame = table(tmp_path, times)
    made = prepare("series", path, time="t", window=12, horizon=2, target="y", scale="none", **options)
    past, future = windows(frame.y, 12, 2)
    np.testing.assert_array_equal(made["series"][:, 0], past)
    np.testing.assert_array_equal(made["target"][:, 0], future)
    assert step_of(made) == step


@pytest.mark.parametrize("sort", ["months", "ends of months", "quarters", "years", "business days, said", "leap days"])
@pytest.mark.parametrize("gaps", ["drop", "ffill", "interpolate"])
def test_gaps_are_those_of_a_reindexed_frame(tmp_path, sort, gaps):
    start, freq, written, options, _ = REGULAR[sort]
    whole = pd.date_range(start, periods=60, freq=freq)
    kept = np.delete(np.arange(60), [7, 20, 21, 44])
    path, frame = table(tmp_path, whole[kept].strftime(written))
    made = prepare("series", path, time="t", window=6, scale="none", gaps=gaps, **options)
    full = pd.Series(frame.y.to_numpy(), index=kept).reindex(range(60))
    if gaps == "drop":
        every = windows(full, 6)[0]
        np.testing.assert_array_equal(made["series"][:, 0], every[~np.isnan(every).any(axis=1)])
    else:
        filled = full.ffill() if gaps == "ffill" else full.interpolate()
        np.testing.assert_array_equal(made["series"][:, 0], windows(filled, 6)[0])
        np.testing.assert_array_equal(made["observed"], windows(full.notna(), 6)[0])


def test_a_gap_of_a_month_is_told(tmp_path):
    times = pd.date_range("2015-01-01", periods=40, freq="MS").delete([5, 6]).strftime("%Y-%m")
    path, _ = table(tmp_path, times)
    with pytest.raises(DataError, match="2 months missing") as error:
        prepare("series", path, time="t", window=6)
    assert "2015-06-01 00:00:00 to 2015-07-01 00:00:00  2 months" in str(error.value)


def test_a_holiday_among_business_days_is_told_and_the_hint_works(tmp_path):
    times = pd.bdate_range("2020-01-01", periods=40).delete(11).strftime("%Y-%m-%d")
    path, _ = table(tmp_path, times)
    with pytest.raises(DataError, match="1 business day missing") as error:
        prepare("series", path, time="t", window=6)
    assert "--step 1b --gaps drop" in error.value.hint
    made = prepare("series", path, time="t", window=6, step="1b", gaps="drop", scale="none")
    assert len(made["series"]) == (11 - 5) + (28 - 5)
    assert step_of(prepare("series", path, time="t", window=6, gaps="ffill")) == 86_400_000_000


def test_splits_of_months_are_in_time(tmp_path):
    path, frame = table(tmp_path, pd.date_range("2015-01-01", periods=60, freq="MS").strftime("%Y-%m"))
    made = prepare("series", path, time="t", window=6, horizon=1, target="y", split="0.6,0.2,0.2", scale="none")
    for name, first, stop in (("train", 0, 36), ("val", 36, 48), ("test", 48, 60)):
        past, future = windows(frame.y[first:stop], 6, 1)
        np.testing.assert_array_equal(made[f"{name}/series"][:, 0], past)
        np.testing.assert_array_equal(made[f"{name}/target"][:, 0], future)


@pytest.mark.parametrize(("period", "length"), [("year", 12), ("quarter", 3), ("6", 6)])
def test_periods_of_months(tmp_path, period, length):
    path, frame = table(tmp_path, pd.date_range("2015-01-01", periods=48, freq="MS").strftime("%Y-%m-%d"))
    made = prepare("series", path, time="t", period=period, scale="none")
    np.testing.assert_array_equal(made["series"][:, 0], frame.y.to_numpy(np.float32).reshape(-1, length))


def test_weeks_of_business_days(tmp_path):
    path, frame = table(tmp_path, pd.bdate_range("2020-01-06", periods=50).strftime("%Y-%m-%d"))
    made = prepare("series", path, time="t", period="week", step="1b", scale="none")
    np.testing.assert_array_equal(made["series"][:, 0], frame.y.to_numpy(np.float32).reshape(10, 5))


def test_groups_of_months_may_start_apart(tmp_path):
    one = pd.date_range("2015-01-01", periods=24, freq="MS").strftime("%Y-%m")
    two = pd.date_range("2016-05-01", periods=18, freq="MS").strftime("%Y-%m")
    path, frame = table(tmp_path, [*one, *two], g=["a"] * 24 + ["b"] * 18)
    made = prepare("series", path, time="t", group="g", window=6, scale="none")
    expected = np.concatenate([windows(part.y, 6)[0] for _, part in frame.groupby("g")])
    np.testing.assert_array_equal(made["series"][:, 0], expected)


def test_months_in_any_order_and_twice(tmp_path):
    times = pd.date_range("2015-01-01", periods=24, freq="MS").strftime("%Y-%m")
    path, frame = table(tmp_path, [*times[12:], *times[:12], times[3]])
    with pytest.raises(DataError, match="not in order"):
        prepare("series", path, time="t", window=6)
    made = prepare("series", path, time="t", window=6, unsorted="sort", duplicates="first", scale="none")
    expected = frame.drop_duplicates("t").sort_values("t").y
    np.testing.assert_array_equal(made["series"][:, 0], windows(expected, 6)[0])


def test_a_recipe_of_months_is_applied_to_new_months(tmp_path):
    path, _ = table(tmp_path, pd.date_range("2015-01-31", periods=36, freq="ME").strftime("%Y-%m-%d"))
    made = prepare("series", path, time="t", window=3, scale="none")
    new, frame = table(tmp_path, pd.date_range("2024-01-31", periods=4, freq="ME").strftime("%Y-%m-%d"), "new.csv")
    np.testing.assert_array_equal(made.recipe.apply(new)["series"][:, 0], windows(frame.y, 3)[0])
    assert "calendar" in made.recipe.to_json()


def test_features_of_a_missing_month_are_its_own(tmp_path):
    times = pd.date_range("2015-01-01", periods=24, freq="MS").delete(5).strftime("%Y-%m-%d")
    path, _ = table(tmp_path, times)
    made = prepare("series", path, time="t", window=24, gaps="ffill", time_features="t:year,month", scale="none")
    month = made["series"][0, made.labels("series", "channel").index("t.month")]
    assert month.tolist() == [1 + at % 12 for at in range(24)]


def test_times_that_are_off_the_calendar(tmp_path):
    times = list(pd.date_range("2015-01-01", periods=24, freq="MS").strftime("%Y-%m-%d"))
    times[5] = "2015-06-03"
    path, frame = table(tmp_path, times)
    with pytest.raises(DataError, match="not on day 3 of a month") as error:
        prepare("series", path, time="t", window=6, step="1mo")
    assert "--step 1mo --snap" in error.value.hint
    made = prepare("series", path, time="t", window=6, step="1mo", snap=True, scale="none")
    np.testing.assert_array_equal(made["series"][:, 0], windows(frame.y, 6)[0])
    weekend, _ = table(tmp_path, ["2020-01-03", "2020-01-04", "2020-01-06"], "weekend.csv")
    with pytest.raises(DataError, match="not on business days"):
        prepare("series", weekend, time="t", window=2, step="1b")


# units, zones, two columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "factor"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
def test_time_since_1970(tmp_path, unit, factor):
    times = pd.date_range("2020-02-28", periods=30, freq="7min").as_unit("ns").asi8 // factor
    path, frame = table(tmp_path, times)
    made = prepare("series", path, time=f"t:{unit}", window=3, scale="none")
    np.testing.assert_array_equal(made["series"][:, 0], windows(frame.y, 3)[0])
    assert step_of(made) == 420_000_000
    np.testing.assert_array_equal(made.recipe.apply(frame)["series"][:, 0], windows(frame.y, 3)[0])
    same = prepare("series", path, time="t", time_format=unit, window=3, scale="none")
    np.testing.assert_array_equal(same["series"], made["series"])


@pytest.mark.parametrize("start", [1_600_000_000, 1_600_000_000_000, 0])
def test_numbers_as_times_name_the_flag_that_works(tmp_path, start):
    path, frame = table(tmp_path, start + np.arange(20))
    with pytest.raises(DataError) as error:
        prepare("series", path, time="t", window=3)
    time = error.value.hint.partition('--time "')[2].partition('"')[0]
    made = prepare("series", path, time=time, window=3, scale="none")
    np.testing.assert_array_equal(made["series"][:, 0], windows(frame.y, 3)[0])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("two", [False, True])
def test_windows_run_over_true_hours_in_three_zones(tmp_path, zone, two):
    for day in ("2023-03-10", "2023-03-24", "2023-04-01", "2023-09-29", "2023-10-27", "2023-11-03"):
        hours = pd.date_range(day, periods=24 * 5 * 2, freq="30min", tz="UTC").tz_convert(zone)
        columns = {"t": hours.strftime("%Y-%m-%d"), "clock": hours.strftime("%H:%M")} if two else {}
        frame = pd.DataFrame({"t": hours.strftime("%Y-%m-%d %H:%M"), **columns, "y": np.arange(len(hours)) * 1.0})
        path = tmp_path / "t.csv"
        frame.to_csv(path, index=False)
        time = "t,clock" if two else "t"
        made = prepare("series", path, time=time, zone=zone, window=24, step="30min", scale="none")
        np.testing.assert_array_equal(made["series"][:, 0], windows(frame.y, 24)[0])


@pytest.mark.parametrize("time", ["Date+Time", "Date,Time"])
@pytest.mark.parametrize("written", ["%H:%M:%S", "%H:%M", "%I:%M %p"])
def test_a_date_and_a_time_of_day_in_two_columns(tmp_path, time, written):
    times = pd.date_range("2007-02-01", periods=120, freq="15min")
    frame = pd.DataFrame({"Date": times.strftime("%d/%m/%Y"), "Time": times.strftime(written), "kw": np.arange(120) * 1.0})
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    made = prepare("series", path, time=time, time_format="day-first", window=4, horizon=1, target="kw", scale="none")
    np.testing.assert_array_equal(made["series"][:, 0], windows(frame.kw, 4, 1)[0])
    np.testing.assert_array_equal(made.recipe.apply(frame)["series"], made["series"])


def test_jittered_times_are_put_on_their_steps(tmp_path):
    times = pd.date_range("2020-01-01", periods=40, freq="5min")
    late = times + pd.to_timedelta(np.arange(40) % 4, unit="s")
    path, frame = table(tmp_path, late.strftime("%Y-%m-%d %H:%M:%S"))
    with pytest.raises(DataError, match="between the steps") as error:
        prepare("series", path, time="t", window=4, step="5min")
    assert "--step 5min --snap" in error.value.hint
    made = prepare("series", path, time="t", window=4, step="5min", snap=True, scale="none")
    np.testing.assert_array_equal(made["series"][:, 0], windows(frame.y, 4)[0])
    means = prepare("series", path, time="t", window=2, step="20min", snap=True, duplicates="mean", scale="none")
    expected = frame.y.groupby(late.round("20min")).mean()
    np.testing.assert_array_equal(means["series"][:, 0], windows(expected, 2)[0])
    with pytest.raises(UsageError, match="--snap"):
        prepare("series", path, time="t", window=4, snap=True)


# by position --------------------------------------------------------------------------------------------------------


def test_windows_by_position(tmp_path):
    path, frame = table(tmp_path, ["x"] * 30)
    made = prepare("series", path, drop="t", window=5, horizon=2, stride=3, target="y", scale="none", split="0.5,0.5")
    past, future = windows(frame.y[:15], 5, 2)
    np.testing.assert_array_equal(made["train/series"][:, 0], past[::3])
    np.testing.assert_array_equal(made["train/target"][:, 0], future[::3])
    assert step_of(made) is None
    assert len(made.recipe.apply(frame)["series"]) == len(range(0, 24, 3))


def test_windows_by_position_stay_in_their_group(tmp_path):
    path, frame = table(tmp_path, ["x"] * 30, g=["a"] * 12 + ["b"] * 4 + ["c"] * 14)
    made = prepare("series", path, drop="t", group="g", window=5, scale="none")
    parts = [windows(part.y, 5)[0] for _, part in frame.groupby("g") if len(part) >= 5]
    np.testing.assert_array_equal(made["series"][:, 0], np.concatenate(parts))


# dates that are wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaps", ["drop", "ffill", "interpolate", "0"])
@pytest.mark.parametrize("far", ["2024-01-01 00:00:00", "9999-12-31 00:00:00", "2001-01-01 00:00:00"])
def test_a_far_date_is_refused_before_anything_is_made_of_it(tmp_path, gaps, far):
    path, _ = table(tmp_path, ["2000-01-01 00:00:00", "2000-01-01 00:00:01", "2000-01-01 00:00:02", far])
    with pytest.raises(DataError, match="missing seconds") as error:
        prepare("series", path, time="t", step="1s", window=1, gaps=gaps)
    assert "t.csv:4 and " in str(error.value)


def test_a_long_pause_is_no_wrong_date(tmp_path):
    times = [*pd.date_range("2020-01-01", periods=3600, freq="s"), *pd.date_range("2020-02-01", periods=3600, freq="s")]
    path, _ = table(tmp_path, [time.strftime("%Y-%m-%d %H:%M:%S") for time in times])
    assert len(prepare("series", path, time="t", window=60, gaps="drop")["series"]) == 2 * (3600 - 59)


# the parts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [("1mo", "1mo"), ("month", "1mo"), ("4q", "1y"), ("q", "1q"), ("2y", "2y"), ("b", "1b"), ("6 months", "2q")],
)
def test_steps_of_the_calendar(text, said):
    assert str(calendar_of(text)) == said


@pytest.mark.parametrize("text", ["1m", "1M", "M", "1h", "0mo", "mo1", "1 moon", ""])
def test_what_is_no_step_of_the_calendar(text):
    assert calendar_of(text) is None


@pytest.mark.parametrize("freq", ["MS", "ME", "QE", "YE", "B"])
def test_ticks_follow_each_other(freq):
    times = pd.date_range("1899-12-29", periods=400, freq=freq).as_unit("us").asi8
    scale = scale_of("b" if freq == "B" else "mo", times)
    ticks = scale.ticks(times)
    assert len(set(np.diff(ticks).tolist())) == 1
    np.testing.assert_array_equal(scale.times(ticks), times)


def test_weeks_are_snapped_to_monday():
    times = pd.to_datetime(["2020-01-07", "2020-01-11"]).as_unit("us").asi8
    assert pd.to_datetime(snap(times, 7 * 86_400_000_000), unit="us").strftime("%Y-%m-%d").tolist() == [
        "2020-01-06",
        "2020-01-13",
    ]
