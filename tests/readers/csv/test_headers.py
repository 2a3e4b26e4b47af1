"""Random tables with and without a header: no row is lost and none made up, and few questions are asked.

`make try-headers` makes 6,000 tables, `make test` a twentieth of them (TENSORIZE_HEADERS says how many).
"""

import os
from collections import Counter, defaultdict

import headers
import pytest

from tensorize.core.errors import TensorizeError
from tensorize.loaders import read_table

COUNT = int(os.environ.get("TENSORIZE_HEADERS", "300"))


def read(path):
    """Names and rows, or the message of the error."""
    try:
        table = read_table(path)
    except TensorizeError as error:
        return str(error)
    return table.column_names, [list(row.values()) for row in table.to_pylist()]


def expected(table):
    names = table.names or [f"c{at + 1}" for at in range(len(table.rows[0]))]
    return ["Unnamed: 0" if not at and not name else name for at, name in enumerate(names)], table.rows


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """(table, what was read) of every table."""
    path = tmp_path_factory.mktemp("headers") / "d.csv"
    found = []
    for table in headers.tables(COUNT, COUNT):
        path.write_text(table.text)
        found.append((table, read(path)))
    return found


def test_no_row_is_lost_and_none_is_made_up(outcomes):
    wrong = [(table.text[:200], found) for table, found in outcomes if not isinstance(found, str) and found != expected(table)]
    assert wrong == []


def test_few_questions_are_asked(outcomes):
    figures = defaultdict(Counter)
    for table, found in outcomes:
        figures[table.kind][
            ("asked" if "a header, or a row" in found else "refused") if isinstance(found, str) else "read"
        ] += 1
    for kind, counts in sorted(figures.items()):
        print(f"{kind:45} " + "   ".join(f"{what} {counts[what]:4}" for what in ("read", "asked", "refused")))
    unread = sum(counts.total() - counts["read"] for counts in figures.values())
    print(f"{COUNT} tables; {unread} are not read ({100 * unread / COUNT:.1f}%)")
    assert unread <= 0.15 * COUNT
