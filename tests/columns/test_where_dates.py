"""Rows that are kept by date."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tensorize import DataError, UsageError, prepare

WHEN = pd.date_range("2023-12-01 00:00", periods=100, freq="13h")
NOTATIONS = {
    "ISO": "%Y-%m-%d %H:%M",
    "T and Z": "%Y-%m-%dT%H:%M:%SZ",
    "day first": "%d/%m/%Y %H:%M",
    "month first": "%m/%d/%Y %H:%M",
}


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("more", [{"drop": "when"}, {"time_features": "when:month"}])
def test_rows_are_kept_by_date_in_any_notation(tmp_path: Path, notation: str, more: dict[str, str]) -> None:
    frame = pd.DataFrame({"when": WHEN.strftime(NOTATIONS[notation]), "x": range(100)})
    frame.to_csv(tmp_path / "d.csv", index=False)
    condition = "when >= 2024-01-01 and when < 2024-01-10 12:00"
    wanted = np.flatnonzero((pd.Timestamp("2024-01-01") <= WHEN) & (pd.Timestamp("2024-01-10 12:00") > WHEN))
    assert prepare("table", tmp_path / "d.csv", where=condition, **more)["row"].tolist() == wanted.tolist()
    typed = pd.DataFrame({"when": WHEN, "x": range(100)})
    assert prepare("table", typed, where=condition, **more)["row"].tolist() == wanted.tolist()
    quoted = "when >= '2024-01-01T00:00:00' and when < '2024-01-10 12:00:00'"
    assert prepare("table", tmp_path / "d.csv", where=quoted, **more)["row"].tolist() == wanted.tolist()


def test_a_day_is_a_moment_and_a_missing_date_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("when,x\n2024-01-31,1\n,2\n2024-02-01,3\n2024-01-31 06:00,4\n")
    made = prepare("table", tmp_path / "d.csv", where="when > 2024-01-31", drop="when")
    assert made["row"].tolist() == [2, 3]
    assert prepare("table", tmp_path / "d.csv", where="when is missing", drop="when")["row"].tolist() == [1]


@pytest.mark.parametrize(
    ("table", "condition"),
    [("a,x\n2024-01-01,1\nsoon,2\n", "a > 2024-01-01"), ("a,x\n2024-01-01,1\n2024-01-02,2\n", "a > 31/12/2023")],
)
def test_what_is_no_date_is_an_error(tmp_path: Path, table: str, condition: str) -> None:
    (tmp_path / "d.csv").write_text(table)
    with pytest.raises((DataError, UsageError), match="date"):
        prepare("table", tmp_path / "d.csv", where=condition, drop="a")


def test_codes_that_look_like_dates_are_compared_as_text(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("code,x\n2024-01,1\n2024-X1,2\n2024-01,3\n")
    assert prepare("table", tmp_path / "d.csv", where="code == 2024-01", drop="code")["row"].tolist() == [0, 2]
