"""Sets of other sets: some rows, some tensors, several one after the other; lazily, with the same bits."""

import pickle

import numpy as np
import pytest

import tensorize
from tensorize import concat, prepare, read
from tensorize.core.errors import UsageError


@pytest.fixture
def path(tmp_path):
    table = {"x": [float(n) for n in range(30)], "c": ["ab"[n % 2] for n in range(30)], "y": list(range(30))}
    prepare("table", table, target="y", task="numbers", scale="none", out=tmp_path / "t.h5")
    return tmp_path / "t.h5"


@pytest.mark.parametrize(
    "rows",
    [slice(3, 9), slice(None, None, 4), slice(9, 3), [4, 4, 0], np.arange(30) % 3 == 0, np.array([], int), slice(-3, None)],
)
def test_some_rows(path, rows):
    with read(path) as ts:
        some = ts.select(rows)
        assert some.num_rows == len(ts.numpy("row")[rows])
        for key in ts:
            assert some.numpy(key).tobytes() == ts.numpy(key)[rows].tobytes()
            assert some.spec(key).dtype == ts.spec(key).dtype
        assert some.recipe_json == ts.recipe_json
        assert some.labels("features", "feature") == ts.labels("features", "feature")
        if some.num_rows:
            assert some.batch([some.num_rows - 1])[1].tolist() == [ts.numpy("target")[rows][-1]]
        assert pickle.loads(pickle.dumps(some)).equals(some)


def test_a_slice_of_a_slice_is_a_set_that_can_be_saved(path, tmp_path):
    with read(path) as ts:
        some = ts[10:20][::3]
        some.save(tmp_path / "some.h5")
        with read(tmp_path / "some.h5") as back:
            assert back.equals(some)
            assert back.numpy("row").tolist() == [10, 13, 16, 19]


def test_some_tensors(path, tmp_path):
    with read(path) as ts:
        assert ts.select("features").keys() == ("features",)
        assert ts.select(["target", "features"]).keys() == ("features", "target")
        with pytest.raises(UsageError, match=r'no tensor "feature".*features'):
            ts.select("feature")
    split = prepare("table", {"x": list(range(10))}, split="0.6,0.4")
    assert split.select(["features"]).keys() == ("train/features", "test/features")
    assert split.select(["test/features", "row"]).keys() == ("train/row", "test/features", "test/row")
    assert (split.num_rows, split.split("test").num_rows, len(split)) == (10, 4, 4)
    with pytest.raises(UsageError, match="split"):
        split.select([1])
    with pytest.raises(IndexError):
        split.split("test").select([4])


def test_paths_go_with_their_images(samples):
    ts = prepare("images", samples / "shapes-synthetic", dtype="uint8", size="8")
    some = ts.select([5, 2])
    assert [some.meta["paths"][at] for at in range(2)] == [ts.meta["paths"][5], ts.meta["paths"][2]]
    both = concat([some, ts])
    assert both.meta["paths"] == (*some.meta["paths"], *ts.meta["paths"])


@pytest.mark.parametrize("order", ["rows", "batches"])
def test_sets_one_after_the_other(path, order, tmp_path):
    with read(path) as ts:
        parts = [ts[:7], ts[7:7], ts[7:8], ts[8:]]
        both = concat(parts)
        assert both.equals(ts)
        rows = np.random.default_rng(0).permutation(30)
        if order == "rows":
            assert both.select(rows).equals(ts.select(rows))
            for start in range(0, 30, 4):
                for stop in range(start, 31, 5):
                    assert both.store.read("features", start, stop).tolist() == ts.numpy("features")[start:stop].tolist()
        else:
            made = [y.tolist() for _, y in both.batches(8, shuffle=True, seed=1)]
            assert made == [y.tolist() for _, y in ts.batches(8, shuffle=True, seed=1)]
    split = prepare("table", {"x": list(range(10))}, split="0.6,0.4")
    assert concat([split, split]).split("test").num_rows == 8


def test_sets_that_do_not_belong_together_are_refused(path):
    with read(path) as ts:
        other = prepare("table", {"x": [1.0, 2.0]})
        with pytest.raises(UsageError, match="different recipes"):
            concat([ts, other])
        with pytest.raises(UsageError, match=r"different tensors: .*features float32 N×3"):
            concat([ts, ts.select("features")])
    with pytest.raises(UsageError, match="no set"):
        concat([])
    index = prepare("series", {"at": np.arange(50), "x": np.arange(50.0)}, time="at:s", step="1s", window=5, encode="index")
    assert index[3:9].batch([0])[0].tolist() == index.batch([3])[0].tolist()
    with pytest.raises(UsageError, match="belongs to all rows"):
        concat([index, index])


def test_tokens_of_a_text(tmp_path):
    (tmp_path / "a.txt").write_text("abc\nde\nabcd\n")
    ts = prepare("text", tmp_path / "a.txt", encode="ids")
    assert ts[2:5].numpy("ids").tolist() == ts.numpy("ids")[2:5].tolist()
    assert "lengths" not in ts[2:5]


def test_everything_is_exported():
    assert tensorize.concat is concat
