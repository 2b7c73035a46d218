"""The report of a comparison: a page that needs no network, or tables as Markdown or LaTeX."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

import pnp
from pnp.comparing import page, tables
from pnp.comparing.comparison import METRICS, Comparison
from pnp.comparing.curves import curves
from pnp.comparing.pictures import file_name
from pnp.comparing.reader import read_comparison
from pnp.comparing.reproduction import bibtex_of, command_of
from pnp.comparing.rows import Results
from pnp.comparing.statistics import differences
from pnp.comparing.tables import Table, noise
from pnp.errors import PnpError
from pnp.files import atomic, check_results
from pnp.kernel_files import kernel_picture, read_kernel
from pnp.protocols import protocol

FORMATS = ("html", "markdown", "latex")


def report(
    folder: str | Path, *, format: str = "html", out: str | Path | None = None
) -> str | Path:
    """Render a comparison that was measured.

    Args:
        folder: Where `pnp.compare` wrote its rows.
        format: "html", "markdown" or "latex".
        out: The file; by default `report.html` in the folder, and for other formats none.

    Returns:
        The file that was written, or the text if none was.

    Raises:
        PnpError: The folder holds no comparison, or its rows cannot be in one table.
    """
    if format not in FORMATS:
        raise PnpError(f"report: there is no format '{format}'; formats: {', '.join(FORMATS)}")
    measured = read_measured(folder)
    if out is not None:
        kept = [path for path in Path(folder).rglob("*") if path.name != "report.html"]
        given: list[tuple[str | Path, str]] = [(path, "file of the comparison") for path in kept]
        check_results({"report": [Path(out)]}, given, "choose another name with --out")
    if format == "html":
        text = _html(measured)
        out = out or Path(folder) / "report.html"
    elif format == "markdown":
        beside = Path(out).parent if out is not None else Path()
        text = "\n\n".join(page.section(measured.comparison, measured.results, beside)) + "\n"
    else:
        text = _latex(measured)
    if out is None:
        return text
    with atomic(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(out)


@dataclass
class Measured:
    """A comparison and what was measured of it."""

    comparison: Comparison
    results: Results
    folder: Path

    @cached_property
    def done(self) -> list[str]:
        """The methods that have all rows, in the order of the description."""
        images = sorted({row["image"] for row in self.results.rows.values()})
        return [
            m
            for m in self.comparison.methods
            if tables.complete(self.comparison, self.results, m, images)
        ]

    @cached_property
    def notes(self) -> dict[str, str]:
        """What must be known of a method's numbers."""
        return page.notes_of(self.comparison, self.results, self.done)


def read_measured(folder: str | Path) -> Measured:
    """The comparison in a folder; PnpError if there is none or nothing was measured."""
    path = Path(folder) / "comparison.yaml"
    if not path.is_file():
        raise PnpError(
            f"{folder}: there is no comparison in this folder; pnp compare writes one with -o DIR"
        )
    comparison = read_comparison(path)
    measured = Measured(comparison, Results(folder).within(comparison), Path(folder))
    if not measured.results.rows:
        raise PnpError(f"{folder}: nothing was measured yet; run: pnp compare {path} -o {folder}")
    return measured


def _latex(measured: Measured) -> str:
    parts = []
    for title, table in _tables(measured, measured.comparison.metrics):
        under = page.under_table(measured.comparison).replace("`", "")
        caption = tables.escaped(f"{title}. {under}")
        parts += [
            "\\begin{table}\n\\centering\n"
            f"\\caption{{{caption}}}\n{table.latex()}\n\\end{{table}}"
        ]
    for title, table in tables.published(measured.comparison):
        caption = tables.escaped(f"{title}, published")
        parts += [
            f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n{table.latex()}\n\\end{{table}}"
        ]
    return "% needs \\usepackage{booktabs}\n" + "\n\n".join(parts) + "\n"


def _tables(measured: Measured, metrics: list[str]) -> list[tuple[str, Table]]:
    """The tables by kernel group, one for each condition and metric."""
    comparison = measured.comparison
    found = []
    for metric in metrics:
        for scale in comparison.scales:
            for sigma in comparison.sigmas:
                columns = tables.groups_and_average(comparison)
                table = tables.by_kernels(
                    measured.results, measured.done, scale, sigma, metric, columns
                )
                table.notes = {m: f" {n.partition(':')[0]}" for m, n in measured.notes.items()}
                if any(v is not None for values in table.rows.values() for v in values):
                    title = f"{tables.TITLES[metric]} at x{scale}, noise {noise(sigma)}"
                    found.append((title, table))
    return found


