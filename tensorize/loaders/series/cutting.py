"""How the options cut a series: by the calendar, by position, or into windows; and the grid under the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from tensorize.core.errors import DataError, UsageError, plural
from tensorize.loaders.series.clock import DAY, time_text
from tensorize.loaders.series.cut import Cut
from tensorize.loaders.series.gaps import DROP, FFILL, INTERPOLATE, OWN, check_gaps
from tensorize.loaders.series.grid import WEEK, Grid, position_grid, time_grid
from tensorize.loaders.series.options import SeriesOptions
from tensorize.loaders.series.pace import CalendarScale, CalendarStep, Pace, check_step, pace_of
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
    if options.time is None and way == "period":
        raise UsageError("--period needs the times of the rows", hint="--time COL, or --time date+hour; by position: --fold 24")
    if (way == "fold" or options.time is None) and options.group and options.split:
        raise UsageError("groups that are cut by position cannot be split in time", hint="name the times: --time COL")
    for flag in options.missing:
        if flag.rpartition("=")[2] in (FFILL, INTERPOLATE):
            raise UsageError(
                f"--missing {flag}: a cell is not filled along the time, but a missing step is",
                hint=f"leave out the row, and fill its step: --missing drop --gaps {flag.rpartition('=')[2]}",
            )
    if options.snap and (options.time is None or options.time_step is None):
        raise UsageError("--snap puts rows on the steps of --step", hint="--time COL --step 15min --snap")
    return way


_PERIODS: Mapping[str | None, Mapping[str, int]] = MappingProxyType(
    {
        None: {"day": DAY, "week": WEEK},
        "mo": {"month": 1, "quarter": 3, "year": 12},
        "b": {"day": 1, "week": 5},
    }
)


def period_of(options: SeriesOptions, step: int, scale: CalendarScale | None = None) -> int:
    """The length of a period in microseconds, or ticks of a scale. Raises UsageError if it is no whole number of steps."""
    words = _PERIODS[scale.unit if scale else None]
    text = (options.period or "").strip()
    if text not in words and not (text.isdecimal() and int(text) > 0):
        raise UsageError(f'--period "{text}" is no period', hint=f"{', '.join(words)}, or a number of steps such as 24")
    period = words.get(text) or int(text) * step
    if period % step:
        raise UsageError(f"a {text} is no whole number of steps", hint="say what a step is: --step 1h")
    return period


def given_step(options: SeriesOptions) -> CalendarStep | int | None:
    """The step of `--step`: of the calendar, or in microseconds."""
    return None if options.time_step is None else check_step(options.time_step)


def find_pace(options: SeriesOptions, runs: Runs, *, strict: bool) -> Pace:
    """The steps of rows in time: see `pace_of`."""
    return pace_of(runs, given_step(options), strict=strict)


def find_cut(
    options: SeriesOptions,
    pace: Pace | None,
    runs: Runs | None,
    rows: int,
    gaps: Mapping[str, str],
    *,
    place: Callable[[Sequence[int]], list[str]],
) -> tuple[Cut, tuple[str, ...]]:
    """The samples of `rows` rows in order, and notes on gaps and leftovers.

    `pace` are the steps in time, None by position; `gaps` are the policies by input column; `place` says where the rows of
    some ordinals stand. Raises DataError for gaps and leftover rows without a policy, and for gaps without bound.
    """
    if pace is not None:
        return _by_time(options, pace, gaps, place)
    return _by_fold(options, runs, rows, gaps) if options.fold is not None else _by_position(options, runs, rows)


def _by_position(options: SeriesOptions, runs: Runs | None, rows: int) -> tuple[Cut, tuple[str, ...]]:
    """Windows over rows without times: every row is a step."""
    assert options.window is not None
    grid = position_grid(runs if options.group else None, rows)
    return Cut(grid, options.window, options.horizon, options.stride, ratios=options.split, windows=True), ()


FEW_MISSING, MISSING_PER_ROW = 1_000_000, 1000
"""Steps that may be missing in any series, and for each row of a long one: more of them are a wrong date."""


def _check_missing(grid: Grid, place: Callable[[Sequence[int]], list[str]]) -> None:
    """Raise DataError for more missing steps than a right date can leave, before anything is made of them."""
    if grid.missing <= max(FEW_MISSING, MISSING_PER_ROW * grid.rows):
        return
    begins, lengths = grid.gaps
    widest = int(lengths.argmax())
    _, before, after = grid.around(np.array([begins[widest]]))
    ordinals = [int(at[0]) for at in (before, after) if at[0] >= 0]
    places = " and ".join(place(ordinals))
    edges = [time_text(int(time)) for time in grid.stamps(grid.places(np.array(ordinals)))]
    raise DataError(
        f"{plural(grid.missing, f'missing {grid.noun}')}, more than {MISSING_PER_ROW:,} for each row",
        [f"{int(lengths[widest]):,} of them between {places} ({' to '.join(edges)})"],
        "is the date right? Else take larger steps, such as --step 1d, or cut by position: omit --time",
    )


def _by_time(
    options: SeriesOptions, pace: Pace, gaps: Mapping[str, str], place: Callable[[Sequence[int]], list[str]]
) -> tuple[Cut, tuple[str, ...]]:
    """Periods of the calendar, or windows."""
    step = pace.step
    period = None if options.period is None else period_of(options, step, pace.scale)
    grid = time_grid(pace.runs, step, period, pace.scale)
    _check_missing(grid, place)
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
    missing = plural(cut.grid.missing, f"missing {cut.grid.noun}")
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
    step = given_step(options)
    if isinstance(step, CalendarStep):
        return []
    pace = pace_of(runs, step, strict=True) if not runs.backward else Pace(step or runs.usual_step(), runs)
    jumps = int(pace.runs.lengths[(pace.runs.apart > 0) & (pace.runs.apart != pace.step)].sum())
    return [f"{plural(jumps, 'gap')} in time; the fold goes by position"] if jumps else []
