"""Text: characters and words, documents and lines, encodings, splits, and what is wrong with a file."""

import gzip
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorize import prepare, read
from tensorize.core.errors import DataError, UsageError
from tensorize.loaders.text.tokens import STRIPPED, split_words

TEXT = "The cat, the dog.\n\nA “grey” cat -- and\tthe naïve dog!\n"


def words_of(text, lower=True):
    """The rule, said in plain Python."""
    parts = (text.lower() if lower else text).split()
    return [word for part in parts if (word := part.strip(STRIPPED))]


@pytest.fixture
def book(data):
    return data / "text" / "1342-0.txt"


# the real text ------------------------------------------------------------------------------------------------


def test_a_line_of_the_book_as_ascii_codes(book):
    ts = prepare("text", book, level="char", lines="201:201")
    line = book.read_text("utf-8-sig").split("\n")[200].lower()
    assert ts["onehot"].shape == (70, 128)
    assert ts["onehot"].dtype == torch.uint8
    assert ts["onehot"].argmax(1).tolist() == [ord(char) if ord(char) < 128 else 0 for char in line]
    assert (ts["onehot"].sum(1) == 1).all()
    assert (ts["row"].tolist(), ts["lengths"].tolist()) == ([200], [70])


@pytest.mark.parametrize(("encoding", "symbols"), [("utf-8", 7261), ("utf-8-sig", 7260)])
def test_a_line_of_the_book_as_words(book, encoding, symbols):
    ts = prepare("text", book, level="word", lines="201:201", encoding=encoding)
    assert ts["onehot"].shape == (11, symbols)
    assert ts["onehot"].argmax(1).tolist() == [3394, 4305, 813, 3394, 7078, 3315, 415, 4436, 239, 7148, 3215]
    assert ts.labels("onehot", "symbol")[0] == "<unk>"


def test_the_whole_book_comes_back(book):
    text = book.read_text("utf-8-sig")
    chars = prepare("text", book, charset="corpus", encode="ids")
    assert chars.recipe.inverse(chars) == text.lower()
    words = prepare("text", book, level="word", encode="ids", case="keep")
    assert words.recipe.inverse(words) == words_of(text, lower=False)
    assert words["ids"].dtype == torch.int16


# tokens -------------------------------------------------------------------------------------------------------


def test_words_are_split_at_white_space_stripped_and_lowered():
    ts = prepare("text", {"text": TEXT}, level="word", encode="ids")
    assert ts.recipe.inverse(ts) == ["the", "cat", "the", "dog", "a", "grey", "cat", "and", "the", "naïve", "dog"]
    assert (ts["row"].tolist(), ts["lengths"].tolist()) == ([0, 1, 2], [4, 0, 7])


