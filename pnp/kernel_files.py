"""Kernels from files, and the files and pictures of kernels.

A kernel from a file whose sum is within 0.1 % of one is used unchanged, because published kernels
were cropped without normalising them again.  Any other kernel with a positive sum is divided by it,
because a blur neither brightens nor darkens: grey levels on 0-1 or 0-255 and counts give the same
kernel.  A `Notice` says so of floats, of which a sum of one is expected.  Small negative taps, down
to 5 % of the peak, are kept, because estimates of kernels have them.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.checks import FILE_NEGATIVE_TAPS, as_kernel, check_finite, check_form
from pnp.decoders import first_line
from pnp.downloads import check_downloaded
from pnp.errors import Notice, PnpError
from pnp.files import atomic
from pnp.images import read_image
from pnp.kernel_words import is_words, kernel_of_words
from pnp.kernels import UNIT_ERROR, cropped_kernel, divided, unit_kernel
from pnp.limits import check_array, check_unpacked, check_zip
from pnp.matlab_files import check_matlab
from pnp.tensors import check_tensor

WORDS = "gaussian:1.6, gaussian:3,1,45, disc:4.5, motion:1 or delta"
TEXT = (".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".m", ".py")
"""Endings of files of text, in which people also keep numbers."""
LARGEST = 501
"""Arrays with a longer side are taken to be pictures, not kernels."""


def make_kernel(text: str, name: str = "the kernel", size: tuple[int, int] | None = None) -> Tensor:
    """The kernel (1, 1, K, L) that a text describes: words (see `kernel_words`), or a file.

    Args:
        text: "gaussian:1.6", "gaussian:3,1,45", "disc:4.5", "motion:7", "delta", or a file.
        name: What messages begin with.
        size: Height and width of the image x; the kernel is cropped to fit.  A kernel of a file is
            cropped only if that cuts off almost nothing.
    """
    if not str(text):
        raise PnpError(f"{name} is empty; give a file, or {WORDS}")
    if is_words(text):
        return kernel_of_words(text, name, size)
    k = read_kernel(text)
    return k if size is None else cropped_kernel(k, *size, loss=UNIT_ERROR)


def given_kernel(kernel: str | Path | Tensor | np.ndarray, name: str) -> str | Tensor:
    """Words, whose support depends on the size of each image, or the kernel (1, 1, K, L) of a file
    or of taps, divided by its sum.  `name` is what messages begin with."""
    if isinstance(kernel, (str, Path)):
        made = make_kernel(str(kernel), name)
        return str(kernel) if is_words(str(kernel)) else made
    return unit_kernel(as_kernel(name, "k", kernel_of_taps(kernel, name)), name)


def fitted_kernel(kernel: str | Tensor, name: str, size: tuple[int, int]) -> Tensor:
    """What `given_kernel` returned as a kernel that fits into an image of this height and width."""
    if isinstance(kernel, str):
        return make_kernel(kernel, name, size)
    return cropped_kernel(kernel, *size, loss=UNIT_ERROR)


def read_kernel(path: str | Path, index: int | str | None = None) -> Tensor:
    """The kernel (1, 1, K, L), float32, in a file.

    Formats are `.npy` (one kernel, or a stack of them along the first axis), `.npz`, `.mat`
    (numeric, cell and object arrays) and pictures (`.png` ...: grey levels proportional to the
    taps, no gamma).  If a file holds several kernels, `index` selects one: a number counts from 1
    as papers do, a text is the kernel's name in the file.  "FILE#3" and "FILE#name" do the same.
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
    elif re.fullmatch("[0-9]{1,9}", str(index)) and 1 <= int(index) <= len(names):
        name = names[int(index) - 1]
    else:
        raise PnpError(
            f"{path} has no kernel '{index}'; choose one of its {len(names)} kernels "
            f"by number, from 1, or by name: {', '.join(names[:12])}"
        )
    return _interpret(f"{path}#{name}" if len(names) > 1 else str(path), found[name])


