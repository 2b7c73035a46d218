"""What `--dtype bf16` changes: PSNR to the ground truth with float32 and with bf16 networks.

    python benchmarks/bf16.py [NAME ...]   measure; write results/bf16.csv and the table
    python benchmarks/bf16.py --table      only write the table from the CSV

The central 192 x 192 pixels of two photographs of CBSD68 are blurred by a Gaussian of 1.6 pixels,
downsampled by the scale, with 2 % noise; those of `denoise` and `denoise-blind` have noise of
15/255 only.  Pipelines that need the kernel receive it.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import torch

import pnp
from pnp.kernel_files import make_kernel
from pnp.machine import processor
from pnp.metrics import psnr

HERE = Path(__file__).parent
TABLE, README = HERE / "results" / "bf16.csv", HERE / "README.md"
DATA = Path(os.environ.get("PNP_DATA", HERE.parent.parent / "shared" / "data")) / "cbsd68"
IMAGES = ("0003", "0012")
SIDE = 192
NOISY = ("denoise", "denoise-blind")
PIPELINES = {
    "denoise": 1,
    "denoise-blind": 1,
    "usrnet-mini": 2,
    "usrnet-small": 2,
    "denoise-usrnet": 2,
    "dpir": 1,
    "spectral-usrnet": 2,
    "ikrnet-small": 2,
    "blind-usrnet": 1,
    "blind-dpir": 1,
}
"""Pipelines with networks that run as installed, and the scale."""
BEGIN, END = "<!-- bf16: made by bf16.py from results/bf16.csv -->", "<!-- end of bf16 -->"


def observed(name: str, image: str, s: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The observation, the ground truth and the kernel."""
    x = pnp.read_image(next(DATA.glob(f"{image}*"))).visible()
    top, left = ((side - SIDE) // 2 for side in x.shape[-2:])
    x = x[..., top : top + SIDE, left : left + SIDE]
    generator = torch.Generator().manual_seed(0)
    k = make_kernel("delta" if name in NOISY else "gaussian:1.6", "kernel")
    sigma = 15 / 255 if name in NOISY else 0.02
    return pnp.observe(x, k, s, sigma, generator=generator), x, k


def rows_of(name: str, s: int) -> list[dict[str, object]]:
    """A row for each image."""
    spec = pnp.load(name).spec
    takes = {g.name for g in spec.given if g.default is None}
    rows: list[dict[str, object]] = []
    for image in IMAGES:
        y, x, k = observed(name, image, s)
        given: dict[str, Any] = {"kernel": k[0, 0]} if "k" in takes else {}
        if any(g.name == "s" for g in spec.given):
            given["scale"] = s
        measured, seconds = {}, {}
        for dtype in ("fp32", "bf16"):
            began = time.process_time()
            result = pnp.restore(y, name, boundary="periodic", dtype=dtype, **given)
            seconds[dtype] = time.process_time() - began
            measured[dtype] = float(psnr(result.image, x, border=s))
        rows.append(
            {
                "pipeline": name,
                "scale": s,
                "image": image,
                "psnr_fp32": f"{measured['fp32']:.4f}",
                "psnr_bf16": f"{measured['bf16']:.4f}",
                "difference": f"{measured['bf16'] - measured['fp32']:.4f}",
                "speedup": f"{seconds['fp32'] / seconds['bf16']:.2f}",
                "cpu": processor(),
                "torch": torch.__version__,
                "date": date.today().isoformat(),
            }
        )
        print(rows[-1], flush=True)
    return rows


def write_table() -> None:
    """Replace the table in README.md, between its two comments, by that of the CSV."""
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [
        f"| pipeline | scale | difference of PSNR, dB ({', '.join(IMAGES)}) | speed-up |",
        "|---|---:|---:|---:|",
    ]
    for name in dict.fromkeys(row["pipeline"] for row in rows):
        own = [row for row in rows if row["pipeline"] == name]
        changes = ", ".join(f"{float(row['difference']):+.3f}" for row in own)
        faster = sum(float(row["speedup"]) for row in own) / len(own)
        lines.append(f"| {name} | {own[0]['scale']} | {changes} | {faster:.1f} |")
    text = README.read_text()
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    README.write_text(f"{head}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{tail}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare bf16 with float32.")
    parser.add_argument("--table", action="store_true", help="only write the table from the CSV")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    options = parser.parse_args()
    if not options.table:
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        rows: list[dict[str, object]] = []
        if TABLE.exists():
            with TABLE.open(newline="") as file:
                rows = list(csv.DictReader(file))
        for name in options.names or PIPELINES:
            new = rows_of(name, PIPELINES[name])
            rows = [row for row in rows if row["pipeline"] != name] + new
            rows.sort(key=lambda row: list(PIPELINES).index(str(row["pipeline"])))
            with TABLE.open("w", newline="") as file:
                writer = csv.DictWriter(file, new[0], lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
    write_table()


if __name__ == "__main__":
    main()
