"""Time series: rows in time become days, periods, folds or sliding windows.

options   what to make                       clock     cells → times             runs   times in bounded memory
rows      passes over rows                   order     sorted, each time once    untimed   rows without a time
grid      steps under the rows               gaps      what fills missing steps
cut       samples and splits                 cutting   the cut that was asked for
learn     from rows to a plan                tensors   specs                     apply  finished samples
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.core.contracts import Traits
from tensorize.loaders.series.options import SeriesOptions

if TYPE_CHECKING:
    import pyarrow as pa

    from tensorize.columns.reader import Rows
    from tensorize.core.contracts import Array, Learned, Piece, Plan, Run
    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet


class Series:
    """Rows with times become `series` (row, channel, step), with windows also `target` (row, target, step).

    >>> from tensorize import prepare
    >>> hours = [f"2024-01-01 {hour:02}:00" for hour in range(24)]
    >>> ts = prepare("series", {"at": hours, "kwh": [1.0] * 12 + [3.0] * 12}, time="at", window=6, scale="none")
    >>> ts["series"].shape
    torch.Size([19, 1, 6])
    """

    Options: ClassVar[type[SeriesOptions]] = SeriesOptions
    traits: ClassVar[Traits] = Traits(
        "prepare it again with --window 168 --horizon 24 --target COL", overlapping=True, graph="steps"
    )
    preset_gaps: ClassVar[Mapping[str, str]] = {}
    """Column → how its missing steps are filled, if the kind declares it."""

    def open(self, source: Any, options: SeriesOptions, run: Run, schema: Schema | None = None) -> Rows:
        """Parse what `table` parses."""
        from tensorize.loaders.series.cutting import way_of
        from tensorize.loaders.series.untimed import without_clock_text
        from tensorize.readers.open import open_table

        way_of(options)
        rows = open_table(source, options, run, schema)
        return without_clock_text(rows, options.clock(rows.needs.roles.names)[1:], options)

    def learn(self, rows: Rows, options: SeriesOptions, run: Run) -> Plan:
        """Put the rows in order, cut samples, and learn from the observed train steps."""
        from tensorize.loaders.series.learn import learn

        return learn(rows, options, run, self.preset_gaps)

    def plan(self, rows: Rows, options: SeriesOptions, run: Run, learned: Sequence[Learned]) -> Plan:
        """Put the rows in order, cut samples, and take every step from a recipe."""
        from tensorize.loaders.series.learn import replay

        return replay(rows, options, run, learned, self.preset_gaps)

    def apply(self, plan: Plan, rows: Rows, run: Run) -> Iterator[Piece]:
        """Yield the finished samples. Raises DataError, before the first, for values that the recipe cannot encode."""
        from tensorize.loaders.series.apply import finished

        return finished(plan, rows, run)

    def finish(self, plan: Plan, found: Any) -> Plan:
        """Add a note on categories that train has not."""
        from tensorize.columns.cells import unseen_notes

        return plan if found is None else replace(plan, notes=(*plan.notes, *unseen_notes(found, "all zero")))

    def told(self, plan: Plan) -> Mapping[str, Callable[[Array], pa.Array]]:
        """Of each forecast: its `group`, and the `time` of its first step."""
        ahead = plan.state.tensors.ahead
        return {} if ahead is None else ahead.columns()

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
