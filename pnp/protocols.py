"""Protocols of published results: how the observation is simulated, and the border that PSNR omits.

They differ in cropping, rounding, boundary and noise.  The differences change PSNR by 0.1 dB and
more, so a result means little without its protocol.  `exact` is the observation model itself, in
floats.

    protocol("usrnet").observe(hr, k, s=4, sigma=0.02)
    protocol("usrnet-grey")            any protocol, on the luma of the ground truth
    add_protocol("mine", Protocol("blurred in floats, saved as 8 bits", saved=True))

A protocol is plain data, and `digest` is the hash of all of it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from dataclasses import asdict, dataclass, replace
from importlib.metadata import entry_points
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.checks import (
    SUM_ERROR,
    as_kernel,
    as_noise,
    as_option,
    check_form,
    check_kernel_fits,
    refuse,
)
from pnp.errors import PnpError
from pnp.kernels import mirror_kernel
from pnp.observation import blur, crop_to_multiple, downsample
from pnp.options import Count, Seed
from pnp.plugins import leave_out, missing
from pnp.resampling import keys
from pnp.tensors import LUMA

GREY = "-grey"
"""The end of the name of a protocol's variant on grey images."""


@dataclass(frozen=True)
class Protocol:
    """How an observation is simulated."""

    about: str
    multiple: int = 1
    """The sides of the HR image are cropped to multiples of this and of s."""
    rounded: bool = False
    """The HR image has 8 bits."""
    blur: Literal["circular", "circular in 8 bits", "reflect", "symmetric"] = "circular"
    """True convolution with a circular boundary, in floats or truncated (not rounded) to 8 bits; or
    correlation, beyond the edges the mirror image without ("reflect") or with ("symmetric") the
    outermost pixel."""
    downsampling: Literal["upper-left", "bicubic"] = "upper-left"
    """The upper-left pixel of every s x s block; or MATLAB's `imresize`, antialiased, centred."""
    saved: bool = False
    """The observation is rounded to 8 bits, before the noise if there is any."""
    clamped: bool = False
    """The observation is clamped to [0, 1] after the noise."""
    border_power: int | None = 2
    """PSNR omits a border of s to this power, in pixels; None: no border."""
    grey: bool = False
    """The ground truth is the luma 0.299 R + 0.587 G + 0.114 B, rounded to 8 bits."""
    kernels: tuple[str, ...] = ()
    """The kernels that belong to it, in the words of comparisons; () for any."""

    @property
    def digest(self) -> str:
        """The first digits of the SHA-256 of everything that changes a number."""
        facts = {name: value for name, value in asdict(self).items() if name != "about"}
        own = "" if type(self) is Protocol else inspect.getsource(type(self))
        text = json.dumps(facts, sort_keys=True) + own
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def boundary(self) -> str:
        """What lies beyond the border of the HR image: "periodic", "reflect" or "symmetric"."""
        return "periodic" if self.blur.startswith("circular") else self.blur

    def offset(self, s: int) -> float:
        """How far the observation's pixels lie below and to the right of the upper-left pixels of
        their s x s blocks, in pixels of the HR image."""
        return (s - 1) / 2 if self.downsampling == "bicubic" else 0.0

    def multiple_at(self, s: int) -> int:
        """What the sides of the HR image are multiples of, at scale s."""
        return math.lcm(s, self.multiple)

    def border(self, s: int) -> int:
        """Width of the border that PSNR omits at scale s."""
        return 0 if self.border_power is None else s**self.border_power

    def observe(
        self, hr: Tensor, k: Tensor, s: int = 1, sigma: float = 0.0, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        """The observation y (1, C, h, w) of an image, and the cropped HR image; see `degrade`."""
        check_form("degrade", "the image", hr)
        k = as_kernel("degrade", "k", k, SUM_ERROR)
        if len(hr) != 1 or len(k) != 1:
            refuse(
                "degrade",
                f"the batches have the sizes {len(hr)} and {len(k)}",
                "give one image, one kernel",
            )
        sigma = float(as_noise("degrade", "sigma", sigma, hr))
        s = as_option("degrade", "the scale", Count, s)
        seed = as_option("degrade", "the seed", Seed, seed)
        if self.grey and hr.shape[1] == 3:
            hr = _in_8_bits((hr * hr.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True))
        hr = crop_to_multiple(hr, math.lcm(s, self.multiple))
        hr = _in_8_bits(hr) if self.rounded else hr
        blurred = self._blurred(hr, k)
        y = _shrunk(blurred, s) if self.downsampling == "bicubic" else downsample(blurred, s)
        y = _in_8_bits(y) if self.saved else y
        _, channels, height, width = y.shape
        noise = np.random.RandomState(seed).normal(0, sigma, (height, width, channels))
        y = (y.double().cpu() + torch.from_numpy(noise).permute(2, 0, 1)).to(hr)
        return (y.clamp(0, 1) if self.clamped else y), hr

    def effective_kernel(self, k: Tensor, s: int) -> Tensor:
        """The kernel K for which y = (x * K)|s + n, up to rounding and boundary.

        Correlation turns the kernel by 180 degrees; antialiased resizing is a second blur, and
        takes the middle of each block, (s - 1) / 2 pixels from its upper-left pixel.
        """
        k = mirror_kernel(k) if self.blur in ("reflect", "symmetric") else k
        if self.downsampling == "bicubic" and s > 1:
            return _convolved(k, _antialias_kernel(s).to(k))
        return k

    def _blurred(self, hr: Tensor, k: Tensor) -> Tensor:
        if self.blur == "circular":
            return blur(hr, k)
        check_kernel_fits("degrade", k, hr.shape[-2], hr.shape[-1])
        if self.blur == "circular in 8 bits":
            return _blur_in_8_bits(hr, k)
        return _correlated(hr, k, self.blur)


PROTOCOLS = {
    "exact": Protocol("y = (x * k)↓s + n in floats"),
    "usrnet": Protocol(
        "Table 1 of Zhang et al. 2020", multiple=8, rounded=True, blur="circular in 8 bits"
    ),
    "ikrnet": Protocol(
        "Ates et al. 2023, kernels of 21 x 21",
        rounded=True,
        blur="circular in 8 bits",
        clamped=True,
    ),
    "dan-setting1": Protocol(
        "Luo et al. 2020, eight isotropic kernels",
        rounded=True,
        blur="reflect",
        downsampling="bicubic",
        saved=True,
        border_power=1,
        kernels=tuple(f"dan-setting1:{i}" for i in range(1, 9)),
    ),
    "dan-setting2": Protocol(
        "Luo et al. 2020, disturbed anisotropic kernels",
        rounded=True,
        blur="reflect",
        downsampling="bicubic",
        saved=True,
        border_power=1,
        kernels=("dan-setting2:0",),
    ),
    "div2krk": Protocol(
        "Bell-Kligler et al. 2019, kernels that are already shifted",
        rounded=True,
        blur="symmetric",
        saved=True,
        border_power=1,
    ),
    "denoising": Protocol("denoising, Zhang et al. 2021", border_power=None),
}
_plugins_loaded = False


def add_protocol(name: str, protocol: Protocol) -> Protocol:
    """Register a protocol, from a plugin; PnpError if another one has its name."""
    other = PROTOCOLS.get(name)
    if name.endswith(GREY) or (other is not None and other.digest != protocol.digest):
        raise PnpError(f"there is a protocol '{name}' already; rename one of them")
    PROTOCOLS[name] = protocol
    return protocol


def protocol(name: str) -> Protocol:
    """The protocol called `name`; PnpError with the nearest name if there is none."""
    found = _known().get(name.removesuffix(GREY))
    if found is None:
        known = missing("pnp.protocols", name, PROTOCOLS, "protocols")
        raise PnpError(
            f"there is no protocol '{name}'; {known}; "
            f"a name that ends in {GREY} is its variant on grey images"
        )
    if not name.endswith(GREY):
        return found
    return replace(found, about=f"{found.about}, on grey images", grey=True)


def _known() -> dict[str, Protocol]:
    """All protocols; those of installed plugins are the entry points `pnp.protocols`."""
    global _plugins_loaded
    if not _plugins_loaded:
        _plugins_loaded = True
        for point in entry_points(group="pnp.protocols"):
            try:
                loaded = point.load()
            except (Exception, SystemExit) as e:
                leave_out(point, e)
                continue
            if isinstance(loaded, Protocol):
                add_protocol(point.name, loaded)
    return PROTOCOLS


def degrade(
    hr: Tensor, k: Tensor, s: int = 1, sigma: float = 0.0, name: str = "exact", seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Simulate the observation of an image: returns y (1, C, h, w) and the cropped HR image.

    hr is (1, C, H, W) on [0, 1], k is (1, 1, K, K).  Noise is drawn from NumPy's
    `RandomState(seed)` in the order rows, columns, colours, as in the published code, so that seed
    0 gives exactly the noise of the `usrnet` protocol.
    """
    return protocol(name).observe(hr, k, s, sigma, seed)


def _in_8_bits(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round() / 255


def _blur_in_8_bits(hr: Tensor, k: Tensor) -> Tensor:
    """Circular convolution of 8-bit pixels, truncated to 8 bits, as the published code does it."""
    from scipy import ndimage

    pixels = (hr[0] * 255).round().to(torch.uint8).cpu().numpy()
    taps = k[0, 0].double().cpu().numpy()
    cut = np.stack([ndimage.convolve(channel, taps, mode="wrap") for channel in pixels])
    return torch.from_numpy(cut).to(hr)[None] / 255


def _correlated(hr: Tensor, k: Tensor, boundary: str) -> Tensor:
    """Correlation with a mirrored boundary, in floats."""
    from scipy import ndimage

    mode = "mirror" if boundary == "reflect" else "reflect"  # SciPy's names
    taps = k[0, 0].double().cpu().numpy()
    pixels = hr[0].double().cpu().numpy()
    result = np.stack([ndimage.correlate(channel, taps, mode=mode) for channel in pixels])
    return torch.from_numpy(result).to(hr)[None]


def _shrunk(image: Tensor, s: int) -> Tensor:
    """MATLAB's `imresize(image, 1 / s)`: bicubic (a = -1/2), antialiased, symmetric boundary."""
    rows, columns = (min(3, side // s) for side in image.shape[-2:])  # blocks beyond each edge
    around = ((0, 0), (0, 0), (rows * s, rows * s), (columns * s, columns * s))
    wide = torch.from_numpy(np.pad(image.double().cpu().numpy(), around, mode="symmetric"))
    size = [side // s for side in wide.shape[-2:]]
    small = F.interpolate(wide, size, mode="bicubic", antialias=True, align_corners=False)
    return small[..., rows : size[0] - rows, columns : size[1] - columns].to(image)


def _antialias_kernel(s: int) -> Tensor:
    """The kernel K (1, 1, K, K) with which `_shrunk` is (x * K)|s."""
    reach = 3 * s
    offset = torch.arange(-reach, reach + 1, dtype=torch.float64)
    taps = keys(((offset + (s - 1) / 2) / s).abs())  # distances from the middle of the block
    return (taps[:, None] * taps[None, :] / taps.sum() ** 2)[None, None].float()


def _convolved(k: Tensor, other: Tensor) -> Tensor:
    """The full convolution of two kernels, the second of odd sides; their centres are added."""
    rows, columns = other.shape[-2] - 1, other.shape[-1] - 1
    return F.conv2d(F.pad(k, (columns, columns, rows, rows)), other.flip(-1, -2))
