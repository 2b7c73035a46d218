"""Tables of a comparison: means over rows, the best in bold, as Markdown, LaTeX or plain values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pnp.comparing.comparison import (
    LOWER_IS_BETTER,
    METRICS_OF_KERNELS,
    WITHOUT_BEST,
    Comparison,
)
from pnp.comparing.rows import Results
from pnp.errors import PnpError

TITLES = {
    "psnr": "PSNR",
    "psnr_y": "PSNR of the luma",
    "psnr_registered": "PSNR, registered",
    "ssim": "SSIM",
    "kernel_error": "kernel error x 1e5",
    "kernel_error_registered": "kernel error x 1e5, registered",
    "psnr_lr": "PSNR of the re-degraded result",
    "sigma_estimated": "estimated noise level",
    "seconds": "seconds",
}
STALE = "stale"
PUBLISHED = "*published*"


@dataclass
class Table:
    """Numbers by method and column."""

    columns: list[str]
    rows: dict[str, list[float | None]]
    metric: str = "psnr"
    notes: dict[str, str] = field(default_factory=dict)
    """What follows the name of a method: stale, published."""

    def text(self, value: float | None) -> str:
        """A number of the table."""
        if value is None:
            return "-"
        form = {"ssim": "{:.4f}", "sigma_estimated": "{:.4f}", "seconds": "{:.2g}"}
        return form.get(self.metric, "{:.2f}").format(scaled(value, self.metric))

    def best(self) -> list[str | None]:
        """The best number of each column, as text; None for metrics without a best."""
        if self.metric in WITHOUT_BEST:
            return [None] * len(self.columns)
        choose = min if self.metric in LOWER_IS_BETTER else max
        known = [[v for v in column if v is not None] for column in self._by_column()]
        return [self.text(choose(values)) if values else None for values in known]

    def _by_column(self) -> Iterable[tuple[float | None, ...]]:
        return zip(*self.rows.values(), strict=True) if self.rows else [()] * len(self.columns)

    def cells(self, bold: str = "**{}**") -> list[list[str]]:
        """Name and numbers of each row, with the best of each column in bold."""
        best, lines = self.best(), []
        for name, values in self.rows.items():
            texts = [self.text(v) for v in values]
            marked = [bold.format(t) if t == b else t for t, b in zip(texts, best, strict=True)]
            note = self.notes.get(name, "")
            lines.append([f"{name}{note}", *marked])
        return lines

    def markdown(self) -> str:
        """The table in Markdown."""
        return markdown(["method", *self.columns], self.cells())

    def latex(self) -> str:
        """The table in LaTeX (booktabs)."""
        lines = [
            r"\begin{tabular}{l" + "r" * len(self.columns) + "}",
            r"\toprule",
            " & ".join(map(escaped, ["method", *self.columns])) + r" \\",
            r"\midrule",
        ]
        for name, *numbers in self.cells(bold=r"\textbf{{{}}}"):
            named = escaped(name.replace("*", ""))
            lines.append(" & ".join([named, *numbers]) + r" \\")
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def scaled(value: float, metric: str) -> float:
    """A value as it is printed: errors of kernels times 1e5."""
    return 1e5 * value if metric in METRICS_OF_KERNELS else value


def markdown(
    header: Sequence[str], lines: Iterable[Sequence[str]], numbers: Iterable[int] | None = None
) -> str:
    """A table; the columns in `numbers`, by default all but the first, are aligned to the right."""
    right = set(range(1, len(header)) if numbers is None else numbers)
    rule = ["---:" if i in right else "---" for i in range(len(header))]
    cells = [[c.replace("|", r"\|") for c in line] for line in (header, *lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (cells[0], rule, *cells[1:]))


def escaped(text: str) -> str:
    """A text in LaTeX."""
    for special in "&%$#_{}":
        text = text.replace(special, f"\\{special}")
    return text


def overview(
    comparison: Comparison, results: Results, methods: Sequence[str], metric: str
) -> Table:
    """A column for each scale and noise level: means over all kernels and images; without methods
    that lack the metric."""
    check_protocol(results, methods)
    columns = [(s, sigma) for s in comparison.scales for sigma in comparison.sigmas]
    everything = [k for group in comparison.groups.values() for k in group]
    rows = {
        m: [mean(results, m, s, sigma, everything, metric) for s, sigma in columns] for m in methods
    }
    return Table(conditions(comparison), _measured(rows), metric)


def conditions(comparison: Comparison) -> list[str]:
    """Each scale and noise level in words: the columns of an overview."""
    scaled = comparison.scales != [1]
    return [
        f"x{s}, {noise(sigma)}" if scaled else noise(sigma)
        for s in comparison.scales
        for sigma in comparison.sigmas
    ]


def published(comparison: Comparison) -> list[tuple[str, Table]]:
    """The tables of other authors, with titles; they stand apart from ours."""
    found = []
    if comparison.published:
        columns = conditions(comparison)
        found.append(("PSNR", Table(columns, {m: [*v] for m, v in comparison.published.items()})))
    for reference in comparison.reference:
        rows: dict[str, list[float | None]] = {m: [*v] for m, v in reference.rows.items()}
        found.append((reference.about, Table(reference.columns, rows, reference.metric)))
    for _, table in found:
        table.notes = dict.fromkeys(table.rows, f", {PUBLISHED}")
    return found


def by_kernels(
    results: Results,
    methods: Sequence[str],
    scale: int,
    sigma: float,
    metric: str,
    columns: dict[str, list[str]],
) -> Table:
    """A column for each group of kernels, or each kernel; without methods that lack the metric."""
    check_protocol(results, methods)
    rows = {
        m: [mean(results, m, scale, sigma, kernels, metric) for kernels in columns.values()]
        for m in methods
    }
    return Table([*columns], _measured(rows), metric)


def _measured(rows: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """The rows that hold a number."""
    return {m: row for m, row in rows.items() if any(v is not None for v in row)}


def groups_and_average(comparison: Comparison) -> dict[str, list[str]]:
    """The groups of kernels, and all of them."""
    everything = [k for group in comparison.groups.values() for k in group]
    return {**comparison.groups, "average": everything}


def single_kernels(comparison: Comparison) -> dict[str, list[str]]:
    """Each kernel by itself."""
    return {
        f"k{k}" if k.isdecimal() else k: [k] for group in comparison.groups.values() for k in group
    }


def check_protocol(results: Results, methods: Iterable[str]) -> None:
    """PnpError if rows of two protocols would stand in one table."""
    used = {(r["protocol"], r["protocol_hash"]): m for m in methods for r in results.of(m)}
    names = {name for name, _ in used}
    digests = {digest for _, digest in used if digest}
    if len(names) > 1 or len(digests) > 1:
        told = "; ".join(f"{m}: {' '.join(u).strip()}" for u, m in used.items())
        raise PnpError(
            f"{results.folder}: rows of two protocols cannot be in one table ({told}); "
            "measure a method again (--again --only NAME), or use another folder"
        )


def mean(
    results: Results, method: str, scale: int, sigma: float, kernels: Iterable[str], metric: str
) -> float | None:
    """The mean of a metric over images and kernels; None if nothing was measured."""
    cell = (method, str(scale), f"{sigma:g}")
    names = set(kernels)
    rows = [r for key, r in results.rows.items() if key[:3] == cell and key[3] in names]
    values = [float(row[metric]) for row in rows if row[metric]]
    return math.fsum(values) / len(values) if values else None


def complete(comparison: Comparison, results: Results, method: str, images: Iterable[str]) -> bool:
    """True if a method has a row for every observation of these images."""
    needed = {
        (method, str(s), f"{sigma:g}", k, image)
        for s in comparison.scales
        for sigma in comparison.sigmas
        for group in comparison.groups.values()
        for k in group
        for image in images
    }
    return bool(needed) and needed <= results.rows.keys()


def noise(sigma: float) -> str:
    """A noise level in its usual form: 2 %, or 15/255."""
    steps = round(255 * sigma)
    return f"{steps}/255" if steps and abs(255 * sigma - steps) < 1e-6 else f"{100 * sigma:g} %"
