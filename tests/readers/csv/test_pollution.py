"""Polluted files with known cells: each is read as they are, or refused by name; none is read as something else.

`make test-pollution` makes 2,680 files, `make test` a tenth of them (TENSORIZE_POLLUTED says how many).
"""

import os
from collections import Counter, defaultdict

import pollution
import pytest

from tensorize import prepare
from tensorize.core.errors import TensorizeError
from tensorize.loaders import read_table

COUNT = int(os.environ.get("TENSORIZE_POLLUTED", "268"))
SHARE = 8
"""One in so many goes through everything else, too."""


def cells(path, **options):
    """Names and rows as they are read, or the message of the error."""
    try:
        table = read_table(path, **options)
    except TensorizeError as error:
        return str(error)
    return table.column_names, [list(row.values()) for row in table.to_pylist()]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """(polluted, path, what was read) of every file."""
    folder = tmp_path_factory.mktemp("polluted")
    found = []
    for index, polluted in enumerate(pollution.pollute(seed=COUNT, count=COUNT)):
        path = folder / f"{index:04}-{polluted.kind}{polluted.suffix}"
        path.write_bytes(polluted.data)
        found.append((polluted, path, cells(path)))
    return found


def test_no_file_is_read_as_something_else(outcomes):
    wrong = [
        path.name for polluted, path, read in outcomes if not isinstance(read, str) and read != pollution.expected(polluted)
    ]
    assert wrong == []


def test_what_has_but_one_meaning_is_read(outcomes):
    figures = defaultdict(Counter)
    for polluted, _, read in outcomes:
        figures[polluted.certain, polluted.kind]["refused" if isinstance(read, str) else "read"] += 1
    for (certain, kind), counts in sorted(figures.items(), reverse=True):
        print(f"{kind:34} {'certain' if certain else 'unsure':8} read {counts['read']:4}   refused {counts['refused']:4}")
    read = sum(counts["read"] for (certain, _), counts in figures.items() if certain)
    total = sum(counts.total() for (certain, _), counts in figures.items() if certain)
    print(f"{COUNT} files; of {total} that are certain {read} are read ({100 * read / total:.1f}%)")
    assert read >= 0.6 * total
    assert len(figures) >= len(pollution.KINDS)


def test_a_refusal_names_the_file_and_the_way_out(outcomes):
    for polluted, path, read in outcomes:
        if isinstance(read, str):
            lines = read.splitlines()
            assert str(path) in read or len(lines) > 1, (polluted.kind, read)
            assert len(lines) > 1, (polluted.kind, read)


def test_neither_chunks_nor_threads_change_what_is_read(outcomes):
    for _, path, read in outcomes[::SHARE]:
        for chunk, threads in ((1, 1), (2, 2), (3, 1), (7, 2), (64, 1)):
            assert cells(path, chunk_bytes=chunk, threads=threads) == read, path.name


def tensors(path, **options):
    try:
        return prepare("table", path, missing="drop", scale="none", max_categories=1000, **options)
    except TensorizeError:
        return None


def test_a_prepared_file_equals_that_of_the_clean_table_or_is_refused(outcomes, tmp_path):
    made = 0
    for polluted, path, _ in outcomes[:: SHARE // 4]:
        if polluted.nameless or polluted.kind == "decimal_comma":
            continue
        clean = tmp_path / "clean.csv"
        clean.write_text(pollution.Style().write(polluted.clean), "utf-8", newline="")
        found, wanted = tensors(path), tensors(clean, header="yes")
        if found is not None:
            assert wanted is not None, path.name
            assert found.labels("features", "feature") == wanted.labels("features", "feature"), path.name
            assert found.numpy("features").tobytes() == wanted.numpy("features").tobytes(), path.name
            made += 1
    assert made > 0
