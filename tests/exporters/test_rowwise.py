"""Parquet and Arrow files: stock readers see every value, whatever the size of the groups, and damage is found."""

import base64
import itertools
import json
import multiprocessing
import os
import pickle
import random
import struct
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from outputs import write_mixed
from pyarrow import feather

import tensorize
from tensorize.core import registry
from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.errors import DataError, TensorizeError, UsageError
from tensorize.core.tensorset import MemoryStore, TensorSet
from tensorize.exporters.arrow.exporter import ArrowSamples
from tensorize.exporters.parquet.exporter import ParquetSamples
from tensorize.exporters.rowwise import table

DTYPES = ["float32", "float64", "float16", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bool"]
NAMES = ("plain", "a.b", "split", "PLAIN", "x_int8", "tab\there", "日本", "")
FORMATS = {"parquet": ParquetSamples, "arrow": ArrowSamples}
EACH = pytest.mark.parametrize("format", FORMATS)
ROWS = (("train", 117), ("val", 0), ("test", 16))


@pytest.fixture(autouse=True, params=["small groups", "one group"])
def groups(request, monkeypatch):
    """Several groups of 8 rows, or one for each split."""
    if request.param == "small groups":
        monkeypatch.setattr(table, "_GROUP", 15_000)
        monkeypatch.setattr(table, "_COLUMN", 1)
    return request.param


def made(splits=ROWS):
    """A set with numbers, matrices and wide rows of every type, and texts."""
    rng, specs, arrays, texts = np.random.default_rng(3), [], {}, {}
    for split, rows in splits:
        shapes = {"features": ("float32", (8,), ("feature",)), "wide": ("float32", (200,), ("step",))}
        for dtype in DTYPES:
            shapes[f"x_{dtype}"] = (dtype, (), ())
            shapes[f"y_{dtype}"] = (dtype, (5, 3), ("height", "width"))
        shapes["one"] = ("bool", (1,), ("channel",))
        shapes["none"] = ("float32", (0,), ("nothing",))
        for name, (dtype, shape, axes) in shapes.items():
            labels = {"feature": NAMES} if name == "features" else {}
            role = "input" if name == "features" else "meta"
            specs.append(TensorSpec(name, (rows, *shape), dtype, ("row", *axes), role, labels, split))
            size = np.dtype(dtype).itemsize
            numbers = rng.normal(size=(rows, *shape)) if dtype[0] == "f" else None
            bits = rng.integers(0, 256, (rows, *shape, size), np.uint8).view(dtype)[..., 0] if dtype[0] in "iu" else None
            flags = rng.integers(0, 2, (rows, *shape)) if dtype == "bool" else None
            arrays[specs[-1].key] = next(v for v in (numbers, bits, flags) if v is not None).astype(dtype)
        texts[f"{split}/paths" if split else "paths"] = tuple(f"a/é{row}.png" * (row % 3) for row in range(rows))
    texts["words"] = ("loose", "nul\x00")
    return Layout("odd", tuple(specs), json.dumps({"tensorize": 1, "mean": 0.5, "text": "“\\u0000”"}), texts), arrays


def write(path, layout, arrays, exporter=None, seed=0):
    """Write all rows in an order of its own: in order for each tensor, the tensors and splits mixed."""
    write_mixed((exporter or registry.exporter_for(path)).create(path, layout), arrays, layout.recipe, seed, 30)
    return path


def whole(arrays, name):
    """The rows of all splits."""
    return np.concatenate([arrays[key] for key in arrays if key.rpartition("/")[2] == name])


def numbers(column):
    """An Arrow column as numpy: (row, …), flat where it is a list."""
    found = column.combine_chunks()
    found = found.storage if isinstance(found, pa.ExtensionArray) else found
    if pa.types.is_fixed_size_list(found.type):
        return found.flatten().to_numpy(zero_copy_only=False).reshape(len(found), -1)
    return found.to_numpy(zero_copy_only=False)


def arrow_table(path):
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.ipc.open_file(path) as file:
        return file.read_all()


@EACH
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("splits", [ROWS, ((None, 61),), ((None, 0),)])
def test_everything_comes_back_however_the_rows_were_written(tmp_path, format, columns, splits):
    layout, arrays = made(splits)
    files = []
    for seed in range(4):
        path = write(tmp_path / f"{seed}.{format}", layout, arrays, FORMATS[format](columns), seed)
        files.append(path.read_bytes())
    assert len(set(files)) == 1
    registry.exporter_for(path).verify(path)
    with tensorize.read(path) as ts:
        assert ts.layout == layout
        assert ts.equals(TensorSet(layout, MemoryStore(arrays)))
        rng = np.random.default_rng(1)
        for key, values in arrays.items():
            monkey = rng.integers(0, max(1, len(values)), min(50, len(values)))
            ts.store.expect(key, monkey)
            assert ts.store.take(key, monkey).tobytes() == values[monkey].tobytes()
            start, stop = sorted(rng.integers(0, len(values) + 1, 2).tolist())
            assert ts.store.read(key, start, stop).tobytes() == values[start:stop].tobytes()


@EACH
def test_rows_of_large_tensors_are_read_one_by_one(tmp_path, format, monkeypatch):
    monkeypatch.setattr("tensorize.storage.store.SMALL", 0)
    layout, arrays = made()
    for columns in (False, True):
        with tensorize.read(write(tmp_path / f"{columns}.{format}", layout, arrays, FORMATS[format](columns))) as ts:
            for key in [key for key in arrays if key.startswith("train/")]:
                rows = np.array([3, 4, 5, 7, 8, 9, 116, 0, 0])
                ts.store.expect(key, rows)
                assert ts.store.take(key, rows).tobytes() == arrays[key][rows].tobytes()


@EACH
@pytest.mark.parametrize("columns", [False, True])
def test_pyarrow_sees_all(tmp_path, format, columns):
    layout, arrays = made()
    path = write(tmp_path / f"x.{format}", layout, arrays, FORMATS[format](columns))
    found = arrow_table(path)
    found.validate(full=True)
    for name in {key.rpartition("/")[2] for key in arrays} - {"none"} - ({"features"} if columns else set()):
        values = whole(arrays, name)
        got = numbers(found[name])
        assert got.dtype == values.dtype
        assert got.reshape(values.shape).tobytes() == values.tobytes(), name
    assert found["split"].to_pylist() == ["train"] * 117 + ["test"] * 16
    assert found["paths"].to_pylist() == [*layout.texts["train/paths"], *layout.texts["test/paths"]]
    told = found.schema.metadata if format == "arrow" else pq.read_metadata(path).metadata
    assert told[b"recipe"].decode().rstrip() == layout.recipe
    assert json.loads(told[b"texts"]) == {"words": ["loose", "nul\\x00"]}
    tensor = found["y_uint8"].combine_chunks()
    assert np.array_equal(tensor.to_numpy_ndarray(), whole(arrays, "y_uint8"))
    assert tensor.type.dim_names == ["height", "width"]
    if columns:
        own = ["plain", "a.b", "split_2", "PLAIN_2", "x_int8_2", "tab\\x09here", "日本", "features_7"]
        assert [field.name for field in found.schema if (field.metadata or {}).get(b"tensor") == b"features"] == own
        features = np.stack([found[name].to_numpy() for name in own], 1)
        assert features.tobytes() == whole(arrays, "features").tobytes()
    else:
        told = found.schema.field("features").metadata
        assert json.loads(told[b"labels"]) == {"feature": list(NAMES)}
        assert (told[b"role"], json.loads(told[b"axes"])) == (b"input", ["row", "feature"])


def test_a_split_is_found_by_its_statistics_alone(tmp_path):
    layout, arrays = made()
    path = write(tmp_path / "x.parquet", layout, arrays)
    assert pq.read_table(path, filters=[("split", "=", "test")]).num_rows == 16
    with pq.ParquetFile(path) as file:
        assert [file.metadata.row_group(n).column(0).statistics.max for n in range(file.num_row_groups)].count("test") >= 1
        schema = file.schema_arrow
    assert base64.b64decode(pq.read_metadata(path).metadata[b"ARROW:schema"])
    assert all(not field.nullable for field in schema)


@EACH
@pytest.mark.parametrize("columns", [False, True])
def test_pandas_sees_all(tmp_path, format, columns):
    layout, arrays = made()
    path = write(tmp_path / f"x.{format}", layout, arrays, FORMATS[format](columns))
    found = pd.read_parquet(path) if format == "parquet" else pd.read_feather(path)
    for name in {key.rpartition("/")[2] for key in arrays} - {"none"} - ({"features"} if columns else set()):
        values = whole(arrays, name)
        got = found[name].to_numpy() if values.ndim == 1 else np.stack(found[name])
        assert got.dtype == values.dtype
        assert got.reshape(values.shape).tobytes() == values.tobytes(), name
    assert found["split"].tolist() == ["train"] * 117 + ["test"] * 16
    if columns:
        assert np.array_equal(found["a.b"], whole(arrays, "features")[:, 1])


@EACH
@pytest.mark.parametrize("columns", [False, True])
def test_polars_sees_all(tmp_path, format, columns):
    pl = pytest.importorskip("polars")
    layout, arrays = made()
    path = write(tmp_path / f"x.{format}", layout, arrays, FORMATS[format](columns))
    found = pl.read_parquet(path) if format == "parquet" else pl.read_ipc(path)
    for name in {key.rpartition("/")[2] for key in arrays} - {"none"} - ({"features"} if columns else set()):
        values = whole(arrays, name)
        got = found[name].to_numpy()
        assert got.dtype == values.dtype
        assert got.reshape(values.shape).tobytes() == values.tobytes(), name
    assert found["split"].cast(pl.String).to_list() == ["train"] * 117 + ["test"] * 16
    assert found["paths"].to_list() == [*layout.texts["train/paths"], *layout.texts["test/paths"]]


@pytest.mark.parametrize("columns", [False, True])
def test_duckdb_sees_all(tmp_path, columns):
    duckdb = pytest.importorskip("duckdb")
    layout, arrays = made()
    path = write(tmp_path / "x.parquet", layout, arrays, ParquetSamples(columns))
    found = duckdb.sql(f"select * from '{path}'").fetchnumpy()
    for name in {key.rpartition("/")[2] for key in arrays} - {"none"} - ({"features"} if columns else set()):
        values = whole(arrays, name)
        got = found[name] if values.ndim == 1 else np.array([list(cell) for cell in found[name]])
        assert np.array_equal(got.reshape(values.shape).astype(values.dtype), values), name
    assert duckdb.sql(f"select count(*), min(split) from '{path}' where split = 'test'").fetchall() == [(16, "test")]


@EACH
def test_a_set_whose_tensors_take_no_room(tmp_path, format):
    layout = Layout("table", (TensorSpec("features", (9, 0), "float32", ("row", "feature"), "input"),), "{}")
    path = write(tmp_path / f"x.{format}", layout, {"features": np.empty((9, 0), "f4")})
    with tensorize.read(path) as ts:
        assert ts["features"].shape == (9, 0)
    registry.exporter_for(path).verify(path)


# what is refused ---------------------------------------------------------------------------------------------------


@EACH
def test_what_is_not_one_row_per_sample_is_refused_with_a_way_out(tmp_path, format):
    layout, _ = made()
    *rest, last = layout.tensors
    assert FORMATS[format]().refusal(layout) == ""
    cases = {
        "train/steps 9": [*layout.tensors, TensorSpec("steps", (9,), "int64", ("step",), "input", {}, "train")],
        "the splits have different tensors": rest,
        "have different shapes, types or roles": [*rest, replace(last, shape=(16, 2))],
        "belong to no split": [*layout.tensors, replace(last, split=None)],
    }
    for said, specs in cases.items():
        with pytest.raises(UsageError, match=said) as caught:
            FORMATS[format]().create(tmp_path / f"x.{format}", replace(layout, tensors=tuple(specs)))
        assert ".h5" in str(caught.value)
    assert os.listdir(tmp_path) == []


@EACH
def test_a_file_of_another_program_is_refused_and_told_how_to_read_it(tmp_path, format):
    path = tmp_path / f"x.{format}"
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    frame.to_parquet(path) if format == "parquet" else frame.to_feather(path, compression="uncompressed")
    with pytest.raises(DataError, match="is raw data, not a prepared file") as caught:
        tensorize.read(path)
    assert caught.value.command == f"tensorize auto {path} -o x.h5"
    with pytest.raises(DataError, match="is raw data, not a prepared file"):
        registry.exporter_for(path).verify(path)


@EACH
def test_a_file_that_another_program_has_written_again_is_refused_and_told_how_to_read_it(tmp_path, format):
    path, again = tmp_path / f"x.{format}", tmp_path / f"my copy.{format}"
    tensorize.prepare("table", {"a": [1.0, 2.0]}, out=path)
    if format == "parquet":
        table = pq.read_table(path).replace_schema_metadata(pq.read_metadata(path).metadata)
        pq.write_table(table, again)
    else:
        feather.write_feather(feather.read_table(path), str(again), compression="uncompressed")
    with pytest.raises(DataError, match="was not written by tensorize, or it was cut off or changed by another") as caught:
        tensorize.read(again)
    assert caught.value.hint.endswith(f"tensorize table '{again}' -o 'my copy.h5'")


# damage ------------------------------------------------------------------------------------------------------------


def index_of(path):
    """(bytes before the index, the index, bytes after it)."""
    data = path.read_bytes()
    at = data.rindex(b"tzgroups")
    (size,) = struct.unpack("<Q", data[at - 8 : at])
    return data[: at - 8 - size], json.loads(data[at - 8 - size : at - 8]), data[at:]


LIES = (0, 1, 7, 8, 9, 117, 1 << 20, 1 << 31, 1 << 40, (1 << 62) - 1, 1 << 62, 1 << 70, -1, None, "x", [])


def variants(index):
    """The index with one number, or one list, that is another."""
    for path in list(paths_of(index)):
        for lie in random.Random(str(path)).sample(LIES, 3):
            changed = json.loads(json.dumps(index))
            *way, last = path
            held = changed
            for key in way:
                held = held[key]
            held[last] = lie
            yield changed


def paths_of(found, way=()):
    if isinstance(found, dict | list):
        for key, value in found.items() if isinstance(found, dict) else enumerate(found):
            yield (*way, key)
            yield from paths_of(value, (*way, key))


@EACH
def test_an_index_that_lies_is_refused_or_read_within_the_file(tmp_path, format):
    """Nothing but our errors comes of it, and no size in it is believed."""
    layout, arrays = made((("train", 33), ("test", 9)))
    keep = ("features", "y_bool", "x_uint16")
    tensors = tuple(spec for spec in layout.tensors if spec.name in keep)
    layout, arrays = replace(layout, tensors=tensors), {spec.key: arrays[spec.key] for spec in tensors}
    before, index, after = index_of(write(tmp_path / f"x.{format}", layout, arrays))
    bad = tmp_path / f"bad.{format}"
    for changed in variants(index):
        data = json.dumps(changed).encode()
        bad.write_bytes(before + data + struct.pack("<Q", len(data)) + after)
        try:
            with tensorize.read(bad) as ts:
                for key in ts:
                    ts.numpy(key)
        except TensorizeError:
            continue


@EACH
def test_every_changed_byte_of_a_file_with_all_types_is_found(tmp_path, format):
    layout, arrays = made()
    path = write(tmp_path / f"x.{format}", layout, arrays)
    good, exporter, rng = path.read_bytes(), registry.exporter_for(path), np.random.default_rng(1)
    places = rng.integers(0, len(good), 60).tolist() + rng.integers(len(good) - 20_000, len(good), 60).tolist()
    for at in itertools.chain(places, range(len(good) - 12, len(good))):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1 << int(rng.integers(8))]) + good[at + 1 :])
        with pytest.raises(TensorizeError):
            exporter.verify(path)


# other processes ---------------------------------------------------------------------------------------------------


def rows_in_a_process(store, key, rows, out):
    out.put(store.take(key, rows).tobytes())


@EACH
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_store_works_in_other_processes(tmp_path, format, start, monkeypatch):
    monkeypatch.setattr("tensorize.storage.store.SMALL", 0)
    layout, arrays = made()
    with tensorize.read(write(tmp_path / f"x.{format}", layout, arrays)) as ts:
        ts.numpy("train/x_bool")
        rows = np.array([5, 99, 3])
        assert (
            pickle.loads(pickle.dumps(ts.store)).take("train/y_bool", rows).tobytes() == arrays["train/y_bool"][rows].tobytes()
        )
        context = multiprocessing.get_context(start)
        out = context.Queue()
        process = context.Process(target=rows_in_a_process, args=(ts.store, "train/y_bool", rows, out))
        process.start()
        assert out.get(timeout=60) == arrays["train/y_bool"][rows].tobytes()
        process.join(60)
