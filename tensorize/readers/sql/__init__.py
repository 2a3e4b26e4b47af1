"""Databases: a query or a table of PostgreSQL, or of an SQLite file, in a transaction that cannot write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.readers.sql.options import SqlOptions

if TYPE_CHECKING:
    from tensorize.columns.reader import Needs, Rows
    from tensorize.core.contracts import Run


class Sql:
    """Reads the rows once, and keeps them. A row is told as `data.sqlite:wine:17`, or `postgresql://host/shop/wine:17`."""

    Options: ClassVar[type[SqlOptions]] = SqlOptions
    suffixes: ClassVar[tuple[str, ...]] = (".sqlite", ".sqlite3", ".db")
    magic: ClassVar[tuple[bytes, ...]] = (b"SQLite format 3\0",)

    def open(self, source: Any, options: SqlOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
        """Run the query. Raises UsageError for one that is not sound, or a table that is not there; DataError for columns of a
        type that has no kind; RunError for a server that does not answer.
        """
        from tensorize.sources.databases import Database

        if isinstance(source[0], Database):
            from tensorize.readers.sql.postgres import postgres_rows

            return postgres_rows(source[0], options, needs, run)
        from tensorize.readers.sql.sqlite import sqlite_rows

        return sqlite_rows(source, options, needs, run)
