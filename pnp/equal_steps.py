"""Loops inside of modules whose steps all cost the same, so that a measurement runs only two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Shortened:
    """A measurement, and the operations of the steps that it left out."""

    operations: Callable[[], float]
    """Operations counted so far."""
    left_out: float = 0.0

    def total(self) -> float:
        """The operations of all steps: those counted, and those left out."""
        return self.operations() + self.left_out


_measurement: ContextVar[Shortened | None] = ContextVar("pnp_measurement", default=None)


@contextmanager
def shortened(operations: Callable[[], float] | None = None) -> Iterator[Shortened]:
    """The span of a measurement: each loop of `equal_steps` ends after its second step, which
    stands for all later ones.

    Args:
        operations: Tells how many were counted so far; None within a measurement that does.
    """
    measurement = _measurement.get()
    if operations or measurement is None:
        measurement = Shortened(operations or (lambda: 0.0))
    token = _measurement.set(measurement)
    try:
        yield measurement
    finally:
        _measurement.reset(token)


def measuring() -> bool:
    """True within a measurement, which counts the longest course of a run."""
    return _measurement.get() is not None


def equal_steps(count: int) -> Iterator[int]:
    """0, 1, ... count - 1: the steps of a loop that all cost the same."""
    measurement = _measurement.get()
    if measurement is None or count <= 2:
        yield from range(count)
        return
    yield 0
    before = measurement.total()
    yield 1
    measurement.left_out += (count - 2) * (measurement.total() - before)
