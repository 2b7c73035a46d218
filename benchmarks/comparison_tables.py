"""The page of results: tables of all comparisons in a folder, from their CSV files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from comparison import Comparison, read_comparison
from comparison_results import Results

from pnp.document import read_file
from pnp.files import atomic, make_folder
from pnp.language.reader import PIPELINES
from pnp.protocols import protocol

TITLES = {
    "psnr": "PSNR",
    "psnr_y": "PSNR of the luma",
    "psnr_registered": "PSNR, registered",
    "ssim": "SSIM",
    "kernel_error": "kernel error x 1e5",
    "kernel_error_registered": "kernel error x 1e5, registered",
}
LOWER_IS_BETTER = ("kernel_error", "kernel_error_registered")
HEAD = """\
# Results

<!-- Made by `python benchmarks/compare.py` from the CSV files in benchmarks/results/.
Do not edit. -->

## How to read the tables

- Every number is a mean over images, and over the kernels of a column.
  The single values are the rows of the CSV file named above each table, and the description named
  with it states what was measured.
  `python benchmarks/compare.py benchmarks/NAME.yaml` measures missing rows, and resumes after a
  stop.
- **The protocol** states how the observation was simulated and which border PSNR omits.
  Numbers of different protocols, image sets or kernels cannot be compared: each of them can change
  PSNR by tenths of a decibel or more.
- **PSNR** is in dB, over all colours together, on results rounded to 8 bits; higher is better.
  **PSNR of the luma** uses Y = 16 + (65.481 R + 128.553 G + 24.966 B)/255; for the same image it is
  one or two decibels higher.
- **Given** lists the true values that a method receives: k, the kernel; sigma, the noise level.
  Methods that receive more should do better.
- The best number of a column is **bold**.
  A table contains only methods for which all observations were measured.
  Rows that end in *published* are numbers of other authors, quoted in the description; we did not
  measure them.
- **Seconds** are the median for one image of the set: on a CPU, processor time with the stated
  number of threads, on a machine with other load; on a GPU, wall time.
  For speed see [Benchmarks](../benchmarks/README.md).
