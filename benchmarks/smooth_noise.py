"""What noise whose neighbouring pixels are alike costs, where its level is estimated.

    python benchmarks/smooth_noise.py

Two photographs of scikit-image, noise of a standard deviation of 2 %, blurred by a Gaussian (but
for `denoise`, 5 % and no blur); mean PSNR in dB of the observation, and of restorations that
estimate the level and that are told the standard deviation: a table of docs/training.md.
"""

from statistics import fmean
from typing import Any

import torch
from skimage import data
from torch.nn.functional import interpolate

import pnp
from pnp.kernel_files import make_kernel
from pnp.metrics import psnr
from pnp.observation import blur
from pnp.sensor_noise import demosaicked

SIDE = 320
CORNERS = {"coffee": (40, 100), "rocket": (54, 154)}
KERNEL = make_kernel("gaussian:1.6", "kernel")
LEVEL, ALONE = 0.02, 0.05
PIPELINES = ("hqs-tv", "ikrnet-small", "usrnet-mini", "denoise", "dpir")


def white(*shape: int) -> torch.Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))


def resized(side: int) -> torch.Tensor:
    return interpolate(white(3, side, side), SIDE, mode="bicubic", antialias=side > SIDE)


KINDS = {
    "white": white(3, SIDE, SIDE),
    "Bayer sensor": demosaicked(white(1, SIDE, SIDE).expand(1, 3, SIDE, SIDE)),
    "enlarged twice": resized(SIDE // 2),
    "reduced to two thirds": resized(SIDE * 3 // 2),
    "film (Gaussian, 0.6 pixels)": blur(white(3, SIDE, SIDE), make_kernel("gaussian:0.6", "k")),
}


def main() -> None:
    print("| pipeline | noise | observation | level estimated | told |")
    print("|---|---|---:|---:|---:|")
    for name in PIPELINES:
        sigma = ALONE if name == "denoise" else LEVEL
        given: dict[str, Any] = {} if name == "denoise" else {"scale": 1, "boundary": "periodic"}
        if name not in ("denoise", "ikrnet-small"):
            given["kernel"] = KERNEL
        for kind, noise in KINDS.items():
            found: dict[str, list[float]] = {"observation": [], "estimated": [], "told": []}
            for photograph, (top, left) in CORNERS.items():
                pixels = getattr(data, photograph)()[top : top + SIDE, left : left + SIDE].copy()
                x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
                y = blur(x, KERNEL) if given else x
                y = (y + sigma * noise / noise.std()).clamp(0, 1)
                found["observation"].append(float(psnr(y, x, border=1)))
                for how, level in (("estimated", None), ("told", sigma)):
                    if how == "told" and name == "ikrnet-small":
                        continue
                    image = pnp.restore(y, name, sigma=level, **given).image
                    found[how].append(float(psnr(image, x, border=1)))
            cells = [f"{fmean(each):.2f}" if each else "" for each in found.values()]
            print(f"| `{name}` | {kind} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
