"""The result of a run of a pipeline, and the state that its hook receives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pnp.replay import Saved


class Result(Mapping[str, Any]):
    """The variables that a pipeline returns, in the order of `return:`, as attributes and items."""

    def __init__(self, values: dict[str, Any]):
        self._values = values

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            returned = ", ".join(self.__dict__.get("_values", ()))
            raise AttributeError(f"this pipeline returns {returned}, not '{name}'") from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Result({', '.join(f'{k}: {shape_of(v)}' for k, v in self._values.items())})"


@dataclass(frozen=True)
class State:
    """The argument of the hook `trace`, after each `start` (iteration None) and each iteration.

    `iteration` counts through all stages from 0 and `total` is their sum, `i` counts within the
    stage; `variables` are the values by name (read, do not change); `active` tells which module
    was called for which symbol, `reports` are those of the modules about their last call; `saved`,
    called within the hook, gives what a run needs to continue from here (`pnp.replay`).
    """

    stage: int
    iteration: int | None
    total: int
    i: int | None
    variables: dict[str, Any]
    active: dict[str, str]
    reports: dict[str, dict[str, float]]
    saved: Callable[[], Saved] | None = None


def shape_of(value: Any) -> str:
    """The shape of a tensor in words, any other value as it is."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else str(value)


def levels_of(result: Result) -> dict[str, list[float]]:
    """The returned levels as numbers."""
    small = {
        name: value
        for name, value in result.items()
        if isinstance(value, Tensor) and value.shape[-2:] == (1, 1) and name not in ("k", "w")
    }
    return {n: [float(f"{level:.6g}") for level in v.flatten().tolist()] for n, v in small.items()}


def too_small(y: Any, least: int, s: int) -> str:
    """What is said of an observation y with a side below the least that a pipeline's modules need
    at scale s, as a line; empty for any other value."""
    if not isinstance(y, Tensor) or min(y.shape[-2:]) >= least:
        return ""
    return (
        f"\n    the pipeline needs y of {least} x {least} or more at scale {s}; "
        "pnp.restore continues a smaller one by its mirror image"
    )
