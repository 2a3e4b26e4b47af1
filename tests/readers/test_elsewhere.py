"""Parquet and Arrow from web servers and object stores: the same rows, by ranges, never of two versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from servers import Web, bucket, moto
from test_same_rows import MIXED, WRITTEN, ipc_file, mixed

from tensorize import prepare
from tensorize.columns.options import TableOptions
from tensorize.core.contracts import Run
from tensorize.core.errors import DataError
from tensorize.engine.threads import ThreadEngine
from tensorize.readers.open import open_table


def parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=100)


WAYS = {"Parquet": parquet, **{way: WRITTEN[way] for way in ("an Arrow file", "an Arrow stream, zstd", "Feather")}}


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as served:
        yield served


@pytest.mark.parametrize("way", WAYS)
def test_from_a_web_server(tmp_path: Path, web: Web, way: str) -> None:
    table = mixed(tmp_path / "m.csv")
    WAYS[way](table, tmp_path / "m.bin")
    address = web.put("/m", (tmp_path / "m.bin").read_bytes())
    expected = prepare("table", tmp_path / "m.csv", **MIXED)
    for size in (300, 4 << 20):
        assert prepare("table", address, **MIXED, chunk_bytes=size).equals(expected)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_only_what_is_wanted_is_fetched(tmp_path: Path, web: Web, suffix: str) -> None:
    table = pa.table({name: np.random.default_rng(1).normal(size=50_000) for name in "abcdefghij"})
    path = tmp_path / f"w{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, path, row_group_size=10_000)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, 50_000)
    data = path.read_bytes()
    address = web.put(f"/w{suffix}", data)
    web.log.clear()
    made = prepare("table", address, drop=[*"acdefghij"])
    assert made.equals(prepare("table", path, drop=[*"acdefghij"]))
    asked = [headers.get("Range", "bytes=0-0").removeprefix("bytes=").split("-") for _, headers in web.log]
    assert sum(int(last or len(data)) - int(first) for first, last in asked if first) < len(data)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_file_that_is_replaced_is_refused(tmp_path: Path, web: Web, suffix: str) -> None:
    """What came of the old version as it was found may be used; nothing of the new one is."""
    table = pa.table({name: np.random.default_rng(1).normal(size=100_000) for name in "abcd"})
    path = tmp_path / f"w{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, path, row_group_size=10_000)
    else:
        ipc_file(table, path, 10_000, None)
    data = path.read_bytes()
    rows = open_table(web.put("/w", data), TableOptions(), Run(ThreadEngine(1), 300_000))
    rows.read(rows.partitions[0])
    web.put("/w", data[:-9000] + b"\0" + data[-8999:])
    with pytest.raises(DataError, match="has changed"):
        rows.read(rows.partitions[-1])


def test_folders_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("moto", reason="moto is not installed")
    with moto() as endpoint:
        store: Any = bucket(endpoint, "sales")
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        table = pa.table({"x": [1.0, 2.0, 3.0, 4.0], "year": [2023, 2023, 2024, 2024], "town": ["a", "b", "b", "a"]})
        pq.write_to_dataset(table, "sales/d", filesystem=store, partition_cols=["year"], basename_template="p-{i}.parquet")
        with store.open_output_stream("sales/d/_SUCCESS"):
            pass
        expected = prepare("table", table.select(["x", "town", "year"]), onehot="town", target="x")
        for source in ("s3://sales/d", "s3://sales/d/", "s3://sales/d/**/*.parquet"):
            assert prepare("table", source, onehot="town", target="x").equals(expected)
