"""The table loader: CSV and TSV files, data frames, Arrow tables and rows become feature vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tensorize.columns.options import ColumnOptions, TableOptions
from tensorize.core.errors import UsageError
from tensorize.loaders.jobs import JobLoader

if TYPE_CHECKING:
    from tensorize.columns.rows import TableScan
    from tensorize.core.contracts import Run
    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet
    from tensorize.loaders.table.job import TableJob


class Table(JobLoader):
    """Rows become `features` (row, feature) float32 and `target`.

    A loader for another raw format that has rows and columns derives from this class and overrides `scan` alone, most
    often with `tensorize.readers.memory.ArrowScan` over its own record batches.
    """

    Options: ClassVar[type[ColumnOptions]] = TableOptions

    def scan(self, source: Any, options: Any, run: Run, schema: Schema | None = None) -> TableScan:
        """Parse a file, a glob, a list of them, `-`, a DataFrame, an Arrow table, columns, rows, or one row."""
        from tensorize.readers.open import open_table

        return open_table(source, options, run, schema)

    def job(self, scan: Any, options: Any, run: Run) -> TableJob:
        from tensorize.loaders.table.job import TableJob

        return TableJob(scan, options, run)

    def expand(self, recipe: Recipe, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """`features` as stored; with `--encode ids` the one-hot blocks are scattered in their places."""
        from tensorize.loaders.table.expand import expand

        return expand(recipe, batch), batch.get("target")

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
    from tensorize.readers.open import read_text

    if infer:
        raise UsageError("read_table gives every cell as text (infer=False); typed columns come from tensorize.prepare")
    return read_text(path, **options)
