"""Loaders that still are written as a scan and a job: carried by the contract `Loader` until they are pure functions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tensorize.core.contracts import Learned, Opened, Piece, Plan, Run, TensorSpec
from tensorize.core.schema import Schema


class Job(Protocol):
    """One opened source on its way to tensors."""

    @property
    def notes(self) -> tuple[str, ...]: ...

    def learn(self) -> tuple[Learned, ...]: ...

    def layout(self, learned: Sequence[Learned]) -> tuple[TensorSpec, ...]: ...

    def texts(self) -> Mapping[str, Sequence[str]]: ...

    def pieces(self, learned: Sequence[Learned]) -> Iterator[Piece]: ...

    def describe(self, tensor: str, learned: Sequence[Learned]) -> str: ...


@dataclass(frozen=True)
class _State:
    job: Any
    applied: tuple[Learned, ...]


class JobLoader:
    """A loader made of `scan` and `job`."""

    @abstractmethod
    def scan(self, source: Any, options: Any, run: Run, schema: Schema | None = None) -> Any: ...

    @abstractmethod
    def job(self, scan: Any, options: Any, run: Run) -> Any: ...

    def open(self, source: Any, options: Any, run: Run, schema: Schema | None = None) -> Opened:
        opened: Opened = self.scan(source, options, run, schema)
        return opened

    def learn(self, rows: Any, options: Any, run: Run) -> Plan:
        job = self.job(rows, options, run)
        outline = job.outline() if hasattr(job, "outline") else None
        return self._plan(job, job.learn() if outline is None else outline, outline is not None)

    def plan(self, rows: Any, options: Any, run: Run, learned: Sequence[Learned]) -> Plan:
        return self._plan(self.job(rows, options, run), tuple(learned), False)

    def _plan(self, job: Job, learned: tuple[Learned, ...], unsettled: bool) -> Plan:
        specs = job.layout(learned)
        texts = {key: tuple(values) for key, values in job.texts().items()}
        return self._described(Plan(learned, specs, texts, (), {}, _State(job, learned), unsettled))

    @staticmethod
    def _described(plan: Plan) -> Plan:
        job, names = plan.state.job, dict.fromkeys(spec.name for spec in plan.specs)
        return replace(plan, notes=job.notes, made={name: job.describe(name, plan.learned) for name in names})

    def apply(self, plan: Plan, rows: Any, run: Run) -> Iterator[Piece]:
        del rows, run
        pieces: Iterator[Piece] = plan.state.job.pieces(plan.state.applied)
        return pieces

    def finish(self, plan: Plan, found: Any) -> Plan:
        del found
        learned = plan.state.job.learn() if plan.open else plan.learned
        return self._described(replace(plan, learned=learned, open=False))
