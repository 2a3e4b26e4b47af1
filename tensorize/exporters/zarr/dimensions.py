"""The dimension names of a group: those of the axes, unless xarray could not open the group with them.

xarray takes the dimensions of one name as one in a whole group: it has one size and one list of labels, and an array of that
name is its coordinate. So an axis that differs from an earlier one of its name, or shares the name of an array, is called
`TENSOR_AXIS`. The axes themselves are attributes of each array.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from tensorize.core.contracts import TensorSpec

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Dimensions:
    """`names` of each tensor's axes, by the name of the tensor, and the labels of those dimensions that have some."""

    names: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, Labels]


@dataclass
class _Group:
    """The dimensions of a group that were met so far. `taken` are the names of arrays that can be no coordinates."""

    taken: Collection[str]
    coordinates: Collection[str]
    """The names of tensors that are the coordinates of their own axis, such as `row`."""
    sizes: dict[str, int]
    labels: dict[str, Labels] = field(default_factory=dict)

    @classmethod
    def of(cls, specs: Sequence[TensorSpec], texts: Collection[str]) -> _Group:
        own = {spec.name: spec.shape[0] for spec in specs if spec.axes == (spec.name,) and spec.name not in texts}
        return cls({*texts, *(spec.name for spec in specs)} - own.keys(), own.keys(), dict(own))

    def name(self, spec: TensorSpec, number: int, used: Sequence[str]) -> str:
        """The name of the dimension for an axis of a tensor whose earlier dimensions are `used`."""
        axis, size = spec.axes[number], spec.shape[number]
        found = spec.labels.get(axis, ())
        labels = found if len(found) == size else ()
        again = (f"{spec.name}_{axis}_{more}" for more in count(2))
        name = next(
            name
            for name in chain([axis, f"{spec.name}_{axis}"], again)
            if name not in used and name not in self.taken and self._fits(name, size, labels)
        )
        self.sizes[name] = size
        if labels:
            self.labels[name] = labels
        return name

    def _fits(self, name: str, size: int, labels: Labels) -> bool:
        known = self.labels.get(name, ())
        same = not known or not labels or known == labels
        return same and self.sizes.get(name, size) == size and not (labels and name in self.coordinates)


def dimensions_of(specs: Sequence[TensorSpec], texts: Collection[str] = ()) -> Dimensions:
    """The dimensions of the tensors of a group; `texts` are the names of other arrays in it.

    >>> series = TensorSpec("series", (9, 2, 24), "float32", ("row", "channel", "step"), "input", {"channel": ("a", "b")})
    >>> target = TensorSpec("target", (9, 1, 3), "float32", ("row", "target", "step"), "target")
    >>> found = dimensions_of([series, target])
    >>> found.names["target"], found.labels
    (('row', 'target_target', 'target_step'), {'channel': ('a', 'b')})
    """
    group, names = _Group.of(specs, texts), {}
    for spec in specs:
        used: list[str] = []
        for number in range(len(spec.axes)):
            used.append(group.name(spec, number, used))
        names[spec.name] = tuple(used)
    return Dimensions(names, group.labels)