- **State of the code** is the commit in git.
  Weights are identified by the first digits of their SHA-256; all are in the CSV of the runs."""


def write_page(folder: Path, page: Path) -> None:
    """Write the page with the comparisons described in `folder`, in the order of their names."""
    parts = [HEAD]
    for path in sorted(folder.glob("*.yaml")):
        if {"data", "extends"} & set(read_file(path).value):
            comparison = read_comparison(path)
            parts.append("\n\n".join(_comparison(comparison, Results(comparison), page.parent)))
    make_folder(page.parent)
    with atomic(page) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _comparison(comparison: Comparison, results: Results, beside: Path) -> list[str]:
    images = sorted({row["image"] for row in results.rows.values()})
    complete = [m for m in comparison.methods if _complete(comparison, results, m, images)]
    parts = [f"## {comparison.about}", _circumstances(comparison, results, images, beside)]
    parts += _left_out(comparison, results, complete, len(images))
    if not complete:
        return parts
    parts.append(_methods(comparison, results, complete, beside))
    average = ", average over kernels" if comparison.kernels else ""
    for metric in comparison.metrics:
        parts += [
            f"### {TITLES[metric]}{average}",
            _overview(comparison, results, complete, metric),
        ]
    if not comparison.kernels:
        return parts
    for scale in comparison.scales:
        for sigma in comparison.sigmas:
            border = protocol(comparison.protocol).border(scale)
            for metric in comparison.metrics[:1]:
                title = f"{TITLES[metric]} at x{scale}, noise {_noise(sigma)}"
                parts += [
                    f"### {title}",
                    f"Protocol `{comparison.protocol}`, without a border of {border} pixels.",
                    _by_columns(results, complete, scale, sigma, metric, _groups(comparison)),
                    _by_columns(results, complete, scale, sigma, metric, _singles(comparison)),
                ]
    return parts


def _circumstances(
    comparison: Comparison, results: Results, images: list[str], beside: Path
) -> str:
    rules = protocol(comparison.protocol)
    borders = ", ".join(f"{rules.border(s)} at x{s}" for s in comparison.scales)
    omitted = ", in pixels: " + borders if rules.border_power is not None else ": none"
    data, blur = comparison.data, comparison.kernels
    every = "" if data.every == 1 else f", every {_ordinal(data.every)} image"
    preparation = []
    if rules.multiple > 1:
        preparation.append(f"ground truth cropped to multiples of s and {rules.multiple}")
    if comparison.kernels:
        precision = " in 8 bits and truncated to 8 bits" if rules.rounded else ""
        preparation.append(f"blurred circularly{precision}")
    if comparison.scales != [1]:
        preparation.append("the upper-left pixel of every s x s block kept")
    clamping = "clamped" if rules.clamped else "not clamped"
    preparation.append(f"noise added (seed 0 for every image), {clamping}")
    groups = ", ".join(f"{name} {_ranges(numbers)}" for name, numbers in comparison.groups.items())
    lines = [
        f"- Images: `{data.folder}`{every} ({len(images)} images).",
        f"- Kernels: `{blur.file}` ({groups})." if blur else "- No blur.",
        f"- Protocol `{comparison.protocol}` ({rules.about}): {', '.join(preparation)}.",
        f"- Border omitted{omitted}.",
        f"- [Description]({_link(comparison.path, beside)}), "
        f"[rows]({_link(results.path, beside)}), [runs]({_link(results.runs_path, beside)}).",
    ]
    return "\n".join(lines)


def _left_out(
    comparison: Comparison, results: Results, complete: list[str], images: int
) -> list[str]:
    """The methods that are not in the tables, with the reasons."""
    cells = (
        len(comparison.scales) * len(comparison.sigmas) * sum(map(len, comparison.groups.values()))
    )
    reasons = []
    for name, method in comparison.methods.items():
        if name in complete:
            continue
        count = sum(row["method"] == name for row in results.rows.values())
        if count:
            reasons.append(f"{name} ({count} of {cells * images} rows measured)")
        else:
            reasons.append(
                f"{name} ({'not measured yet' if method.has_weights() else 'no weights yet'})"
            )
    return [f"Not in the tables: {', '.join(reasons)}."] if reasons else []


def _methods(comparison: Comparison, results: Results, complete: list[str], beside: Path) -> str:
    header = [
        "method",
        "pipeline",
        "given",
        "weights",
        "precision",
        "seconds",
        "measured on",
        "state of the code",
    ]
    lines = []
    for name in complete:
        method = comparison.methods[name]
        runs = results.runs_of(name)
        where_named = method.document.value["pipeline"].origin.folder
        file, _ = PIPELINES.find(method.pipeline, where_named)
        pipeline = f"[{file.stem}]({_link(file, beside)})" + (
            f" `{runs[0]['set']}`" if runs[0]["set"] else ""
        )
        digests = ", ".join(digest[:12] for digest in runs[0]["sha256"].split())
        weights = f"{runs[0]['weights']} ({digests})" if digests else "-"
        seconds = median(
            float(row["seconds"]) for row in results.rows.values() if row["method"] == name
        )
        where = {f"{r['machine']}, {_threads(r['threads'])}, torch {r['torch']}" for r in runs}
        dates = sorted({r["date"] for r in runs})
        measured = (
            f"{'; '.join(sorted(where))}; {' to '.join(dict.fromkeys((dates[0], dates[-1])))}"
        )
        states = ", ".join(dict.fromkeys(r["commit"] for r in runs))
        told = ", ".join(runs[0]["given"].split()) or "-"
        lines.append(
            [name, pipeline, told, weights, runs[0]["dtype"], f"{seconds:.2g}", measured, states]
        )
    return _table(header, lines, numbers=(5,))


def _overview(comparison: Comparison, results: Results, complete: list[str], metric: str) -> str:
    columns = [(s, sigma) for s in comparison.scales for sigma in comparison.sigmas]
    everything = [k for numbers in comparison.groups.values() for k in numbers]
    means: dict[str, list[float | None]] = {
        m: [_mean(results, m, s, sigma, everything, metric) for s, sigma in columns]
        for m in complete
    }
    if metric == "psnr":
        means |= {f"{name}, *published*": [*row] for name, row in comparison.published.items()}
    scales = comparison.scales != [1]
    header = [
        "method",
        *(f"x{s}, {_noise(sigma)}" if scales else _noise(sigma) for s, sigma in columns),
    ]
    return _table(header, _marked(means, metric))


def _by_columns(
    results: Results,
    complete: list[str],
    scale: int,
    sigma: float,
    metric: str,
    columns: dict[str, list[int]],
) -> str:
    means = {
        m: [_mean(results, m, scale, sigma, kernels, metric) for kernels in columns.values()]
        for m in complete
    }
    return _table(["method", *columns], _marked(means, metric))


def _groups(comparison: Comparison) -> dict[str, list[int]]:
    everything = [k for numbers in comparison.groups.values() for k in numbers]
    return {**comparison.groups, "average": everything}


def _singles(comparison: Comparison) -> dict[str, list[int]]:
    return {f"k{k}": [k] for numbers in comparison.groups.values() for k in numbers}


def _mean(
    results: Results, method: str, scale: int, sigma: float, kernels: list[int], metric: str
) -> float | None:
    cell = (method, str(scale), f"{sigma:g}")
    names = {str(k) for k in kernels}
    rows = [r for key, r in results.rows.items() if key[:3] == cell and key[3] in names]
    values = [float(row[metric]) for row in rows if row[metric]]
    return math.fsum(values) / len(values) if values else None


def _complete(comparison: Comparison, results: Results, method: str, images: Iterable[str]) -> bool:
    needed = {
        (method, str(s), f"{sigma:g}", str(k), image)
        for s in comparison.scales
        for sigma in comparison.sigmas
        for numbers in comparison.groups.values()
        for k in numbers
        for image in images
    }
    return bool(needed) and needed <= results.rows.keys()


def _marked(means: dict[str, list[float | None]], metric: str) -> list[list[str]]:
    """The cells of a table, with the best of each column in bold."""
    factor = 1e5 if metric in LOWER_IS_BETTER else 1
    form = "{:.4f}" if metric == "ssim" else "{:.2f}"
    lines = {
        m: ["-" if v is None else form.format(factor * v) for v in values]
        for m, values in means.items()
    }
    choose = min if metric in LOWER_IS_BETTER else max
    for position, column in enumerate(zip(*means.values(), strict=True)):
        known = [v for v in column if v is not None]
        if known:
            best = form.format(factor * choose(known))
            for cells in lines.values():
                cells[position] = f"**{best}**" if cells[position] == best else cells[position]
    return [[m, *cells] for m, cells in lines.items()]


def _table(
    header: list[str], lines: list[list[str]], numbers: tuple[int, ...] | None = None
) -> str:
    """A table; the columns in `numbers`, by default all but the first, are aligned to the right."""
    right = range(1, len(header)) if numbers is None else numbers
    rule = ["---:" if i in right else "---" for i in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def _link(path: Path, beside: Path) -> str:
    return Path(os.path.relpath(path.resolve(), beside.resolve())).as_posix()


def _noise(sigma: float) -> str:
    """A noise level in its usual form: 2 %, or 15/255."""
    steps = round(255 * sigma)
    return f"{steps}/255" if steps and abs(255 * sigma - steps) < 1e-6 else f"{100 * sigma:g} %"


def _threads(count: str) -> str:
    return f"{count} thread{'' if count == '1' else 's'}"


def _ordinal(n: int) -> str:
    return {2: "second", 3: "third", 4: "fourth", 8: "eighth"}.get(n, f"{n}th")


def _ranges(numbers: list[int]) -> str:
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    return ", ".join(map(str, numbers))