def test_the_vocabulary_is_sorted_with_unk_first():
    ts = prepare("text", {"text": "b a c a"}, level="word")
    assert ts.labels("onehot", "symbol") == ("<unk>", "a", "b", "c")
    assert ts["onehot"].tolist() == [[0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]


def test_a_rare_word_is_unk_and_counted(tensorize, tmp_path):
    (tmp_path / "t.txt").write_text("a b a c a b\n")
    done = tensorize("text", "t.txt", "--level", "word", "--encode", "ids", "--min-count", 2, "-o", "t.h5")
    assert "1 word is outside the vocabulary, now <unk>" in done.stdout
    assert read(tmp_path / "t.h5")["ids"].tolist() == [1, 2, 1, 0, 1, 2]


def test_the_largest_vocabulary_keeps_the_most_frequent_words():
    ts = prepare("text", {"text": "c c b b a d d d"}, level="word", max_vocab=2)
    assert ts.labels("onehot", "symbol") == ("<unk>", "b", "d")


def test_characters_beyond_ascii_are_zero_and_counted(tensorize, tmp_path):
    (tmp_path / "t.txt").write_text("aé€\x00b", encoding="utf-8")
    for more in (["--dry-run"], ["--per", "line"], ["--encode", "ids"]):
        done = tensorize("text", "t.txt", "-o", "t.h5", "--force", *more)
        assert done.stdout.count("2 of 5 characters are outside ASCII, now 0") == 1
    assert read(tmp_path / "t.h5")["ids"].tolist() == [97, 0, 0, 0, 98]


def test_case_may_be_kept():
    assert prepare("text", {"text": "aB"}, case="keep", encode="ids")["ids"].tolist() == [97, 66]
    assert prepare("text", {"text": "aB"}, encode="ids")["ids"].tolist() == [97, 98]


def test_letters_that_lower_in_odd_ways_do_so_wherever_a_piece_is_cut():
    text = "ΣΑΣ İI ΑΣ\n" * 50
    ascii_ids = prepare("text", {"text": text + "\u212aé"}, encode="ids")["ids"].tolist()
    assert ascii_ids == [ord(c) if ord(c) < 128 else 0 for c in (text + "\u212aé").replace("Σ", "σ").lower()]
    results = [prepare("text", {"text": text}, charset="corpus", encode="ids", chunk_bytes=size) for size in (1, 7, 4096)]
    assert results[0].recipe.inverse(results[0]) == text.replace("Σ", "σ").lower()
    assert results[0].equals(results[1])
    assert results[0].equals(results[2])
    words = prepare("text", {"text": text}, level="word", encode="ids")
    assert words.recipe.inverse(words) == words_of(text)


@pytest.mark.parametrize("code", range(128))
def test_white_space_of_ascii_is_that_of_str(code):
    words = split_words(b"a" + bytes([code]) + b"b").raw
    assert len(words) == (2 if chr(code).isspace() else 1)


def test_white_space_beyond_ascii_parts_words_too():
    text = "one\u00a0two\u2003three\u3000four ...\u00a0... five\n\u00a0\nsix"
    ts = prepare("text", {"text": text}, level="word", encode="ids")
    assert ts.recipe.inverse(ts) == ["one", "two", "three", "four", "five", "six"]
    assert ts["lengths"].tolist() == [5, 0, 1]


def test_a_word_of_the_text_that_is_called_like_a_special_one_is_a_word():
    ts = prepare("text", {"text": "<unk> <pad> a"}, level="word", encode="ids")
    assert ts["ids"].tolist() == [2, 1, 3]
    assert ts.recipe.inverse(ts) == ["<unk>", "<pad>", "a"]


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_every_newline_is_one_and_lines_end_nowhere_else(tmp_path, level, newline):
    text = "a b\nc\x0bd\x0ce\x1cf\u2028g\n\nh"
    (tmp_path / "unix.txt").write_bytes(text.encode())
    (tmp_path / "other.txt").write_bytes(text.replace("\n", newline).encode())
    for size in (1, 2, 3, 100):
        unix, other = (
            prepare("text", tmp_path / name, level=level, charset="ascii", encode="ids", chunk_bytes=size)
            for name in ("unix.txt", "other.txt")
        )
        assert unix.equals(other)
        assert unix["row"].tolist() == [0, 1, 2, 3]
        assert unix["lengths"].tolist() == ([4, 10, 1, 1] if level == "char" else [2, 5, 0, 1])


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("aBéΣ. \n\t“_\u00a0\r"), min_size=1, max_size=60), st.integers(1, 20), st.integers(1, 2))
def test_words_follow_the_rule_whatever_the_text_and_the_cuts(text, size, threads):
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    expected = words_of(plain)
    source = {"text": [text]}
    if not expected:
        with pytest.raises(DataError, match="holds no word"):
            prepare("text", source, level="word", encode="ids", chunk_bytes=size, threads=threads)
        return
    ts = prepare("text", source, level="word", encode="ids", chunk_bytes=size, threads=threads)
    assert ts.recipe.inverse(ts) == expected
    lines = prepare("text", source, level="word", encode="ids", per="line", chunk_bytes=size, threads=threads)
    split = plain.split("\n")
    assert lines.recipe.inverse(lines) == [words_of(line) for line in (split[:-1] if plain.endswith("\n") else split)]


# lines --------------------------------------------------------------------------------------------------------


def test_lines_are_picked_with_the_vocabulary_of_the_whole_text():
    ts = prepare("text", {"text": "a b\nc d\ne f\n"}, level="word", lines="2:3", encode="ids")
    assert ts["ids"].tolist() == [3, 4, 5, 6]
    assert (ts["row"].tolist(), ts["lengths"].tolist()) == ([1, 2], [2, 2])
    assert prepare("text", {"text": "a b\nc d\n"}, lines="1:2", case="keep", encode="ids")["ids"].tolist() == list(b"a b\nc d")
    assert prepare("text", {"text": "a\nb\nc"}, lines="2:", encode="ids")["ids"].tolist() == list(b"b\nc")
    assert prepare("text", {"text": "a\nb\nc"}, lines="2", encode="ids")["ids"].tolist() == list(b"b")


def test_a_picked_empty_line_at_the_end_keeps_the_newline_before_it():
    for size in (1, 2, 3, 100):
        ts = prepare("text", {"text": "a\n\nb\n"}, lines="1:2", encode="ids", chunk_bytes=size)
        assert ts["ids"].tolist() == list(b"a\n")
        assert ts["lengths"].tolist() == [2, 0]


@pytest.mark.parametrize("lines", ["3:3", "1:3", "0:1", "2:1", "x", "1:2:3"])
def test_lines_that_are_not_there_are_an_error(tensorize, tmp_path, lines):
    (tmp_path / "t.txt").write_text("a\nb\n")
    done = tensorize("text", "t.txt", "--lines", lines, "-o", "t.h5")
    assert done.returncode == 2
    assert "lines" in done.stderr
    assert not (tmp_path / "t.h5").exists()


