"""Figures 7, 8, 11, 12 and 13 of the paper, on one image, as PNG.

7   results and kernels without noise (Table 1)      8   the same with noise (Table 3)
11  the noise level known, estimated, zero, largest  12  denoising before, after, within
13  image and kernel over the iterations of the base
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnp.building import build
from pnp.comparing.comparison import Case, Comparison
from pnp.comparing.observing import Observer
from pnp.comparing.pictures import file_name, name_of_case
from pnp.comparing.reader import read_comparison
from pnp.comparing.rows import Results
from pnp.comparing.run import compare
from pnp.errors import PnpError
from pnp.files import atomic, check_results, make_folder
from pnp.images import read_image
from pnp.inference import choose_device, run_image
from pnp.kernel_files import read_kernel
from pnp.trace import Recorder

TABLES = {7: "table-1", 8: "table-3", 11: "table-6", 12: "table-7", 13: "table-3"}


def figure(
    number: int,
    *,
    out: str | Path | None = None,
    small: bool = False,
    overrides: Mapping[str, Any] | None = None,
    assignments: tuple[str, ...] = (),
    device: str = "auto",
) -> Path:
    """Draw a figure of the paper with our results.

    Args:
        number: 7, 8, 11, 12 or 13.
        out: The PNG; by default `figures/figure-N.png`, with the measured results beside it.
        small: True for an image that comes with scikit-image, at scale 2.
        overrides: As of `read_comparison`, for example `{"base": "ikrnet"}`.
        assignments: As of `read_comparison`.
        device: As of `compare`.

    Raises:
        PnpError: There is no such figure, or nothing could be measured.
    """
    if number not in TABLES:
        listed = ", ".join(map(str, TABLES))
        raise PnpError(f"figure {number}: only figures {listed} can be drawn from measurements")
    target = Path(out) if out is not None else Path("figures") / f"figure-{number}.png"
    if target.suffix.lower() != ".png":
        raise PnpError(f"figure {number}: {target}: a figure is a PNG; write {target}.png")
    if target.is_dir():
        raise PnpError(f"figure {number}: {target} is a folder; choose another name with --out")
    comparison = read_comparison(
        TABLES[number], assignments, small=small, overrides=dict(overrides or {})
    )
    firsts = {name: group[:1] for name, group in comparison.groups.items()}
    changes = {
        **(overrides or {}),
        "data.first": 1,
        "scales": comparison.scales[:1],
        "kernels.groups": {
            n: [int(k) if k.isdecimal() else k for k in g] for n, g in firsts.items()
        },
    }
    comparison = read_comparison(TABLES[number], assignments, small=small, overrides=changes)
    given: list[tuple[str | Path, str]] = [(path, "image") for path in comparison.images()]
    if (file := comparison.kernel_file()) is not None:
        given.append((file, "file of kernels"))
    check_results({f"figure {number}": [target]}, given, "choose another name with --out")
    make_folder(target.parent)
    if number == 13:
        _iterations(comparison, target, device)
        return target
    _side_by_side(number, comparison, target, device)
    return target


def _side_by_side(number: int, comparison: Comparison, target: Path, device: str) -> None:
    """The other figures: results and kernels of the methods; what is outdated is measured again."""
    folder, cases = target.with_suffix(""), list(comparison.cases())
    _prepare(number, folder, cases)
    compared = compare(comparison, out=folder, device=device, keep=1, again=True)
    results = compared.results
    methods = [m for m in comparison.methods if any(results.has(m, c) for c in cases)]
    if not methods:
        raise PnpError(f"figure {number}: no method has weights; choose another base with --base")
    if lacking := _lacking(folder / "pictures", cases, methods):
        raise PnpError(f"figure {number}: not drawn, because there is no {lacking[0]}")
    _draw(folder / "pictures", cases, methods, target)


def _prepare(number: int, folder: Path, cases: list[Case]) -> None:
    """Delete the rows of methods whose pictures are not there; PnpError if the rows are not of a
    figure.
    """
    earlier = Results(folder)
    if len({row["image"] for row in earlier.rows.values()}) > 1:
        raise PnpError(
            f"figure {number}: {folder} holds a comparison of several images; "
            "choose another name with --out"
        )
    for method in earlier.methods:
        kept = [case for case in cases if earlier.has(method, case)]
        if _lacking(folder / "pictures", kept, [method]):
            earlier.drop(method)


def _lacking(pictures: Path, cases: list[Case], methods: list[str]) -> list[Path]:
    """The files that a figure of these results needs and that are not there."""
    names = ["truth.png", "observation.png"]
    names += [f"{file_name(m)}{ending}" for m in methods for ending in (".png", ".json")]
    needed = [pictures / name_of_case(case) / name for case in cases for name in names]
    return [path for path in needed if not path.is_file()]


def _iterations(comparison: Comparison, target: Path, device: str) -> None:
    """Figure 13: x and k over the iterations, for the last kernel."""
    base = next(m for m in comparison.methods.values() if m.pipeline == "base")
    if not base.has_weights():
        raise PnpError(
            f"figure 13: {base.shown} has no weights yet; choose another base with --base"
        )
    case = list(comparison.cases())[-1]
    seen, place = Observer(comparison)(case), choose_device(device)
    pipeline = build(base.spec()).to(place)
    given: dict[str, Any] = {"s": case.scale}
    given |= {g.name: seen.k.to(place) for g in pipeline.spec.given if g.name == "k"}
    recorder = Recorder()
    run_image(pipeline, seen.y.to(place), given, recorder)
    recorder.draw(target)


def _draw(pictures: Path, cases: list[Case], methods: list[str], target: Path) -> None:
    """A row for each kernel: ground truth, observation, results with PSNR and kernels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = ["ground truth", "observation", *methods]
    files = {"ground truth": "truth", "observation": "observation"}
    figure = Figure(figsize=(2.5 * len(columns), 2.75 * len(cases)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(cases), len(columns), squeeze=False)
    for line, case in zip(axes, cases, strict=True):
        folder = pictures / name_of_case(case)
        for place, column in zip(line, columns, strict=True):
            name = files.get(column, file_name(column))
            place.set_axis_off()
            title, kernel = column, folder / f"{name}_kernel.npy"
            if column == "observation":
                kernel = folder / "kernel.npy"
            elif column in methods:
                psnr = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["psnr"]
                title = f"{column}\n{psnr:.2f} dB"
            place.set_title(title, fontsize=9)
            pixels = read_image(folder / f"{name}.png").pixels[0].numpy()
            grey = len(pixels) == 1
            place.imshow(
                pixels[0] if grey else pixels.transpose(1, 2, 0),
                cmap="gray" if grey else None,
                vmin=0,
                vmax=1,
                interpolation="nearest",
            )
            if kernel.is_file():
                inset = place.inset_axes((0.72, 0.72, 0.27, 0.27))
                inset.set(xticks=[], yticks=[])
                inset.imshow(read_kernel(kernel)[0, 0].numpy(), cmap="gray", vmin=0)
    with atomic(target) as temporary:
        figure.savefig(temporary, format="png")
