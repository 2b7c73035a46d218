"""One run of a pipeline without gradients: channels, small images, devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.boundaries import Assumption
from pnp.decoders import first_line
from pnp.errors import PnpError
from pnp.kspace import takes_kspace
from pnp.observation import mirrored_to
from pnp.pipeline import Pipeline
from pnp.replay import Saved
from pnp.result import Result, State


def run_image(
    pipeline: Pipeline,
    pixels: Tensor,
    given: Mapping[str, Any],
    trace: Callable[[State], None] | None = None,
    boundary: Assumption = "periodic",
    seed: int = 0,
    resume: Saved | None = None,
) -> Result:
    """A pipeline on pixels (1, C, H, W), without gradients; the channels of grey images and of
    networks are brought together, small images are continued.

    A complex image (MRI) is left as it is.  Grey is repeated for networks of three channels and the
    results are averaged; colours go one by one through networks of one channel.  An image that is
    smaller than a module needs is continued by its mirror image, and the results are cropped.

    Args:
        pipeline: The pipeline, on the device of the pixels.
        pixels: The observation y.
        given: The other variables; s may be among them although the pipeline does not take it.
        trace: Called with a `State` after every iteration.
        boundary: What lies beyond the border of the observation.
        seed: Of the noise that its steps draw.
        resume: Where an earlier run is continued.

    Raises:
        PnpError: The networks work on another number of channels.
    """
    y, needed, channels = pixels, pipeline.channels, pixels.shape[1]
    how = {"boundary": boundary, "trace": trace, "seed": seed, "resume": resume}
    if takes_kspace(pipeline.spec):
        names = {g.name for g in pipeline.spec.given}
        with torch.no_grad():
            return pipeline(y=y, **{n: v for n, v in given.items() if n in names}, **how)
    y = _with_channels(y, needed)
    height, width = y.shape[-2:]
    least = pipeline.least_side(given.get("s", 1))
    continued = min(height, width) < least
    if continued:
        y = mirrored_to(y, max(height, least), max(width, least))
    taken = dict(given)
    if continued and "mask" in taken:  # nothing is known of what is continued
        more = (0, y.shape[-1] - width, 0, y.shape[-2] - height)
        taken["mask"] = F.pad(taken["mask"], more)
    if all(g.name != "s" for g in pipeline.spec.given):
        taken.pop("s", None)
    with torch.no_grad():  # inference mode would hinder modules that use gradients inside
        values = dict(pipeline(y=y.contiguous(), **taken, **how))
    for name, value in values.items():
        if not isinstance(value, Tensor):
            continue
        if continued and min(value.shape[-2:]) >= least and name not in ("k", "w"):
            ratio = value.shape[-2] // y.shape[-2]
            value = values[name] = value[..., : ratio * height, : ratio * width]
        if needed == 3 and channels == 1 and value.shape[1] == 3:
            values[name] = value.mean(1, keepdim=True)
        elif needed == 1 and channels == 3 and value.shape[0] == 3:
            of_image = value.shape[-1] > 1 and name not in ("k", "w")
            values[name] = value.transpose(0, 1) if of_image else value.mean(0, keepdim=True)
    return Result(values)


def _with_channels(y: Tensor, needed: int | None) -> Tensor:
    """An image for networks of so many channels: grey repeated, or colours as a batch."""
    channels = y.shape[1]
    if needed == 3 and channels == 1:
        return y.expand(-1, 3, -1, -1)
    if needed == 1 and channels == 3:
        return y.transpose(0, 1)
    if needed is not None and needed != channels:
        raise PnpError(
            f"the pipeline's networks work on {needed} channels, but the image has {channels}"
        )
    return y


def choose_device(name: str, argument: str = "device") -> torch.device:
    """The device of a name; 'auto' is the first GPU (CUDA, XPU, MPS), else the CPU.  `argument` is
    its name in messages.
    """
    if name == "auto":
        kinds = {"cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.backends.mps}
        return torch.device(next((k for k, v in kinds.items() if v.is_available()), "cpu"))
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # which the device 'meta' cannot do
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as e:
        raise PnpError(
            f"{argument} {name}: cannot be used here ({first_line(e)}); try auto or cpu"
        ) from None
    return device
