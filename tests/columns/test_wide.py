"""The cost of wide tables grows with their columns, not with the square."""

import time
from pathlib import Path

import numpy as np
import pytest

from tensorize import prepare


def seconds(path: Path, columns: int) -> float:
    """CPU seconds to prepare a table of 10 rows and so many columns, and to apply its recipe."""
    cells = np.random.default_rng(0).random((10, columns)).round(3)
    rows = [",".join(f"g{at}" for at in range(columns)), *(",".join(map(str, row)) for row in cells)]
    path.write_text("\n".join(rows) + "\n")
    start = time.process_time()
    made = prepare("table", path, target="g0", missing="mean", minmax="g1,g2", threads=1)
    made.recipe.apply(path, threads=1)
    return time.process_time() - start


@pytest.mark.parametrize("columns", [400])
def test_time_is_linear_in_the_columns(tmp_path: Path, columns: int) -> None:
    seconds(tmp_path / "warm.csv", 50)
    few = min(seconds(tmp_path / "few.csv", columns) for _ in range(2))
    assert seconds(tmp_path / "many.csv", columns * 10) < 20 * few
