"""What overexposed parts of a photograph cost, if white counts as the true value and if not.

    python benchmarks/overexposed.py [--figure]

Two photographs of scikit-image with lamps of four times the brightness of white, or exposed 1.8
times as long, then blurred (Gaussian of 2 pixels, and a motion kernel), noise of 0.5 %, in 8 bits.
Mean PSNR in dB of the observation and of restorations (after registration for the blind one), with
`pnp.overexposed` out of action and as it is: the table of decision 13.  With --figure, its picture
is drawn instead.
"""

import sys
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest import mock

import torch
from PIL import Image
from skimage import data

import pnp
from pnp.compression import as_jpeg
from pnp.kernel_files import make_kernel
from pnp.metrics import psnr, psnr_registered
from pnp.observation import blur
from pnp.overexposed import WHITE

SIDE = 192
CORNERS = {"coffee": (104, 204), "astronaut": (30, 150)}
KERNELS = [make_kernel("gaussian:2", "kernel"), make_kernel("motion:3", "kernel")]
SIGMA = 0.005
LAMPS = [(40, 40), (120, 150), (150, 60), (70, 110)]
PIPELINES = ("hqs-tv", "usrnet-mini", "ikrnet-small", "dpir")


def scene(photograph: str, kind: str) -> torch.Tensor:
    top, left = CORNERS[photograph]
    part = getattr(data, photograph)()[top : top + SIDE, left : left + SIDE].copy()
    x = torch.from_numpy(part).permute(2, 0, 1)[None] / 255
    if "longer" in kind:
        x = 1.8 * x
    if "lamps" in kind:
        rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
        for row, column in LAMPS:
            x[..., (rows - row) ** 2 + (columns - column) ** 2 < 8] = 4.0
    return x


def taken(x: torch.Tensor, k: torch.Tensor, kind: str = "") -> torch.Tensor:
    """The scene, blurred, with noise, as a file stores it."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    y = blur(x, k) + SIGMA * noise
    if "JPEG" in kind:
        return as_jpeg(y, [90])
    return (255 * y.clamp(0, 1)).round() / 255


def draw(file: Path) -> None:
    """A photograph with lamps, restored in both ways, and the scene as far as white."""
    rows = []
    for k in KERNELS:
        x = scene("coffee", "lamps")
        y = taken(x, k)
        images = [y]
        for least in (2.0, WHITE):
            with mock.patch("pnp.overexposed.WHITE", least):
                images.append(pnp.restore(y, "usrnet-mini", kernel=k, scale=1).image)
        rows.append(torch.cat([*images, x], -1).clamp(0, 1))
    picture = (255 * torch.cat(rows, -2)[0].permute(1, 2, 0)).round().byte().numpy()
    Image.fromarray(picture).save(file, quality=90)


def main() -> None:
    if sys.argv[1:] == ["--figure"]:
        return draw(Path(__file__).parents[1] / "docs" / "img" / "overexposed.jpg")
    print("| pipeline | scene | observation | white is a value | white is a limit |")
    print("|---|---|---:|---:|---:|")
    for name in PIPELINES:
        measured = psnr_registered if name == "ikrnet-small" else psnr
        for kind in (
            "as it is",
            "lamps",
            "lamps, JPEG",
            "longer exposure",
            "longer exposure, JPEG",
        ):
            found: dict[str, list[float]] = {"before": [], "value": [], "limit": []}
            for photograph in CORNERS:
                x = scene(photograph, kind)
                for k in KERNELS:
                    y, white = taken(x, k, kind), x.clamp(0, 1)
                    given: dict[str, Any] = {"scale": 1}
                    if name != "ikrnet-small":
                        given["kernel"] = k
                    found["before"].append(float(psnr(y, white, border=12)))
                    for how, least in (("value", 2.0), ("limit", WHITE)):
                        with mock.patch("pnp.overexposed.WHITE", least):
                            image = pnp.restore(y, name, **given).image
                        found[how].append(float(measured(image, white, border=12)))
            cells = " | ".join(f"{fmean(each):.2f}" for each in found.values())
            print(f"| `{name}` | {kind} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
