"""`pnp train`: a recipe carried out, on the minutes that there are.

    recipe = load_recipe("image-prior-mini")
    train(recipe, "runs/mini", ["photographs"], minutes=20)

The loss of step n is a function of the weights and of the recipe's seed and n alone: everything
random is drawn from a generator seeded anew for each step.  So a run that was killed goes on, after
`resume=True`, on the very curve it would have taken; and each of several processes (torchrun) draws
the whole batch and takes its share of it, which gives the result that one process would.  Images
stand as bytes on the device, so there is no data loader.
"""

from __future__ import annotations

import math
import os
import random
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from pnp.checkpoints import load_weights
from pnp.degradations import ImageBank
from pnp.errors import PipelineError, PnpError, Problem
from pnp.images import read_image
from pnp.machine import machine
from pnp.pipeline import Pipeline, build
from pnp.training.muon import Muon
from pnp.training.objective import Objective
from pnp.training.recipe import Recipe
from pnp.training.run_folder import Checkpoint, Run
from pnp.training.shipping import export
from pnp.training.validation import Validation, draw, write_strip

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".npy")


def train(
    recipe: Recipe,
    out: str | Path,
    data: Sequence[str | Path] = (),
    *,
    minutes: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    resume: bool = False,
    began: float | None = None,
) -> Trainer:
    """Train until `steps` steps are done in all or `minutes` have passed since `began` (a
    `time.monotonic()`).

    Arguments: `out`, the folder of the run; `data`, folders of images; `resume` goes on with what
    is in `out`.  Both limits replace those of the recipe.  Returns the trainer, whose `entry`
    describes the weights that were written. PnpError for whatever the user can put right, among it
    a loss that is not finite.
    """
    began = time.monotonic() if began is None else began
    recipe = replace(recipe, minutes=minutes or recipe.minutes, steps=steps or recipe.steps)
    if recipe.schedule.final and not (recipe.minutes or recipe.steps):
        raise PnpError(
            "a final run decays the learning rate towards its end: say when that is, --minutes or --steps"
        )
    trainer = Trainer(recipe, out, data, device, resume, began)
    trainer.run()
    return trainer


def prepare(recipe: Recipe) -> Pipeline:
    """The pipeline of a recipe with its starting weights; what is not to be trained is frozen.

    PipelineError if something trained has nothing to learn, or a frozen network has no weights.
    """
    torch.manual_seed(recipe.seed)
    pipeline = build(recipe.spec, random_weights=True).requires_grad_(False)
    problems = []
    for name in recipe.train:
        try:
            part = pipeline.get_submodule(name)
        except AttributeError:
            parts = ", ".join(
                n for n, _ in pipeline.get_submodule(name.partition(".")[0]).named_children()
            )
            problems.append(
                Problem(recipe.line("train"), f"there is no '{name}' to train", f"parts: {parts}")
            )
            continue
        if next(part.parameters(), None) is None:
            problems.append(
                Problem(
                    recipe.line("train"), f"'{name}' is to be trained, but it has no parameters"
                )
            )
        part.requires_grad_(True)
    covered = set(recipe.start)
    sources = {target: (node.value, node.origin) for target, node in recipe.start.items()}
    for letter, module in pipeline.parts.items():
        frozen = {n for n, p in module.named_parameters(prefix=letter) if not p.requires_grad}
        if "" in covered and next(module.parameters(), None) is not None:
            sources[letter] = sources[""]
        elif any(
            not any(name == c or name.startswith(f"{c}.") for c in covered) for name in frozen
        ):
            named = recipe.spec.modules[letter].weights or recipe.spec.weights
            if named is None:
                cure = f"write 'start: {{{letter}: FILE}}' (--set start.{letter}=FILE), or train it"
                where = recipe.spec.modules[letter].origin
                problems.append(
                    Problem(where, f"{letter} is frozen, but no weights are given for it", cure)
                )
            else:
                sources[letter] = (named.value, named.origin)
    sources.pop("", None)
    for target, (source, origin) in sources.items():
        try:
            load_weights(pipeline.get_submodule(target), source, letter=target)
        except (PnpError, AttributeError) as e:
            made = Path(source.partition("#")[0]).parts
            cure = (
                f"'pnp train {made[1]}' makes it"
                if made[0] == "runs" and not Path(*made).exists()
                else ""
            )
            problems.append(Problem(origin, f"{target}: {e}", cure))
    if problems:
        raise PipelineError(problems)
    return pipeline


