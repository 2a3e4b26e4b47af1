"""A share of `make try-tables`: a few tables of every sort, each value beside pandas; and the checkers find what is wrong."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import numpy as np
import pytest
from attempts import run
from check_images import check_images
from check_series import check_series
from check_table import check_table
from check_text import check_text
from PIL import Image

PLAIN = {
    "numbers": "a,b\n1,2.5\n2,-3e4\n4,7\n",
    "words": "size,colour\n1,red\n2,blue\n3,red\n",
    "booleans": "x,y\n1,true\n2,False\n3,TRUE\n",
    "codes": "zip,n\n01234,1\n10115,2\n01234,4\n",
    "index": ",n\n0,4\n1,6\n2,9\n",
    "semicolons": "a;b\n1,5;2\n2,25;3\n",
    "no header": "1,2\n3,4\n5,7\n",
    "constant": "a,b\n1,0.1\n2,0.1\n3,0.1\n",
    "spaces": "a, b\n1, x\n2, y\n",
    "blanks": "a  b\n1  2\n3 4.5\n",
    "quoted": 'a,t\n1,"x, y"\n2,"say ""no"""\n',
    "large": "n\n" + "".join(f"{1_700_000_000 + at}\n" for at in range(50)),
}
FLAGGED = {
    "median": ("a,b\n1,x\n,y\n5,x\n9,x\n", ["--missing", "median", "--indicator"]),
    "mean and mode": ("a,b\n1,x\nNA,y\n5,\n6,y\n", ["--missing", "mean", "--missing", "b=mode", "--indicator"]),
    "drop": ("a,b\n1,2\n,3\n4,5\n", ["--missing", "drop"]),
    "a word": ("a,b\n1,2\n?,3\n4,5\n", ["--na", "?", "--missing", "median"]),
    "dates": ("d,n\n2024-02-29,1\n2023-12-31,2\n", ["--time-features", "d:year,month,day,weekday,dayofyear"]),
    "scales": ("a,b,c\n1,2,3\n2,4,5\n", ["--minmax", "a", "--raw", "b"]),
    "numbers as categories": ("a,b\n1,2\n3,2\n1,5\n", ["--onehot", "a"]),
    "classes": ("a,b\n1,x\n3,y\n1,x\n", ["--target", "b"]),
    "a number to predict": ("a,b\n1,2.5\n3,4\n1,5\n", ["--target", "b"]),
    "invalid rows": ("a,b\n1,2\n3,x\n4\n5,6\n7,8,9\n9,1\n", ["--on-bad", "skip", "--max-bad", "3"]),
    "money": ('a\n$5\n"$1,200"\n', ["--strip", "$", "--thousands", ","]),
}


def made(kind: str, source: Path, out: Path, *flags: str) -> Path:
    answer = run([kind, str(source), *flags, "-o", str(out), "--force"])
    assert not answer.code, answer.err
    return out


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.h5"


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_values_of_plain_tables_are_those_of_pandas(text, tmp_path, out):
    source = tmp_path / "d.csv"
    source.write_text(text)
    assert check_table(source, made("table", source, out)) == []


@pytest.mark.parametrize(("text", "flags"), FLAGGED.values(), ids=FLAGGED)
def test_values_of_what_flags_ask_for_are_those_of_pandas(text, flags, tmp_path, out):
    source = tmp_path / "d.csv"
    source.write_text(text)
    assert check_table(source, made("table", source, out, *flags)) == []


@pytest.mark.parametrize(
    "name", ["iris.csv", "digits.csv.gz", "linnerud_exercise.csv", "linnerud_physiological.csv", "diabetes_target.csv.gz"]
)
def test_values_of_the_tables_of_scikit_learn_are_those_of_pandas(name, out):
    data = pytest.importorskip("sklearn.datasets.data")
    with importlib.resources.as_file(importlib.resources.files(data) / name) as source:
        assert check_table(source, made("table", source, out)) == []


@pytest.mark.parametrize(("cell", "other"), [("2.5", "2.6"), ("x", "y"), ("4", "")])
def test_one_cell_that_differs_is_found(cell, other, tmp_path, out):
    source, text = tmp_path / "d.csv", "a,b,c\n1,2.5,x\n2,3.5,y\n4,7,x\n"
    source.write_text(text)
    made("table", source, out)
    source.write_text(text.replace(cell, other, 1))
    assert check_table(source, out)


def test_a_row_that_is_lost_is_found(tmp_path, out):
    source, text = tmp_path / "d.csv", "a,b\n1,2\n2,3\n4,7\n"
    source.write_text(text)
    made("table", source, out)
    source.write_text(text + "5,9\n")
    assert check_table(source, out)


SERIES = {
    "hours": ("h", ["--window", "3"]),
    "months": ("MS", ["--window", "2", "--horizon", "1", "--target", "n"]),
    "business days": ("B", ["--window", "4", "--step", "1b", "--stride", "2"]),
}


@pytest.mark.parametrize(("every", "flags"), SERIES.values(), ids=SERIES)
def test_values_of_series_are_those_of_pandas(every, flags, tmp_path, out):
    pandas = pytest.importorskip("pandas")
    source = tmp_path / "d.csv"
    times = pandas.date_range("2024-01-01", periods=12, freq=every)
    pandas.DataFrame({"at": times, "n": np.arange(12) ** 2, "m": np.arange(12) % 5}).to_csv(source, index=False)
    assert check_series(source, made("series", source, out, "--time", "at", *flags)) == []
    source.write_text(source.read_text().replace(",121,", ",122,"))
    assert check_series(source, out)


def test_gaps_and_groups_of_series_are_those_of_pandas(tmp_path, out):
    source = tmp_path / "d.csv"
    rows = [f"2024-01-01 {hour:02}:00,{place},{hour * len(place)}" for place in ("b", "aa") for hour in range(9) if hour != 4]
    source.write_text("at,place,n\n" + "\n".join(rows) + "\n")
    flags = ["--time", "at", "--group", "place", "--window", "3", "--gaps", "interpolate"]
    assert check_series(source, made("series", source, out, *flags)) == []


@pytest.mark.parametrize(
    "flags", [[], ["--level", "word"], ["--charset", "corpus", "--per", "line", "--encode", "ids"]], ids=str
)
def test_tokens_of_texts_are_those_of_str(flags, tmp_path, out):
    source = tmp_path / "d.txt"
    source.write_text("The cat, don’t\nthe “Äpfel”.\n\n--x", encoding="utf-8")
    assert check_text(source, made("text", source, out, *flags)) == []
    source.write_text("The cat, don’t\nthe “Äpfel”.\n\n--y", encoding="utf-8")
    assert check_text(source, out)


@pytest.mark.parametrize("flags", [[], ["--size", "6x4", "--fit", "pad", "--channels", "gray"]], ids=str)
def test_pixels_of_images_are_those_of_pillow(flags, tmp_path, out):
    source = tmp_path / "pictures"
    for at, name in enumerate(["b/1.png", "b/2.png", "a/1.png"]):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(at).integers(0, 256, (8, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(source / name)
    assert check_images(source, made("images", source, out, *flags)) == []
    (source / "a/1.png").replace(source / "b/2.png")
    (source / "b/1.png").rename(source / "a/1.png")
    assert check_images(source, out)
