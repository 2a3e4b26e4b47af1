"""What a server says, in our words: what is wrong with the call, the query, or the connection."""

from __future__ import annotations

import re
from typing import Any

from tensorize.core.errors import RunError, TensorizeError, UsageError
from tensorize.sources.databases import Database, password_of

_LOGIN = ("28P01", "28000")
_PASSWORD = "give the password in PGPASSWORD, or in ~/.pgpass"


def explained(error: Any, database: Database) -> TensorizeError:
    """The error of ADBC as ours, the password nowhere in it."""
    text, where = _said(str(error), database), database.name
    state = getattr(error, "sqlstate", None) or _state(str(error))
    if state in _LOGIN or "authentication failed" in text or "no password supplied" in text:
        return RunError(f"{where} does not let us in: {text}", hint=_PASSWORD)
    if state == "3D000" or re.search(r'database "[^"]*" does not exist', text):
        return UsageError(f"{where}: {text}", hint="is the name of the database right? psql -l lists them")
    if state.startswith(("42", "25006", "22", "0A", "21")):
        position = _position(str(error))
        return UsageError(f"{where} does not take the query: {text}", position, _hint(state, text))
    if state == "55P03":
        return RunError(f"{where}: {text}", hint="another program holds the table; try again, or wait longer: --timeout 600")
    if state.startswith(("57", "40")):
        return RunError(f"{where}: the server has ended the query: {text}", hint="try again")
    return RunError(f"{where} cannot be read: {text}", hint="is the server up, and its name and port right? pg_isready tells")


def _state(text: str) -> str:
    """A state for an error that came amid the rows, which has only words."""
    if "FATAL:" in text:
        return "57P01" if "terminating" in text else ""
    if "read-only transaction" in text:
        return "25006"
    return "22000" if "ERROR:" in text else ""


def _hint(state: str, text: str) -> str:
    if state == "25006":
        return "give a query that only reads: nothing is written"
    if state == "42P01":
        return "is the name right? --table NAME lists those that there are, for a name that is not"
    if state == "42501":
        return "ask for the right to read it: grant select on … to …"
    if "multiple commands" in text:
        return "give one query"
    if "no binary output function" in text:
        return "cast the column in the query: column::text"
    return "try the query with psql"


def _said(text: str, database: Database) -> str:
    """The message in one line, without what ADBC adds, and without the password."""
    head = re.split(r"\n(?:LINE \d+:|\s*\^|Query was:|QUERY:|CONTEXT:)", text)[0]
    head = re.sub(r"\.?\s*SQLSTATE: \w+", "", head)
    found = re.search(r"(?:ERROR|FATAL):\s*(.*)", head, re.DOTALL)
    line = " ".join((found[1] if found else head).split())
    for word in password_of(database):
        line = line.replace(word, "***")
    return line.strip()[:400]


def _position(text: str) -> list[str]:
    """The line of the query, and the mark below the place that is wrong, as the server shows them."""
    found = re.search(r"^LINE \d+: (.*)\n(\s*)\^", text, re.MULTILINE)
    if found is None or "COPY (" in found[1]:
        return []
    indent = len(found[2]) - len(found[0].partition(found[1])[0])
    return [found[1][:200], " " * min(max(indent, 0), 199) + "^"]
