"""Arrow files and streams: pieces, pruning, what is refused, datasets of Hugging Face, damaged bytes."""

from __future__ import annotations

import io
import os
import pickle
import random
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from conftest import Command
from test_same_rows import MIXED, WRITTEN, mixed, saved

from tensorize import prepare
from tensorize.columns.options import TableOptions
from tensorize.columns.reader import Needs, Roles, Rows
from tensorize.core.contracts import Run
from tensorize.core.errors import DataError, UsageError
from tensorize.core.options import Options
from tensorize.engine.threads import ThreadEngine
from tensorize.readers.arrow import Arrow
from tensorize.readers.arrow.rows import ArrowFile
from tensorize.readers.open import open_table
from tensorize.readers.parquet import Parquet
from tensorize.sources.files import InputFile, resolve

FLIPS = 150
"""For each way to write a file; `make try-flips FLIPS=5000` for more."""


def ipc(table: pa.Table, path: Path, rows: int | None = None, new: Any = pa.ipc.new_file, **options: Any) -> Path:
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, rows)
    return path


def opened(path: Path, size: int = 4 << 20) -> Rows:
    return open_table(path, TableOptions(), Run(ThreadEngine(1), size))


def content(path: Path, reader: Any = Arrow, size: int = 300) -> pa.Table:
    """Every column that a reader gives, whatever its type."""

    def everything(names: Any) -> Needs:
        return Needs(Roles(tuple(names), tuple(names), (), ()))

    rows = reader().open([InputFile.at(path, str(path))], Options(), everything, Run(ThreadEngine(1), size))
    return pa.Table.from_batches([rows.read(part).unpacked() for part in rows.partitions])


def features(source: Any, **options: Any) -> list[list[float]]:
    found: list[list[float]] = prepare("table", source, scale="none", **options)["features"].tolist()
    return found


@pytest.fixture
def houses() -> pa.Table:
    return pa.table({"area": [1.0, 2.0, 4.0, 5.0, 9.0], "city": ["a", "b", "a", "b", "a"]})


# pieces -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_large_batches_are_sliced_and_small_ones_joined(tmp_path: Path, new: Any) -> None:
    table = pa.table({"a": np.arange(1000.0), "b": pa.array([None if at % 3 else "é" * (at % 9) for at in range(1000)])})
    for rows, size, pieces in ((1000, 2000, [128] * 7 + [104]), (10, 1 << 20, [1000]), (10, 1, [10] * 100)):
        found = opened(ipc(table, tmp_path / "x", rows, new), size)
        assert [part.rows for part in found.partitions] == pieces
        again = pickle.loads(pickle.dumps(found))
        parts = [again.read(part, ["b"]).unpacked() for part in again.partitions]
        expected = [cell or None for cell in table.column("b").to_pylist()]
        assert pa.Table.from_batches(parts).column("b").to_pylist() == expected


def test_only_the_columns_that_are_wanted_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({name: np.arange(100_000.0) for name in "abcdefgh"})
    file = ArrowFile.of(InputFile.at(ipc(table, tmp_path / "x.arrow"), "x.arrow"))
    read = []
    piece = file.parts(1 << 30)[0][1]
    whole = InputFile.random

    def counted(self: InputFile) -> io.RawIOBase:
        raw = whole(self)
        into = raw.readinto

        def readinto(buffer: Any) -> int:
            read.append(len(buffer))
            return into(buffer) or 0

        raw.readinto = readinto  # type: ignore[method-assign]
        return raw

    monkeypatch.setattr(InputFile, "random", counted)
    assert file.read(piece, ["c"], False).equals(table.select(["c"]))
    assert sum(read) < 810_000


