"""`pnp run`: restores image files; writes the results and a record of each run."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pnp.errors import PnpError
from pnp.files import make_folder, result_names, write_json
from pnp.images import ImageFile, read_image, write_image
from pnp.kernel_files import kernel_picture, write_kernel
from pnp.restoration import Restored, Restorer
from pnp.result import State
from pnp.trace import Recorder


def restore_files(args: argparse.Namespace) -> int:
    """Restore each image; the exit status is 1 if one of them failed."""
    if args.reference and len(args.images) > 1:
        raise PnpError(
            "--reference is the ground truth of one image, "
            f"but {len(args.images)} images are given; restore them one at a time"
        )
    restorer = Restorer(
        args.pipeline,
        scale=args.scale,
        kernel=args.kernel,
        sigma=args.sigma,
        mask=args.mask,
        assignments=tuple(args.assignments),
        overlays=tuple(args.overlays),
        device=args.device,
        dtype=args.dtype,
        compile=args.compile,
        seed=args.seed,
        random_weights=args.random_weights,
        say=lambda argument: f"--{argument}",
    )
    also = args.trace_also if args.trace or args.trace_also else None
    names = result_names(args.images)
    out = make_folder(args.out)
    failed = 0
    several = len(args.images) > 1
    for path in tqdm(args.images, desc="images", unit="image", disable=_silent() or not several):
        try:
            print_restored = restore_file(restorer, path, out / names[path], args.reference, also)
            tqdm.write(print_restored)
        except PnpError as e:
            if args.debug:
                raise
            tqdm.write(str(e) if str(path) in str(e) else f"{path}: {e}", file=sys.stderr)
            failed += 1
    if failed and several:
        print(f"{failed} of {len(args.images)} images could not be restored", file=sys.stderr)
    return 1 if failed else 0


def restore_file(
    restorer: Restorer,
    path: str | Path,
    target: Path,
    reference: str | None = None,
    trace_also: list[str] | None = None,
) -> str:
    """Restore one file and write image, kernel, trace and record; returns a summary to print.

    Args:
        restorer: The pipeline.
        path: The observation.
        target: Path of the results, without `_xS` and suffix.
        reference: File of the ground truth.
        trace_also: Variables to trace in addition to x, k and the levels; None writes no trace.
    """
    image = read_image(path)
    if image.note:
        tqdm.write(f"{path}: {image.note}", file=sys.stderr)
    target = target.with_name(f"{target.name}_x{restorer.scale}")
    if Path(path).resolve() == target.with_name(f"{target.name}.png").resolve():
        raise PnpError(
            f"{path}: the result would overwrite the observation; choose another folder with --out"
        )
    recorder = None if trace_also is None else Recorder(trace_also)
    with _progress(restorer.pipeline.spec.iterations, Path(path).name) as bar:

        def trace(state: State) -> None:
            if state.iteration is not None:
                bar.update()
            if recorder is not None:
                recorder(state)

        restored = restorer(image, reference=reference, trace=trace, name=str(path))
    written = time.perf_counter()
    paths = _write(restored, image, target, recorder)
    record = restored.record
    record["seconds"]["write"] = time.perf_counter() - written
    record["files"] = {what: str(p) for what, p in paths.items()}
    write_json(paths["record"], record)
    return _summary(path, paths, record)


def _write(
    restored: Restored, like: ImageFile, target: Path, recorder: Recorder | None
) -> dict[str, Path]:
    """Write image, kernel and trace; returns the paths of all files, with that of the record."""
    paths = {"image": target.with_name(f"{target.name}.png")}
    write_image(paths["image"], restored.image, like=like)
    if restored.kernel is not None:
        paths["kernel"] = target.with_name(f"{target.name}_kernel.npy")
        paths["kernel picture"] = target.with_name(f"{target.name}_kernel.png")
        write_kernel(paths["kernel"], restored.kernel)
        write_image(paths["kernel picture"], kernel_picture(restored.kernel))
    if recorder is not None:
        paths["trace"] = target.with_name(f"{target.name}_trace.npz")
        paths["trace picture"] = target.with_name(f"{target.name}_trace.png")
        recorder.save(paths["trace"])
        recorder.draw(paths["trace picture"])
    paths["record"] = target.with_name(f"{target.name}.json")
    return paths


def _summary(path: str | Path, paths: dict[str, Path], record: dict[str, Any]) -> str:
    """Two or three lines for the user."""
    height, width = record["size"]
    parts = [f"{width} x {height}", f"{record['seconds']['run']:.1f} s"]
    if "sigma" in record["estimates"]:
        parts.append(f"noise {100 * record['estimates']['sigma'][0]:.1f} %")
    quality = record["quality"]
    if "psnr_lr" in quality:
        parts.append(f"explains the observation to {quality['psnr_lr']:.1f} dB")
    lines = [f"{path}: {', '.join(parts)}"]
    if "psnr_after" in quality:
        gained = f"{quality['psnr_before']:.2f} dB (bicubic) -> {quality['psnr_after']:.2f} dB"
        lines.append(f"  PSNR {gained}, {quality['psnr_after_registered']:.2f} dB registered")
    width_of_name = max(len(name) for name in paths)
    return "\n".join([*lines, *(f"  {name:{width_of_name}}  {p}" for name, p in paths.items())])


def _silent() -> bool:
    return not sys.stderr.isatty()


@contextmanager
def _progress(iterations: int, name: str) -> Iterator[Any]:
    with tqdm(total=iterations, desc=name, unit="iteration", leave=False, disable=_silent()) as bar:
        yield bar
