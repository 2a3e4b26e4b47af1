"""Every token of a prepared text beside `str` alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pandas_cells import text_of

from tensorize import read

STRIPPED = '.,;:"!?“”_-'
SPACE = re.compile(r"[\t-\r\x1c-\x20]+")
NOT_CHECKED = {"lines", "split", "length", "min_count", "max_vocab", "on_bad"}


def check_text(source: Path, made: Path) -> list[str]:
    """The faults of the file `made` of a text, none where every token is as `str` gives it."""
    tensors = read(made)
    recipe = json.loads(tensors.recipe.to_json())
    options = recipe.get("options", {})
    if NOT_CHECKED & options.keys():
        return [f"unchecked: {', '.join(NOT_CHECKED & options.keys())}"]
    lines, words = lines_of(text_of(source, options), options)
    wanted = padded(lines) if options.get("per") == "line" else np.concatenate(lines)
    lengths = np.array([len(line) for line in lines])
    faults = [] if np.array_equal(tensors["lengths"].numpy(), lengths) else ["lengths differ"]
    known = [step["state"]["words"] for step in recipe["steps"] if step["step"] == "vocabulary"]
    faults += [] if known in ([], [words]) else ["the vocabulary differs"]
    if options.get("encode") == "ids":
        return faults + _same(tensors["ids"].numpy(), wanted)
    onehot = tensors["onehot"].numpy()
    there = (np.arange(onehot.shape[-2]) < lengths[:, None]) if onehot.ndim == 3 else np.ones(len(onehot), bool)
    faults += [] if np.array_equal(onehot.sum(axis=-1), there) else ["not one symbol for each token"]
    return faults + _same(onehot.argmax(axis=-1)[there], wanted[there])


def _same(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> list[str]:
    if found.shape != wanted.shape:
        return [f"shape {found.shape}, not {wanted.shape}"]
    return [] if np.array_equal(found, wanted) else [f"{int((found != wanted).sum())} tokens differ"]


def lines_of(text: str, options: Mapping[str, Any]) -> tuple[list[npt.NDArray[np.int64]], list[str]]:
    """The ids of each line, and the vocabulary; a newline is the last character of its line, but where each line is a row."""
    lower, by_line = options.get("case") != "keep", options.get("per") == "line"
    lines = text.removesuffix("\n").split("\n") if by_line else re.findall(r"[^\n]*\n|[^\n]+", text)
    split = words if options.get("level") == "word" else characters
    tokens = [split(line.lower() if lower else line) for line in lines]
    known = sorted({token for line in tokens for token in line})
    if split is characters and options.get("charset") != "corpus":
        codes = {chr(code): code for code in range(128)}
    else:
        reserved = 2 if by_line and options.get("encode") == "ids" else 1
        codes = {word: at + reserved for at, word in enumerate(known)}
    return [np.array([codes.get(token, 0) for token in line], dtype=np.int64) for line in tokens], known


def characters(line: str) -> list[str]:
    """The characters of a line."""
    return list(line)


def words(line: str) -> list[str]:
    """The words of a line, without the marks around them."""
    found = (word.strip(STRIPPED) for word in SPACE.split(line))
    return [word for word in found if word]


def padded(lines: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """(line, token) int64, 0 behind the end of a line."""
    out = np.zeros((len(lines), max(map(len, lines), default=0)), dtype=np.int64)
    for row, line in zip(out, lines, strict=True):
        row[: len(line)] = line
    return out
