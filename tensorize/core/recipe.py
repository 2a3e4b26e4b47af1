"""The recipe: how raw data became tensors, as plain, versioned JSON. Applying it never learns anything."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from tensorize.core import registry
from tensorize.core.errors import RecipeError, UsageError, near, some
from tensorize.core.layout import Learned, Role
from tensorize.core.schema import Schema

if TYPE_CHECKING:
    from tensorize.core.options import Options

VERSION = 1
DIGEST = "sha256"
"""The key of a recipe file that is not part of the recipe: its digest."""
DEPTH = 32
"""Lists and objects within one another; our own recipes need less than ten."""
MAX_STEPS = 1_000_000
_HALF = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")
_Name = Annotated[str, Field(max_length=1 << 20)]


class Step(BaseModel):
    """One learned step: its registered name, what it works on, and its state."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: _Name
    of: _Name
    state: dict[str, JsonValue]
    role: Role = "input"


class Recipe(BaseModel):
    """Schema, options, and everything learned. Frozen.

    >>> recipe = Recipe(kind="text", options={"level": "char"})
    >>> Recipe.from_json(recipe.to_json()) == recipe
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    tensorize: int = Field(VERSION, description="The version of this format.")
    kind: _Name
    options: dict[str, JsonValue]
    schema_: Schema = Field(Schema(), alias="schema")
    steps: tuple[Step, ...] = Field((), max_length=MAX_STEPS)

    @classmethod
    def of(cls, kind: str, options: Options, schema: Schema, learned: tuple[Learned, ...]) -> Self:
        """Put a recipe together from the parts of a finished run."""
        steps = [Step(step=item.step, of=item.of, state=dict(item.state), role=item.role) for item in learned]
        dumped = options.model_dump(mode="json", exclude_defaults=True)
        return cls(kind=kind, options=dumped, schema=schema, steps=tuple(steps))  # type: ignore[call-arg]

    @property
    def schema(self) -> Schema:  # type: ignore[override]
        """The columns of the source."""
        return self.schema_

    @property
    def loader(self) -> Any:
        """The loader of this kind: see `Loader` in `tensorize.core.contracts`. Raises UsageError if it is not installed."""
        return registry.load("loaders", self.kind)()

    def parsed_options(self, changed: Mapping[str, Any] | None = None) -> Any:
        """The options as the loader's model, those in `changed` in place of the recipe's own.

        Raises RecipeError if the recipe's do not fit it, UsageError if the changed ones do not.
        """
        try:
            own = self.loader.Options.parse(dict(self.options))
        except UsageError as error:
            raise RecipeError(f"the recipe's options are wrong: {error.what}", error.details, error.hint) from None
        if not changed:
            return own
        self._check_changed(changed, (*own.amendable, *own.unrecorded_names()))
        given = dict(own.merged(self.options, changed))
        if changed.get("on_bad") == "error" and "max_bad" not in changed:
            given.pop("max_bad", None)
        return self.loader.Options.parse(given).with_new(changed)

    def amended(self, policies: Mapping[str, Any], learned: Sequence[Learned] = ()) -> Self:
        """This recipe with other policies for what only new data can bring, and with more steps of the role `meta`.

        Raises UsageError for an option that is not such a policy.
        """
        if not policies:
            return self
        options = self.parsed_options(policies).model_dump(mode="json", exclude_defaults=True)
        steps = [Step(step=item.step, of=item.of, state=dict(item.state), role=item.role) for item in learned]
        return self.model_copy(update={"options": options, "steps": (*self.steps, *steps)})

    def amends(self, other: Recipe) -> bool:
        """Whether this is the other recipe, or `amended` from it: the numbers of their tensors mean the same."""
        count, amendable = len(other.steps), self.parsed_options().amendable

        def settled(options: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in options.items() if name not in amendable}

        return self == other or (
            (self.kind, self.schema, self.steps[:count]) == (other.kind, other.schema, other.steps)
            and settled(self.options) == settled(other.options)
            and all(step.role == "meta" for step in self.steps[count:])
        )

    def _check_changed(self, changed: Mapping[str, Any], known: Sequence[str]) -> None:
        """Raise UsageError for options that only the recipe can hold, and for those that do not exist."""
        strange = {name: near(name, known) for name in changed if name not in self.loader.Options.fields()}
        if any(strange.values()):
            raise UsageError("; ".join(f'there is no option "{name}"{said}' for name, said in strange.items()))
        wrong = [name for name in changed if name not in known]
        if wrong:
            names = ", ".join("--" + name.replace("_", "-") for name in wrong)
            raise UsageError(
                f"{names} cannot be changed for a recipe of {self.kind}",
                hint="what can be: " + ", ".join("--" + name.replace("_", "-") for name in known),
            )

    @property
    def learned(self) -> tuple[Learned, ...]:
        """The steps as loaders take them."""
        return tuple(Learned(step.step, step.of, step.state, step.role) for step in self.steps)

    def to_json(self, indent: int | None = None) -> str:
        """The recipe as JSON, the same bytes for the same recipe."""
        return self.model_dump_json(by_alias=True, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a recipe. Raises RecipeError if it is not one: no JSON, a key twice, an unknown field, a newer version."""
        try:
            raw = json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            raise RecipeError(f"the recipe is not JSON: {error}") from None
        if not _is_shallow(raw):
            raise RecipeError(f"the recipe is nested more than {DEPTH} deep")
        version = raw.get("tensorize") if isinstance(raw, dict) else None
        if not isinstance(version, int) or isinstance(version, bool):
            raise RecipeError(
                "this is not a tensorize recipe", hint='a recipe is a JSON object with a number "tensorize", its version'
            )
        if version > VERSION:
            raise RecipeError(
                f"the recipe has version {version}; this tensorize reads up to version {VERSION}",
                hint="update it: pip install --upgrade tensorize",
            )
        if _HALF.search(text) and not _is_text(raw):
            raise RecipeError("the recipe holds half a character (U+D800 to U+DFFF)")
        raw.pop(DIGEST, None)
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found]
            raise RecipeError("the recipe cannot be read", some(lines)) from None

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read the recipe of a prepared file (`wine.h5`), or a recipe alone (`wine.json`); see `tensorize.api.read_recipe`."""
        return cls.from_json(registry.late("tensorize.api:recipe_json")(path))

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the recipe alone, with a digest; see `tensorize.api.save_recipe`."""
        return Path(registry.late("tensorize.api:save_recipe")(self, path, force=force))

    def apply(self, source: Any, **run: Any) -> Any:
        """Do the same to new data; return a `TensorSet`. See `tensorize.api.apply` for the keywords."""
        return registry.late("tensorize.api:apply")(self, source, **run)

    def inverse(self, tensors: Any) -> Any:
        """Undo what can be undone of a `TensorSet`: scaled and one-hot tensors to columns in their original units, ids to
        words.
        """
        return self.loader.inverse(self, tensors)


def _is_text(raw: Any) -> bool:
    """Whether every string can be written as UTF-8."""
    try:
        json.dumps(raw, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_shallow(value: Any) -> bool:
    """Whether JSON is at most `DEPTH` deep."""
    layer = [value]
    for _ in range(DEPTH):
        inner = (item.values() if isinstance(item, dict) else item for item in layer if isinstance(item, dict | list))
        layer = [item for items in inner for item in items if isinstance(item, dict | list)]
    return not layer


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is no number that can be held")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found
