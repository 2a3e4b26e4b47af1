"""Limits of what is read: options of every command that reads raw data, with errors that name them and the way out."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Command
from PIL import Image

from tensorize import prepare
from tensorize.core import registry
from tensorize.core.errors import DataError, UsageError


def table(path: Path) -> Path:
    path.write_text("first,second\n" + "".join(f"{row},word{row}\n" for row in range(9)))
    return path


def objects(path: Path) -> Path:
    path.write_text("".join(f'{{"first": {row}, "second": "word{row}"}}\n' for row in range(9)))
    return path


def text(path: Path) -> Path:
    path.write_text("one two threefour\nfive six\n" * 3)
    return path


def packed(path: Path) -> Path:
    """70 MB in some hundred KB."""
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * (70 << 18), 1))
    return path


def frames(path: Path) -> Path:
    path.mkdir()
    images = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (1, 2, 3)]
    images[0].save(path / "a.gif", save_all=True, append_images=images[1:])
    return path


WORDS = ("--level", "word", "--encode", "ids")
CASES: dict[str, tuple[str, tuple[str, ...], str, str, Callable[[Path], Path]]] = {
    # limit: (kind, flags, what is too little, what is enough, the input)
    "max-columns": ("table", ("--drop", "second"), "1", "2", table),
    "max-header": ("table", ("--drop", "second"), "10B", "8KB", table),
    "max-cell": ("table", (), "4", "5", table),
    "max-record": ("table", (), "30", "31", objects),
    "max-expansion": ("table", (), "2", "1000", packed),
    "max-distinct": ("text", WORDS, "4", "5", text),
    "max-word": ("text", WORDS, "8", "9B", text),
    "max-pixels": ("images", (), "63", "64", frames),
    "max-frames": ("images", (), "2", "3", frames),
    "max-memory": ("images", (), "100B", "1MB", frames),
}


def test_every_limit_has_its_case() -> None:
    """But for the time of decoding, which `test_images_hostile` tries."""
    options = [registry.load("loaders", kind).Options for kind in registry.LOADERS]
    limits = {name.replace("_", "-") for each in options for name in each.limit_names()}
    assert limits - {"max-seconds"} == set(CASES)
    assert all(set(each.limit_names()) <= set(each.fields()) for each in options)


@pytest.mark.parametrize("limit", CASES)
def test_a_limit_is_named_by_its_error_and_can_be_raised(tensorize: Command, tmp_path: Path, limit: str) -> None:
    kind, flags, little, enough, make = CASES[limit]
    source = make(tmp_path / ("in.csv.gz" if make is packed else "in"))
    make_it = [kind, source, *flags, "-o", "x.h5"]
    for command in (make_it, ["apply", "x.h5", source, "-o", "y.h5", "--force"]):
        refused = tensorize(*command, f"--{limit}", little)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"--{limit}" in refused.stderr
        assert not (tmp_path / command[-1 if command is make_it else 4]).exists()
        done = tensorize(*command, f"--{limit}", enough)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "column"),
    [
        ({"onehot": "second"}, "second"),
        ({"target": "second", "task": "classes"}, "second"),
        ({"missing": "first=mode"}, "first"),
    ],
)
def test_a_column_of_more_distinct_values_than_may_be_held(tmp_path: Path, options: dict[str, str], column: str) -> None:
    source = table(tmp_path / "d.csv")
    drop = {} if column == "second" else {"drop": "second"}
    with pytest.raises(DataError, match=f'the column "{column}" has more than 8 distinct values') as error:
        prepare("table", source, max_distinct=8, **options, **drop)
    assert "--max-distinct" in error.value.hint
    prepare("table", source, max_distinct=9, **options, **drop)


def test_a_target_of_many_classes_is_never_taken_for_a_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='"first" has more than 8 distinct values'):
        prepare(
            "table",
            table(tmp_path / "d.csv"),
            onehot="second:word0",
            unseen="unknown",
            target="first",
            task="classes",
            max_distinct=8,
        )


@pytest.mark.parametrize("options", [{}, {"on_bad": "skip"}])
@pytest.mark.parametrize("size", [1, 5, 64, 1 << 22])
def test_a_word_or_a_line_is_too_long_whatever_the_chunks(tmp_path: Path, options: dict[str, str], size: int) -> None:
    source = text(tmp_path / "t.txt")
    most = {"max_word": 17 if options else 9, "level": "word", "encode": "ids", "chunk_bytes": size, **options}
    prepare("text", source, **most)
    with pytest.raises(DataError, match=f"t.txt has a {'line' if options else 'word'} of more than"):
        prepare("text", source, **{**most, "max_word": most["max_word"] - 1})


def test_a_compressed_text_that_grows_without_end(tmp_path: Path) -> None:
    source = tmp_path / "t.txt.gz"
    source.write_bytes(gzip.compress(b"word " * (70 << 18), 1))
    with pytest.raises(DataError, match=r"t\.txt\.gz grows to more than 2 times its size"):
        prepare("text", source, level="word", encode="ids", max_expansion=2)


@pytest.mark.parametrize("kind", ["table", "text"])
def test_a_compressed_file_that_is_cut_off_is_named(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "t.gz"
    source.write_bytes(gzip.compress(b"".join(b"%d,%d\n" % (row, row * 7919 % 10007) for row in range(99_999)))[:-5000])
    with pytest.raises(DataError, match=r"t\.gz cannot be read to its end"):
        prepare(kind, source, out=tmp_path / "x.h5", **({"header": "no"} if kind == "table" else {}))


def test_white_space_without_end_is_no_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word is told from itself with other white space behind it, and none of it is remembered for long."""
    from tensorize.loaders.text import tokens

    monkeypatch.setattr(tokens, "_KNOWN", 10)
    source = tmp_path / "t.txt"
    source.write_text("".join(f"a{' ' * (n % 60 + 1)}b," for n in range(600)))
    ts = prepare("text", source, level="word", encode="ids", chunk_bytes=64)
    assert ts.recipe.learned[0].state["words"] == ["a", "b", "b,a"]
    assert len(ts["ids"]) == 601


def test_only_limits_can_be_other_than_the_recipes(tmp_path: Path) -> None:
    source = table(tmp_path / "d.csv")
    recipe = prepare("table", source, drop="second").recipe
    assert recipe.apply(source, limits={"max_cell": "64MB"})["features"].shape == (9, 1)
    with pytest.raises(UsageError, match="--scale cannot be changed for a recipe of table"):
        recipe.apply(source, limits={"scale": "none"})
    with pytest.raises(UsageError, match='there is no option "max_pixels"'):
        recipe.apply(source, limits={"max_pixels": 9, "scale": "none"})
