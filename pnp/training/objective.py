"""The objective of training: a pipeline and the losses of its recipe as one module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pnp.errors import PnpError
from pnp.kernels import mirror_kernel
from pnp.pipeline import Pipeline
from pnp.result import State
from pnp.training.recipe import Loss, Recipe

LEAST_LEVEL = 1e-3
"""Added to levels before their logarithms are compared, so that level 0 has one."""


class Objective(nn.Module):
    """Runs the pipeline on a batch (true values by name) and compares: `objective(batch)` is
    (number of losses,).

    Each entry is weighted; their sum is what training minimises.  `values` holds the variables at
    the end of the last run, for validation and logging.
    """

    def __init__(self, pipeline: Pipeline, recipe: Recipe):
        super().__init__()
        self.pipeline, self.losses, self.given = pipeline, recipe.losses, recipe.given
        self.compared = {name for loss in self.losses for name in (loss.output, loss.target)}
        self.parts: dict[str, Tensor] = {}
        self.values: dict[str, Any] = {}
        for name in sorted(n for n in self.compared if "." in n):
            pipeline.get_submodule(name).register_forward_hook(self._keeper(name))

    def _keeper(self, name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self.parts[name] = output

        return keep

    def train(self, mode: bool = True) -> Objective:
        """Training mode for trained modules; frozen modules stay in evaluation mode."""
        super().train(mode)
        for module in self.pipeline.parts.values():
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
            weights, values = [1.0], [self.values[loss.output]]
        else:
            values = [state[loss.output] for state in states]
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
    """The loss between an output and its target, without its weight."""
    if value.shape != target.shape:
        raise PnpError(
            f"{loss.origin}: '{loss.output}' is {tuple(value.shape)}, "
            f"but '{loss.target}' is {tuple(target.shape)}; are the kernels of the degradations "
            "as large as those of the pipeline (degradations.size)?"
        )
    if loss.measure == "kernel":
        error = kernel_distance(value, target)
        if loss.mirror:
            error = torch.minimum(error, kernel_distance(value, mirror_kernel(target)))
        return error.mean()
    if loss.measure == "log":
        error = ((target + LEAST_LEVEL) / (value + LEAST_LEVEL)).log()
        return 2 * torch.maximum(loss.quantile * error, (loss.quantile - 1) * error).mean()
    error = value - target
    return error.abs().mean() if loss.measure == "l1" else error.square().mean()


def kernel_distance(estimate: Tensor, k: Tensor) -> Tensor:
    """How far estimated kernels are from the true ones, one number for each: (B, 1, K, K) -> (B,).

        KL(k || k^) + 2 (sum over f of |K^(f) - K(f)|^2 / (f^2 + 1/n^2))^(1/2),    n = 2 K

    The second term is the energy of the error of a blurred image whose power spectrum falls as
    1/f^2, f in cycles per pixel on an orthonormal FFT of n x n points.
    """
    estimate, k = estimate.float(), k.float()
    kl = (k * ((k + 1e-8).log() - (estimate + 1e-8).log())).sum((1, 2, 3))
    n = 2 * k.shape[-1]
    rows = torch.fft.fftfreq(n, device=k.device)[:, None]
    columns = torch.fft.rfftfreq(n, device=k.device)[None]
    once = torch.full((n // 2 + 1,), 2.0, device=k.device)  # a half spectrum holds the others twice
    once[0] = once[-1] = 1.0
    weights = once / (rows.square() + columns.square() + 1 / n**2)
    error = torch.fft.rfft2(estimate - k, s=(n, n), norm="ortho")
    energy = ((error.real.square() + error.imag.square()) * weights).sum((1, 2, 3))
    return kl + 2 * (energy + 1e-8).sqrt()
