"""Find which column plays which part: input, target, id, or only a key for splitting and filtering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from tensorize.columns.options import ColumnOptions
from tensorize.columns.reader import Needs, Roles
from tensorize.columns.where import dated_columns, where_columns
from tensorize.core.errors import DataError, UsageError, near
from tensorize.core.options import column_and, columns, unknown_columns
from tensorize.core.schema import Kind, Schema

KEYS = ("id", "group", "order", "split_by")
"""Options that name a column which is excluded from the features."""


def one(options: Any, name: str) -> str | None:
    """The column that a single-column option names, None if the kind has no such option."""
    value = getattr(options, name, None)
    return cast("str | None", value)


def find_roles(names: Sequence[str], options: ColumnOptions) -> Roles:
    """Give every column its part. Raises UsageError for columns that do not exist, all of a flag at once."""
    targets = columns(options.target, names, "--target")
    single = [column for option in (*KEYS, "stratify") if (column := one(options, option))]
    unknown = [column for column in (*single, *options.clock(names)) if column not in names]
    if unknown:
        raise unknown_columns(unknown, names, "--time, --id, --group, --order, --stratify, --split-by")
    no_feature = {column for option in KEYS if (column := one(options, option))}
    no_feature.update(options.key_columns(names), columns(options.drop, names, "--drop"))
    no_feature.update(() if options.target_stays_input else targets)
    inputs = [name for name in names if name not in no_feature]
    if not inputs:
        raise UsageError("no column is left as an input", hint="columns: " + ", ".join(names))
    others = {*single, *options.ordering(names), *where_columns(options.where, names)}
    keys = [name for name in names if name in others and name not in inputs and name not in targets]
    return Roles(tuple(names), tuple(inputs), tuple(targets), tuple(keys))


def needs(names: Sequence[str], options: ColumnOptions) -> Needs:
    """What a fresh run wants of the columns."""
    roles = find_roles(names, options)
    forced: dict[str, Kind] = dict.fromkeys(dated_columns(options.where, names), "time")
    for value in options.ordinal:
        forced[known(value, names, "--ordinal")[0]] = "category"
    for value in options.time_features:
        forced[known(value, names, "--time-features")[0]] = "time"
    forced.update(dict.fromkeys(options.clock(names)[:1], "time"))
    forced.update(_types(options, names))
    onehot = {known(value, names, "--onehot")[0] for value in separate(options.onehot, names)}
    lenient = frozenset({*onehot, *roles.keys} - set(forced))
    forced = {name: kind for name, kind in forced.items() if name in roles.wanted}
    dates = _dates(options, roles, forced)
    return Needs(roles, forced, lenient, _clocks(options, roles, forced, dates), dates, options.na_words)


def _dates(
    options: ColumnOptions, roles: Roles, forced: Mapping[str, Kind], schema: Schema | None = None
) -> dict[str, str | None]:
    """Columns that are read as dates → their notation: that of a flag, else that of a recipe's schema."""
    times = [name for name, kind in forced.items() if kind == "time"]
    stepped = [name for value in options.column_steps for name in value.split(":")[1:2]]
    as_text = {one(options, "id"), one(options, "group")}
    found: dict[str, str | None] = {}
    for name in (*times, *stepped, one(options, "order")):
        if name in roles.names and name not in as_text:
            known = schema[name].notation if schema is not None and name in schema else None
            found[name] = options.notation(name, roles.names) or known
    return found


def _clocks(
    options: ColumnOptions, roles: Roles, forced: Mapping[str, Kind], dates: Mapping[str, str | None]
) -> frozenset[str]:
    """The time of a series, where it is asked for nothing else: see `Needs`."""
    as_text = {*where_columns(options.where, roles.names), one(options, "id"), one(options, "group")}
    return frozenset(
        name
        for name in options.clock(roles.names)[:1]
        if name in roles.keys and forced.get(name) == "time" and name not in as_text and dates.get(name) is None
    )


def roles_of(schema: Schema, options: ColumnOptions) -> Roles:
    """Every column's part, by a recipe's schema, which lacks the columns that were dropped."""
    dropped = {name for flag in options.drop for name in (flag, *(part.strip() for part in flag.split(",")))}
    there = options.model_copy(update={"drop": tuple(name for name in schema.names if name in dropped)})
    return find_roles(schema.names, there)


def needs_of(schema: Schema, options: ColumnOptions, names: Sequence[str]) -> Needs:
    """What `apply` wants: the recipe's inputs and filters must be there, its targets and id may be.

    Raises DataError that names every missing column.
    """
    roles = roles_of(schema, options)
    filters = {*where_columns(options.where, schema.names), *options.ordering(schema.names)}
    needed, there = {*roles.inputs, *filters}, frozenset(names)
    lacking = [name for name in schema.names if name in needed and name not in there]
    if lacking:
        said = ", ".join(f'"{name}"{near(name, names)}' for name in lacking)
        raise DataError(f"columns that the recipe needs are missing: {said}", hint="columns here: " + ", ".join(names))
    keys = [name for name in roles.keys if name in names and (name in filters or name == one(options, "id"))]
    targets = [name for name in roles.targets if name in names]
    part = Roles(schema.names, roles.inputs, tuple(targets), tuple(keys))
    forced = {name: schema[name].kind for name in part.wanted}
    dates = _dates(options, part, forced, schema)
    return Needs(part, forced, clocks=_clocks(options, part, forced, dates), dates=dates, na=options.na_words)


def known(value: str, names: Sequence[str], flag: str) -> tuple[str, str | None]:
    """Split `COL:REST`. Raises UsageError if there is no such column."""
    name, rest = column_and(value, names)
    if name not in names:
        raise unknown_columns([name], names, flag)
    return name, rest


def separate(flags: Sequence[str], names: Sequence[str]) -> list[str]:
    """Split `a,b` into columns, and leave `X:red,green` whole: a declaration has a colon after a column's name."""
    found: list[str] = []
    for value in flags:
        name, rest = column_and(value, names)
        whole = value in names or (rest is not None and name in names)
        found += [value] if whole else [part.strip() for part in value.split(",")]
    return found


def _types(options: ColumnOptions, names: Sequence[str]) -> dict[str, Kind]:
    """`--type COL:KIND`, checked."""
    kinds = get_args(Kind)
    found: dict[str, Kind] = {}
    for value in options.type:
        name, kind = known(value, names, "--type")
        if kind not in kinds:
            raise UsageError(
                f"--type {value}: there is no kind {kind!r}{near(kind or '', kinds)}", hint="kinds: " + ", ".join(kinds)
            )
        found[name] = cast(Kind, kind)
    return found
