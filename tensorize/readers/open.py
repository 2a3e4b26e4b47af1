"""One door for tabular sources: the reader is chosen by content, then by suffix, and opens what the loaders go through."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tensorize.columns.dates.rows import with_dates
from tensorize.columns.options import ColumnOptions, of_reader, said_flags
from tensorize.columns.reader import Needs, Reader, Recognises, Rows
from tensorize.columns.roles import needs, needs_of
from tensorize.core import registry
from tensorize.core.contracts import Run
from tensorize.core.errors import UsageError
from tensorize.core.options import Options
from tensorize.core.schema import Schema
from tensorize.readers.file_column import FileColumn
from tensorize.sources.databases import Database, is_database, parse_database
from tensorize.sources.files import InputFile, resolve

MEMORY, DEFAULT, SQL = "memory", "csv", "sql"
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")


def open_table(
    source: Any,
    options: ColumnOptions,
    run: Run,
    schema: Schema | None = None,
    asked: Callable[[Sequence[str]], Needs] | None = None,
) -> Rows:
    """Look at a source; with a recipe's `schema`, its columns must be there and have its kinds.

    `asked` says from the names of all columns what is wanted of them, where that is not what the options say.

    Raises UsageError for options of a reader that does not read it; those that a recipe holds are ignored.
    """

    def wanted(names: Sequence[str]) -> Needs:
        if asked is not None:
            return asked(names)
        return needs(names, options.settled(names)) if schema is None else needs_of(schema, options, names)

    held: Any = _held(source)
    name = _chosen(held, options, is_path(source), applies=schema is not None)
    reader: Reader = registry.load("readers", name)()
    own = _own(options, name, reader, held, applies=schema is not None)
    if options.file_column is None or name == MEMORY:
        return with_dates(reader.open(held, own, wanted, run), learns=schema is None)
    files = FileColumn(options.file_column, wanted)
    rows = files.added(reader.open(held, own, files.asked, run), [file.name for file in held])
    return with_dates(rows, learns=schema is None)


def _held(source: Any) -> Any:
    """What a reader opens: the files of a path, a database of its address, or what Python holds."""
    if is_database(source):
        found = parse_database(source)
        return [found] if isinstance(found, Database) else resolve(found)
    return resolve(source) if is_path(source) else source


def is_path(source: Any) -> bool:
    """A path, a glob, `-`, or a list of those."""
    if isinstance(source, list | tuple):
        return bool(source) and all(is_path(part) for part in source)
    return isinstance(source, str | os.PathLike)


def _chosen(held: Any, options: ColumnOptions, files: bool, *, applies: bool) -> str:
    """The name of the reader. One that a recipe names yields to what new data certainly are."""
    applies = applies and "reader" not in options.new
    named = options.reader
    if not files:
        if named not in (None, MEMORY) and not applies:
            raise UsageError(f"--reader {named} reads files; {type(held).__name__} is read by {MEMORY}", hint="omit it")
        return MEMORY
    if isinstance(held[0], Database):
        if named not in (None, SQL) and not applies:
            raise UsageError(f"--reader {named} reads files; a database is read by {SQL}", hint="omit it")
        return SQL
    if named is not None and not applies:
        if named == MEMORY:
            raise UsageError(f"--reader {MEMORY} reads what Python holds, not files", hint="omit it")
        return named
    first: InputFile = held[0]
    by_content, by_suffix = readers_of(first)
    return by_content or (named if named != MEMORY else None) or by_suffix or DEFAULT


def readers_of(file: InputFile) -> tuple[str | None, str | None]:
    """The names of the readers that a file belongs to by its content, and by its suffix; None where that does not tell.

    A reader may have a function `recognises`: see `tensorize.columns.reader.Recognises`.
    """
    readers = _readers()
    head, suffix = file.head(), _suffix(file.name)
    verdicts = {name: _recognises(reader, head, file) for name, reader in readers.items()}
    by_content = next((name for name, verdict in verdicts.items() if verdict), None)
    fits = (name for name, reader in readers.items() if suffix in reader.suffixes and verdicts[name] is not False)
    return by_content, next(fits, None)


def _recognises(reader: Reader, head: bytes, file: InputFile) -> bool | None:
    """Whether a file is of the format of a reader; None if its content does not tell."""
    if reader.magic and not head.startswith(tuple(reader.magic)):
        return False if isinstance(reader, Recognises) else None
    if isinstance(reader, Recognises):
        return reader.recognises(file)
    return True if reader.magic else None


def _suffix(name: str) -> str:
    path = Path(name)
    return (path.with_suffix("") if path.suffix.lower() in _PACKED else path).suffix.lower()


def _readers() -> dict[str, Reader]:
    """Every reader that can be loaded."""
    found: dict[str, Reader] = {}
    for name, entry in registry.table("readers").items():
        with suppress(UsageError):
            found[name] = entry.load()
    return found


def _own(options: ColumnOptions, name: str, reader: Reader, held: Any, *, applies: bool) -> Options:
    """The options of the reader that was chosen. Raises UsageError for those of another one, unless a recipe holds them."""
    reading = options.reading
    if type(reading) is reader.Options:
        return reading
    given = reading.model_dump(exclude_defaults=True)
    foreign = [item for item in given if item not in reader.Options.model_fields]
    wrong = [item for item in foreign if not applies or (item in options.new and item not in options.limit_names())]
    if wrong:
        source = held[0].name if name != MEMORY else type(held).__name__
        raise UsageError(f"{of_reader(wrong)}; {source} is read by {name}", hint=f"omit {said_flags(wrong)}")
    return reader.Options.parse({item: value for item, value in given.items() if item not in foreign})
