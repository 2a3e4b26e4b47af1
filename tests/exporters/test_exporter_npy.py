"""NumPy arrays of one tensor: numpy reads them, mapped or not, whatever comes after the numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_exporters import rich, small

import tensorize
from tensorize.core.errors import DataError, UsageError
from tensorize.exporters.npy import Npy
from tensorize.storage.digest import DIGEST_SIZE

__all__ = ["rich"]


def written(path, exporter, plan, arrays):
    writer = exporter.create(path, plan)
    try:
        for key, values in arrays.items():
            writer.write(key, 0, values)
        writer.commit(plan.recipe)
    finally:
        writer.abort()
    return path


def test_numpy_reads_every_tensor_mapped_or_not(tmp_path, rich):
    plan, arrays = rich
    for at, (key, values) in enumerate(arrays.items()):
        path = written(tmp_path / f"{at}.npy", Npy(key), plan, arrays)
        for mode in (None, "r") if values.size else (None,):
            found = np.load(path, mmap_mode=mode, allow_pickle=False)
            assert (found.dtype, found.shape) == (values.dtype, values.shape)
            np.testing.assert_array_equal(found, values)
        Npy().verify(path)


def test_recipe_layout_and_texts_lie_after_the_array(tmp_path, rich):
    plan, arrays = rich
    data = written(tmp_path / "x.npy", Npy("val/features"), plan, arrays).read_bytes()
    stop = len(data) - DIGEST_SIZE - 16
    assert data[stop + 8 : stop + 16] == b"tzarray\n"
    about = json.loads(data[stop - int.from_bytes(data[stop : stop + 8], "little") : stop])
    assert about["recipe"].rstrip(" ") == plan.recipe
    assert [tensor["name"] for tensor in about["layout"]["tensors"]] == ["features"]
    assert about["texts"] == {"val/paths": ["é"] * 4}


def test_without_a_name_it_is_the_one_tensor_that_is_not_meta(tmp_path):
    table = {"a": [1.0, 2.0, 3.0], "b": [3.0, 4.0, 5.0]}
    ts = tensorize.prepare("table", table, scale="none")
    assert set(ts.keys()) == {"features", "row"}
    assert np.array_equal(np.load(ts.save(tmp_path / "x.npy")), ts.numpy("features"))


def test_several_tensors_and_no_name_are_refused_with_the_names_and_the_way_out(tmp_path, rich):
    plan, _ = rich
    with pytest.raises(UsageError, match="holds one tensor") as caught:
        Npy().create(tmp_path / "x.npy", plan)
    assert "train/features, train/x_float32" in str(caught.value)
    assert str(caught.value).endswith("choose one: --tensor train/features")
    with pytest.raises(UsageError, match='no tensor "train/feature"; did you mean "train/features"') as caught:
        Npy("train/feature").create(tmp_path / "x.npy", plan)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_the_other_tensors_must_be_right_all_the_same(tmp_path, rich):
    plan, arrays = rich
    writer = Npy("train/features").create(tmp_path / "x.npy", plan)
    with pytest.raises(ValueError, match="test/features"):
        writer.write("test/features", 5, arrays["test/features"])
    writer.write("train/features", 0, arrays["train/features"])
    with pytest.raises(ValueError, match="0 rows were written of 7"):
        writer.commit(plan.recipe)
    writer.abort()


def test_it_is_written_only_and_says_what_reads_it(tmp_path):
    path = written(tmp_path / "x.npy", Npy(), *small())
    with pytest.raises(UsageError, match="does not read them") as caught:
        tensorize.read(path)
    assert f'numpy.load("{path}")' in caught.value.hint


def test_an_array_of_numpy_is_not_ours(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    with pytest.raises(DataError, match="was not written by tensorize"):
        Npy().verify(tmp_path / "x.npy")
    with pytest.raises(DataError, match="No such file"):
        Npy().verify(tmp_path / "y.npy")


def test_the_name_of_a_tensor_changes_nothing_but_its_own_rows(tmp_path):
    plan, arrays = small()
    other = replace(plan.tensors[0], name="other", role="meta")
    plan = replace(plan, tensors=(*plan.tensors, other))
    named = written(tmp_path / "x.npy", Npy("features"), plan, {**arrays, "other": arrays["features"] + 1})
    assert named.read_bytes() == written(tmp_path / "y.npy", Npy(), plan, {**arrays, "other": arrays["features"]}).read_bytes()
