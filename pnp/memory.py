"""The memory of a run: measured on two small images, and extrapolated.

The pipeline is run on random images of two sizes, and all tensors that are alive are added up after
every operation.  The largest sum is a linear function of the number of pixels for everything but
attention across the whole image.  What networks need inside a call is counted on its own, because
tiles (`pnp/tiles.py`) bound it; `tiles_within` chooses their side by a limit.
"""

from __future__ import annotations

import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from pnp.alive import Alive
from pnp.boundaries import Assumption
from pnp.equal_steps import shortened
from pnp.errors import PnpError
from pnp.frames import SPARE
from pnp.inference import run_image
from pnp.interfaces import is_image_network
from pnp.kspace import takes_kspace
from pnp.machine import keep_freed_memory
from pnp.pipeline import Pipeline
from pnp.priors.network import NetworkPrior

LIBRARIES = 0.95e9
"""Bytes of Python, PyTorch and other libraries; constant, so that a run repeats its tiles."""
USUAL = 4e9
"""Bytes that a run may take if nothing else is said and tiles can achieve it."""
RESERVE = 0.25
"""The share of a limit that tiles leave free: `ikrnet-small` took 1.3 times what it had planned."""
KEPT = 0.15
"""What the C library keeps in addition in a run in tiles, as a share of the tensors, where it may
(`pnp.machine.keep_freed_memory`)."""
UNLIMITED = 2**20
"""Pixels of a result up to which nothing is measured and networks see all of it."""
WORKSPACE = 2.0
"""What a network takes in a tile, relative to its tensors: SCUNet twice, for its attention."""
SMALLEST = 128
"""Least side of what is kept of a tile within a limit that was given."""
COMFORTABLE = 768
"""The same if none was given: with an overlap of 97, tiles of which 128 pixels are kept would take
six times as long as the whole image, these one and a half times."""
LARGEST = 1024
"""Largest side of what is kept: with more, tiles take as long, and more memory."""
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@dataclass(frozen=True)
class Line:
    """Bytes as a linear function of the number of pixels."""

    fixed: float
    per_pixel: float

    def at(self, pixels: float) -> float:
        """Bytes for so many pixels."""
        return max(self.fixed + self.per_pixel * pixels, 0.0)


