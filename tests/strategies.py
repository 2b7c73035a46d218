"""Hypothesis strategies that several test files share."""

from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from torch import Tensor


@dataclass
class Problem:
    """An inverse problem y = (x * k)|s with a weight; y is random, so that nothing fits by accident."""

    s: int
    y: Tensor
    x: Tensor
    k: Tensor
    weight: Tensor

    def to(self, dtype):
        return replace(
            self,
            y=self.y.to(dtype),
            x=self.x.to(dtype),
            k=self.k.to(dtype),
            weight=self.weight.to(dtype),
        )

    @property
    def args(self):
        return self.y, self.x, self.k, self.weight


def tensors(*shape, low=0.0, high=1.0, seed=0):
    """A random float64 tensor with a reproducible seed."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def kernels(seed, batch, height, width):
    """Random kernels that sum to one; half of them have their mass in one corner, far from the centre."""
    k = tensors(batch, 1, height, width, seed=seed)
    if seed % 2:
        decay = torch.arange(height)[:, None] + torch.arange(width)
        k = k * torch.exp(-decay.double())
    return k / k.sum((-2, -1), keepdim=True)


@st.composite
def problems(draw, weights=(1e-3, 1e2), scales=(1, 2, 3, 4), most_pixels=16):
    """Any scale, odd and even sizes, 1 to 4 channels, batches, kernels of any shape up to the image."""
    s = draw(st.sampled_from(scales))
    h, w = draw(st.integers(1, most_pixels // s)), draw(st.integers(1, most_pixels // s))
    b, c = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    kh, kw = draw(st.integers(1, min(7, s * h))), draw(st.integers(1, min(7, s * w)))
    seed = draw(st.integers(0, 10**6))
    low, high = (torch.tensor(v).log10().item() for v in weights)
    weight = 10 ** tensors(
        draw(st.sampled_from([1, b])), 1, 1, 1, low=low, high=high, seed=seed + 3
    )
    return Problem(
        s,
        y=tensors(b, c, h, w, seed=seed),
        x=tensors(b, c, s * h, s * w, seed=seed + 1),
        k=kernels(seed, draw(st.sampled_from([1, b])), kh, kw),
        weight=weight,
    )
