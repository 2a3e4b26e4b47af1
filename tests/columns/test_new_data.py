"""What only new data can bring: policies that `apply` and `predict` take, and record in their output alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Command

import tensorize as tz
from tensorize import DataError, Recipe, UsageError, pipeline, prepare
from tensorize.train import evaluate, fit, predict

TRAIN = {"n": [1, 2, 3], "city": ["A", "B", "A"], "y": [1.5, 2.5, 3.5]}
HINTS = {
    "na.csv": ('say what to do: --missing drop, or a value such as --missing "n=VALUE"', ("--missing", "n=2")),
    "unseen.csv": ("say --unseen unknown for an all-zero block (id 0 with ids)", ("--unseen", "unknown")),
    "word.csv": (
        "--onehot, --drop cannot be changed for this recipe: prepare again",
        ("--on-bad", "skip", "--max-bad", "1"),
    ),
}


@pytest.fixture
def recipe() -> Recipe:
    return prepare("table", TRAIN, target="y").recipe


def row(**cells: Any) -> dict[str, list[Any]]:
    """Two rows, of which the first has these cells."""
    return {name: [cells.get(name, value), value] for name, value in {"n": 1, "city": "A", "y": 1.5}.items()}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, cells in {"tr": "1,A,1.5\n2,B,2.5\n3,A,3.5", "na": ",A,1.5", "unseen": "1,Z,1.5", "word": "many,A,1.5"}.items():
        more = "" if name == "tr" else "\n2,B,1"
        (tmp_path / f"{name}.csv").write_text(f"n,city,y\n{cells}{more}\n")
    return tmp_path


@pytest.mark.parametrize("name", HINTS)
def test_the_hints_of_apply_can_be_followed(warm: Command, files: Path, name: str) -> None:
    hint, flags = HINTS[name]
    assert warm("table", "tr.csv", "--target", "y", "-o", "a.h5").returncode == 0
    before = (files / "a.h5").read_bytes()
    refused = warm("apply", "a.h5", name, "-o", "x.h5")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].strip() == hint
    done = warm("apply", "a.h5", name, *flags, "-o", "x.h5")
    assert done.returncode == 0, done.stderr
    assert (files / "a.h5").read_bytes() == before
    assert warm("apply", "x.h5", name, "-o", "again.h5").returncode == 0
    assert (files / "again.h5").read_bytes() == (files / "x.h5").read_bytes()


def test_a_value_stands_for_what_is_missing_and_is_a_step_of_the_new_recipe_alone(recipe: Recipe) -> None:
    before, source = recipe.to_json(), row(n=None)
    found = recipe.apply(source, missing="n=2")
    assert torch.equal(found["features"], recipe.apply(row(n=2))["features"])
    assert recipe.to_json() == before
    assert found.recipe.options["missing"] == ["n=2"]
    assert found.recipe.steps[:-1] == recipe.steps
    assert found.recipe.steps[-1].model_dump() == {
        "step": "impute",
        "of": "n",
        "state": {"fill": 2, "indicator": False},
        "role": "meta",
    }
    assert torch.equal(found.recipe.apply(source)["features"], found["features"])


def test_a_value_without_a_column_is_for_those_that_it_can_hold_for(recipe: Recipe) -> None:
    found = recipe.apply({"n": [None, 1], "city": ["A", None]}, missing=["2", "B"])
    assert torch.equal(found["features"], recipe.apply({"n": [2, 1], "city": ["A", "B"]})["features"])
    assert found.recipe.options["missing"] == ["n=2", "city=B"]


def test_rows_are_left_out_and_said(recipe: Recipe) -> None:
    for source in (row(n=None), row(city=None), row(y=None)):
        result = pipeline.apply(recipe, source, pipeline.RunOptions(), pipeline.Output(), {"missing": ["drop"]})
        assert result.tensors["row"].tolist() == [1]
        assert result.notes == ("1 row left out by --where or --missing drop",)
    assert result.recipe.steps == recipe.steps


def test_what_the_recipe_has_settled_stays() -> None:
    recipe = prepare("table", {"n": [1.0, None, 3.0], "m": [1.0, 2.0, 3.0]}, missing="n=mean").recipe
    found = recipe.apply({"n": [None, 1.0], "m": [1.0, None]}, missing="drop")
    assert found["row"].tolist() == [0]
    assert found.recipe.options["missing"] == ["n=mean", "m=drop"]
    with pytest.raises(UsageError, match="the recipe has the policy mean for this column"):
        recipe.apply({"n": [None], "m": [1.0]}, missing="n=0")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("mean", "--missing mean: a recipe that is applied learns no mean"),
        ("city=mode", "--missing city=mode: a recipe that is applied learns no mode"),
        ("n=many", "--missing n=many: 'many' is no number"),
        ("n=nan", "--missing n=nan: 'nan' is no number"),
        ("y=0", "a target is never invented"),
        ("town=A", 'there is no input column "town"'),
    ],
)
def test_policies_that_cannot_be_are_refused(recipe: Recipe, missing: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        recipe.apply(row(n=None), missing=missing)


def test_an_unseen_category_is_an_all_zero_block_where_that_is_said(recipe: Recipe) -> None:
    found = recipe.apply(row(city="Z"), unseen="unknown")
    assert found["features"][0].tolist() == [-1, 0, 0]
    assert found.recipe.options["unseen"] == "unknown"
    with pytest.raises(DataError, match="category"):
        recipe.apply(row(city="Z"))
    with pytest.raises(DataError, match="category"):
        found.recipe.apply(row(city="Z"), unseen="error")


@pytest.mark.parametrize("made", ["error", "unknown"])
def test_ids_are_never_shifted(made: str) -> None:
    recipe = prepare("table", TRAIN, target="y", encode="ids", unseen=made).recipe
    other = {"error": "unknown", "unknown": "error"}[made]
    with pytest.raises(UsageError, match=f"--unseen {other}: the recipe's ids") as caught:
        recipe.apply(row(city="Z"), unseen=other)
    assert caught.value.hint == f"prepare again with --unseen {other}"
    assert recipe.apply(row(), unseen=made).recipe == recipe


def test_a_rank_has_no_place_for_another_value_whatever_is_said() -> None:
    recipe = prepare("table", {"q": ["bad", "good"], "n": [1, 2]}, ordinal="q:bad<good").recipe
    with pytest.raises(DataError, match="category") as caught:
        recipe.apply({"q": ["fair"], "n": [1]}, unseen="unknown")
    assert "whatever --unseen says" in caught.value.hint


def test_what_is_skipped_is_recorded_in_the_output(recipe: Recipe, files: Path) -> None:
    found = recipe.apply(files / "word.csv", on_bad="skip", max_bad=1)
    assert found.recipe.options == recipe.options | {"on_bad": "skip", "max_bad": "1"}
    assert found.recipe.amends(recipe)
    assert recipe.apply(files / "tr.csv", limits={"max_cell": "1KB"}).recipe == recipe


def test_a_series_takes_them_too() -> None:
    hours = [f"2024-01-01 {hour:02}:00" for hour in range(24)]
    source = {"at": hours, "kwh": [1.0] * 12 + [3.0] * 12, "state": ["on", "off"] * 12}
    source["heat"] = [float(hour) for hour in range(24)]
    recipe = prepare("series", source, time="at", window=3, horizon=1, target="kwh", scale="none").recipe
    new = source | {"heat": [None, *source["heat"][1:]], "state": ["idle", *source["state"][1:]]}
    found = recipe.apply(new, missing="7", unseen="unknown")
    whole = recipe.apply(source)
    assert found["series"][0, :, 0].tolist() == [1, 7, 0, 0]
    assert found.recipe.options["missing"] == ["heat=7"]
    assert torch.equal(found["series"][1:], whole["series"][1:])


def test_other_kinds_have_none(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("hello")
    with pytest.raises(UsageError, match="--unseen cannot be changed for a recipe of text"):
        prepare("text", tmp_path / "t.txt").recipe.apply(tmp_path / "t.txt", unseen="unknown")


def test_predict_takes_them_and_evaluate_what_apply_made(warm: Command, files: Path) -> None:
    tz.prepare("table", {name: values * 20 for name, values in TRAIN.items()}, target="y", out=files / "a.h5")
    found = fit("linear", tz.read(files / "a.h5"), epochs=1, device="cpu", out=files / "model.pt").checkpoint
    for name in ("na.csv", "unseen.csv"):
        hint, flags = HINTS[name]
        assert hint in warm("predict", "model.pt", name, "-o", "-").stderr
        assert warm("predict", "model.pt", name, *flags, "-o", "-").stdout.count("\n") == 3
    assert predict(found, {"n": [None], "city": ["A"]}, changed={"missing": "n=2"}).drop_columns("row") == predict(
        found, {"n": [2], "city": ["A"]}
    ).drop_columns("row")
    again = found.recipe.apply(files / "unseen.csv", unseen="unknown")
    assert evaluate(found, again).rows == 2
    other = prepare("table", TRAIN | {"n": [5, 6, 9]}, target="y")
    with pytest.raises(UsageError, match="another recipe"):
        evaluate(found, other)
