"""Input that nobody here made: equal to what it is known to be, or a named error; never silently something else."""

import csv
import io
import json

import pytest

from tensorize import prepare, read
from tensorize.loaders import read_table


@pytest.fixture
def naughty(corpora):
    """Strings that break things. Lone control characters are cells like others; what no CSV can hold is the empty one."""
    strings = json.loads((corpora / "naughty-strings/blns.json").read_text("utf-8"))
    return list(dict.fromkeys(string for string in strings if string.strip()))


@pytest.mark.parametrize("suffix", ["h5", "pt"])
def test_naughty_strings_as_categories_come_through_unchanged(naughty, tmp_path, suffix):
    table = {"word": naughty, "n": list(range(len(naughty)))}
    made = prepare("table", table, onehot="word", scale="none", out=tmp_path / f"x.{suffix}")
    with read(tmp_path / f"x.{suffix}") as ts:
        assert ts.recipe.inverse(ts).column("word").to_pylist() == naughty
        assert ts.equals(made)
        assert ts.recipe.apply(table).equals(made)


@pytest.mark.parametrize("suffix", ["h5", "pt"])
def test_naughty_strings_as_headers_come_through_unchanged(naughty, tmp_path, suffix):
    with prepare("table", {name: [1.0, 2.0] for name in naughty}, out=tmp_path / f"x.{suffix}") as ts:
        assert list(ts.labels("features", "feature")) == naughty
        assert ts.recipe.schema.names == tuple(naughty)


def as_csv(rows):
    held = io.StringIO(newline="")
    csv.writer(held).writerows(rows)
    return held.getvalue().encode()


@pytest.mark.parametrize("suffix", ["h5", "pt"])
def test_naughty_cells_come_through_csv_recipe_and_file_unchanged(naughty, tmp_path, suffix):
    path, out = tmp_path / "d.csv", tmp_path / f"x.{suffix}"
    path.write_bytes(as_csv([["n", "word"], *([index, string] for index, string in enumerate(naughty))]))
    for chunk in (1 << 20, 7):
        assert read_table(path, chunk_bytes=chunk).column("word").to_pylist() == naughty
    with prepare("table", path, onehot="word", scale="none", out=out) as ts:
        assert ts.recipe.inverse(ts).column("word").to_pylist() == naughty
    with read(out) as ts:
        assert ts.recipe.inverse(ts).column("word").to_pylist() == naughty
        assert ts.recipe.apply(path)["features"].equal(ts["features"])


@pytest.mark.parametrize("suffix", ["h5", "pt"])
def test_naughty_headers_come_through_csv_recipe_and_file_unchanged(naughty, tmp_path, suffix):
    path, out = tmp_path / "d.csv", tmp_path / f"x.{suffix}"
    path.write_bytes(as_csv([["n", *naughty], range(len(naughty) + 1), range(1, len(naughty) + 2)]))
    assert read_table(path, header="yes").column_names == ["n", *naughty]
    prepare("table", path, header="yes", out=out).close()
    with read(out) as ts:
        assert list(ts.labels("features", "feature")) == ["n", *naughty]
        assert ts.recipe.schema.names == ("n", *naughty)


def test_naughty_words_come_through_csv_as_a_target(naughty, tmp_path):
    path = tmp_path / "d.csv"
    path.write_bytes(as_csv([["n", "word"], *([index, string] for index, string in enumerate(naughty))]))
    with prepare("table", path, target="word", type="word:category", max_categories=1000, out=tmp_path / "x.pt") as ts:
        assert ts.recipe.inverse(ts).column("word").to_pylist() == naughty


@pytest.mark.parametrize("suffix", ["h5", "pt"])
def test_naughty_strings_as_words_come_through_unchanged(naughty, tmp_path, suffix):
    words = [word for string in naughty for word in string.split()]
    source, out = {"text": "\n".join(naughty)}, tmp_path / f"x.{suffix}"
    prepare("text", source, level="word", encode="ids", case="keep", out=out).close()
    stripped = [bare for word in words if (bare := word.strip('.,;:"!?“”_-'))]
    with read(out) as ts:
        assert ts.recipe.inverse(ts) == stripped
        assert ts.recipe.inverse(ts.recipe.apply(source)) == stripped


def unsafe(text):
    """What a terminal would obey: control characters, and marks that turn the direction of what follows."""
    return {char for char in text if char not in "\n " and not char.isprintable()}


def test_nothing_naughty_reaches_the_terminal(naughty, tmp_path, tensorize):
    prepare("table", {"word": naughty}, onehot="word", out=tmp_path / "x.h5")
    for flags in ([], ["-v"], ["--json"], ["--recipe"]):
        shown = tensorize("inspect", "x.h5", *flags)
        assert shown.returncode == 0, shown.stderr
        assert not unsafe(shown.stdout)


def test_nothing_naughty_reaches_the_terminal_from_a_bad_file(naughty, tmp_path, tensorize):
    rows = [["n", "\u202eword\x1b[2J"], *([string, string] for string in naughty), *([index, index] for index in range(9))]
    (tmp_path / "d.csv").write_bytes(as_csv(rows) + b"ragged\x1b]0;x\x07\n" + "\u202e,1,2\n".encode() + b"\x9b\xff,1\n")
    for flags in ([], ["--json"], ["--on-bad", "skip", "--max-bad", "100%"], ["--debug"], ["--header", "yes"]):
        shown = tensorize("table", "d.csv", "-o", "x.h5", "--force", *flags)
        assert shown.returncode in (0, 1, 2), shown.stderr
        assert not unsafe(shown.stdout + shown.stderr)
