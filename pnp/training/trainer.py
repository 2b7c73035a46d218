"""The training loop of a recipe, limited by steps or minutes.

    recipe = load_recipe("image-prior-mini")
    train(recipe, "runs/mini", ["photographs"], minutes=20)

The loss of step n depends only on the weights, the recipe's seed and n, because every step seeds
the generator of all random numbers.  So a run that was killed and continues with `resume=True`
gives the same result as one without interruption, bit for bit on the same machine with the same
number of threads.  Each of several processes (torchrun) draws the whole batch and computes its
share of it, which gives the result of one process.  Images are bytes on the device, so there is no
data loader.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pnp.degradations import ImagePool
from pnp.errors import PnpError
from pnp.fingerprints import Fingerprint, beside, fingerprint, write_fingerprints
from pnp.machine import machine
from pnp.pipeline import Pipeline
from pnp.training.averaged import Averaged
from pnp.training.clock import Clock, Due
from pnp.training.data import read_images, split
from pnp.training.log import Log
from pnp.training.objective import Objective
from pnp.training.optimiser import LearningRate, make_optimiser
from pnp.training.processes import Interrupt, agreed, fabric_for
from pnp.training.recipe import Recipe
from pnp.training.run_folder import PRE_DECAY, Checkpoint, Run
from pnp.training.run_pipeline import pipeline_in_header, write_pipeline
from pnp.training.shipping import export
from pnp.training.start import prepare
from pnp.training.validation import Validation, draw, write_samples

_log = logging.getLogger(__name__)


def train(
    recipe: Recipe,
    out: str | Path,
    data: Sequence[str | Path] = (),
    *,
    minutes: float | None = None,
    steps: int | None = None,
    final: bool = False,
    device: str = "auto",
    resume: bool = False,
    began: float | None = None,
    licence: str | None = None,
) -> Trainer:
    """Train until `steps` steps are done in total or `minutes` have passed.

    Args:
        recipe: The recipe, from `load_recipe`.
        out: The folder of the run.
        data: Folders of images.
        minutes: Replaces the limit of the recipe; counted from `began`.
        steps: Replaces that of the recipe; steps of earlier runs count.
        final: True lets the learning rate decay to zero towards the end.
        device: auto, cpu, cuda, cuda:1.
        resume: True continues the run in `out`.
        began: The start as `time.monotonic()`; by default now.

    Returns:
        The trainer; its `entry` describes the written weights.

    Raises:
        PnpError: A problem that the user can correct, or a loss that is not finite.
    """
    began = time.monotonic() if began is None else began
    for name, limit in (("minutes", minutes), ("steps", steps)):
        if limit is not None and not limit > 0:
            raise PnpError(f"--{name} is {limit:g}, but should be above 0")
    recipe = replace(recipe, minutes=minutes or recipe.minutes, steps=steps or recipe.steps)
    if final:
        recipe = replace(recipe, schedule=replace(recipe.schedule, final=True))
    if recipe.schedule.final and not (recipe.minutes or recipe.steps):
        raise PnpError(
            "a final run lets the learning rate decay towards its end, so it needs a limit: "
            "--minutes or --steps"
        )
    trainer = Trainer(recipe, out, data, device=device, resume=resume, began=began, licence=licence)
    trainer.run()
    return trainer


class Trainer:
    """One run, from its start or its last checkpoint to its end."""

    def __init__(
        self,
        recipe: Recipe,
        out: str | Path,
        data: Sequence[str | Path] = (),
        *,
        device: str = "auto",
        resume: bool = False,
        began: float | None = None,
        licence: str | None = None,
    ):
        self.licence = licence
        self.recipe, self.data = recipe, [Path(d) for d in data]
        self.trained_on: list[Fingerprint] = []
        self.fabric = fabric_for(device, recipe.batch)
        self.folder = Run(out)
        if self.folder.exists and not resume:
            raise PnpError(
                f"{out} contains a run already: --resume continues it, -o DIR starts another"
            )
        self.folder.check(recipe.files(), self.data)
        self.pipeline = prepare(recipe)
        checkpoint = self.folder.resume(recipe, recipe.schedule.final) if resume else None
        self.images, validation_images = self._images()
        low = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
        self.pipeline.prepare(low, compile=recipe.compile).to(self.fabric.device)
        self.pipeline.checkpointing = recipe.recompute
        self.objective = Objective(self.pipeline, recipe)
        self.averaged = Averaged(self.pipeline, recipe.ema)
        optimiser = make_optimiser(self.averaged.parameters, recipe.optimiser)
        self.wrapped, self.optimiser = self.fabric.setup(self.objective, optimiser)
        self.rate = LearningRate(recipe)
        self.clock = Clock(recipe, time.monotonic() if began is None else began)
        self.step = self.first = 0
        self.interrupt = Interrupt()
        self.entry: dict[str, Any] = {}
        if checkpoint is not None:
            self._restore(checkpoint)
        self.validation: Validation | None = None
        if self.fabric.is_global_zero:
            self.validation = Validation(recipe, validation_images, self.fabric.device)
        self.log = Log(recipe, self.folder, self.fabric, self.clock)

    def run(self) -> None:
        """Train until the steps are done, the minutes are over or a signal arrives; then save,
        validate and, without a signal, export."""
        self.objective.train()
        with self._begun(), self.interrupt, self.log.shown(self.step):
            while not (due := self._due()).stop:
                if due.validate:
                    self._validate()
                if due.save:
                    self._save()
                self._learn()
                if self.step % self.recipe.log == 0:
                    self._write()
            self._save(finished=not self.interrupt.name)
            self._validate()
            if self.fabric.is_global_zero and not self.interrupt.name:
                self._export()
        self.fabric.barrier()

    @contextmanager
    def _begun(self) -> Iterator[None]:
        """With the folder of the run, which the first process makes and keeps others out of."""
        if not self.fabric.is_global_zero:
            yield
            return
        with self.folder.locked():
            self.folder.begin(self.step)
            yield

    def batch(self, step: int) -> dict[str, Any]:
        """This process's share of the batch of a step."""
        recipe, rank = self.recipe, self.fabric.global_rank
        seed = (recipe.seed << 32) + step
        torch.manual_seed(seed)
        generator = torch.Generator(self.fabric.device).manual_seed(seed)
        s = random.Random(seed).choices(recipe.degradations.scales, recipe.shares)[0]
        whole = draw(recipe, self.images, recipe.batch, recipe.crop, generator, s)
        share = recipe.batch // self.fabric.world_size
        part = slice(rank * share, (rank + 1) * share)
        return {n: v[part] if isinstance(v, Tensor) else v for n, v in whole.items()}

    def _learn(self) -> None:
        """One step: draw a batch, compare, differentiate, update."""
        with self.clock.step():
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate(self.step)
            losses = self._losses(self.batch(self.step))
            self.optimiser.zero_grad(set_to_none=True)
            self.fabric.backward(losses.sum())
            nn.utils.clip_grad_norm_(self.averaged.parameters, self.recipe.optimiser.clip)
            self.optimiser.step()
            self.step += 1
            self.averaged.update(self.step)
            self.log.add(losses)

    def _losses(self, batch: dict[str, Any]) -> Tensor:
        try:
            losses: Tensor = self.wrapped(batch)
        except PnpError as e:
            if not re.search(r"\bnan\b", str(e), re.IGNORECASE):
                raise
            self._write()  # an earlier loss may be the first that was not finite
            self.log.fail(self.step, f"cannot be computed: {e}")
        return losses

    def _due(self) -> Due:
        """What is due now, the same in all processes; saves the state before the decay begins."""
        due = self.clock.due(self.step, bool(self.interrupt.name))
        due = agreed(self.fabric, due, self.interrupt)
        decay = self.rate.decay_at(due.progress)
        if decay < 1 and self.rate.decay == 1:
            self._save(name=PRE_DECAY)
        self.rate.decay = decay
        return due

    def _write(self) -> None:
        self.log.write(self.step, self.optimiser.param_groups[0]["lr"])

    def _save(self, finished: bool = False, name: str = "") -> None:
        """Write a checkpoint, whose name is its step unless another is given."""
        self._write()  # a loss that is not finite stops here, before it can reach a checkpoint
        if not self.averaged.is_finite():
            self.log.fail(self.step, "led to weights that are not finite")
        if self.fabric.is_global_zero:
            state = {
                "step": self.step,
                "optimiser": self.optimiser.state_dict(),
                "decay": self.rate.decay,
                "finished": finished,
                "seconds": self.clock.seconds(),
                "recipe": self.recipe.identity(),
                "name": self.recipe.name,
                "method": self.recipe.optimiser.method,
                "warm_from": self.rate.warm_from,
            }
            self.folder.save(self.averaged.learned, self.averaged.ema, state, name)
            if self.rate.decay == 1:
                self.folder.save_pre_decay(self.averaged.learned, self._facts())
        self.clock.has_saved(self.step)

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint; moments start at zero if it has none of this optimiser."""
        self.averaged.load(checkpoint.weights, checkpoint.ema, checkpoint.path)
        state = checkpoint.state
        if state is None:
            return
        self.step = self.first = state["step"]
        self.rate.decay = self.rate.decay_before = state["decay"]
        self.clock.resumed(self.step, state["seconds"])
        before, now = state.get("method", "adam"), self.recipe.optimiser.method
        if before != now:
            self.rate.warm_from = self.step
            _log.warning(
                f"{checkpoint.path} was trained by {before}, the recipe says {now}: its moments "
                f"start at zero; --set optimiser.method={before} continues with its state"
            )
            return
        self.rate.warm_from = state.get("warm_from", 0)
        try:
            self.optimiser.load_state_dict(state["optimiser"])
        except (ValueError, KeyError) as e:
            raise PnpError(
                f"{checkpoint.path}: its state of {now} was written by another version of pnp; "
                f"start another run from its weights: --start {checkpoint.path}/weights.safetensors"
            ) from e

    def _validate(self) -> None:
        with self.clock.validation():
            if self.validation is not None:
                with self.averaged:
                    metrics, shown = self.validation.metrics(self.objective)
                self.log.validated(self.step, metrics)
                write_samples(self.folder.folder / "samples" / f"{self.step:08d}.png", shown)
            self.fabric.barrier()
        self.log.since = (time.monotonic(), self.step)

    def _export(self) -> None:
        """Write `weights.safetensors` from the averaged weights."""
        validation, recipe = self.validation, self.recipe
        assert validation is not None
        if self.step == 0:
            _log.warning(
                "no step was made: the time was over before the first one; allow more --minutes"
            )
        symbols = {name.partition(".")[0] for name in self.averaged.learned}
        runs = pipeline_in_header(recipe, self.pipeline, symbols)
        facts = {**({"pipeline": runs} if runs else {}), **self._facts()}

        def measure(pipeline: Pipeline) -> dict[str, float]:
            return validation.metrics(Objective(pipeline, recipe))[0]

        with self.averaged:
            path = self.folder.folder / "weights.safetensors"
            self.entry = export(path, self.pipeline, symbols, measure, facts)
        write_pipeline(path, recipe, self.pipeline, symbols)
        if self.trained_on:
            write_fingerprints(beside(path), self.trained_on)

    def _facts(self) -> dict[str, Any]:
        """What is said of the weights in their header, and in their entry."""
        recipe = self.recipe
        return {
            "name": recipe.name,
            "recipe": recipe.command,
            "data": ", ".join("/".join(d.parts[-2:]) for d in self.data) or "none",
            "steps": self.step,
            "batch": recipe.batch,
            "minutes": round(self.clock.seconds() / 60),
            "machine": machine(self.fabric.device),
            "licence": self.licence or "not stated",
            "trained": recipe.range,
        }

    def _images(self) -> tuple[ImagePool | None, ImagePool | None]:
        """The images to train on, and those for validation."""
        recipe, device = self.recipe, self.fabric.device
        if not recipe.needs_images:
            return None, None
        if not self.data:
            raise PnpError("the recipe learns from images: name folders of them with --data DIR")
        channels, crop = self.pipeline.channels or 3, max(recipe.crop, recipe.validation.crop)
        images = read_images(self.data, channels, crop, quiet=not self.fabric.is_global_zero)
        rest, validation_images = split(images, recipe.validation.images)
        self.trained_on = [fingerprint(image) for image in rest]
        return ImagePool(rest, device), ImagePool(validation_images, device)
