"""How the options cut a series: by the calendar, by position, or into windows; and the grid under the samples."""

from __future__ import annotations

from collections.abc import Mapping

from tensorize.core.errors import DataError, UsageError, plural
from tensorize.loaders.series.clock import DAY, step_name, step_of
from tensorize.loaders.series.cut import Cut
from tensorize.loaders.series.gaps import DROP, OWN, check_gaps
from tensorize.loaders.series.grid import WEEK, position_grid, time_grid
from tensorize.loaders.series.options import SeriesOptions
from tensorize.loaders.series.runs import Runs


def way_of(options: SeriesOptions) -> str:
    """`period`, `fold` or `window`. Raises UsageError if not exactly one is asked for, and for what does not go with it."""
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
    """The length of a period in microseconds. Raises UsageError if it is not a whole number of steps."""
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


def find_cut(
    options: SeriesOptions, step: int | None, runs: Runs | None, rows: int, gaps: Mapping[str, str]
) -> tuple[Cut, tuple[str, ...]]:
    """The samples of `rows` rows in order, and notes on gaps and leftovers.

    `step` is the time between steps in microseconds, None by position; `gaps` are the policies by input column. Raises
    DataError for gaps and leftover rows without a policy.
    """
    if step is None:
        return _by_fold(options, runs, rows, gaps)
    assert runs is not None
    return _by_time(options, step, runs, gaps)


def _by_time(options: SeriesOptions, step: int, runs: Runs, gaps: Mapping[str, str]) -> tuple[Cut, tuple[str, ...]]:
    """Periods of the calendar, or windows."""
    period = None if options.period is None else period_of(options, step)
    grid = time_grid(runs, step, period)
    check_gaps(grid, gaps)
    whole = DROP in gaps.values()
    if period is not None:
        cut = Cut(grid, period // step, stride=period // step, whole_only=whole, ratios=options.split)
    else:
        assert options.window is not None
        cut = Cut(grid, options.window, options.horizon, options.stride, whole, options.split, windows=True)
    return cut, _gap_notes(cut, gaps)


def _gap_notes(cut: Cut, gaps: Mapping[str, str]) -> tuple[str, ...]:
    """What was left out over gaps, or how they were filled."""
    missing = plural(cut.grid.missing, f"missing {step_name(cut.grid.step)}")
    if cut.dropped:
        return (f"{plural(cut.dropped, 'sample')} left out over {missing}",)
    if not cut.grid.missing or cut.whole_only:
        return ()
    ways = dict.fromkeys("by their own time" if policy == OWN else policy for policy in gaps.values())
    return (f"{missing} filled ({', '.join(ways)}), 0 in observed",)


def _by_fold(options: SeriesOptions, runs: Runs | None, rows: int, gaps: Mapping[str, str]) -> tuple[Cut, tuple[str, ...]]:
    """Samples by position."""
    assert options.fold is not None
    notes = _time_gap_notes(options, runs) if runs is not None and options.time is not None else []
    grid = position_grid(runs if options.group else None, rows, options.fold)
    left = rows - grid.steps
    if left and DROP not in gaps.values():
        raise DataError(
            f"{plural(rows, 'row')} do not fill samples of {options.fold}: {plural(left, 'row is', 'rows are')} left over",
            hint="leave them out: --gaps drop; or cut by the calendar: --period day --time COL",
        )
    notes += [f"{plural(left, 'row')} left over at the end"] if left else []
    return Cut(grid, options.fold, stride=options.fold, ratios=options.split), tuple(notes)


def _time_gap_notes(options: SeriesOptions, runs: Runs) -> list[str]:
    """A note on gaps in time, which a fold does not mind."""
    if not (runs.apart > 0).any():
        return []
    step = given_step(options) or runs.usual_step()
    jumps = int(runs.lengths[(runs.apart > 0) & (runs.apart != step)].sum())
    return [f"{plural(jumps, 'gap')} in time; the fold goes by position"] if jumps else []
