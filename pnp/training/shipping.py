"""Weights as part of the package: `pnp/weights/NAME.safetensors` and what its manifest says of
each.

Beside them, in `pnp/weights/stable/` of the repository, are the states before the learning rate
fell, from which training goes on; the wheel leaves them out.

An entry says how the file can be made again (recipe, data, steps, machine), what it is worth (the
figures of the recipe's validation), how it may be used, and its sha256.  A name without sha256 is
not shipped: its entry names the recipe that makes it, which is what a pipeline's reader is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from torch import Tensor

from pnp.checkpoints import MANIFEST, SHIPPED, STABLE
from pnp.errors import PnpError
from pnp.files import atomic, make_folder
from pnp.pipeline import Pipeline

HEAD = """\
# What is shipped, and how each file is made again: see docs/training.md.  `pnp train --ship NAME`
# adds entries. An entry without sha256 is not shipped; its recipe makes the weights.
"""
ENTRY = "weights.yaml"
TOLERANCE = 0.01  # dB


def export(
    path: Path,
    pipeline: Pipeline,
    letters: Collection[str],
    measure: Callable[[], dict[str, float]],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the weights of the letters, in half precision if that costs no more than 0.01 dB, and
    their entry.

    `measure` gives the figures of the pipeline as it is; without a PSNR the loss may grow by a
    thousandth.
    """
    full = measure()
    weights = {k: v for k, v in pipeline.state_dict().items() if k.partition(".")[0] in letters}
    exact = {k: v.detach().clone() for k, v in weights.items()}
    with torch.no_grad():
        for value in weights.values():
            if value.is_floating_point():
                value.copy_(value.half())
    half = measure()
    holds = (
        half["psnr"] > full["psnr"] - TOLERANCE
        if "psnr" in full
        else half["loss"] <= 1.001 * full["loss"]
    )
    with torch.no_grad():
        for key, value in weights.items():
            value.copy_(exact[key])
    stored = {k: _stored(v, holds) for k, v in exact.items()}
    with atomic(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(stored, metadata={"format": "pt"}))
    entry = {
        "sha256": sha256(path),
        **facts,
        "precision": "half" if holds else "single",
        "licence": "Apache-2.0",
        "measured": {name: float(f"{value:.5g}") for name, value in full.items()},
    }
    with atomic(path.with_name(ENTRY)) as temporary:
        temporary.write_text(yaml.safe_dump(entry, sort_keys=False), encoding="utf-8")
    return entry


def ship(folder: str | Path, name: str, to: Path = SHIPPED) -> Path:
    """Take the weights of a finished run, and its stable state, into the package under a name; returns the file."""
    source, described = Path(folder) / "weights.safetensors", Path(folder) / ENTRY
    if not source.is_file() or not described.is_file():
        raise PnpError(
            f"--ship {name}: {folder} holds no weights yet; they are written when the training has ended"
        )
    entry, target = (
        yaml.safe_load(described.read_text(encoding="utf-8")),
        to / f"{name}.safetensors",
    )
    if sha256(source) != entry["sha256"]:
        raise PnpError(
            f"--ship {name}: {source} is not the file that {described} describes; train to the end again"
        )
    copies = {target: source}
    stable, kept = Path(folder) / "stable.safetensors", to / STABLE.name / f"{name}.safetensors"
    if stable.is_file():
        copies[kept] = stable
        entry["stable"] = sha256(stable)
    else:
        kept.unlink(missing_ok=True)
    for copy, original in copies.items():
        make_folder(copy.parent)
        with atomic(copy) as temporary:
            temporary.write_bytes(original.read_bytes())
    manifest = {**read_manifest(to), name: entry}
    with atomic(to / MANIFEST) as temporary:
        temporary.write_text(HEAD + yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
    return target


def read_manifest(folder: Path = SHIPPED) -> dict[str, dict[str, Any]]:
    """The entries by name."""
    path = folder / MANIFEST
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def sha256(path: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _stored(value: Tensor, half: bool) -> Tensor:
    value = value.cpu().contiguous()
    return value.half() if half and value.is_floating_point() else value
