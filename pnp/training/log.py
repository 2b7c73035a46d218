"""The log of a training: lines of log.csv, the progress bar, and the message about a loss that is
not finite."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from pnp.errors import Origin, PipelineError, Problem
from pnp.training.clock import Clock
from pnp.training.recipe import Recipe
from pnp.training.run_folder import Run

_log = logging.getLogger(__name__)

SHOWN = ("psnr", "bicubic", "D alone", "kernel", "sigma")
"""Metrics of the validation that the progress bar shows."""


class Log:
    """Collects the losses of steps and writes their mean at intervals.

    Losses stay on the device until then, so that steps do not wait for each other.
    """

    def __init__(self, recipe: Recipe, run: Run, fabric: Fabric, clock: Clock):
        self.recipe, self.run, self.fabric, self.clock = recipe, run, fabric, clock
        self.losses: list[Tensor] = []
        self.since = (time.monotonic(), 0)
        self.metrics: Mapping[str, float] = {}
        self.bar = tqdm(disable=True)

    @contextmanager
    def shown(self, step: int) -> Iterator[None]:
        """Context in which the steps from `step` on move a progress bar, if there is a terminal."""
        recipe, quiet = self.recipe, not (self.fabric.is_global_zero and sys.stderr.isatty())
        self.since = (time.monotonic(), step)
        with tqdm(
            total=recipe.steps, initial=step, desc=recipe.name, unit="step", disable=quiet
        ) as self.bar:
            yield

    def add(self, losses: Tensor) -> None:
        """The losses of one step."""
        self.losses.append(losses.detach())
        self.bar.update()

    def write(self, step: int, lr: float) -> None:
        """A line with the mean loss since the last one; PipelineError if a loss is not finite."""
        if not self.losses:
            return
        losses, first = torch.stack(self.losses), step - len(self.losses)
        if self.fabric.world_size > 1:
            losses = cast(Tensor, self.fabric.all_reduce(losses, reduce_op="mean"))
        losses = losses.cpu()
        self.losses = []
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            row, column = bad[0].tolist()
            origin = self.recipe.losses[column].origin
            self.fail(first + row, f"is {losses[row, column]}", origin)
        now, (then, start) = time.monotonic(), self.since
        rate = (step - start) * self.recipe.batch / max(now - then, 1e-9)
        self.since = (now, step)
        loss = float(losses.sum(1).mean())
        shown = {name: f"{self.metrics[name]:.4g}" for name in SHOWN if name in self.metrics}
        self.bar.set_postfix({"loss": f"{loss:.4g}", "images/s": f"{rate:.1f}", **shown})
        self._line(step, loss=f"{loss:.8g}", lr=f"{lr:.4g}", images_per_s=f"{rate:.1f}")

    def validated(self, step: int, metrics: Mapping[str, float]) -> None:
        """A line with the metrics of a validation, and the curves."""
        self.metrics = metrics
        named = {("validation" if n == "loss" else n): f"{v:.6g}" for n, v in metrics.items()}
        self._line(step, **named)
        if step:
            self.run.draw_curves(self.recipe.name)
        if self.bar.disable:
            listed = ", ".join(f"{n} {v:.4g}" for n, v in metrics.items())
            _log.info("step %d, %.0f s: %s", step, self.clock.seconds(), listed)

    def fail(self, step: int, what: str, origin: Origin | None = None) -> NoReturn:
        """Stop with the step, the line of the recipe, the last good checkpoint and a cure."""
        cure = "there is no checkpoint yet"
        if self.run.last is not None:
            cure = f"the last good checkpoint is {self.run.last} (--resume continues from it)"
        lower = self.recipe.optimiser.lr / 2
        cure += f"; lower the learning rate (--set optimiser.lr={lower:g})"
        if self.recipe.precision == "bf16":
            cure += ", or train in fp32 (--set precision=fp32)"
        message = f"training stops at step {step}: the loss {what}"
        raise PipelineError([Problem(origin or self.recipe.losses[0].origin, message, cure)])

    def _line(self, step: int, **values: str) -> None:
        if self.fabric.is_global_zero:
            self.run.log({"step": step, "seconds": f"{self.clock.seconds():.1f}", **values})
