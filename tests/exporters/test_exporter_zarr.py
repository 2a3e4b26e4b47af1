"""Zarr folders: what the stock readers see, sets of several shards, folders that are not ours, and damage."""

import json
import struct
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray
import zarr
from test_exporters import ODD, layout, left, rich, small, written

import tensorize
from tensorize.core.contracts import TensorSpec
from tensorize.core.errors import DataError, UsageError
from tensorize.core.tensorset import MemoryStore, TensorSet
from tensorize.exporters.zarr import layout as zarr_layout
from tensorize.storage.layout import escape

__all__ = ["rich"]


@pytest.fixture
def cut_small(monkeypatch):
    """Chunks of 100 bytes and shards of 300."""
    monkeypatch.setattr(zarr_layout, "CHUNK_BYTES", 100)
    monkeypatch.setattr(zarr_layout, "SHARD_BYTES", 300)


def many(rows):
    spec = TensorSpec("features", (rows, 3), "float32", ("row", "feature"), "input", {"feature": ("a", "b", "c")}, "train")
    row = TensorSpec("row", (rows,), "int64", ("row",), "meta", {}, "train")
    numbers = np.random.default_rng(0).normal(size=(rows, 3)).astype("f4")
    return layout([spec, row]), {"train/features": numbers, "train/row": np.arange(rows)}


def test_zarr_sees_every_tensor_name_and_role(tmp_path, rich):
    plan, arrays = rich
    found = zarr.open(written(tmp_path / "x.zarr", plan, arrays), mode="r")
    assert sorted(found) == ["test", "train", "val"]
    for spec in plan.tensors:
        array = found[spec.key]
        assert (array.shape, array.dtype, array.attrs["role"]) == (spec.shape, spec.dtype, spec.role)
        assert array.metadata.dimension_names == spec.axes
        np.testing.assert_array_equal(array[:], arrays[spec.key])
    assert found["train/feature"][:].tolist() == [escape(name) for name in ODD]
    assert found["train/paths"][:].tolist() == [escape(name) for name in ODD[:7]]
    assert found.attrs["recipe"].rstrip(" ") == plan.recipe
    assert found.attrs["kind"] == "odd"


@pytest.mark.parametrize("consolidated", [None, False])
def test_xarray_opens_a_group_with_its_axes_and_names_and_no_warning(tmp_path, rich, consolidated):
    plan, arrays = rich
    path = written(tmp_path / "x.zarr", plan, arrays)
    with xarray.open_zarr(path, group="train", consolidated=consolidated, chunks=None) as found:
        assert found["features"].dims == ("row", "feature")
        assert found["feature"].values.tolist() == [escape(name) for name in ODD]
        for spec in plan.tensors:
            if spec.split == "train":
                assert found[spec.name].dtype == spec.dtype
                np.testing.assert_array_equal(found[spec.name].values, arrays[spec.key])


def test_xarray_opens_windows_whose_steps_differ_and_sets_without_a_split(tmp_path):
    stamps = [f"2024-01-{hour // 24 + 1:02} {hour % 24:02}:00" for hour in range(200)]
    rows = {"at": stamps, "kwh": np.arange(200.0), "temp": np.arange(200.0) % 7}
    ts = tensorize.prepare("series", rows, time="at", window=12, horizon=3, target="kwh", out=tmp_path / "x.zarr")
    with xarray.open_zarr(tmp_path / "x.zarr", chunks=None) as found:
        assert found["series"].dims == ("row", "channel", "step")
        assert found["target"].dims == ("row", "target_target", "target_step")
        assert found["channel"].values.tolist() == list(ts.labels("series", "channel"))
        assert found["row"].dims == ("row",)
        for key in ts:
            np.testing.assert_array_equal(found[key].values, ts.numpy(key))


