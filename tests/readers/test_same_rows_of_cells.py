"""The same rows as CSV and as a workbook: the same tensors, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from test_same_rows import MIXED, bikes, mixed, wine
from workbooks import rows_of, write_ods, write_xlsx

from tensorize import prepare

pytest.importorskip("python_calamine")

Write = Callable[[Path, pa.Table], Path]
WRITTEN: dict[str, Write] = {
    "xlsx": lambda folder, table: write_xlsx(folder / "t.xlsx", rows_of(table)),
    "ods": lambda folder, table: write_ods(folder / "t.ods", rows_of(table)),
}


@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize("options", [{}, {"split": "0.7,0.1,0.2", "encode": "ids"}, {"where": 'rooms > 2 and colour == "red"'}])
def test_a_mixed_table(tmp_path: Path, way: str, options: dict[str, Any]) -> None:
    table = mixed(tmp_path / "mixed.csv")
    expected = prepare("table", tmp_path / "mixed.csv", **MIXED, **options)
    assert prepare("table", WRITTEN[way](tmp_path, table), **MIXED, **options).equals(expected)


@pytest.mark.parametrize("way", WRITTEN)
def test_the_wines(data: Path, tmp_path: Path, way: str) -> None:
    table = wine(tmp_path / "w.csv", data / "wine/winequality-white.csv")
    made = prepare("wine", WRITTEN[way](tmp_path, table), split="0.8,0.2")
    assert made.equals(prepare("wine", tmp_path / "w.csv", split="0.8,0.2"))


@pytest.mark.parametrize("way", WRITTEN)
def test_the_bikes(data: Path, tmp_path: Path, way: str) -> None:
    source = WRITTEN[way](tmp_path, bikes(tmp_path / "b.csv", data / "bikes/hour.csv"))
    for kind, options in (
        ("bikes", {"split": "0.8,0.2"}),
        ("series", {"time": "dteday+hr", "step": "1h", "window": 24, "gaps": "ffill"}),
    ):
        assert prepare(kind, source, **options).equals(prepare(kind, tmp_path / "b.csv", **options))
