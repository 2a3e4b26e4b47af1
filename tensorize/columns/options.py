"""What to make of a table. The fields become the command's flags and `prepare()`'s keywords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field

from tensorize.core.options import BadOptions, Several, SplitOptions
from tensorize.core.units import parse_size


def flag(default: Any, help_: str, metavar: str = "", **limits: Any) -> Any:
    """A field with its help text and the placeholder that the command line shows for its value."""
    return Field(default, description=help_, json_schema_extra={"metavar": metavar} if metavar else None, **limits)


def _bytes(value: Any) -> Any:
    """`4MB` or a number of bytes."""
    return parse_size(value) if isinstance(value, str) else value


Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]


class CsvOptions(SplitOptions, BadOptions):
    """How the file is to be read. What is not given is found from the file and said in the summary."""

    limiting: ClassVar[tuple[str, ...]] = ("max_columns", "max_header", "max_cell", "max_expansion")

    delimiter: str | None = flag(
        None, "What separates the cells; found from the file when not given (tab, comma, ; or |).", "CHAR"
    )
    header: Literal["auto", "yes", "no"] = flag("auto", "Whether the first line names the columns.")
    names: Several = flag((), "Names of the columns, replacing those of the header.", "NAMES")
    skip_lines: int = flag(0, "Lines at the start of a file that are no part of the table.", "N", ge=0)
    decimal: Literal["auto", ".", ","] = flag("auto", "The decimal mark.")
    thousands: Literal[",", ".", " ", "'"] | None = flag(None, "The mark between thousands, as in 1,234,567.", "CHAR")
    quote: str = flag("auto", 'The quote character, or "none"; found from the file when not given (" or \').', "CHAR")
    escape: str = flag("auto", 'What takes away the meaning of a quote, or "none"; a backslash is found.', "CHAR")
    blank: Literal["error", "skip", "missing"] = flag(
        "error", "What a blank line between rows is: an error, nothing, or (in a single column) a missing value."
    )
    encoding: str = flag("utf-8-sig", "The encoding of the text.", "NAME")
    max_columns: int = flag(65_536, "Refuse a table of more columns.", "N", ge=1)
    max_header: Bytes = flag(1 << 20, "Refuse a header of more bytes, such as 4MB.", "SIZE")
    max_cell: Bytes = flag(16 << 20, "Refuse a cell of more bytes, such as 64MB.", "SIZE")
    max_expansion: int = flag(200, "Refuse a compressed file that grows to more than this many times its size.", "N", ge=1)
    type: Several = flag((), "Override a column's kind: COL:number, COL:category, COL:bool or COL:time.", "COL:KIND")
    na: Several = flag(
        (), "More words that mean a missing value, besides the empty cell (and NA, NaN, null in number columns).", "WORDS"
    )
    where: str | None = flag(None, 'Keep only the rows for which this holds, such as "quality > 3 and pH < 3.5".', "CONDITION")


class ColumnOptions(CsvOptions):
    """What becomes of each column."""

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
    time_features: Several = flag((), "Turn a date column into calendar parts: COL, or COL:month,weekday,hour.", "COL")
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

    target_stays_input: ClassVar[bool] = False
    """Whether a target is an input, too: the past of a series is what its future is told from."""

    def for_predict(self) -> Self:
        """No column is read for a target."""
        gone = () if self.target_stays_input else self.target
        return super().for_predict().model_copy(update={"target": (), "drop": (*self.drop, *gone)})

    def key_columns(self, names: Sequence[str]) -> Sequence[str]:
        """Columns that are needed and no feature, besides those of `--id`, `--group` and `--order`."""
        del names
        return ()

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
