"""How new data are written is no part of a recipe: `apply` and `predict` take it, and record it nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import Command

from tensorize import DataError, Recipe, UsageError, pipeline, prepare, read
from tensorize.train import fit, predict

TRAIN = {
    "city": ["Köln", "Rom", "Köln", "Rom"],
    "area": [1.5, 2.5, 3.5, 4.5],
    "day": ["2024-01-02", "2024-03-04", "2024-05-06", "2024-07-08"],
    "price": [1.0, 2.0, 3.0, 4.0],
}
NEW = {"city": ["Rom", "Köln"], "area": [2.5, 1.5], "day": ["2024-03-04", "2024-01-02"], "price": [2.0, 1.0]}
LINES = "Rom,2.5,2024-03-04,2\nKöln,1.5,2024-01-02,1\n"
HEADER = "city,area,day,price\n"
WRITTEN: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "encoding": ("latin-1", HEADER + LINES, {"encoding": "latin-1"}),
    "utf-16": ("utf-16", HEADER + LINES, {"encoding": "utf-16"}),
    "delimiter and decimal mark": (
        "utf-8",
        (HEADER + LINES).replace(",", ";").replace("2.5", "2,5").replace("1.5", "1,5"),
        {"delimiter": ";", "decimal": ","},
    ),
    "whitespace": ("utf-8", (HEADER + LINES).replace(",", "   "), {"delimiter": "whitespace"}),
    "no header": ("utf-8", LINES, {"header": "no", "names": "city,area,day,price"}),
    "other names": ("utf-8", "Ort,Fläche,Tag,Preis\n" + LINES, {"names": ["city", "area", "day", "price"]}),
    "lines before": ("utf-8", "a title\n\n" + HEADER + LINES, {"skip_lines": 2}),
    "quotes": ("utf-8", HEADER + LINES.replace("Rom", "'Rom'"), {"quote": "'"}),
    "signs": ("utf-8", HEADER + LINES.replace("2.5", "$2.5"), {"strip": "$"}),
    "thousands": ("utf-8", HEADER + LINES.replace("2.5", "0'002.5"), {"thousands": "'"}),
    "blank lines": ("utf-8", HEADER + LINES.replace("\n", "\n\n"), {"blank": "skip"}),
    "dates": (
        "utf-8",
        HEADER + LINES.replace("2024-03-04", "04/03/2024").replace("2024-01-02", "02/01/2024"),
        {"time_format": "day-first"},
    ),
}


@pytest.fixture
def recipe() -> Recipe:
    return prepare("table", TRAIN, target="price", time_features="day:month,day").recipe


@pytest.mark.parametrize("way", WRITTEN)
def test_new_data_may_be_written_in_another_way(recipe: Recipe, tmp_path: Path, way: str) -> None:
    encoding, text, options = WRITTEN[way]
    (tmp_path / "new.csv").write_bytes(text.encode(encoding))
    found, wanted = recipe.apply(tmp_path / "new.csv", **options), recipe.apply(NEW)
    assert torch.equal(found["features"], wanted["features"])
    assert torch.equal(found["target"], wanted["target"])
    assert found.recipe == recipe


def test_another_word_is_missing(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text(HEADER + LINES.replace("2.5", "?"))
    with pytest.raises(DataError, match="mixes numbers and words"):
        recipe.apply(tmp_path / "new.csv")
    assert recipe.apply(tmp_path / "new.csv", na="?", missing="drop")["row"].tolist() == [1]


def test_what_a_recipe_says_holds_where_nothing_else_is_said(tmp_path: Path) -> None:
    (tmp_path / "tr.csv").write_bytes("town;n\nKöln;1,5\nRom;2,5\n".encode("latin-1"))
    (tmp_path / "utf8.csv").write_text("town|n\nKöln|1.5\nRom|2.5\n", encoding="utf-8")
    how = {"encoding": "latin-1", "delimiter": ";", "decimal": ",", "unseen": "unknown"}
    made = prepare("table", tmp_path / "tr.csv", **how)
    assert torch.equal(made.recipe.apply(tmp_path / "tr.csv")["features"], made["features"])
    other = made.recipe.apply(tmp_path / "utf8.csv", encoding="utf-8", delimiter="|", decimal=".")
    assert torch.equal(other["features"], made["features"])
    assert other.recipe == made.recipe


def test_new_data_may_be_of_another_reader(recipe: Recipe, tmp_path: Path) -> None:
    pq.write_table(pa.table(NEW), tmp_path / "new.parquet")
    (tmp_path / "tr.csv").write_text("city;area\nRom;1.5\nOslo;2.5\n")
    (tmp_path / "new.csv").write_text("city|area\nRom|1.5\n")
    from_text = prepare("table", tmp_path / "tr.csv", reader="csv", delimiter=";").recipe
    pq.write_table(pa.table({"city": ["Rom"], "area": [1.5]}), tmp_path / "two.parquet")
    wanted = from_text.apply({"city": ["Rom"], "area": [1.5]})["features"]
    assert torch.equal(from_text.apply(tmp_path / "two.parquet", reader="parquet")["features"], wanted)
    from_parquet = prepare("table", tmp_path / "two.parquet", reader="parquet").recipe
    assert from_parquet.apply(tmp_path / "new.csv", delimiter="|")["features"].shape == (1, 2)
    with pytest.raises(UsageError, match=r"--encoding is an option of the csv reader; .*new\.parquet is read by parquet"):
        recipe.apply(tmp_path / "new.parquet", encoding="latin-1")
    with pytest.raises(UsageError, match="--delimiter is an option of the csv reader; dict is read by memory"):
        recipe.apply(NEW, delimiter=";")


def test_what_is_no_option_names_the_near_one(recipe: Recipe) -> None:
    with pytest.raises(UsageError, match='there is no option "encodin"; did you mean "encoding"'):
        recipe.apply(NEW, encodin="latin-1")
    with pytest.raises(UsageError, match="--onehot cannot be changed for a recipe of table"):
        recipe.apply(NEW, onehot="city")


def test_series_and_texts(tmp_path: Path) -> None:
    rows = [f"2024-01-{day:02};{day},5" for day in range(1, 9)]
    (tmp_path / "s.csv").write_text("t;y\n" + "\n".join(rows) + "\n")
    (tmp_path / "s2.csv").write_text(("t|y\n" + "\n".join(rows) + "\n").replace(";", "|").replace(",", "."))
    made = prepare("series", tmp_path / "s.csv", time="t", window=3)
    assert torch.equal(made.recipe.apply(tmp_path / "s2.csv", delimiter="|", decimal=".")["series"], made["series"])
    (tmp_path / "t.txt").write_bytes("schön".encode("latin-1"))
    (tmp_path / "t8.txt").write_text("schön", encoding="utf-8")
    text = prepare("text", tmp_path / "t.txt", encoding="latin-1", charset="corpus")
    assert torch.equal(text.recipe.apply(tmp_path / "t8.txt", encoding="utf-8")["onehot"], text["onehot"])
    with pytest.raises(UsageError, match="--delimiter cannot be changed for a recipe of text"):
        text.recipe.apply(tmp_path / "t8.txt", delimiter=";")


def test_the_commands_take_the_same_flags(warm: Command, tmp_path: Path) -> None:
    many = {name: values * 10 for name, values in TRAIN.items()}
    made = prepare("table", many, target="price", drop="day", out=tmp_path / "a.h5")
    (tmp_path / "new.csv").write_bytes((HEADER + LINES).replace(",", ";").encode("latin-1"))
    (tmp_path / "utf8.csv").write_text(HEADER + LINES, encoding="utf-8")
    flags = ("--encoding", "latin-1", "--delimiter", ";")
    refused = warm("apply", "a.h5", "new.csv", "--delimiter", ";", "-o", "x.h5")
    assert refused.returncode == 1
    assert "--encoding latin-1" in refused.stderr
    assert warm("apply", "a.h5", "new.csv", *flags, "-o", "b.h5").returncode == 0
    assert read(tmp_path / "b.h5").recipe == made.recipe
    found = fit("linear", made, epochs=1, device="cpu", out=tmp_path / "m.pt").checkpoint
    said = warm("predict", "m.pt", "new.csv", *flags, "-o", "-")
    assert said.returncode == 0, said.stderr
    assert said.stdout == warm("predict", "m.pt", "utf8.csv", "-o", "-").stdout
    assert predict(found, tmp_path / "new.csv", encoding="latin-1", delimiter=";") == predict(found, tmp_path / "utf8.csv")


def notes(recipe: Recipe, source: Any) -> tuple[str, ...]:
    return pipeline.apply(recipe, source, pipeline.RunOptions(), pipeline.Output()).notes


@pytest.mark.parametrize(("encode", "now"), [("onehot", "all zero"), ("ids", "id 0")])
def test_a_note_counts_the_values_that_are_unknown(encode: str, now: str) -> None:
    recipe = prepare("table", {"city": ["a", "b"], "n": [1, 2]}, unseen="unknown", encode=encode).recipe
    assert notes(recipe, {"city": ["a", "b"], "n": [1, 2]}) == ()
    assert notes(recipe, {"city": ["a", "Köln"], "n": [1, 2]}) == (f'1 value of "city" was not in train, now {now}: Köln',)
    many = {"city": [str(at) for at in range(70_000)], "n": range(70_000)}
    said = 'values of "city" were not in train, now'
    assert notes(recipe, many) == (f"70,000 {said} {now}: 0, 1, 2, 3, 4, …",)


@pytest.mark.parametrize("encode", ["windows", "index"])
def test_a_note_counts_the_rows_of_a_series_that_are_unknown(encode: str) -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 9)]
    rows = {"t": days, "y": [1.0] * 8, "w": ["sun", "rain"] * 4}
    how = {"time": "t", "window": 3, "unseen": "unknown", "scale": "none"}
    recipe = prepare("series", rows, **how, encode=encode).recipe
    new = rows | {"w": ["sun", "snow", "sun", "hail", *["rain"] * 4]}
    assert notes(recipe, new) == ('2 values of "w" were not in train, now all zero: snow, hail',)
    assert notes(recipe, rows) == ()


def test_a_split_tells_what_train_has_not() -> None:
    rows = {"city": ["a"] * 9 + ["b"], "n": range(10)}
    options = {"unseen": "unknown", "order": "n", "split": "0.8,0.2"}
    made = pipeline.prepare("table", rows, options, pipeline.RunOptions(), pipeline.Output())
    assert '1 value of "city" was not in train, now all zero: b' in made.notes