def kernel_of_taps(taps: Any, where: str = "kernel") -> Tensor:
    """The kernel (1, 1, K, L), float32, of a tensor, an array or nested lists, as it is."""
    if isinstance(taps, Tensor):
        check_tensor(where, "the kernel", taps)
        array = taps.detach().double().cpu().numpy()
    else:
        try:
            array = np.asarray(taps)
        except ValueError as e:  # rows of several lengths
            raise PnpError(f"{where}: the taps are no array (K, L); {first_line(e)}") from None
    one = array.ndim >= 2 and array.size == math.prod(array.shape[-2:])
    if not one or array.dtype.kind not in "fiub":
        raise PnpError(
            f"{where}: one kernel is an array (K, L) of real numbers, "
            f"but this one is {array.shape} of {array.dtype}"
        )
    return torch.from_numpy(array.astype(np.float32)).reshape(1, 1, *array.shape[-2:])


def file_of_kernel(text: str | Path) -> Path:
    """The file that "FILE", "FILE#3" or "FILE#name" refers to."""
    return _split(text, None)[0]


def read_kernels(path: str | Path) -> list[Tensor]:
    """All kernels of a file, each (1, 1, K, L); their sizes may differ."""
    return [_interpret(f"{path}#{name}", array) for name, array in _kernels_in(Path(path)).items()]


def write_kernel(path: str | Path, k: Tensor) -> None:
    """Write kernels (B, 1, K, L) to a `.npy` file, float32: one as (K, L), several as (B, K, L)."""
    path = Path(path)
    if path.suffix.lower() != ".npy":
        raise PnpError(
            f"{path}: kernels are written as .npy; "
            "write_image(path, kernel_picture(k)) writes a picture of one"
        )
    check_form(str(path), "the kernel", k, "kernel")
    check_finite(str(path), "the kernel", float(k.detach().abs().max()))
    array = k.detach().float().cpu().numpy()[:, 0]
    with atomic(path) as temporary:
        np.save(temporary, array[0] if len(array) == 1 else array)


