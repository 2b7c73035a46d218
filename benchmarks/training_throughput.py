"""The speed of training: images per second and effective FLOP/s, by size, and shares of the time.

    python benchmarks/training_throughput.py [--device auto] [--rounds 5]

Each row is a recipe with a batch size and a crop size, trained as by `pnp train`: draw the batch,
forward, backward, clip, optimiser step, average.  On a CPU, seconds are processor time per thread.
FLOPs are counted by `torch.utils.flop_counter` in the networks (convolutions and matrix products,
forward and backward, without Fourier transforms), so FLOP/s are effective ones.  The shares are
measured by timing parts separately: `data` is drawing the batch; `solver` is the step with the
image network replaced by the identity; the rest is the network, the optimiser and the average.
Appends rows to results/training_throughput.csv.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pnp.degradations import ImagePool
from pnp.machine import processor
from pnp.training import Trainer, load_recipe

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "training_throughput.csv"
COLUMNS = [
    "date",
    "device",
    "torch",
    "threads",
    "recipe",
    "precision",
    "batch",
    "crop",
    "images_per_s",
    "gflops_per_image",
    "gflop_per_s",
    "data_share",
    "solver_share",
]
CPU = [
    ("image-prior-mini", 4, 64, "fp32"),
    ("image-prior-mini", 4, 64, "bf16"),
    ("image-prior-mini", 16, 64, "bf16"),
    ("image-prior-mini", 8, 96, "fp32"),
    ("denoise-drunet", 1, 64, "fp32"),
    ("image-prior-small", 8, 64, "bf16"),
    ("denoise-drunet-small", 16, 64, "fp32"),
    ("denoise-drunet-small", 16, 64, "bf16"),
    ("denoise-scunet-small", 16, 64, "bf16"),
]
GPU = [
    ("image-prior-mini", 64, 96, "bf16"),
    ("image-prior", 48, 96, "bf16"),
    ("image-prior", 48, 96, "fp32"),
    ("denoise-drunet", 32, 128, "bf16"),
    ("denoise-scunet", 16, 128, "bf16"),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose recipe has this in its name")
    args = parser.parse_args()
    gpu = torch.cuda.is_available() if args.device == "auto" else args.device.startswith("cuda")
    RESULTS.parent.mkdir(exist_ok=True)
    fresh = not RESULTS.is_file()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if fresh:
            writer.writeheader()
        for case in GPU if gpu else CPU:
            if args.only in case[0]:
                writer.writerow(measure(*case, args.device, args.rounds))
                file.flush()


def measure(
    name: str, batch: int, crop: int, precision: str, device: str, rounds: int
) -> dict[str, str]:
    """One row of the table."""
    changes = [
        f"batch={batch}",
        f"crop={crop}",
        f"precision={precision}",
        "degradations.scales=[2]",
    ]
    recipe = load_recipe(name, changes if "prior" in name else changes[:3])
    with tempfile.TemporaryDirectory() as folder:
        trainer = _Trainer(recipe, folder, device=device)
        trainer.objective.train()
        place = trainer.fabric.device
        with FlopCounterMode(display=False) as counter:
            trainer._learn()
        flops = counter.get_total_flops() / batch
        step = _time(trainer._learn, place, rounds)
        data = _time(lambda: trainer.batch(0), place, rounds)
        drawn = trainer.batch(0)
        network = trainer.pipeline.P
        assert isinstance(network, torch.nn.Module)
        forward, network.forward = network.forward, _pass_on

        def without_network() -> None:
            losses = trainer.objective(drawn)
            if losses.requires_grad:
                losses.sum().backward()

        solver = _time(without_network, place, rounds)
        network.forward = forward
    row = {
        "date": date.today().isoformat(),
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else processor(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "recipe": name,
        "precision": precision,
        "batch": batch,
        "crop": crop,
        "images_per_s": f"{batch / step:.2f}",
        "gflops_per_image": f"{flops / 1e9:.2f}",
        "gflop_per_s": f"{flops * batch / step / 1e9:.1f}",
        "data_share": f"{data / step:.3f}",
        "solver_share": f"{solver / step:.3f}",
    }
    print(row, flush=True)
    return {k: str(v) for k, v in row.items()}


class _Trainer(Trainer):
    """A trainer on images of noise; the content does not change the speed."""

    def _images(self) -> tuple[ImagePool, ImagePool]:
        noise = [torch.randint(0, 256, (3, 320, 320), dtype=torch.uint8) for _ in range(8)]
        return ImagePool(noise, self.fabric.device), ImagePool(noise[:1], self.fabric.device)


def _pass_on(x: Tensor, level: Tensor | None = None) -> Tensor:
    return x


def _time(call: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Median seconds of a call; on a CPU, processor time, which other programs hardly affect."""
    gpu = device.type == "cuda"
    seconds = []
    for _ in range(rounds + 1):
        begun = time.perf_counter() if gpu else time.process_time()
        call()
        if gpu:
            torch.cuda.synchronize()
        seconds.append(
            time.perf_counter() - begun
            if gpu
            else (time.process_time() - begun) / torch.get_num_threads()
        )
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
