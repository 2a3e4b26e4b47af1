"""Time series: rows in time become days, periods, folds or sliding windows.

options   what to make                           clock   cells → times            runs   times in bounded memory
rows      kept, sorted, each time once           grid    steps and gaps           gaps   what takes their place
cut       samples and splits                     plan    steps of the columns     job    all of it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.loaders.jobs import JobLoader
from tensorize.loaders.series.options import SeriesOptions

if TYPE_CHECKING:
    from tensorize.columns.rows import Rows as TableRows
    from tensorize.core.contracts import Run
    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet
    from tensorize.loaders.series.job import SeriesJob


class Series(JobLoader):
    """Rows with times become `series` (row, channel, step), with windows also `target` (row, target, step).

    >>> from tensorize import prepare
    >>> hours = [f"2024-01-01 {hour:02}:00" for hour in range(24)]
    >>> ts = prepare("series", {"at": hours, "kwh": [1.0] * 12 + [3.0] * 12}, time="at", window=6, scale="none")
    >>> ts["series"].shape
    torch.Size([19, 1, 6])
    """

    Options: ClassVar[type[SeriesOptions]] = SeriesOptions
    preset_gaps: ClassVar[Mapping[str, str]] = {}
    """Column → what is done with its missing steps, where the kind knows it."""

    def scan(self, source: Any, options: SeriesOptions, run: Run, schema: Schema | None = None) -> TableRows:
        """Parse what `table` parses."""
        from tensorize.loaders.series.plan import way_of
        from tensorize.readers.open import open_table

        way_of(options)
        return open_table(source, options, run, schema)

    def job(self, scan: Any, options: SeriesOptions, run: Run) -> SeriesJob:
        from tensorize.loaders.series.job import SeriesJob

        return SeriesJob(scan, options, run, self.preset_gaps)

    def batch(self, recipe: Recipe, stored: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return `series` (row, channel, step) float32 and `target` (row, target, step)."""
        from tensorize.loaders.series.expand import expand

        return expand(recipe, stored)

    def inverse(self, recipe: Recipe, tensors: TensorSet) -> Any:
        """See `tensorize.loaders.series.expand.inverse`."""
        from tensorize.loaders.series.expand import inverse

        return inverse(recipe, tensors)

    def amended(self, recipe: Recipe, policies: Mapping[str, Any]) -> Recipe:
        """The recipe with other policies for missing values and unseen categories."""
        from tensorize.columns.new_data import amended

        return amended(recipe, policies)
