"""The cost of a pipeline: parameters, multiply-adds per HR pixel, memory.

The numbers are measured: the pipeline is run on small random images.  Every convolution, matrix
product and FFT is counted exactly, those of a loop of equal steps inside a module (`equal_steps`)
from one of them; `pnp/memory.py` measures and extrapolates the memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from pnp.boundaries import Assumption
from pnp.equal_steps import Shortened, shortened
from pnp.errors import PnpError
from pnp.machine import resident
from pnp.memory import Memory, Probe, fitted, probe_sides, scale_of
from pnp.pipeline import Pipeline
from pnp.precision import DTYPES


@dataclass(frozen=True)
class Cost:
    """Parameters and multiply-adds per HR pixel in all iterations, by module; bytes for a result
    of height x width at scale s."""

    parameters: dict[str, int]
    multiply_adds: dict[str, float]
    iterations: int
    s: int
    height: int
    width: int
    memory: Memory
    dtype: str
    """The precision of the networks."""
    base: float
    """Bytes of the process before the run: Python, PyTorch and other libraries."""

    def peak(self) -> float:
        """Bytes that the run needs, in the tiles that `pnp run` takes by itself."""
        tiles = self.memory.tiles_within(self.height, self.width, None)
        return self.base + self.memory.held(self.height, self.width, tiles)

    def per_megapixel(self) -> float:
        """Bytes for each million pixels of a large result, without tiles."""
        side = 8192
        return (self.memory.peak(side, side) - self.memory.state) / side**2 * 1e6

    def __str__(self) -> str:
        lines = []
        for symbol, count in self.parameters.items():
            per_iteration = self.multiply_adds[symbol] / max(self.iterations, 1)
            if count or per_iteration >= 0.5:
                counted = f"{unit(per_iteration)} multiply-adds per HR pixel and iteration"
                lines.append(f"# {symbol:4} {count:12,} parameters  {counted}")
        total = sum(self.parameters.values())
        whole = sum(self.multiply_adds.values()) * math.prod(
            self.memory.framed(self.height, self.width)
        )
        size = f"{self.height} x {self.width}"
        counted = f"{unit(whole)} multiply-adds for {size} in {self.iterations} iterations"
        lines.append(f"# {'all':4} {total:12,} parameters  {counted}")
        lines.append(
            f"# memory for a result of {size} at scale {self.s} in {self.dtype}: about "
            f"{_bytes(self.peak())}, {_bytes(self.base)} of it for Python and PyTorch"
        )
        lines.append(
            "# counted: convolutions, matrix products and FFTs "
            "(half of 5/2 N log2 N operations, real input)"
        )
        return "\n".join(lines)


def read_size(text: str) -> tuple[int, int]:
    """Read '480x320' as (480, 320)."""
    match = re.fullmatch(r"(\d{1,6})\s*[x×]\s*(\d{1,6})", text.strip())
    if not match or not int(match[1]) * int(match[2]):
        raise PnpError(f"--size {text}: write height and width, for example 480x320")
    return int(match[1]), int(match[2])


def cost_of(
    pipeline: Pipeline,
    height: int,
    width: int,
    s: int | None = None,
    boundary: Assumption = "unknown",
    dtype: str = "fp32",
) -> Cost:
    """Measure the cost of one run, extrapolated to a result of height x width.

    Args:
        pipeline: The pipeline.
        height: Height of the result.
        width: Width of the result.
        s: The scale; None for the pipeline's default, or 4.
        boundary: What lies beyond the border of y, see `pnp.boundaries`.
        dtype: "fp32" or "bf16", the precision of the networks.
    """
    pipeline.prepare(DTYPES[dtype])
    s = scale_of(pipeline, s)
    sides = probe_sides(pipeline, s)
    small = Probe(pipeline, sides[0], s, boundary)
    base = resident()  # with what libraries take at their first call
    counter = FlopCounterMode(display=False, custom_mapping=_FOURIER)
    with (
        shortened(lambda: counter.get_total_flops() / 2) as measurement,
        _counted(pipeline, measurement) as counts,
        counter,
    ):
        large = Probe(pipeline, sides[1], s, boundary)
    parameters = {
        symbol: sum(p.numel() for p in m.parameters()) for symbol, m in pipeline.parts.items()
    }
    memory = fitted(pipeline, small, large)
    per_pixel = {
        m: count / math.prod(memory.framed(sides[1], sides[1])) for m, count in counts.items()
    }
    iterations = pipeline.spec.iterations
    return Cost(parameters, per_pixel, iterations, s, height, width, memory, dtype, base)


@contextmanager
def _counted(pipeline: Pipeline, measurement: Shortened) -> Iterator[dict[str, float]]:
    """The multiply-adds of each module, known at the end."""
    counts = dict.fromkeys(pipeline.parts, 0.0)
    handles = []
    for symbol, module in pipeline.parts.items():
        started: list[float] = []

        def before(*_: Any, started: list[float] = started) -> None:
            started.append(measurement.total())

        def after(*_: Any, symbol: str = symbol, started: list[float] = started) -> None:
            counts[symbol] += measurement.total() - started.pop()

        handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def _real_transform(shape: Any, dims: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    """5/2 N log2 N operations for each real signal of N points, the input of r2c."""
    return _complex_transform(shape, dims, out_shape=shape) // 2


def _inverse_transform(shape: Any, dims: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    """The same for c2r, where the output is real."""
    return _complex_transform(out_shape, dims, out_shape=out_shape) // 2


def _complex_transform(shape: Any, dims: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    length = math.prod(shape[d] for d in dims)
    return int(5 * math.prod(shape) * math.log2(max(length, 2)))


_FOURIER = {
    torch.ops.aten._fft_r2c: _real_transform,
    torch.ops.aten._fft_c2r: _inverse_transform,
    torch.ops.aten._fft_c2c: _complex_transform,
}


def unit(value: float) -> str:
    """A number with three digits and the letter of its unit: 1.09 M."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.3g}"


def _bytes(value: float) -> str:
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.0f} B"
