"""Series: times, gaps, groups, days, folds and windows; the hourly files against what pandas makes of them."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tensorize import Recipe, prepare, read
from tensorize.core.errors import DataError, UsageError


def hours(first="2024-01-01", count=48):
    return pd.date_range(first, periods=count, freq="h").strftime("%Y-%m-%d %H:%M:%S").tolist()


def meter(count=48, lack=(), first="2024-01-01"):
    """A table of hours with their own number as value; the hours in `lack` are left out."""
    kept = [hour for hour in range(count) if hour not in lack]
    stamps = hours(first, count)
    return {"at": [stamps[hour] for hour in kept], "kwh": [float(hour) for hour in kept]}


def series(source, **options):
    return prepare("series", source, **{"time": "at", "scale": "none", **options})


@pytest.fixture(scope="module")
def bikes_frame(data):
    """hour.csv on the full grid of hours, filled by the rules of DESIGN, with pandas."""
    frame = pd.read_csv(data / "bikes/hour.csv")
    frame["t"] = pd.to_datetime(frame["dteday"]) + pd.to_timedelta(frame["hr"], "h")
    full = frame.set_index("t").drop(columns="dteday").reindex(pd.date_range("2011-01-01", "2012-12-31 23:00", freq="h"))
    full["observed"] = full["cnt"].notna()
    for name in ("instant", "weathersit", "temp", "atemp", "hum", "windspeed"):
        full[name] = full[name].ffill()
    for name in ("season", "yr", "mnth", "holiday", "weekday", "workingday"):
        full[name] = full.groupby(full.index.normalize())[name].transform(lambda values: values.ffill().bfill())
    for name in ("casual", "registered", "cnt"):
        full[name] = full[name].fillna(0)
    full["hr"], full["dteday.day"] = full.index.hour, full.index.day
    return full


# the real files -----------------------------------------------------------------------------------------------


def test_the_days_of_the_bikes_are_those_of_pandas(data, bikes_frame):
    ts = prepare("bikes", data / "bikes/hour.csv", scale="none")
    names = ts.labels("series", "channel")
    assert ts["series"].shape == (731, 17, 24)
    expected = bikes_frame[list(names)].to_numpy().reshape(731, 24, 17).swapaxes(1, 2).astype(np.float32)
    np.testing.assert_array_equal(ts.numpy("series"), expected)
    np.testing.assert_array_equal(ts.numpy("observed"), bikes_frame["observed"].to_numpy().reshape(731, 24))
    assert ts["series"][:, names.index("cnt")].double().sum() == 3292679
    assert (ts["observed"] == 0).sum() == 165


def test_the_fold_of_the_fixed_bikes(data):
    options = {"fold": 24, "scale": "none"}
    ts = prepare("bikes", data / "bikes/hour-fixed.csv", onehot="weathersit", keep="weathersit", **options)
    assert ts["series"].shape == (730, 21, 24)
    assert ts["series"][:, -4:].sum((0, 2)).tolist() == [11471, 4581, 1465, 3]
    assert ts.labels("series", "channel")[-4:] == tuple(f"weathersit={value}" for value in (1, 2, 3, 4))
    assert prepare("bikes", data / "bikes/hour-fixed.csv", **options)["series"].shape == (730, 17, 24)


def test_the_windows_of_the_bikes(data, bikes_frame):
    ts = prepare("bikes", data / "bikes/hour.csv", window=168, horizon=24, target="cnt", split="0.7,0.15,0.15")
    edges = [0, 12281, 14913, 17544]
    values = bikes_frame["cnt"].to_numpy()
    for name, (first, last) in zip(("train", "val", "test"), itertools.pairwise(edges), strict=True):
        part = ts.split(name)
        assert len(part["series"]) == last - first - 192 + 1
        np.testing.assert_array_equal(part.numpy("target")[0, 0], values[first + 168 : first + 192])
        np.testing.assert_array_equal(part.numpy("target")[-1, 0], values[last - 24 : last])
        seen = bikes_frame["observed"].to_numpy()[first : first + 168]
        np.testing.assert_array_equal(part.numpy("observed")[0], seen)
    train = bikes_frame[bikes_frame["observed"]].iloc[: int(bikes_frame["observed"].iloc[:12281].sum())]
    channel = ts.labels("train/series", "channel").index("temp")
    scaled = (bikes_frame["temp"].to_numpy()[:168] - train["temp"].mean()) / train["temp"].std()
    np.testing.assert_allclose(ts.split("train").numpy("series")[0, channel], scaled, rtol=1e-6)
    pd.testing.assert_index_equal(train.index, bikes_frame.index[:12281][bikes_frame["observed"].iloc[:12281]])


def test_the_bikes_come_back(data):
    ts = prepare("bikes", data / "bikes/hour.csv")
    table = ts.recipe.inverse(ts).to_pandas()
    frame = pd.read_csv(data / "bikes/hour.csv")
    seen = table[table["observed"] == 1].reset_index(drop=True)
    np.testing.assert_allclose(seen["cnt"], frame["cnt"], atol=1e-3)
    np.testing.assert_allclose(seen["temp"], frame["temp"], atol=1e-6)


def test_bikes_apply_equals_the_first_run(data):
    ts = prepare("bikes", data / "bikes/hour.csv", onehot="weathersit")
    assert ts.recipe.apply(data / "bikes/hour.csv").equals(ts)


def test_local_time_of_a_power_grid_is_told_in_one_message(tensorize, corpora, tmp_path):
    path = corpora / "hourly-dst/AEP_hourly.csv"
    done = tensorize("series", path, "--time", "Datetime", "--window", 24, "-o", "o.h5")
    assert done.returncode == 1
    for said in ("5,039 steps go backward", "4 times are repeated", "2014-11-02 02:00:00", "27 hours missing"):
        assert said in done.stderr
    for flag in ("--unsorted sort", "--duplicates first | mean", "--gaps drop"):
        assert flag in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_window_lies_over_a_gap_of_the_power_grid(corpora):
    path = corpora / "hourly-dst/AEP_hourly.csv"
    options = {"time": "Datetime", "unsorted": "sort", "duplicates": "mean", "window": 24, "scale": "none"}
    dropped = prepare("series", path, **options, gaps="drop")
    frame = pd.read_csv(path, parse_dates=["Datetime"]).groupby("Datetime")["AEP_MW"].mean()
    full = frame.reindex(pd.date_range(frame.index[0], frame.index[-1], freq="h"))
    assert full.isna().sum() == 27
    windows = np.lib.stride_tricks.sliding_window_view(full.to_numpy(), 24)
    whole = windows[~np.isnan(windows).any(axis=1)].astype(np.float32)
    np.testing.assert_array_equal(dropped.numpy("series")[:, 0], whole)
    assert (dropped["observed"] == 1).all()
    filled = prepare("series", path, **options, gaps="interpolate")
    expected = np.lib.stride_tricks.sliding_window_view(full.interpolate().to_numpy(), 24)
    np.testing.assert_allclose(filled.numpy("series")[:, 0], expected, rtol=1e-6)
    assert (filled["observed"] == 0).sum() == 27 * 24


# days ---------------------------------------------------------------------------------------------------------


def test_days_begin_at_midnight_and_weeks_on_monday():
    ts = series(meter(14 * 24, first="2024-01-01"), period="week")
    assert ts["series"].shape == (2, 1, 168)
    ts = series(meter(72, first="2024-01-03 00:00"), period="day")
    assert ts["series"].tolist() == [[list(range(day * 24, day * 24 + 24))] for day in range(3)]
    assert ts["row"].tolist() == [0, 24, 48]


def test_a_period_may_be_a_number_of_steps():
    assert series(meter(48), period="12")["series"].shape == (4, 1, 12)


@pytest.mark.parametrize("period", ["month", "0", "-1", "", "1.5"])
def test_a_period_that_is_none_is_refused(period):
    with pytest.raises(UsageError, match="period"):
        series(meter(), period=period)


def test_a_period_of_no_whole_number_of_steps_is_refused():
    stamps = pd.date_range("2024-01-01", periods=100, freq="7h").astype(str).tolist()
    with pytest.raises(UsageError, match="no whole number of steps"):
        series({"at": stamps, "kwh": list(range(100))}, period="day")


def test_hours_that_lack_at_the_edge_of_a_day_are_missing_too():
    table = meter(30, first="2024-01-01 20:00")
    with pytest.raises(DataError, match="42 hours missing") as caught:
        series(table, period="day")
    assert caught.value.details[0] == "2024-01-01 00:00:00 to 2024-01-01 19:00:00  20 hours"
    assert series(table, period="day", gaps="drop")["row"].tolist() == [4]
    with pytest.raises(DataError, match="no row to be filled from"):
        series(table, period="day", gaps="ffill")
    assert series(table, period="day", gaps="0")["series"].sum() == sum(range(30))


def test_times_off_the_hour_stay_where_they_are():
    stamps = pd.date_range("2024-01-01 00:30", periods=24, freq="h").astype(str).tolist()
    assert series({"at": stamps, "kwh": list(range(24))}, period="day")["series"].shape == (1, 1, 24)


# gaps ---------------------------------------------------------------------------------------------------------


def test_a_gap_is_an_error_that_names_the_hours(tensorize, tmp_path):
    pd.DataFrame(meter(48, lack=(5, 6, 30))).to_csv(tmp_path / "m.csv", index=False)
    done = tensorize("series", "m.csv", "--time", "at", "--period", "day", "-o", "m.h5")
    assert done.returncode == 1
    assert "3 hours missing" in done.stderr
    assert "2024-01-01 05:00:00 to 2024-01-01 06:00:00  2 hours" in done.stderr
    assert "2024-01-02 06:00:00" in done.stderr
    assert "--gaps drop | ffill | interpolate | VALUE" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


@pytest.mark.parametrize(
    ("policy", "values"), [("ffill", [4, 4]), ("interpolate", [5, 6]), ("-1", [-1, -1]), ("0.5", [0.5, 0.5])]
)
def test_gap_policies(policy, values):
    ts = series(meter(24, lack=(5, 6)), period="day", gaps=policy)
    assert ts["series"][0, 0, 4:8].tolist() == [4, *values, 7]
    assert ts["observed"][0].tolist() == [1] * 5 + [0, 0] + [1] * 17


def test_dropping_leaves_out_the_whole_sample_and_says_so(tensorize, tmp_path):
    pd.DataFrame(meter(72, lack=(30,))).to_csv(tmp_path / "m.csv", index=False)
    done = tensorize("series", "m.csv", "--time", "at", "--period", "day", "--gaps", "drop", "-o", "m.h5")
    assert "1 sample left out over 1 missing hour" in done.stdout
    assert read(tmp_path / "m.h5")["row"].tolist() == [0, 47]


def test_columns_may_have_policies_of_their_own():
    table = meter(24, lack=(5,)) | {"sky": ["clear"] * 10 + ["rain"] * 13}
    ts = series(table, period="day", gaps=["interpolate", "sky=rain"])
    assert ts.labels("series", "channel") == ("kwh", "sky=clear", "sky=rain")
    assert ts["series"][0, :, 5].tolist() == [5, 0, 1]
    held = series(table, period="day", gaps="interpolate")
    assert held["series"][0, :, 5].tolist() == [5, 1, 0]


def test_a_gap_value_that_is_no_category_is_refused():
    table = meter(24, lack=(5,)) | {"sky": ["clear"] * 10 + ["rain"] * 13}
    with pytest.raises(DataError, match="train has no such category"):
        series(table, period="day", gaps=["ffill", "sky=snow"])


@pytest.mark.parametrize("gaps", ["kw=ffill", "kwh=drop"])
def test_wrong_gap_policies_are_refused(gaps):
    with pytest.raises(UsageError, match="--gaps"):
        series(meter(), period="day", gaps=gaps)


def test_statistics_come_from_observed_steps_alone():
    table = meter(48, lack=(5, 6, 7))
    recipe = series(table, period="day", gaps="1000000", scale="zscore").recipe
    (step,) = [item for item in recipe.learned if item.step == "zscore"]
    assert step.state["mean"] == pytest.approx(np.mean(table["kwh"]), rel=1e-15)
    assert step.state["std"] == pytest.approx(np.std(table["kwh"], ddof=1), rel=1e-14)


def test_a_step_is_found_or_given(tensorize, tmp_path):
    pd.DataFrame(meter(48)).to_csv(tmp_path / "m.csv", index=False)
    done = tensorize("series", "m.csv", "--time", "at", "--window", 4, "--step", "30min", "--gaps", "ffill", "-o", "m.h5")
    assert "47 missing steps filled" in done.stdout
    assert read(tmp_path / "m.h5")["series"].shape == (95 - 3, 1, 4)


@pytest.mark.parametrize("step", ["1x", "0h", "-1h", "24", "soon"])
def test_a_step_that_is_no_time_is_refused(step):
    with pytest.raises(UsageError, match="is not a length of time"):
        series(meter(), period="day", step=step)


def test_times_between_the_steps_are_an_error():
    table = meter(24)
    table["at"][5] = "2024-01-01 05:20:00"
    with pytest.raises(DataError, match="1 time lies between the steps of one hour") as caught:
        series(table, period="day")
    assert caught.value.details == ("2024-01-01 05:20:00",)


def test_one_row_has_no_step_of_its_own():
    with pytest.raises(DataError, match="--step 1h"):
        series({"at": ["2024-01-01"], "kwh": [1]}, window=1)
    assert series({"at": ["2024-01-01"], "kwh": [1]}, window=1, step="1h")["series"].tolist() == [[[1]]]


# order and repeats --------------------------------------------------------------------------------------------


def test_times_that_go_back_are_sorted_on_request():
    table = meter(24)
    order = np.random.default_rng(0).permutation(24)
    mixed = {name: [values[place] for place in order] for name, values in table.items()}
    with pytest.raises(DataError, match="not in order"):
        series(mixed, period="day")
    ts = series(mixed, period="day", unsorted="sort")
    assert ts["series"].tolist() == [[list(range(24))]]
    assert ts["row"].tolist() == [order.tolist().index(0)]


def test_repeated_times_keep_the_first_or_the_mean():
    table = meter(24)
    table = {"at": [*table["at"][:6], *table["at"][5:]], "kwh": [*table["kwh"][:6], 8.0, *table["kwh"][6:]]}
    with pytest.raises(DataError, match="not in order") as caught:
        series(table, period="day")
    assert "1 time is repeated" in caught.value.details
    assert series(table, period="day", duplicates="first")["series"][0, 0, 5] == 5
    assert series(table, period="day", duplicates="mean")["series"][0, 0, 5] == 6.5


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_repeats_over_the_border_of_a_block_are_one(monkeypatch, size):
    monkeypatch.setattr("tensorize.columns.rows.BLOCK_ROWS", size)
    import pyarrow as pa

    from tensorize.loaders.series import rows

    values = [0.0, 1.0, 3.0, 5.0, 5.0, None, 9.0]
    batch = pa.record_batch({"v": pa.array(values), "w": pa.array(list("abcdefg"))})

    def stream(columns=None):
        chosen = batch if columns is None else batch.select([name for name in batch.schema.names if name in columns])
        for at in range(0, 7, size):
            part = chosen.slice(at, size)
            yield rows.RowBatch(part, np.arange(at, at + part.num_rows))

    found = list(rows.DistinctRows(stream, np.array([2, 3, 5]), means=True)())
    table = pa.Table.from_batches([item.batch for item in found])
    assert table.to_pydict() == {"v": [0.0, 3.0, 5.0, 9.0], "w": ["a", "b", "e", "g"]}
    assert np.concatenate([item.source for item in found]).tolist() == [0, 1, 4, 6]


@pytest.mark.parametrize("bucket", [1, 7, 1 << 20])
def test_sorting_in_buckets_changes_nothing(monkeypatch, bucket):
    monkeypatch.setattr("tensorize.loaders.series.order.BUCKET", bucket)
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"at": hours(count=60) * 3, "kwh": rng.random(180), "who": np.repeat(["c", "a", "b"], 60)})
    expected = table.sort_values(["who", "at"], kind="stable")["kwh"].to_numpy().astype(np.float32)
    mixed = table.sample(frac=1, random_state=0)
    ts = series(mixed, window=60, group="who", unsorted="sort")
    np.testing.assert_array_equal(ts.numpy("series").ravel(), expected)


# groups -------------------------------------------------------------------------------------------------------


def two_groups():
    north, south = meter(72), meter(72, first="2024-01-02")
    return {
        "at": north["at"] + south["at"],
        "kwh": north["kwh"] + [-value for value in south["kwh"]],
        "who": ["n"] * 72 + ["s"] * 72,
    }


def test_groups_are_series_of_their_own():
    ts = series(two_groups(), period="day", group="who")
    assert ts["series"].shape == (6, 1, 24)
    assert ts.labels("series", "channel") == ("kwh",)
    windows = series(two_groups(), window=24, horizon=1, target="kwh", group="who")
    assert len(windows["series"]) == 2 * (72 - 24)
    signs = torch.sign(windows["series"][:, 0].sum(1))
    assert signs.tolist() == [1] * 48 + [-1] * 48


def test_groups_are_split_at_one_time():
    ts = series(two_groups(), period="day", group="who", split="0.5,0.5")
    assert ts["train/row"].tolist() == [0, 24, 72]
    assert ts["test/row"].tolist() == [48, 96, 120]


def test_a_group_that_comes_again_is_not_in_order():
    table = two_groups()
    table["who"] = ["n"] * 36 + ["s"] * 36 + ["n"] * 72
    with pytest.raises(DataError, match="not in order"):
        series(table, period="day", group="who")


# folds --------------------------------------------------------------------------------------------------------


def test_a_fold_goes_by_position():
    ts = prepare("series", {"a": list(range(6)), "b": list(range(10, 16))}, fold=3, scale="none")
    assert ts["series"].tolist() == [[[0, 1, 2], [10, 11, 12]], [[3, 4, 5], [13, 14, 15]]]


def test_rows_that_do_not_fill_a_fold_are_an_error(tensorize, tmp_path):
    (tmp_path / "d.csv").write_text("a\n" + "1\n" * 7)
    done = tensorize("series", "d.csv", "--fold", 3, "-o", "d.h5")
    assert done.returncode == 1
    assert "7 rows do not fill samples of 3: 1 row is left over" in done.stderr
    done = tensorize("series", "d.csv", "--fold", 3, "--gaps", "drop", "-o", "d.h5")
    assert "1 row left over at the end" in done.stdout
    assert read(tmp_path / "d.h5")["series"].shape == (2, 1, 3)


def test_a_fold_warns_of_gaps_in_time(tensorize, tmp_path):
    pd.DataFrame(meter(25, lack=(7,))).to_csv(tmp_path / "m.csv", index=False)
    done = tensorize("series", "m.csv", "--time", "at", "--fold", 12, "-o", "m.h5")
    assert "1 gap in time" in done.stdout


def test_groups_are_folded_each_for_itself():
    table = {"a": [1, 2, 3, 4, 5, 6, 7], "who": list("xxxxyyy")}
    ts = prepare("series", table, fold=2, scale="none", group="who", gaps="drop")
    assert ts["series"].tolist() == [[[1, 2]], [[3, 4]], [[5, 6]]]
    assert ts["row"].tolist() == [0, 2, 4]


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), fold=st.integers(1, 4))
def test_rows_left_over_in_one_group_do_not_move_the_next(lengths, fold):
    ends = np.cumsum(lengths)
    whole = [start for end, count in zip(ends, lengths, strict=True) for start in range(end - count, end - fold + 1, fold)]
    assume(whole)
    table = {"a": [10 * row for row in range(ends[-1])], "who": np.repeat([f"g{i}" for i in range(len(lengths))], lengths)}
    ts = prepare("series", table, fold=fold, scale="none", group="who", gaps="drop")
    assert ts["series"].tolist() == [[[10 * (start + step) for step in range(fold)]] for start in whole]
    assert ts["row"].tolist() == whole


def test_folds_are_split_in_order():
    ts = prepare("series", {"a": list(range(20))}, fold=2, scale="none", split="0.6,0.2,0.2")
    assert [len(ts.split(name)["series"]) for name in ts.splits] == [6, 2, 2]
    assert ts["val/row"].tolist() == [12, 14]


# windows ------------------------------------------------------------------------------------------------------


def test_windows_targets_and_strides():
    table = meter(10) | {"b": [100 + hour for hour in range(10)]}
    ts = series(table, window=3, horizon=2, stride=2, target="b,kwh")
    assert ts["series"][:, 0].tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert ts.labels("target", "target") == ("b", "kwh")
    assert ts["target"].tolist() == [[[103, 104], [3, 4]], [[105, 106], [5, 6]], [[107, 108], [7, 8]]]


def test_a_target_is_scaled_only_where_a_flag_names_it():
    plain = series(meter(20), window=3, horizon=1, target="kwh", scale="zscore")
    assert plain["target"][:, 0, 0].tolist() == list(range(3, 20))
    assert plain["series"].abs().max() < 2
    named = series(meter(20), window=3, horizon=1, target="kwh", zscore="kwh")
    torch.testing.assert_close(named["target"][:-1, 0, 0], named["series"][1:, 0, 2])


@pytest.mark.parametrize(
    "options",
    [
        {"window": 2, "target": "kwh"},
        {"window": 2, "horizon": 1},
        {"period": "day", "target": "kwh", "horizon": 1},
        {"period": "day", "window": 2},
        {},
        {"period": "day", "stride": 2},
        {"period": "2", "time": None},
        {"fold": 2, "split": "0.5,0.5", "group": "kwh"},
    ],
)
def test_ways_that_do_not_go_together_are_refused(options):
    with pytest.raises(UsageError):
        series(meter(), **options)


def test_a_window_longer_than_the_series_is_an_error():
    with pytest.raises(DataError, match="no sample is left"):
        series(meter(10), window=11)
    with pytest.raises(DataError, match="a split has no sample"):
        series(meter(20), window=9, split="0.6,0.4")


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.integers(1, 58), max_size=12),
    st.integers(1, 9),
    st.integers(0, 3),
    st.integers(1, 4),
    st.sampled_from(["drop", "ffill", "interpolate"]),
    st.booleans(),
)
def test_windows_are_those_of_the_plain_loop(lack, window, horizon, stride, gaps, split):
    table = meter(60, lack=lack)
    options = {"horizon": horizon, "target": "kwh"} if horizon else {}
    full = pd.Series(table["kwh"], index=pd.to_datetime(table["at"])).asfreq("h")
    edges = [0, 42, 60] if split else [0, 60]
    values = full.to_numpy() if gaps == "drop" else getattr(full, gaps)().to_numpy()
    expected = [
        [
            at
            for at in range(0, 60, stride)
            if first <= at and at + window + horizon <= last and not np.isnan(values[at : at + window + horizon]).any()
        ]
        for first, last in itertools.pairwise(edges)
    ]
    if not all(expected):
        return
    ts = series(table, window=window, stride=stride, gaps=gaps, **options, **({"split": "0.7,0.3"} if split else {}))
    for name, starts in zip(ts.splits or [None], expected, strict=True):
        part = ts.split(name) if name else ts
        np.testing.assert_allclose(part.numpy("series")[:, 0], [values[at : at + window] for at in starts], rtol=1e-6)
        if horizon:
            np.testing.assert_allclose(
                part.numpy("target")[:, 0], [values[at + window : at + window + horizon] for at in starts], rtol=1e-6
            )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 30), st.sets(st.integers(1, 28), max_size=6)), min_size=1, max_size=3),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from(["drop", "ffill", "interpolate", "7.5"]),
    st.sampled_from(["windows", "index"]),
    st.randoms(use_true_random=False),
)
def test_windows_of_groups_in_any_order_are_those_of_the_plain_loop(groups, window, stride, gaps, encode, random):
    kept = [
        (f"g{place}", hour)
        for place, (first, count, lack) in enumerate(groups)
        for hour in range(first, first + count)
        if hour - first not in lack
    ]
    random.shuffle(kept)
    stamps = pd.date_range("2024-01-01", periods=60, freq="h").astype(str)
    frame = pd.DataFrame({"g": [name for name, _ in kept], "at": [stamps[hour] for _, hour in kept]})
    frame["kwh"] = np.arange(len(kept)) ** 2 / 8
    expected, rows = [], []
    for _, part in frame.groupby("g"):
        full = part.set_index(pd.to_datetime(part["at"]))["kwh"].sort_index().asfreq("h")
        source = pd.Series(part.index, index=pd.to_datetime(part["at"])).sort_index().asfreq("h").bfill()
        fill = {
            "drop": full.copy,
            "7.5": lambda full=full: full.fillna(7.5),
            "ffill": full.ffill,
            "interpolate": full.interpolate,
        }
        values = fill[gaps]().to_numpy()
        for at in range(0, len(values) - window + 1, stride):
            if not np.isnan(values[at : at + window]).any():
                expected.append(values[at : at + window])
                rows.append(int(source.iloc[at]))
    assume(expected)
    options = {"group": "g", "step": "1h", "unsorted": "sort", "gaps": gaps, "encode": encode}
    ts = series(frame, window=window, stride=stride, **options)
    found, _ = ts.batch(slice(0, ts.num_rows))
    ours, theirs = (np.argsort(places, kind="stable") for places in (ts.numpy("row"), rows))  # groups in order are not sorted
    np.testing.assert_allclose(found[ours, 0], np.array(expected)[theirs], rtol=1e-6)
    assert ts.numpy("row")[ours].tolist() == np.array(rows)[theirs].tolist()


# times and zones ----------------------------------------------------------------------------------------------


def test_a_date_and_an_hour_make_a_time():
    table = {"day": ["2024-01-01"] * 3 + ["2024-01-02"], "h": [21, 22, 23, 0], "v": [1, 2, 3, 4]}
    ts = prepare("series", table, time="day+h", window=4, scale="none")
    assert ts.labels("series", "channel") == ("h", "v")
    assert ts["series"][0].tolist() == [[21, 22, 23, 0], [1, 2, 3, 4]]
    table["h"] = [21, 22, 24, 0]
    with pytest.raises(DataError, match="no hour"):
        prepare("series", table, time="day+h", window=4)


def test_the_parts_of_a_missing_hour_are_its_own():
    ts = series(meter(24, lack=(5,)), period="day", gaps="0", time_features="at:hour,weekday")
    assert ts["series"][0, 0].tolist() == list(range(24))
    assert ts.labels("series", "channel") == ("at.hour", "at.weekday", "kwh")


def test_a_zone_makes_the_hour_that_is_lived_twice_two():
    stamps = pd.date_range("2024-10-26 22:00", periods=30, freq="h", tz="UTC").tz_convert("Europe/Berlin")
    table = {"at": stamps.strftime("%Y-%m-%d %H:%M:%S").tolist(), "kwh": list(range(30))}
    with pytest.raises(DataError, match="not in order"):
        series(table, window=30)
    ts = series(table, window=30, zone="Europe/Berlin")
    assert ts["series"].tolist() == [[list(range(30))]]


def test_a_zone_knows_no_hour_that_was_skipped():
    stamps = pd.date_range("2024-03-30 22:00", periods=30, freq="h", tz="UTC").tz_convert("Europe/Berlin")
    table = {"at": stamps.strftime("%Y-%m-%d %H:%M:%S").tolist(), "kwh": list(range(30))}
    with pytest.raises(DataError, match="1 hour missing"):
        series(table, window=30)
    assert series(table, window=30, zone="Europe/Berlin")["series"].shape == (1, 1, 30)
    table["at"][3] = "2024-03-31 02:30:00"
    with pytest.raises(DataError, match="does not exist in Europe/Berlin"):
        series(table, window=30, zone="Europe/Berlin")


def test_times_with_offsets_are_cut_into_days_of_the_zone():
    stamps = pd.date_range("2024-01-01 23:00", periods=24, freq="h", tz="UTC")
    table = {"at": stamps.strftime("%Y-%m-%dT%H:%M:%SZ").tolist(), "kwh": list(range(24))}
    assert series(table, period="day", zone="Europe/Berlin")["series"].shape == (1, 1, 24)
    with pytest.raises(DataError, match="hours missing"):
        series(table, period="day")


def test_an_unknown_zone_is_a_wrong_call():
    with pytest.raises(UsageError, match='no time zone "Mars"'):
        series(meter(), window=2, zone="Mars")


def test_a_column_that_holds_no_times_is_an_error(tensorize, tmp_path):
    (tmp_path / "d.csv").write_text("at,v\n2024-01-01,1\nsoon,2\n")
    done = tensorize("series", "d.csv", "--time", "at", "--window", 1)
    assert done.returncode == 1
    assert "soon" in done.stderr
    done = tensorize("series", "d.csv", "--time", "ta", "--window", 1)
    assert done.returncode == 2
    assert "ta" in done.stderr
    assert "columns: at, v" in done.stderr


def test_a_missing_time_is_an_error():
    with pytest.raises(DataError, match="1 value is missing"):
        series({"at": ["2024-01-01", None], "v": [1, 2]}, window=1)


# missing cells, recipes, and the same bits -------------------------------------------------------------------------


def test_missing_cells_are_no_gaps():
    table = meter(24)
    table["kwh"][3] = None
    with pytest.raises(DataError, match="1 value is missing"):
        series(table, period="day")
    assert series(table, period="day", missing="0")["observed"].min() == 1
    with pytest.raises(DataError, match="1 hour missing"):
        series(table, period="day", missing="drop")
    assert series(table, period="day", missing="drop", gaps="ffill")["series"][0, 0, 3] == 2


def test_apply_uses_the_step_and_the_statistics_of_the_recipe(tmp_path):
    first = series(meter(96), period="day", scale="zscore", split="0.5,0.5", out=tmp_path / "m.h5")
    again = Recipe.read(tmp_path / "m.h5").apply(meter(96))
    assert again.splits == ()
    np.testing.assert_array_equal(again.numpy("series")[:2], first.numpy("train/series"))
    np.testing.assert_array_equal(again.numpy("series")[2:], first.numpy("test/series"))
    short = first.recipe.apply({name: values[:24] for name, values in meter(96).items()})
    np.testing.assert_array_equal(short.numpy("series"), again.numpy("series")[:1])


def test_what_comes_after_train_teaches_nothing():
    one, other = meter(96), meter(96)
    other["kwh"][60:] = [value * 7 + 1 for value in other["kwh"][60:]]
    recipes = [series(table, window=4, scale="zscore", split="0.5,0.25,0.25").recipe for table in (one, other)]
    assert recipes[0] == recipes[1]


@pytest.mark.parametrize(
    "options",
    [
        {"period": "day", "gaps": "interpolate"},
        {"window": 5, "horizon": 2, "target": "kwh", "gaps": "ffill"},
        {"window": 5, "gaps": "drop", "group": "who"},
        {"fold": 7, "gaps": "drop", "split": None},
    ],
)
def test_threads_and_chunks_change_no_byte(tmp_path, options):
    rng = np.random.default_rng(0)
    kept = np.union1d(rng.choice(2016, 1900, replace=False), [0, 2015])
    stamps = np.array(hours(count=2016))
    frame = pd.DataFrame({"at": stamps[kept], "kwh": rng.normal(size=len(kept)), "who": "x"})
    frame.to_csv(tmp_path / "m.csv", index=False)
    options = {"split": "0.6,0.4", **options}
    made = set()
    for number, (threads, size) in enumerate([(1, 4 << 20), (2, 900), (5, 333)]):
        out = tmp_path / f"{number}.h5"
        series(
            tmp_path / "m.csv",
            scale="zscore",
            drop=() if "group" in options else "who",
            out=out,
            threads=threads,
            chunk_bytes=size,
            **options,
        )
        made.add(out.read_bytes())
    assert len(made) == 1


# an index of windows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"split": "0.6,0.4"}, {"group": "who"}, {"group": "who", "split": "0.5,0.5"}])
@pytest.mark.parametrize("gaps", ["drop", "interpolate"])
def test_an_index_of_windows_expands_to_the_windows(tmp_path, options, gaps):
    table = two_groups()
    kept = [at for at in range(144) if at not in (30, 31, 100)]
    table = {name: [values[at] for at in kept] for name, values in table.items()}
    if "group" not in options:
        table = {name: values[:70] for name, values in table.items()}
        options = options | {"drop": "who"}
    options = {"window": 5, "horizon": 2, "stride": 2, "target": "kwh", "gaps": gaps, "scale": "zscore"} | options
    full = series(table, **options)
    index = series(table, **options, encode="index", out=tmp_path / "i.h5")
    assert index.recipe.apply(table).keys() == ("start", "row", "observed", "series", "target")
    for name in full.splits or [None]:
        one, other = (ts.split(name) if name else ts for ts in (full, index))
        assert other.num_rows == one.num_rows
        assert other["series"].ndim == 2
        for rows in (slice(0, 1000), np.array([3, 0, 1])):
            for expected, found in zip(one.batch(rows), other.batch(rows), strict=True):
                assert torch.equal(expected, found)
        assert torch.equal(one["row"], other["row"])
        assert len(other.dataset()) == one.num_rows


UNEVEN = {
    "as it is": {},
    "some rows": {"where": "kwh > 3"},
    "without missing": {"missing": "kwh=drop"},
    "sorted": {"unsorted": "sort"},
    "once": {"duplicates": "first"},
    "means": {"duplicates": "mean"},
    "sorted means": {"unsorted": "sort", "duplicates": "mean"},
    "bad rows": {"on_bad": "skip", "max_bad": "2"},
    "bad and some": {"on_bad": "skip", "max_bad": "2", "where": "kwh > 3", "unsorted": "sort"},
}


@pytest.mark.parametrize("chunk_bytes", [300, 1 << 22])
@pytest.mark.parametrize("name", UNEVEN)
def test_an_index_tells_the_source_rows_of_whatever_is_kept(tmp_path, name, chunk_bytes):
    options = UNEVEN[name]
    lines = [f"{who},2011-01-{1 + at // 24:02} {at % 24:02}:00:00,{at % 40}.5" for who in "ab" for at in range(120)]
    if "missing" in options:
        lines[17], lines[150] = (line[: line.rfind(",") + 1] for line in (lines[17], lines[150]))
    if "duplicates" in options:
        lines = [line for at, line in enumerate(lines) for _ in range({30: 2, 200: 3}.get(at, 1))]
    if "unsorted" in options:
        lines = lines[100:] + lines[:100]
    if "on_bad" in options:
        lines[40:40], lines[90] = ["a,b"], lines[90].rsplit(",", 1)[0] + ",nothing"
    (tmp_path / "s.csv").write_text("who,at,kwh\n" + "\n".join(lines) + "\n")
    asked = {"group": "who", "window": 6, "stride": 3, "gaps": "drop", "step": "1h", "chunk_bytes": chunk_bytes} | options
    full, index = (series(tmp_path / "s.csv", **asked, **encode) for encode in ({}, {"encode": "index"}))
    assert torch.equal(full["row"], index["row"])
    assert full.num_rows > 20
    assert torch.equal(full["series"], index.batch(np.arange(full.num_rows))[0])
    for row, window in zip(full["row"].tolist(), full["series"][:, 0, 0].tolist(), strict=True):
        assert lines[row].endswith(f",{window}")


def test_an_index_is_for_windows():
    with pytest.raises(UsageError, match="--encode index is for windows"):
        series(meter(), period="day", encode="index")
