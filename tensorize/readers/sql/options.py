"""What is read of a database."""

from __future__ import annotations

from pydantic import model_validator

from tensorize.core.options import Options, flag


class SqlOptions(Options):
    """Options of the `sql` reader."""

    query: str | None = flag(None, 'What to read of a database, such as "select a, b from t order by id".', "SELECT")
    table: str | None = flag(None, "The table of a database to read; the only one by default.", "NAME")

    @model_validator(mode="after")
    def _one_of_them(self) -> SqlOptions:
        if self.query is not None and self.table is not None:
            raise ValueError("give a query or a table, not both")
        return self
