"""The scales and noise levels with which weights were trained, and what lies outside of them."""

from __future__ import annotations

from typing import Any

from pnp.checkpoints import PRETRAINED, find_weights, manifest
from pnp.errors import PnpError
from pnp.headers import is_range, read_entry
from pnp.language.spec import Spec
from pnp.manifest import read_map
from pnp.public_checkpoints import known

CLEAN = 0.015
"""Estimates of the noise level up to this may be of an image without noise."""
ENTRY = "weights.yaml"
"""Beside the weights of a training run: their entry."""


def outside(spec: Spec, s: int, sigma: float | None) -> list[str]:
    """A sentence for weights that were trained for other scales, and for less noise.

    Args:
        spec: The pipeline.
        s: The scale of the run.
        sigma: The noise level, given or estimated; None if it is not known.
    """
    told: dict[str, list[str]] = {}
    for source, trained in _ranges(spec).items():
        scales, noise = trained.get("scales"), trained.get("noise")
        if scales and s not in scales:
            which = "scale" if len(scales) == 1 else "scales"
            sizes = f"the {which} {', '.join(map(str, scales))}, not {s}"
            told.setdefault(sizes, []).append(source)
        # Estimates are a little too high, and of clean images up to 1.5 %.
        if noise is not None and sigma is not None and sigma > (1.05 * noise or CLEAN):
            most = f"noise up to {100 * noise:.3g} %" if noise else "images without noise"
            told.setdefault(f"{most}, not {100 * sigma:.3g} %", []).append(source)
    return [
        f"the weights {', '.join(names)} were trained for {what}" for what, names in told.items()
    ]


def scales_of(spec: Spec) -> list[int]:
    """The scales that all weights of a pipeline were trained for; empty if they set no limit."""
    limits = [set(trained.get("scales", [])) for trained in _ranges(spec).values()]
    limits = [limit for limit in limits if limit]
    return sorted(set.intersection(*limits)) if limits else []


def _ranges(spec: Spec) -> dict[str, dict[str, Any]]:
    """What each source of weights in a pipeline was trained for."""
    found: dict[str, dict[str, Any]] = {}
    for m in spec.modules.values():
        if (node := m.weights or spec.weights) is not None:
            trained = trained_range(node.value) or known(node.value, m.role, m.name).trained
            found[node.value] = found.get(node.value) or trained
    return found


def trained_range(source: str) -> dict[str, Any]:
    """`scales`, a list, and `noise`, the largest level, as far as they are known.

    They are in the entry of the manifest, in the header of the file, or in the entry of the
    training run whose folder holds the weights.
    """
    try:
        path, _ = find_weights(source)
        if path.is_relative_to(PRETRAINED):
            entry = manifest().get(path.relative_to(PRETRAINED).with_suffix("").as_posix(), {})
        else:
            beside = path.with_name(ENTRY)
            known = path.name == "weights.safetensors" and beside.is_file()
            entry = read_map(beside, "") if known else {}
            entry = entry if "trained" in entry or not path.is_file() else read_entry(path)
    except PnpError:
        return {}
    found = entry.get("trained", {})
    return found if isinstance(found, dict) and is_range(found) else {}
