"""The trained weights and their exponential moving average, which is validated and exported."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import torch
from torch import Tensor, nn

from pnp.errors import PnpError
from pnp.pipeline import Pipeline


class Averaged:
    """The tensors that training changes, and their average over the steps.

        averaged.update(step)       # after each step
        with averaged:              # inside, the networks have their averaged weights
            ...

    average <- share average + (1 - share) weights,   share = min(keep, (1 + step) / (10 + step))

    The smaller shares of the first steps remove the influence of the random initial weights.
    """

    def __init__(self, pipeline: Pipeline, keep: float):
        self.learned = _learned(pipeline)
        self.ema = {name: value.detach().clone() for name, value in self.learned.items()}
        self.keep = keep
        self.current: dict[str, Tensor] = {}

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that the optimiser updates."""
        return [p for p in self.learned.values() if isinstance(p, nn.Parameter) and p.requires_grad]

    @property
    def _numbers(self) -> list[str]:
        return [name for name, value in self.learned.items() if value.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights after `step` steps."""
        kept = min(self.keep, (1 + step) / (10 + step))
        averages = [self.ema[name] for name in self._numbers]
        torch._foreach_lerp_(averages, [self.learned[name] for name in self._numbers], 1 - kept)

    def load(self, weights: Mapping[str, Tensor], ema: Mapping[str, Tensor], where: object) -> None:
        """Load both from a checkpoint; PnpError, prefixed by `where`, if it does not fit."""
        for target, source in ((self.learned, weights), (self.ema, ema)):
            for name, value in target.items():
                if name not in source or source[name].shape != value.shape:
                    raise PnpError(f"{where}: a checkpoint of another recipe: {name} does not fit")
            _copy(target, source)

    def is_finite(self) -> bool:
        """False as soon as one of the weights is NaN or infinite."""
        return bool(torch.stack([self.learned[n].isfinite().all() for n in self._numbers]).all())

    def __enter__(self) -> None:
        self.current = {name: value.detach().clone() for name, value in self.learned.items()}
        _copy(self.learned, self.ema)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _copy(self.learned, self.current)
        self.current = {}


def _learned(pipeline: Pipeline) -> dict[str, Tensor]:
    """Trained parameters by name, and the buffers of the modules that they are in."""
    symbols = {name.partition(".")[0] for name, p in pipeline.named_parameters() if p.requires_grad}
    state: Mapping[str, Tensor] = pipeline.state_dict(keep_vars=True)
    return {
        name: value
        for name, value in state.items()
        if value.requires_grad
        or (name.partition(".")[0] in symbols and not isinstance(value, nn.Parameter))
    }


@torch.no_grad()
def _copy(target: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
    for name, value in target.items():
        value.copy_(source[name])
