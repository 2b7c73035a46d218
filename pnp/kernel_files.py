"""Kernel files: read, written and pictured; and kernels from a few words, such as `gaussian:1.6`.

In files, a kernel whose sum is within 0.1 % of one is taken as it is (published kernels were
cropped and left so); any other positive sum is divided out, because a blur neither brightens nor
darkens: grey levels, 0-255 and counts all read the same.  Small negative taps, down to 5 % of the
peak, are kept: estimates of kernels have them.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.checks import FILE_NEGATIVE_TAPS, FILE_SUM_ERROR
from pnp.errors import PnpError
from pnp.files import atomic
from pnp.images import first_line, read_image
from pnp.kernels import delta_kernel, gaussian_kernels
from pnp.random_kernels import motion_kernels

LARGEST = 501
"""Arrays with a longer side are pictures, not kernels."""
SIZE = 25
"""Side of the kernels made from words."""


def make_kernel(text: str, name: str = "the kernel") -> Tensor:
    """The kernel (1, 1, K, K) of a text: a file, or `gaussian:1.6`, `gaussian:3,1,45`, `motion:7`,
    `delta`.

    A Gaussian has one standard deviation, or two and the angle of the first in degrees,
    counter-clockwise from the horizontal; `motion` has a seed.  Messages begin with `name`.
    """
    word, _, rest = text.partition(":")
    if word == "delta" and not rest:
        return delta_kernel(SIZE)
    if word == "gaussian":
        return _gaussian_of(rest, f"{name} {text}")
    if word == "motion":
        if not rest.isdecimal():
            raise PnpError(
                f"{name} {text}: write motion:SEED with a whole number, for example motion:1"
            )
        return motion_kernels(1, SIZE, generator=torch.Generator().manual_seed(int(rest)))
    return read_kernel(text)


def _gaussian_of(numbers: str, where: str) -> Tensor:
    parts = [part.strip() for part in numbers.split(",")]
    if (
        len(parts) not in (1, 3)
        or not all(re.fullmatch(r"-?(\d*\.)?\d+", part) for part in parts)
        or not all(0 < float(part) < SIZE for part in parts[:2])
    ):
        raise PnpError(
            f"{where}: write gaussian:WIDTH or gaussian:WIDTH,WIDTH,DEGREES, "
            f"in pixels, less than {SIZE}"
        )
    wide, narrow, degrees = map(float, parts if len(parts) == 3 else (*parts * 2, "0"))
    std_u, std_v, angle = torch.tensor([[wide], [narrow], [math.radians(degrees)]])
    return gaussian_kernels(SIZE, std_u, std_v, angle)


def read_kernel(path: str | Path, index: int | str | None = None) -> Tensor:
    """The kernel (1, 1, K, L), float32, in a file.

    `.npy` (one kernel, or a stack of them along the first axis), `.npz`, `.mat` (numeric, cell and
    object arrays) and pictures (`.png` ...: grey levels proportional to the taps, no gamma).  Where
    a file holds several, `index` chooses: a number counts from 1 as papers do, a text is the name
    that the file gives; "FILE#3" and "FILE#name" do the same.
    """
    path, index = _split(path, index)
    found = _kernels_in(path)
    if index is None and len(found) == 1:
        index = 1
    if index is None:
        listed = ", ".join(list(found)[:12]) + (", ..." if len(found) > 12 else "")
        raise PnpError(
            f"{path} holds {len(found)} kernels ({listed}); "
            f"choose one with {path.name}#1 or by its name"
        )
    names = list(found)
    if str(index) in found:
        name = str(index)
    elif str(index).isdecimal() and 1 <= int(index) <= len(names):
        name = names[int(index) - 1]
    else:
        raise PnpError(
            f"{path} has no kernel '{index}': it holds {len(names)}, counted from 1: "
            f"{', '.join(names[:12])}"
        )
    return _interpret(f"{path}#{name}" if len(names) > 1 else str(path), found[name])


def read_kernels(path: str | Path) -> list[Tensor]:
    """All kernels of a file, each (1, 1, K, L); their sizes may differ."""
    return [_interpret(f"{path}#{name}", array) for name, array in _kernels_in(Path(path)).items()]


def write_kernel(path: str | Path, k: Tensor) -> None:
    """Write kernels (B, 1, K, L) to a `.npy` file, float32: one as (K, L), several (B, K, L)."""
    path = Path(path)
    if path.suffix.lower() != ".npy":
        raise PnpError(
            f"{path}: kernels are written as .npy; "
            "write_image(path, kernel_picture(k)) writes pictures of them"
        )
    array = k.detach().float().cpu().numpy()[:, 0]
    with atomic(path) as temporary:
        np.save(temporary, array[0] if len(array) == 1 else array)


def kernel_picture(k: Tensor, least: int = 200) -> Tensor:
    """A picture (1, 1, H, W) of one kernel to look at: peak white, zero black, taps as squares,
    `least` or more wide.

    It is enlarged and scaled, so `read_kernel` refuses it.
    """
    taps = k.detach().float().cpu().reshape(1, 1, *k.shape[-2:]).clamp(min=0)
    side = -(-least // min(k.shape[-2:]))
    return F.interpolate(taps / taps.max().clamp(min=1e-12), scale_factor=side, mode="nearest")


def _split(path: str | Path, index: int | str | None) -> tuple[Path, int | str | None]:
    if index is None and not Path(path).exists() and "#" in Path(path).name:
        file, _, index = str(path).rpartition("#")
        return Path(file), index
    return Path(path), index


def _kernels_in(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name, in its order."""
    if not path.is_file():
        reason = "this is a folder, not a kernel" if path.is_dir() else "there is no such file"
        raise PnpError(f"{path}: {reason}")
    readers = {".npy": _from_npy, ".npz": _from_npz, ".mat": _from_mat}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        return {"1": _from_picture(path)}
    try:
        found = reader(path)
    except PnpError:
        raise
    except Exception as e:  # each library fails in its own way; to the user it is one
        raise PnpError(
            f"{path}: the kernel cannot be read; is it damaged or cut off? ({first_line(e)})"
        ) from e
    if not found:
        raise PnpError(f"{path}: there is no array in it")
    return found