@dataclass(frozen=True)
class NetworkMemory:
    """What is alive when a network is called, and what it needs in addition."""

    before: Line
    inside: Line
    output: float
    """Bytes per pixel of its result."""
    ratio: float
    """How large the images that it sees are, relative to the result."""
    overlap: int | None
    multiple: int

    def least_tile(self, kept: int = SMALLEST) -> int | None:
        """The smallest side of its tiles, of which `kept` is kept; None if it is never tiled."""
        if self.overlap is None:
            return None
        return padded(kept + 2 * self.overlap, self.multiple)

    def peak(self, height: int, width: int, tile: int | None) -> float:
        """Bytes alive at once during its call on so many pixels, in tiles of a side or whole."""
        pixels, seen = height * width, self._seen(height, width)
        if tile is None or tile**2 >= seen:
            return self.before.at(pixels) + self.inside.at(seen)
        return self.before.at(pixels) + self.output * seen + self.inside.at(tile**2)

    def tile(self, height: int, width: int, limit: float, kept: int = SMALLEST) -> int | None:
        """The largest side of tiles within a limit, or the smallest; None if none are needed."""
        least, pixels, seen = self.least_tile(kept), height * width, self._seen(height, width)
        if self.overlap is None or least is None or self.peak(height, width, None) <= limit:
            return None
        left = limit - self.before.at(pixels) - self.output * seen - self.inside.fixed
        side = math.isqrt(int(max(left, 0) / (WORKSPACE * self.inside.per_pixel)))
        most = padded(LARGEST + 2 * self.overlap, self.multiple)
        return max(min(side // self.multiple * self.multiple, most), least)

    def _seen(self, height: int, width: int) -> int:
        """The pixels that it sees of a result with its frame."""
        sides = (math.ceil(self.ratio * side) for side in (height, width))
        return math.prod(padded(side, self.multiple) for side in sides)


@dataclass(frozen=True)
class Memory:
    """The memory of one run of a pipeline, as a function of the size of its result."""

    outside: tuple[Line, ...]
    """Outside of networks, for each operation in each step."""
    networks: Mapping[str, NetworkMemory]
    state: int
    """Bytes of the parameters."""
    frame: int
    """Pixels by which the image in which the run computes is higher and wider than the result."""

    def peak(self, height: int, width: int, tiles: Mapping[str, int | None] | None = None) -> float:
        """Bytes of the tensors that are alive at once, for a result of height x width."""
        tiles, size = tiles or {}, self.framed(height, width)
        inside = (n.peak(*size, tiles.get(symbol)) for symbol, n in self.networks.items())
        outside = (line.at(math.prod(size)) for line in self.outside)
        return self.state + max(*outside, *inside, 0.0)

    def held(self, height: int, width: int, tiles: Mapping[str, int | None]) -> float:
        """The same with what the C library keeps."""
        kept = KEPT if any(side is not None for side in tiles.values()) else 0.0
        return (1 + kept) * self.peak(height, width, tiles)

    def framed(self, height: int, width: int) -> tuple[int, int]:
        """The size with the pixels around the image."""
        return height + self.frame, width + self.frame

    def tiles_within(self, height: int, width: int, limit: float | None) -> dict[str, int | None]:
        """The side of the tiles of each network with which a run stays within a limit in bytes, the
        smallest ones if none do; without a limit (None), within the usual one."""
        kept = COMFORTABLE if limit is None else SMALLEST
        size = self.framed(height, width)
        left = (1 - RESERVE) * (USUAL if limit is None else limit) - LIBRARIES - self.state
        return {symbol: n.tile(*size, left, kept) for symbol, n in self.networks.items()}


class Limit:
    """The memory that a run may take, and the tiles that this needs.

    Args:
        text: As "6GB"; None for `USUAL`, which large results may exceed.
        argument: Its name in messages.
    """

    def __init__(self, text: str | None, argument: str = "max_memory"):
        self.text, self.argument = text, argument
        self.limit = None if text is None else read_memory(text, argument)
        self.known: dict[tuple[int, Assumption], Memory] = {}
        self.keeps_freed = False
        """Whether the process may keep freed memory for the next tile (`pnp run` sets it)."""

    def apply(
        self, pipeline: Pipeline, height: int, width: int, s: int, boundary: Assumption
    ) -> dict[str, int]:
        """Set the tiles of all networks for an observation of height x width; returns their sides.

        Raises:
            PnpError: A limit was given, and the run needs more even in the smallest tiles.
        """
        tiles: dict[str, int | None] = {}
        height, width = s * height, s * width
        if self.limit is not None or height * width > UNLIMITED:
            if (s, boundary) not in self.known:
                self.known[s, boundary] = memory_of(pipeline, s, boundary)
            memory = self.known[s, boundary]
            tiles = memory.tiles_within(height, width, self.limit)
            needed = LIBRARIES + memory.held(height, width, tiles)
            if self.limit is not None and needed > self.limit:
                raise PnpError(
                    f"{self.argument} {self.text}: a result of {height} x {width} needs about "
                    f"{needed / 1e9:.2g} GB; allow more memory, or cut the image into parts"
                )
        for symbol, module in pipeline.parts.items():
            if isinstance(module, NetworkPrior):
                module.tile = tiles.get(symbol)
        chosen = {symbol: side for symbol, side in tiles.items() if side is not None}
        if chosen and self.keeps_freed:
            keep_freed_memory()
        return chosen


def _state(pipeline: Pipeline) -> int:
    return sum(t.numel() * t.element_size() for t in (*pipeline.parameters(), *pipeline.buffers()))


def padded(length: int, multiple: int) -> int:
    """A length, made larger to a multiple."""
    return -(-length // multiple) * multiple


def memory_of(
    pipeline: Pipeline, s: int | None = None, boundary: Assumption = "periodic"
) -> Memory:
    """The memory of a run at scale s (None: the pipeline's own, or 4)."""
    s = scale_of(pipeline, s)
    return fitted(
        pipeline, *(Probe(pipeline, side, s, boundary) for side in probe_sides(pipeline, s))
    )


def scale_of(pipeline: Pipeline, s: int | None) -> int:
    """A given scale, or the pipeline's default, or 4; 1 for pipelines without one."""
    given = next((g for g in pipeline.spec.given if g.name == "s"), None)
    if given is None:
        return 1
    default = given.default if isinstance(given.default, int) else 4
    return default if s is None else s


def probe_sides(pipeline: Pipeline, s: int) -> tuple[int, int]:
    """The sides of two results, large enough for all modules."""
    least = max(64, s * pipeline.least_side(s))
    return -(-least // 64) * 64, -(-least // 64) * 128


def fitted(pipeline: Pipeline, small: Probe, large: Probe) -> Memory:
    """The memory that two probes of different sizes show."""
    probes = (small, large)

    def line(values: list[float], sides: list[int]) -> Line:
        few, many = (side**2 for side in sides)
        slope = max(values[1] - values[0], 0.0) / (many - few)
        return Line(values[1] - slope * many, slope)

    framed = [probe.framed() for probe in probes]

    networks = {}
    for symbol, module in pipeline.parts.items():
        if symbol in small.inside:
            multiple = getattr(module, "multiple", 1)
            seen = [padded(probe.seen[symbol], multiple) for probe in probes]
            networks[symbol] = NetworkMemory(
                line([probe.before[symbol] for probe in probes], framed),
                line([probe.inside[symbol] for probe in probes], seen),
                4.0 * (pipeline.channels or 3),
                1 if large.seen[symbol] >= large.side else 1 / large.scale,
                getattr(module, "overlap", None),
                multiple,
            )
    places = small.outside.keys() & large.outside.keys()
    outside = {line([probe.outside[place] for probe in probes], framed) for place in places}
    return Memory(tuple(outside), networks, _state(pipeline), framed[1] - large.side)


class Probe:
    """A run on a small random image, and the memory that it took."""

    def __init__(self, pipeline: Pipeline, side: int, s: int, boundary: Assumption = "periodic"):
        self.side, self.scale, self.boundary = -(-side // s) * s, s, boundary
        self.seen: dict[str, int] = {}
        """Widths of the images that networks were called with, the largest of all calls."""
        self.before: dict[str, float] = {}
        """Bytes alive when each image network was called, the most of all its calls."""
        self.inside: dict[str, float] = {}
        """Bytes that it needed in addition."""
        alive = Alive()
        given = example_inputs(pipeline, self.side // s, s)
        handles = []
        for symbol, module in pipeline.parts.items():
            if not is_image_network(module):
                continue

            def enter(_: Any, inputs: Any, symbol: str = symbol) -> None:
                now = alive.now()
                self.seen[symbol] = max(self.seen.get(symbol, 0), inputs[0].shape[-1])
                self.before[symbol] = max(self.before.get(symbol, 0.0), now)
                alive.enter(now)

            def leave(*_: Any, symbol: str = symbol) -> None:
                self.inside[symbol] = max(self.inside.get(symbol, 0.0), alive.leave())

            handles += [
                module.register_forward_pre_hook(enter),
                module.register_forward_hook(leave),
            ]
        try:
            with _undisturbed(), alive, torch.no_grad():
                if "y" in given:
                    run_image(pipeline, given.pop("y"), given, boundary=boundary)
                else:
                    pipeline(**given)
        finally:
            for handle in handles:
                handle.remove()
        self.outside = alive.peaks

    def framed(self) -> int:
        """The width of the image with the pixels around it, in which the run computed."""
        spare = 2 * (SPARE + 2) if self.boundary == "unknown" else 0
        return max(self.side + spare, *self.seen.values(), 0)


def example_inputs(pipeline: Pipeline, side: int, s: int) -> dict[str, Any]:
    """A value for each variable that must be given, and the scale, for y of side x side."""
    spec = pipeline.spec
    names = {g.name: g.kind.name for g in spec.given if g.default is None or g.name == "s"}
    device = next((p.device for p in pipeline.parameters()), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, pipeline.channels or 3, 9, 9, generator=generator)
    y = F.interpolate(coarse, (side, side), mode="bilinear")  # with edges, for kernels
    y = (y + 0.02 * torch.randn(y.shape, generator=generator)).to(device)
    y = y[:, :2] if takes_kspace(spec) else y
    given: dict[str, Any] = {}
    for name, kind in names.items():
        made = {
            "image": y if name == "y" else torch.ones_like(y[:, :1]),
            "complex": y,
            "kernel": torch.ones(1, 1, 5, 5, device=device) / 25,
            "level": 0.02,
        }
        given[name] = s if name == "s" else made.get(kind, 1)
    return given


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without compiled networks (there are none before torch._dynamo is imported, which takes
    seconds), warnings, all steps of loops of equal steps, or a change of the random numbers."""
    compiled = "torch._dynamo" in sys.modules
    eager = torch.compiler.set_stance("force_eager") if compiled else nullcontext()
    with shortened(), torch.random.fork_rng(devices=[]), eager, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_memory(text: str, argument: str = "--max-memory") -> float:
    """Read '6GB', '500 MB' or '8GiB' as bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", text.strip(), re.IGNORECASE)
    found = 0.0
    if match:
        unit = match[2].upper()
        power = 1024 ** " KMGT".index(unit) if match[3] and unit else _UNITS[unit]
        found = float(match[1]) * power
    if not 0 < found < math.inf:
        raise PnpError(f"{argument} {text}: write an amount of memory, for example 6GB")
    return found
