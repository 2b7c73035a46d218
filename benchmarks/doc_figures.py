"""Draw the figures of docs/degradations.md, and the blind restorations of the README.

    python benchmarks/doc_figures.py [FOLDER]

The default folder is docs/img.
"""

import io
import math
import sys
from pathlib import Path

import matplotlib
import torch
from PIL import Image
from torch import Tensor

from pnp.degradations import Degradations, ImagePool
from pnp.files import atomic
from pnp.initializers import build
from pnp.kernel_files import make_kernel
from pnp.kernels import centre_of_mass, gaussian_kernels, resize_kernel
from pnp.metrics import psnr
from pnp.observation import add_noise, blur, observe
from pnp.protocols import degrade
from pnp.random_blur import disturb, motion_kernels, random_kernels
from pnp.restoration import Restorer

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

PER_ROW = 10


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    photo = photograph()
    for draw in (gaussians, motion, mixed_and_disturbed, off_centre):
        save(folder / f"{draw.__name__.replace('_', '-')}.png", draw())
    for draw_from in (model, noise, batch, blind):
        save(folder / f"{draw_from.__name__}.png", draw_from(photo))


def photograph() -> Tensor:
    """The image `astronaut` of scikit-image, (3, 512, 512), uint8."""
    from skimage import data

    return torch.from_numpy(data.astronaut()).permute(2, 0, 1).contiguous()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussians():
    std = torch.linspace(0.2, 4.0, PER_ROW)
    half = torch.full((PER_ROW,), 1.2)
    angle = torch.linspace(0, math.pi * (1 - 1 / PER_ROW), PER_ROW)
    return rows(
        {
            "std 0.2 to 4, isotropic": gaussian_kernels(21, std, std),
            "std 3.5 and 1.2, angle 0° to 162°": gaussian_kernels(21, half + 2.3, half, angle),
            "random, isotropic": random_kernels(PER_ROW, 21, "isotropic", generator=seeded()),
            "random, anisotropic": random_kernels(PER_ROW, 21, "anisotropic", generator=seeded()),
        }
    )


def motion():
    levels = (0.0, 0.25, 0.5, 0.75, 1.0)
    return rows(
        {
            f"non-linearity {q:g}": motion_kernels(PER_ROW, 25, (q, q), generator=seeded(3))
            for q in levels
        }
    )


def mixed_and_disturbed():
    mixed = random_kernels(PER_ROW, 25, "mixed", generator=seeded(1))
    plain = random_kernels(PER_ROW, 25, "anisotropic", std=(1.5, 4.0), generator=seeded(1))
    return rows(
        {
            "mixed": mixed,
            "anisotropic": plain,
            "the same, disturbed by 0.25": disturb(plain, 0.25, seeded(2)),
        }
    )


def off_centre():
    kinds = {"anisotropic": 1.0, "motion": 1.0}
    return rows(
        {
            "centred (the default)": random_kernels(
                PER_ROW, 25, kinds, std=(0.6, 2.0), generator=seeded(5)
            ),
            "off_centre=4": random_kernels(
                PER_ROW, 25, kinds, std=(0.6, 2.0), off_centre=4, generator=seeded(5)
            ),
        },
        crosses=True,
    )


def model(photo: Tensor):
    """The steps of the observation model on one patch, for four kernels."""
    x = photo[None, :, 32:160, 160:288].float() / 255
    kernels = {
        "Gaussian, std 1.6": gaussian_kernels(21, torch.tensor([1.6]), torch.tensor([1.6])),
        "Gaussian, std 4 and 1": gaussian_kernels(21, *torch.tensor([[4.0], [1.0], [-0.6]])),
        "motion, linear": motion_kernels(1, 21, (0, 0), generator=seeded(4)),
        "motion, bent": motion_kernels(1, 21, (0.7, 0.7), generator=seeded(20)),
    }
    figure, grid = plt.subplots(len(kernels), 5, figsize=(8.6, 7.2), layout="constrained")
    for axes, (name, k) in zip(grid, kernels.items(), strict=True):
        sharp = observe(x, k, 4)
        panels = {"x": x, f"k: {name}": k / k.max(), "x * k": blur(x, k), "(x * k)↓4": sharp}
        panels["y: with noise of 3 %"] = add_noise(sharp, 0.03, seeded())
        for ax, (title, image) in zip(axes, panels.items(), strict=True):
            show(ax, image[0], title)
    return figure


