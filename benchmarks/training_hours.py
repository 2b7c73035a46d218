"""Hours that a recipe takes on a CPU core, measured, and on a GPU, estimated.

    python benchmarks/training_hours.py [--only NAME] [--page]

For each recipe some steps are timed (processor time of one thread, the least of `ROUNDS`), on
images of noise and with random weights in place of those of earlier stages.  Where a step takes
longer than `LONG` seconds, it follows from two smaller batches by a straight line in the number of
pixels.  FLOPs are counted by `torch.utils.flop_counter` (convolutions and matrix products, forward
and backward).
Hours on a GPU were not measured: they are FLOPs divided by `SUSTAINED`, at least `LAUNCHES` a step.
Rows go to results/training_hours.csv; `--page` writes the table in docs/training.md from them.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode
from training_throughput import _Trainer

import pnp.training.trainer
from pnp.building import build
from pnp.machine import processor
from pnp.manifest import read_entries
from pnp.pipeline import Pipeline
from pnp.training import Recipe, load_recipe
from pnp.training.recipe_reader import RECIPES

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "training_hours.csv"
PAGE = HERE.parent / "docs" / "training.md"
MANIFEST = HERE.parent / "pnp" / "weights" / "manifest.yaml"
COLUMNS = (
    *("date", "device", "torch", "recipe", "precision", "batch", "crop", "measured"),
    *("seconds", "tflops"),
)
ROUNDS = 2
LONG = 6.0
SUSTAINED = {"bf16": 30e12, "fp32": 10e12}
"""FLOP/s: a tenth of an A100's peak in bf16, half of its peak in fp32."""
LAUNCHES = 0.01
"""Seconds of a step, at least, in which a GPU starts its many small operations."""
EPOCHS = 100
IMAGES = 3450
"""Of DIV2K and Flickr2K, IKR-Net's training images; one crop of each in an epoch."""
KERNELS = 200_000

SHIPPED = {
    "denoise-drunet-small": "drunet-small",
    "denoise-scunet-small": "scunet-small",
    "image-prior-mini": "usrnet-mini",
    "image-prior-small": "usrnet-small",
    "spectral-kernel": "spectral-kernel",
    "local-noise": "local-noise",
    "blur-width": "blur-width",
    "kernel-doubt": "kernel-doubt",
    "estimated-kernels-mini": "usrnet-mini-estimated",
    "estimated-kernels-small": "usrnet-small-estimated",
    "ikrnet-small-rounds": "ikrnet-small",
}
"""The pretrained weights that a recipe has made."""
EARLIER = {"ikrnet-small": 5467 + 4195}
"""Steps of recipes whose weights the recipe ikrnet-small-rounds has continued."""
KAIR = ("image-prior", "denoise-drunet", "denoise-resunet", "denoise-scunet")
"""Trained for 400 000 steps, as many as KAIR's options for USRNet and DRUNet halve the rate in."""
STAGES = (
    *("kernel-autoencoder", "initializer-latents", "initializer-kernels"),
    *("image-prior-initial-kernels", "kernel-prior", "noise", "joint"),
)
"""Of section 4.1 of IKR-Net's paper, for one scale."""
LARGE = re.compile("image-prior|joint|bisrnet|kernel-prior|^noise$|denoise|estimated|ikrnet")
"""Recipes with an image network, which are timed on small crops."""


@dataclass(frozen=True)
class Measured:
    """Seconds and FLOPs of a step at a number of pixels (batch x crop²)."""

    pixels: int
    seconds: float
    flops: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="a regular expression of names")
    parser.add_argument("--page", action="store_true", help="only write the table of the page")
    args = parser.parse_args()
    rows = read_rows()
    if not args.page:
        torch.set_num_threads(1)
        pnp.training.trainer.prepare = with_random_weights  # type: ignore[attr-defined]
        for name in RECIPES.names():
            if re.search(args.only, name):
                rows[name] = measure(name)
                print(rows[name], flush=True)
                write_rows(rows)
    write_page(rows)


