"""The precision in which image networks compute: `fp32`, `bf16`, or the choice of `auto`."""

from __future__ import annotations

import torch

from pnp.language.spec import Spec

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""The precisions of image networks."""
SAME_IN_BF16 = frozenset(
    {
        "blind-usrnet",
        "denoise-blind",
        "dpir",
        "ikrnet-small",
        "spectral-usrnet",
        "usrnet-mini",
        "usrnet-small",
    }
)
"""Pipelines whose PSNR bf16 changes by less than 0.01 dB (benchmarks/results/bf16.csv)."""


def chosen(dtype: str, spec: Spec, device: torch.device, changed: bool = False) -> str:
    """The precision for a pipeline: what was asked for, or the choice of `auto`.

    `auto` is bf16 if the device computes it faster than fp32 and the pipeline is one of
    `SAME_IN_BF16`, as it comes; all others, of which nobody knows what bf16 changes, get fp32.

    Args:
        dtype: "auto", "fp32" or "bf16".
        spec: The pipeline.
        device: Where it runs.
        changed: Whether it was changed by `--set` or `--with`.
    """
    if dtype != "auto":
        return dtype
    return "bf16" if spec.name in SAME_IN_BF16 and not changed and has_bf16(device) else "fp32"


def has_bf16(device: torch.device) -> bool:
    """True for GPUs of CUDA, and for processors (AVX-512 bf16, AMX), that have instructions for
    bf16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    about: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(about.get("avx512_bf16") or about.get("amx_bf16"))
