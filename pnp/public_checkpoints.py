"""What the layout of a public checkpoint says: options of its network, and its training.

Public checkpoints hold tensors alone.  A module class that knows the layout of one has the method
`recognise(state) -> Known | None`.  The options are used like those in the header of a file that
`pnp train` wrote (`pnp.trained_options`), the scales and the noise level like those in its entry
(`pnp.trained_range`).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from pnp.checkpoint_files import read_checkpoint
from pnp.checkpoints import find_weights
from pnp.errors import PnpError
from pnp.registry import REGISTRIES


@dataclass(frozen=True)
class Known:
    """Options of the network, and `scales` and `noise` (largest level) of its training."""

    options: dict[str, Any] = field(default_factory=dict)
    trained: dict[str, Any] = field(default_factory=dict)


NOTHING = Known()


def known(source: str, role: str, name: str) -> Known:
    """What is known of the weights of a module; nothing unless its class recognises the file."""
    if name not in REGISTRIES[role].names():
        return NOTHING
    recognise = getattr(REGISTRIES[role].get(name), "recognise", None)
    if recognise is None:
        return NOTHING
    try:
        path, _ = find_weights(source)
        changed = path.stat().st_mtime_ns
    except (PnpError, OSError):
        return NOTHING
    return _recognised(path, changed, recognise)


@functools.lru_cache(maxsize=64)
def _recognised(
    path: Path, changed: int, recognise: Callable[[Mapping[str, Tensor]], Known | None]
) -> Known:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when the weights are loaded
        try:
            return recognise(read_checkpoint(path)) or NOTHING
        except PnpError:  # likewise
            return NOTHING
