"""Options: what to make. A pydantic model for each kind; recorded in the recipe, turned into a command's flags.

`Run` (in `tensorize.core.contracts`) is the other half: how to do it, never recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from tensorize.core.errors import UsageError, near
from tensorize.core.rejects import allowed
from tensorize.core.units import parse_size

LARGEST = 10**12
"""What a whole number among the options, or learned, is at most."""


def as_list(value: Any) -> Any:
    """One value, or a list of them, becomes a tuple; a flag may be given once or many times."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Several = Annotated[tuple[str, ...], BeforeValidator(as_list)]
"""Column lists as the user gave them; `columns()` splits them once the names are known."""


def flag(default: Any, help_: str, metavar: str = "", **limits: Any) -> Any:
    """A field with its help text and the placeholder that the command line shows for its value."""
    return Field(default, description=help_, json_schema_extra={"metavar": metavar} if metavar else None, **limits)


def _bytes(value: Any) -> Any:
    """`4MB` or a number of bytes."""
    return parse_size(value) if isinstance(value, str) else value


Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]

OWN = "What to make"
"""The title of the options that are a kind's own."""

READING = "reading"
"""The field of a kind's options that holds the reader's own, which stand beside the kind's wherever options are named."""


def ratios(value: Any) -> Any:
    """`"0.8,0.1,0.1"`, a sequence of numbers or a single one → a tuple of floats."""
    if value is None or value == "":
        return ()
    if isinstance(value, int | float):
        return (float(value),)
    return tuple(float(part) for part in value.split(",")) if isinstance(value, str) else tuple(value)


