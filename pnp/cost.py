"""The cost of a pipeline: parameters, multiply-adds per HR pixel, memory.

The numbers are measured: the pipeline is run twice on small random images.  Every convolution,
matrix product and FFT is counted exactly.  Memory is the largest sum of all tensors that are alive
after an operation.  It is extrapolated linearly with the number of pixels, which is correct for
everything but attention across the whole image.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from pnp.errors import PnpError
from pnp.pipeline import Pipeline


@dataclass(frozen=True)
class Cost:
    """Parameters and multiply-adds per HR pixel in all iterations, by module; bytes for H x W."""

    parameters: dict[str, int]
    multiply_adds: dict[str, float]
    iterations: int
    height: int
    width: int
    memory: float

    def __str__(self) -> str:
        lines = []
        for symbol, count in self.parameters.items():
            per_iteration = self.multiply_adds[symbol] / max(self.iterations, 1)
            if count or per_iteration >= 0.5:
                counted = f"{_unit(per_iteration)} multiply-adds per HR pixel and iteration"
                lines.append(f"# {symbol:4} {count:12,} parameters  {counted}")
        total = sum(self.parameters.values())
        whole = sum(self.multiply_adds.values()) * self.height * self.width
        size = f"{self.height} x {self.width}"
        counted = f"{_unit(whole)} multiply-adds for {size} in {self.iterations} iterations"
        lines.append(f"# {'all':4} {total:12,} parameters  {counted}")
        lines.append(
            f"# memory for a result of {size} in fp32: about {_bytes(self.memory)} "
            "(tensors alive at once)"
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


def cost_of(pipeline: Pipeline, height: int, width: int, s: int = 4) -> Cost:
    """Measure the cost of one run, extrapolated to a result of height x width."""
    pipeline.eval()
    sides = (64, 128)
    try:
        small, large = (_measure(pipeline, side, s) for side in sides)
    except PnpError:  # it pads images, and needs larger ones
        sides = (256, 512)
        small, large = (_measure(pipeline, side, s) for side in sides)
    pixels = [side * side for side in sides]
    slope = (large[1] - small[1]) / (pixels[1] - pixels[0])
    memory = max(large[1] + slope * (height * width - pixels[1]), 0.0)
    state = sum(t.numel() * t.element_size() for t in (*pipeline.parameters(), *pipeline.buffers()))
    parameters = {
        symbol: sum(p.numel() for p in m.parameters()) for symbol, m in pipeline.parts.items()
    }
    return Cost(parameters, large[0], pipeline.spec.iterations, height, width, memory + state)


def _measure(pipeline: Pipeline, side: int, s: int) -> tuple[dict[str, float], float]:
    """Multiply-adds per pixel by module, and peak bytes, of a run with a result of side x side."""
    given = _inputs(pipeline, side, s)
    counts = dict.fromkeys(pipeline.parts, 0.0)
    counter, alive = FlopCounterMode(display=False, custom_mapping=_FOURIER), _Alive()
    handles = []
    for symbol, module in pipeline.parts.items():
        started: list[float] = []

        def before(*_: Any, started: list[float] = started) -> None:
            started.append(counter.get_total_flops() / 2)

        def after(*_: Any, symbol: str = symbol, started: list[float] = started) -> None:
            counts[symbol] += counter.get_total_flops() / 2 - started.pop()

        handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        with torch.no_grad(), alive, counter:
            pipeline(**given)
    finally:
        for handle in handles:
            handle.remove()
    return {symbol: count / (side * side) for symbol, count in counts.items()}, float(alive.peak)


def _inputs(pipeline: Pipeline, side: int, s: int) -> dict[str, Any]:
    """A value for each variable that must be given, for a result of side x side."""
    names = {g.name: g.kind.name for g in pipeline.spec.given if g.default is None or g.name == "s"}
    s = s if "s" in names else 1
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(1, pipeline.channels or 3, side // s, side // s, generator=generator)
    given: dict[str, Any] = {}
    for name, kind in names.items():
        made = {
            "image": y if name == "y" else torch.ones_like(y),
            "kernel": torch.ones(1, 1, 5, 5) / 25,
            "level": 0.02,
        }
        given[name] = s if name == "s" else made.get(kind, 1)
    return given


class _Alive(TorchDispatchMode):
    """Adds up the tensors that are alive after every operation; `peak` is the largest sum.

    Storages are kept by address, as weak references, which disappear with the storage.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self.storages: WeakValueDictionary[int, torch.UntypedStorage] = WeakValueDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.storages[storage.data_ptr()] = storage
        self.peak = max(self.peak, sum(storage.nbytes() for storage in self.storages.values()))
        return out


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


def _unit(value: float) -> str:
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.3g}"


def _bytes(value: float) -> str:
    for limit, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.0f} B"
