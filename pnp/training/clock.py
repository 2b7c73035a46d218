"""When a training validates, saves and stops."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pnp.training.recipe import Recipe

CLOSING = 1.0
"""Seconds for a checkpoint and the exported weights."""


@dataclass(frozen=True)
class Due:
    """What to do before the next step; `progress` is the completed share of the run."""

    stop: bool
    progress: float
    validate: bool
    save: bool


class Clock:
    """Measures the time of a run since `began` (a `time.monotonic()`) and decides what is due.

    due = clock.due(step, signalled=False)
    with clock.step():          # measures how long a step takes
        ...
    """

    def __init__(self, recipe: Recipe, began: float):
        self.steps, self.minutes = recipe.steps, recipe.minutes
        self.save_every = 60 * recipe.save
        self.validate_every = 60 * recipe.validation.minutes
        self.began, self.before = began, 0.0
        self.validated, self.validation_takes, self.step_takes = -math.inf, 0.0, 0.0
        self.saved, self.saved_step = time.monotonic(), 0

    def seconds(self) -> float:
        """Seconds of the run, including the earlier runs that it continues."""
        return self.before + time.monotonic() - self.began

    def resumed(self, step: int, seconds: float) -> None:
        """The run continues from `step`, after so many seconds of earlier runs."""
        self.saved_step, self.before = step, seconds

    def has_saved(self, step: int) -> None:
        """A checkpoint of `step` has been written."""
        self.saved, self.saved_step = time.monotonic(), step

    @contextmanager
    def step(self) -> Iterator[None]:
        """Times a step."""
        before = time.monotonic()
        yield
        self.step_takes = time.monotonic() - before

    @contextmanager
    def validation(self) -> Iterator[None]:
        """Times a validation."""
        before = time.monotonic()
        yield
        self.validated = time.monotonic()
        self.validation_takes = self.validated - before

    def due(self, step: int, signalled: bool = False) -> Due:
        """What is due before `step`; a signal stops the run."""
        now = time.monotonic()
        progress = max(self._of_steps(step), self._of_minutes(now))
        return Due(
            stop=signalled or progress >= 1,
            progress=progress,
            validate=now - self.validated > self.validate_every,
            save=now - self.saved > self.save_every and step > self.saved_step,
        )

    def _of_steps(self, step: int) -> float:
        return step / self.steps if self.steps is not None else 0.0

    def _of_minutes(self, now: float) -> float:
        """The completed share of the minutes, with time in reserve for a step (half as long again)
        and two validations: the last one, and that of the weights in half precision."""
        if self.minutes is None:
            return 0.0
        reserve = 2 * self.validation_takes + 1.5 * self.step_takes + CLOSING
        budget = 60 * self.minutes - reserve
        return (now - self.began) / budget if budget > 0 else 1.0
