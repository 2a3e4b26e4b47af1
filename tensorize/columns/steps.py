"""Decide, from schema and flags alone, which steps every column goes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tensorize.columns.options import ColumnOptions
from tensorize.columns.reader import Roles
from tensorize.columns.roles import known, separate
from tensorize.core.contracts import Role
from tensorize.core.errors import DataError, UsageError
from tensorize.core.options import column_and, columns
from tensorize.core.schema import Schema
from tensorize.transforms.lookup import find

SCALES = {"zscore": "zscore", "minmax": "minmax", "none": "raw"}
AUTO = "auto"
"""A target whose task (classes or numbers) the train values decide."""


@dataclass(frozen=True)
class Use:
    """One registered step over one column. `automatic` marks one that no flag asked for."""

    column: str
    step: str
    params: Mapping[str, str] = field(default_factory=dict)
    role: Role = "input"
    automatic: bool = False


def plan_uses(schema: Schema, roles: Roles, options: ColumnOptions) -> tuple[Use, ...]:
    """Return the steps in channel order: plain columns, one-hot blocks in the order of the flags, then the targets.

    Raises UsageError for flags that contradict each other or do not fit a column's kind, DataError for date columns.
    """
    named = _named(roles, options)
    onehot = _onehot(roles, options)
    keep = columns(options.keep, roles.names, "--keep")
    plain: list[Use] = []
    automatic: list[Use] = []
    dates: list[str] = []
    for name in roles.inputs:
        kind = schema[name].kind
        if name in named:
            plain += named[name]
        elif name in onehot and name not in keep:
            continue
        elif kind in ("number", "bool"):
            plain.append(_scaled(name, SCALES[options.scale] if kind == "number" else "raw", options))
        elif kind == "time":
            dates.append(name)
        elif name not in onehot:
            automatic.append(_block(name, None, options, automatic=True))
    if dates:
        raise _date_error(dates)
    blocks = [use for name, use in onehot.items() if name in roles.inputs]
    targets = [_target(name, named, onehot) for name in roles.targets]
    uses = (*plain, *blocks, *automatic, *targets)
    _check_kinds(uses, schema)
    return uses


def _named(roles: Roles, options: ColumnOptions) -> dict[str, list[Use]]:
    """The steps that flags name for a column, other than one-hot."""
    found: dict[str, list[Use]] = {}

    def add(name: str, step: str, params: Mapping[str, str], flag: str) -> None:
        if name not in roles.inputs and name not in roles.targets:
            raise UsageError(f'{flag} names "{name}", which is no input (dropped, or an id, group or order column)')
        clash = [use.step for use in found.get(name, []) if use.step in SCALES.values() and step in SCALES.values()]
        if clash:
            raise UsageError(f'"{name}" is to be scaled twice: {clash[0]} and {step}')
        found.setdefault(name, []).append(Use(name, step, params, "target" if name in roles.targets else "input"))

    for flag, given, step in (
        ("--zscore", options.zscore, "zscore"),
        ("--minmax", options.minmax, "minmax"),
        ("--raw", options.raw, "raw"),
    ):
        for name in columns(given, roles.names, flag):
            add(name, step, _scaled(name, step, options).params, flag)
    for value in options.ordinal:
        name, order = known(value, roles.names, "--ordinal")
        add(name, "ordinal", {"order": order or ""}, "--ordinal")
    for value in options.time_features:
        name, parts = known(value, roles.names, "--time-features")
        add(name, "calendar", {"parts": parts} if parts else {}, "--time-features")
    for value in options.column_steps:
        step, names, params = _step(value, roles)
        for name in names:
            add(name, step, params, "--step")
    return found


def _scaled(name: str, step: str, options: ColumnOptions) -> Use:
    return Use(name, step, {"ddof": str(options.ddof)} if step == "zscore" else {})


def _step(value: str, roles: Roles) -> tuple[str, list[str], dict[str, str]]:
    """Parse `NAME:COLS[:key=value]`."""
    name, _, rest = value.partition(":")
    if not rest:
        raise UsageError(
            f"--step {value!r} has no column", hint="write NAME:COLS[:key=value], such as --step zscore:age,income:ddof=0"
        )
    find(name)
    head, given = column_and(rest, roles.names)
    pairs = [part.partition("=") for part in given.split(":")] if given else []
    return name, columns([head], roles.names, "--step"), {key: content for key, _, content in pairs}


def _onehot(roles: Roles, options: ColumnOptions) -> dict[str, Use]:
    """The one-hot blocks that flags ask for, in the order of the flags."""
    found: dict[str, Use] = {}
    for value in separate(options.onehot, roles.names):
        name, declared = known(value, roles.names, "--onehot")
        role: Role = "target" if name in roles.targets else "input"
        if role == "input" and name not in roles.inputs:
            raise UsageError(f'--onehot names "{name}", which is no input (dropped, or an id, group or order column)')
        found[name] = _block(name, declared, options, role=role)
    return found


def _block(name: str, declared: str | None, options: ColumnOptions, role: Role = "input", automatic: bool = False) -> Use:
    values = declared or options.declared(name)
    params = {"values": values} if values else {"max": str(options.max_categories)} if automatic else {}
    return Use(name, "onehot", params, role, automatic)


def _target(name: str, named: Mapping[str, Sequence[Use]], onehot: Mapping[str, Use]) -> Use:
    """One step for a target: a flag's, or the one that its values will decide."""
    if name in onehot:
        return onehot[name]
    if len(named.get(name, ())) > 1:
        raise UsageError(f'the target "{name}" is given two steps', hint="give it one")
    return named[name][0] if name in named else Use(name, AUTO, role="target")


def _date_error(names: Sequence[str]) -> DataError:
    said = ", ".join(f'"{name}"' for name in names)
    first = names[0]
    return DataError(
        f"{said} {'holds dates' if len(names) == 1 else 'hold dates'}, which are no feature as they stand",
        hint=f'say what to make of it: --time-features "{first}" (month, day, weekday, hour) or --drop "{first}"',
        fix={"time_features": list(names)},
    )


def _check_kinds(uses: Sequence[Use], schema: Schema) -> None:
    """Raise UsageError for every step that does not fit its column's kind, all at once."""
    wrong = []
    for use in uses:
        if use.step == AUTO:
            continue
        accepted, kind = find(use.step).kinds, schema[use.column].kind
        if kind not in accepted:
            takes = ", ".join(sorted(accepted)) or "whole tensors, in scripts"
            wrong.append(f'{use.step} takes {takes}; "{use.column}" is a {kind}')
    if wrong:
        raise UsageError(
            "a step does not fit its column", wrong, "override the kind with --type COL:KIND, or choose another step"
        )
