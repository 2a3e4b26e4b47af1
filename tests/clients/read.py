"""A stock client that reads one file and compares every value, shape and dtype: read.py CLIENT FILE INDEX.

Runs in a process of its own, and knows nothing of tensorize. Prints one line of JSON: the client's version, the tensors and
the values that were compared, and what was wrong.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu", JAX_ENABLE_X64="1")


def of_h5py(path, index):
    import h5py

    with h5py.File(path) as file:
        return {key: file[key][()] for key in index}


def of_pytables(path, index):
    import tables

    with tables.open_file(path) as file:
        return {key: file.get_node(f"/{key}").read() for key in index}


def of_numpy(path, index):
    with np.load(path) as file:
        return {key: file[key] for key in index}


def of_keras(path, index):
    import keras

    with np.load(path) as file:
        return {key: keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(file[key])) for key in index}


def of_torch(path, index):
    import torch

    found = torch.load(path, weights_only=True, mmap=True)
    return {key: found[key].numpy() for key in index}


def of_safetensors(path, index):
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        return {key: file.get_tensor(key) for key in index}


def of_tensorflow(path, index):
    from safetensors.tensorflow import load_file

    return {key: value.numpy() for key, value in load_file(path).items()}


def of_jax(path, index):
    import jax

    if path.suffix == ".npz":
        return {key: np.asarray(jax.numpy.asarray(value)) for key, value in of_numpy(path, index).items()}
    from safetensors.flax import load_file

    return {key: np.asarray(value) for key, value in load_file(path).items()}


def of_zarr(path, index):
    import zarr

    group = zarr.open(path, mode="r")
    return {key: group[key][:] for key in index}


def of_xarray(path, index):
    import xarray

    tree = xarray.open_datatree(path, engine="zarr", chunks=None)
    return {key: tree[key].values for key in index}


def rows_of(column, split, splits):
    """The rows of a key of a table with one row per sample."""
    return column[np.asarray(splits) == split] if split else column


def stacked(columns):
    """Columns of lists as arrays (row, …); the column of splits stays one of words."""
    return {name: np.stack(list(v)) if v.dtype == object and name != "split" else v for name, v in columns.items()}


def of_table(columns, index):
    """Column → array (row, …) of a table with one row per sample, as tensors by split."""
    found = {}
    for key, spec in index.items():
        split, _, name = key.rpartition("/")
        rows = rows_of(columns[name], split, columns.get("split"))
        found[key] = rows.reshape(spec["shape"])
    return found


def of_pyarrow(path, index):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path) if path.suffix == ".parquet" else pyarrow.ipc.open_file(path).read_all()
    columns = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if hasattr(column, "to_numpy_ndarray"):
            columns[name] = column.to_numpy_ndarray()
        elif pyarrow.types.is_fixed_size_list(column.type):
            columns[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
    return of_table(columns, index)


def of_polars(path, index):
    import polars

    frame = polars.read_parquet(path) if path.suffix == ".parquet" else polars.read_ipc(path)
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    return of_table(stacked(columns), index)


def of_pandas(path, index):
    import pandas

    frame = pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_feather(path)
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    return of_table(stacked(columns), index)


def of_duckdb(path, index):
    import duckdb

    found = duckdb.connect().sql(f"SELECT * FROM '{path}'").fetchnumpy()
    return of_table(stacked({name: np.ma.getdata(values) for name, values in found.items()}), index)


def of_webdataset(path, index):
    """Samples by split: arrays, a class, and whole numbers, which JSON gives without a type."""
    import webdataset

    samples, found = {}, {}
    for key, spec in index.items():
        split, _, name = key.rpartition("/")
        if split not in samples:
            # The last member holds what is of no sample.
            only = (
                (lambda member, split=split: member.startswith(f"{split}/")) if split else (lambda member: member[:1].isdigit())
            )
            samples[split] = list(webdataset.WebDataset(str(path), shardshuffle=False, select_files=only).decode())
        first = samples[split][0]
        if f"{name}.npy" in first:
            found[key] = np.stack([sample[f"{name}.npy"] for sample in samples[split]])
        elif name in first["json"]:
            found[key] = np.array([sample["json"][name] for sample in samples[split]], spec["dtype"])
        elif name == "images":
            found[key] = np.stack([sample["npy"] for sample in samples[split]])
        else:
            found[key] = np.array([sample["cls"] for sample in samples[split]])
    return found


TYPES = {"H5T_IEEE_F32LE": "float32", "H5T_IEEE_F64LE": "float64"} | {
    f"H5T_STD_{sign}{bits}LE": f"{word}int{bits}" for sign, word in (("I", ""), ("U", "u")) for bits in (8, 16, 32, 64)
}


def of_h5dump(path, index):
    """Its raw bytes, and what it says of type and shape."""
    import re

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for key in index:
            said = subprocess.run(
                ["h5dump", "-d", f"/{key}", "-b", "LE", "-o", f"{folder}/x", path], check=True, capture_output=True, text=True
            ).stdout
            dtype = TYPES[re.search(r"DATATYPE\s+(\w+)", said)[1]]
            shape = [int(size) for size in re.search(r"SIMPLE \{ \(([^)]*)\)", said)[1].split(",")]
            found[key] = np.fromfile(f"{folder}/x", dtype).reshape(shape)
    return found


def of_script(command, path, index, types):
    """What a program wrote: for each key a line `key type sizes…`, and the values as float64 in a file."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, path, folder, *index], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-500:])
        for number, line in enumerate(Path(folder, "index").read_text().splitlines()):
            key, kind, *sizes = line.split()
            values = np.fromfile(f"{folder}/{number + 1}", np.float64)
            found[key] = values.reshape([int(size) for size in sizes][::-1]).astype(types[kind])
    return found


