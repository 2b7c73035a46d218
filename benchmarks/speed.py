"""Speed and memory of fft-image, compared with other ways to compute the same z.

    python benchmarks/speed.py            measure; write results/speed.csv, the table in README.md
    python benchmarks/speed.py --table    only write the table from the CSV

All methods run in one process, one after the other, in many rounds.  A ratio is the median over the
rounds of the ratio within one round, so that other load on the machine affects both sides.  Nothing
is cached from one call to the next, except in the row that says so.  Peak memory is measured in a
new process for each method: the highest resident size during the second call minus the size just
before it, without the inputs.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor

from pnp.interfaces import pipeline_run
from pnp.machine import processor
from pnp.solvers.equation_8 import Equation8
from pnp.solvers.fft_image import FftImage

HERE = Path(__file__).parent
TABLE, README = HERE / "results" / "speed.csv", HERE / "README.md"
SIZES = [(480, 320), (1024, 1024)]
SCALE, CHANNELS, KERNEL, WEIGHT, THREADS = 4, 3, 25, 0.01, 2
MODES = ["forward", "gradients"]
Method = Callable[[Tensor, Tensor, Tensor], Tensor]


def deepinv_prox() -> Method | None:
    """deepinv's `Downsampling.prox_l2`, with gradients to the filter; None without deepinv."""
    try:
        from deepinv.physics import Downsampling
    except ImportError:
        return None
    known: dict[torch.Size, Downsampling] = {}

    def method(y: Tensor, x: Tensor, k: Tensor) -> Tensor:
        physics = known.get(x.shape)
        if physics is None:
            physics = known[x.shape] = Downsampling(
                x.shape[1:], filter=k.detach(), factor=SCALE, padding="circular"
            )
        physics.filter = k  # prox_l2 itself computes the spectra of its filter, on every call
        return physics.prox_l2(x, y, 1 / WEIGHT)

    return method


def methods() -> dict[str, Method]:
    """All methods; fft-image is the first, and ratios refer to it."""
    D, literal = FftImage(), Equation8()
    found: dict[str, Method] = {
        "fft-image": lambda y, x, k: D(y, x, k, WEIGHT),
        "equation 8, literally": lambda y, x, k: literal(y, x, k, WEIGHT),
    }
    prox = deepinv_prox()
    if prox is not None:
        found["deepinv prox_l2"] = prox
    found["rfft2 + irfft2 of x alone"] = lambda y, x, k: torch.fft.irfft2(
        torch.fft.rfft2(x), s=x.shape[-2:]
    )
    return found


