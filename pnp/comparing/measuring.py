"""One result: its time and memory while it is computed, its metrics afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pnp import metrics
from pnp.comparing.comparison import METRICS_OF_IMAGES, METRICS_OF_KERNELS
from pnp.comparing.observing import Observation
from pnp.errors import PnpError


@dataclass
class Outcome:
    """What a method made of an observation."""

    x: Tensor
    k: Tensor | None = None
    """The estimated kernel; None if there is none, or it was given."""
    sigma: float | None = None
    """The estimated noise level."""
    verdict: str = ""
    seconds: float | None = None
    peak_mb: float | None = None
    curve: list[dict[str, float]] = field(default_factory=list)
    """Metrics over the iterations."""


def measured(run: Callable[[], Any], device: torch.device) -> tuple[Any, float, float | None]:
    """What `run` returns, its seconds and its peak memory in MiB.

    Seconds are processor time of this process, which other processes hardly affect; wall time on a
    GPU.  Memory is what was held at most beyond that before; None where it cannot be measured.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before, began = torch.cuda.memory_allocated(device), time.perf_counter()
        result = run()
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device) - before
        return result, time.perf_counter() - began, peak / 2**20
    held = _resident(reset=True)
    started = time.process_time()
    result = run()
    seconds = time.process_time() - started
    peaked = _resident()
    peak_mb = None if held is None or peaked is None else max(0, peaked[1] - held[0]) / 2**10
    return result, seconds, peak_mb


def _resident(reset: bool = False) -> tuple[int, int] | None:
    """Resident memory of this process now, and its peak since the last reset, in KiB (Linux)."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
        return int(lines["VmRSS"].split()[0]), int(lines["VmHWM"].split()[0])
    except (OSError, KeyError, ValueError):
        return None


_STATUS = Path("/proc/self/status")


def metrics_of(outcome: Outcome, seen: Observation, border: int) -> dict[str, float | None]:
    """All metrics of a result; None where there is nothing to measure.

    Raises:
        PnpError: The result has another size than the ground truth.
    """
    x, truth = outcome.x.float().cpu(), seen.truth
    if x.shape[1] != truth.shape[1] and 1 in (x.shape[1], truth.shape[1]):
        x = x.expand(-1, truth.shape[1], -1, -1) if x.shape[1] == 1 else x.mean(1, keepdim=True)
    if x.shape != truth.shape:
        raise PnpError(
            f"the result is {x.shape[-2]} x {x.shape[-1]} pixels, "
            f"but the ground truth is {truth.shape[-2]} x {truth.shape[-1]}"
        )
    values: dict[str, float | None] = {}
    for name in METRICS_OF_IMAGES:
        small = name == "ssim" and min(x.shape[-2:]) - 2 * border < 11
        values[name] = None if small else float(getattr(metrics, name)(x, truth, border))
    for name in METRICS_OF_KERNELS:
        k = outcome.k
        values[name] = None if k is None else float(getattr(metrics, name)(k.float().cpu(), seen.k))
    s = x.shape[-1] // seen.y.shape[-1]
    k = seen.k if outcome.k is None else outcome.k[:1].float().cpu()
    fits = all(a <= b for a, b in zip(k.shape[-2:], x.shape[-2:], strict=True))
    inside = min(seen.y.shape[-2:]) > 2 * s
    values["psnr_lr"] = float(metrics.psnr_lr(x, k, seen.y, s)) if fits and inside else None
    values["sigma_estimated"] = outcome.sigma
    return values
