"""Read JSON files: parse them once in blocks of lines, keep what was parsed in the engine, and settle the schema at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import pyarrow as pa

from tensorize.columns.reader import Needs, Partition
from tensorize.core.contracts import Facts, Run
from tensorize.core.errors import DataError, plural, some
from tensorize.core.rejects import Reject
from tensorize.core.schema import Schema
from tensorize.readers.csv.encoding import encoding_notes
from tensorize.readers.csv.infer import Seen, allows, column, is_code, is_mixed, without_misfits
from tensorize.readers.jsonl.bad import BadLines
from tensorize.readers.jsonl.block import BlockFacts, ReadLineBlock, first_guess
from tensorize.readers.jsonl.cells import Leaf, Storing, look_again
from tensorize.readers.jsonl.mixed import MixedColumns
from tensorize.readers.jsonl.names import JsonKey, JsonKeys
from tensorize.readers.jsonl.options import JsonOptions
from tensorize.readers.jsonl.places import LinePlaces
from tensorize.readers.jsonl.rows import JsonRows, KeptBlock, cells_of
from tensorize.sources.files import InputFile

_NUMBERS = Seen.INT | Seen.FLOAT | Seen.BIG


class RecordLayout(NamedTuple):
    """How the records of a format lie in its files."""

    format: str
    """Such as `JSON Lines`."""
    noun: str
    """What messages call a record."""
    cut: Callable[[InputFile, JsonOptions, int], Iterator[bytes]]
    """Cuts a file into blocks of about so many bytes, each of whole records, one on a line."""


class JsonParser:
    """Parses JSON files once, and finds out what they hold. The engine keeps what was parsed.

    Invalid lines are an error that lists them all, or are passed to `run.rejects` if that skips.
    """

    def __init__(
        self,
        files: Sequence[InputFile],
        options: JsonOptions,
        needs: Callable[[Sequence[str]], Needs],
        run: Run,
        way: RecordLayout,
    ) -> None:
        self._files, self._options, self._needs, self._run, self._way = files, options, needs, run, way
        self._keys, self._places = JsonKeys(), LinePlaces()
        self._bad = BadLines(run.rejects, way.noun)
        self._parts: list[Partition] = []
        self._count = self._blanks = self._nans = 0

    def rows(self) -> JsonRows:
        """Parse everything. Raises DataError for what is wrong with the files."""
        self._parse()
        keys = self._columns()
        needs = self._needs([key.name for key in keys])
        wanted = {key.name: key for key in keys if key.name in needs.wanted}
        self._check_nested(wanted.values())
        seen = self._settled({name: self._seen(key, needs) for name, key in wanted.items()}, wanted, needs)
        schema = Schema(columns=tuple(column(name, seen[name], needs.forced.get(name)) for name in needs.wanted))
        codes = tuple(name for name in needs.wanted if is_code(seen[name]) and name not in needs.forced)
        return JsonRows(
            schema,
            self._facts(len(keys)),
            needs,
            self._count,
            codes,
            self._whole(schema, wanted, needs),
            tuple(self._parts),
            {item.name: Storing.of(item, seen[item.name], item.name in codes, needs) for item in schema.columns},
            self._bad.rows,
            self._run.engine.store,
            self._places,
        )

    def _parse(self) -> None:
        total, done = sum(file.size for file in self._files), 0
        for number, file in enumerate(self._files):
            self._places.start(file.name)
            for found, ref in self._read(file):
                self._note(found, ref, number)
                done += found.size
                self._run.report("parse", done, total)
        self._bad.check(self._options.encoding)
        if not self._count:
            raise DataError(f"{self._files[0].name} has no row", hint=f"there is no {self._way.noun} in it")
        self._run.rejects.saw(self._count, "row")

    def _read(self, file: InputFile) -> Iterator[tuple[BlockFacts, object]]:
        """Read one file, block by block and in order; the engine keeps what was read."""
        blocks = self._way.cut(file, self._options, self._run.partition_bytes)
        first = next(blocks, None)
        if first is None:
            return
        guess = first_guess(first)
        self._keys.add(Leaf(path) for path in guess.paths(self._options.flatten))
        yield from self._run.engine.keep(ReadLineBlock(guess, self._options.flatten), chain([first], blocks))

    def _note(self, found: BlockFacts, ref: object, number: int) -> None:
        """Remember what was seen in a block of the file of this number."""
        file = self._files[number].name
        start = self._places.add(found.rows, found.blanks)
        self._keys.add(found.leaves, start, found.rows)
        for item, raw in found.bad:
            _, line = self._places.line(start + item.row)
            self._bad.add(Reject(file, item.kind, item.reason, start + item.row, line, item.column, raw))
        tagged = frozenset(leaf.name for leaf in found.leaves if leaf.tagged)
        self._parts.append(Partition(start, found.rows, KeptBlock(ref, found.columns, tagged), number))
        self._count += found.rows
        self._blanks += len(found.blanks)
        self._nans += found.nans
        if self._keys.count > self._options.max_columns:
            raise DataError(
                f"{file} has more than {self._options.max_columns:,} different keys",
                hint=f"are keys values? If all are columns: --max-columns {10 * self._options.max_columns}",
            )

    def _columns(self) -> list[JsonKey]:
        """The columns in order. Raises DataError if there is none, or two have one name."""
        keys = self._keys.columns()
        names = [key.name for key in keys]
        if not names:
            raise DataError(
                f"{self._files[0].name} has {plural(self._count, 'row')} and no key", hint="an object has to have keys"
            )
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            paths = " and ".join(" in ".join(f'"{part}"' for part in reversed(key.path)) for key in keys if key.name == twice)
            raise DataError(
                f'two keys make a column called "{twice}": {paths}', hint="rename one of them, or keep objects out: --flatten 0"
            )
        return keys

    def _check_nested(self, keys: Collection[JsonKey]) -> None:
        """Raise DataError that names every wanted column of which no cells can be made."""
        refused = [key for key in keys if key.refused]
        if not refused:
            return
        lines = []
        for key in refused:
            where = f"{self._places.of([key.nested[0]])[key.nested[0]]}  " if key.nested is not None else ""
            lines.append(f"{where}{key.name}  {key.refused}")
        deeper = any(key.nested is not None and key.nested[1] == "an object" for key in refused)
        raise DataError(
            f"{plural(len(refused), 'column holds', 'columns hold')} lists or objects, not single values",
            some(lines),
            "omit them: "
            + " ".join(f'--drop "{key.name}"' for key in refused)
            + (f"; or turn deeper objects into columns: --flatten {min(2 * self._options.flatten + 1, 64)}" if deeper else ""),
            {"drop": [key.name for key in refused]},
        )

    def _seen(self, key: JsonKey, needs: Needs) -> Seen:
        """What a column holds; as a CSV has it where a flag says what its strings are."""
        forced = needs.forced.get(key.name)
        if not key.text and not (forced == "bool" and key.seen & _NUMBERS):
            return key.seen
        if not needs.na and forced not in ("number", "bool"):
            return key.seen
        seen = Seen.NOTHING
        for _, _, cells in self._cells([key.name]):
            if key.name in cells:
                seen |= look_again(*cells[key.name], forced, needs.na)
        return seen

    def _settled(self, seen: dict[str, Seen], keys: Mapping[str, JsonKey], needs: Needs) -> dict[str, Seen]:
        """What the columns hold once misfits are left out. Raises DataError if they are not."""
        forced = needs.forced
        mixed = [name for name in seen if name not in forced and name not in needs.lenient and is_mixed(seen[name])]
        wrong = [name for name in seen if not allows(forced.get(name), seen[name])]
        if not mixed and not wrong:
            return seen
        quoted = [name for name in mixed if keys[name].text and not keys[name].text & ~(_NUMBERS | Seen.NA)]
        names = [*mixed, *wrong]
        MixedColumns(names, quoted, forced, needs.na).settle(partial(self._cells, names), self._bad, self._places)
        return {name: without_misfits(what, forced.get(name)) if name in names else what for name, what in seen.items()}

    def _cells(self, names: Collection[str]) -> Iterator[tuple[int, int, dict[str, tuple[pa.Array, bool]]]]:
        return cells_of(self._run.engine.store, self._parts, names)

    def _whole(self, schema: Schema, keys: Mapping[str, JsonKey], needs: Needs) -> frozenset[str]:
        """Columns of numbers, and of true and false, of which no cell is missing or infinite."""
        if needs.na:
            return frozenset()
        return frozenset(
            item.name for item in schema.columns if item.storage != "string" and keys[item.name].whole == self._count
        )

    def _facts(self, width: int) -> Facts:
        files, options = self._files, self._options
        return Facts(
            files[0].name if len(files) == 1 else f"{files[0].name} … {files[-1].name}",
            len(files),
            sum(file.size for file in files),
            f"{plural(self._count, 'row')} × {plural(width, 'column')}",
            (
                self._way.format,
                *encoding_notes(files[0], options.encoding, options.max_expansion),
                *([f"{plural(self._blanks, 'blank line')} skipped"] if self._blanks else []),
                *([f"{self._nans:,} NaN read as missing"] if self._nans else []),
            ),
        )
