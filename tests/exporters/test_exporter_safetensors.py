"""Safetensors files: what the stock readers see, headers that lie, and sets that do not fit into a header."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from test_exporters import layout, rich, small, written

import tensorize
from tensorize.core.contracts import TensorSpec
from tensorize.core.errors import DataError, UsageError
from tensorize.exporters import safetensors as exporter
from tensorize.exporters.safetensors import Safetensors

__all__ = ["rich"]


def parts(path):
    """(header as a dict, bytes of the tensors)."""
    data = path.read_bytes()
    stop = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:stop]), data[stop:]


def put(path, header, numbers, pad=True):
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    data += b" " * (-len(data) % 8 if pad else 0)
    path.write_bytes(len(data).to_bytes(8, "little") + data + numbers)
    return path


def test_the_stock_readers_see_every_tensor(tmp_path, rich):
    plan, arrays = rich
    path = written(tmp_path / "x.safetensors", plan, arrays)
    for found in (safetensors.numpy.load_file(path), safetensors.numpy.load(path.read_bytes())):
        assert found.keys() == arrays.keys()
        for key, values in arrays.items():
            assert found[key].dtype == values.dtype
            np.testing.assert_array_equal(found[key], values)
    loaded = safetensors.torch.load_file(path)
    assert all(torch.equal(loaded[key], torch.from_numpy(values)) for key, values in arrays.items())
    with safetensors.safe_open(path, "pt") as file:
        assert set(file.keys()) == set(arrays)
        assert torch.equal(file.get_slice("train/features")[2:5], torch.from_numpy(arrays["train/features"][2:5]))
        assert file.metadata()["recipe"].rstrip(" ") == plan.recipe
        assert len(file.metadata()["sha256"]) == 64


@pytest.mark.parametrize("seed", range(8))
def test_every_tensor_is_aligned_and_follows_the_one_before(tmp_path, seed):
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    specs = []
    for at in range(rng.randrange(1, 9)):
        shape = (rng.randrange(6), rng.randrange(1, 4))
        specs.append(TensorSpec(f"t{at}", shape, rng.choice(list(exporter.DTYPES)), ("row", "x"), "meta"))
    arrays = {spec.key: numbers.integers(0, 2, spec.shape).astype(spec.dtype) for spec in specs}
    path = written(tmp_path / "x.safetensors", layout(specs), arrays)
    header, _ = parts(path)
    assert path.read_bytes()[8:].startswith(b'{"__metadata__"')
    for spec in specs:
        assert header[spec.key]["data_offsets"][0] % spec.itemsize == 0
    loaded = safetensors.torch.load_file(path)
    assert all(np.array_equal(loaded[key].numpy(), values) for key, values in arrays.items())


def test_a_file_of_the_package_is_refused_and_the_hint_reads_it(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file({"a": np.arange(4.0), "b": np.arange(4)}, path)
    with pytest.raises(DataError, match="was not written by tensorize") as caught:
        tensorize.read(path)
    made = eval(caught.value.hint.partition("columns: ")[2], {"tensorize": tensorize, "safetensors": safetensors})
    assert made["features"].shape == (4, 2)


def test_a_file_that_the_package_has_written_again_is_read_and_has_no_checksum(tmp_path, rich):
    plan, arrays = rich
    path = written(tmp_path / "x.safetensors", plan, arrays)
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file(safetensors.numpy.load_file(path), path, metadata)
    with tensorize.read(path) as ts:
        assert ts.layout == plan
        assert all(np.array_equal(ts.numpy(key), values) for key, values in arrays.items())
    with pytest.raises(DataError):
        Safetensors().verify(path)


def test_headers_that_lie_are_refused(tmp_path):
    plan, arrays = small()
    good, numbers = parts(written(tmp_path / "x.safetensors", plan, arrays))
    entry, about = good["features"], json.loads(good["__metadata__"]["tensorize"])
    assert entry == {"dtype": "F32", "shape": [5, 2], "data_offsets": [0, 40]}

    def told(**changes):
        return {**good, "__metadata__": {**good["__metadata__"], **changes}}

    wrong = [
        {**good, "features": {**entry, "data_offsets": [0, 41]}},
        {**good, "features": {**entry, "data_offsets": [8, 48]}},
        {**good, "features": {**entry, "data_offsets": [40, 0]}},
        {**good, "features": {**entry, "data_offsets": [0, 1 << 70]}},
        {**good, "features": {**entry, "data_offsets": [-8, 32]}},
        {**good, "features": {**entry, "data_offsets": [0]}},
        {**good, "features": {**entry, "dtype": "F64"}},
        {**good, "features": {**entry, "shape": [2, 5]}},
        {**good, "features": {**entry, "shape": None}},
        {**good, "features": {**entry, "more": 1}},
        {**good, "more": {**entry, "data_offsets": [40, 80]}},
        {"__metadata__": good["__metadata__"]},
        told(recipe=None),
        told(recipe=["{}"]),
        told(tensorize="[]"),
        told(tensorize="[" * 100_000),
        told(tensorize=json.dumps({**about, "kind": "other"})),
        told(tensorize=json.dumps({**about, "texts": {"paths": ["a"]}})),
        b"[]",
        b"{}",
        b"nonsense",
        b"\xff{}",
        b"[" * 100_000,
        b'{"a":1' + b"1" * 100_000 + b"}",
        b" " + json.dumps(good).encode(),
        json.dumps(good).replace('"features":', f'"features":{json.dumps(entry)},"features":', 1).encode(),
    ]
    for header in wrong:
        with pytest.raises(DataError):
            Safetensors().open(put(tmp_path / "y.safetensors", header, numbers))
    for more in (numbers + b"\0", numbers[:-1], b""):
        with pytest.raises(DataError):
            Safetensors().open(put(tmp_path / "y.safetensors", good, more))
    with Safetensors().open(put(tmp_path / "y.safetensors", good, numbers, pad=False)) as ts:
        assert ts["features"][4, 1] == 9


def test_two_tensors_over_the_same_bytes_are_refused(tmp_path):
    plan, arrays = small()
    one = plan.tensors[0]
    plan = replace(plan, tensors=(one, replace(one, name="other")))
    path = written(tmp_path / "x.safetensors", plan, {**arrays, "other": arrays["features"]})
    good, numbers = parts(path)
    good["other"]["data_offsets"] = good["features"]["data_offsets"]
    with pytest.raises(DataError, match="overlap"):
        Safetensors().open(put(path, good, numbers[:40]))


def test_a_length_that_the_file_does_not_have_is_not_believed(tmp_path):
    path = tmp_path / "x.safetensors"
    for length in (0, 1, 1 << 40, (1 << 64) - 1):
        path.write_bytes(length.to_bytes(8, "little") + b"{}" * 40)
        for call in (Safetensors().open, Safetensors().verify):
            with pytest.raises(DataError, match="was not written by tensorize"):
                call(path)


def test_what_does_not_fit_into_a_header_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "MAX_HEADER", 5000)
    plan, _ = small()
    plan = replace(plan, texts={"paths": ["a" * 1000] * 5})
    with pytest.raises(UsageError, match=r"5\.\d+ KB.*at most 5 KB.*\.h5"):
        Safetensors().create(tmp_path / "x.safetensors", plan)
    assert Safetensors().refusal(small()[0]) == ""
    assert list(tmp_path.iterdir()) == []
