"""`pnp run`: image files through a pipeline, and all that is known of the result beside it."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

import pnp
from pnp.errors import PnpError
from pnp.files import make_folder, result_names, write_json
from pnp.images import ImageFile, read_image, write_image
from pnp.kernel_files import kernel_picture, make_kernel, write_kernel
from pnp.metrics import psnr, psnr_lr, psnr_registered
from pnp.options import read_noise
from pnp.pipeline import Pipeline, Result, State, build
from pnp.trace import Recorder

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def restore_files(args: argparse.Namespace) -> int:
    """Restore every image of the command line; the status is 1 if some could not be."""
    from pnp.language.grammar import gather, parse

    spec = parse(gather(args.pipeline, assignments=args.assignments), args.pipeline)
    offered = {"s": args.scale, "k": args.kernel, "sigma": args.sigma, "mask": args.mask}
    _check_given(spec.name, {g.name: g.default is None for g in spec.given}, offered)
    if args.reference and len(args.images) > 1:
        raise PnpError(
            "--reference is the ground truth of one image, but several images are to be restored"
        )
    device = choose_device(args.device)
    torch.manual_seed(args.seed)
    pipeline = build(spec, random_weights=args.random_weights).to(device)
    pipeline.prepare(DTYPES[args.dtype], args.compile)
    given = _given(args, device)
    default = next((g.default for g in spec.given if g.name == "s"), 1)
    if isinstance(default, int):
        given.setdefault("s", default)
    names = result_names(args.images)
    out = make_folder(args.out)
    failed = 0
    images = tqdm(
        args.images, desc="images", unit="image", disable=_silent() or len(args.images) == 1
    )
    for path in images:
        try:
            _restore_one(args, pipeline, Path(path), out / names[path], given, device)
        except PnpError as e:
            if args.debug:
                raise
            message = str(e) if str(path) in str(e) else f"{path}: {e}"
            tqdm.write(message, file=sys.stderr)
            failed += 1
    if failed and len(args.images) > 1:
        print(f"{failed} of {len(args.images)} images could not be restored", file=sys.stderr)
    return 1 if failed else 0


def choose_device(name: str) -> torch.device:
    """The device of a name; 'auto' is the first GPU, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        reason = str(e).splitlines()[0]
        raise PnpError(
            f"--device {name}: cannot be used here ({reason}); try auto or cpu"
        ) from None
    return device


def as_result(
    pipeline: Pipeline, image: ImageFile, given: dict[str, Any], trace: Any, device: torch.device
) -> Result:
    """Run the pipeline on an image; grey images and single-channel networks are brought together here."""
    y = image.pixels.to(device)
    wanted, colours = pipeline.channels, y.shape[1]
    if wanted == 3 and colours == 1:
        y = y.expand(-1, 3, -1, -1)
    elif wanted == 1 and colours == 3:
        y = y.transpose(0, 1)
    elif wanted is not None and wanted != colours:
        raise PnpError(
            f"the pipeline's networks work on {wanted} channels, but the image has {colours}"
        )
    with torch.inference_mode():
        taken = dict(given)
        if all(g.name != "s" for g in pipeline.spec.given):
            taken.pop("s", None)
        result = pipeline(y=y.contiguous(), trace=trace, **taken)
    values = dict(result)
    for name, value in values.items():
        if isinstance(value, Tensor) and wanted == 3 and colours == 1 and value.shape[1] == 3:
            values[name] = value.mean(1, keepdim=True)
        elif isinstance(value, Tensor) and wanted == 1 and colours == 3 and value.shape[0] == 3:
            image_like = value.shape[-1] > 1 and name not in ("k", "w")
            values[name] = value.transpose(0, 1) if image_like else value.mean(0, keepdim=True)
    return Result(values)


