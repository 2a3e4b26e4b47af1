"""Contract tests for plug-ins: derive a test class from one of these, and it inherits the whole suite."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from tensorize.core.contracts import Array, Floats
from tensorize.core.errors import UsageError
from tensorize.transforms.base import Transform

COLUMNS = {
    "number": pa.array([1.0, 2.0, 3.0, 2.0]),
    "category": pa.array(["c", "a", "b", "a"]),
    "bool": pa.array([True, False, True, True]),
    "time": pa.array([0, 1_700_000_000_000_000, 951_782_400_000_000, -1], pa.timestamp("us")),
}
"""Kind of column → a small column of that kind."""
EXTREMES = {
    "number": pa.array([-1e9, -2.0, -1.0, -0.5, 0.0, 0.5, 7.0, 1e9]),
    "category": pa.array(["", "z", "a"]),
    "bool": pa.array([True, False]),
    "time": pa.array([-62_135_596_800_000_000, 253_402_300_799_999_999], pa.timestamp("us")),
}
"""Kind of column → values that a transform encodes or refuses."""


class TransformContract:
    """What holds for every transform.

    >>> class TestMine(TransformContract):  # doctest: +SKIP
    ...     transform = Mine
    """

    transform: ClassVar[type[Transform]]
    ulps: ClassVar[int] = 0
    """How far the module may be from `encode`, in units in the last place: 1 for functions such as a logarithm."""

    def columns(self) -> dict[str, pa.Array]:
        """Kind of column → values to learn from and to encode."""
        return {kind: COLUMNS[kind] for kind in sorted(self.transform.kinds)}

    def learned(self) -> Iterator[tuple[Transform, pa.Array]]:
        """Yield the transform learned from each column, and the column."""
        for kind, column in self.columns().items():
            yield learned(self.transform, column, kind), column
        if not self.transform.kinds:
            yield self.transform.learn(None, self.transform.example), pa.array([], pa.float64())

    def test_the_state_is_json_of_the_constructors_keywords(self) -> None:
        for made, _ in self.learned():
            state = json.loads(json.dumps(made.model_dump(mode="json"), allow_nan=False))
            assert self.transform(**state) == made
            _refused(lambda state=state: self.transform(**{**state, "more": 1}))

    def test_it_is_frozen_and_pickles(self) -> None:
        for made, column in self.learned():
            _refused(lambda made=made: setattr(made, "anything", 1))
            again = pickle.loads(pickle.dumps(made))
            assert again == made
            if len(column):
                np.testing.assert_array_equal(again.encode(column), made.encode(column))

    def test_there_is_a_name_for_each_channel(self) -> None:
        for made, column in self._encoded():
            values = made.encode(column)
            assert values.dtype == np.float64
            assert values.shape == (len(column), len(made.channels("x")))

    def test_slices_are_encoded_to_the_slices_of_the_whole(self) -> None:
        for made, column in self._encoded():
            values = made.encode(column)
            for at in range(len(column)):
                np.testing.assert_array_equal(made.encode(column.slice(at, 1)), values[at : at + 1])

    def test_write_is_encode(self) -> None:
        for made, column in self._encoded():
            values = made.encode(column)
            out = np.zeros(values.shape)
            assert not made.write(column, out)
            np.testing.assert_array_equal(out, values)

    def test_decode_undoes_encode_or_says_that_it_cannot(self) -> None:
        for made, column in self._encoded():
            if not made.invertible:
                _refused(lambda made=made, column=column: made.decode(made.encode(column)))
                continue
            back = made.decode(made.encode(column))
            if pa.types.is_floating(back.type):
                np.testing.assert_allclose(_numbers(back), _numbers(column))
            else:
                assert back.to_pylist() == column.to_pylist()

    def test_the_module_has_the_bits_of_encode(self) -> None:
        for made, column in self._encoded():
            module = made.module()
            if module is not None:
                np.testing.assert_array_max_ulp(_run(module, made, column), made.encode(column), self.ulps)

    def test_what_is_not_refused_is_encoded_to_finite_numbers(self) -> None:
        for kind, column in self.columns().items():
            made = learned(self.transform, column, kind)
            assert not _refused_by(made, column).any()
            others = EXTREMES[kind]
            refused = _refused_by(made, others)
            assert made.may_refuse or not refused.any()
            assert np.isfinite(made.encode(others.filter(pa.array(~refused)))).all()
            out = np.zeros((len(others), len(made.channels("x"))))
            assert made.write(others, out) == refused.any()
            assert not out[refused].any()

    def test_a_value_that_is_not_known_is_refused(self) -> None:
        for kind, column in self.columns().items():
            made = learned(self.transform, column, kind)
            known = made.values()
            if known is not None:
                assert _refused_by(made, EXTREMES[kind]).tolist() == [
                    value not in known for value in EXTREMES[kind].to_pylist()
                ]
            if made.categorical:
                assert made.ids(column).tolist() == [(known or ()).index(value) for value in column.to_pylist()]

    def test_the_module_cannot_place_what_is_refused(self) -> None:
        for kind, column in self.columns().items():
            made = learned(self.transform, column, kind)
            module, refused = made.module(), _refused_by(made, EXTREMES[kind])
            if module is not None and refused.any():
                found = _run(module, made, EXTREMES[kind])[refused]
                assert (found == 0).all() if made.categorical else (~np.isfinite(found)).all()

    def _encoded(self) -> Iterator[tuple[Transform, pa.Array]]:
        return ((made, column) for made, column in self.learned() if len(column))


def learned(transform: type[Transform], column: pa.Array, kind: str) -> Transform:
    """Return the transform, learned from a column (row) without nulls, with the parameters of its `example`."""
    params = {**transform.example, "kind": kind}
    statistic = transform.statistic(transform.example)
    finished = statistic
    while statistic is not None:
        finished = statistic.update(transform.observe(column))
        statistic = finished.again()
    return transform.learn(finished, params)


def _refused_by(made: Transform, column: pa.Array) -> Array:
    found = made.invalid(column)
    return np.zeros(len(column), dtype=bool) if found is None else found[0]


def _numbers(column: pa.Array) -> Floats:
    return np.array([float(value) for value in column.to_pylist()])


def _run(module: Any, made: Transform, column: pa.Array) -> Floats:
    """What the module makes of a column: words as positions among the values of the step."""
    import torch

    if pa.types.is_string(column.type):
        known = list(made.values() or ())
        cells = torch.tensor([known.index(word) if word in known else -1 for word in column.to_pylist()])
    elif pa.types.is_timestamp(column.type):
        cells = torch.tensor(column.cast(pa.int64()).to_pylist())
    else:
        cells = torch.tensor(_numbers(column))
    found = module(cells[:, None])
    return np.asarray(found.reshape(len(column), -1), dtype=np.float64)


def _refused(call: Any) -> None:
    """Check that a call raises UsageError, or pydantic's ValidationError."""
    try:
        call()
    except (UsageError, ValueError):
        return
    raise AssertionError("this is not refused")
