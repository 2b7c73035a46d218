"""Results that are kept as pictures, with curves over the iterations: what a report shows.

DIR/pictures/IMAGE_xS_kKERNEL_sSIGMA/truth.png, observation.png, kernel.npy,
                                     METHOD.png, METHOD_kernel.npy, METHOD.json (with the curve)
"""

from __future__ import annotations

import hashlib
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
        self._begun: set[Path] = set()

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
        if folder not in self._begun:  # those of an earlier call may be of another protocol
            write_image(folder / "truth.png", seen.truth)
            write_image(folder / "observation.png", seen.y)
            write_kernel(folder / "kernel.npy", seen.k)
            facts = {
                "image": case.name,
                "scale": case.scale,
                "kernel": case.kernel,
                "sigma": case.sigma,
            }
            write_json(folder / "case.json", facts)
            self._begun.add(folder)
        name = file_name(method)
        write_image(folder / f"{name}.png", _like(outcome.x, seen.truth))
        if outcome.k is not None:
            write_kernel(folder / f"{name}_kernel.npy", outcome.k[:1])
        write_json(
            folder / f"{name}.json",
            {"method": method, "psnr": values["psnr"], "curve": outcome.curve},
        )


def delete_pictures(folder: Path, method: str) -> None:
    """Delete what is kept of the results of a method in the folder of a comparison."""
    for case in folder.glob("pictures/*/"):
        for ending in (".png", ".json", "_kernel.npy"):
            (case / f"{file_name(method)}{ending}").unlink(missing_ok=True)


def name_of_case(case: Case) -> str:
    """The folder of a case."""
    return f"{file_name(case.name)}_x{case.scale}_k{_plain(case.kernel)}_s{case.sigma:g}"


def file_name(text: str) -> str:
    """A text as part of a file's name: with a hash if the text itself cannot be one, so that no two
    texts have the same.
    """
    plain = _plain(text)
    if plain == text and text not in _FIXED:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{plain}-{digest}".strip("-")


_FIXED = ("", "truth", "observation", "kernel", "case")
"""The other files beside those of the methods."""


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-")


def _like(x: Tensor, truth: Tensor) -> Tensor:
    return x.float().cpu()[..., : truth.shape[-2], : truth.shape[-1]]
