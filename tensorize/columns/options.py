"""What to make of a table. The fields become the command's flags and `prepare()`'s keywords."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from pydantic.fields import FieldInfo

from tensorize.columns.dates.notations import check_notation
from tensorize.columns.reader import INDEX, INFINITE
from tensorize.core import registry
from tensorize.core.errors import UsageError
from tensorize.core.options import OWN, READING, BadOptions, Options, Several, SplitOptions, column_and, flag


def _read_by(value: Any, info: ValidationInfo) -> Any:
    """A reader's options, by its own model."""
    return value if isinstance(value, Options) or info.context is None else info.context.model_validate(value)


def _readers() -> dict[str, type[Options]]:
    """Name → options of every reader; one of a plug-in that cannot be loaded has none."""
    found: dict[str, type[Options]] = {}
    for name, entry in registry.table("readers").items():
        with suppress(UsageError):
            found[name] = entry.load().Options
    return found


def _options_of(reader: Any, names: Collection[str]) -> type[Options]:
    """The model of a reader's options: of the one that was named, else of the first that has all of these.

    Raises UsageError for a reader that is not there, and for an option that it does not have.
    """
    if reader is None and not names:
        return Options
    readers = _readers()
    if isinstance(reader, str) and reader not in readers:
        registry.load("readers", reader)
    named = reader or next((name for name, options in readers.items() if set(names) <= options.model_fields.keys()), None)
    first = named or next(name for name, options in readers.items() if not options.model_fields.keys().isdisjoint(names))
    foreign = [name for name in names if name not in readers[first].model_fields]
    if foreign:
        raise UsageError(f"{of_reader(foreign)}, not of {first}", hint=f"omit {said_flags(foreign)}")
    return readers[first]


def of_reader(names: Sequence[str]) -> str:
    """Such as `--delimiter is an option of the csv reader`."""
    owner = next(name for name, options in _readers().items() if names[0] in options.model_fields)
    what = "is an option" if len(names) == 1 else "are options"
    return f"{said_flags(names)} {what} of the {owner} reader"


