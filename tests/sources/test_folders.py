"""Which files of a folder are its data, and how a folder is read as one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Command

from tensorize import prepare
from tensorize.core.errors import DataError, UsageError
from tensorize.sources.files import resolve
from tensorize.sources.folders import data_files


def nothing(name: str) -> bytes:
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b.parquet", "a.parquet"], ["a.parquet", "b.parquet"]),
        (["a.parquet", "b.pq"], ["a.parquet", "b.pq"]),
        (["_SUCCESS", "_metadata", "_common_metadata", ".a.parquet.crc", "a.parquet"], ["a.parquet"]),
        (["_delta_log/0.json", ".git/config", "a.parquet"], ["a.parquet"]),
        (["year=2024/a.parquet", "year=2023/a.parquet"], ["year=2023/a.parquet", "year=2024/a.parquet"]),
        (["README.md", "LICENSE", "names.txt", "a.csv", "b.csv.gz"], ["a.csv", "b.csv.gz"]),
        (["README.md", "a.txt", "b.txt"], ["a.txt", "b.txt"]),
        (["part-00000", "part-00001", "_SUCCESS"], ["part-00000", "part-00001"]),
        (["a.arrow", "b.feather"], ["a.arrow", "b.feather"]),
    ],
)
def test_the_data_of_a_folder(names: list[str], expected: list[str]) -> None:
    assert data_files("d", names, nothing) == expected


@pytest.mark.parametrize("names", [["a.csv", "b.parquet"], ["a.csv", "a.tsv"], ["a.parquet", "b.avro"], ["part-0", "a.csv"]])
def test_files_of_several_formats_are_refused_and_listed(names: list[str]) -> None:
    with pytest.raises(UsageError, match="d holds files of several formats") as caught:
        data_files("d", names, nothing)
    assert all(name in str(caught.value) for name in names)
    assert 'name those of one format: "d/**/*' in caught.value.hint


@pytest.mark.parametrize("names", [[], ["_SUCCESS"], ["a.avro"], ["README.md"]])
def test_a_folder_without_tables_is_refused(names: list[str]) -> None:
    with pytest.raises(UsageError, match="d is a folder without tables"):
        data_files("d", names, nothing)


def test_a_saved_dataset_says_what_its_files_are() -> None:
    state = json.dumps({"_data_files": [{"filename": "data-00000-of-00002.arrow"}, {"filename": "data-00001-of-00002.arrow"}]})
    names = ["state.json", "dataset_info.json", "cache-1.arrow", "data-00001-of-00002.arrow", "data-00000-of-00002.arrow"]
    found = data_files("d", names, lambda name: state.encode())
    assert found == ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    with pytest.raises(DataError, match="d lacks files of the dataset") as caught:
        data_files("d", names[:-1], lambda name: state.encode())
    assert caught.value.details == ("data-00000-of-00002.arrow",)
    for bad in (b"", b"[]", b"{}", b'{"_data_files": 3}', b"[" * 100_000, b"\xff"):
        with pytest.raises(DataError, match=r"d/state\.json does not list the files of a dataset"):
            data_files("d", names, lambda name, bad=bad: bad)  # type: ignore[misc]


def test_the_splits_of_a_dataset_are_named_one_by_one() -> None:
    names = ["dataset_dict.json", "train/state.json", "train/data.arrow", "test/state.json", "test/data.arrow"]
    with pytest.raises(UsageError, match="d holds the splits of a dataset: test, train") as caught:
        data_files("d", names, nothing)
    assert caught.value.hint == "name one of them: d/train"


def test_a_folder_is_the_table_of_its_files(tmp_path: Path, tensorize: Command) -> None:
    for number, name in enumerate(("b.csv", "a.csv", "more/c.csv")):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text(f"x,y\n{number},1\n")
    (tmp_path / "d/more/again").symlink_to(tmp_path / "d")
    assert prepare("table", tmp_path / "d", scale="none")["features"].tolist() == [[1, 1], [0, 1], [2, 1]]
    assert [file.name for file in resolve(f"{tmp_path}/d/")] == [
        f"{tmp_path}/d/{name}" for name in ("a.csv", "b.csv", "more/c.csv")
    ]
    done = tensorize("table", "d/", "-o", "d.h5")
    assert done.returncode == 0, done.stderr
