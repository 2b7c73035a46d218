"""Memory of the pipelines by the size of the result: said and measured.

    python benchmarks/memory.py [NAME ...]   measure; write results/memory.csv and the table
    python benchmarks/memory.py --table      only write the table from the CSV

`pnp run` restores a photograph, of the scale's size before, in a process of its own; its peak is
the largest resident size of this process (`ru_maxrss`), with Python and all libraries.  What
`pnp show` says is computed by `pnp.cost`.  Networks compute in the precision that `pnp run` takes
by default on the processor that measured; where this was fp32, bf16 needs less.  Loops are cut to
two iterations where the pipeline allows it, because further ones need no more memory.  Networks
without weights of their own get random ones, which need the same memory.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

import pnp
from pnp.boundaries import Assumption
from pnp.building import build
from pnp.commands.catalogue import without_weights
from pnp.cost import cost_of
from pnp.kspace import takes_kspace
from pnp.language.reader import read_spec
from pnp.machine import processor
from pnp.precision import chosen

HERE = Path(__file__).parent
TABLE, README = HERE / "results" / "memory.csv", HERE / "README.md"
SIDES = (512, 1024)
SHORT = {"repeat": 2}
STAGES = {"stages.0.repeat": 2}
UNFOLDED = {**SHORT, "modules.H.n": 2}
PIPELINES: dict[str, tuple[int, dict[str, int]]] = {
    "bicubic": (2, {}),
    "denoise": (1, {}),
    "denoise-blind": (1, {}),
    "hqs-tv": (1, SHORT),
    "inpaint-tv": (1, SHORT),
    "inpaint-drunet": (1, SHORT),
    "mri-tv": (1, SHORT),
    "mri-drunet": (1, SHORT),
    "diffpir-drunet": (1, SHORT),
    "pnp-flow-drunet": (1, SHORT),
    "dpir": (1, SHORT),
    "usrnet-mini": (4, {}),
    "usrnet-small": (4, {}),
    "denoise-usrnet": (4, {}),
    "blind-classical": (1, {**STAGES, "stages.1.repeat": 2}),
    "blind-dpir": (1, SHORT),
    "blind-usrnet": (1, STAGES),
    "spectral-usrnet": (2, {}),
    "ikrnet-small": (2, {}),
    "bisrnet": (4, UNFOLDED),
    "dpsr": (4, SHORT),
    "fkp-dpir": (4, SHORT),
    "ikc": (4, UNFOLDED),
    "usrnet": (4, UNFOLDED),
    "usrnet-tiny": (4, UNFOLDED),
    "usrnet-tv-start": (4, {"repeat": 3, "modules.H.n": 3}),
    "ikrnet": (4, UNFOLDED),
    "ikrnet-8": (4, UNFOLDED),
    "ikrnet-authors": (
        4,
        {**STAGES, "stages.1.repeat": 2, "modules.H0.n": 2, "modules.H.n": 2},
    ),
    "ikrnet-fixed-kernel": (4, UNFOLDED),
    "ikrnet-known-noise": (4, UNFOLDED),
    "ikrnet-max-noise": (4, UNFOLDED),
    "ikrnet-scunet": (4, {"repeat": 4, "modules.H.n": 4}),
    "ikrnet-support": (4, UNFOLDED),
    "ikrnet-zero-noise": (4, UNFOLDED),
    "denoise-ikrnet": (4, UNFOLDED),
    "ikrnet-denoise": (4, UNFOLDED),
}
"""Scale, and the cut loops."""


def photograph(side: int) -> Image.Image:
    """The astronaut of scikit-image with noise of 2 %, side x side."""
    noise = np.random.default_rng(0).normal(0, 5, (side, side, 3))
    wide = Image.fromarray(data.astronaut()).resize((side, side), Image.Resampling.BICUBIC)
    return Image.fromarray((np.asarray(wide) + noise).clip(0, 255).astype(np.uint8))


def kspace(side: int, file: Path) -> Path:
    """A quarter of the columns of the photograph's k-space, and their mask, as an .npz file."""
    y = np.fft.fftshift(np.fft.fft2(np.asarray(photograph(side).convert("L")) / 255))
    columns = np.arange(side)
    mask = (columns % 8 == 0) | (abs(columns - side // 2) < side // 16)
    np.savez(file, y=(y * mask).astype(np.complex64), mask=np.broadcast_to(mask, y.shape))
    return file


def precision(name: str) -> str:
    """The precision that `pnp run` takes for a pipeline."""
    return chosen("auto", read_spec(name), torch.device("cpu"))


RESTORE = """
import json, sys, pnp
settings = json.loads(sys.argv[1])
pnp.restore(settings.pop("image"), settings.pop("name"), random_weights=True, **settings)
"""
"""What `pnp run` does, for networks that have no weights."""


def measured(name: str, side: int, *words: str) -> tuple[float, float]:
    """Peak bytes of `pnp run` for a result of side x side, and the seconds of the run."""
    (scale, changes), spec = PIPELINES[name], read_spec(name)
    takes = {g.name for g in spec.given if g.default is None}
    with tempfile.TemporaryDirectory() as folder:
        file, mask = Path(folder, "y.png"), Path(folder, "mask.png")
        if takes_kspace(spec):
            file = kspace(side, Path(folder, "y.npz"))
        else:
            photograph(side // scale).save(file)
            words = (*words, "--boundary", "unknown")
        if without_weights(spec):
            settings = {
                "image": str(file),
                "name": name,
                "scale": scale,
                "kernel": "gaussian:1.6" if "k" in takes else None,
                "sigma": 0.02 if "sigma" in takes else None,
                "dtype": precision(name),
                "assignments": [f"{key}={value}" for key, value in changes.items()],
            }
            peak = run([sys.executable, "-c", RESTORE, json.dumps(settings)], name)
            return peak, math.nan
        command = [sys.executable, "-m", "pnp", "run", name, str(file), "-o", folder, *words]
        command += ["--dtype", precision(name)]
        if "s" in {g.name for g in spec.given}:
            command += ["-s", str(scale)]
        if "k" in takes:
            command += ["-k", "gaussian:1.6"]
        if "mask" in takes and file.suffix != ".npz":
            known = np.random.default_rng(0).random((side, side)) < 0.7
            Image.fromarray(known).save(mask)
            command += ["--mask", str(mask)]
        for change in changes.items():
            command += ["--set", "=".join(map(str, change))]
        peak = run(command, name)
        record = json.loads(Path(folder, f"{file.stem}_x{scale}.json").read_text())
    return peak, record["seconds"]["run"]


def run(command: list[str], name: str) -> float:
    """The peak of a command in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{name}: {errors}")
    return 1024.0 * usage.ru_maxrss


def rows_of(name: str, base: float) -> list[dict[str, object]]:
    """A row for each size; `base` is what a process holds after its first small run."""
    scale, changes = PIPELINES[name]
    rows: list[dict[str, object]] = []
    pipeline = build(read_spec(name, dict(changes)), random_weights=True)
    border: Assumption = "periodic" if takes_kspace(pipeline.spec) else "unknown"
    dtype = precision(name)
    cost = cost_of(pipeline, *SIDES[:1] * 2, scale, border, dtype)
    for side in SIDES:
        said = replace(cost, height=side, width=side, base=base)
        peak, seconds = measured(name, side)
        rows.append(
            {
                "pipeline": name,
                "scale": scale,
                "side": side,
                "changes": " ".join(f"{key}={value}" for key, value in changes.items()),
                "dtype": dtype,
                "said_mb": round(said.peak() / 1e6),
                "measured_mb": round(peak / 1e6),
                "base_mb": round(said.base / 1e6),
                "mb_per_mpx": round(said.per_megapixel() / 1e6),
                "seconds": "" if changes or math.isnan(seconds) else f"{seconds:.1f}",
                "threads": torch.get_num_threads(),
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
    first = rows[0]
    lines = [
        f"RGB, --boundary unknown, {first['threads']} thread on {first['cpu']}, "
        f"torch {first['torch']}, {first['date']}; {first['base_mb']} MB of each peak are Python, "
        "PyTorch and other libraries.",
        "",
        "| pipeline | scale | networks in | MB per megapixel of the result "
        + "".join(f"| {side} x {side}: said, measured MB " for side in SIDES)
        + "|",
        "|---|---:|---|---:|" + "---:|" * len(SIDES),
    ]
    for name in dict.fromkeys(row["pipeline"] for row in rows):
        own = [row for row in rows if row["pipeline"] == name]
        cells = [name, own[0]["scale"], own[0]["dtype"], own[0]["mb_per_mpx"]]
        cells += [f"{row['said_mb']}, {row['measured_mb']}" for row in own]
        lines.append(f"| {' | '.join(cells)} |")
    begin, end = (
        "<!-- memory: made by memory.py from results/memory.csv -->",
        "<!-- end of memory -->",
    )
    text = README.read_text()
    head, tail = text.split(begin)[0], text.split(end)[1]
    README.write_text(f"{head}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{tail}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the memory of pipelines.")
    parser.add_argument("--table", action="store_true", help="only write the table from the CSV")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only these; others stay as they are"
    )
    options = parser.parse_args()
    if not options.table:
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        base = cost_of(pnp.load("denoise"), 64, 64).base
        rows: list[dict[str, object]] = []
        if TABLE.exists():
            with TABLE.open(newline="") as file:
                rows = list(csv.DictReader(file))
        for name in options.names or PIPELINES:
            new = rows_of(name, base)
            rows = [row for row in rows if row["pipeline"] != name] + new
            rows.sort(key=lambda row: list(PIPELINES).index(str(row["pipeline"])))
            with TABLE.open("w", newline="") as file:
                writer = csv.DictWriter(file, new[0], lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
    write_table()


if __name__ == "__main__":
    main()
