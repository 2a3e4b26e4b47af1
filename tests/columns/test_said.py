"""What is decided about columns is said, and every message ends in a way out that works."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import WriteTable

from tensorize import pipeline, prepare
from tensorize.core.errors import TensorizeError


def notes(path: Path, **options: Any) -> list[str]:
    result = pipeline.prepare("table", path, options, pipeline.make_run(), pipeline.make_output(None))
    return list(result.notes)


def refused(path: Path, **options: Any) -> TensorizeError:
    with pytest.raises(TensorizeError) as error:
        prepare("table", path, **options)
    return error.value


def followed(path: Path, error: TensorizeError, options: dict[str, Any]) -> Any:
    """The set that comes of the first flags that a message offers."""
    message = error.hint
    found = re.search(r"((?:--[a-z-]+ (?:\"[^\"]*\"|[^\s;,]+(?:,[^\s;,]+)*) ?)+)", message)
    assert found is not None, message
    words, given = shlex.split(found[1]), {name: [value] for name, value in options.items()}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        given.setdefault(flag[2:].replace("-", "_"), []).append(value)
    single = {"split", "task", "group"}
    return prepare("table", path, **{name: value[-1] if name in single else value for name, value in given.items()})


@pytest.mark.parametrize("word", ["ffill", "Mean", "interpolate", "most_frequent", "meen"])
@pytest.mark.parametrize("text", ["city,n\nA,1\n,2\nB,3\n", "a,n\n1,1\n2,\n3,4\n"])
def test_a_word_that_is_no_policy_is_refused(write: WriteTable, text: str, word: str) -> None:
    path = write(text)
    if word == "meen" and "city" in text:
        return
    error = refused(path, missing=word)
    assert f'there is no policy "{word}"' in str(error)
    if word != "Mean" or "city" not in text:
        assert followed(path, error, {})["features"].shape[0] == 3 - ("drop" in error.hint.split(";")[0])


def test_a_word_that_fills_text_is_said(write: WriteTable) -> None:
    path = write("city,n\nA,1\n,2\nB,3\n")
    assert 'missing values of city become "nowhere"' in notes(path, missing="nowhere")
    assert "city=ffill" in prepare("table", path, missing="city=ffill").spec("features").labels["feature"]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a,b,y\n1,5,3\n2,6,\n3,7,6\n", {"target": "y", "missing": "mean"}),
        ("d,n\n2020-06-01,1\n,2\n2020-06-02,3\n", {"time_features": "d:day,month", "missing": "mean"}),
        ("a,b\n1,NA\n2,NA\n3,NA\n", {"missing": "median"}),
        ("a,b,c\n1,NA,\n2,NA,\n3,NA,\n", {"missing": "mean"}),
        ("a,b\n1,x\n2,\n3,y\n", {"missing": "b=mean"}),
    ],
)
def test_what_cannot_be_filled_has_a_way_out(write: WriteTable, text: str, options: dict[str, Any]) -> None:
    path = write(text)
    error = refused(path, **options)
    options = {**options, "missing": [] if "b=mean" in str(options["missing"]) else options["missing"]}
    options = {name: value for name, value in options.items() if value}
    assert followed(path, error, options)["features"].shape[0] >= 2


def test_targets_that_float32_cannot_hold_are_reported_as_features_are(write: WriteTable) -> None:
    for values in ("16777217,16777219,16777221", "16777217.5,1.5,2.5", "-16777217,2,3"):
        path = write("a,y\n" + "".join(f"{at},{value}\n" for at, value in enumerate(values.split(","))))
        assert any('target "y"' in note and "--zscore" in note for note in notes(path, target="y", task="numbers"))
    scaled = prepare("table", path, target="y", zscore="y")
    assert scaled["target"].std() > 0


def test_the_task_of_a_target_is_said_where_it_may_be_another(write: WriteTable) -> None:
    ages = write("a,age\n" + "".join(f"{at},{at % 48 + 20}\n" for at in range(200)))
    assert any("--task numbers" in note for note in notes(ages, target="age"))
    assert not any("--task" in note for note in notes(ages, target="age", task="numbers"))
    few = write("a,k\n" + "".join(f"{at},{at % 7}\n" for at in range(200)))
    assert not any("--task" in note for note in notes(few, target="k"))
    labels = write("a,y\n" + "".join(f"{at},{at % 2}.0\n" for at in range(20)))
    assert any("--task classes" in note for note in notes(labels, target="y"))
    classes = prepare("table", labels, target="y", task="classes")
    assert classes["target"].dtype is __import__("torch").int64
    real = write("a,y\n" + "".join(f"{at},{at % 2}.5\n" for at in range(20)))
    assert not any("--task" in note for note in notes(real, target="y"))


def test_text_is_no_number(write: WriteTable) -> None:
    path = write("a,y\n1,x\n2,y\n")
    assert "holds text, not numbers" in str(refused(path, target="y", task="numbers"))


def test_splits_without_a_class_are_named(write: WriteTable) -> None:
    rows = ["com"] * 97 + ["mid"] * 2 + ["rare"]
    path = write("a,y\n" + "".join(f"{at},{value}\n" for at, value in enumerate(rows)))
    found = [note for note in notes(path, target="y", split="0.8,0.1,0.1", stratify="y") if "have no row of" in note]
    assert found == ["val and test have no row of mid, rare: too few rows of them for --stratify y"]
    assert not any("no row of" in note for note in notes(write("a,y\n" + "1,u\n2,v\n" * 50), split="0.5,0.5", stratify="y"))


@pytest.mark.parametrize("groups", [2, 3, 5, 7])
def test_too_few_groups_are_told_with_ratios_that_work(write: WriteTable, groups: int) -> None:
    path = write("g,a\n" + "".join(f"g{at % groups},{at}\n" for at in range(100)))
    error = refused(path, group="g", split="0.9,0.05,0.05")
    assert f'"g" has {groups} groups' in str(error)
    assert followed(path, error, {"group": "g"}).splits


def test_channels_of_one_name_are_told_apart(write: WriteTable) -> None:
    path = write("a,a=x,n\nx,5,1\ny,6,2\n")
    assert prepare("table", path).spec("features").labels["feature"] == ('"a=x"', "n", '"a"=x', "a=y")
    ids = prepare("table", write("a,a is missing\n1,2\n,3\n4,5\n"), missing="mean", indicator=True)
    assert len(set(ids.spec("features").labels["feature"])) == 3


def test_words_for_missing_values_may_be_listed_with_commas(write: WriteTable) -> None:
    path = write("a,b\n1,x\n-,x\n3,y\nn/a,x\n?,y\n7,x\n8,y\n9,y\n10,x\n")
    for words in ("-,n/a,?", ["-", "n/a,?"], ["-", "n/a", "?"], "-, n/a, ?"):
        assert np.array_equal(prepare("table", path, na=words, missing="drop")["row"], [0, 2, 5, 6, 7, 8])


def test_a_category_that_may_be_missing_is_said(write: WriteTable) -> None:
    path = write("a,s\n1,x\nNA,NA\n3,y\n")
    assert '"s" has the category "NA" (1 cell): say --na NA if it means missing' in notes(path, missing="median")
    assert any('"null"' in note for note in notes(write("a,s\n1,x\n2,null\n3,y\n")))
    assert not any("category" in note for note in notes(write("a,s\n1,x\n2,y\n3,y\n")))
