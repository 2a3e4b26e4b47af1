"""How missing values are handled: the policy of each column."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.core.contracts import Mask
from tensorize.core.errors import UsageError
from tensorize.core.options import column_and
from tensorize.core.schema import Column, Schema

ERROR, DROP = "error", "drop"
LEARNED = ("mean", "median", "mode")


def policies(
    flags: Sequence[str], schema: Schema, inputs: Sequence[str], targets: Sequence[str], absent: Sequence[str] = ()
) -> dict[str, str]:
    """Return column → error, drop, mean, median, mode or a value.

    A policy without a column holds for the inputs that it can hold for (a mean is nothing for words), and `drop` for
    the targets, too. `absent` columns may be named to no effect. Raises UsageError for an unknown column.
    """
    found = dict.fromkeys((*inputs, *targets), ERROR)
    for flag in flags:
        name, policy = column_and(flag, [*schema.names, *absent], "=")
        if policy is None:
            found.update({column: flag for column in inputs if applies_to(schema[column], flag)})
            found.update(dict.fromkeys(targets, DROP) if flag == DROP else {})
        elif name in found:
            if name in targets and policy not in (ERROR, DROP):
                raise UsageError(f"--missing {flag}: a target is never invented", hint=f'say --missing "{name}=drop"')
            found[name] = policy
        elif name not in absent:
            raise UsageError(f'--missing {flag}: there is no input column "{name}"', hint="columns: " + ", ".join(found))
    return found


_MEANT = {
    "average": "mean",
    "avg": "mean",
    "most_frequent": "mode",
    "zero": "0",
    "dropna": "drop",
    "remove": "drop",
    "delete": "drop",
    "skip": "drop",
    "ignore": "drop",
    "ffill": "mode",
    "bfill": "mode",
    "pad": "mode",
    "backfill": "mode",
    "interpolate": "mode",
    "linear": "mode",
    "nearest": "mode",
    "fill": "mode",
}
"""What other tools call a policy, and the nearest one here: the rows of a table have no order to fill from."""


def check_words(flags: Sequence[str], schema: Schema, inputs: Sequence[str]) -> list[str]:
    """The notes on words that fill text. Raises UsageError for a word that names a policy of other tools, or fills nothing."""
    words = [name for name in inputs if schema[name].kind == "category"]
    notes = []
    for flag in flags:
        if column_and(flag, schema.names, "=")[1] is not None or flag in (ERROR, DROP, *LEARNED) or _is_number(flag):
            continue
        lower = flag.strip().lower()
        meant = lower if lower in (ERROR, DROP, *LEARNED) else _MEANT.get(lower)
        near = next(iter(get_close_matches(lower, (DROP, *LEARNED), n=1, cutoff=0.8)), None)
        if meant or near or not words:
            text = f'; to fill text with the word: --missing "{words[0]}={flag}"' if words else ""
            raise UsageError(
                f'--missing {flag}: there is no policy "{flag}"',
                hint=f"say --missing {meant or near or DROP}; policies: drop, mean, median, mode, or a VALUE{text}",
            )
        notes.append(f'missing values of {", ".join(words[:5])} become "{flag}"')
    return notes


def applies_to(column: Column, policy: str) -> bool:
    """Whether a policy that names no column means this one."""
    if policy in (ERROR, DROP, "mode"):
        return True
    if column.kind == "number":
        return policy in ("mean", "median") or _is_number(policy)
    return column.kind == "category" and policy not in ("mean", "median") and not _is_number(policy)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_filled(policy: str) -> bool:
    """Whether a policy replaces missing values."""
    return policy not in (ERROR, DROP)


def complete(batch: pa.RecordBatch, names: Sequence[str]) -> Mask:
    """(row) bool: no cell of these columns is missing."""
    kept: Mask = np.ones(batch.num_rows, dtype=bool)
    for name in names:
        column = batch.column(name)
        if column.null_count:
            kept &= pc.is_valid(column).to_numpy(zero_copy_only=False)
    return kept
