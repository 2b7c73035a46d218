"""What identifies a row: the method, the data, the protocol; and what was installed meanwhile."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from pathlib import Path

import torch

import pnp
from pnp.comparing.comparison import Comparison
from pnp.comparing.methods import DIGITS, Method
from pnp.comparing.places import CHECKOUT
from pnp.comparing.rows import OPTIONAL
from pnp.machine import processor
from pnp.protocols import protocol


def identity_of(comparison: Comparison, method: Method) -> dict[str, str]:
    """The columns that say what was measured, but for the precision."""
    kernels, crop = comparison.kernels, comparison.data.crop
    return method.identity() | {
        "data": comparison.data.folder,
        "kernels": "" if kernels is None else kernels.file or "",
        "protocol": comparison.protocol,
        "protocol_hash": protocol(comparison.protocol).digest,
        "crop": "none" if crop is None else str(crop),
        "kernels_sha256": _digest(comparison.kernel_file()),
    }


def _digest(file: Path | None) -> str:
    """Of the content of a file; empty if it is not at hand, `none` if there is none."""
    if file is None:
        return "none"
    return hashlib.sha256(file.read_bytes()).hexdigest()[:DIGITS] if file.is_file() else ""


def stale_column(row: dict[str, str], now: dict[str, str], columns: Iterable[str]) -> str | None:
    """The first column in which a row differs from what it would be now; None if there is none.

    Files and folders are compared by their names, wherever they are.  What rows of earlier versions
    do not say (`OPTIONAL`), and what is not known now, counts as equal.
    """
    for name in columns:
        if name not in now or (name in OPTIONAL and not (row[name] and now[name])):
            continue
        before, after = row[name], now[name]
        if name in _PLACES:
            before, after = (" ".join(Path(w).name for w in v.split()) for v in (before, after))
        if before != after:
            return name
    return None


_PLACES = ("pipeline", "weights", "data", "kernels")


def versions(device: torch.device) -> dict[str, str]:
    """Code, libraries, machine and date."""
    where = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{processor()}, {os.cpu_count()} cores"
    )
    return {
        "commit": commit(),
        "pnp": pnp.__version__,
        "torch": torch.__version__,
        "machine": where,
        "device": device.type,
        "threads": str(torch.get_num_threads()),
        "date": date.today().isoformat(),
    }


@lru_cache(maxsize=1)
def commit() -> str:
    """The commit of the code, with '-dirty' if relevant files differ; empty outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=True
        ).stdout.strip()

    if not (CHECKOUT / ".git").exists():
        return ""
    try:
        name = git("describe", "--always")
        relevant = ("pnp", "solvers", "priors", "pipelines")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *relevant)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{name}-dirty" if changed else name
