"""How often `blur-width` finds a blur that is too wide for a kernel of 25 x 25 pixels, and how
often it takes another one for it: the figures of decision 15.

    python benchmarks/blur_width.py FOLDER [--photographs N]

Of each of the last N (31) photographs with sides of 850 pixels or more, the middle 960 x 720 pixels
at most, 33 kernels each, blurred before they were cut out; noise of 0.3, 1 or 2 %.  A third are
stored in 8 bits, a third as JPEG of a quality of 70, 80 or 90, and a third were enlarged 1.7 times
before they were blurred, because large photographs are soft.  Those of the pretrained weights had
no part in their training.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from wide_blur import middle, motion, photographs

from pnp.compression import as_jpeg
from pnp.kernel_words import kernel_of_words
from pnp.kernels import delta_kernel, gaussian_kernels, width_of
from pnp.observation import blur
from pnp.reduction import reduction_for

SIZE = (720, 960)
KINDS = ("8 bits", "JPEG", "enlarged")
ENLARGED = 1.7
LEVELS = (0.003, 0.01, 0.02)
QUALITIES = (70, 80, 90)
WIDE, FITS = 5.2, 4.4
"""Standard deviations in pixels: blurs from the first on should be found, those below the second
not; between them, either is right."""


def gaussian(std: float) -> Tensor:
    return gaussian_kernels(int(8 * std) // 2 * 2 + 1, *torch.tensor([[std], [std]]))


def kernels() -> list[Tensor]:
    """No blur, motion of 25 x 25 pixels 0.5 to 4 times as wide, Gaussians, and discs."""
    seeds = {1.0: range(6), 0.5: range(2), 2.0: range(8, 14), 3.0: range(4), 4.0: range(3, 6)}
    found = [delta_kernel(1)]
    found += [motion(seed, times) for times, chosen in seeds.items() for seed in chosen]
    found += [gaussian(std) for std in (0.8, 1.8, 3.0, 4.0, 6.0, 9.0)]
    return found + [kernel_of_words(f"disc:{radius}") for radius in (2, 5, 9, 14, 20)]


def observed(scene: Tensor, k: Tensor, kind: str, turn: int) -> Tensor:
    if kind == "enlarged":
        scene = scene[..., :620, :800]
        scene = F.interpolate(scene, scale_factor=ENLARGED, mode="bicubic").clamp(0, 1)
    height, width = (min(a - 2, b) for a, b in zip(scene.shape[-2:], SIZE, strict=True))
    y = middle(blur(scene, k), (height, width))
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    y = y + LEVELS[turn % 3] * noise
    if kind == "JPEG":
        return as_jpeg(y, [QUALITIES[turn % 3]])
    return (255 * y.clamp(0, 1)).round() / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photographs", type=int, default=31)
    args = parser.parse_args()
    wide: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    narrow: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    turn = 0
    for i, scene in enumerate(photographs(args.folder, args.photographs)):
        for k in kernels():
            turn += 1
            kind, width = KINDS[(turn // 3 + i) % 3], float(width_of(k))
            if FITS <= width < WIDE:
                continue
            said = reduction_for(observed(scene, k, kind, turn)) > 1
            (wide if width >= WIDE else narrow)[kind].append(said)
    print("| | too wide | found | fits | taken for too wide |")
    print("|---|---:|---:|---:|---:|")
    for kind in KINDS:
        share = 100 * sum(wide[kind]) / max(1, len(wide[kind]))
        print(f"| {kind} | {len(wide[kind])} | {share:.0f} % | {len(narrow[kind])} |", end="")
        print(f" {sum(narrow[kind])} |", flush=True)


if __name__ == "__main__":
    main()
