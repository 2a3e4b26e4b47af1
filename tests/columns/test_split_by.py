"""Splits that a column or the files say, and a column that holds the file of each row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Command, WriteTable
from pyarrow import feather

from tensorize import DataError, UsageError, prepare

ROWS = [("train", 1.5), ("Test", 2.5), ("TRAIN", 4.0), ("validation", 5.0), ("training", 6.0), ("dev", 7.25), ("test", 9.0)]
TABLE = "part,x\n" + "".join(f"{part},{x}\n" for part, x in ROWS)


def test_a_column_says_the_splits(write: WriteTable) -> None:
    made = prepare("table", write(TABLE), split_by="part", raw=["x"])
    assert {name: made[f"{name}/features"][:, 0].tolist() for name in made.splits} == {
        "train": [1.5, 4.0, 6.0],
        "val": [5.0, 7.25],
        "test": [2.5, 9.0],
    }
    assert made["val/row"].tolist() == [3, 5]
    assert list(made.labels("train/features", "feature")) == ["x"]


def test_statistics_are_those_of_train(write: WriteTable) -> None:
    made = prepare("table", write(TABLE), split_by="part")
    train = np.array([1.5, 4.0, 6.0])
    scaled = (np.array([2.5, 9.0]) - train.mean()) / train.std(ddof=1)
    np.testing.assert_allclose(made["test/features"][:, 0].numpy(), scaled, rtol=1e-6)
    other = prepare("table", write(TABLE.replace("9.0", "900")), split_by="part")
    np.testing.assert_array_equal(made["train/features"].numpy(), other["train/features"].numpy())


def test_new_data_need_no_such_column(write: WriteTable) -> None:
    recipe = prepare("table", write(TABLE), split_by="part").recipe
    new = recipe.apply(write("x\n4.0\n9.0\n", "new.csv"))
    assert new.splits == ()
    assert len(new["features"]) == 2
    assert len(recipe.apply(write(TABLE))["features"]) == len(ROWS)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE + "holdout,3\n", r'"part" holds what is not train, val or test\n  holdout   1 row\n'),
        (TABLE + ",3\n", r"\(missing\)   1 row"),
        (TABLE.replace("rain", "rial").replace("RAIN", "RIAL").replace("val", "v"), "keep the rows of a split"),
        ("part,x\ntest,1\nval,2\ntest,4\n", "says of no row that it is train"),
    ],
)
def test_other_values_are_an_error(write: WriteTable, table: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        prepare("table", write(table), split_by="part")


def test_the_condition_of_the_error_works(write: WriteTable, tensorize: Command) -> None:
    write(TABLE + "hold out,3\n" * 3)
    done = tensorize("table", "d.csv", "--split-by", "part", "-o", "d.h5")
    assert done.returncode == 1
    hint = next(line for line in done.stderr.splitlines() if "--where" in line)
    condition = hint.partition("--where ")[2].strip().strip("'")
    done = tensorize("table", "d.csv", "--split-by", "part", "--where", condition, "-o", "d.h5")
    assert done.returncode == 0, done.stderr
    assert "3 rows left out" in done.stdout


@pytest.mark.parametrize("more", [{"split": "0.5,0.5"}, {"group": "x"}, {"order": "x"}, {"stratify": "x"}])
def test_one_way_to_split(write: WriteTable, more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="the column says the splits"):
        prepare("table", write(TABLE), split_by="part", **more)


FILES = {"a/train.csv": [1.5, 2.0, 4.0], "b/test.csv": [7.0, 8.0], "b/more.test.csv": [9.0]}


def several(folder: Path, suffix: str) -> list[Path]:
    """The same files in another format."""
    paths = []
    for name, values in FILES.items():
        path = (folder / name).with_suffix(suffix)
        path.parent.mkdir(exist_ok=True)
        frame = pd.DataFrame({"x": values, "y": ["u", "v", "u"][: len(values)]})
        if suffix == ".csv":
            frame.to_csv(path, index=False)
        elif suffix == ".jsonl":
            frame.to_json(path, orient="records", lines=True)
        elif suffix == ".parquet":
            pq.write_table(pa.Table.from_pandas(frame), path)
        else:
            feather.write_feather(frame, str(path))
        paths.append(path)
    return paths


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".feather"])
@pytest.mark.parametrize("size", [8, 4 << 20])
def test_a_column_holds_the_file_of_each_row(tmp_path: Path, suffix: str, size: int) -> None:
    paths = several(tmp_path, suffix)
    made = prepare("table", paths, file_column="file", raw=["x"], chunk_bytes=size)
    names = sorted(["a/train" + suffix, "b/test" + suffix, "b/more.test" + suffix])
    assert list(made.labels("features", "feature")) == ["x", "y=u", "y=v", *(f"file={name}" for name in names)]
    assert made["features"][:, 3:].argmax(1).tolist() == [0, 0, 0, 2, 2, 1]
    split = prepare("table", paths, file_column="file", split_by="file", raw=["x"], chunk_bytes=size)
    assert split["test/features"][:, 0].tolist() == [7, 8, 9]
    grouped = prepare("table", paths, file_column="file", group="file", split="0.5,0.5", raw=["x"])
    parts = [set(grouped[f"{name}/features"][:, 0].tolist()) for name in grouped.splits]
    assert all(any(set(values) <= part for part in parts) for values in FILES.values())


def test_the_files_of_a_series_are_groups(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("x\n" + "".join(f"{at}.5\n" for at in range(6)))
    made = prepare("series", str(tmp_path / "*.csv"), file_column="file", group="file", window=4)
    assert len(made["series"]) == 6  # three windows in each file, and none across


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='there is a column "x" already'):
        prepare("table", several(tmp_path, ".csv"), file_column="x")


def test_a_recipe_is_applied_to_rows_in_memory(tmp_path: Path) -> None:
    recipe = prepare("table", several(tmp_path, ".csv"), file_column="file", raw=["x"]).recipe
    row = recipe.apply({"x": [1.0], "y": ["u"], "file": ["b/test.csv"]})
    assert row["features"].tolist() == [[1, 1, 0, 0, 0, 1]]
