"""Rows that equal an earlier one: kept, left out or refused, whatever the types, blocks and threads."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import Command, WriteTable

from tensorize import DataError, prepare
from tensorize.pipeline import Output, make_run
from tensorize.pipeline import prepare as run_pipeline


def mixed(rows: int) -> pd.DataFrame:
    """Few values in each column, so that many rows are equal; missing ones among them."""
    rng = random.Random(3)
    return pd.DataFrame(
        {
            "number": [rng.choice([0.0, -0.0, 1.5, None]) for _ in range(rows)],
            "whole": pd.array([rng.choice([1, 2**60, None]) for _ in range(rows)], "Int64"),
            "word": [rng.choice(["a", "b", "ab", None]) for _ in range(rows)],
            "true": [rng.choice([True, False]) for _ in range(rows)],
            "id": range(rows),
        }
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_rows_are_left_as_by_pandas(threads: int) -> None:
    frame = mixed(150_000)
    options = {"id": "id", "missing": ["0", "word=-"], "raw": ["number"], "duplicate_rows": "drop"}
    made = prepare("table", pa.Table.from_pandas(frame), threads=threads, **options)
    wanted = frame.drop(columns="id").drop_duplicates().index.to_numpy()
    assert np.array_equal(made["row"].numpy(), wanted)
    assert 50 < len(wanted) < 200


def test_rows_that_differ_in_one_cell_stay(write: WriteTable) -> None:
    path = write("x,s,y\n" + "".join(f"{at % 10 / 2},{'ab'[at % 2]}{at // 10},{at % 3}\n" for at in range(500)))
    assert len(prepare("table", path, target="y", duplicate_rows="drop", max_categories=1000)["row"]) == 500


def test_the_target_counts_and_other_columns_do_not(write: WriteTable) -> None:
    path = write("id,x,y,z\n1,5,0,a\n2,5,0,b\n3,5,1,c\n4,6,1,d\n")
    made = prepare("table", path, id="id", target="y", drop="z", duplicate_rows="drop")
    assert made["row"].tolist() == [0, 2, 3]


def test_an_error_names_the_pairs(write: WriteTable) -> None:
    with pytest.raises(DataError, match=r"2 rows equal an earlier one(.|\n)*:4 equals (.|\n)*:2\n(.|\n)*:5 equals (.|\n)*:2\n"):
        prepare("table", write("x,y\n1,2\n3,4\n1,2\n1.0,2\n"), duplicate_rows="error")
    assert len(prepare("table", write("x,y\n1,2\n3,4\n"), duplicate_rows="error")["row"]) == 2


def test_copies_across_splits_are_counted(data: Path) -> None:
    wine = data / "wine/winequality-white.csv"
    result = run_pipeline("wine", wine, {"split": "0.8,0.1,0.1", "duplicate_rows": "keep"}, make_run(), Output())
    frame = pd.read_csv(wine, sep=";")
    rows = {name: result.tensors[f"{name}/row"].numpy() for name in result.tensors.splits}
    train = set(map(tuple, frame.loc[rows["train"]].to_numpy()))
    for name in ("val", "test"):
        count = sum(tuple(row) in train for row in frame.loc[rows[name]].to_numpy())
        assert f"{count} of 490 rows of {name} equal one of train" in result.notes
    assert f"{frame.duplicated().sum()} rows equal an earlier one in all features and targets" in result.notes
    assert len(result.tensors["train/row"]) == 3918


def test_none_is_shared_out_twice(data: Path, tensorize: Command) -> None:
    wine = data / "wine/winequality-white.csv"
    done = tensorize("wine", wine, "--duplicate-rows", "drop", "--split", "0.8,0.2", "-o", "w.h5")
    assert "937 rows left out, equal to an earlier one in all features and targets" in done.stdout
    again = tensorize("apply", "w.h5", wine, "-o", "n.h5", "--json")
    assert again.returncode == 0, again.stderr
    assert "4898" in again.stdout  # new data are never thinned
