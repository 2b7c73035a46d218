"""Compare methods on simulated observations: a CSV row per observation and method, and tables.

    python benchmarks/compare.py benchmarks/usrnet.yaml     measure missing rows, write the tables
    python benchmarks/compare.py                            write the tables from the CSV files

The tables are written to docs/results.md.  The script can be stopped at any time (Ctrl-C); the same
command resumes it.  Methods whose weights do not exist are skipped, and their names are printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from comparison import (
    IDENTITY,
    METRICS_OF_IMAGES,
    METRICS_OF_KERNELS,
    ROOT,
    Comparison,
    Method,
    read_comparison,
)
from comparison_results import Results
from comparison_tables import write_page
from torch import Tensor
from tqdm import tqdm

from pnp import metrics
from pnp.errors import PnpError, hint
from pnp.images import read_image
from pnp.kernel_files import read_kernels
from pnp.machine import processor
from pnp.pipeline import Pipeline, build
from pnp.protocols import degrade, protocol
from pnp.restoration import DTYPES, choose_device, run_image

OF_IMAGES: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    name: getattr(metrics, name) for name in METRICS_OF_IMAGES
}
OF_KERNELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    name: getattr(metrics, name) for name in METRICS_OF_KERNELS
}
PAGE = ROOT / "docs" / "results.md"


def measure(
    comparison: Comparison,
    results: Results,
    names: Iterable[str] | None = None,
    limit: int | None = None,
    dtype: str = "fp32",
    device: str = "cpu",
    again: bool = False,
) -> list[str]:
    """Measure the missing rows; returns the methods that have no weights yet.

    `names` selects methods, `limit` the first images.  Rows made with other weights, options or
    precision are never mixed with new rows.  With `again` they are deleted and measured again;
    otherwise they are kept if no row is missing, and are an error if one is.
    """
    chosen = [_method(comparison, name) for name in names or comparison.methods]
    ready = {m.name: m for m in chosen if m.has_weights()}
    runs = {m.name: _run(comparison, m, dtype, device) for m in ready.values()}
    for name, run in runs.items():
        complete = all(results.has(name, case) for case in comparison.cases(limit))
        _check_rows(results, name, run, again, complete)

    place = choose_device(device)
    pipelines = {m.name: _build(m, dtype, place) for m in ready.values()}
    kernels = [torch.ones(1, 1, 1, 1)]
    if (file := comparison.kernel_file()) is not None:
        kernels = read_kernels(file)
    todo = [
        (c, left)
        for c in comparison.cases(limit)
        if (left := [n for n in ready if not results.has(n, c)])
    ]
    with tqdm(total=sum(len(left) for _, left in todo), unit="row", desc=comparison.name) as bar:
        for case, left in todo:
            k = kernels[case.kernel - 1]
            y, ref = degrade(_pixels(case.image), k, case.scale, case.sigma, comparison.protocol)
            for name in left:
                offered: dict[str, Any] = {"s": case.scale, "k": k.to(place), "sigma": case.sigma}
                given = {
                    v: offered[v] for v in ("s", *ready[name].given) if v in _taken(pipelines[name])
                }
                started = _clock(place)
                result = run_image(pipelines[name], y.to(place), given)
                seconds = _clock(place) - started
                border = protocol(comparison.protocol).border(case.scale)
                found = None if "k" in given else result.get("k")
                values = _values(comparison.metrics, result["x"], ref, found, k, border)
                results.add(runs[name], case, values, seconds)
                bar.update()
    return [m.name for m in chosen if m.name not in ready]


def _method(comparison: Comparison, name: str) -> Method:
    if name not in comparison.methods:
        raise PnpError(
            f"{comparison.path}: there is no method '{name}'; "
            f"{hint(name, comparison.methods, 'methods')}"
        )
    return comparison.methods[name]


def _build(method: Method, dtype: str, device: torch.device) -> Pipeline:
    pipeline = build(method.spec()).to(device).prepare(DTYPES[dtype])
    unknown = [v for v in method.given if v not in _taken(pipeline)]
    if unknown:
        takes = ", ".join(_taken(pipeline))
        raise PnpError(
            f"{method.name}: {unknown[0]} cannot be given; the pipeline {method.pipeline} "
            f"takes {takes}"
        )
    return pipeline


def _taken(pipeline: Pipeline) -> list[str]:
    return [g.name for g in pipeline.spec.given]


def _check_rows(
    results: Results, name: str, run: dict[str, str], again: bool, complete: bool
) -> None:
    """Compare a run with those of the existing rows; `measure` documents what follows."""
    for old in results.runs_of(name):
        differing = [what for what in IDENTITY if old[what] != run[what]]
        if not differing:
            continue
        if again:
            results.drop(name)
            return
        what = differing[0]
        message = (
            f"{results.path}: the existing rows of '{name}' have another {what} "
            f"('{old[what]}', now '{run[what]}'); "
            f"--again --methods '{name}' deletes them and measures again"
        )
        if not complete:
            raise PnpError(message)
        print(message, file=sys.stderr)
        return


def _values(
    names: list[str], x: Tensor, ref: Tensor, found: Tensor | None, k: Tensor, border: int
) -> dict[str, float | None]:
    """The metrics of one result; metrics of kernels are None if no kernel was estimated."""
    values: dict[str, float | None] = {}
    for name in names:
        if name in OF_IMAGES:
            values[name] = float(OF_IMAGES[name](x.float().cpu(), ref, border))
        else:
            values[name] = (
                float(OF_KERNELS[name](found.float().cpu(), k)) if found is not None else None
            )
    return values


@lru_cache(maxsize=1)
def _pixels(path: Path) -> Tensor:
    return read_image(path).pixels


def _clock(device: torch.device) -> float:
    """Processor time of this process, which other processes hardly affect; wall time on a GPU."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def _run(comparison: Comparison, method: Method, dtype: str, device: str) -> dict[str, str]:
    return comparison.identity(method, dtype) | {
        "commit": _commit(),
        "date": date.today().isoformat(),
        "machine": _machine(choose_device(device)),
        "device": choose_device(device).type,
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }


@lru_cache(maxsize=1)
def _commit() -> str:
    """The commit of the code, with '-dirty' if relevant files differ; 'unknown' without git."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        name = git("describe", "--always")
        relevant = ("pnp", "solvers", "priors", "pipelines", "benchmarks/*.py")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *relevant)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}-dirty" if changed else name


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor()}, {os.cpu_count()} cores"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "comparison",
        nargs="?",
        help="description of a comparison (YAML); without it, only the tables are written",
    )
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="only these methods")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument(
        "--dtype", choices=DTYPES, default="fp32", help="precision of the networks (fp32)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto (cpu)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the processor (1)")
    parser.add_argument(
        "--again",
        action="store_true",
        help="delete and measure again rows made with other weights, options or precision",
    )
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="file of the tables (docs/results.md)"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = Path(__file__).parent
    try:
        if options.comparison:
            comparison = read_comparison(options.comparison)
            folder = comparison.path.parent
            missing = measure(
                comparison,
                Results(comparison),
                options.methods,
                options.limit,
                options.dtype,
                options.device,
                options.again,
            )
            if missing:
                print(f"no weights yet: {', '.join(missing)}", file=sys.stderr)
        write_page(folder, options.page)
    except PnpError as e:
        print(e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; measured rows are kept, the same command resumes", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