def measure(name: str) -> dict[str, str]:
    """One row: a step of the recipe's own batch and crop."""
    recipe = load_recipe(name)
    crop = min(recipe.crop, 64) if LARGE.search(name) else recipe.crop
    first = 1 if recipe.crop > 96 or LARGE.search(name) else max(recipe.batch // 4, 1)
    batches = (first, 2 * first)
    small, large = (measured(recipe, batch, crop) for batch in batches)
    own = recipe.batch * recipe.crop**2
    found = on_the_line(small, large, own)
    sizes = f"{batches[0]} and {batches[1]} x {crop}"
    if found.seconds < LONG:
        found, sizes = (
            measured(recipe, recipe.batch, recipe.crop),
            f"{recipe.batch} x {recipe.crop}",
        )
    return {
        "date": date.today().isoformat(),
        "device": processor(),
        "torch": torch.__version__,
        "recipe": name,
        "precision": recipe.precision,
        "batch": str(recipe.batch),
        "crop": str(recipe.crop),
        "measured": sizes,
        "seconds": f"{found.seconds:.4g}",
        "tflops": f"{found.flops / 1e12:.4g}",
    }


def measured(recipe: Recipe, batch: int, crop: int) -> Measured:
    """The fastest of some steps, after one that is not timed."""
    scales = recipe.degradations.scales
    one = replace(recipe.degradations, scales=(2,) if 2 in scales else scales[:1])
    validation = replace(recipe.validation, images=1, crop=crop)
    small = replace(
        recipe, batch=batch, crop=crop, degradations=one, shares=(1.0,), validation=validation
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = _Trainer(small, folder, device="cpu")
        trainer.objective.train()
        with FlopCounterMode(display=False) as counter:
            trainer._learn()
        seconds = min(_processor_time(trainer) for _ in range(ROUNDS))
    return Measured(batch * crop**2, seconds, counter.get_total_flops())


def _processor_time(trainer: _Trainer) -> float:
    begun = time.process_time()
    trainer._learn()
    return time.process_time() - begun


def on_the_line(small: Measured, large: Measured, pixels: int) -> Measured:
    """What a step takes at a number of pixels, on the line through two measurements."""
    share = (pixels - small.pixels) / (large.pixels - small.pixels)
    seconds = small.seconds + share * max(large.seconds - small.seconds, 0.0)
    return Measured(pixels, seconds, small.flops + share * (large.flops - small.flops))


def with_random_weights(recipe: Recipe) -> Pipeline:
    """The pipeline of a recipe, none of its weights read; what it does not train is frozen."""
    pipeline = build(recipe.spec, random_weights=True).requires_grad_(False)
    for name in recipe.train:
        pipeline.get_submodule(name).requires_grad_(True)
    return pipeline


def schedule(name: str, batch: int) -> tuple[int, str]:
    """The number of steps of a recipe, and whose number it is."""
    if name in SHIPPED:
        steps = int(read_entries(MANIFEST)[SHIPPED[name]]["steps"])
        return steps - EARLIER.get(SHIPPED[name], 0), "our run"
    if name in EARLIER:
        return EARLIER[name], "our run"
    if name in KAIR:
        return 400_000, "KAIR"
    if name == "kernel-autoencoder":
        return EPOCHS * KERNELS // batch, f"{EPOCHS} epochs"
    return EPOCHS * IMAGES // batch, f"{EPOCHS} epochs"


def read_rows() -> dict[str, dict[str, str]]:
    """The rows of the file by recipe."""
    if not RESULTS.is_file():
        return {}
    with RESULTS.open(newline="") as file:
        return {row["recipe"]: row for row in csv.DictReader(file)}


def write_rows(rows: dict[str, dict[str, str]]) -> None:
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


def table(rows: dict[str, dict[str, str]]) -> str:
    """The table of the page, in Markdown."""
    head = (
        *("recipe", "batch x crop²", "s/step, core", "TFLOP/step"),
        *("steps", "from", "hours, core", "hours, GPU (estimate)"),
    )
    lines = ["| " + " | ".join(head) + " |", "|---|---|---:|---:|---:|---|---:|---:|"]
    spent = {}
    for name in sorted(rows):
        row = rows[name]
        steps, source = schedule(name, int(row["batch"]))
        seconds, tflops = float(row["seconds"]), float(row["tflops"])
        gpu = max(tflops * 1e12 / SUSTAINED[row["precision"]], LAUNCHES)
        spent[name] = steps * seconds, steps * gpu
        crop = f" x {row['crop']}²" if load_recipe(name).needs_images else " kernels"
        cells = (
            f"`{name}`",
            f"{row['batch']}{crop}, {row['precision']}",
            f"{seconds:.2g}" if seconds < 100 else f"{seconds:.0f}",
            f"{tflops:.2g}",
            f"{steps:,}".replace(",", " "),
            source,
            *map(_hours, spent[name]),
        )
        lines.append("| " + " | ".join(cells) + " |")
    if spent.keys() >= set(STAGES):
        sums = [_hours(sum(spent[name][i] for name in STAGES)) for i in (0, 1)]
        lines.append(f"| IKR-Net, {len(STAGES)} stages | | | | | | {' | '.join(sums)} |")
    return "\n".join(lines)


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    if hours < 10:
        return f"{hours:.1g}" if hours < 1 else f"{hours:.1f}"
    rounded = round(hours, 1 - len(str(int(hours))) + 1)
    return f"{rounded:,.0f}".replace(",", " ")


def write_page(rows: dict[str, dict[str, str]]) -> None:
    """Replace the table between the marks of the page."""
    begin, end = "<!-- hours: by benchmarks/training_hours.py -->", "<!-- end of hours -->"
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    PAGE.write_text(f"{before}{begin}\n\n{table(rows)}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
