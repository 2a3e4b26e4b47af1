"""One row in a service is the same row of the file, whatever Python, numpy, pandas, torch or Arrow call its values."""

import contextlib
import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import tensorize
from tensorize import DataError, Recipe, TensorizeError, UsageError

CSV = "when,n,city,ok\n2020-01-05,3,A,true\n2020-02-01,4,B,false\n2020-03-01,4,A,true\n,,,true\n2020-03-01,4,A,false\n"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    path.write_text(CSV)
    options = {"time_features": "when:month,day", "missing": "mode", "unseen": "unknown"}
    return tensorize.prepare("table", path, **options).recipe


ROW = {"when": "2020-02-01", "n": 4, "city": "B", "ok": False}
SAME = {
    "when": [
        datetime.date(2020, 2, 1),
        datetime.datetime(2020, 2, 1),
        np.datetime64("2020-02-01"),
        np.datetime64("2020-02-01", "ns"),
        pd.Timestamp("2020-02-01"),
        pd.Timestamp("2020-02-01", tz="UTC"),
        pa.scalar(datetime.date(2020, 2, 1)),
    ],
    "n": [
        4.0,
        Decimal(4),
        np.int8(4),
        np.uint64(4),
        np.float32(4),
        np.float64(4),
        np.array(4),
        torch.tensor(4),
        torch.tensor(4.0, dtype=torch.bfloat16),
        pa.scalar(4),
        pa.scalar(4.0),
    ],
    "city": [np.str_("B"), np.array("B"), pa.scalar("B"), pa.scalar("B", pa.large_string())],
    "ok": [np.bool_(False), np.array(False), torch.tensor(False), pa.scalar(False)],
}
MISSING = [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), pa.scalar(None), pa.NA]


@pytest.mark.parametrize(("column", "value"), [(name, value) for name, values in SAME.items() for value in values], ids=repr)
def test_a_value_is_the_same_whatever_holds_it(recipe: Recipe, column: str, value: object) -> None:
    row = ROW | {column: value}
    for source, count in ((row, 1), ([row, row], 2), ({name: [cell] for name, cell in row.items()}, 1)):
        assert recipe.apply(source)["features"].tolist() == recipe.apply(ROW)["features"].tolist() * count


@pytest.mark.parametrize("value", MISSING, ids=lambda value: f"{type(value).__name__} {value}")
@pytest.mark.parametrize("column", ["when", "n", "city"])
def test_a_missing_value_is_missing_whatever_says_so(recipe: Recipe, column: str, value: object) -> None:
    wanted = recipe.apply(pd.DataFrame([ROW | {column: None}, ROW]))["features"]
    assert recipe.apply([ROW | {column: value}, ROW])["features"].equal(wanted)
    assert recipe.apply(ROW | {column: value})["features"].equal(wanted[:1])


@pytest.mark.parametrize("value", [10**30, True, "word", b"bytes", [1], {"a": 1}, object, 1j, datetime.timedelta(1)], ids=repr)
@pytest.mark.parametrize("column", list(ROW))
def test_any_other_value_is_a_number_or_an_error_of_ours(recipe: Recipe, column: str, value: object) -> None:
    for source in (ROW | {column: value}, [ROW, ROW | {column: value}]):
        said = ""
        try:
            assert recipe.apply(source)["features"].isfinite().all()
        except TensorizeError as error:
            said = str(error)
        assert not said or column in said or "row" in said


def test_huge_integers_are_the_nearest_numbers() -> None:
    found = tensorize.prepare("table", {"n": [10**30, 1, None, 2]}, scale="none", missing="0")["features"]
    assert found.flatten().tolist() == [np.float32(1e30), 1, 0, 2]


@pytest.mark.parametrize(
    "values",
    [pd.Series([1.0, 2.0]), torch.tensor([1.0, 2.0]), range(1, 3), (1, 2), pa.chunked_array([[1], [2]])],
    ids=type,
)
def test_a_mapping_takes_every_column(values: object) -> None:
    found = tensorize.prepare("table", {"x": values, "y": [3, 4]}, scale="none")
    assert found["features"].tolist() == [[1, 3], [2, 4]]


def test_what_is_no_table_and_no_path_is_refused_by_name() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    for source in (frame, object(), [object()], "", []):
        with pytest.raises(TensorizeError):
            tensorize.prepare("table", source)
    with pytest.raises(UsageError, match="several columns called a"):
        tensorize.prepare("table", frame)
    with pytest.raises(DataError, match='column "x"'):
        tensorize.prepare("table", [{"x": 1}, {"x": "a"}])
    for source in (object(), [object()], 5):
        for kind in ("text", "images"):
            with pytest.raises(UsageError, match=type(source if not isinstance(source, list) else source[0]).__name__):
                tensorize.prepare(kind, source)


@pytest.fixture(params=["memory", "file"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> tensorize.TensorSet:
    """The same set in memory and from a file."""
    made = tensorize.prepare("table", {"x": [0.0, 1.0, 2.0]}, scale="none")
    return made if request.param == "memory" else tensorize.read(made.save(tmp_path / "x.h5"))


@pytest.mark.parametrize(
    "rows", [[2, 0], (2, 0), np.array([2, 0]), np.array([2, 0], np.uint8), torch.tensor([2, 0]), slice(2, None, -2)], ids=repr
)
def test_rows_are_taken_alike_from_memory_and_file(held: tensorize.TensorSet, rows: object) -> None:
    assert held.batch(rows)[0].tolist() == [[2], [0]]  # type: ignore[arg-type]


def test_rows_are_checked_alike(held: tensorize.TensorSet) -> None:
    assert held.batch(np.array([True, False, True]))[0].tolist() == [[0], [2]]
    assert held.batch([])[0].shape == (0, 1)  # type: ignore[arg-type]
    assert held.batch(slice(2, 1))[0].shape == (0, 1)
    for rows in ([3], [-1], [0, 7]):
        with pytest.raises(IndexError, match="rows 0 to 2"):
            held.batch(rows)  # type: ignore[arg-type]
    for odd in ([0.5], [[0]], ["a"], np.array([True])):
        with pytest.raises(UsageError, match="are not positions of rows"):
            held.batch(odd)  # type: ignore[arg-type]


def test_a_set_stays_as_it_is(held: tensorize.TensorSet) -> None:
    before = held["features"].clone()
    held["features"][0] = 99
    held.batch(slice(0, 3))[0].fill_(99)
    held.batch([0])[0].fill_(99)  # type: ignore[arg-type]
    with contextlib.suppress(ValueError):
        held.numpy("features")[0] = 99
    assert held["features"].equal(before)


def test_sets_are_equal_by_their_values() -> None:
    one, other = (tensorize.prepare("table", {"x": values}, scale="none") for values in ([1.0, 2.0], [7.0, 8.0]))
    assert one != other
    assert not one.equals(other)
    assert one == one  # noqa: PLR0124
    assert len({one, other}) == 2
