"""Time of deepinv's DPIR with its own prox_l2 and with our D, in one run.

    python benchmarks/neighbours.py    measure; write results/neighbours.csv, the table in README.md

Both physics go through the same algorithm with the same denoiser, one after the other in each
round.  Seconds are processor time; a ratio is the median over the rounds of the ratio within one.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pnp
from pnp.machine import processor

HERE = Path(__file__).parent
TABLE, README = HERE / "results" / "neighbours.csv", HERE / "README.md"
HEIGHT, WIDTH, SCALE, SIGMA = 240, 160, 4, 0.02
BEGIN, END = "<!-- neighbours: made by neighbours.py -->", "<!-- end of neighbours -->"


class Timed:
    """Counts the processor time of a physics' `prox_l2`."""

    def __init__(self, physics: Any):
        self.physics, self.seconds, self.solve = physics, 0.0, physics.prox_l2
        physics.prox_l2 = self

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        start = time.process_time()
        result: Tensor = self.solve(*args, **kwargs)
        self.seconds += time.process_time() - start
        return result


def measure(rounds: int) -> dict[str, object]:
    """One row: medians of seconds, and of the ratios theirs / ours."""
    import deepinv

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, HEIGHT, WIDTH, generator=generator)
    k = torch.ones(1, 1, 25, 25) / 625
    y = pnp.observe(x, k, SCALE, SIGMA, generator)
    theirs = deepinv.physics.Downsampling((3, HEIGHT, WIDTH), filter=k, factor=SCALE)
    prior: Any = pnp.load("dpir").P
    denoiser = pnp.interop.as_denoiser(prior).eval()
    model = deepinv.optim.DPIR(sigma=SIGMA, denoiser=denoiser)
    timed = {"theirs": Timed(theirs), "ours": Timed(pnp.interop.as_physics(k, SCALE))}
    prox: dict[str, list[float]] = {name: [] for name in timed}
    whole: dict[str, list[float]] = {name: [] for name in timed}
    results = {}
    with torch.no_grad():
        for number in range(rounds + 1):
            for name, one in timed.items():
                one.seconds, start = 0.0, time.process_time()
                results[name] = model(y, one.physics)
                if number:  # the first round is for warming up
                    prox[name].append(one.seconds)
                    whole[name].append(time.process_time() - start)
    gap = float((results["theirs"] - results["ours"]).abs().max())
    if gap > 1e-3:
        sys.exit(f"the results differ by {gap:.1e}")
    row: dict[str, object] = {"protocol": f"RGB {HEIGHT} x {WIDTH}, x{SCALE}, kernel 25 x 25"}
    for what, seconds in (("prox", prox), ("whole", whole)):
        for name, values in seconds.items():
            row[f"{what}_{name}_ms"] = f"{1000 * statistics.median(values):.0f}"
        ratios = [a / b for a, b in zip(seconds["theirs"], seconds["ours"], strict=True)]
        row[f"{what}_ratio"] = f"{statistics.median(ratios):.2f}"
        row[f"{what}_ratio_low"], row[f"{what}_ratio_high"] = (
            f"{f(ratios):.2f}" for f in (min, max)
        )
    row |= {"gap": f"{gap:.1e}", "rounds": rounds, "threads": 1, "cpu": processor()}
    versions = {"torch": torch.__version__, "deepinv": version("deepinv")}
    return row | versions | {"date": date.today().isoformat()}


def write(row: dict[str, Any]) -> None:
    """The CSV, and the row between two comments of README.md."""
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)
    ratios = [
        "{} ({}-{})".format(*(row[f"{part}_ratio{end}"] for end in ("", "_low", "_high")))
        for part in ("prox", "whole")
    ]
    text = (
        f"{row['protocol']}, {row['threads']} thread on {row['cpu']}, torch {row['torch']}, "
        f"deepinv {row['deepinv']}, {row['date']}; {row['rounds']} rounds, "
        f"the results differ by {row['gap']}.\n\n"
        "| part of DPIR | deepinv prox_l2, ms | our D, ms | ratio (range) |\n|---|---:|---:|---:|\n"
        f"| 8 data steps | {row['prox_theirs_ms']} | {row['prox_ours_ms']} | {ratios[0]} |\n"
        f"| all, with drunet-small | {row['whole_theirs_ms']} | {row['whole_ours_ms']} "
        f"| {ratios[1]} |\n"
    )
    page = README.read_text()
    head, tail = page.split(BEGIN)[0], page.split(END)[1]
    README.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time deepinv's DPIR with its prox and our D.")
    parser.add_argument("--rounds", type=int, default=7)
    write(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