def test_a_row_for_each_line_padded_to_the_longest():
    ts = prepare("text", {"text": "a b c\n\nb\n"}, level="word", per="line", encode="ids")
    assert ts["ids"].tolist() == [[2, 3, 4], [0, 0, 0], [3, 0, 0]]
    assert ts["lengths"].tolist() == [3, 0, 1]
    assert ts["row"].tolist() == [0, 1, 2]
    onehot = prepare("text", {"text": "a b c\n\nb\n"}, level="word", per="line")
    assert onehot.labels("onehot", "symbol") == ("<pad>", "<unk>", "a", "b", "c")
    assert onehot["onehot"].shape == (3, 3, 5)
    assert torch.equal(onehot["onehot"].float(), ts.batch(slice(0, 3))[0])


def test_characters_of_lines_leave_the_newlines_out():
    ts = prepare("text", {"text": "ab\n\nc"}, per="line", encode="ids")
    assert ts["ids"].tolist() == [[97, 98], [0, 0], [99, 0]]
    assert ts["lengths"].tolist() == [2, 0, 1]
    corpus = prepare("text", {"text": "ab\n\nc"}, per="line", charset="corpus")
    assert corpus.labels("onehot", "symbol") == ("<pad>", "<unk>", "a", "b", "c")


def test_longer_lines_are_cut_where_a_length_is_given_and_counted(tensorize, tmp_path):
    (tmp_path / "t.txt").write_text("a b c\nd\n")
    done = tensorize("text", "t.txt", "--level", "word", "--per", "line", "--length", 2, "--encode", "ids", "-o", "t.h5")
    assert "1 line cut at 2 tokens" in done.stdout
    ts = read(tmp_path / "t.h5")
    assert ts["ids"].tolist() == [[2, 3], [5, 0]]
    assert ts["lengths"].tolist() == [2, 1]


def test_a_test_line_longer_than_every_train_line_is_an_error():
    with pytest.raises(DataError, match="1 line is longer than the longest train line, of 1 token") as caught:
        prepare("text", {"text": "a\nb\nc d e\n"}, level="word", per="line", split="0.7,0.3")
    assert caught.value.details == ("line 3  3 tokens",)
    assert "--length" in caught.value.hint


# splits and apply ---------------------------------------------------------------------------------------------


def test_the_first_lines_are_train_and_the_vocabulary_is_theirs():
    text = "a b\nb c\nd a\nz\n"
    ts = prepare("text", {"text": text}, level="word", encode="ids", split="0.5,0.25,0.25")
    assert ts["train/ids"].tolist() == [1, 2, 2, 3]
    assert ts["val/ids"].tolist() == [0, 1]
    assert ts["test/ids"].tolist() == [0]
    assert ts["test/row"].tolist() == [3]
    other = prepare("text", {"text": "a b\nb c\nqqq\nrrr rrr\n"}, level="word", encode="ids", split="0.5,0.25,0.25")
    assert other.recipe.learned == ts.recipe.learned


def test_splits_of_characters_lose_nothing():
    ts = prepare("text", {"text": "ab\ncd\nef\n"}, split="0.7,0.3")
    back = ts.recipe.inverse(ts)
    assert back == {"train": "ab\ncd\n", "test": "ef\n"}


@pytest.mark.parametrize("options", [{"level": "word"}, {"charset": "corpus"}, {}, {"level": "word", "per": "line"}])
def test_apply_says_the_same_as_the_first_run(tmp_path, options):
    (tmp_path / "t.txt").write_text(TEXT, encoding="utf-8")
    first = prepare("text", tmp_path / "t.txt", **options, out=tmp_path / "t.h5")
    again = first.recipe.apply(tmp_path / "t.txt")
    assert again.equals(first)
    one = first.recipe.apply({"text": "The grey dog"})
    assert one.numpy("onehot").shape[-1] == first.numpy("onehot").shape[-1]
    if options == {"level": "word"}:
        assert one.recipe.inverse(one) == ["the", "grey", "dog"]


def test_apply_maps_new_words_to_unk():
    recipe = prepare("text", {"text": "a b"}, level="word", encode="ids").recipe
    assert recipe.apply({"text": "b zebra a"})["ids"].tolist() == [2, 0, 1]


