"""`pnp run`: restores image files; writes the results and a record of each run."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pnp.errors import PnpError, fitted, hint
from pnp.files import check_results, make_folder, result_names, together, write_json
from pnp.images import read_image, write_image
from pnp.interfaces import Kind
from pnp.kernel_files import file_of_kernel, kernel_picture, write_kernel
from pnp.restoration import Restorer
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
    _check_traced(args.trace_also, restorer.pipeline.spec.kinds)
    targets = {
        path: Path(args.out, f"{name}_x{restorer.scale}")
        for path, name in result_names(args.images).items()
    }
    check_results({path: _paths(t).values() for path, t in targets.items()}, _given(args))
    make_folder(args.out)
    failed = 0
    several = len(args.images) > 1
    for path in tqdm(args.images, desc="images", unit="image", disable=_silent() or not several):
        try:
            print_restored = restore_file(restorer, path, targets[path], args.reference, also)
            tqdm.write(print_restored)
        except PnpError as e:
            if args.debug:
                raise
            told = str(e) if str(path) in str(e) else f"{path}: {e}"
            tqdm.write(fitted(told), file=sys.stderr)
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
        target: Path of the results without their endings (`.png`, `_kernel.npy` ...).
        reference: File of the ground truth.
        trace_also: Variables to trace in addition to x, k and the levels; None writes no trace.
    """
    image = read_image(path)
    if image.note:
        tqdm.write(f"{path}: {image.note}", file=sys.stderr)
    recorder = None if trace_also is None else Recorder(trace_also)
    with _progress(restorer.pipeline.spec.iterations, Path(path).name) as bar:

        def trace(state: State) -> None:
            if state.iteration is not None:
                bar.update()
            if recorder is not None:
                recorder(state)

        restored = restorer(image, reference=reference, trace=trace, name=str(path))
    written = time.perf_counter()
    paths = _paths(target, restored.kernel is not None, recorder is not None)
    record = restored.record
    record["files"] = {what: str(p) for what, p in paths.items()}
    with together():
        write_image(paths["image"], restored.image, like=image)
        if restored.kernel is not None:
            write_kernel(paths["kernel"], restored.kernel)
            write_image(paths["kernel picture"], kernel_picture(restored.kernel))
        if recorder is not None:
            recorder.save(paths["trace"])
            recorder.draw(paths["trace picture"])
        record["seconds"]["write"] = time.perf_counter() - written
        write_json(paths["record"], record)
    return _summary(path, paths, record)


def _paths(target: Path, kernel: bool = True, trace: bool = True) -> dict[str, Path]:
    """The files that are made of one image."""
    names = {"image": ".png"}
    if kernel:
        names |= {"kernel": "_kernel.npy", "kernel picture": "_kernel.png"}
    if trace:
        names |= {"trace": "_trace.npz", "trace picture": "_trace.png"}
    names["record"] = ".json"
    return {what: Path(f"{target}{end}") for what, end in names.items()}


def _given(args: argparse.Namespace) -> list[tuple[str | Path, str]]:
    """The files that the command reads, and what they are."""
    given = [(path, "observation") for path in args.images]
    given += [(args.mask, "mask")] if args.mask else []
    given += [(args.reference, "reference")] if args.reference else []
    given += [(file_of_kernel(args.kernel), "kernel")] if args.kernel else []
    given += [(name, "pipeline") for name in (args.pipeline, *args.overlays)]
    return [*given, *((file, "plugin") for file in args.plugin)]


def _check_traced(names: list[str], kinds: Mapping[str, Kind]) -> None:
    """PnpError if a variable that should be traced is not one of the pipeline."""
    tensors = [name for name, kind in kinds.items() if kind.name != "number"]
    for name in names:
        if name not in tensors:
            cure = hint(name, tensors, "variables")
            raise PnpError(f"--trace-also {name}: this pipeline has no such variable; {cure}")


def _summary(path: str | Path, paths: dict[str, Path], record: dict[str, Any]) -> str:
    """Two or three lines for the user."""
    height, width = record["size"]
    parts = [f"{width} x {height}", f"{record['seconds']['run']:.1f} s"]
    if "sigma" in record["estimates"]:
        parts.append(f"noise {100 * record['estimates']['sigma'][0]:.1f} %")
    quality = record["quality"]
    if "psnr_lr" in quality and record["kernel"] is None:
        parts.append(f"explains the observation to {quality['psnr_lr']:.1f} dB")
    lines = [f"{path}: {', '.join(parts)}"]
    if record["kernel"] is not None:
        lines.append(f"  kernel: {record['kernel']['verdict']}")
    if "psnr_after" in quality:
        gained = f"{quality['psnr_before']:.2f} dB (bicubic) -> {quality['psnr_after']:.2f} dB"
        lines.append(f"  PSNR {gained}, {quality['psnr_after_registered']:.2f} dB registered")
    lines += [f"  note: {note}" for note in record["notes"]]
    width_of_name = max(len(name) for name in paths)
    return "\n".join([*lines, *(f"  {name:{width_of_name}}  {p}" for name, p in paths.items())])


def _silent() -> bool:
    return not sys.stderr.isatty()


@contextmanager
def _progress(iterations: int, name: str) -> Iterator[Any]:
    with tqdm(total=iterations, desc=name, unit="iteration", leave=False, disable=_silent()) as bar:
        yield bar
