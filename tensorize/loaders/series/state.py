"""What a recipe for a series holds besides its columns: the time between steps."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tensorize.core.contracts import Learned
from tensorize.core.errors import RecipeError

STEP = "grid"


class GridState(BaseModel):
    """`microseconds` between steps; None where samples are cut by position."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    microseconds: int | None = Field(None, ge=1, le=10**16)

    def learned(self) -> Learned:
        return Learned(STEP, "time", self.model_dump(mode="json"), "meta")

    @classmethod
    def of(cls, learned: Sequence[Learned]) -> GridState:
        """Out of the steps of a recipe. Raises RecipeError where it is not there."""
        for item in learned:
            if item.step == STEP:
                try:
                    return cls.model_validate(item.state)
                except ValidationError as error:
                    raise RecipeError(f"the recipe's grid step is wrong: {error.errors()[0]['msg']}") from None
        raise RecipeError(f'the recipe lacks the step "{STEP}" of a series')