@pytest.mark.parametrize("suffix", ["h5", "pt"])
@pytest.mark.parametrize(
    "options", [{"level": "word"}, {"charset": "corpus", "per": "line"}, {"level": "word", "encode": "ids"}]
)
def test_threads_and_chunks_change_no_byte(tmp_path, options, suffix):
    rng = random.Random(0)
    lines = [
        " ".join(rng.choice(["alpha", "Beta.", "γάμμα", "“d”", "e--f"]) for _ in range(rng.randrange(9))) for _ in range(60)
    ]
    (tmp_path / "t.txt").write_text("\n".join(lines), encoding="utf-8")
    seen = set()
    for number, (threads, size) in enumerate([(1, 4 << 20), (2, 100), (5, 9)]):
        out = tmp_path / f"{number}.{suffix}"
        keywords = {"length": 60} if "per" in options else {}
        prepare("text", tmp_path / "t.txt", **options, **keywords, split="0.7,0.3", out=out, threads=threads, chunk_bytes=size)
        seen.add(out.read_bytes())
    assert len(seen) == 1


# files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8-sig", "cp1252", "utf-32"])
def test_encodings(tmp_path, encoding):
    (tmp_path / "t.txt").write_text("Café für zwei\n", encoding=encoding)
    ts = prepare("text", tmp_path / "t.txt", level="word", encoding=encoding, encode="ids", chunk_bytes=5)
    assert ts.recipe.inverse(ts) == ["café", "für", "zwei"]


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize(
    ("raw", "encoding", "said"),
    [
        (b"ok\nfine caf\xe9 x\n", "utf-8-sig", "t.txt:2  byte e9 at offset 11"),
        (b"ok\n\xc3", "utf-8", "t.txt:2"),
        ("né\n".encode("utf-16")[:-1], "utf-16", "the last character is cut off"),
    ],
)
def test_bytes_that_are_no_text_name_line_and_offset(tensorize, tmp_path, level, raw, encoding, said):
    (tmp_path / "t.txt").write_bytes(raw)
    done = tensorize("text", "t.txt", "--level", level, "--encoding", encoding, "-o", "t.h5")
    assert done.returncode == 1
    assert f"t.txt is not {encoding} text" in done.stderr
    assert said in done.stderr
    assert "--encoding latin-1" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.txt"]


def test_an_unknown_encoding_is_a_wrong_call(tensorize, tmp_path):
    (tmp_path / "t.txt").write_text("a")
    done = tensorize("text", "t.txt", "--encoding", "utf-9")
    assert done.returncode == 2
    assert 'there is no encoding "utf-9"' in done.stderr


@pytest.mark.parametrize(("content", "level"), [("", "char"), ("", "word"), ("... -- \n\n", "word")])
def test_a_text_without_tokens_is_an_error(tensorize, tmp_path, content, level):
    (tmp_path / "t.txt").write_text(content)
    done = tensorize("text", "t.txt", "--level", level)
    assert done.returncode == 1
    assert "t.txt holds no" in done.stderr


def test_several_files_and_compressed_ones_are_one_text(tmp_path):
    (tmp_path / "1.txt").write_text("a b")
    (tmp_path / "2.txt.gz").write_bytes(gzip.compress(b"c\nd\n"))
    ts = prepare("text", [tmp_path / "1.txt", tmp_path / "2.txt.gz"], encode="ids")
    assert ts.recipe.inverse(ts) == "a b\nc\nd\n"
    assert ts["lengths"].tolist() == [4, 2, 2]


def test_standard_input(tensorize, tmp_path):
    assert tensorize("text", "-", "--encode", "ids", "-o", "t.h5", input="hi").returncode == 0
    assert read(tmp_path / "t.h5")["ids"].tolist() == [104, 105]


def test_a_one_hot_over_the_limit_is_refused_with_the_way_out(tensorize, tmp_path):
    (tmp_path / "t.txt").write_text(" ".join(f"w{i}" for i in range(60_000)))
    done = tensorize("text", "t.txt", "--level", "word")
    assert done.returncode == 2
    assert "--encode ids" in done.stderr
    assert tensorize("text", "t.txt", "--level", "word", "--encode", "ids").returncode == 0


@pytest.mark.parametrize("options", [{"length": 3}, {"level": "word", "charset": "corpus"}, {"min_count": 2}])
def test_options_that_do_nothing_together_are_refused(options):
    with pytest.raises(UsageError):
        prepare("text", {"text": "a b"}, **options)


@pytest.mark.parametrize("source", [{"text": 5}, {"words": "a"}, 5, {"text": ["a", 1]}])
def test_a_source_in_memory_of_another_shape_is_refused(source):
    with pytest.raises(UsageError):
        prepare("text", source)


def test_many_words_keep_their_order_over_many_chunks():
    rng = np.random.default_rng(0)
    text = "\n".join(" ".join(f"w{i}" for i in rng.integers(0, 5000, 20)) for _ in range(500))
    ts = prepare("text", {"text": text}, level="word", encode="ids", chunk_bytes=1000, threads=2)
    assert ts.recipe.inverse(ts) == words_of(text)
