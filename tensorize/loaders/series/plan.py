"""Which steps the columns of a series go through: those of a table, and again for what is to be predicted."""

from __future__ import annotations

from dataclasses import replace

from tensorize.columns.roles import separate
from tensorize.columns.rows import Roles
from tensorize.columns.steps import Use, plan_uses
from tensorize.core.errors import UsageError
from tensorize.core.options import column_and, columns
from tensorize.core.schema import Schema
from tensorize.loaders.series.clock import DAY, step_of
from tensorize.loaders.series.grid import WEEK
from tensorize.loaders.series.options import SeriesOptions


def series_uses(schema: Schema, roles: Roles, options: SeriesOptions) -> tuple[Use, ...]:
    """Inputs as in a table, the targets among them; then each target as it is, or as the flag says that names it."""
    inputs = plan_uses(schema, replace(roles, targets=()), options)
    named = _named(roles, options)
    targets = []
    for name in roles.targets:
        if schema[name].kind not in ("number", "bool") and name not in named:
            raise UsageError(f'the target "{name}" is a {schema[name].kind}: a series is continued in numbers')
        own = [use for use in inputs if use.column == name and use.step != "onehot"]
        targets.append(replace(own[0], role="target") if name in named and own else Use(name, "raw", role="target"))
    return (*inputs, *targets)


def _named(roles: Roles, options: SeriesOptions) -> set[str]:
    """The columns that a scaling flag names."""
    flags = (("--zscore", options.zscore), ("--minmax", options.minmax), ("--raw", options.raw))
    found = {name for flag, given in flags for name in columns(given, roles.names, flag)}
    return found | {column_and(value, roles.names)[0] for value in separate(options.ordinal, roles.names)}


def way_of(options: SeriesOptions) -> str:
    """`period`, `fold` or `window`. Raises UsageError where not exactly one is asked for, and for what does not go with it."""
    given = [way for way in ("period", "fold", "window") if getattr(options, way) is not None]
    if len(given) != 1:
        raise UsageError(
            "say how the series is cut" if not given else f"--{' and --'.join(given)} are two ways of cutting; say one",
            hint="--period day (by the calendar), --fold 24 (by position), or --window 168 --horizon 24 (sliding)",
        )
    way = given[0]
    if way != "window" and (options.target or options.horizon or options.stride != 1):
        raise UsageError(f"--target, --horizon and --stride go with --window, not with --{way}")
    if bool(options.target) != bool(options.horizon):
        raise UsageError("--target says what is predicted and --horizon how far: say both", hint="--target cnt --horizon 24")
    if options.encode == "index" and way != "window":
        raise UsageError(f"--encode index is for windows, not for --{way}")
    if options.time is None and way != "fold":
        raise UsageError(f"--{way} needs the times of the rows", hint="--time COL, or --time date+hour; by position: --fold 24")
    if way == "fold" and options.group and options.split:
        raise UsageError("groups that are cut by position cannot be split in time", hint="--period day")
    return way


def period_of(options: SeriesOptions, step: int) -> int:
    """The length of a period in microseconds. Raises UsageError where it is no whole number of steps."""
    words = {"day": DAY, "week": WEEK}
    text = (options.period or "").strip()
    if text not in words and not (text.isdecimal() and int(text) > 0):
        raise UsageError(f'--period "{text}" is no period', hint="day, week, or a number of steps such as 24")
    period = words.get(text) or int(text) * step
    if period % step:
        raise UsageError(f"a {text} is no whole number of steps", hint="say what a step is: --step 1h")
    return period


def given_step(options: SeriesOptions) -> int | None:
    """The step of `--step`, in microseconds."""
    return None if options.time_step is None else step_of(options.time_step)