def _from_npy(path: Path) -> dict[str, np.ndarray]:
    return _unstack("", np.load(path, allow_pickle=False))


def _from_npz(path: Path) -> dict[str, np.ndarray]:
    with (
        path.open("rb") as opened,
        np.load(opened, allow_pickle=False) as file,
    ):  # NumPy leaves damaged ones open
        return {
            name: array
            for member in file.files
            for name, array in _unstack(member, file[member]).items()
        }


def _from_mat(path: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    try:
        content = {
            name: value for name, value in loadmat(path).items() if not name.startswith("__")
        }
    except NotImplementedError:  # MATLAB 7.3
        content = _from_hdf5(path)
    found: dict[str, np.ndarray] = {}
    for name, value in content.items():
        if value.dtype == object:
            cells = [np.asarray(cell) for cell in value.ravel(order="F")]
            found |= {
                name if len(cells) == 1 else f"{name}{i}": cell for i, cell in enumerate(cells, 1)
            }
        else:  # MATLAB stacks along the last axis
            found |= _unstack(name, np.moveaxis(value, -1, 0) if value.ndim == 3 else value)
    return found


def _from_hdf5(path: Path) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ImportError as e:
        raise PnpError(
            f"{path}: files of MATLAB 7.3 need the package h5py (pip install h5py); "
            "or save it again with save('-v7')"
        ) from e

    def value(entry: Any, file: Any) -> np.ndarray:
        array = entry[()]
        if array.dtype != object:
            return array.T  # HDF5 has MATLAB's axes in reverse
        cells = np.empty(array.size, object)
        cells[:] = [file[reference][()].T for reference in array.ravel()]
        return cells

    with h5py.File(path) as file:
        return {
            name: value(entry, file)
            for name, entry in file.items()
            if isinstance(entry, h5py.Dataset)
        }


def _from_picture(path: Path) -> np.ndarray:
    image = read_image(path).pixels[0]
    if (image != image[:1]).any():
        raise PnpError(f"{path}: a picture of a kernel is grey, but this one has colours")
    grey = image[0].double().numpy()
    for side in range(min(grey.shape) // 2, 3, -1):
        whole = min(grey.shape) >= 100 and grey.shape[0] % side == 0 and grey.shape[1] % side == 0
        if (
            whole
            and np.array_equal(grey, grey[::side, ::side].repeat(side, 0).repeat(side, 1))
            and np.ptp(grey) > 0
        ):
            raise PnpError(
                f"{path}: this picture is enlarged {side} times, to look at; "
                "give the .npy that it was made of"
            )
    return grey


def _unstack(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """The kernels of an array: itself, or those along its first axis."""
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 3:
        return {name or "1": array}
    if array.shape[2] <= 4 < min(array.shape[:2]):
        return {name or "1": array}  # a colour picture, refused below
    return {
        name if name and len(array) == 1 else f"{name}{i}": kernel
        for i, kernel in enumerate(array, 1)
    }


def _interpret(where: str, array: np.ndarray) -> Tensor:
    if array.ndim != 2 or 0 in array.shape:
        raise PnpError(
            f"{where}: a kernel is an array (K, L), one channel for all colours; "
            f"the shape here is {array.shape}"
        )
    if max(array.shape) > LARGEST:
        raise PnpError(
            f"{where}: a kernel of {array.shape[0]} x {array.shape[1]} taps; "
            f"is this a picture? {LARGEST} is the limit"
        )
    if array.dtype.kind not in "fiub":
        raise PnpError(f"{where}: a kernel has real numbers, but these are {array.dtype}")
    taps = array.astype(np.float64)
    if not np.isfinite(taps).all():
        raise PnpError(f"{where}: the kernel holds NaN or infinite values")
    total, low = taps.sum(), taps.min()
    if low < -FILE_NEGATIVE_TAPS * taps.max() or (low < 0 and total <= 0):
        raise PnpError(
            f"{where}: the kernel has negative taps (down to {low:g}, its peak is {taps.max():g}); "
            "a blur has none"
        )
    if total <= 0:
        raise PnpError(f"{where}: all taps of the kernel are zero")
    if abs(total - 1) > FILE_SUM_ERROR:
        taps = taps / total
    return torch.from_numpy(taps.astype(np.float32))[None, None]
