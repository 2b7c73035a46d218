"""`pnp.restore`: restores an image of any form with a pipeline.

    restored = pnp.restore("photograph.png", "usrnet-small", scale=2, kernel="gaussian:1.6")
    restored.image, restored.kernel, restored.levels, restored.record

`Restorer` builds the pipeline once, for several images; the command `pnp run` is one of them and
the files that it writes (`pnp/commands/run.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pnp.boundaries import Assumption
from pnp.building import build
from pnp.checks import as_option
from pnp.compression import stored_as
from pnp.errors import PnpError
from pnp.image_forms import as_image_file
from pnp.images import ImageFile
from pnp.inference import choose_device, run_image
from pnp.kernel_files import fitted_kernel, given_kernel
from pnp.kspace import KSpace, magnitude, observation, takes_kspace
from pnp.language.reader import read_spec
from pnp.masks import read_mask
from pnp.memory import Limit
from pnp.offered import check_offered, default_scale
from pnp.options import Count, Seed, read_noise
from pnp.overexposed import photograph
from pnp.precision import DTYPES, chosen
from pnp.prepared import Prepared, prepared
from pnp.provenance import made_with, now
from pnp.quality import Alignment, measure, scale_of
from pnp.reduction import WHOLE, Reduction, as_reduction
from pnp.replay import Saved
from pnp.result import Result, State, levels_of
from pnp.trained_range import outside
from pnp.verdict import judge

CORNER = 48
"""Side of the part of an observation on which the size of the result is found."""


@dataclass(frozen=True)
class Restored:
    """The result for one image."""

    image: Tensor
    """(1, C, H, W) float32 on [0, 1], C as in the observation."""
    kernel: Tensor | None
    """(1, 1, K, K), estimated or given; None if the pipeline has none."""
    levels: dict[str, list[float]]
    """Levels that the pipeline returns (sigma ...) by name, one number for each iteration or one.
    """
    record: dict[str, Any]
    """Everything that was given, estimated and measured, as plain values for a JSON file."""
    values: Tensor | None = None
    """For MRI, the complex image (H, W) in the units of the k-space, whose magnitude is `image`."""


def restore(
    image: Any,
    pipeline: str | Path,
    *,
    scale: int | None = None,
    kernel: str | Path | Tensor | np.ndarray | None = None,
    sigma: float | str | None = None,
    mask: Any = None,
    boundary: Assumption = "unknown",
    reference: Any = None,
    trace: Callable[[State], None] | None = None,
    **options: Any,
) -> Restored:
    """Restore one image with a pipeline.

    Args:
        image: The observation y: a path, a PIL image, a NumPy array (H, W), (H, W, 1 or 3) of
            bytes, 16 bits or floats on [0, 1], or a tensor (C, H, W) or (1, C, H, W) of floats on
            [0, 1].  For MRI, k-space: see `pnp.kspace.as_kspace`.
        pipeline: Name or YAML file of a pipeline.
        scale: How many times larger the result is; None for the pipeline's default.
        kernel: Blur kernel: a file, words such as "gaussian:1.6", or the taps (K, K).
        sigma: Noise level, as 0.02, "2%" or "5/255"; None if the pipeline should estimate it.
        mask: For inpainting, an image that is white (or opaque) where the observation is known, or
            an array of bool or numbers.
        boundary: What lies beyond the border of the image: "unknown", as of any photograph, whose
            white is a least value (`pnp.overexposed`), or "periodic", as of simulated observations.
        reference: The ground truth, for the PSNR before and after in `record["quality"]`.
        trace: Called with a `State` after every iteration; of a reduced copy, if there is one.
        options: Those of `Restorer`: reduce, device, dtype, compile, max_memory, align, seed,
            random_weights, resume, assignments, overlays.

    Raises:
        PnpError: The image, the kernel or the pipeline cannot be used.
    """
    given = {"scale": scale, "kernel": kernel, "sigma": sigma, "mask": mask}
    restorer = Restorer(pipeline, boundary=boundary, **given, **options)
    return restorer(image, reference=reference, trace=trace)


class Restorer:
    """A pipeline, built once for all images; call it with an image.

    The arguments are those of `restore`; in addition

    Args:
        assignments: Changes of the pipeline, "key=value" as of `--set`.
        overlays: Pipelines that are put over it, as of `--with`.
        reduce: At scale 1, where the kernel is estimated: the factor by which a photograph is
            reduced before it is restored and enlarged again; "auto" for what its blur needs
            (`pnp.reduction`), 1 for not at all.
        device: "auto" (the first GPU, else the CPU), "cpu", "cuda", "cuda:1", "xpu", "mps".
        dtype: The precision of the image networks: "fp32", "bf16", or "auto", which is bf16 where
            the device has it and it is known to change little (`pnp.precision`), else fp32.
        compile: Compile the image networks.
        max_memory: Memory that a run may take, as "6GB": networks get the image in tiles that
            fit.  None for 4 GB as far as tiles achieve it.
        align: Where the result lies: "corner", with its first pixel on that of the image, as
            in the equations; or "centre", centre on centre, as most programs enlarge.
        seed: Seed of all random numbers.
        random_weights: Leave networks without weights at their random start.
        resume: Where an earlier run is continued (`pnp.read_state`).
        say: The name of an argument in messages ("--scale" for "scale", in the command).
    """

    def __init__(
        self,
        pipeline: str | Path,
        *,
        scale: int | None = None,
        kernel: str | Path | Tensor | np.ndarray | None = None,
        sigma: float | str | None = None,
        mask: Any = None,
        boundary: Assumption = "unknown",
        assignments: tuple[str, ...] = (),
        overlays: tuple[str, ...] = (),
        reduce: float | str = "auto",
        device: str = "auto",
        dtype: str = "auto",
        compile: bool = False,
        max_memory: str | None = None,
        align: Alignment = "corner",
        seed: int = 0,
        random_weights: bool = False,
        resume: Saved | None = None,
        say: Callable[[str], str] = str,
    ):
        if not isinstance(pipeline, str | Path):
            raise PnpError(f"pipeline is a {type(pipeline).__name__}; give its name or its file")
        spec = read_spec(str(pipeline), assignments=assignments, overlays=overlays)
        self.say, self.resume = say, resume
        self.facts: dict[str, Any] = {
            "pipeline": str(pipeline),
            "with": list(overlays),
            "set": list(assignments),
            "given": {"s": scale, "k": kernel, "sigma": sigma, "mask": mask},
            "boundary": as_option(spec.name, say("boundary"), Assumption, boundary),
            "seed": seed,
            "random_weights": random_weights,
            "max_memory": max_memory,
            "align": as_option(spec.name, say("align"), Alignment, align),
            "resume": None if resume is None else [resume.source, resume.iteration],
        }
        self.limit = Limit(max_memory, say("max_memory"))
        check_offered(spec, self.facts["given"], say)
        self.device = choose_device(device, say("device"))
        dtype = as_option(spec.name, say("dtype"), Literal["auto", "fp32", "bf16"], dtype)
        dtype = self.facts["dtype"] = chosen(
            dtype, spec, self.device, bool(assignments or overlays)
        )
        torch.manual_seed(as_option(spec.name, say("seed"), Seed, seed))
        self.pipeline = build(spec, random_weights=random_weights).to(self.device)
        self.pipeline.prepare(DTYPES[dtype], compile)
        scale = default_scale(spec) if scale is None else scale
        self.scale: int = as_option(spec.name, say("scale"), Count, scale)
        self.given: dict[str, Any] = {"s": self.scale}
        self.kernel = None if kernel is None else given_kernel(kernel, say("kernel"))
        if sigma is not None:
            self.given["sigma"] = read_noise(sigma, say("sigma"))
        if mask is not None:
            name = f"{say('mask')} {_named(mask)}"
            self.given["mask"] = read_mask(mask, name).to(self.device)
        self.facts["reduce"] = as_reduction(reduce, say("reduce"), self._reducible())

    def __call__(
        self,
        image: Any,
        *,
        reference: Any = None,
        trace: Callable[[State], None] | None = None,
        name: str = "",
    ) -> Restored:
        """Restore one image; see `restore`.  `name` is its name in messages and the record."""
        name, began = name or _named(image), time.perf_counter()
        file = observation(self.pipeline.spec, image, self.given.get("mask"), name)
        s, boundary, align = self.scale, self.facts["boundary"], self.facts["align"]
        reduce = self.facts["reduce"] if self._reducible() else 1.0
        seen = prepared(file, boundary, "mask" in self.given, reduce)
        y = seen.y
        truth = None if reference is None else as_image_file(reference).visible()
        if truth is not None:
            self._check_reference(seen.whole, truth, reference, name)
            truth = seen.bars.times(truth.shape[-1] / seen.whole.shape[-1]).inside(truth)
        given, read = self._given_for(seen.small, seen.reduction), time.perf_counter()
        tiles = self.limit.apply(self.pipeline, *seen.size, s, boundary)
        result = self._run(file, seen, given, trace)
        reports = {symbol: module.report() for symbol, module in self.pipeline.parts.items()}
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        ran = time.perf_counter()
        x, values = result["x"].float().cpu(), None
        if isinstance(file, KSpace):
            values, x = file.reconstructed(x), magnitude(x)
        levels = levels_of(result)
        level = given.get("sigma", levels.get("sigma", [None])[-1])
        with photograph(seen.white):
            verdict = self._verdict(x, result, seen, given.get("sigma"))
            x, k = seen.reduction.up(x, y), result.get("k", given.get("k"))
            k = None if k is None else seen.reduction.kernel(k[:1].float().cpu())
            explained = None if "mask" in given else k
            quality, notes = measure(x, explained, y, truth, s, boundary, align)
        record = {
            **self._asked(name),
            "reduction": seen.reduction.factor,
            "tiles": tiles,
            "scale": scale_of(x, y),
            "estimates": levels,
            "quality": quality,
            "notes": notes + seen.notes(),
            "warnings": outside(self.pipeline.spec, s, level) + seen.warnings(),
            "kernel": verdict,
            "reports": {symbol: report for symbol, report in reports.items() if report},
            "seconds": {"read": read - began, "run": ran - read},
            "seed": self.facts["seed"],
            "device": str(self.device),
            "dtype": self.facts["dtype"],
            "random_weights": self.facts["random_weights"],
            "date": now(),
            **self.made,
        }
        x = seen.finished(x, align)
        return Restored(x, k, levels, record | {"size": list(x.shape[-2:])}, values)

    def _run(
        self,
        file: ImageFile,
        seen: Prepared,
        given: dict[str, Any],
        trace: Callable[[State], None] | None,
    ) -> Result:
        """Run the pipeline; from k-space, the mask is given, too."""
        y = seen.small
        if isinstance(file, KSpace):
            y, given["mask"] = file.y, file.mask.to(self.device)
        how = (trace, self.facts["boundary"], self.facts["seed"], self.resume)
        torch.manual_seed(self.facts["seed"])
        with stored_as(seen.lossy), photograph(seen.white):
            return run_image(self.pipeline, y.to(self.device), given, *how)

    def _asked(self, name: str) -> dict[str, Any]:
        """What was asked for, for the record."""
        same = ("boundary", "align", "reduce", "max_memory", "resume")
        return {
            "pipeline": self.facts["pipeline"],
            "about": self.pipeline.spec.about,
            "with": self.facts["with"],
            "set": self.facts["set"],
            "document": self.pipeline.spec.document.plain(),
            "input": name,
            "given": {n: _plain(v) for n, v in self.facts["given"].items()} | {"s": self.scale},
            **{fact: self.facts[fact] for fact in same},
        }

    def _reducible(self) -> bool:
        """Whether photographs may be reduced: their kernel is estimated, at scale 1."""
        estimated = "k" in self.pipeline.spec.returns and self.kernel is None
        estimated &= self.scale == 1 and self.facts["boundary"] == "unknown"
        return estimated and "mask" not in self.given

    @cached_property
    def made(self) -> dict[str, Any]:
        """The weights' checksums, versions and the machine (`pnp.provenance.made_with`)."""
        return made_with(self.pipeline.spec, self.device, self.facts["random_weights"])

    def _check_reference(self, y: Tensor, truth: Tensor, reference: Any, name: str) -> None:
        """PnpError if the ground truth is not as large as the result will be.

        If it is not s times as large as y, a run on a corner of y tells how large the result is.
        """
        size = tuple(truth.shape[-2:])
        if takes_kspace(self.pipeline.spec) and size != tuple(y.shape[-2:]):
            raise PnpError(
                f"{self.say('reference')} {_named(reference)}: it is {size[0]} x {size[1]}, but "
                f"{name} is {y.shape[-2]} x {y.shape[-1]}; give the magnitude of the whole scan"
            )
        if size == tuple(self.scale * side for side in y.shape[-2:]):
            return
        corner = y[..., :CORNER, :CORNER].to(self.device)
        given = self._given_for(corner)
        if "mask" in given:
            given["mask"] = given["mask"][..., : corner.shape[-2], : corner.shape[-1]]
        x = run_image(self.pipeline, corner, given, boundary=self.facts["boundary"])["x"]
        scale = scale_of(x, corner)
        height, width = (side * (scale or 1) for side in y.shape[-2:])
        if scale is not None and size != (height, width):
            raise PnpError(
                f"{self.say('reference')} {_named(reference)}: it is {size[0]} x {size[1]}, but "
                f"{name} at scale {scale} becomes {height} x {width}; "
                "pnp degrade writes a pair that fits"
            )

    def _given_for(self, y: Tensor, reduction: Reduction = WHOLE) -> dict[str, Any]:
        """The given variables for an observation of this size, and its level once it is reduced."""
        given = {**self.given}
        if self.kernel is not None:
            size = (self.scale * y.shape[-2], self.scale * y.shape[-1])
            given["k"] = fitted_kernel(self.kernel, self.say("kernel"), size).to(self.device)
        if "sigma" in given:
            given["sigma"] = reduction.level(given["sigma"])
        return given

    def _verdict(
        self, x: Tensor, result: Result, seen: Prepared, sigma: float | None
    ) -> dict[str, Any] | None:
        """The verdict on an estimated kernel; None if the pipeline estimates none."""
        y, s, levels = seen.small, self.scale, levels_of(result)
        if "k" not in result or self.kernel is not None or scale_of(x, y) != s:
            return None
        sigma = levels["sigma"][-1] if "sigma" in levels else sigma
        margin, gain = (levels.get(name, [None])[0] for name in ("margin", "gain"))
        k = result["k"][:1].float().cpu()
        lossy = bool(seen.lossy)
        return judge(y, x, k, s, sigma, margin=margin, ringing=gain, lossy=lossy).plain()


def _named(image: Any) -> str:
    return str(image) if isinstance(image, (str, Path)) else type(image).__name__


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, str)) else _named(value)
