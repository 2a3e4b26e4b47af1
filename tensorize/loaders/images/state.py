"""What a recipe for images holds: the classes, the shape, and the mean and std of each channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tensorize.core.contracts import Learned
from tensorize.core.errors import RecipeError


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


M = TypeVar("M", bound=_State)


class ClassFolders(_State):
    """The class folders, sorted; a label is a position in here."""

    classes: Annotated[tuple[str, ...], Field(min_length=1)]


class ImageShape(_State):
    """What every image is made to be: pixels, and 8 or 16 bits a sample."""

    height: int = Field(ge=1)
    width: int = Field(ge=1)
    bits: int = Field(ge=8, le=16, multiple_of=8)


class Normalize(_State):
    """Mean and sample standard deviation of each channel, (channel), of pixels scaled to 0…1.

    A std of 0 (a constant channel) divides by 1.
    """

    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]
    std: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1, max_length=3)]


class State(NamedTuple):
    """Everything learned about a set of images. `classes` is None if there are no class folders."""

    classes: ClassFolders | None
    shape: ImageShape
    normalize: Normalize

    def learned(self) -> tuple[Learned, ...]:
        """As the steps of a recipe."""
        labels = () if self.classes is None else (Learned("classes", "labels", self.classes.model_dump(mode="json"), "target"),)
        shape = Learned("shape", "images", self.shape.model_dump(mode="json"), "meta")
        return (*labels, shape, Learned("normalize", "images", self.normalize.model_dump(mode="json")))

    @classmethod
    def of(cls, learned: Sequence[Learned]) -> State:
        """Out of the steps of a recipe. Raises RecipeError if they are not those of images."""
        states = {item.step: item.state for item in learned}
        try:
            classes = _parse(ClassFolders, "classes", states) if "classes" in states else None
            state = cls(classes, _parse(ImageShape, "shape", states), _parse(Normalize, "normalize", states))
        except KeyError as error:
            raise RecipeError(f'the recipe lacks the step "{error.args[0]}" of images') from None
        if len(state.normalize.mean) != len(state.normalize.std):
            raise RecipeError("the recipe's normalize step has unlike numbers of means and stds")
        return state


def _parse(model: type[M], step: str, states: Mapping[str, Any]) -> M:
    """Check the state of a step. Raises KeyError if there is none, RecipeError if it is wrong."""
    try:
        return model.model_validate(states[step])
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise RecipeError(f"the recipe's {step} step is wrong", lines) from None