def of_octave(path, index):
    classes = {"double": "float64"} | {f"{u}int{bits}": f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)}
    return of_script(["octave-cli", "-qf", HERE / "read.m"], path, index, classes)


def of_r(path, index):
    return of_script(["Rscript", HERE / "read.R"], path, index, TYPES)


PROGRAMS = {
    "h5dump": ["h5dump", "--version"],
    "octave": ["octave-cli", "--version"],
    "r": ["Rscript", "-e", "cat('hdf5r', as.character(packageVersion('hdf5r')))"],
}
PACKAGES = {"pytables": "tables", "duckdb": "duckdb", "tensorflow": "tensorflow_cpu"}


def version_of(client):
    """What the client calls its version; "" where it is not there."""
    try:
        if client in PROGRAMS:
            done = subprocess.run(PROGRAMS[client], capture_output=True, text=True, check=True)
            return next(word for word in done.stdout.replace(",", " ").split() if word[:1].isdigit())
        importlib.import_module({"pytables": "tables"}.get(client, client))
        return version(PACKAGES.get(client, client))
    except (OSError, subprocess.CalledProcessError, ImportError, PackageNotFoundError, StopIteration):
        return ""


WIDENS = ("octave",)
"""Clients that take every floating-point number as a float64."""


def compared(found, index, folder, widens):
    """(values that are right, what is wrong)."""
    values, wrong = 0, []
    for key, spec in index.items():
        want = np.frombuffer((folder / spec["file"]).read_bytes(), spec["dtype"]).reshape(spec["shape"])
        want = want.astype(np.float64) if widens and want.dtype.kind == "f" else want
        got = np.asarray(found[key])
        if got.shape != want.shape or got.dtype != want.dtype:
            wrong.append(f"{key}: {got.dtype} {got.shape}, not {want.dtype} {want.shape}")
        elif np.ascontiguousarray(got).tobytes() != want.tobytes():
            wrong.append(f"{key}: other values")
        else:
            values += want.size
    return values, wrong


def main(client, file, index):
    path, index = Path(file), Path(index)
    said = {"client": client, "version": version_of(client)}
    if file and said["version"]:
        keys = json.loads(index.read_text())
        values, wrong = compared(globals()[f"of_{client}"](path, keys), keys, index.parent, client in WIDENS)
        said |= {"tensors": len(keys), "values": values, "wrong": wrong}
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