def problem(H: int, W: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    k = torch.rand(1, 1, KERNEL, KERNEL, generator=generator)
    x = torch.rand(1, CHANNELS, H, W, generator=generator)
    return torch.rand(1, CHANNELS, H // SCALE, W // SCALE, generator=generator), x, k / k.sum()


def call(method: Method, mode: str, y: Tensor, x: Tensor, k: Tensor) -> Tensor:
    """One call; in the mode "gradients" also the gradients with respect to x and k."""
    if mode == "forward":
        with torch.no_grad():
            return method(y, x, k)
    x, k = x.detach().requires_grad_(), k.detach().requires_grad_()
    z = method(y, x, k)
    torch.autograd.grad(z, (x, k), torch.ones_like(z), allow_unused=True)
    return z


def check_agreement() -> None:
    """Stop the script unless all methods compute the same z and the same gradients."""
    y, x, k = problem(96, 64)
    results = {}
    for name, method in methods().items():
        if name.startswith("rfft2"):
            continue
        inputs = [x.clone().requires_grad_(), k.clone().requires_grad_()]
        z = method(y, *inputs)
        results[name] = [z.detach(), *torch.autograd.grad(z.square().sum(), inputs)]
    for name, result in results.items():
        for a, b in zip(result, results["fft-image"], strict=True):
            gap = float((a - b).abs().max() / b.abs().max())
            if gap > 1e-3:
                sys.exit(f"{name} and fft-image compute different results: the gap is {gap:.1e}")


def measure_times(H: int, W: int, mode: str, seconds: float) -> dict[str, list[float]]:
    """Seconds per call: for each method, one number for each round."""
    torch.set_num_threads(THREADS)
    inputs = problem(H, W)
    competitors = methods()
    times: dict[str, list[float]] = {name: [] for name in competitors}
    kept = "fft-image, spectra of y and k kept"
    times[kept] = []
    with pipeline_run():
        call(competitors["fft-image"], mode, *inputs)
    for name in competitors:
        call(competitors[name], mode, *inputs)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, method in competitors.items():
            start = time.perf_counter()
            call(method, mode, *inputs)
            times[name].append(time.perf_counter() - start)
        with pipeline_run():
            call(competitors["fft-image"], mode, *inputs)
            start = time.perf_counter()
            call(competitors["fft-image"], mode, *inputs)
            times[kept].append(time.perf_counter() - start)
    return times


def peak_memory(H: int, W: int, mode: str, name: str) -> float:
    """MiB above the resident size before the call, in a new process that frees memory at once."""
    settings = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MKL_DISABLE_FAST_MM": "1"}
    command = [sys.executable, __file__, "--peak", str(H), str(W), mode, name]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def peak_here(H: int, W: int, mode: str, name: str) -> float:
    torch.set_num_threads(THREADS)
    method, inputs = methods()[name], problem(H, W)
    call(method, mode, *inputs)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status("VmRSS")
    call(method, mode, *inputs)
    return (_status("VmHWM") - before) / 1024


def _status(key: str) -> int:
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def quartiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = torch.tensor(values).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    return low, middle, high


def measure(seconds: float) -> list[dict[str, object]]:
    """One row for each size, mode and method."""
    check_agreement()
    rows: list[dict[str, object]] = []
    circumstances = where_and_when()
    for H, W in SIZES:
        for mode in MODES:
            times = measure_times(H, W, mode, seconds)
            memory = {name: peak_memory(H, W, mode, name) for name in methods()}
            for name, values in times.items():
                low, ratio, high = quartiles(
                    [a / b for a, b in zip(values, times["fft-image"], strict=True)]
                )
                row = {"height": H, "width": W, "mode": mode, "method": name}
                row |= {
                    "median_ms": f"{1000 * quartiles(values)[1]:.1f}",
                    "least_ms": f"{1000 * min(values):.1f}",
                }
                row |= {
                    "ratio": f"{ratio:.2f}",
                    "ratio_low": f"{low:.2f}",
                    "ratio_high": f"{high:.2f}",
                    "rounds": len(values),
                }
                if name in memory:
                    row["peak_mib"] = f"{memory[name]:.1f}"
                    row["peak_ratio"] = f"{memory[name] / memory['fft-image']:.2f}"
                rows.append(row | circumstances)
    return rows


def where_and_when() -> dict[str, object]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True
    )
    try:
        deepinv = version("deepinv")
    except PackageNotFoundError:
        deepinv = ""
    return {
        "protocol": f"RGB float32, x{SCALE}, kernel {KERNEL} x {KERNEL}",
        "cpu": processor(),
        "threads": THREADS,
        "torch": torch.__version__,
        "deepinv": deepinv,
        "commit": commit.stdout.strip(),
        "date": date.today().isoformat(),
    }


def write_csv(rows: list[dict[str, object]]) -> None:
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_table() -> None:
    """Replace the table in README.md, between its two comments, by that of the CSV."""
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = rows[0]
    lines = [
        f"{first['protocol']}, {first['threads']} threads on {first['cpu']}, "
        f"torch {first['torch']}, deepinv {first['deepinv'] or 'not installed'}, "
        f"commit {first['commit']}, {first['date']}.",
        "",
        "| height x width | mode | method | median ms | time / fft-image (quartiles) "
        "| peak MiB | peak / fft-image |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for r in rows:
        time_ratio = f"{r['ratio']} ({r['ratio_low']}-{r['ratio_high']})"
        cells = [
            f"{r['height']} x {r['width']}",
            r["mode"],
            r["method"],
            r["median_ms"],
            time_ratio,
            r["peak_mib"],
            r["peak_ratio"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    begin, end = "<!-- speed: made by speed.py from results/speed.csv -->", "<!-- end of speed -->"
    text = README.read_text()
    head, tail = text.split(begin)[0], text.split(end)[1]
    README.write_text(f"{head}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{tail}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Compare speed and memory of fft-image with other ways to compute z."
    )
    parser.add_argument(
        "--table", action="store_true", help="only write the table in README.md from the CSV"
    )
    parser.add_argument(
        "--seconds", type=float, default=20, help="time to spend on each size and mode"
    )
    parser.add_argument(
        "--peak", nargs=4, metavar=("H", "W", "MODE", "METHOD"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.peak:
        H, W, mode, name = options.peak
        print(peak_here(int(H), int(W), mode, name))
        return
    if not options.table:
        write_csv(measure(options.seconds))
    write_table()


if __name__ == "__main__":
    main()
