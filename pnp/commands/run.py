"""`pnp run` on one image: restores the file; writes the results and a record."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from pnp.errors import PnpError, hint, tell
from pnp.files import together, write_json
from pnp.images import WITHOUT_ALPHA, WRITTEN, ImageFile, longer, write_image
from pnp.interfaces import Kind
from pnp.kernel_files import file_of_kernel, kernel_picture, write_kernel
from pnp.kspace import write_values
from pnp.quality import enlarged
from pnp.restoration import Restored, Restorer
from pnp.result import State
from pnp.trace import Recorder
from pnp.transparency import enlarge

SCORES = {
    "residual": "residual {:.1f} x noise",
    "whiteness": "its autocorrelation {:.2f}",
    "border": "{:.1f} % at the border",
    "width": "width {:.1f} of the spectrum's",
    "margin": "margin {:.2f}",
    "ringing": "ringing {:.2f}",
}
"""How the numbers behind a verdict are printed."""


@dataclass(frozen=True)
class Options:
    """What is written beside the restored image."""

    reference: str | None = None
    also: list[str] | None = None
    full: bool = False
    format: str = "png"
    compare: bool = False

    def ending(self, path: str | Path, image: ImageFile, x: Tensor) -> str:
        """The ending of the result x: that of the input for `same`, if x can be written so."""
        own = Path(path).suffix.lower()
        able = own in WRITTEN and not (image.alpha is not None and own in WITHOUT_ALPHA)
        return own if self.format == "same" and able and not longer(own, x) else ".png"


def restore_file(
    restorer: Restorer,
    path: str | Path,
    image: ImageFile,
    stem: str,
    options: Options | None = None,
    facts: Mapping[str, Any] | None = None,
    check: Callable[[Iterable[Path]], None] = lambda files: None,
) -> str:
    """Restore one file and write image, kernel, trace and record; returns a summary to print.

    Their names begin with `stem` and the scale of the result, or its size if that is no whole
    multiple of the observation's: photo_x2.png, photo_640x427.png.

    Args:
        restorer: The pipeline.
        path: The observation.
        image: What was read from it.
        stem: Path of the results without the scale and their endings.
        options: What is compared, traced and written.
        facts: More for the record: the command, a hash of all that determines the result.
        check: Called with the files that may be written, before they are.
    """
    options = options or Options()
    if image.note:
        tell(f"{path}: {image.note}")
    recorder = None if options.also is None else Recorder(options.also, options.full)
    begin = 0 if restorer.resume is None else restorer.resume.iteration
    with _Progress(restorer.pipeline.spec.iterations - begin, Path(path).name, recorder) as trace:
        restored = restorer(image, reference=options.reference, trace=trace, name=str(path))
    written = time.perf_counter()
    record = restored.record
    target = Path(f"{stem}_{multiple(record)}")
    named = result_files(target, options.ending(path, image, restored.image))
    check(named.values())
    absent = {"kernel", "kernel picture"} if restored.kernel is None else set()
    absent |= {"trace", "trace picture"} if recorder is None else set()
    absent |= {"complex image"} if restored.values is None else set()
    absent |= set() if options.compare else {"comparison"}
    paths = {what: name for what, name in named.items() if what not in absent}
    record["files"] = {what: str(p) for what, p in paths.items()}
    record |= facts or {}
    with together():
        _write_results(paths, image, restored, recorder)
        record["seconds"]["write"] = time.perf_counter() - written
        write_json(paths["record"], record)
    return _summary(path, paths, record)


def _write_results(
    paths: Mapping[str, Path], image: ImageFile, restored: Restored, recorder: Recorder | None
) -> None:
    """Write what `paths` names, except the record."""
    write_image(paths["image"], restored.image, like=image)
    if restored.kernel is not None:
        write_kernel(paths["kernel"], restored.kernel)
        write_image(paths["kernel picture"], kernel_picture(restored.kernel))
    if recorder is not None:
        recorder.save(paths["trace"])
        recorder.draw(paths["trace picture"])
    if restored.values is not None:
        write_values(paths["complex image"], restored.values)
    if "comparison" in paths:
        write_image(paths["comparison"], before_and_after(image, restored))


def before_and_after(image: ImageFile, restored: Restored) -> Tensor:
    """The observation, enlarged by bicubic interpolation, on the left, and the result beside it.

    Transparent pixels are shown on white.
    """
    x = restored.image
    before = enlarged(image.visible(), x, restored.record["align"]).clamp(0, 1)
    if image.alpha is not None:
        opaque = enlarge(image.alpha, x.shape[-2], x.shape[-1]).clamp(0, 1)
        before, x = (1 - opaque * (1 - picture) for picture in (before, x))
    line = torch.ones(*x.shape[:-1], max(2, x.shape[-1] // 200))
    return torch.cat((before, line, x), -1)


def multiple(record: Mapping[str, Any]) -> str:
    """How large a result is, for its name: x2 for twice the observation, else width x height."""
    height, width = record["size"]
    return f"{width}x{height}" if record["scale"] is None else f"x{record['scale']}"


def result_files(target: Path, ending: str = ".png") -> dict[str, Path]:
    """The files that can be made of one image, by what they hold."""
    endings = {
        "image": ending,
        "kernel": "_kernel.npy",
        "kernel picture": "_kernel.png",
        "trace": "_trace.npz",
        "trace picture": "_trace.png",
        "comparison": "_compare.png",
        "complex image": "_complex.npy",
        "record": ".json",
    }
    return {what: Path(f"{target}{end}") for what, end in endings.items()}


def given_files(
    args: argparse.Namespace, pipeline: str, images: list[str]
) -> list[tuple[str | Path, str]]:
    """The files that the command reads, and what they are."""
    given: list[tuple[str | Path, str]] = [(path, "observation") for path in images]
    given += [(args.mask, "mask")] if args.mask else []
    given += [(args.continued, "trace")] if args.continued else []
    given += [(args.reference, "reference")] if args.reference else []
    given += [(file_of_kernel(args.kernel), "kernel")] if args.kernel else []
    given += [(name, "pipeline") for name in (pipeline, *args.overlays)]
    return [*given, *((file, "plugin") for file in args.plugin)]


def check_traced(names: list[str], kinds: Mapping[str, Kind]) -> None:
    """PnpError if a variable that should be traced is not one of the pipeline."""
    tensors = [name for name, kind in kinds.items() if kind.name != "number"]
    for name in names:
        if name not in tensors:
            cure = hint(name, tensors, "variables")
            raise PnpError(f"--trace-also {name}: this pipeline has no such variable; {cure}")


def _summary(path: str | Path, paths: dict[str, Path], record: dict[str, Any]) -> str:
    """The lines for the user."""
    height, width = record["size"]
    size = f"{width} x {height}"
    if record["scale"] is None:
        size += " (no whole multiple of the observation)"
    parts = [size, f"{record['seconds']['run']:.1f} s"]
    if "sigma" in record["estimates"]:
        parts.append(f"noise {100 * record['estimates']['sigma'][0]:.1f} %")
        of = max((report.get("compression", 0) for report in record["reports"].values()), default=0)
        parts[-1] += f" (lossy compression counts as {100 * of:.1f} %)" if of else ""
    quality = record["quality"]
    if "psnr_lr" in quality and record["kernel"] is None:
        parts.append(f"explains the observation to {quality['psnr_lr']:.1f} dB")
    lines = [f"{path}: {', '.join(parts)}"]
    if record["kernel"] is not None:
        lines.append(f"  kernel: {record['kernel']['verdict']}")
        scores = record["kernel"]["scores"]
        scores = scores | {"border": 100 * scores["border"]}
        shown = [how.format(scores[name]) for name, how in SCORES.items() if name in scores]
        lines.append(f"    ({', '.join(shown)})")
    if "psnr_after" in quality:
        how = "zero-filled" if "complex image" in paths else "bicubic"
        gained = f"{quality['psnr_before']:.2f} dB ({how}) -> {quality['psnr_after']:.2f} dB"
        lines.append(f"  PSNR {gained}, {quality['psnr_after_registered']:.2f} dB registered")
    lines += [f"  warning: {warning}" for warning in record["warnings"]]
    lines += [f"  note: {note}" for note in record["notes"]]
    width_of_name = max(len(name) for name in paths)
    return "\n".join([*lines, *(f"  {name:{width_of_name}}  {p}" for name, p in paths.items())])


def silent() -> bool:
    """True if nobody looks at progress bars."""
    return not sys.stderr.isatty()


class _Progress:
    """A `trace` hook that shows the progress, and hands on to a recorder."""

    def __init__(self, iterations: int, name: str, recorder: Recorder | None):
        self.recorder = recorder
        self.variables = () if recorder is None else recorder.variables
        self.bar: tqdm = tqdm(
            total=iterations, desc=name, unit="iteration", leave=False, disable=silent()
        )

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def __call__(self, state: State) -> None:
        """One more iteration, or a start."""
        if state.iteration is not None:
            self.bar.update()
        if self.recorder is not None:
            self.recorder(state)