def _html(measured: Measured) -> str:
    from jinja2 import Environment, StrictUndefined

    comparison = measured.comparison
    source = files("pnp.comparing").joinpath("report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    rules = protocol(comparison.protocol)
    rest = [m for m in METRICS if m not in comparison.metrics]
    cases = _cases(measured)
    rows = list(measured.results.rows.values())
    return environment.from_string(source).render(
        title=comparison.about,
        name=comparison.name,
        images=len({row["image"] for row in rows}),
        folder=comparison.data.folder,
        groups=comparison.groups,
        protocol=comparison.protocol,
        rules=rules,
        preparation=page.preparation(rules, comparison),
        under=page.under_table(comparison).replace("`", ""),
        tables=[_shown(title, t) for title, t in _tables(measured, comparison.metrics)],
        more=[_shown(title, t) for title, t in _tables(measured, rest)],
        published=[_shown(title, t) for title, t in tables.published(comparison)],
        differences=differences(comparison, measured.results, measured.done, comparison.metrics[0]),
        metric=tables.TITLES[comparison.metrics[0]],
        scaled=lambda value: tables.scaled(value, comparison.metrics[0]),
        methods=_methods(measured),
        missing=[m for m in comparison.methods if m not in measured.done],
        cases=cases,
        pictures=json.dumps({case.label: case.pictures for case in cases}).replace("<", "\\u003c"),
        command=command_of(measured.comparison, measured.folder, measured.results),
        bibtex=bibtex_of(comparison),
        version=pnp.__version__,
    )


def _shown(title: str, table: Table) -> dict[str, Any]:
    """A table as the template takes it."""
    best = table.best()
    rows = []
    for name, values in table.rows.items():
        cells = [
            {"text": table.text(v), "value": "" if v is None else f"{v:.12g}", "best": text == b}
            for v, b in zip(values, best, strict=True)
            for text in [table.text(v)]
        ]
        note = table.notes.get(name, "").replace("*", "")
        rows.append({"name": name, "note": note, "cells": cells})
    return {"title": title, "columns": table.columns, "rows": rows}


def _methods(measured: Measured) -> list[dict[str, Any]]:
    found = []
    for name in measured.done:
        rows = measured.results.of(name)
        seconds = sorted(float(r["seconds"]) for r in rows if r["seconds"])
        memory = [float(r["peak_mb"]) for r in rows if r["peak_mb"]]
        doubtful = sum(r["verdict"].startswith("doubtful") for r in rows)
        judged = sum(bool(r["verdict"]) for r in rows)
        first = rows[0]
        found.append(
            {
                "name": name,
                "note": measured.notes.get(name, ""),
                "pipeline": first["pipeline"],
                "set": first["set"],
                "document": first["document"],
                "given": ", ".join(first["given"].split()) or "nothing",
                "weights": _pairs(first["weights"], first["sha256"]),
                "seconds": f"{seconds[len(seconds) // 2]:.2g}" if seconds else "-",
                "memory": f"{max(memory):.0f}" if memory else "-",
                "doubtful": f"{doubtful} of {judged}" if judged else "-",
                "machine": f"{first['machine']}, {first['device']}, torch {first['torch']}",
                "code": f"pnp {first['pnp']} {first['commit']}".strip(),
                "date": first["date"],
            }
        )
    return found


def _pairs(names: str, digests: str) -> list[tuple[str, str]]:
    """The files of weights, each with its digest."""
    listed, hashes = names.split(), digests.split()
    return list(zip(listed if len(listed) == len(hashes) else [names], hashes, strict=False))


@dataclass
class Shown:
    """An observation whose results were kept."""

    label: str
    pictures: dict[str, str] = field(default_factory=dict)
    """Data URIs by method; first the observation and the ground truth."""
    kernels: dict[str, str] = field(default_factory=dict)
    psnr: dict[str, str] = field(default_factory=dict)
    curves: list[tuple[str, str]] = field(default_factory=list)
    """Titles and drawings (SVG) of metrics over the iterations."""


def _cases(measured: Measured) -> list[Shown]:
    found = []
    for folder in sorted(measured.folder.glob("pictures/*/")):
        facts = _json(folder / "case.json")
        if facts is None:
            continue
        shown = Shown(
            f"{facts['image']}, x{facts['scale']}, kernel {facts['kernel']}, "
            f"noise {noise(facts['sigma'])}"
        )
        size = Pillow.open(folder / "truth.png").size
        shown.pictures["observation"] = _uri(folder / "observation.png", size)
        shown.pictures["ground truth"] = _uri(folder / "truth.png", size)
        shown.kernels["true kernel"] = _kernel(folder / "kernel.npy")
        lines: dict[str, list[dict[str, float]]] = {}
        for method in measured.comparison.methods:
            name = file_name(method)
            record = _json(folder / f"{name}.json")
            if record is None or not (folder / f"{name}.png").is_file():
                continue
            shown.pictures[method] = _uri(folder / f"{name}.png", size)
            value = record["psnr"]
            shown.psnr[method] = "" if value is None else f"{value:.2f} dB"
            if (kernel := folder / f"{name}_kernel.npy").is_file():
                shown.kernels[method] = _kernel(kernel)
            if len(record["curve"]) > 1:
                lines[method] = record["curve"]
        for metric, title in (
            ("psnr", "PSNR [dB]"),
            ("kernel_error", "kernel error x 1e5"),
            ("sigma", "noise level"),
        ):
            points = {
                m: [
                    (p["iteration"], tables.scaled(p[metric], metric))
                    for p in curve
                    if p.get(metric) is not None and math.isfinite(p[metric])
                ]
                for m, curve in lines.items()
            }
            drawn = curves({m: p for m, p in points.items() if len(p) > 1}, title)
            if drawn:
                shown.curves.append((title, drawn))
        found.append(shown)
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _uri(path: Path, size: tuple[int, int]) -> str:
    """A picture as a data URI; a smaller one is enlarged by repeating its pixels."""
    pixels = Pillow.open(path).convert("RGB")
    if pixels.size != size:
        pixels = pixels.resize(size, Pillow.Resampling.NEAREST)
    return _encoded(pixels)


def _encoded(pixels: Pillow.Image) -> str:
    buffer = BytesIO()
    pixels.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _kernel(path: Path) -> str:
    levels = (kernel_picture(read_kernel(path), 96)[0, 0] * 255).round().byte().numpy()
    return _encoded(Pillow.fromarray(levels))