def read_images(folders: Sequence[str | Path], channels: int, crop: int) -> list[Tensor]:
    """All images in folders (and folders in them) as bytes, none of them smaller than a crop."""
    paths = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise PnpError(f"--data {folder}: there is no such folder")
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not found:
            raise PnpError(
                f"--data {folder}: there are no images in this folder ({', '.join(SUFFIXES)})"
            )
        paths += found
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda path: _bytes(path, channels), paths))
    small = [p for p, image in zip(paths, images, strict=True) if min(image.shape[1:]) < crop]
    if small:
        names = ", ".join(p.name for p in small[:3]) + (" ..." if len(small) > 3 else "")
        raise PnpError(
            f"{len(small)} of {len(images)} images are smaller than the crop of {crop} pixels: {names}; "
            "take them away, or crop less: --set crop=N --set validation.crop=N"
        )
    return images


def _bytes(path: Path, channels: int) -> Tensor:
    pixels = read_image(path).pixels[0]
    if channels == 1 and len(pixels) == 3:
        pixels = (pixels * pixels.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(
            0, keepdim=True
        )
    return (pixels.expand(channels, -1, -1) * 255).round().byte()


class Trainer:
    """One run, from its start or its last checkpoint to its end."""

    def __init__(
        self,
        recipe: Recipe,
        out: str | Path,
        data: Sequence[str | Path],
        device: str,
        resume: bool,
        began: float,
    ):
        self.recipe, self.began, self.data = recipe, began, [Path(d) for d in data]
        self.fabric = _fabric(device)
        self.main = self.fabric.is_global_zero
        if recipe.batch % self.fabric.world_size:
            raise PnpError(
                f"a batch of {recipe.batch} cannot be shared by {self.fabric.world_size} processes equally"
            )
        self.folder = Run(out)
        if self.folder.exists and not resume:
            raise PnpError(
                f"{out} holds a run already: --resume goes on with it, -o DIR begins another"
            )
        self.pipeline = prepare(recipe)
        checkpoint = self.folder.resume(recipe, recipe.schedule.final) if resume else None
        self.bank, self.held = self._images()
        low = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
        self.pipeline.prepare(low, compile=recipe.compile).to(self.fabric.device)
        self.pipeline.checkpointing = recipe.recompute
        self.objective = Objective(self.pipeline, recipe)
        self.learned = _learned(self.pipeline)
        self.parameters = [p for p in self.learned.values() if p.requires_grad]
        self.ema = {name: value.detach().clone() for name, value in self.learned.items()}
        self.floats = [name for name, value in self.learned.items() if value.is_floating_point()]
        o = recipe.optimiser
        method = {"adam": torch.optim.Adam, "muon": Muon}[o.method]
        optimiser = method(self.parameters, lr=o.lr, betas=o.betas)
        self.wrapped, self.optimiser = self.fabric.setup(self.objective, optimiser)
        self.generator = torch.Generator(self.fabric.device)
        self.step, self.first, self.warm_from, self.decay, self.decay_before = 0, 0, 0, 1.0, 1.0
        self.pending: list[Tensor] = []
        self.seconds_before, self.validated, self.validation_takes, self.step_takes = (
            0.0,
            -math.inf,
            0.0,
            0.0,
        )
        self.saved, self.logged = time.monotonic(), (time.monotonic(), 0)
        self.signal = ""
        self.figures: dict[str, float] = {}
        self.last_checkpoint: Path | None = None
        self.entry: dict[str, Any] = {}
        if checkpoint is not None:
            self._take_up(checkpoint)
        self.validation = Validation(recipe, self.held, self.fabric.device) if self.main else None

    # ------------------------------------------------------------ the run

    def run(self) -> None:
        """Train to the end, whatever it is: steps, minutes, a signal; then save, validate and export."""
        recipe = self.recipe
        if self.main:
            self.folder.begin(self.step)
        total = recipe.steps if recipe.steps else None
        self.objective.train()
        with (
            _stopped_by(self),
            tqdm(
                total=total,
                initial=self.step,
                desc=recipe.name,
                unit="step",
                disable=not (self.main and sys.stderr.isatty()),
            ) as self.bar,
        ):
            while True:
                stop, progress, validate, save = self._agree()
                self._decay(progress)
                if validate:
                    self._validate()
                if stop:
                    break
                if save:
                    self._save()
                self._learn()
                if self.step % recipe.log == 0:
                    self._log()
                self.bar.update()
            finished = not self.signal
            self._log()
            self._save(finished)
            self._validate()
            if self.main and finished:
                if self.step == 0:
                    print(
                        "no step was taken: the time was over before the first one; give more --minutes",
                        file=sys.stderr,
                    )
                self._export()
        self.fabric.barrier()

    def batch(self, step: int) -> dict[str, Any]:
        """This process's share of the batch of a step."""
        recipe, rank, world = self.recipe, self.fabric.global_rank, self.fabric.world_size
        seed = (recipe.seed << 32) + step
        torch.manual_seed(seed)
        self.generator.manual_seed(seed)
        s = random.Random(seed).choices(recipe.degradations.scales, recipe.shares)[0]
        whole = draw(recipe, self.bank, recipe.batch, recipe.crop, self.generator, s)
        share = recipe.batch // world
        part = slice(rank * share, (rank + 1) * share)
        return {
            name: value[part] if isinstance(value, Tensor) else value
            for name, value in whole.items()
        }

    def _learn(self) -> None:
        recipe, before = self.recipe, time.monotonic()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        try:
            losses = self.wrapped(self.batch(self.step))
        except PnpError as e:
            if not re.search(r"\bnan\b", str(e), re.IGNORECASE):
                raise
            self._log()  # was a loss before this one not finite?
            self._fail(self.step, f"cannot be computed: {e}", recipe.losses[0].origin)
        self.optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(losses.sum())
        nn.utils.clip_grad_norm_(self.parameters, recipe.optimiser.clip)
        self.optimiser.step()
        self.pending.append(losses.detach())
        self.step += 1
        kept = min(recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                [self.ema[name] for name in self.floats],
                [self.learned[n] for n in self.floats],
                1 - kept,
            )
        self.step_takes = time.monotonic() - before

    def _rate(self) -> float:
        schedule = self.recipe.schedule
        rise = (
            min(1.0, (self.step - self.warm_from + 1) / schedule.warmup) if schedule.warmup else 1.0
        )
        halvings = self.step // schedule.halve if schedule.halve else 0
        return self.recipe.optimiser.lr * rise * 0.5**halvings * self.decay

    def _decay(self, progress: float) -> None:
        """The factor of a final run's end; the state before it is kept, for later runs."""
        schedule = self.recipe.schedule
        if not schedule.final:
            return
        factor = min(1.0, max(0.0, 1 - progress) / schedule.decay)
        by_time = self.recipe.minutes is not None
        factor = factor * self.decay_before if by_time else factor
        if factor < 1 and self.decay == 1.0:
            self._save(name="stable")
        self.decay = factor

    def _agree(self) -> tuple[bool, float, bool, bool]:
        """(stop, progress, validate, save), the same in all processes."""
        recipe, now = self.recipe, time.monotonic()
        stop, progress = float(bool(self.signal)), 0.0
        if recipe.steps is not None:
            stop, progress = max(stop, float(self.step >= recipe.steps)), self.step / recipe.steps
        if recipe.minutes is not None:
            budget = 60 * recipe.minutes - 2 * self.validation_takes - 1.5 * self.step_takes - 1
            passed = now - self.began
            progress = max(progress, passed / budget if budget > 0 else 1.0)
            stop = max(stop, float(passed >= budget))
        validate = float(now - self.validated > 60 * recipe.validation.minutes)
        save = float(now - self.saved > 60 * recipe.save and self.step > self.first)
        if self.fabric.world_size > 1:
            told = torch.tensor([stop, progress, validate, save], dtype=torch.float64)
            stop, progress, validate, save = self.fabric.broadcast(told).tolist()
            signals = self.fabric.all_reduce(
                torch.tensor(float(bool(self.signal))), reduce_op="sum"
            )
            self.signal = self.signal or ("signal" if bool(signals) else "")
            stop = max(stop, float(bool(self.signal)))
        return bool(stop), progress, bool(validate), bool(save)

    # ------------------------------------------------------------ what is kept and shown

    def _log(self) -> None:
        """Write the mean loss since the last line; PipelineError if one of them is not finite."""
        if not self.pending:
            return
        losses = torch.stack(self.pending)
        if self.fabric.world_size > 1:
            losses = cast(Tensor, self.fabric.all_reduce(losses, reduce_op="mean"))
        losses, start = losses.cpu(), self.step - len(self.pending)
        self.pending = []
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            row, column = bad[0].tolist()
            self._fail(start + row, f"is {losses[row, column]}", self.recipe.losses[column].origin)
        now, (then, step) = time.monotonic(), self.logged
        rate = (self.step - step) * self.recipe.batch / max(now - then, 1e-9)
        self.logged = (now, self.step)
        loss = float(losses.sum(1).mean())
        self.bar.set_postfix(
            {"loss": f"{loss:.4g}", "images/s": f"{rate:.1f}", **_short(self.figures)}
        )
        self._row(
            loss=f"{loss:.8g}",
            lr=f"{self.optimiser.param_groups[0]['lr']:.4g}",
            images_per_s=f"{rate:.1f}",
        )

    def _row(self, **values: str) -> None:
        if self.main:
            self.folder.log({"step": self.step, "seconds": f"{self._seconds():.1f}", **values})

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def _fail(self, step: int, what: str, origin: Any) -> NoReturn:
        good = self.last_checkpoint
        last = (
            f"the last good checkpoint is {good} (--resume goes on from it)"
            if good
            else "there is no checkpoint yet"
        )
        cure = (
            f"{last}; lower the learning rate (--set optimiser.lr={self.recipe.optimiser.lr / 2:g})"
        )
        cure += (
            ", or train in fp32 (--set precision=fp32)" if self.recipe.precision == "bf16" else ""
        )
        raise PipelineError(
            [Problem(origin, f"training stops at step {step}: the loss {what}", cure)]
        )

    def _save(self, finished: bool = False, name: str = "") -> None:
        self._log()  # a loss that is not finite stops here, before it can reach a checkpoint
        if not bool(
            torch.stack([self.learned[name].isfinite().all() for name in self.floats]).all()
        ):
            self._fail(self.step, "left weights that are not finite", self.recipe.losses[0].origin)
        if self.main:
            state = {
                "step": self.step,
                "optimiser": self.optimiser.state_dict(),
                "decay": self.decay,
                "finished": finished,
                "seconds": self._seconds(),
                "recipe": self.recipe.identity(),
                "name": self.recipe.name,
                "method": self.recipe.optimiser.method,
                "warm_from": self.warm_from,
            }
            path = self.folder.save(self.learned, self.ema, state, name)
            if not name:
                self.last_checkpoint = path
            if self.decay == 1.0:
                self.folder.save_stable(self.learned)
        self.saved = time.monotonic()

    def _take_up(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; from mere weights, or those of another method, the optimiser starts anew."""
        for target, source in ((self.learned, checkpoint.weights), (self.ema, checkpoint.ema)):
            wrong = [n for n, v in target.items() if n not in source or source[n].shape != v.shape]
            if wrong:
                raise PnpError(
                    f"{checkpoint.path}: a checkpoint of another recipe: {wrong[0]} does not fit"
                )
            with torch.no_grad():
                for name, value in target.items():
                    value.copy_(source[name])
        state = checkpoint.state
        if state is not None:
            made_by, method = state.get("method", "adam"), self.recipe.optimiser.method
            if made_by == method:
                self.optimiser.load_state_dict(state["optimiser"])
                self.warm_from = state.get("warm_from", 0)
            else:
                self.warm_from = state["step"]
                print(
                    f"{checkpoint.path} was trained by {made_by}, the recipe says {method}: the optimiser starts anew; "
                    f"--set optimiser.method={made_by} goes on with its state",
                    file=sys.stderr,
                )
            self.step = self.first = state["step"]
            self.decay = self.decay_before = state["decay"]
            self.seconds_before, self.last_checkpoint = state["seconds"], checkpoint.path
            self.logged = (time.monotonic(), self.step)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it, the networks have their averaged weights."""
        current = {name: value.detach().clone() for name, value in self.learned.items()}
        _copy(self.learned, self.ema)
        try:
            yield
        finally:
            _copy(self.learned, current)

    def _validate(self) -> None:
        before = time.monotonic()
        self.validated = before
        if self.validation is not None:
            with self.averaged():
                self.figures, shown = self.validation.figures(self.objective)
            figures = {
                ("validation" if n == "loss" else n): f"{v:.6g}" for n, v in self.figures.items()
            }
            self._row(**figures)
            write_strip(self.folder.folder / "samples" / f"{self.step:08d}.png", shown)
            if self.step:
                self.folder.draw_curves(self.recipe.name)
            if self.bar.disable:
                told = ", ".join(f"{n} {v:.4g}" for n, v in self.figures.items())
                print(
                    f"step {self.step}, {self._seconds():.0f} s: {told}",
                    file=sys.stderr,
                    flush=True,
                )
        self.fabric.barrier()
        self.validated, self.validation_takes = time.monotonic(), time.monotonic() - before
        self.logged = (time.monotonic(), self.step)

    def _export(self) -> None:
        """Write `weights.safetensors` from the averaged weights."""
        assert self.validation is not None
        letters = {name.partition(".")[0] for name in self.learned}
        with self.averaged():
            measured = lambda: self.validation.figures(self.objective)[0]  # type: ignore[union-attr]  # noqa: E731
            facts = {
                "recipe": " ".join(
                    [self.recipe.name, *(f"--set {shlex.quote(c)}" for c in self.recipe.changes)]
                ),
                "data": ", ".join("/".join(d.parts[-2:]) for d in self.data) or "none",
                "steps": self.step,
                "batch": self.recipe.batch,
                "minutes": round(self._seconds() / 60),
                "machine": machine(self.fabric.device),
            }
            self.entry = export(
                self.folder.folder / "weights.safetensors", self.pipeline, letters, measured, facts
            )

    def _images(self) -> tuple[ImageBank | None, ImageBank | None]:
        """The images to train on, and those held out for validation (every n-th)."""
        recipe = self.recipe
        if not recipe.needs_images:
            return None, None
        if not self.data:
            raise PnpError("the recipe learns from images: name folders of them with --data DIR")
        channels = self.pipeline.channels or 3
        images = read_images(self.data, channels, max(recipe.crop, recipe.validation.crop))
        if len(images) < 2:
            raise PnpError(
                "there is one image, but one has to be held out for validation; give two or more"
            )
        count = min(recipe.validation.images, max(1, len(images) // 4))
        chosen = {i * len(images) // count for i in range(count)}
        held, device = [images[i] for i in sorted(chosen)], self.fabric.device
        rest = [image for i, image in enumerate(images) if i not in chosen]
        return ImageBank(rest, device), ImageBank(held, device)


def _learned(pipeline: Pipeline) -> dict[str, Tensor]:
    """The tensors that training changes, by name: trained parameters, and the buffers of their modules."""
    letters = {name.partition(".")[0] for name, p in pipeline.named_parameters() if p.requires_grad}
    state: Mapping[str, Tensor] = pipeline.state_dict(keep_vars=True)
    return {
        name: value
        for name, value in state.items()
        if value.requires_grad
        or (name.partition(".")[0] in letters and not isinstance(value, nn.Parameter))
    }


def _copy(target: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in target.items():
            value.copy_(source[name])


def _fabric(device: str) -> Fabric:
    """One process, or one of those that torchrun started."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    kind, _, index = device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    devices: Any = local if world > 1 else [int(index)] if index else 1
    try:
        fabric = Fabric(
            accelerator=kind,
            devices=devices,
            num_nodes=max(1, world // local),
            strategy="ddp" if world > 1 else "auto",
        )
    except Exception as e:
        raise PnpError(f"--device {device}: cannot be used here ({e}); try auto or cpu") from e
    fabric.launch()
    if kind == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    return fabric


@contextmanager
def _stopped_by(trainer: Trainer) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the run after the step in hand; a second one ends it at once."""

    def stop(number: int, frame: Any) -> None:
        if trainer.signal:
            raise KeyboardInterrupt
        trainer.signal = signal.Signals(number).name

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _short(figures: Mapping[str, float]) -> dict[str, str]:
    shown = ("psnr", "bicubic", "D alone", "kernel", "sigma")
    return {name: f"{figures[name]:.4g}" for name in shown if name in figures}
