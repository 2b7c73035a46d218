"""Compare the estimators of the noise level F: a table of docs/training.md.

    python benchmarks/noise_levels.py FOLDER ... [--weights FILE]

FOLDER: the training images.  Those that training holds back for validation are blurred by random
kernels; of each estimator the median over the images, and the 10 % and 90 % quantiles, are printed.
"""

import argparse
from typing import Any

import torch

import pnp
from pnp.observation import blur, downsample
from pnp.random_blur import random_kernels
from pnp.training.data import read_images, split

IMAGES, CROP = 32, 256
SCALES = (1, 2, 4)
LEVELS = (0.0, 0.005, 0.01, 0.02, 0.03)
QUANTILES = torch.tensor([0.1, 0.5, 0.9])


def observations(folders: list[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """An image and a kernel for each observation."""
    images = split(read_images(folders, channels=3, crop=CROP, quiet=True), 64)[1][:: 64 // IMAGES]
    kernels = random_kernels(IMAGES, 25, generator=torch.Generator().manual_seed(0))
    return [(image[None] / 255, k[None]) for image, k in zip(images, kernels, strict=True)]


@torch.no_grad()
def main(folders: list[str], weights: str) -> None:
    change: dict[str, Any] = {"modules.F": {"estimator": "local-noise", "weights": weights}}
    modules = {
        "local-noise": pnp.load("ikrnet-small", **change).parts["F"],
        "wavelet-noise": pnp.estimators.build("wavelet-noise"),
    }
    pairs = observations(folders)
    print("| scale, true level | " + " | ".join(f"`{name}`" for name in modules) + " |")
    print("|---|" + "---|" * len(modules))
    for s in SCALES:
        for sigma in LEVELS:
            found: dict[str, list[float]] = {name: [] for name in modules}
            generator = torch.Generator().manual_seed(1)
            for x, k in pairs:
                x = x[..., : CROP // s * s, : CROP // s * s]
                y = downsample(blur(x, k), s)
                y = y + sigma * torch.randn(y.shape, generator=generator)
                for name, module in modules.items():
                    found[name].append(100 * float(module(y)))
            cells = []
            for name in modules:
                low, middle, high = torch.tensor(found[name]).quantile(QUANTILES)
                cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
            print(f"| x{s}, {100 * sigma:g} % | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--weights", default="local-noise")
    arguments = parser.parse_args()
    main(arguments.folders, arguments.weights)
