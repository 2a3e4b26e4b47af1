"""The same rows as CSV, TSV, Parquet, pandas, polars and Arrow: the same tensors, bit for bit, whatever the partitions."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from tensorize import prepare


def polars_of(table: pa.Table) -> Any:
    return pytest.importorskip("polars").from_arrow(table)


HELD: dict[str, Callable[[pa.Table], Any]] = {
    "Arrow": lambda table: table,
    "a reader of batches": lambda table: table.to_reader(100),
    "pandas": lambda table: table.to_pandas(),
    "polars": polars_of,
    "dictionaries": lambda table: pa.table(
        {name: column.dictionary_encode() if column.type == pa.string() else column for name, column in columns(table)}
    ),
    "views": lambda table: pa.table(
        {name: column.cast(pa.string_view()) if column.type == pa.string() else column for name, column in columns(table)}
    ),
    "large text": lambda table: pa.table(
        {name: column.cast(pa.large_string()) if column.type == pa.string() else column for name, column in columns(table)}
    ),
}


def of_words(table: pa.Table) -> pa.Table:
    """Text as dictionaries, other ones every 60 rows."""
    parts = [table.slice(at, 60).combine_chunks() for at in range(0, table.num_rows, 60)]
    made = [HELD["dictionaries"](part) for part in parts]
    return pa.Table.from_batches([batch for part in made for batch in part.to_batches()], made[0].schema)


def ipc_file(table: pa.Table, path: Path, rows: int, compression: str | None, new: Any = pa.ipc.new_file) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema, options=options) as writer:
        writer.write_table(table, rows)


WRITTEN: dict[str, Callable[[pa.Table, Path], None]] = {
    "an Arrow file": lambda table, path: ipc_file(table, path, 100_000, None),
    "an Arrow file of small batches": lambda table, path: ipc_file(table, path, 37, None),
    "an Arrow file, lz4": lambda table, path: ipc_file(table, path, 300, "lz4"),
    "an Arrow file, zstd": lambda table, path: ipc_file(table, path, 300, "zstd"),
    "an Arrow stream": lambda table, path: ipc_file(table, path, 1000, None, pa.ipc.new_stream),
    "an Arrow stream, zstd": lambda table, path: ipc_file(table, path, 90, "zstd", pa.ipc.new_stream),
    "an Arrow file of dictionaries": lambda table, path: ipc_file(HELD["dictionaries"](table), path, 50, "lz4"),
    "an Arrow stream of dictionaries": lambda table, path: ipc_file(of_words(table), path, 50, None, pa.ipc.new_stream),
    "an Arrow file of views": lambda table, path: ipc_file(HELD["views"](table), path, 400, None),
    "an Arrow file of large text": lambda table, path: ipc_file(HELD["large text"](table), path, 400, "zstd"),
    "Feather": lambda table, path: feather.write_feather(table, str(path)),
}
"""How the rows are written as Arrow files of several kinds."""


def columns(table: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    return zip(table.column_names, table.columns, strict=True)


def mixed(path: Path) -> pa.Table:
    """Numbers with missing cells, whole numbers, words, booleans and times, 700 rows."""
    rng = random.Random(5)
    lines = ["area,rooms,kind,colour,sold,stamp,price"]
    for at in range(700):
        area = "" if at % 37 == 3 else f"{rng.gauss(80, 20):.4f}"
        cells = [area, str(rng.randint(1, 6)), str(at % 7), rng.choice(["red", "green", "blue"]), rng.choice(["true", "false"])]
        lines.append(
            ",".join([*cells, f"2024-{at % 12 + 1:02}-{at % 28 + 1:02} {at % 24:02}:30:00", f"{rng.gauss(300, 50):.3f}"])
        )
    path.write_text("\n".join(lines) + "\n")
    return pacsv.read_csv(path)


def wine(path: Path, source: Path) -> pa.Table:
    path.write_bytes(source.read_bytes())
    return pacsv.read_csv(path, parse_options=pacsv.ParseOptions(delimiter=";"))


def bikes(path: Path, source: Path) -> pa.Table:
    path.write_bytes(source.read_bytes())
    return pacsv.read_csv(path)


def as_json(table: pa.Table) -> dict[str, str]:
    """File → the rows as Python writes them."""
    rows = [json.dumps(row, default=lambda time: time.isoformat()) for row in table.to_pylist()]
    return {"rows.jsonl": "\n".join(rows), "rows.json": "[" + ", ".join(rows) + "]"}


def saved(table: pa.Table, folder: Path, shards: int = 2, rows: int = 1000) -> Path:
    """A dataset as `save_to_disk` of the datasets library writes it: streams of batches of `rows`."""
    folder.mkdir(parents=True)
    names = [f"data-{at:05}-of-{shards:05}.arrow" for at in range(shards)]
    size = -(-table.num_rows // shards)
    for at, name in enumerate(names):
        ipc_file(table.slice(at * size, size), folder / name, rows, None, pa.ipc.new_stream)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "0", "_format_type": None, "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))
    return folder


def as_tsv(path: Path) -> Path:
    """The same cells with tabs between them."""
    with path.open(newline="") as read, path.with_suffix(".tsv").open("w", newline="") as written:
        first = read.readline()
        read.seek(0)
        cells = csv.reader(read, delimiter=";" if ";" in first else ",")
        csv.writer(written, delimiter="\t", lineterminator="\n").writerows(cells)
    return path.with_suffix(".tsv")


def all_alike(kind: str, path: Path, table: pa.Table, **options: Any) -> None:
    """CSV, then every other way: equal tensors under the same names."""
    expected = prepare(kind, path, **options)
    assert prepare(kind, as_tsv(path), **options).equals(expected)
    shutil.rmtree(path.with_name("saved"), ignore_errors=True)
    for rows in (100, 2000):
        folder = saved(table, path.with_name("saved") / str(rows), shards=3, rows=rows)
        assert prepare(kind, folder, **options).equals(expected), "a saved dataset"
    few = max(17, table.num_rows // 40)
    for rows, size in ((few, 300), (few, 4 << 20), (100_000, 4 << 20)):
        pq.write_table(table, path.with_suffix(".parquet"), row_group_size=rows)
        for threads in (1, 2):
            made = prepare(kind, path.with_suffix(".parquet"), **options, chunk_bytes=size, threads=threads)
            assert made.equals(expected), (rows, size)
    for way, write in WRITTEN.items():
        write(table, path.with_suffix(".arrow"))
        for threads in (1, 2):
            made = prepare(kind, path.with_suffix(".arrow"), **options, chunk_bytes=300, threads=threads)
            assert made.equals(expected), way
    for name, text in as_json(table).items():
        path.with_name(name).write_text(text)
        for size in (max(3000, len(text) // 40), 4 << 20):
            assert prepare(kind, path.with_name(name), **options, chunk_bytes=size, threads=2).equals(expected), name
    for way, held in HELD.items():
        if way != "polars":
            assert prepare(kind, held(table), **options).equals(expected), way


MIXED = {"target": "price", "missing": "mean", "indicator": True, "onehot": "kind", "time_features": "stamp:month,hour"}


@pytest.mark.parametrize("options", [{}, {"split": "0.7,0.1,0.2", "encode": "ids"}, {"where": 'rooms > 2 and colour == "red"'}])
def test_a_mixed_table(tmp_path: Path, options: dict[str, Any]) -> None:
    table = mixed(tmp_path / "mixed.csv")
    all_alike("table", tmp_path / "mixed.csv", table, **MIXED, **options)


def test_a_mixed_table_of_polars(tmp_path: Path) -> None:
    table = mixed(tmp_path / "mixed.csv")
    expected = prepare("table", tmp_path / "mixed.csv", **MIXED)
    frame = polars_of(table)
    assert prepare("table", frame, **MIXED).equals(expected)
    polars = pytest.importorskip("polars")
    words = frame.with_columns(polars.col("colour").cast(polars.Categorical))
    assert prepare("table", words, **MIXED).equals(expected)
    frame.write_parquet(tmp_path / "polars.parquet", row_group_size=50)
    assert prepare("table", tmp_path / "polars.parquet", **MIXED).equals(expected)


def test_a_series_of_times(tmp_path: Path) -> None:
    lines = [f"2024-01-{at // 24 + 1:02} {at % 24:02}:00,{at % 7}.5,{'ab'[at % 2]}" for at in range(480)]
    (tmp_path / "m.csv").write_text("\n".join(["at,kwh,state", *lines]) + "\n")
    frame = pd.read_csv(tmp_path / "m.csv", parse_dates=["at"])
    table = pa.Table.from_pandas(frame)
    for unit in ("s", "ms", "us", "ns"):
        at = table.column("at").cast(pa.timestamp(unit))
        other = table.set_column(0, "at", at)
        all_alike("series", tmp_path / "m.csv", other, time="at", window=24, horizon=2, target="kwh", split="0.6,0.2,0.2")


def test_times_of_a_zone_and_dates(tmp_path: Path) -> None:
    stamps = [f"2024-03-{day + 1:02}T{hour:02}:00:00Z" for day in range(20) for hour in range(24)]
    (tmp_path / "z.csv").write_text("\n".join(["at,x", *(f"{stamp},{at}" for at, stamp in enumerate(stamps))]) + "\n")
    naive = pa.array([stamp[:-1] for stamp in stamps]).cast(pa.timestamp("s"))
    for zone in ("UTC", "Europe/Berlin"):
        table = pa.table({"at": naive.cast(pa.timestamp("ns", zone)), "x": pa.array(range(len(stamps)))})
        all_alike("series", tmp_path / "z.csv", table, time="at", window=24)
        all_alike("series", tmp_path / "z.csv", table, time="at", period="day", zone="Europe/Berlin", gaps="drop")


def test_the_wines(data: Path, tmp_path: Path) -> None:
    table = wine(tmp_path / "w.csv", data / "wine/winequality-white.csv")
    all_alike("wine", tmp_path / "w.csv", table, split="0.8,0.2")
    polars = polars_of(table)
    assert prepare("wine", polars, split="0.8,0.2").equals(prepare("wine", tmp_path / "w.csv", split="0.8,0.2"))


@pytest.mark.parametrize("days", [40, pytest.param(731, marks=pytest.mark.long)])
def test_the_bikes(data: Path, tmp_path: Path, days: int) -> None:
    lines = (data / "bikes/hour.csv").read_text().splitlines(keepends=True)
    (tmp_path / "hour.csv").write_text("".join(lines[: days * 24]))
    table = bikes(tmp_path / "b.csv", tmp_path / "hour.csv")
    all_alike("bikes", tmp_path / "b.csv", table, split="0.8,0.2")
    all_alike("series", tmp_path / "b.csv", table, time="dteday+hr", step="1h", window=24, gaps="ffill")


def test_infinite_numbers_that_count_as_missing(tmp_path: Path) -> None:
    values = ["1.5", "inf", "-Infinity", "2.25", "+INF", "", "-inf", "7"]
    (tmp_path / "m.csv").write_text("x,y\n" + "".join(f"{value},{at}\n" for at, value in enumerate(values)))
    table = pa.table({"x": [float(value) if value else None for value in values], "y": range(len(values))})
    all_alike("table", tmp_path / "m.csv", table, na="inf", missing="median", indicator=True)
    made = prepare("table", tmp_path / "m.csv", na="inf", missing="x=drop", raw=["x"])
    assert made["features"][:, 0].tolist() == [1.5, 2.25, 7]
