"""The learning rate over the steps of a run, as a factor of the one that was asked for."""

from __future__ import annotations

import math

WARM_UP = 0.3
FIRST = 1 / 25
LAST = 1e-4 / 25


def factor(name: str, step: int, steps: int) -> float:
    """The factor of step `step` of `steps`: it depends on nothing else, so that a resumed run goes on where it was.

    One-cycle rises over the first 30 % from 1/25 to 1 and falls to nearly 0, each along half a cosine.
    Source: Smith, Topin, "Super-convergence", 2018, with the phases of torch's `OneCycleLR`.

    >>> [round(factor("one-cycle", step, 11), 3) for step in (0, 3, 10)]
    [0.04, 1.0, 0.0]
    """
    if name == "constant" or steps < 2:
        return 1.0
    peak = WARM_UP * (steps - 1)
    if step < peak:
        return _between(FIRST, 1.0, step / peak)
    return _between(1.0, LAST, (step - peak) / (steps - 1 - peak))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
