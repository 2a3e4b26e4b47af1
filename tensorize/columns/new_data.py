"""Policies for what only new data can bring: missing values where train had none, and categories not seen in train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorize.columns.learning import FILL
from tensorize.columns.missing import ERROR, LEARNED, is_filled, policies
from tensorize.columns.options import ColumnOptions
from tensorize.columns.roles import roles_of
from tensorize.core.contracts import Learned
from tensorize.core.errors import UsageError
from tensorize.core.options import as_list, column_and
from tensorize.core.recipe import Recipe
from tensorize.transforms.impute import Impute


def amended(recipe: Recipe, changed: Mapping[str, Any]) -> Recipe:
    """The recipe with other policies, such as `unseen` and `missing`, and a fill for each value that `missing` gives.

    Raises UsageError for a policy that would have to learn, that the recipe has settled, or that would shift its ids.
    """
    options: ColumnOptions = recipe.parsed_options()
    given, fills = dict(changed), list[Learned]()
    if "unseen" in given and given["unseen"] == options.unseen:
        del given["unseen"]
    if "unseen" in given and "unseen" not in options.amendable:
        word = given["unseen"]
        reserve = "have no id for unseen categories" if word == "unknown" else "reserve id 0 for unseen categories"
        raise UsageError(f"--unseen {word}: the recipe's ids {reserve}", hint=f"prepare again with --unseen {word}")
    if "missing" in given:
        added = _added(recipe, options, as_list(given.pop("missing")))
        given["missing"] = (*_kept(options.missing), *(f"{name}={policy}" for name, policy in added.items()))
        inputs = {item.of for item in recipe.learned if item.role == "input"}
        fills = [_fill(recipe, name, policy) for name, policy in added.items() if name in inputs and is_filled(policy)]
        if not added:
            del given["missing"]
    return recipe.amended(given, fills)


def _kept(missing: Sequence[str]) -> Sequence[str]:
    """The recipe's own policies; nothing if they are the default."""
    return () if tuple(missing) == (ERROR,) else missing


def _added(recipe: Recipe, options: ColumnOptions, flags: Sequence[str]) -> dict[str, str]:
    """Column → its new policy, where the recipe has none; none that fills a target, which may be an input of a series."""
    roles = roles_of(recipe.schema, options)
    settled = policies(options.missing, recipe.schema, roles.inputs, roles.targets)
    asked = policies(flags, recipe.schema, roles.inputs, roles.targets)
    for flag in flags:
        name, policy = column_and(flag, recipe.schema.names, "=")
        _check_policy(flag, flag if policy is None else policy, ERROR if policy is None else settled[name])
    return {
        name: policy
        for name, policy in asked.items()
        if policy != ERROR and settled[name] == ERROR and not (name in roles.targets and is_filled(policy))
    }


def _check_policy(flag: str, policy: str, settled: str) -> None:
    """Raise UsageError for a policy that learns, and for another one than the recipe's."""
    if policy in LEARNED:
        raise UsageError(
            f"--missing {flag}: a recipe that is applied learns no {policy}",
            hint=f"give the value itself, --missing drop, or prepare again with --missing {flag}",
        )
    if settled not in (ERROR, policy):
        raise UsageError(
            f"--missing {flag}: the recipe has the policy {settled} for this column",
            hint=f"omit it, or prepare again with --missing {flag}",
        )


def _fill(recipe: Recipe, name: str, policy: str) -> Learned:
    params = {"policy": policy, "kind": recipe.schema[name].storage, "indicator": "false"}
    try:
        fill = Impute.learn(None, params)
    except UsageError as error:
        raise UsageError(f"--missing {name}={policy}: {error.what}", error.details, error.hint) from None
    return Learned(FILL, name, fill.model_dump(mode="json"), "meta")