def said_flags(names: Sequence[str]) -> str:
    """Options as flags."""
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _texts(value: Any) -> Iterator[str]:
    """Every text in nested options."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


class RowOptions(SplitOptions, BadOptions):
    """How rows are read: the reader's own options, in `reading`, and what holds for every reader."""

    reader: str | None = flag(None, "The reader, such as csv or parquet; found from the content, then the suffix.", "NAME")
    reading: Annotated[SerializeAsAny[Options], BeforeValidator(_read_by)] = Options()
    type: Several = flag((), "Override a column's kind: COL:number, COL:category, COL:bool or COL:time.", "COL:KIND")
    na: Several = flag(
        (),
        "More words that mean a missing value, besides the empty cell (NA, NaN, null in numbers); inf: infinite numbers.",
        "WORDS",
    )
    where: str | None = flag(None, 'Keep only the rows for which this holds, such as "quality > 3 and pH < 3.5".', "CONDITION")

    @property
    def na_words(self) -> tuple[str, ...]:
        """The words of `na`, each as it was given and split on commas."""
        parts = (part.strip() for flag in self.na if "," in flag for part in flag.split(","))
        words = dict.fromkeys((*self.na, *(part for part in parts if part)))
        return tuple(dict.fromkeys((*words, *(INFINITE if "inf" in words else ()))))

    written: ClassVar[tuple[str, ...]] = ("reader", "na")

    @classmethod
    def limit_names(cls) -> tuple[str, ...]:
        """Those of every reader besides the kind's own: what a recipe is applied to may be read by another one."""
        return tuple(
            dict.fromkeys([*cls.limiting, *(name for options in _readers().values() for name in options.limit_names())])
        )

    @classmethod
    def written_names(cls) -> tuple[str, ...]:
        """The kind's own, and what readers are told of a source besides limits: it may be read by another reader now."""
        theirs = (name for options in _readers().values() for name in options.model_fields if name not in options.limit_names())
        return tuple(dict.fromkeys((*cls.written, *theirs)))

    @classmethod
    def merged(cls, own: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
        """New data may be of another reader: then the recipe's reader, and its options, say nothing about them."""
        readers = {name: options.model_fields.keys() for name, options in _readers().items()}
        theirs = set[str]().union(*readers.values()) - cls.model_fields.keys()
        able = [name for name, fields in readers.items() if theirs & new.keys() <= fields]
        named = new.get("reader") or (own.get("reader") if own.get("reader") in able else next(iter(able), None))
        if named not in readers or not (theirs | {"reader"}) & new.keys():
            return super().merged(own, new)
        kept = {name: value for name, value in own.items() if name not in theirs or name in readers[named]}
        if kept.get("reader") != named:
            kept.pop("reader", None)
        return super().merged(kept, new)

    @classmethod
    def panels(cls) -> Mapping[str, Mapping[str, FieldInfo]]:
        """The kind's own options, and a panel for each reader that has some; a name belongs to the first that has it."""
        own = {name: field for name, field in cls.model_fields.items() if name != READING}
        panels, seen = {OWN: own}, set(own)
        for name, options in _readers().items():
            fields = {item: field for item, field in options.model_fields.items() if item not in seen}
            seen |= fields.keys()
            if fields:
                panels[f"Reading {name.upper()}"] = fields
        return panels

    @classmethod
    def validated(cls, values: Mapping[str, Any]) -> Self:
        """Options as they are named, flat: those that are not the kind's are a reader's."""
        own = {name: value for name, value in values.items() if name in cls.model_fields}
        theirs = {name: value for name, value in values.items() if name not in own}
        reader = _options_of(values.get("reader"), theirs)
        return cls.model_validate({**own, READING: theirs}, context=reader)

    @model_serializer(mode="wrap")
    def _flat(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The reader's options stand among the kind's."""
        found: dict[str, Any] = {}
        for name, value in handler(self).items():
            found.update(value if name == READING else {name: value})
        return found


class ColumnOptions(RowOptions):
    """The options of each column."""

    written: ClassVar[tuple[str, ...]] = (*RowOptions.written, "time_format")

    target: Several = flag((), "What is to be predicted: one column or several.", "COLS")
    task: Literal["auto", "classes", "numbers"] = flag(
        "auto", "Whether the target is a class index (int64) or a number (float32)."
    )
    drop: Several = flag((), "Columns that become no feature.", "COLS")
    onehot: Several = flag(
        (), "One channel for each category: COL, or the categories declared: COL:10 (0..9), COL:1..4, COL:red,green.", "COLS"
    )
    keep: Several = flag((), "One-hot columns whose plain number is kept too.", "COLS")
    ordinal: Several = flag((), "Ranks in a declared order: COL:bad<ok<good.", "COL:ORDER")
    zscore: Several = flag((), "Scale these: (x − mean) / std of the train rows.", "COLS")
    minmax: Several = flag((), "Scale these: (x − min) / (max − min) of the train rows; not clipped.", "COLS")
    raw: Several = flag((), "Leave these as they are.", "COLS")
    scale: Literal["zscore", "minmax", "none"] = flag("zscore", "How the other numeric columns are scaled.")
    file_column: str | None = flag(None, "Add a column of this name that holds the file of each row.", "NAME")
    time_features: Several = flag((), "Turn a date column into calendar parts: COL, or COL:month,weekday,hour.", "COL")
    time_format: Several = flag(
        (),
        'How dates are written, where their cells do not tell: a format such as "%d.%m.%y %H:%M", day-first, month-first, or '
        "s, ms, us or ns since 1970; COL=FORMAT for one column.",
        "FORMAT",
    )
    step: Several = flag((), "Any registered step: NAME:COLS[:key=value].", "STEP")
    missing: Several = flag(
        ("error",),
        "What to do with missing values: error, drop, mean, median, mode or a VALUE; COL=POLICY for one column.",
        "POLICY",
    )
    indicator: bool = flag(False, "Add a 0/1 channel for each column that lacks values in train.")
    unseen: Literal["error", "unknown"] = flag("error", "A category that train has not: an error, or an all-zero block (id 0).")
    max_categories: int = flag(
        100, "A text column with more values than this is not one-hot without being told.", ge=1, le=65_536
    )
    max_distinct: int = flag(
        1_000_000, "Refuse a column of more distinct categories, which are held in memory.", "N", ge=1, le=10_000_000
    )
    ddof: Literal[1, 0] = flag(1, "Degrees of freedom taken off in the standard deviation: 1 sample, 0 population.")

    declared_categories: ClassVar[Mapping[str, str]] = {}

    def declared(self, column: str) -> str | None:
        """Categories that the kind itself declares for a column, in the notation of `--onehot COL:…`."""
        return self.declared_categories.get(column)

    @property
    def amendable(self) -> tuple[str, ...]:
        """Ids are shifted by the one that is reserved for unseen categories: there, `unseen` is settled."""
        shifts = getattr(self, "encode", None) == "ids"
        return (*super().amendable, "missing", *(() if shifts else ("unseen",)))

    @property
    def column_steps(self) -> tuple[str, ...]:
        """`--step NAME:COLS[:key=value]`."""
        return self.step

    @property
    def tells_repeats(self) -> bool:
        """Whether rows that equal earlier ones are looked for: not before a flag says what to do with them."""
        return "duplicate_rows" in self.model_fields_set

    target_stays_input: ClassVar[bool] = False
    """Whether a target is an input, too: the past of a series is what its future is told from."""

    def for_predict(self) -> Self:
        """No column is read for a target."""
        gone = () if self.target_stays_input else self.target
        return super().for_predict().model_copy(update={"target": (), "drop": (*self.drop, *gone)})

    def mentions(self, column: str) -> bool:
        """Whether a flag names a column."""
        whole = re.compile(rf"(?<!\w){re.escape(column)}(?!\w)")
        return any(whole.search(text) for text in _texts(self.model_dump(exclude_defaults=True)))

    def settled(self, names: Sequence[str]) -> Self:
        """An index column that no flag names is the id, where there is none, or left out: it is not a feature."""
        if len(names) < 2 or names[0] != INDEX or self.mentions(INDEX):
            return self
        if "id" in type(self).model_fields and getattr(self, "id", None) is None:
            return self.model_copy(update={"id": INDEX})
        return self.model_copy(update={"drop": (*self.drop, INDEX)})

    def key_columns(self, names: Sequence[str]) -> Sequence[str]:
        """Columns that are needed but excluded from the features, besides those of `--id`, `--group` and `--order`."""
        del names
        return ()

    def notation(self, column: str, names: Sequence[str]) -> str | None:
        """How the dates of a column are written, as `--time-format` says. Raises UsageError for what is no notation."""
        found = None
        for value in self.time_format:
            name, given = column_and(value, names, "=")
            if given is None or name not in names:
                found = check_notation(value) if found is None else found
            elif name == column:
                found = check_notation(given)
        return found

    def clock(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns that tell the time of a row: one of dates, which may be followed by one of hours."""
        del names
        return ()

    def ordering(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns without which a row has no place: `apply` needs them, too."""
        return self.clock(names)


class TableOptions(ColumnOptions):
    """Options of `table`."""

    id: str | None = flag(None, "A column carried along to tell the rows, never a feature.", "COL")
    encode: Literal["onehot", "ids"] = flag("onehot", "Store one-hot channels, or int64 ids that are expanded on read.")
    stratify: str | None = flag(None, "Split within each value of this column.", "COL")
    group: str | None = flag(None, "Rows of one value of this column stay in one split; it is no feature.", "COL")
    order: str | None = flag(None, "Split by the value of this column, the lowest first; it is no feature.", "COL")
    split_by: str | None = flag(None, "Split as this column says: train, val or test; it is no feature.", "COL")
    duplicate_rows: Literal["keep", "drop", "error"] = flag(
        "keep", "How to handle rows that equal an earlier one in all features and targets."
    )

    @field_validator("split_by")
    @classmethod
    def _one_split(cls, column: str | None, info: ValidationInfo) -> str | None:
        if column and (info.data.get("split") or any(info.data.get(way) for way in ("stratify", "group", "order"))):
            raise ValueError("the column says the splits: omit --split, --stratify, --group and --order")
        return column
