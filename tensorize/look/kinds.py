"""What a source is: a table, a text, or a folder of images."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any

from tensorize.core.errors import DataError
from tensorize.loaders.images.errors import ImageError
from tensorize.loaders.images.folders import SUFFIXES
from tensorize.loaders.images.header import format_of
from tensorize.readers.open import DEFAULT, is_path, readers_of
from tensorize.sources.databases import is_database
from tensorize.sources.files import InputFile, resolve
from tensorize.sources.folders import files_below, is_folder

HEAD_BYTES = 64 << 10
MOST_FILES = 20_000
_MARKS = (b"\t", b",", b";", b"|")
_NUMBER = re.compile(rb"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


def kind_of(source: Any) -> tuple[str, Any]:
    """(kind, source): what it is, and what to read.

    Raises UsageError for what is not there, DataError for a folder that holds nothing of use.
    """
    if not is_path(source) or is_database(source):
        return "table", source
    first = source[0] if isinstance(source, list | tuple) else source
    if is_folder(first):
        return _of_folder(first, source)
    return _of_file(resolve(source)[0]), source


def _of_file(file: InputFile) -> str:
    if _suffix(file.name) in SUFFIXES:
        return "images"
    if any(readers_of(file)):
        return "table"
    if _is_picture(file.head()):
        return "images"
    return "table" if _is_table(_lines(file)) else "text"


def _is_picture(head: bytes) -> bool:
    """Whether a file begins as an image does. Two letters are no sign: `BMI,age` begins as a BMP does."""
    try:
        return format_of(head) != "BMP"
    except ImageError:
        return False


def _suffix(name: str) -> str:
    path = Path(name)
    return (path.with_suffix("") if path.suffix.lower() in (".gz", ".zst", ".bz2", ".xz", ".zip") else path).suffix.lower()


def _of_folder(folder: Any, source: Any) -> tuple[str, Any]:
    """Images if there are any, else the tables or texts."""
    names = list(islice(files_below(folder), MOST_FILES))
    if any(_suffix(name) in SUFFIXES for name in names):
        return "images", source
    if not names:
        raise DataError(
            f"{folder} holds no images and no tables", hint="name a file, a glob such as 'data/*.csv', or a folder of images"
        )
    return _of_file(resolve(source)[0]), source


def _lines(file: InputFile) -> list[bytes]:
    """The first lines, without the last if it was cut."""
    with file.open() as stream:
        head = stream.read(HEAD_BYTES) or b""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.replace(b"\0", b"")
    lines = head.splitlines()
    return [line for line in (lines[:-1] if len(head) == HEAD_BYTES else lines) if line.strip()][:200]


def _is_table(lines: list[bytes]) -> bool:
    """Whether most lines are cut alike by one mark, by blanks, or are one number each."""
    if len(lines) < 2:
        return False
    for mark in _MARKS:
        counts = [line.count(mark) for line in lines]
        usual = max(set(counts), key=counts.count)
        if usual and counts.count(usual) >= 0.8 * len(lines):
            return True
    cut = [line.split() for line in lines[1:]]
    widths = {len(cells) for cells in cut}
    numeric = sum(bool(_NUMBER.fullmatch(cell)) for cells in cut for cell in cells)
    return len(widths) == 1 and numeric >= 0.5 * sum(map(len, cut))


def may_be_text(source: Any) -> bool:
    """Whether files of no certain kind may be prose: no reader but that of CSV claims them, nor is their suffix a table's."""
    if is_database(source):
        return False
    file = resolve(source)[0]
    by_content, by_suffix = readers_of(file)
    return by_content is None and by_suffix in (None, DEFAULT) and _suffix(file.name) not in (".csv", ".tsv", ".tab")