def noise(photo: Tensor):
    """Noise levels from 0 to 10 %."""
    x = photo[None, :, 40:136, 176:272].float() / 255
    levels = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1)
    figure, grid = plt.subplots(1, len(levels), figsize=(8.6, 1.75), layout="constrained")
    for ax, sigma in zip(grid, levels, strict=True):
        show(ax, add_noise(x, sigma, seeded())[0], f"{sigma:.0%} ({255 * sigma:.1f}/255)")
    return figure


def batch(photo: Tensor):
    """A batch of training pairs."""
    kinds = {"anisotropic": 0.5, "motion": 0.5}
    x, y, k, sigma, _ = Degradations(scales=(4,), kinds=kinds).draw(
        ImagePool([photo]), 8, 96, seeded(8)
    )
    figure, grid = plt.subplots(3, 8, figsize=(8.6, 3.5), layout="constrained")
    for i in range(8):
        show(grid[0, i], x[i], "x" if i == 0 else "")
        show(grid[1, i], k[i] / k[i].max(), "k" if i == 0 else "")
        show(grid[2, i], y[i], f"{'y, ' if i == 0 else ''}{float(sigma[i]):.1%}")
    return figure


def rows(kernels: dict[str, Tensor], crosses: bool = False):
    """A row of kernels for each title; the peak of every kernel is white."""
    figure, grid = plt.subplots(
        len(kernels), PER_ROW, figsize=(8.6, 1.05 * len(kernels)), layout="constrained"
    )
    for axes, (title, batch) in zip(grid, kernels.items(), strict=True):
        for i, (ax, k) in enumerate(zip(axes, batch, strict=True)):
            show(ax, k / k.max(), title if i == 0 else "", loc="left")
            if crosses:
                middle = k.shape[-1] // 2
                row, column = centre_of_mass(k[None])[0].tolist()
                ax.axhline(middle, color="tab:blue", linewidth=0.5)
                ax.axvline(middle, color="tab:blue", linewidth=0.5)
                ax.plot(middle + column, middle + row, "+", color="tab:orange", markersize=6)
    return figure


def blind(photo):
    """Gaussian and motion blur at x2 with 1 % noise, restored by ikrnet-small."""
    x = photo[None, :, :360, 120:440] / 255
    restorer = Restorer("ikrnet-small", scale=2, boundary="periodic")
    figure, grid = plt.subplots(
        2, 5, figsize=(10.4, 4.9), layout="constrained", width_ratios=[4, 4, 4, 4, 2]
    )
    for axes, (title, words) in zip(
        grid, {"Gaussian": "gaussian:2.4,0.9,-30", "motion": "motion:3"}.items(), strict=True
    ):
        k = make_kernel(words, "kernel")
        y, truth = degrade(x, k, 2, 0.01, "exact", 0)
        restored = restorer(y.clamp(0, 1))
        assert restored.kernel is not None
        first = build("bicubic")(y, 2)
        before, after = (float(psnr(i, truth, border=4)) for i in (first, restored.image))
        both = [resize_kernel(k, 25), restored.kernel]
        pair = torch.cat([kernel / kernel.max() for kernel in both], -2)
        shown = {
            f"{title} blur, x2, 1 %": build("nearest")(y, 2),
            f"bicubic {before:.1f} dB": first,
            f"ikrnet-small {after:.1f} dB": restored.image,
            "ground truth": truth,
            "kernel, estimate": pair,
        }
        for ax, (name, image) in zip(axes, shown.items(), strict=True):
            show(ax, image[0], name)
    return figure


def show(ax: Axes, image: Tensor, title: str, loc="center") -> None:
    pixels = image.clamp(0, 1).permute(1, 2, 0).numpy()
    ax.imshow(
        pixels[..., 0] if pixels.shape[2] == 1 else pixels,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    ax.set_title(title, fontsize=8, loc=loc, pad=3)
    ax.set_axis_off()


def save(path: Path, figure) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=92)
    plt.close(figure)
    with atomic(path) as temporary:  # 256 colours look the same and need a third of the bytes
        Image.open(drawn).convert("RGB").quantize(256).save(temporary, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "img")
