"""`pnp degrade`: observations simulated from image files, and kernels from a few words."""

from __future__ import annotations

import argparse
import math
import re
import sys

import torch
from torch import Tensor
from tqdm import tqdm

import pnp
from pnp.errors import PnpError
from pnp.files import make_folder, result_names, write_json
from pnp.images import read_image, write_image
from pnp.kernels import kernel_picture, read_kernel, write_kernel
from pnp.options import read_noise
from pnp.protocols import degrade
from pnp.random_kernels import gaussian_kernels, motion_kernels

SIZE = 25
"""Side of the kernels made from words."""


def make_kernel(text: str) -> Tensor:
    """The kernel (1, 1, K, K) of a text: a file, or `gaussian:1.6`, `gaussian:3,1,45`, `motion:7`,
    `delta`.

    A Gaussian has one width, or two and the angle of the first in degrees (from right towards
    down), in pixels of the result; `motion` has a seed.
    """
    word, _, rest = text.partition(":")
    if word == "delta" and not rest:
        k = torch.zeros(1, 1, SIZE, SIZE)
        k[..., SIZE // 2, SIZE // 2] = 1
        return k
    if word == "gaussian":
        numbers = [
            float(part) for part in rest.split(",") if re.fullmatch(r"\s*\d*\.?\d+\s*", part)
        ]
        if (
            len(numbers) != rest.count(",") + 1
            or len(numbers) not in (1, 3)
            or not all(0 < n < SIZE for n in numbers[:2])
        ):
            raise PnpError(
                f"--kernel {text}: write gaussian:WIDTH or gaussian:WIDTH,WIDTH,DEGREES, in pixels, less than {SIZE}"
            )
        wide, narrow, degrees = numbers if len(numbers) == 3 else (*numbers * 2, 0.0)
        widths = torch.tensor([wide]), torch.tensor([narrow])
        return gaussian_kernels(SIZE, *widths, angle=torch.tensor([math.radians(degrees)]))
    if word == "motion":
        if not rest.isdigit():
            raise PnpError(
                f"--kernel {text}: write motion:SEED with a whole number, for example motion:1"
            )
        return motion_kernels(1, SIZE, generator=torch.Generator().manual_seed(int(rest)))
    return read_kernel(text)


def degrade_files(args: argparse.Namespace) -> int:
    """Simulate the observation of every image of the command line; the status is 1 if some could not be."""
    try:
        sigma = read_noise(args.sigma)
    except PnpError as e:
        raise PnpError(f"--sigma {e}") from None
    k = make_kernel(args.kernel)
    names = result_names(args.images)
    out = make_folder(args.out)
    failed = 0
    for path in tqdm(
        args.images, unit="image", disable=not sys.stderr.isatty() or len(args.images) == 1
    ):
        try:
            image = read_image(path)
            if image.note:
                tqdm.write(f"{path}: {image.note}", file=sys.stderr)
            y, hr = degrade(image.pixels, k, args.scale, sigma, args.protocol, args.seed)
        except PnpError as e:
            if args.debug:
                raise
            tqdm.write(str(e) if str(path) in str(e) else f"{path}: {e}", file=sys.stderr)
            failed += 1
            continue
        stem = f"{names[path]}_x{args.scale}"
        paths = {
            "observation": out / f"{stem}_lr.png",
            "in floats": out / f"{stem}_lr.npy",
            "ground truth": out / f"{stem}_hr.png",
            "kernel": out / f"{stem}_kernel.npy",
            "kernel picture": out / f"{stem}_kernel.png",
            "record": out / f"{stem}.json",
        }
        write_image(paths["observation"], y)
        write_image(paths["in floats"], y)
        write_image(paths["ground truth"], hr)
        write_kernel(paths["kernel"], k)
        write_image(paths["kernel picture"], kernel_picture(k))
        record = {
            "input": path,
            "protocol": args.protocol,
            "kernel": args.kernel,
            "scale": args.scale,
            "sigma": sigma,
            "seed": args.seed,
            "sizes": {"observation": list(y.shape[-2:]), "ground truth": list(hr.shape[-2:])},
            "versions": {"pnp": pnp.__version__, "torch": torch.__version__},
            "files": {what: str(p) for what, p in paths.items()},
        }
        write_json(paths["record"], record)
        rows, columns = y.shape[-2:]
        lines = [f"{path}: {columns} x {rows}, noise {100 * sigma:.3g} %, protocol {args.protocol}"]
        tqdm.write("\n".join([*lines, *(f"  {what:14}  {p}" for what, p in paths.items())]))
    return 1 if failed else 0