def _limit(value: Any) -> Any:
    """A count may be a number."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str):
        allowed(text, 0)
    return text


Ratios = Annotated[tuple[float, ...], BeforeValidator(ratios)]


class Options(BaseModel):
    """The root of every kind's options: frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    limiting: ClassVar[tuple[str, ...]] = ()
    """The fields that say how much may be read or held: `apply` takes others than the recipe's, since they change no bit."""

    written: ClassVar[tuple[str, ...]] = ()
    """The fields that say how a source is written, such as its encoding: new data may be written in another way."""

    _new: frozenset[str] = PrivateAttr(frozenset())

    @classmethod
    def limit_names(cls) -> tuple[str, ...]:
        """`limiting`, and those of the parts that the kind is put together from."""
        return cls.limiting

    @classmethod
    def written_names(cls) -> tuple[str, ...]:
        """`written`, and those of the parts that the kind is put together from."""
        return cls.written

    @classmethod
    def unrecorded_names(cls) -> tuple[str, ...]:
        """What `apply` takes in place of the recipe's, and records nowhere: limits, and how the new data are written."""
        return tuple(dict.fromkeys((*cls.limit_names(), *cls.written_names())))

    @classmethod
    def merged(cls, own: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
        """A recipe's own options, those in `new` in place of them."""
        return {**own, **new}

    @property
    def new(self) -> frozenset[str]:
        """The options that were given for new data, instead of by the recipe that is applied."""
        return self._new

    def with_new(self, names: Iterable[str]) -> Self:
        """The same options, some of which were given for new data."""
        self._new = frozenset(names)
        return self

    @classmethod
    def panels(cls) -> Mapping[str, Mapping[str, FieldInfo]]:
        """Title → option → field: the kind's own under `OWN`, and those of the parts it is put together from."""
        return {OWN: cls.model_fields}

    @classmethod
    def fields(cls) -> dict[str, FieldInfo]:
        """Every option by name."""
        return {name: field for fields in cls.panels().values() for name, field in fields.items()}

    @property
    def amendable(self) -> tuple[str, ...]:
        """The policies for what only new data can bring: `apply` takes others, and records them in its output's recipe."""
        return ()

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        """Numbers that no input has can only be meant to break something."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if type(value) is int and name != "seed" and not -LARGEST <= value <= LARGEST:
                raise ValueError(f"{name.replace('_', '-')} is at most {LARGEST:,}")
        return self

    def settled(self, names: Sequence[str]) -> Self:
        """The options with what the column names alone decide: recorded in the recipe."""
        del names
        return self

    def for_apply(self) -> Self:
        """The options that `apply` repeats: everything but what picks or splits rows of the first source."""
        return self

    def for_predict(self) -> Self:
        """The options of `apply` that make inputs alone, whatever a source has of targets."""
        return self.for_apply()

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Validate, and turn pydantic's report into a `UsageError` that names every wrong option."""
        if not values.keys() <= cls.model_fields.keys() - {READING}:
            known = sorted(cls.fields())
            unknown = [name for name in values if name not in known]
            if unknown:
                raise UsageError(
                    "; ".join(f'there is no option "{name}"{near(name, known)}' for name in unknown),
                    hint="options: " + ", ".join(known),
                )
        try:
            return cls.validated(values)
        except ValidationError as error:
            raise UsageError(*_explained(error)) from None

    @classmethod
    def validated(cls, values: Mapping[str, Any]) -> Self:
        """The options of known names. Raises pydantic.ValidationError."""
        return cls(**values)


class BadOptions(Options):
    """Options of every kind that can leave out invalid items; its loader passes them to `Run.rejects`."""

    on_bad: Literal["error", "skip"] = Field(
        "error", description="What cannot be read as what it should be: an error, or left out, counted and listed."
    )
    max_bad: Annotated[str, BeforeValidator(_limit)] = Field(
        "0.5%",
        description="With --on-bad skip: how much may be bad, a percentage or a count; above it the run fails.",
        json_schema_extra={"metavar": "N|N%"},
    )

    @property
    def amendable(self) -> tuple[str, ...]:
        """Those of the root, and how invalid items are handled."""
        return (*super().amendable, "on_bad", "max_bad")

    @field_validator("max_bad")
    @classmethod
    def _skips(cls, limit: str, info: ValidationInfo) -> str:
        if info.data.get("on_bad") == "error":
            raise ValueError("nothing bad is left out without --on-bad skip")
        return limit


class SplitOptions(Options):
    """Options of every kind that can be split."""

    split: Ratios = Field(
        (),
        description="Ratios of train, test or train, val, test, such as 0.8,0.1,0.1.",
        json_schema_extra={"metavar": "RATIOS"},
    )
    seed: int = Field(0, ge=0, lt=1 << 63, description="Seed of the split: the same seed gives the same rows.")

    @field_validator("split")
    @classmethod
    def _ratios(cls, split: tuple[float, ...]) -> tuple[float, ...]:
        if split and (len(split) not in (2, 3) or min(split) <= 0 or abs(sum(split) - 1) > 1e-9):
            raise ValueError("give two ratios (train, test) or three (train, val, test) that sum to 1, such as 0.8,0.1,0.1")
        return split

    @property
    def split_names(self) -> tuple[str, ...]:
        """`()`, `("train", "test")` or `("train", "val", "test")`."""
        return {0: (), 2: ("train", "test"), 3: ("train", "val", "test")}[len(self.split)]

    def for_apply(self) -> Self:
        """Without the split: new data are never split."""
        return self.model_copy(update={"split": ()})


def _explained(error: ValidationError) -> tuple[str, list[str]]:
    """Pydantic's report as a headline and a line for each option."""
    lines = []
    for item in error.errors():
        name = next((str(part) for part in item["loc"] if part != READING), "").replace("_", "-")
        lines.append(f"--{name} {item['input']!r}: {item['msg'].removeprefix('Value error, ')}")
    return ("an option is wrong" if len(lines) == 1 else "some options are wrong"), lines


def columns(flags: Sequence[str], known: Iterable[str], flag: str) -> list[str]:
    """Split column lists: a whole name first, then split on commas.

    Raises UsageError that names every unknown column, with the nearest known one.

    >>> columns(["a,b", "x, y"], ["a", "b", "x, y"], "--drop")
    ['a', 'b', 'x, y']
    """
    names = list(known)
    found: list[str] = []
    wrong: list[str] = []
    for value in flags:
        parts = [value] if value in names else value.split(",")
        for part in parts:
            name = part if part in names else part.strip()
            (found if name in names else wrong).append(name)
    if wrong:
        raise unknown_columns(wrong, names, flag)
    return list(dict.fromkeys(found))


def unknown_columns(wrong: Sequence[str], known: Sequence[str], flag: str) -> UsageError:
    """The error for column names that do not exist."""
    said = "; ".join(f'"{name}"{near(name, known)}' for name in dict.fromkeys(wrong))
    noun = "column" if len(set(wrong)) == 1 else "columns"
    return UsageError(f"there is no {noun} {said}  ({flag})", hint="columns: " + ", ".join(known))


def column_and(value: str, known: Iterable[str], sign: str = ":") -> tuple[str, str | None]:
    """Split `COL:REST` (or `COL=REST`) at the sign after the longest column name that is known.

    >>> column_and("a:b:1..4", ["a", "a:b"])
    ('a:b', '1..4')
    >>> column_and("a", ["a"])
    ('a', None)
    """
    names = list(known)
    if value in names:
        return value, None
    for name in sorted(names, key=len, reverse=True):
        if value.startswith(name + sign):
            return name, value[len(name) + len(sign) :]
    head, found, rest = value.partition(sign)
    return head, rest if found else None
