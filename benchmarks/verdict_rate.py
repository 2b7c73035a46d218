"""How often the verdict on an estimated kernel is right: the figures of pnp/verdict.py.

    python benchmarks/verdict_rate.py FOLDER ... --scale 1 --count 96 -o verdict.csv

FOLDER: the training images.  Crops of those that training holds back for validation are blurred
beyond their border, decimated, and get noise; two of seven are stored as JPEG, the others as PNG.
`ikrnet-small` restores each, and `usrnet-mini` is told the kernel and the noise level.  An estimate
is wrong if the first is more than 2 dB below the second after registration.  The rows hold all
scores of the verdicts, for the choice of thresholds.
"""

import argparse
import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

import pnp
from pnp.metrics import psnr_registered
from pnp.observation import blur, downsample
from pnp.quality import enlarged
from pnp.random_blur import random_kernels
from pnp.training.data import read_images, split

CROP, TAPS = 256, 25
LEVELS = (0.0, 0.005, 0.01, 0.02, 0.03)
WRONG = 2.0
"""dB below the result with the true kernel."""


def kernel(kind: str, generator: torch.Generator) -> Tensor:
    """A random kernel of a kind."""
    if kind == "disc":
        radius = 1 + 4 * torch.rand((), generator=generator)
        at = torch.arange(TAPS) - TAPS // 2
        k = (radius + 0.5 - torch.hypot(at[:, None].float(), at.float())).clamp(0, 1)
        return (k / k.sum())[None, None]
    return random_kernels(1, TAPS, kind, std=(0.4, 3.5), generator=generator)


def written(y: Tensor, folder: str, jpeg: bool) -> Path:
    """The observation as a file, PNG or JPEG."""
    pixels = (y[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
    path = Path(folder) / ("y.jpg" if jpeg else "y.png")
    options: dict[str, Any] = {"quality": 92, "subsampling": 0} if jpeg else {}
    Image.fromarray(pixels).save(path, **options)
    return path


def row(i: int, image: Tensor, s: int, restorer: pnp.Restorer) -> dict[str, Any]:
    """The scores and figures of one observation."""
    top, left = ((side - CROP) // 2 for side in image.shape[-2:])
    image = image[..., top : top + CROP, left : left + CROP]
    generator = torch.Generator().manual_seed(1000 * s + i)
    kind = ("isotropic", "anisotropic", "motion", "disc")[i % 4]
    sigma, jpeg = LEVELS[(i // 4) % len(LEVELS)], i % 7 < 2
    k, margin = kernel(kind, generator), TAPS // 2 // s * s + s
    scene = blur(image, k)[..., margin:-margin, margin:-margin]
    side = min(scene.shape[-2:]) // s * s
    scene, truth = scene[..., :side, :side], image[..., margin:, margin:][..., :side, :side]
    y = downsample(scene, s)
    y = (y + sigma * torch.randn(y.shape, generator=generator)).clamp(0, 1)
    with TemporaryDirectory() as folder:
        path = written(y, folder, jpeg)
        blind = restorer(path)
        told = pnp.restore(path, "usrnet-mini", scale=s, kernel=k, sigma=max(sigma, 0.003))

    def quality(x: Tensor) -> float:
        return float(psnr_registered(x, truth, border=s * s))

    verdict = blind.record["kernel"]
    return {
        "kind": kind,
        "sigma": sigma,
        "jpeg": int(jpeg),
        "before": quality(enlarged(y, truth)),
        "blind": quality(blind.image),
        "told": quality(told.image),
        "reliable": int(verdict["reliable"]),
        **verdict["scores"],
        "said": verdict["verdict"],
    }


def main(folders: list[str], s: int, count: int, out: str) -> None:
    """Measure, write the rows, and print the rates."""
    images = split(read_images(folders, channels=3, crop=CROP, quiet=True), 64)[1]
    restorer = pnp.Restorer("ikrnet-small", scale=s)
    rows = []
    for i in tqdm(range(count)):
        rows.append(row(i, images[i % len(images)][None] / 255, s, restorer))
        fields = list(dict.fromkeys(name for r in rows for name in r))
        with open(out, "w", newline="") as file:
            writer = csv.DictWriter(file, fields)
            writer.writeheader()
            writer.writerows(rows)
    for name, chosen in {"wrong": True, "right": False}.items():
        those = [r for r in rows if (r["told"] - r["blind"] > WRONG) == chosen]
        doubted = sum(not r["reliable"] for r in those)
        print(f"x{s}: {len(those)} estimates are {name}, {doubted} of them are doubted")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--count", type=int, default=96)
    parser.add_argument("-o", "--out", default="verdict.csv")
    arguments = parser.parse_args()
    main(arguments.folders, arguments.scale, arguments.count, arguments.out)
