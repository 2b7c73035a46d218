"""`pnp degrade`: simulates observations from image files."""

from __future__ import annotations

import argparse
import sys

import torch
from tqdm import tqdm

import pnp
from pnp.errors import PnpError
from pnp.files import make_folder, result_names, write_json
from pnp.images import read_image, write_image
from pnp.kernel_files import kernel_picture, make_kernel, write_kernel
from pnp.options import read_noise
from pnp.protocols import degrade


def degrade_files(args: argparse.Namespace) -> int:
    """Simulate the observation of each image; the exit status is 1 if one of them failed."""
    sigma = read_noise(args.sigma, "--sigma")
    k = make_kernel(args.kernel, "--kernel")
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
            y, hr = degrade(image.visible(), k, args.scale, sigma, args.protocol, args.seed)
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
