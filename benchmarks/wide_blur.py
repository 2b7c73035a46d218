"""Photographs whose blur is wider than a kernel of 25 x 25 pixels, restored at their size and as
`pnp run` does it, at a smaller one: the table of decision 15.

    python benchmarks/wide_blur.py FOLDER [--photographs N]

Of each of the last N (4) photographs with sides of 850 pixels or more, the middle 640 x 480
pixels, blurred before they were cut out, noise of 1 %, in 8 bits.  PSNR in dB, as it is and after
registration, without a border of 48 pixels; r is by how much the photograph was reduced.
"""

import argparse
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

import pnp
from pnp.images import read_image
from pnp.kernel_words import kernel_of_words
from pnp.metrics import psnr, psnr_registered
from pnp.observation import blur
from pnp.random_blur import random_kernels
from pnp.reduction import Reduction
from pnp.training.data import SUFFIXES

LEAST = 850
SIZE = (480, 640)
SIGMA = 0.01
BORDER = 48


def motion(seed: int, times: float) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return Reduction(times).kernel(random_kernels(1, 25, "motion", generator=generator))


KERNELS = {
    "motion, 26 x 11 pixels": motion(0, 2.5),
    "motion, 40 x 28 pixels": motion(7, 2.5),
    "disc of 30 pixels": kernel_of_words("disc:15"),
}


def middle(image: Tensor, size: tuple[int, int] = SIZE) -> Tensor:
    top, left = ((side - length) // 2 for side, length in zip(image.shape[-2:], size, strict=True))
    return image[..., top : top + size[0], left : left + size[1]]


def photographs(folder: Path, number: int) -> list[Tensor]:
    found: list[Tensor] = []
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.suffix.lower() in SUFFIXES and len(found) < number:
            x = read_image(path).visible()
            if min(x.shape[-2:]) >= LEAST:
                found.append(x)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photographs", type=int, default=4)
    args = parser.parse_args()
    scenes = photographs(args.folder, args.photographs)
    print("| blur | observation | at its size | reduced | registered: at its size | reduced | r |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for name, k in KERNELS.items():
        scores: list[list[float]] = []
        factors = []
        for scene in scenes:
            x = middle(scene)
            noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
            y = (255 * (middle(blur(scene, k)) + SIGMA * noise).clamp(0, 1)).round() / 255
            smaller = whole = pnp.restore(y, "ikrnet-small", scale=1)
            if smaller.record["reduction"] > 1:
                whole = pnp.restore(y, "ikrnet-small", scale=1, reduce=1)
            images = (y, whole.image, smaller.image)
            plain = [float(psnr(image, x, border=BORDER)) for image in images]
            registered = [float(psnr_registered(image, x, border=BORDER)) for image in images[1:]]
            scores.append(plain + registered)
            factors.append(f"{smaller.record['reduction']:g}")
        means = " | ".join(f"{fmean(column):.2f}" for column in zip(*scores, strict=True))
        print(f"| {name} | {means} | {', '.join(factors)} |", flush=True)


if __name__ == "__main__":
    main()
