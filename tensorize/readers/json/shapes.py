"""What a JSON text is, if it is not records: the ways in which pandas and others write a table, each with the way out."""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import Any

from tensorize.core.errors import DataError
from tensorize.readers.jsonl.recognise import HEAD_BYTES, text_of
from tensorize.sources.files import InputFile, pieces

_LONG = re.compile(r'\{\s*"([^"\\]*(?:\\.[^"\\]*)*)"\s*:\s*([{\[])\s*(.?)([^"]*)')
_PANDAS = {
    "columns": ("columns, as pandas writes them unless told otherwise", "pandas.read_json(sys.argv[1], orient='columns')"),
    "index": ("rows by name, as pandas writes them with orient='index'", "pandas.read_json(sys.argv[1], orient='index')"),
    "split": (
        "names and rows apart, as pandas writes them with orient='split'",
        "pandas.read_json(sys.argv[1], orient='split')",
    ),
    "values": (
        "rows without names, as pandas writes them with orient='values'",
        "pandas.read_json(sys.argv[1], orient='values')",
    ),
    "lists": ("columns as lists", "pandas.DataFrame(json.load(open(sys.argv[1])))"),
}


def check_shape(file: InputFile, growth: int) -> None:
    """Raise DataError if the file holds certainly something else than records, with the command that writes it as such."""
    head = next(pieces(file, HEAD_BYTES, growth), b"")
    text = text_of(head).removeprefix("\ufeff").lstrip()
    if text.startswith("["):
        _check_array(file.name, text[1:].lstrip()[:1])
    elif text.startswith("{"):
        _check_object(file.name, text, len(head) < HEAD_BYTES)
    elif text[:1] in '"-0123456789' and text:
        raise DataError(f"{file.name} is a single JSON value, not records", hint=_RECORDS)


_RECORDS = 'records are objects, such as [{"area": 80, "price": 250}]'


def _check_array(name: str, first: str) -> None:
    if first == "[":
        raise _of_pandas(name, "values")
    if first and first not in "{],":
        raise DataError(f"{name} is an array of single values, not of records", hint=_RECORDS)


def _check_object(name: str, text: str, complete: bool) -> None:
    """One object alone: a single row if its values are single ones."""
    try:
        found, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        if not complete and (match := _LONG.match(text)):
            _refuse(name, {match[1]: {match[4]: 1} if match[2] == "{" else [{}] if match[3] == "{" else [1]}, is_cut=True)
        return
    if not text[end:].strip() and complete:
        _refuse(name, found)


def _refuse(name: str, found: dict[str, Any], is_cut: bool = False) -> None:
    """Raise DataError for an object that is a whole table."""
    values = list(found.values())
    if is_cut and "schema" in found:
        raise _under_key(name, "data")
    tables = [key for key, value in found.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if tables and ("data" in tables or "schema" not in found):
        raise _under_key(name, "data" if "data" in tables else tables[0])
    if {"columns", "data"} <= found.keys() or (is_cut and {"columns", "index"} & found.keys()):
        raise _of_pandas(name, "split")
    if values and all(isinstance(value, dict) and value for value in values):
        numbered = all(key.isdecimal() for key in values[0])
        raise _of_pandas(name, "columns" if numbered or not all(key.isdecimal() for key in found) else "index")
    if values and all(isinstance(value, list) for value in values):
        raise _of_pandas(name, "lists")


def _of_pandas(name: str, way: str) -> DataError:
    what, read = _PANDAS[way]
    code = f"import json, sys, pandas; {read}.to_json('rows.jsonl', orient='records', lines=True)"
    return DataError(f"{name} holds {what}, not records", hint=f"write it as JSON Lines: {_python(code, name)}")


def _under_key(name: str, key: str) -> DataError:
    code = f"import json, sys; json.dump(json.load(open(sys.argv[1]))[{key!r}], open('rows.json', 'w'))"
    return DataError(
        f'{name} is one object whose records are under the key "{key}"', hint=f"take them out: {_python(code, name)}"
    )


def _python(code: str, name: str) -> str:
    """The command; in double quotes, which are easier to read, if those change nothing in it."""
    quoted = shlex.quote(code) if set(code) & set('"$`\\!') else f'"{code}"'
    return f"{shlex.quote(sys.executable)} -c {quoted} {shlex.quote(name)}"
