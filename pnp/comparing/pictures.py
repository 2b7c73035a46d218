"""Results that are kept as pictures, with curves over the iterations: what a report shows.

DIR/pictures/IMAGE_xS_KERNEL_SIGMA/truth.png, observation.png, kernel.npy,
                                   METHOD.png, METHOD_kernel.npy, METHOD_curve.json
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from pnp.comparing.comparison import Case, Comparison
from pnp.comparing.measuring import Outcome
from pnp.comparing.observing import Observation
from pnp.files import make_folder, write_json
from pnp.images import write_image
from pnp.kernel_files import write_kernel


class Pictures:
    """Keeps the results of the first images, with the first kernel of each group."""

    def __init__(self, folder: Path, comparison: Comparison, count: int):
        self.folder = folder / "pictures"
        self.images = set(comparison.images()[:count])
        self.kernels = {group[0] for group in comparison.groups.values()}

    def curved(self, case: Case) -> bool:
        """True if the results of this observation are kept."""
        return case.image in self.images and case.kernel in self.kernels

    def keep(
        self,
        method: str,
        case: Case,
        seen: Observation,
        outcome: Outcome,
        values: dict[str, float | None],
    ) -> None:
        """Write what is to be kept of a result."""
        if not self.curved(case):
            return
        folder = make_folder(self.folder / name_of_case(case))
        if not (folder / "case.json").is_file():
            write_image(folder / "truth.png", seen.truth)
            write_image(folder / "observation.png", seen.y)
            write_kernel(folder / "kernel.npy", seen.k)
            facts = {
                "image": case.image.stem,
                "scale": case.scale,
                "kernel": case.kernel,
                "sigma": case.sigma,
            }
            write_json(folder / "case.json", facts)
        name = file_name(method)
        write_image(folder / f"{name}.png", _like(outcome.x, seen.truth))
        if outcome.k is not None:
            write_kernel(folder / f"{name}_kernel.npy", outcome.k[:1])
        write_json(
            folder / f"{name}.json",
            {"method": method, "psnr": values["psnr"], "curve": outcome.curve},
        )


def name_of_case(case: Case) -> str:
    """The folder of a case."""
    kernel = file_name(str(case.kernel))
    return f"{file_name(case.image.stem)}_x{case.scale}_k{kernel}_s{case.sigma:g}"


def file_name(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-")


def _like(x: Tensor, truth: Tensor) -> Tensor:
    return x.float().cpu()[..., : truth.shape[-2], : truth.shape[-1]]
