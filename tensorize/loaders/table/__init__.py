"""The table loader: CSV and TSV files, data frames, Arrow tables and rows become feature vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tensorize.columns.options import ColumnOptions, TableOptions
from tensorize.core.contracts import Traits
from tensorize.core.errors import UsageError

if TYPE_CHECKING:
    from tensorize.columns.reader import Rows
    from tensorize.core.contracts import Learned, Piece, Plan, Run
    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet


class Table:
    """Rows become `features` (row, feature) float32 and `target`, from any reader of rows.

    A loader for another raw format that has rows and columns derives from this class and overrides `open` alone, most
    often with `tensorize.readers.memory.ArrowRows` over its own record batches.
    """

    Options: ClassVar[type[ColumnOptions]] = TableOptions
    traits: ClassVar[Traits] = Traits(graph="columns")

    def open(self, source: Any, options: Any, run: Run, schema: Schema | None = None) -> Rows:
        """Parse a file, a glob, a list of them, `-`, a DataFrame, an Arrow table, columns, rows, or one row."""
        from tensorize.readers.open import open_table

        return open_table(source, options, run, schema)

    def learn(self, rows: Any, options: Any, run: Run) -> Plan:
        """Check the rows, share them out, and learn from train rows."""
        from tensorize.loaders.table.learn import learn

        return learn(rows, options, run)

    def plan(self, rows: Any, options: Any, run: Run, learned: Sequence[Learned]) -> Plan:
        """Check the rows, and take every step from a recipe."""
        from tensorize.loaders.table.learn import replay

        return replay(rows, options, run, learned)

    def apply(self, plan: Plan, rows: Any, run: Run) -> Iterator[Piece]:
        """Yield the finished rows. Raises DataError for values that the recipe cannot encode."""
        from tensorize.loaders.table.learn import finished

        return finished(plan, rows, run)

    def finish(self, plan: Plan, found: Any) -> Plan:
        """Add what the rows showed: categories that train has not, and values that float32 cannot hold."""
        if found is None:
            return plan
        unseen = "id 0" if plan.state.tensors.as_ids else "all zero"
        return replace(plan, notes=(*plan.notes, *found.remarks(unseen)))

    def batch(self, recipe: Recipe, stored: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """`features` as stored; with `--encode ids` the one-hot blocks are scattered in their places. And `target`."""
        from tensorize.loaders.table.expand import expand

        return {"features": expand(recipe, stored)}, {name: stored[name] for name in ("target",) if name in stored}

    def inverse(self, recipe: Recipe, tensors: TensorSet) -> Any:
        """Return a pyarrow Table (row) of the columns in their original units; of each split, where there is one."""
        from tensorize.loaders.table.expand import inverse

        return inverse(recipe, tensors)

    def amended(self, recipe: Recipe, policies: Mapping[str, Any]) -> Recipe:
        """The recipe with other policies for missing values and unseen categories."""
        from tensorize.columns.new_data import amended

        return amended(recipe, policies)


def read_table(path: Any, infer: Literal[False] = False, **options: Any) -> Any:
    r"""Return a file's cells as a pyarrow Table (row) of strings, exactly as the loader sees them; a missing cell is ''.

    options: those of how a file is read, such as `delimiter=";"`, `on_bad="skip"`; and `threads`, `chunk_bytes`, which
    never change what comes out. Raises DataError for whatever is not certain: see docs/tables.md.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "d.csv"
    >>> _ = path.write_text("a;b\n007;x\n")
    >>> read_table(path).to_pylist()
    [{'a': '007', 'b': 'x'}]
    """
    from tensorize.readers.csv.text import read_text_table

    if infer:
        raise UsageError("read_table gives every cell as text (infer=False); typed columns come from tensorize.prepare")
    return read_text_table(path, **options)
