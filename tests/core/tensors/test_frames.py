"""Sets as pandas, polars, Arrow and xarray have them, and as a notebook shows them: every value."""

from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
import torch

from tensorize import prepare
from tensorize.core.errors import UsageError


@pytest.fixture(scope="module")
def table():
    rows = {
        "x": [0.5, 1.5, -2.0, 3.25, 9.0],
        "target": [1.0, 2, 3, 4, 5],
        "c": list("abcab"),
        "y": [True, False, True, True, False],
    }
    return prepare("table", rows, target="y", scale="none", onehot="c")


@pytest.fixture(scope="module")
def split():
    return prepare(
        "table", {"x": [float(n) for n in range(10)], "y": [n % 3 for n in range(10)]}, target="y", split="0.6,0.2,0.2"
    )


@pytest.fixture(scope="module")
def windows():
    return prepare(
        "series",
        {"at": np.arange(60), "x": np.arange(60.0), "z": np.ones(60)},
        time="at:s",
        step="1s",
        window=6,
        horizon=2,
        target="x",
    )


def test_arrow_has_a_column_for_each_feature(table):
    made = table.to_arrow()
    assert made.column_names == ["x", "features.target", "c=a", "c=b", "c=c", "target", "row"]
    features = np.stack([made[name].to_numpy() for name in made.column_names[:5]], 1)
    assert features.tobytes() == table.numpy("features").tobytes()
    assert made.schema.field("x").type == pa.float32()
    assert made["target"].to_pylist() == table.numpy("target").tolist()


def test_the_split_is_a_column(split):
    frame = split.to_pandas()
    assert list(frame.columns) == ["x", "target", "row", "split"]
    for name in split.splits:
        rows = frame[frame["split"] == name]
        assert rows["x"].to_numpy().tobytes() == split.numpy(f"{name}/features")[:, 0].tobytes()
        assert rows["row"].tolist() == split.numpy(f"{name}/row").tolist()


def test_windows_are_lists_of_lists(windows):
    made = windows.to_arrow()
    assert made.schema.field("series").type == pa.list_(pa.list_(pa.float32(), 6), windows.numpy("series").shape[1])
    assert np.array(made["series"].to_pylist(), np.float32).tobytes() == windows.numpy("series").tobytes()
    polars = pytest.importorskip("polars")
    frame = windows.to_polars()
    assert frame["series"].dtype == polars.Array(polars.Array(polars.Float32, 6), windows.numpy("series").shape[1])
    assert frame["series"].to_numpy().tobytes() == windows.numpy("series").tobytes()


def test_paths_are_a_column(samples):
    ts = prepare("images", samples / "shapes-synthetic", dtype="uint8", size="4")
    assert ts.to_arrow()["paths"].to_pylist() == list(ts.meta["paths"])


def test_xarray_has_the_axes_and_the_names(windows, table, split):
    xarray = pytest.importorskip("xarray")
    made = windows.to_xarray()
    assert made["series"].dims == ("row", "channel", "step")
    assert made["target"].dims == ("row", "target_target", "target_step")  # another length of `step`, and its own name
    for key in windows:
        assert made[key].values.tobytes() == windows.numpy(key).tobytes()
        assert made[key].attrs["role"] == windows.spec(key).role
    assert made["series"].sel(channel="x").values.tobytes() == windows.numpy("series")[:, 0].tobytes()
    assert isinstance(table.to_xarray(), xarray.Dataset)
    assert table.to_xarray()["features"].sel(feature="c=b").values.tolist() == table.numpy("features")[:, 3].tolist()
    with pytest.raises(UsageError, match="split"):
        split.to_xarray()


def test_numpy_and_dlpack(split):
    found = split.to_numpy()
    assert found.keys() == set(split)
    assert torch.from_dlpack(split["train/features"]).equal(split["train/features"])
    assert np.from_dlpack(split["train/features"]).tobytes() == found["train/features"].tobytes()


def test_what_is_no_table_is_refused_by_name():
    index = prepare("series", {"at": np.arange(50), "x": np.arange(50.0)}, time="at:s", step="1s", window=5, encode="index")
    with pytest.raises(UsageError, match=r"different numbers of rows: start 46.*series 50"):
        index.to_arrow()
    assert index.select("start").to_arrow().num_rows == 46


def test_a_notebook_shows_it_and_hostile_names_are_text():
    ts = prepare("table", {"<script>alert(1)</script>": [1.0, 2.0], **{f"c{n}": [n, 1] for n in range(20)}})
    html = ts._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "2 rows" in html
    assert "… (21)" in html
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(tag)
    parser.feed(html)
    assert set(found) == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