def _restore_one(
    args: argparse.Namespace,
    pipeline: Pipeline,
    path: Path,
    target: Path,
    given: dict[str, Any],
    device: torch.device,
) -> None:
    started = time.perf_counter()
    image = read_image(path)
    if image.note:
        tqdm.write(f"{path}: {image.note}", file=sys.stderr)
    reference = read_image(args.reference).pixels if args.reference else None
    s = given["s"]
    height, width = (side * s for side in image.pixels.shape[-2:])
    if reference is not None and tuple(reference.shape[-2:]) != (height, width):
        raise PnpError(
            f"--reference {args.reference}: it is {reference.shape[-2]} x {reference.shape[-1]}, "
            f"but {path} at scale {s} becomes {height} x {width}; pnp degrade writes a pair that fits"
        )
    read = time.perf_counter()
    recorder = Recorder(args.trace_also) if args.trace or args.trace_also else None
    last: dict[str, Any] = {}
    with _progress(pipeline, path.name) as bar:

        def trace(state: State) -> None:
            last["reports"] = state.reports
            if state.iteration is not None:
                bar.update()
            if recorder is not None:
                recorder(state)

        result = as_result(pipeline, image, given, trace, device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    ran = time.perf_counter()
    name = f"{target.name}_x{s}"
    paths = {"image": target.with_name(f"{name}.png")}
    if path.resolve() == paths["image"].resolve():
        raise PnpError(
            f"{path}: the result would replace the observation; choose another folder with --out"
        )
    x = result["x"].float().cpu()
    write_image(paths["image"], x, like=image)
    k = result.get("k", given.get("k"))
    if k is not None:
        paths["kernel"] = target.with_name(f"{name}_kernel.npy")
        paths["kernel picture"] = target.with_name(f"{name}_kernel.png")
        write_kernel(paths["kernel"], k[:1])
        write_image(paths["kernel picture"], kernel_picture(k[:1]))
    if recorder is not None:
        paths["trace"] = target.with_name(f"{name}_trace.npz")
        paths["trace picture"] = target.with_name(f"{name}_trace.png")
        recorder.save(paths["trace"])
        recorder.draw(paths["trace picture"])
    quality = _quality(x, k, image, given, reference)
    paths["record"] = target.with_name(f"{name}.json")
    record = {
        "pipeline": args.pipeline,
        "about": pipeline.spec.about,
        "set": args.assignments,
        "document": pipeline.spec.document.plain(),
        "input": str(path),
        "given": {"s": s, "k": args.kernel, "sigma": args.sigma, "mask": args.mask},
        "size": [height, width],
        "estimates": _estimates(result),
        "quality": quality,
        "reports": last.get("reports", {}),
        "seconds": {"read": read - started, "run": ran - read, "write": time.perf_counter() - ran},
        "seed": args.seed,
        "device": str(device),
        "dtype": args.dtype,
        "versions": {
            "pnp": pnp.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "files": {what: str(p) for what, p in paths.items()},
    }
    write_json(paths["record"], record)
    tqdm.write(_summary(path, paths, record))


def _given(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """What the command line gives to the pipeline, as tensors."""
    given: dict[str, Any] = {}
    if args.scale is not None:
        given["s"] = args.scale
    if args.kernel is not None:
        given["k"] = make_kernel(args.kernel, "--kernel").to(device)
    if args.sigma is not None:
        given["sigma"] = read_noise(args.sigma, "--sigma")
    if args.mask is not None:
        mask = read_image(args.mask).pixels.mean(1, keepdim=True)
        given["mask"] = (mask > 0.5).float().to(device)
    return given


def _check_given(name: str, wanted: dict[str, bool], offered: dict[str, Any]) -> None:
    """Compare what the pipeline takes with what the command line offers, in the command line's words."""
    flags = {"s": "--scale", "k": "--kernel", "sigma": "--sigma", "mask": "--mask"}
    takes = ", ".join(f"{v} ({flags[v]})" if v in flags else v for v in wanted)
    missing = [
        v for v, required in wanted.items() if required and v != "y" and offered.get(v) is None
    ]
    if missing:
        needed = " and ".join(flags.get(v, f"'{v}', which only Python can give") for v in missing)
        raise PnpError(f"the pipeline {name} needs {needed}; it takes {takes}")
    extra = [v for v, value in offered.items() if value is not None and v not in wanted]
    if extra:
        what = "estimates the kernel itself" if extra == ["k"] else f"does not use {extra[0]}"
        raise PnpError(
            f"the pipeline {name} {what}, so {flags[extra[0]]} cannot be given; it takes {takes}"
        )


def _quality(
    x: Tensor, k: Tensor | None, image: ImageFile, given: dict[str, Any], reference: Tensor | None
) -> dict[str, float]:
    """What can be measured: against the reference if there is one, and against the observation."""
    quality: dict[str, float] = {}
    s = given["s"]
    if k is not None and "mask" not in given:
        quality["psnr_lr"] = float(psnr_lr(x, k[:1].float().cpu(), image.pixels, s).mean())
    if reference is not None:
        first = pnp.initializers.build("bicubic")(image.pixels, s)
        quality["psnr_before"] = float(psnr(first, reference, border=s * s).mean())
        quality["psnr_after"] = float(psnr(x, reference, border=s * s).mean())
        quality["psnr_after_registered"] = float(psnr_registered(x, reference, border=s * s).mean())
    return quality


def _estimates(result: Result) -> dict[str, Any]:
    """The returned levels as numbers."""
    small = {
        n: v
        for n, v in result.items()
        if isinstance(v, Tensor) and v.shape[-2:] == (1, 1) and n not in ("k", "w")
    }
    return {
        name: [float(f"{level:.6g}") for level in value.flatten().tolist()]
        for name, value in small.items()
    }


def _summary(path: Path, paths: dict[str, Path], record: dict[str, Any]) -> str:
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
def _progress(pipeline: Pipeline, name: str) -> Iterator[Any]:
    with tqdm(
        total=pipeline.spec.iterations, desc=name, unit="iteration", leave=False, disable=_silent()
    ) as bar:
        yield bar
