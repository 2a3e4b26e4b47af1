"""Input that nobody here made: equal to what it is known to be, or a named error; never silently something else."""

import json

import pytest

from tensorize import prepare, read


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


def test_naughty_strings_as_words_come_through_unchanged(naughty):
    words = [word for string in naughty for word in string.split()]
    ts = prepare("text", {"text": "\n".join(naughty)}, level="word", encode="ids", case="keep")
    found = ts.recipe.inverse(ts)
    stripped = [bare for word in words if (bare := word.strip('.,;:"!?“”_-'))]
    assert found == stripped


def test_nothing_naughty_reaches_the_terminal(naughty, tmp_path, tensorize):
    prepare("table", {"word": naughty}, onehot="word", out=tmp_path / "x.h5")
    for flags in ([], ["-v"], ["--json"], ["--recipe"]):
        shown = tensorize("inspect", "x.h5", *flags)
        assert shown.returncode == 0, shown.stderr
        controls = {char for char in shown.stdout if (ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160}
        assert not controls