def kernel_picture(k: Tensor, least: int = 200) -> Tensor:
    """A picture (1, 1, H, W) of one kernel for viewing, at least `least` pixels wide and high.

    The peak is white, zero is black, each tap is a square.  `read_kernel` rejects such pictures,
    because they are enlarged and scaled.
    """
    taps = k.detach().float().cpu().reshape(1, 1, *k.shape[-2:]).clamp(min=0)
    side = -(-least // min(k.shape[-2:]))
    return F.interpolate(taps / taps.max().clamp(min=1e-12), scale_factor=side, mode="nearest")


def _split(path: str | Path, index: int | str | None) -> tuple[Path, int | str | None]:
    if index is None and not os.path.exists(path) and "#" in Path(path).name:
        file, _, index = str(path).rpartition("#")
        return Path(file), index
    return Path(path), index


def _kernels_in(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name, in the file's order."""
    if not os.path.isfile(path):
        missing = f"there is no such file; in words, a kernel is {WORDS}"
        raise PnpError(
            f"{path}: {'this is a folder, not a kernel' if os.path.isdir(path) else missing}"
        )
    check_downloaded(path)
    readers = {".npy": _from_npy, ".npz": _from_npz, ".mat": _from_mat}
    reader = readers.get(path.suffix.lower())
    if reader is None and path.suffix.lower() in TEXT:
        raise PnpError(
            f"{path}: kernels are read from .npy, .npz, .mat and pictures; "
            "np.save writes an array as .npy"
        )
    if reader is None:
        return {"1": _from_picture(path)}
    try:
        found = reader(path)
    except PnpError:
        raise
    except Exception as e:  # each library has its own errors; the user gets one message
        raise PnpError(
            f"{path}: the kernel cannot be read; is it damaged or cut off? ({first_line(e)})"
        ) from e
    if not found:
        raise PnpError(f"{path}: the file holds no array; save the kernel as a numeric array")
    return found


def _from_npy(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as opened:
        check_array(path, opened, path.stat().st_size)
    return _unstack("", np.load(path, allow_pickle=False))


def _from_npz(path: Path) -> dict[str, np.ndarray]:
    check_zip(path)
    # Opened here, because NumPy does not close a damaged file.
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        members = _arrays({member: file[member] for member in file.files})
        return {
            name: array
            for member, stack in members.items()
            for name, array in _unstack(member, stack).items()
        }


def _from_mat(path: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    check_matlab(path)
    try:
        content = {
            name: value for name, value in loadmat(path).items() if not name.startswith("__")
        }
    except NotImplementedError:  # MATLAB 7.3
        content = _from_hdf5(path)
    found: dict[str, np.ndarray] = {}
    for name, value in _arrays(content).items():
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
            f"{path}: a file of MATLAB 7.3 needs the package h5py (pip install h5py); "
            "or save it again with save('-v7')"
        ) from e

    def value(entry: Any, file: Any) -> np.ndarray:
        check_unpacked(path, [entry.nbytes])
        array = entry[()]
        if array.dtype != object:
            return array.T  # HDF5 has MATLAB's axes in reverse
        cells = np.empty(array.size, object)
        inside = [file[reference] for reference in array.ravel()]
        check_unpacked(path, (cell.nbytes for cell in inside))
        cells[:] = [cell[()].T for cell in inside]
        return cells

    with h5py.File(path) as file:
        return {
            name: value(entry, file)
            for name, entry in file.items()
            if isinstance(entry, h5py.Dataset)
        }


def _from_picture(path: Path) -> np.ndarray:
    file = read_image(path)
    # A tap that is transparent is zero, whatever colour is stored under it.
    image = (file.pixels if file.alpha is None else file.pixels * file.alpha)[0]
    if (image != image[:1]).any():
        raise PnpError(
            f"{path}: a picture of a kernel must be grey, but this one has colours; "
            "save it as greyscale"
        )
    grey = image[0].double().numpy()
    for side in range(min(grey.shape) // 2, 3, -1):
        whole = min(grey.shape) >= 100 and grey.shape[0] % side == 0 and grey.shape[1] % side == 0
        if (
            whole
            and np.array_equal(grey, grey[::side, ::side].repeat(side, 0).repeat(side, 1))
            and np.ptp(grey) > 0
        ):
            raise PnpError(
                f"{path}: this picture of a kernel is enlarged {side} times for viewing; "
                "give the .npy from which it was made"
            )
    return grey / (grey.sum() or 1)  # grey levels, of which no sum is expected


def _arrays(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without words and single numbers, which are saved beside kernels, if more is left."""
    arrays = {
        name: value
        for name, value in content.items()
        if value.dtype == object or (value.dtype.kind not in "US" and value.size > 1)
    }
    return arrays or content


def _unstack(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """The kernels of an array: itself, or those along its first axis."""
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 3:
        return {name or "1": array}
    if array.shape[2] <= 4 < min(array.shape[:2]):
        return {name or "1": array}  # a colour picture, which `_interpret` rejects
    return {
        name if name and len(array) == 1 else f"{name}{i}": kernel
        for i, kernel in enumerate(array, 1)
    }


def _interpret(where: str, array: np.ndarray) -> Tensor:
    if array.ndim != 2 or 0 in array.shape:
        raise PnpError(
            f"{where}: a kernel is an array (K, L), one for all colours, "
            f"but its shape is {array.shape}"
        )
    if max(array.shape) > LARGEST:
        raise PnpError(
            f"{where}: the kernel has {array.shape[0]} x {array.shape[1]} taps, "
            f"but {LARGEST} a side is the limit; is this an image?"
        )
    if array.dtype.kind not in "fiub":
        raise PnpError(f"{where}: a kernel holds real numbers, but these are {array.dtype}")
    taps = array.astype(np.float64)
    if not np.isfinite(taps).all():
        raise PnpError(f"{where}: the kernel holds NaN or infinite values")
    with np.errstate(over="ignore"):
        total, low = taps.sum(), taps.min()
    if not np.isfinite(total):
        raise PnpError(
            f"{where}: the taps of the kernel, up to {taps.max():g}, are too large to be added; "
            "divide them by their sum"
        )
    if low < -FILE_NEGATIVE_TAPS * taps.max() or (low < 0 and total <= 0):
        raise PnpError(
            f"{where}: the kernel has negative taps (down to {low:g}, its peak is {taps.max():g}), "
            f"but the limit is {100 * FILE_NEGATIVE_TAPS:g} % of the peak"
        )
    if total <= 0:
        raise PnpError(f"{where}: all taps of the kernel are zero")
    if abs(total - 1) > UNIT_ERROR:
        if array.dtype.kind == "f":  # whole numbers are grey levels or counts
            warnings.warn(Notice(divided(float(total), where)), stacklevel=2)
        taps = taps / total
    return torch.from_numpy(taps.astype(np.float32))[None, None]
