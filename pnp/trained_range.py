"""The scales and noise levels with which weights were trained, and what lies outside of them."""

from __future__ import annotations

from typing import Any

from pnp.checkpoints import PRETRAINED, find_weights, manifest
from pnp.errors import PnpError
from pnp.headers import is_range, read_entry
from pnp.language.spec import Spec
from pnp.manifest import read_map

ENTRY = "weights.yaml"
"""Beside the weights of a training run: their entry."""


def outside(spec: Spec, s: int, sigma: float | None) -> list[str]:
    """A sentence for weights that were trained for other scales, and for less noise.

    Args:
        spec: The pipeline.
        s: The scale of the run.
        sigma: The noise level, given or estimated; None if it is not known.
    """
    sources = [spec.weights, *(module.weights for module in spec.modules.values())]
    told: dict[str, list[str]] = {}
    for source in dict.fromkeys(node.value for node in sources if node is not None):
        trained = trained_range(source)
        scales, noise = trained.get("scales"), trained.get("noise")
        if scales and s not in scales:
            told.setdefault(f"the scales {', '.join(map(str, scales))}, not {s}", []).append(source)
        if noise is not None and sigma is not None and sigma > 1.05 * noise:  # of an estimate
            level = f"noise up to {100 * noise:.3g} %, not {100 * sigma:.3g} %"
            told.setdefault(level, []).append(source)
    return [
        f"the weights {', '.join(names)} were trained for {what}" for what, names in told.items()
    ]


def scales_of(spec: Spec) -> list[int]:
    """The scales that all weights of a pipeline were trained for; empty if they set no limit."""
    sources = [spec.weights, *(module.weights for module in spec.modules.values())]
    limits = [
        set(trained_range(node.value).get("scales", [])) for node in sources if node is not None
    ]
    limits = [limit for limit in limits if limit]
    return sorted(set.intersection(*limits)) if limits else []


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