def test_nested_columns_are_passed_over_or_refused(tmp_path: Path) -> None:
    kinds = [
        pa.array([[1], [2, 3], None]),
        pa.array([{"x": 1, "y": "u"}, None, {"x": 2, "y": "v"}]),
        pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int8(), 2)),
        pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        pa.array([b"x", None, b"zz"]),
        pa.array([None, None, None]),
        pa.RunEndEncodedArray.from_arrays([2, 3], ["u", "v"]),
        pa.UnionArray.from_dense(
            pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["x"])]
        ),
        pa.array([["long enough to lie apart"], None, ["x"]], pa.list_(pa.string_view())),
        pa.array(["uu", None, "vv"]).dictionary_encode(),
    ]
    table = pa.table({**{f"n{at}": cells for at, cells in enumerate(kinds)}, "x": [1.5, 2.5, 3.5], "s": ["a", "b", "a"]})
    nested = [f"n{at}" for at in (0, 1, 2, 3, 4, 6, 7, 8)]
    for new in (pa.ipc.new_file, pa.ipc.new_stream):
        path = ipc(table, tmp_path / "x.arrow", new=new)
        with pytest.raises(DataError) as caught:
            features(path)
        assert "8 columns have types" in caught.value.what
        assert features(path, drop=[*nested, "n5", "n9"]) == [[1.5, 1, 0], [2.5, 0, 1], [3.5, 1, 0]]


def test_dictionaries_that_grow_or_are_replaced(tmp_path: Path) -> None:
    def batch(words: list[str]) -> pa.RecordBatch:
        return pa.record_batch({"w": pa.array([*words, *words]).dictionary_encode()})

    groups = [["a", "b"], ["a", "b", "c"], ["z"], ["z", "y"]]
    for delta in (False, True):
        with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink:
            options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=delta)
            with pa.ipc.new_stream(sink, batch(["a"]).schema, options=options) as writer:
                for words in groups:
                    writer.write_batch(batch(words))
        for size in (1, 1 << 20):
            found = content(tmp_path / "x.arrow", size=size).column("w").to_pylist()
            assert found == [word for words in groups for word in (*words, *words)]


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_what_polars_writes(tmp_path: Path, compression: str) -> None:
    """Its files have no schema before the batches, only in the footer; text is views, categories are dictionaries."""
    polars: Any = pytest.importorskip("polars")
    frame = polars.from_arrow(mixed(tmp_path / "m.csv")).with_columns(polars.col("colour").cast(polars.Categorical))
    expected = prepare("table", tmp_path / "m.csv", **MIXED)
    frame.write_ipc(tmp_path / "m.arrow", compression=compression)
    frame.write_ipc_stream(tmp_path / "m.arrows", compression=compression)
    for name in ("m.arrow", "m.arrows"):
        for size in (300, 4 << 20):
            assert prepare("table", tmp_path / name, **MIXED, chunk_bytes=size).equals(expected)


def test_a_pipe_and_a_name_without_suffix_are_read(tensorize: Command, houses: pa.Table, tmp_path: Path) -> None:
    made = []
    for new in (pa.ipc.new_file, pa.ipc.new_stream):
        path = ipc(houses, tmp_path / "h", 2, new)
        with path.open("rb") as stream:
            for name, options in (("h", {}), ("-", {"stdin": stream})):
                done = tensorize("table", name, "-o", "h.h5", "--force", **options)
                assert done.returncode == 0, done.stderr
                made.append((tmp_path / "h.h5").read_bytes())
    assert len(set(made)) == 1


def test_a_missing_cell_is_told_with_its_row(tmp_path: Path) -> None:
    path = ipc(pa.table({"a": [1.0, 2.0, None], "b": ["x", "y", "x"]}), tmp_path / "d.feather", 1)
    with pytest.raises(DataError, match="missing") as caught:
        features(path)
    assert "d.feather:3" in str(caught.value)


# refusals -----------------------------------------------------------------------------------------------------------


