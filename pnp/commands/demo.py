"""`pnp demo`: degrades and restores a photograph, with the same commands that a user would type."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import skimage.data
import torch
from torch import Tensor

from pnp.files import atomic, make_folder
from pnp.images import read_image, write_image
from pnp.initializers import build

PIPELINE, SCALE, KERNEL, SIGMA = "ikrnet-small", 2, "gaussian:2.4,0.9,-30", "1%"
DETAIL = (0.33, 0.31)
"""Position of the detail, the cat's eye: from 0 (top, left) to 1 (bottom, right)."""


def demo(out: str, run: Callable[[list[str]], int]) -> int:
    """Degrade a photograph from scikit-image and restore it without its kernel and noise level;
    print the PSNR before and after.

    `run` executes a command line of pnp and returns its exit status.
    """
    folder = make_folder(out)
    photograph = folder / "photograph.png"
    pixels = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None].float() / 255
    write_image(photograph, pixels)
    degraded, restored = folder / "degraded", folder / "restored"
    stem = f"{degraded / 'photograph'}_x{SCALE}"
    observation, scale = f"{stem}_lr.png", ["--scale", str(SCALE)]
    blur = ["--kernel", KERNEL, "--sigma", SIGMA]
    known = ["--reference", f"{stem}_hr.png", "--boundary", "periodic"]
    for step in (
        ["degrade", str(photograph), "-o", str(degraded), *scale, *blur],
        ["run", PIPELINE, observation, "-o", str(restored), *scale, *known],
    ):
        print(f"$ {shlex.join(['pnp', *step])}", flush=True)
        status = run(step)
        if status:
            return status
    record_path = restored / f"photograph_x{SCALE}_lr_x{SCALE}.json"
    record = json.loads(record_path.read_text(encoding="utf-8"))
    quality, files = record["quality"], record["files"]
    observed = read_image(degraded / f"photograph_x{SCALE}_lr.png").pixels
    ground_truth = read_image(degraded / f"photograph_x{SCALE}_hr.png").pixels
    comparison = folder / "comparison.png"
    panels = {
        "observation": observed.repeat_interleave(SCALE, -1).repeat_interleave(SCALE, -2),
        f"bicubic  {quality['psnr_before']:.2f} dB": build("bicubic")(observed, SCALE),
        f"{PIPELINE}  {quality['psnr_after']:.2f} dB": read_image(files["image"]).pixels,
        "ground truth": ground_truth,
    }
    draw_panels(panels, comparison)
    after = f"PSNR after ({PIPELINE})"
    print(
        f"\n{'PSNR before (bicubic)':{len(after)}}  {quality['psnr_before']:.2f} dB\n"
        f"{after}  {quality['psnr_after']:.2f} dB\n\n"
        f"picture     {files['image']}\n"
        f"kernel      {files['kernel picture']}\n"
        f"record      {record_path}\n"
        f"comparison  {comparison}"
    )
    return 0


def draw_panels(panels: dict[str, Tensor], path: Path) -> None:
    """Draw images (1, C, H, W) of one size side by side, with titles, and a detail of each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = next(iter(panels.values())).shape[-2:]
    side = min(height, width) // 3
    top, left = (
        round(share * (length - side))
        for share, length in zip(DETAIL, (height, width), strict=True)
    )
    figure = Figure(
        figsize=(3.2 * len(panels), 3.2 * (height / width + 1) + 0.4), dpi=100, layout="constrained"
    )
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, len(panels), height_ratios=[height / width, 1])
    for column, (title, x) in enumerate(panels.items()):
        picture = x[0].clamp(0, 1).permute(1, 2, 0).numpy()
        picture = picture.repeat(3, axis=2) if picture.shape[2] == 1 else picture
        for row, part in enumerate((picture, picture[top : top + side, left : left + side])):
            axes = figure.add_subplot(grid[row, column])
            axes.set_axis_off()
            axes.imshow(part, interpolation="nearest")
            if row == 0:
                axes.set_title(title, fontsize=11)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png")
