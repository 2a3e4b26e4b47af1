"""Times that occur twice: what is averaged, what is left out, and that nothing else is asked of what is left out."""

import numpy as np
import pandas as pd
import pytest

from tensorize import prepare
from tensorize.core.errors import UsageError


@pytest.fixture
def twice(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("t,y,c,k\n2020-01-01,2,a,1\n2020-01-02,3,b,2\n2020-01-02,5,x,3\n2020-01-03,4,a,1\n")
    return path


def test_integers_are_averaged_as_pandas_does(twice):
    made = prepare("series", twice, time="t", window=2, scale="none", duplicates="mean", drop="c,k")
    means = pd.read_csv(twice).groupby("t").y.mean()
    assert made["series"][:, 0].tolist() == [means[:2].tolist(), means[1:].tolist()]


@pytest.mark.parametrize("rows", [3, 70_000])
@pytest.mark.parametrize("time", ["t", "d+h"])
def test_means_of_many_integers(tmp_path, rows, time):
    times = pd.date_range("2020-01-01", periods=rows, freq="h").repeat(2)
    columns = {"t": times.strftime("%Y-%m-%d %H:%M")} if time == "t" else {"d": times.strftime("%Y-%m-%d"), "h": times.hour}
    frame = pd.DataFrame({**columns, "y": np.arange(2 * rows) * 3})
    path = tmp_path / "s.csv"
    frame.to_csv(path, index=False)
    made = prepare("series", path, time=time, window=1, scale="none", duplicates="mean")
    at = made.labels("series", "channel").index("y")
    np.testing.assert_array_equal(made["series"][:, at, 0], frame.groupby(times).y.mean().to_numpy(np.float32))


@pytest.mark.parametrize("way", ["first", "mean"])
def test_a_category_of_a_row_that_is_left_out_is_not_needed(twice, tmp_path, way):
    made = prepare("series", twice, time="t", window=2, scale="none", duplicates=way, onehot="c,k")
    assert [name for name in made.labels("series", "channel") if name.startswith("c")] == ["c=a", "c=b"]
    alone = tmp_path / "alone.csv"
    alone.write_text("".join(line for line in twice.read_text().splitlines(keepends=True) if "x" not in line))
    same = prepare("series", alone, time="t", window=2, scale="none", onehot="c,k")
    if way == "first":
        np.testing.assert_array_equal(made["series"], same["series"])
    np.testing.assert_array_equal(made["row"], same["row"])
    applied = made.recipe.apply(twice)
    np.testing.assert_array_equal(applied["series"], made["series"])


def test_repeats_out_of_order(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("t,y,c\n2020-01-03,4,a\n2020-01-02,3,b\n2020-01-02,5,x\n2020-01-01,2,a\n")
    made = prepare("series", path, time="t", window=3, scale="none", duplicates="first", unsorted="sort")
    assert made["series"][0, 0].tolist() == [2, 3, 4]


@pytest.mark.parametrize("policy", ["ffill", "interpolate", "y=ffill"])
def test_filling_a_cell_along_the_time_names_what_does_it(twice, policy):
    with pytest.raises(UsageError, match="a missing step is") as error:
        prepare("series", twice, time="t", window=2, duplicates="first", missing=policy)
    assert "--missing drop --gaps " in error.value.hint
