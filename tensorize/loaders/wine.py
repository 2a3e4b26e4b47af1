"""The wine quality files, red and white: a preset of `table` with target `quality`, scores 0 to 9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tensorize.columns.options import TableOptions
from tensorize.core.options import Several, flag
from tensorize.loaders.table import Table


class WineOptions(TableOptions):
    """Options of `wine`: those of `table`, with the target known."""

    declared_categories: ClassVar[Mapping[str, str]] = {"quality": "0..9"}

    target: Several = flag(("quality",), "What is to be predicted.", "COLS")


class Wine(Table):
    """Eleven measurements become `features`, the score becomes `target`: an index that equals it, or one-hot of ten."""

    Options = WineOptions
