"""Addresses of databases, and how they are said without the password in them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tensorize.core.errors import UsageError

POSTGRESQL = ("postgresql", "postgres")
OTHERS = {
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "mssql": "SQL Server",
    "sqlserver": "SQL Server",
    "oracle": "Oracle",
    "duckdb": "DuckDB",
    "snowflake": "Snowflake",
    "bigquery": "BigQuery",
    "redshift": "Redshift",
    "clickhouse": "ClickHouse",
    "mongodb": "MongoDB",
}
"""Databases that are known by their addresses, and not read."""
_SCHEME = re.compile(rf"({'|'.join((*POSTGRESQL, 'sqlite', *OTHERS))})(?:\+\w+)?:/{{1,3}}", re.IGNORECASE)
_SECRET = ("password", "sslpassword")
_SHOWN = ("host", "port", "dbname", "user", "sslmode", "service")
"""Parameters of an address that are shown with it: without them the server is not found again."""


@dataclass(frozen=True)
class Database:
    """A server and a database. `secret` is the whole address, the password in it: it is shown nowhere, and kept nowhere."""

    name: str
    """What messages call it: the address without a password."""
    secret: str = field(default="", repr=False, compare=False)
    size: int = 0

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process, or to a file, has no password."""
        return {"name": self.name, "secret": "", "size": self.size}


def is_database(name: Any) -> bool:
    """Whether something is the address of a database.

    >>> is_database("postgresql://ada@localhost/shop"), is_database("shop.sqlite")
    (True, False)
    """
    return isinstance(name, str | os.PathLike) and bool(_SCHEME.match(str(os.fspath(name))))


def parse_database(address: str | os.PathLike[str]) -> Database | str:
    """Take an address apart: a PostgreSQL server, or the path of an SQLite file.

    Raises UsageError for a database that is not read, and for an address that makes no sense.
    """
    text = os.fspath(address)
    found = _SCHEME.match(text)
    assert found is not None
    scheme = found[1].lower()
    rest = re.sub(r"^[^:]*:/{1,2}", "", text)
    if scheme == "sqlite":
        return rest.removeprefix("/") if ":///" in text else rest
    if scheme in OTHERS:
        raise UsageError(
            f"{OTHERS[scheme]} is not read",
            hint="write the result of a query to a file there, as Parquet or CSV, and name that",
        )
    try:
        parts = urlsplit(f"postgresql://{rest}")
        given = parse_qsl(parts.query, keep_blank_values=True)
        port = parts.port
    except ValueError:
        raise UsageError("the address of the database makes no sense", hint=_EXAMPLE) from None
    if not text.isprintable() or parts.fragment:
        raise UsageError("the address of the database makes no sense", hint=f"write # in it as %23; {_EXAMPLE}")
    user = f"{quote(unquote(parts.username), safe='')}@" if parts.username else ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    shown = urlencode([(key, value) for key, value in given if key in _SHOWN], safe="/", quote_via=quote)
    name = f"postgresql://{user}{host}{f':{port}' if port else ''}{parts.path}{'?' + shown if shown else ''}"
    return Database(name, f"postgresql://{rest}")


def shown_database(address: str | os.PathLike[str]) -> str:
    """The name of a database, for a file that is made of it."""
    found = parse_database(address)
    path = found if isinstance(found, str) else urlsplit(found.name).path
    return re.sub(r"\W+", "-", PurePath(unquote(path)).stem) or "database"


_EXAMPLE = "such as postgresql://user@host:5432/database; the password is taken from PGPASSWORD, or from ~/.pgpass"


def password_of(database: Database) -> tuple[str, ...]:
    """Every spelling of the password in an address, to be kept out of what is said."""
    parts = urlsplit(database.secret)
    found = [parts.password or "", *(value for key, value in parse_qsl(parts.query) if key in _SECRET)]
    return tuple(dict.fromkeys(word for raw in found for word in (raw, unquote(raw), quote(unquote(raw), safe="")) if word))