@pytest.mark.parametrize("rows", [1, 8, 9, 25, 26, 240, 241])
def test_a_tensor_of_several_shards(tmp_path, rows, cut_small):
    plan, arrays = many(rows)
    path = written(tmp_path / "x.zarr", plan, arrays)
    tensorize.verify(path)
    shards = list((path / "train/features/c").iterdir())
    assert len(shards) >= rows * 12 / 300
    assert (len(shards) == 1) == (rows <= 9)
    found = zarr.open(path, mode="r")
    for key, values in arrays.items():
        np.testing.assert_array_equal(found[key][:], values)
        np.testing.assert_array_equal(found[key][rows // 2 :], values[rows // 2 :])
    with tensorize.read(path) as ts:
        assert ts.equals(TensorSet(plan, MemoryStore(arrays)))
        picks = np.random.default_rng(1).integers(0, rows, 50)
        np.testing.assert_array_equal(ts.store.take("train/features", picks), arrays["train/features"][picks])
        ts.store.expect("train/features", picks)
        for start, stop in ((0, 0), (0, rows), (rows - 1, rows), (rows // 3, rows // 2)):
            np.testing.assert_array_equal(ts.store.read("train/features", start, stop), arrays["train/features"][start:stop])
        for bad in ([-1], [rows]):
            with pytest.raises(IndexError):
                ts.store.take("train/features", np.array(bad))
        with pytest.raises(IndexError):
            ts.store.read("train/features", 0, rows + 1)


def test_folders_that_were_cut_otherwise_are_read_all_the_same(tmp_path, cut_small, monkeypatch):
    """By a version of tensorize with other sizes of chunks and shards."""
    plan, arrays = many(300)
    path = written(tmp_path / "x.zarr", plan, arrays)
    monkeypatch.undo()
    tensorize.verify(path)
    with tensorize.read(path) as ts:
        assert ts.equals(TensorSet(plan, MemoryStore(arrays)))


def test_the_index_of_a_shard_is_what_zarr_writes(tmp_path, cut_small):
    plan, arrays = many(20)
    path = written(tmp_path / "x.zarr", plan, arrays)
    array = zarr.open(path, mode="r")["train/features"]
    theirs = zarr.create_array(
        tmp_path / "theirs", shape=array.shape, chunks=array.chunks, shards=array.shards, dtype="f4", compressors=None
    )
    theirs[:] = arrays["train/features"]
    assert (path / "train/features/c/0/0").read_bytes() == (tmp_path / "theirs/c/0/0").read_bytes()


def test_a_folder_of_others_is_refused_and_never_replaced(tmp_path):
    path = tmp_path / "x.zarr"
    zarr.create_group(path).create_array("x", data=np.arange(3))
    with pytest.raises(DataError, match="was not written by tensorize") as caught:
        tensorize.read(path)
    assert "tensorize.prepare" in caught.value.hint
    plan, arrays = small()
    with pytest.raises(UsageError, match="is not replaced"):
        written(path, plan, arrays, force=True)
    assert zarr.open(path, mode="r")["x"][:].tolist() == [0, 1, 2]
    assert left(tmp_path) == ["x.zarr"]


def test_a_folder_of_ours_with_a_file_of_the_user_is_not_replaced_and_does_not_verify(tmp_path):
    plan, arrays = small()
    path = written(tmp_path / "x.zarr", plan, arrays)
    (path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not replaced"):
        written(path, plan, arrays, force=True)
    with pytest.raises(DataError, match="has changed"):
        tensorize.verify(path)
    (path / "notes.txt").unlink()
    written(path, plan, arrays, force=True)
    tensorize.verify(path)


def test_bytes_that_move_from_one_file_to_the_next_are_found(tmp_path):
    plan, arrays = small()
    path = written(tmp_path / "x.zarr", plan, arrays)
    first, second = path / "feature/zarr.json", path / "feature/c/0"
    data = first.read_bytes()
    first.write_bytes(data[:-1])
    second.write_bytes(data[-1:] + second.read_bytes())
    with pytest.raises(DataError):
        tensorize.verify(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about["files"].append(["../outside", 3]),
        lambda about: about["files"].append(["/etc/passwd", 3]),
        lambda about: about["files"][0].__setitem__(1, 1 << 70),
        lambda about: about["rows"].__setitem__("features", [1, 1 << 62]),
        lambda about: about["rows"].__setitem__("features", [0, 0]),
        lambda about: about["rows"].clear(),
        lambda about: about["layout"]["tensors"][0].__setitem__("shape", [1 << 60, 2]),
        lambda about: about["layout"].__setitem__("texts", ["../x"]),
        lambda about: about.pop("sha256"),
    ],
)
def test_a_root_that_lies_is_refused(tmp_path, change):
    plan, arrays = small()
    path = written(tmp_path / "x.zarr", plan, arrays)
    root = json.loads((path / "zarr.json").read_bytes())
    change(root["attributes"]["tensorize"])
    (path / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(DataError):
        tensorize.read(path)


def test_a_link_to_elsewhere_is_not_followed(tmp_path):
    plan, arrays = small()
    path = written(tmp_path / "x.zarr", plan, arrays)
    shard = path / "features/c/0/0"
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    for call in (tensorize.read, tensorize.verify):
        with pytest.raises(DataError):
            call(path)


def test_texts_with_lying_lengths_are_refused(tmp_path):
    plan, arrays = small()
    path = written(tmp_path / "x.zarr", replace(plan, texts={"paths": ("a", "b")}), arrays)
    chunk = path / "paths/c/0"
    good = chunk.read_bytes()
    for at, number in ((0, 1), (0, 3), (0, 1 << 31), (4, 1 << 31), (4, 0)):
        chunk.write_bytes(good[:at] + struct.pack("<I", number) + good[at + 4 :])
        with pytest.raises(DataError):
            tensorize.read(path)
    with pytest.raises(UsageError, match="cannot hold texts named"):
        written(tmp_path / "y.zarr", replace(plan, texts={"../paths": ("a", "b")}), arrays)


def test_axes_that_xarray_would_mix_up_have_dimensions_of_their_own(tmp_path):
    specs = [
        TensorSpec("x", (4, 2, 2), "float32", ("row", "a", "a"), "input", {"a": ("p", "q")}),
        TensorSpec("y", (4, 3), "float32", ("row", "a"), "input", {"a": ("p", "q", "r")}),
        TensorSpec("b", (4, 2), "float32", ("row", "b"), "meta", {"b": ("s", "t")}),
        TensorSpec("step", (9, 2), "float32", ("step", "a"), "meta", {"a": ("u", "v")}),
        TensorSpec("row", (4,), "int64", ("row",), "meta"),
    ]
    arrays = {spec.key: np.random.default_rng(0).integers(0, 9, spec.shape).astype(spec.dtype) for spec in specs}
    path = written(tmp_path / "x.zarr", layout(specs, texts={"a_file": ("1", "2", "3", "4")}), arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xarray.open_zarr(path, chunks=None) as found:
            for key, values in arrays.items():
                np.testing.assert_array_equal(found[key].values, values)
            assert found["x"].dims == ("row", "a", "x_a")
            assert found["y"].dims == ("row", "y_a")
            assert found["b"].dims == ("row", "b_b")
            assert found["step"].dims == ("step_step", "step_a")
            assert found["a_file"].dims == ("row",)
            assert found["y_a"].values.tolist() == ["p", "q", "r"]


def test_a_set_read_from_zarr_trains_as_any_other(tmp_path):
    rows = {"a": [float(n) for n in range(64)], "y": [n % 2 for n in range(64)]}
    ts = tensorize.prepare("table", rows, target="y", scale="none", out=tmp_path / "x.zarr")
    assert torch.equal(ts.batch(np.array([5, 3]))[0][:, 0], torch.tensor([5.0, 3.0]))
