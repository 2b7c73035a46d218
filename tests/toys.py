"""A pipeline's worth of toy modules, registered only while a test asks for them (fixture `toys`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from pnp.interfaces import (
    DataSolver,
    Estimator,
    Image,
    Initializer,
    Kernel,
    Level,
    Levels,
    Noise,
    Number,
    Prior,
)
from pnp.registry import REGISTRIES


class Repeat(Initializer):
    """Nearest neighbour."""

    def forward(self, y: Image, s: Number) -> Image:
        return y.repeat_interleave(s, -1).repeat_interleave(s, -2)


class Dot(Initializer):
    """A kernel of one tap."""

    def forward(self, y: Image) -> Kernel:
        return torch.ones(y.shape[0], 1, 1, 1, dtype=y.dtype)


class Rise(Estimator):
    """Weights 1, 2, 3 ... and levels all sigma."""

    def forward(self, sigma: Level, s: Number, n: Number) -> tuple[Levels, Levels]:
        count = torch.arange(1.0, n + 1).reshape(1, n, 1, 1)
        return count, torch.as_tensor(sigma) * torch.ones_like(count)


class Pull(DataSolver):
    """Adds the weight."""

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        return x + weight


class Scale(Prior):
    """Multiplies by a learned factor."""

    def __init__(self, factor: float, widths: tuple[int, ...] = (1,), strength: Noise = 0.1):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, x: Image, level: Level) -> Image:
        return x * self.factor


class Blind(Prior):
    """Does nothing, whatever the level."""

    def forward(self, x: Image, level: Level | None = None) -> Image:
        return x


class Narrow(Prior):
    """Works on kernels."""

    def forward(self, w: Kernel, level: Level | None = None) -> Kernel:
        return w


TOYS: dict[str, dict[str, type]] = {
    "initializer": {"toy-repeat": Repeat, "toy-dot": Dot},
    "estimator": {"toy-rise": Rise},
    "solver": {"toy-pull": Pull},
    "prior": {"toy-scale": Scale, "toy-blind": Blind, "toy-narrow": Narrow},
}


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The toy modules, the only ones in the registries, so that messages do not change when pnp grows."""
    for role, classes in TOYS.items():
        registry = REGISTRIES[role]
        registry.names()
        monkeypatch.setattr(registry, "_classes", dict(classes))
    yield