def test_files_that_are_none(tmp_path: Path, houses: pa.Table) -> None:
    path = tmp_path / "h.arrow"
    for data, said in (
        (b"ARROW1\0\0", "within a message"),
        (b"a,b\n1,2\n", "begins neither"),
        (b"", "begins neither"),
        (b"\xff" * 60, "message"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=rf"h\.arrow cannot be read as Arrow: .*{said}"):
            features(path, reader="arrow")
    whole = ipc(houses, path, new=pa.ipc.new_stream).read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(DataError, match="without the mark that ends a stream"):
        features(path)
    ipc(houses, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="has no footer: it may be cut off"):
        features(path)


def test_a_file_that_changes_as_it_is_read_is_refused(tmp_path: Path, houses: pa.Table) -> None:
    rows = opened(ipc(houses, tmp_path / "h.arrow"))
    ipc(houses.slice(0, 4), tmp_path / "h.arrow")
    with pytest.raises(DataError, match=r"h\.arrow has changed"):
        rows.read(rows.partitions[0])


# Hugging Face -------------------------------------------------------------------------------------------------------


def test_a_saved_dataset_is_the_table_of_its_files(tmp_path: Path, tensorize: Command) -> None:
    table = pa.table({"x": np.arange(5000) % 7, "y": np.arange(5000) / 8})
    expected = prepare("table", table, target="y")
    folder = saved(table, tmp_path / "d")
    (folder / "cache-1.arrow").write_bytes(b"left by map()")
    assert prepare("table", folder, target="y").equals(expected)
    assert "tensorize table" in tensorize("d").stdout
    saved(table, tmp_path / "all/train")
    saved(table, tmp_path / "all/test")
    (tmp_path / "all/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(UsageError, match="holds the splits of a dataset: test, train") as caught:
        prepare("table", tmp_path / "all")
    named = shlex.split(caught.value.hint)[-1]
    assert len(resolve(named)) == 2
    (folder / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(DataError, match="lacks files of the dataset"):
        prepare("table", folder)


# damage -------------------------------------------------------------------------------------------------------------


def pages(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=100, write_page_checksum=True)


def damaged(data: bytes, rng: random.Random, cut: bool) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 5))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed[: rng.randrange(len(data))] if cut else changed)


@pytest.mark.parametrize("way", ["Parquet with checksums", "Parquet without", *WRITTEN])
def test_flipped_bits_and_cut_files_are_errors_of_ours(tmp_path: Path, way: str) -> None:
    """Arrow has no checksums and most Parquet has none: cells may then differ, but nothing crashes, and no row is lost."""
    table, path = mixed(tmp_path / "m.csv"), tmp_path / "m.bin"
    write = {
        "Parquet with checksums": pages,
        "Parquet without": lambda t, p: pq.write_table(t, p, row_group_size=100),
    } | WRITTEN
    write[way](table, path)
    reader = Parquet if way.startswith("Parquet") else Arrow
    data, right = path.read_bytes(), content(path, reader)
    rng, said = random.Random(way), []
    for turn in range(int(os.environ.get("TENSORIZE_FLIPS", FLIPS))):
        cut = turn % 4 == 3
        path.write_bytes(damaged(data, rng, cut))
        try:
            found = content(path, reader)
        except (DataError, UsageError) as error:
            said.append(str(error))
            continue
        if cut or way == "Parquet with checksums":
            assert found.equals(right)
    assert len(said) > 20
    assert all("m.bin" in line or "column" in line or "header" in line for line in said)


# Apache's files -----------------------------------------------------------------------------------------------------


def theirs(path: Path) -> pa.Table | None:
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError):
        return None


def test_broken_parquet_files_of_apache_are_read_as_pyarrow_does_or_refused(corpora: Path) -> None:
    files = sorted((corpora / "parquet").rglob("*.parquet"))
    assert len(files) > 60
    refused: dict[str, str] = {}
    for path in files:
        table = theirs(path)
        try:
            found = content(path, Parquet, 1 << 20)
        except DataError as error:
            refused[path.name] = str(error)
            continue
        assert table is not None, path
        assert found.num_rows == table.num_rows
        for name in found.column_names:
            same(found.column(name), table.column(name), f"{path.name} {name}")
    assert {"PARQUET-1481.parquet", "datapage_v1-corrupt-checksum.parquet"} <= refused.keys()
    assert all(name in said or "column" in said for name, said in refused.items())


def same(ours: pa.ChunkedArray, cells: pa.ChunkedArray, where: str) -> None:
    """Cells as text, numbers as float64; an empty text and NaN are missing."""
    theirs = [None if cell in (None, "") or str(cell) == "nan" else cell for cell in cells.to_pylist()]
    found = ours.to_pylist()
    assert [cell is None for cell in found] == [cell is None for cell in theirs], where
    if found and not isinstance(next((cell for cell in found if cell is not None), None), str):
        assert [None if cell is None else float(cell) for cell in found] == [
            None if cell is None else float(cell) for cell in theirs
        ]
