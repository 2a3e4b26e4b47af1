"""Stock clients read the same five sets in every format that they know, each in a process of its own, without tensorize.

`make test-clients` sets the clients up, reads with all of them and writes the table in docs/files.md; `make test` reads with
those of the environment of the tests. TENSORIZE_CLIENTS names the Python that has them, TENSORIZE_CLIENTS_PAGE the page.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sets import NAMES, make

HERE = Path(__file__).parent
PYTHON = os.environ.get("TENSORIZE_CLIENTS", sys.executable)
MARK = "<!-- made by make test-clients -->\n"


@dataclass(frozen=True)
class Client:
    """A stock client: what the table calls it, the formats that it reads, and what to know of it."""

    title: str
    suffixes: tuple[str, ...]
    note: str = ""


CLIENTS = {
    "h5py": Client("h5py", (".h5",)),
    "h5dump": Client("h5dump (HDF5 tools)", (".h5",)),
    "octave": Client(
        "GNU Octave",
        (".h5",),
        "each float32 as a double; a file with names or paths that are not ASCII does not load",
    ),
    "r": Client("R, hdf5r", (".h5",), "dimensions come in reverse order"),
    "pytables": Client("PyTables", (".h5",)),
    "torch": Client("PyTorch", (".pt",), "`weights_only=True`, mapped"),
    "safetensors": Client("safetensors", (".safetensors",)),
    "tensorflow": Client("TensorFlow", (".safetensors",)),
    "jax": Client("JAX", (".safetensors", ".npz"), "with `JAX_ENABLE_X64`, else int64 becomes int32"),
    "keras": Client("Keras", (".npz",)),
    "numpy": Client("NumPy", (".npz",)),
    "zarr": Client("zarr", (".zarr",)),
    "xarray": Client("xarray", (".zarr",), "as a `DataTree`"),
    "pyarrow": Client("pyarrow", (".parquet", ".arrow")),
    "pandas": Client("pandas", (".parquet", ".arrow")),
    "polars": Client("polars", (".parquet", ".arrow")),
    "duckdb": Client("DuckDB", (".parquet",)),
    "webdataset": Client("WebDataset", (".tar",), "sample by sample; whole numbers of role meta come as JSON, without a type"),
}
HERE_TOO = ("h5py", "numpy", "pyarrow")
"""Those of `make test`."""
READ = list(CLIENTS) if "TENSORIZE_CLIENTS" in os.environ else list(HERE_TOO)


@dataclass
class Found:
    """What a client has read."""

    version: str = ""
    sets: set[str] = field(default_factory=set)
    tensors: int = 0
    values: int = 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("sets")
    make(made)
    return made


@pytest.fixture(scope="module")
def found():
    """Client → what it has read; written into the page at the end."""
    seen = defaultdict(Found)
    yield seen
    if page := os.environ.get("TENSORIZE_CLIENTS_PAGE"):
        write(Path(page), seen)


def ask(client, path="", index=""):
    done = subprocess.run(
        [PYTHON, HERE / "read.py", client, path, index], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def version():
    """Client → its version; "" where it cannot be had."""
    return {client: ask(client)["version"] for client in READ}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("client", "suffix"), [(client, suffix) for client in READ for suffix in CLIENTS[client].suffixes])
def test_a_stock_client_sees_every_value_shape_and_type(folder, found, version, client, suffix, name):
    if not version[client]:
        pytest.skip(f"{client} cannot be had here")
    said = ask(client, folder / f"{name}{suffix}", folder / f"{name}.json")
    assert said["wrong"] == []
    assert said["values"] > 0
    seen = found[client]
    seen.version, seen.sets = said["version"], seen.sets | {name}
    seen.tensors, seen.values = seen.tensors + said["tensors"], seen.values + said["values"]


@pytest.mark.parametrize(("client", "suffix"), [("h5py", ".h5"), ("pyarrow", ".parquet")])
def test_the_comparison_finds_a_wrong_value_shape_and_type(folder, tmp_path, client, suffix):
    index = json.loads((folder / "bikes.json").read_text())
    key, spec = next(iter(index.items()))
    data = bytearray((folder / spec["file"]).read_bytes())
    data[-1] ^= 1
    (tmp_path / "wrong.bin").write_bytes(data)
    flat = [spec["shape"][0], spec["shape"][1] * spec["shape"][2]]
    cases = {"other values": {"file": "wrong.bin"}, "not float32": {"shape": flat}, "not int32": {"dtype": "int32"}}
    for said, change in cases.items():
        whole = {**spec, "file": str(folder / spec["file"]), **change}
        (tmp_path / "index.json").write_text(json.dumps({key: whole}))
        if client == "h5py" or "shape" not in change:
            assert said in ask(client, folder / f"bikes{suffix}", tmp_path / "index.json")["wrong"][0]


def table(seen):
    """The table of the page."""
    lines = ["| client | version | formats | sets | tensors | values, all equal | |", "|---|---|---|---|---:|---:|---|"]
    for client, about in CLIENTS.items():
        formats = ", ".join(f"`{suffix}`" for suffix in about.suffixes)
        read = seen.get(client)
        if read is None:
            lines.append(f"| {about.title} | – | {formats} | not to be had where the table was made | | | {about.note} |")
        else:
            sets = ", ".join(name for name in NAMES if name in read.sets)
            counts = f"{read.tensors:,} | {read.values:,}"
            lines.append(f"| {about.title} | {read.version} | {formats} | {sets} | {counts} | {about.note} |")
    return "\n".join(lines) + "\n"


def write(page, seen):
    """Replace what stands between the two marks of the page."""
    head, _, rest = page.read_text("utf-8").partition(MARK)
    _, _, tail = rest.partition(MARK)
    page.write_text(f"{head}{MARK}\n{table(seen)}\n{MARK}{tail}", "utf-8")
