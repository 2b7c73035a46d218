"""k-space of single-coil MRI: files and arrays of complex numbers, as pipelines take them.

A Cartesian scan measures some lines (or points) of k-space, the Fourier transform of the image.
Files are as usual in MRI: the zero frequency in the middle, at H // 2, W // 2, and the image's
centre, too.  A pipeline takes y as a complex image, zero-filled: F^-1 of the measured k-space,
divided by its largest magnitude, so that magnitudes are on [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pnp.decoders import first_line
from pnp.errors import PnpError
from pnp.files import atomic, check_file
from pnp.fourier_planes import as_complex, as_parts, to_image
from pnp.image_forms import as_image_file
from pnp.images import ImageFile
from pnp.language.spec import Spec
from pnp.limits import check_zip

FORM = "an .npz with y, the complex k-space (H, W), and mask (H, W), one where it was measured"
NAMES = ("y", "kspace")
"""Names of k-space in an .npz file."""


@dataclass(frozen=True, kw_only=True)
class KSpace(ImageFile):
    """Measured k-space; as an image file it is the magnitude of the zero-filled image."""

    y: Tensor
    """The zero-filled image (1, 2, H, W) float32, its largest magnitude one."""
    mask: Tensor
    """(1, 1, H, W) float32: one where k-space was measured."""
    factor: float
    """What y was divided by."""

    def reconstructed(self, x: Tensor) -> Tensor:
        """A result (1, 2, H, W) in the units of the k-space, complex (H, W)."""
        return self.factor * as_complex(x)[0, 0]


def takes_kspace(spec: Spec) -> bool:
    """True for a pipeline whose y is a complex image."""
    return "y" in spec.kinds and spec.kinds["y"].name == "complex"


def observation(spec: Spec, image: Any, mask: Any, name: str) -> ImageFile:
    """An image of any form, or k-space for a pipeline that takes it; `mask` and `name` are those of
    `as_kspace`."""
    return as_kspace(image, mask, name) if takes_kspace(spec) else as_image_file(image)


def magnitude(x: Tensor) -> Tensor:
    """|x| (1, 1, H, W) of a complex image (1, 2, H, W)."""
    return as_complex(x).abs()


def as_kspace(value: Any, mask: Any = None, where: str = "k-space") -> KSpace:
    """k-space from a file, an array or a tensor.

    Args:
        value: A path (.npz with y and mask, or .npy), or complex numbers (H, W).
        mask: Where it was measured: (H, W), or (1, W) and (H, 1) for whole lines, or (W,); None
            for the mask in the file, or else for everything that is not exactly zero.
        where: What messages begin with.
    Raises:
        PnpError: The values are not complex, not (H, W), not finite or all zero; the mask is of
            another size, or measures nothing; the zero frequency is in the corner.
    """
    if isinstance(value, KSpace):
        return value
    if isinstance(value, (str, Path)):
        where, (value, inside) = str(value), _read(Path(value))
        mask = inside if mask is None else mask
    array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    if array.dtype.kind != "c":
        raise PnpError(f"{where}: k-space is complex, but this is {array.dtype}; {FORM}")
    if array.ndim != 2 or 0 in array.shape:
        told = "one coil, (H, W), is reconstructed"
        raise PnpError(f"{where}: k-space has the shape {array.shape}; {told}")
    if not np.isfinite(array).all():
        raise PnpError(f"{where}: k-space holds NaN or infinite values; look at what wrote it")
    seen = _as_mask(array, mask, where)
    measured = np.where(seen, array, 0)
    peak = np.unravel_index(np.abs(measured).argmax(), array.shape)
    if not measured.any():
        told = "everywhere" if mask is None else "wherever the mask says that it was measured"
        raise PnpError(f"{where}: k-space is zero {told}; look at what wrote it")
    if peak == (0, 0) and min(array.shape) > 2:
        problem = "the largest value of k-space is in the corner, but belongs into the middle"
        raise PnpError(f"{where}: {problem}; np.fft.fftshift moves it there, in the mask, too")
    image = to_image(torch.from_numpy(measured.astype(np.complex128)))[None, None]
    factor = float(image.abs().max())
    y = as_parts(image / factor).float()
    known = torch.from_numpy(seen.astype(np.float32))[None, None]
    return KSpace(magnitude(y), bits=16, y=y, mask=known, factor=factor)


def write_values(path: str | Path, values: Tensor) -> None:
    """Write a complex image (H, W) as .npy, complex64."""
    with atomic(path) as temporary:
        np.save(temporary, values.cpu().numpy().astype(np.complex64))


def _read(path: Path) -> tuple[Any, Any]:
    """The k-space and the mask (or None) of a file."""
    check_file(path, f"k-space is read from {FORM}, or a complex .npy")
    if path.suffix.lower() not in (".npz", ".npy"):
        raise PnpError(f"{path}: this pipeline takes k-space, no picture; {FORM}")
    try:
        check_zip(path)
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                return file, None
            name = next((n for n in NAMES if n in file.files), None)
            if name is None:
                held = ", ".join(file.files) or "nothing"
                raise PnpError(f"{path}: it holds {held}, but no y; {FORM}")
            return file[name], file["mask"] if "mask" in file.files else None
    except PnpError:
        raise
    except Exception as e:  # NumPy and zipfile have many errors
        raise PnpError(f"{path}: cannot be read: {first_line(e)}; {FORM}") from e


def _as_mask(array: np.ndarray, mask: Any, where: str) -> np.ndarray:
    """The mask (H, W) of bool."""
    if mask is None:
        return np.asarray(array != 0)
    given = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask)
    while given.ndim > 2 and given.shape[0] == 1:
        given = given[0]
    fits = given.ndim in (1, 2) and all(
        side in (1, whole)
        for side, whole in zip(given.shape[::-1], array.shape[::-1], strict=False)
    )
    if not fits:
        sizes = f"the mask has the shape {given.shape}, but k-space {array.shape}"
        raise PnpError(f"{where}: {sizes}; they have one size, or the mask is (1, W), (H, 1), (W,)")
    if given.dtype.kind not in "buif" or not np.isin(given, (0, 1)).all():
        problem = "the mask holds other values than 0 and 1"
        raise PnpError(f"{where}: {problem}; it is one where k-space was measured")
    seen = np.broadcast_to(given.astype(bool), array.shape)
    if not seen.any():
        raise PnpError(f"{where}: the mask is zero everywhere: no line of k-space was measured")
    return seen
