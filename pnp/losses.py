"""What training minimises: a pipeline and the losses of its recipe as one module, batch in, losses out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pnp.errors import PnpError
from pnp.pipeline import Pipeline, State
from pnp.recipe import Loss, Recipe


class Objective(nn.Module):
    """Runs the pipeline on a batch (true values by name) and compares: `objective(batch)` is
    (number of losses,).

    Each entry is weighted; their sum is what training minimises.  `values` holds the variables at
    the end of the last run, for whoever looks at results.
    """

    def __init__(self, pipeline: Pipeline, recipe: Recipe):
        super().__init__()
        self.pipeline, self.losses, self.given = pipeline, recipe.losses, recipe.given
        self.compared = {name for loss in self.losses for name in (loss.of, loss.target)}
        self.parts: dict[str, Tensor] = {}
        self.values: dict[str, Any] = {}
        for name in sorted(n for n in self.compared if "." in n):
            pipeline.get_submodule(name).register_forward_hook(self._keeper(name))

    def _keeper(self, name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self.parts[name] = output

        return keep

    def train(self, mode: bool = True) -> Objective:
        """Training mode for what trains; what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self.pipeline.letters.values():
            if not any(p.requires_grad for p in module.parameters()):
                module.eval()
        return self

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """The weighted losses of a batch."""
        states: list[dict[str, Any]] = []
        last: dict[str, Any] = {}

        def collect(state: State) -> None:
            if state.iteration is not None:
                states.append(
                    {n: state.variables[n] for n in self.compared if n in state.variables}
                )
                last.update(state.variables)

        result = self.pipeline(trace=collect, **{name: batch[name] for name in self.given})
        self.values = {**last, **result, **self.parts}
        return torch.stack([self._loss(loss, states, batch) for loss in self.losses])

    def _loss(self, loss: Loss, states: list[dict[str, Any]], batch: dict[str, Any]) -> Tensor:
        if loss.iterations == "last":
            weights, values = [1.0], [self.values[loss.of]]
        else:
            values = [state[loss.of] for state in states]
            weights = (
                list(loss.iterations)
                if isinstance(loss.iterations, tuple)
                else [1 / len(values)] * len(values)
            )
        own = loss.target not in batch or "." in loss.target
        target = self.values[loss.target] if own else batch[loss.target]
        total = sum(
            w * _distance(v, target, loss) for w, v in zip(weights, values, strict=True) if w
        )
        return loss.weight * torch.as_tensor(total)


def _distance(value: Tensor, target: Tensor, loss: Loss) -> Tensor:
    if value.shape != target.shape:
        raise PnpError(
            f"{loss.origin}: '{loss.of}' is {tuple(value.shape)}, but '{loss.target}' is {tuple(target.shape)}; "
            "are the kernels of the degradations as large as those of the pipeline (degradations.size)?"
        )
    error = value - target
    return error.abs().mean() if loss.power == 1 else error.square().mean()
