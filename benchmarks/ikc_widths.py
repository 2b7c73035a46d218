"""The widths of Gaussian blur that the Predictor of IKC reads, beside the true ones.

    python benchmarks/ikc_widths.py --weights Predictor_latest_G.pth --data FOLDER [--images 8]

The scale is 4, and there is no noise.

The width read is that of the Gaussian whose code is nearest to the Predictor's.  Two degradations:
`bicubic` is the Predictor's own (blur, then bicubic downsampling by PIL in 8 bits), `subsampled`
that of this toolkit (blur, then the upper-left pixel of every 4 x 4 block).  Writes
results/ikc_widths.csv: mean and standard deviation over the images.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import pnp
from pnp.checkpoints import load_weights
from pnp.images import read_image
from pnp.initializers.ikc_predictor import IKCPredictor
from pnp.kernels import gaussian_kernels

RESULTS = Path(__file__).parent / "results" / "ikc_widths.csv"
WIDTHS = (0.4, 0.8, 1.3, 1.8, 2.6, 3.4)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=8)
    args = parser.parse_args()
    predictor = IKCPredictor()
    load_weights(predictor, args.weights)
    paths = sorted(p for p in args.data.iterdir() if p.suffix in {".png", ".jpg"})[: args.images]
    images = [cropped(read_image(path).pixels) for path in paths]
    rows = []
    with torch.no_grad():
        for name, degrade in (("bicubic", bicubic), ("subsampled", subsampled)):
            for width in WIDTHS:
                found = [read(predictor, degrade(x, gaussian(width))) for x in images]
                mean, spread = f"{np.mean(found):.2f}", f"{np.std(found):.2f}"
                rows.append([name, width, mean, spread, len(images)])
                print(*rows[-1], flush=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["degradation", "width", "read", "spread", "images"])
        writer.writerows(rows)


def cropped(x: Tensor) -> Tensor:
    height, width = (side - side % 4 for side in x.shape[-2:])
    return x[..., :height, :width]


def gaussian(width: float) -> Tensor:
    std = torch.tensor([width])
    return gaussian_kernels(21, std, std)


def bicubic(x: Tensor, k: Tensor) -> Tensor:
    blurred = pnp.observe(x, k, 1).clamp(0, 1).mul(255).byte()[0]
    size = (x.shape[-1] // 4, x.shape[-2] // 4)
    small = [
        np.asarray(Image.fromarray(c.numpy()).resize(size, Image.Resampling.BICUBIC))
        for c in blurred
    ]
    return torch.from_numpy(np.stack(small))[None] / 255


def subsampled(x: Tensor, k: Tensor) -> Tensor:
    return pnp.observe(x, k, 4)


def read(predictor: IKCPredictor, y: Tensor) -> float:
    """The width of the Gaussian whose code is nearest."""
    std = torch.linspace(0.2, 4, 381)
    codes = gaussian_kernels(21, std, std).flatten(1) @ predictor.basis
    return float(std[torch.cdist(predictor.encoder(y), codes).argmin()])


if __name__ == "__main__":
    main()
