"""The present run of a pipeline: what its modules keep, and the seed and place of its random draws.

A run is a context, so that modules need no further arguments.  A draw depends on the seed of the
run, the iteration and the position of the step in the pipeline, and on nothing else: neither on
what was drawn before nor on other images of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor


@dataclass
class Run:
    """One run of a pipeline."""

    seed: int = 0
    place: tuple[int, int | None] = (0, None)
    """Position of the present step among the pipeline's steps, and its iteration in its loop."""
    positions: dict[int, int] = field(default_factory=dict)
    """The position of each step of the pipeline, by its `id`."""
    needed: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The variables that are kept after each step, by its `id`; all of them without an entry."""
    states: dict[Any, dict[str, Any]] = field(default_factory=dict)
    """What each module keeps between its calls."""


_run: ContextVar[Run | None] = ContextVar("pnp_run", default=None)
"""None outside of runs."""


@contextmanager
def pipeline_run(seed: int = 0) -> Iterator[Run]:
    """The span of one run of a pipeline, for which `Module.run_state` and `Module.cached` last.

    Args:
        seed: Of all that its steps draw.
    """
    run = Run(seed)
    token = _run.set(run)
    try:
        yield run
    finally:
        _run.reset(token)


def present_run() -> Run | None:
    """The run in which this is called, or None."""
    return _run.get()


def gaussian_noise(like: Tensor) -> Tensor:
    """Standard Gaussian numbers of the shape of `like` (B, ...), the same for each of the batch.

    They are drawn on the CPU in float32, so that devices and dtypes get the same ones.
    """
    run = present_run() or Run()
    digest = sha256(repr((run.seed, *run.place)).encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") % 2**63)
    drawn = torch.randn(like.shape[1:], generator=generator)
    return drawn.to(like).expand(like.shape)
