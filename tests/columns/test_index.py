"""Index columns: without a name they are ids, with a name they are features, and both is said."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import WriteTable

from tensorize import pipeline, prepare
from tensorize.core.errors import DataError


def made(path: Path, kind: str = "table", **options: Any) -> tuple[Any, list[str]]:
    result = pipeline.prepare(kind, path, options, pipeline.make_run(), pipeline.make_output(None))
    return result.tensors, list(result.notes)


def features(tensors: Any) -> tuple[str, ...]:
    return tuple(tensors.spec("features").labels["feature"])


def ids(tensors: Any) -> list[Any]:
    return list(tensors.meta["id"]) if "id" in tensors.meta else tensors["id"].tolist()


@pytest.mark.parametrize(
    ("text", "index"),
    [
        (",mpg,hp\n0,21,4\n1,22,5\n2,20,8\n", [0, 1, 2]),
        ('"","mpg","hp"\n1,21,4\n2,22,5\n3,20,8\n', [1, 2, 3]),
        ("Unnamed: 0,mpg,hp\n0,21,4\n1,22,5\n2,20,8\n", [0, 1, 2]),
        (",mpg,hp\n7,21,4\n3,22,5\n9,20,8\n", [7, 3, 9]),
        ('"","mpg","hp"\n"Mazda RX4",21,4\n"Fiat",22,5\n"Volvo",20,8\n', ["Mazda RX4", "Fiat", "Volvo"]),
        ('"mpg","hp"\n"Mazda RX4",21,4\n"Fiat",22,5\n"Volvo",20,8\n', ["Mazda RX4", "Fiat", "Volvo"]),
        ("mpg hp\n1 21 4\n2 22 5\n3 20 8\n", [1, 2, 3]),
    ],
)
def test_a_first_column_without_a_name_is_an_id(write: WriteTable, text: str, index: list[Any]) -> None:
    path = write(text)
    tensors, notes = made(path, **({"delimiter": " "} if " hp\n" in text else {}))
    assert features(tensors) == ("mpg", "hp")
    assert ids(tensors) == index
    assert any("index without a name: an id" in note for note in notes)
    assert tensors.recipe.options["id"] == "Unnamed: 0"
    again = tensors.recipe.apply(path)
    assert torch.equal(again["features"], tensors["features"])
    assert ids(again) == index


def test_flags_say_otherwise(write: WriteTable) -> None:
    path = write(",mpg,hp\n0,21,4\n1,22,5\n2,20,8\n")
    assert features(made(path, raw="Unnamed: 0")[0]) == ("Unnamed: 0", "mpg", "hp")
    assert features(made(path, drop="Unnamed: 0")[0]) == ("mpg", "hp")
    tensors, notes = made(path, id="hp")
    assert features(tensors) == ("mpg",)
    assert any("left out" in note for note in notes)
    assert features(made(path, names="row,mpg,hp")[0]) == ("row", "mpg", "hp")


@pytest.mark.parametrize("text", [",a\n0.5,1\n0.7,2\n0.9,3\n", ",a\nx,1\nx,2\ny,3\n", "a,,b\n1,2,3\n2,3,4\n"])
def test_a_column_that_is_no_index_needs_a_name(write: WriteTable, text: str) -> None:
    with pytest.raises(DataError, match='has no name\n  name all columns: --names "'):
        prepare("table", write(text))


def test_a_series_leaves_the_index_out(write: WriteTable) -> None:
    path = write(",t,v\n" + "".join(f"{at},2020-01-{at + 1:02},{at * at}\n" for at in range(20)))
    tensors, notes = made(path, "series", time="t", window="4")
    assert tuple(tensors.spec("series").labels["channel"]) == ("v",)
    assert any("left out" in note for note in notes)
    assert torch.equal(tensors.recipe.apply(path)["series"], tensors["series"])


@pytest.mark.parametrize("first", [0, 1])
def test_a_named_column_that_counts_the_rows_is_a_feature_with_a_note(write: WriteTable, first: int) -> None:
    path = write("rownames,x\n" + "".join(f"{at + first},{at * at % 7}\n" for at in range(100)))
    tensors, notes = made(path)
    assert features(tensors) == ("rownames", "x")
    assert '"rownames" counts the rows: say --id "rownames" if it is not a feature' in notes
    assert not any("counts the rows" in note for note in made(path, id="rownames")[1])
    assert not any("counts the rows" in note for note in made(path, zscore="rownames")[1])


@pytest.mark.parametrize("cells", ["2,3,4,5", "0,1,2,4", "1,1,2,3", "0,1,2,"])
def test_a_column_that_does_not_count_the_rows_is_not_noted(write: WriteTable, cells: str) -> None:
    path = write("n,x\n" + "".join(f"{cell},{at * at}\n" for at, cell in enumerate(cells.split(","))))
    assert not any("counts the rows" in note for note in made(path, missing="drop")[1])
