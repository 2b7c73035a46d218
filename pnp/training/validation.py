"""Validation during training: a fixed set with fixed seeds, and two baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pnp.degradations import ImagePool
from pnp.files import atomic
from pnp.initializers.interpolation import Bicubic
from pnp.initializers.nearest import Nearest
from pnp.kernels import resize_kernel
from pnp.metrics import psnr
from pnp.solvers.fft_image import FftImage
from pnp.training.objective import Objective
from pnp.training.recipe import Recipe


def draw(
    recipe: Recipe, images: ImagePool | None, n: int, crop: int, generator: torch.Generator, s: int
) -> dict[str, Any]:
    """A batch of true values by name; without images, of kernels alone."""
    if images is None:
        return {"k": recipe.degradations.kernels(n, generator)}
    return recipe.degradations.draw(images, n, crop, generator, s)._asdict()


class Validation:
    """Batches drawn once, one for each scale, and two baselines: bicubic interpolation and D
    alone.

    `metrics` by name: `loss`, and where the recipe compares them `psnr` (dB, with `bicubic` and `D
    alone`), `kernel` (mean squared error of a tap) and `sigma` (mean absolute error).
    """

    def __init__(self, recipe: Recipe, images: ImagePool | None, device: torch.device):
        v = recipe.validation
        generator = torch.Generator(device).manual_seed(v.seed)
        n = v.images if images is None else len(images)
        self.batches = [
            draw(recipe, images, n, v.crop, generator, s)
            for s in (sorted(set(recipe.degradations.scales)) if images is not None else [1])
        ]
        self.watched = {
            loss.target: loss.output for loss in recipe.losses if loss.target in ("x", "k", "sigma")
        }
        self.baselines: dict[str, float] = {}
        if "x" in self.watched:
            self.baselines["bicubic"] = self._mean([psnr(bicubic(b), b["x"]) for b in self.batches])
            self.baselines["D alone"] = self._mean([psnr(solved(b), b["x"]) for b in self.batches])

    @torch.no_grad()
    def metrics(self, objective: Objective) -> tuple[dict[str, float], dict[str, Any]]:
        """The metrics, and the last batch with its results (`x^`, `k^` ...) for `write_samples`."""
        objective.eval()
        found: dict[str, list[Tensor]] = {"loss": []}
        shown: dict[str, Any] = {}
        for batch in self.batches:
            found["loss"].append(objective(batch).sum()[None])
            values = objective.values
            ours = {name: values[output] for name, output in self.watched.items()}
            if "x" in ours:
                found.setdefault("psnr", []).append(psnr(ours["x"], batch["x"]))
            if "k" in ours:
                found.setdefault("kernel", []).append(
                    (ours["k"] - batch["k"]).square().mean((1, 2, 3))
                )
            if "sigma" in ours:
                found.setdefault("sigma", []).append(
                    (ours["sigma"] - batch["sigma"]).abs().flatten()
                )
            shown = {
                **batch,
                **{
                    f"{n}^": values[n]
                    for n in ("x", "k")
                    if n in values and values[n] is not batch[n]
                },
            }
        objective.train()
        return {name: self._mean(values) for name, values in found.items()} | self.baselines, shown

    @staticmethod
    def _mean(values: list[Tensor]) -> float:
        """Mean over all images; an image restored without any error counts as 100 dB."""
        return float(torch.cat([v.cpu().double() for v in values]).clamp(max=100).mean())


def bicubic(batch: dict[str, Any]) -> Tensor:
    """The observation, interpolated on its own grid."""
    enlarged: Tensor = Bicubic()(batch["y"], batch["s"])
    return enlarged


def solved(batch: dict[str, Any]) -> Tensor:
    """D alone: the true kernel, and a pull towards bicubic, whose errors are taken as 5 %."""
    weight = (batch["sigma"].clamp(min=2 / 255) / 0.05) ** 2
    z: Tensor = FftImage()(batch["y"], bicubic(batch), batch["k"], weight)
    return z


def write_samples(path: Path, shown: dict[str, Any], most: int = 6) -> None:
    """A picture of the batch: rows for LR, ours, HR, the true and the estimated kernels."""
    rows = []
    side = shown["x"].shape[-1] if "x" in shown else 4 * shown["k"].shape[-1]
    if "x" in shown:
        rows.append(Nearest()(shown["y"][:most], shown["s"]))
        if "x^" in shown:
            rows.append(shown["x^"][:most])
        rows.append(shown["x"][:most])
    if "x" not in shown or "k^" in shown or shown["k"].shape[-1] > 1:
        rows += [_pictures(shown[name][:most], side) for name in ("k", "k^") if name in shown]
    coloured = [row.expand(-1, 3, -1, -1).float().cpu().clamp(0, 1) for row in rows]
    tiles = [
        torch.cat([torch.nn.functional.pad(t, (1, 1, 1, 1), value=1.0) for t in row], -1)
        for row in coloured
    ]
    picture = (torch.cat(tiles, -2).permute(1, 2, 0) * 255).round().byte().numpy()
    from PIL import Image

    with atomic(path) as temporary:
        Image.fromarray(picture).save(temporary)


def _pictures(k: Tensor, side: int) -> Tensor:
    """Kernels as squares of the given side, the largest tap white."""
    times = max(1, side // k.shape[-1])
    k = (
        (k / k.amax((-2, -1), keepdim=True))
        .repeat_interleave(times, -1)
        .repeat_interleave(times, -2)
    )
    return resize_kernel(k, side)
