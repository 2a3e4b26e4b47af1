"""Statements of SQL: what is a query, whether it says an order, and what is proposed where one is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tensorize.core.errors import UsageError, near, quoted

_NOISE = re.compile(r"\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\(", re.DOTALL)
_TEXTS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUERIES = ("select", "with", "values", "table")


def check_query(query: str) -> str:
    """The query without what ends it. Raises UsageError for a statement that is none."""
    at = 0
    while found := _NOISE.match(query, at):
        at = found.end()
    first = re.match(r"\w*", query[at:])
    word = first[0].lower() if first else ""
    if word not in _QUERIES:
        raise UsageError(
            f"--query is read, not run: it begins with {word or 'nothing'}",
            hint='give a query, such as --query "select * from t order by id"',
        )
    return query.rstrip().rstrip(";")


def is_ordered(query: str) -> bool:
    """Whether a query says in which order its rows come.

    >>> is_ordered("select * from t Order  By id"), is_ordered("select 'order by' from t")
    (True, False)
    """
    return re.search(r"\border\s+by\b", _TEXTS.sub(" ", query), re.IGNORECASE) is not None


def identifier(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def no_table(source: str, name: str, known: Sequence[str]) -> UsageError:
    """The error for a table that is not there."""
    return UsageError(f'{source} has no table "{name}"{near(name, known)}', hint=said_tables(known))


def which_table(source: str, known: Sequence[str]) -> UsageError:
    """The error where it is not said which table is meant, with a command that looks into the first."""
    if not known:
        return UsageError(f"{source} has no table", hint="is it the right database?")
    error = UsageError(f"{source} has {len(known)} tables: which one?", hint=f"{said_tables(known)}; name one with --table")
    error.command = f"tensorize {quoted(source)} --table {quoted(known[0])}"
    return error


def said_tables(known: Sequence[str]) -> str:
    """The tables, the first of them."""
    more = f", … and {len(known) - 20} more" if len(known) > 20 else ""
    return "tables: " + (", ".join(known[:20]) + more if known else "none")


def order_note(query: bool) -> str:
    """What the summary says of rows without an order."""
    way = "end the query with one, such as order by id" if query else '--query "select * from … order by id" settles it'
    return f"no ORDER BY: the rows may come in another order the next time; {way}"
