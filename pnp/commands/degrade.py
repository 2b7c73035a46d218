"""`pnp degrade`: simulates observations from image files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from tqdm import tqdm

import pnp
from pnp.commands.inputs import find_images
from pnp.errors import PnpError, printable, tell
from pnp.files import check_results, make_folder, result_names, together, write_json
from pnp.images import read_image, write_image
from pnp.kernel_files import file_of_kernel, kernel_picture, make_kernel, write_kernel
from pnp.observation import crop_to_multiple
from pnp.options import read_noise
from pnp.protocols import degrade, protocol


def degrade_files(args: argparse.Namespace) -> int:
    """Simulate the observation of each image; the exit status is 1 if one of them failed."""
    sigma = read_noise(args.sigma, "--sigma")
    make_kernel(args.kernel, "--kernel")  # so that a wrong one is said before an image is read
    images = [path for word in args.images for path in _images(word, Path(args.out))]
    targets = {
        path: _paths(args.out, f"{name}_x{args.scale}")
        for path, name in result_names(images).items()
    }
    given = [(path, "ground truth") for path in images]
    kernel = (file_of_kernel(args.kernel), "kernel")
    check_results({path: t.values() for path, t in targets.items()}, [*given, kernel])
    make_folder(args.out)
    failed = 0
    for path in tqdm(images, unit="image", disable=not sys.stderr.isatty() or len(images) == 1):
        try:
            tqdm.write(printable(degrade_file(path, targets[path], sigma, args)))
        except PnpError as e:
            if args.debug:
                raise
            told = str(e) if str(path) in str(e) else f"{path}: {e}"
            tell(told)
            failed += 1
    return 1 if failed else 0


def _images(word: str, out: Path) -> list[str]:
    """The image that a word of the command names, or the images in the folder that it names."""
    if not Path(word).is_dir():
        return [word]
    if out.resolve() == Path(word).resolve():
        raise PnpError(
            f"--out {out}: this is the folder of the images, and the next run would take the "
            "observations for images; choose another folder"
        )
    found, left_out = find_images([word], out)
    if not found:
        raise PnpError(f"{word}: in this folder are only results of earlier runs ({left_out[0]})")
    return [image.path for image in found]


def degrade_file(path: str, paths: dict[str, Path], sigma: float, args: argparse.Namespace) -> str:
    """Simulate the observation of one image and write its files; returns a summary to print."""
    image = read_image(path)
    if image.note:
        tell(f"{path}: {image.note}")
    multiple = protocol(args.protocol).multiple_at(args.scale)
    boundary = protocol(args.protocol).boundary
    rows, columns = crop_to_multiple(image.pixels, multiple).shape[-2:]
    k = make_kernel(args.kernel, "--kernel", (rows, columns))
    y, hr = degrade(image.visible(), k, args.scale, sigma, args.protocol, args.seed)
    record = {
        "input": path,
        "protocol": args.protocol,
        "boundary": boundary,
        "kernel": args.kernel,
        "scale": args.scale,
        "sigma": sigma,
        "seed": args.seed,
        "sizes": {"observation": list(y.shape[-2:]), "ground truth": list(hr.shape[-2:])},
        "versions": {"pnp": pnp.__version__, "torch": torch.__version__},
        "files": {what: str(p) for what, p in paths.items()},
    }
    with together():
        write_image(paths["observation"], y)
        write_image(paths["in floats"], y)
        write_image(paths["ground truth"], hr)
        write_kernel(paths["kernel"], k)
        write_image(paths["kernel picture"], kernel_picture(k))
        write_json(paths["record"], record)
    rows, columns = y.shape[-2:]
    lines = [f"{path}: {columns} x {rows}, noise {100 * sigma:.3g} %, protocol {args.protocol}"]
    if boundary == "periodic":
        lines.append("  its borders are periodic: restore it with pnp run --boundary periodic")
    return "\n".join([*lines, *(f"  {what:14}  {p}" for what, p in paths.items())])


def _paths(folder: str, stem: str) -> dict[str, Path]:
    """The files that are made of one image."""
    names = {
        "observation": "_lr.png",
        "in floats": "_lr.npy",
        "ground truth": "_hr.png",
        "kernel": "_kernel.npy",
        "kernel picture": "_kernel.png",
        "record": ".json",
    }
    return {what: Path(folder, stem + end) for what, end in names.items()}
