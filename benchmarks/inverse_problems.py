"""Inpainting, MRI and the loops that draw noise, each against a baseline, on small images.

    python benchmarks/inverse_problems.py      measure, in about a minute; write the CSV and tables

Images come with scikit-image, reduced to 128 x 128 pixels.  For MRI they have a synthetic smooth
phase, and a quarter of the columns is measured: the middle 8 % and random ones, denser towards the
middle, with noise of 1 % in each part.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage import data
from skimage.transform import resize
from torch import Tensor

import pnp
from pnp.fourier_planes import to_kspace
from pnp.kernel_files import make_kernel
from pnp.kspace import as_kspace, magnitude
from pnp.metrics import psnr

HERE = Path(__file__).parent
TABLE, PAGE = HERE / "results/inverse-problems.csv", HERE.parent / "docs/inverse-problems.md"
SIDE = 128
MRI = ("mri-tv", "mri-drunet", str(HERE / "pipelines/mri-drunet-magnitude.yaml"))
Row = dict[str, Any]


def reduced(image: np.ndarray) -> Tensor:
    """An image as (1, C, SIDE, SIDE) on [0, 1]."""
    side = min(image.shape[:2])
    square = image[:side, :side].astype(float) / (255 if image.dtype == np.uint8 else 1)
    small = resize(square, (SIDE, SIDE), anti_aliasing=True)
    return torch.from_numpy(np.atleast_3d(small)).float().permute(2, 0, 1)[None]


def run(name: str, **given: Any) -> tuple[Tensor, float]:
    """The result of a pipeline, and its seconds."""
    pipeline = pnp.load(name).eval()
    began = time.process_time()
    with torch.no_grad():
        x: Tensor = pipeline(**given).x
    return x, time.process_time() - began


def inpainting() -> Iterator[Row]:
    """Random pixels that are known, and a hole of 16 x 16 pixels."""
    generator = torch.Generator().manual_seed(0)
    for image in ("astronaut", "chelsea"):
        x = reduced(getattr(data, image)())
        for share in (0.5, 0.2):
            mask = (torch.rand(1, 1, SIDE, SIDE, generator=generator) < share).float()
            mask[..., 40:56, 40:56] = 0
            y = mask * x
            filled = pnp.initializers.build("fill")(y, mask)
            case = {"problem": "inpainting", "image": image, "setting": f"{share:.0%} known"}
            yield {**case, "method": "fill", "psnr": float(psnr(filled, x)), "seconds": 0.0}
            for name in ("inpaint-tv", "inpaint-drunet"):
                z, seconds = run(name, y=y, mask=mask)
                yield {**case, "method": name, "psnr": score(z, x), "seconds": seconds}


def mri() -> Iterator[Row]:
    """A quarter of k-space."""
    for image in ("shepp_logan_phantom", "camera"):
        x = reduced(getattr(data, image)())
        v, u = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
        phase = torch.from_numpy(np.exp(1j * (1.2 * u + 0.8 * v * v - 0.6 * u * v + 0.5)))
        generator = np.random.default_rng(0)
        noise = generator.standard_normal((2, SIDE, SIDE))
        kspace = to_kspace(x[0, 0] * phase).numpy() + 0.01 * (noise[0] + 1j * noise[1])
        scan = as_kspace(kspace, quarter(generator))
        case = {"problem": "MRI", "image": image.split("_")[0], "setting": "1/4 of the columns"}
        zero = scan.factor * magnitude(scan.y)
        yield {**case, "method": "zero-filled", "psnr": score(zero, x), "seconds": 0.0}
        for name in MRI:
            z, seconds = run(name, y=scan.y, mask=scan.mask, sigma=0.01 / scan.factor)
            quality = score(scan.factor * magnitude(z), x)
            yield {**case, "method": Path(name).stem, "psnr": quality, "seconds": seconds}


def quarter(generator: np.random.Generator) -> np.ndarray:
    """A mask (SIDE,) of a quarter of the columns."""
    mask, middle, width = np.zeros(SIDE), SIDE // 2, round(0.08 * SIDE)
    mask[middle - width // 2 : middle - width // 2 + width] = 1
    density = (1 - abs(np.arange(SIDE) - middle) / middle) ** 2 * (1 - mask)
    more = generator.choice(SIDE, SIDE // 4 - width, replace=False, p=density / density.sum())
    mask[more] = 1
    return mask


def drawn() -> Iterator[Row]:
    """Loops that draw noise, for a known blur."""
    generator = torch.Generator().manual_seed(0)
    k = make_kernel("gaussian:1.6", "kernel")
    for image in ("astronaut", "coffee", "chelsea"):
        x = reduced(getattr(data, image)())
        for s, sigma in ((1, 0.03), (2, 0.01)):
            y = pnp.observe(x, k, s, sigma, generator=generator)
            case = {"problem": "deblurring", "image": image, "setting": f"x{s}, {sigma:.0%} noise"}
            for name in ("dpir", "diffpir-drunet", "pnp-flow-drunet"):
                z, seconds = run(name, y=y, k=k, s=s, sigma=sigma)
                yield {**case, "method": name, "psnr": score(z, x), "seconds": seconds}


def score(z: Tensor, x: Tensor) -> float:
    """PSNR of a result whose values are limited to [0, 1]."""
    return float(psnr(z.clamp(0, 1), x))


def table(rows: list[Row], problem: str) -> list[str]:
    """PSNR of the methods as Markdown, one line for each image and setting."""
    mine = [row for row in rows if row["problem"] == problem]
    methods = list(dict.fromkeys(row["method"] for row in mine))
    lines = ["| image | setting | " + " | ".join(methods) + " |"]
    lines.append("|---|---|" + "---:|" * len(methods))
    for image, setting in dict.fromkeys((row["image"], row["setting"]) for row in mine):
        found = {r["method"]: r for r in mine if (r["image"], r["setting"]) == (image, setting)}
        numbers = " | ".join(f"{float(found[m]['psnr']):.2f}" for m in methods)
        lines.append(f"| {image} | {setting} | {numbers} |")
    return lines


def write(rows: list[Row]) -> None:
    """The CSV file, and the tables of the page between their marks."""
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {**row, "psnr": f"{row['psnr']:.3f}", "seconds": f"{row['seconds']:.1f}"}
            )
    text = PAGE.read_text()
    for problem in dict.fromkeys(row["problem"] for row in rows):
        begin, end = (
            f"<!-- {problem}: made by inverse_problems.py -->",
            f"<!-- end of {problem} -->",
        )
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = "\n".join([before + begin, "", *table(rows, problem), "", end]) + after
    PAGE.write_text(text)


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    for row in (*inpainting(), *mri(), *drawn()):
        rows.append(row)
    write(rows)


if __name__ == "__main__":
    main()
