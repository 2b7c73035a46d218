"""Normal equations of a kernel on its own support: A^T A and A^T e for A w = (x * w)|s, by FFT."""

from __future__ import annotations

import torch
from torch import Tensor


class Taps:
    """Where taps are in the phases of x: tap i meets x at n = K // 2 - i = s a + p, phase p."""

    def __init__(self, k: Tensor, s: int, h: int, w: int):
        self.s, self.h, self.w = s, h, w
        n_rows, n_cols = (size // 2 - torch.arange(size, device=k.device) for size in k.shape[-2:])
        self.row_phase, self.col_phase = n_rows % s, n_cols % s
        self.a, self.b = n_rows.div(s, rounding_mode="floor"), n_cols.div(s, rounding_mode="floor")

    def correlate(self, E: Tensor, X: Tensor) -> Tensor:
        """A^T e, the right-hand side: the correlation of e with x at every tap; (B, K, K')."""
        by_phase = torch.fft.irfft2((E.conj()[:, None, None] * X).sum(3), s=(self.h, self.w))
        return by_phase[
            :, self.row_phase[:, None], self.col_phase, (self.a % self.h)[:, None], self.b % self.w
        ]

    def normal_matrix(self, X: Tensor) -> Tensor:
        """A^T A: the decimated autocorrelation of x between every two taps; (B, K, K', K, K')."""
        size = (len(self.a), len(self.b))
        N = torch.empty(X.shape[0], *size, *size, dtype=X.real.dtype, device=X.device)
        down = (self.a[None, :] - self.a[:, None]) % self.h  # [i, i']: from tap i to tap i'
        right = (self.b[None, :] - self.b[:, None]) % self.w
        for p in range(min(self.s, size[0])):
            for q in range(min(self.s, size[1])):
                P, Q = self.row_phase[p], self.col_phase[q]
                lags = torch.fft.irfft2(
                    (X[:, P, Q].conj()[:, None, None] * X).sum(3), s=(self.h, self.w)
                )
                N[:, p :: self.s, q :: self.s] = lags[
                    :,
                    self.row_phase[:, None],
                    self.col_phase,
                    down[p :: self.s, None, :, None],
                    right[q :: self.s, None, :][None],
                ]
        return N
