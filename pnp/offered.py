"""What a caller offers beside the image, compared with what a pipeline takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pnp.errors import PnpError
from pnp.kspace import takes_kspace
from pnp.language.spec import Spec

TAKES = {"s": "scale", "k": "kernel", "sigma": "sigma", "mask": "mask"}
"""The variables of a pipeline that a caller can give beside the image, and their arguments."""


def check_offered(spec: Spec, offered: Mapping[str, Any], say: Callable[[str], str]) -> None:
    """PnpError, in the caller's words, for missing arguments and for those it does not take."""
    name, takes = spec.name, {g.name: g.default is None for g in spec.given}
    words = {v: say(argument) for v, argument in TAKES.items()}
    listed = ", ".join(f"{v} ({words[v]})" if v in words else v for v in takes)
    beside = ("y", "mask") if takes_kspace(spec) else ("y",)
    missing = [
        v for v, needed in takes.items() if needed and v not in beside and offered.get(v) is None
    ]
    if missing:
        needed = " and ".join(words.get(v, f"'{v}', which only pnp.load can give") for v in missing)
        raise PnpError(f"the pipeline {name} needs {needed}; it takes {listed}")
    extra = [v for v, value in offered.items() if value is not None and v not in takes]
    if extra:
        what = f"does not use {extra[0]}"
        if extra[0] == "k":
            what = "estimates the kernel itself" if "k" in spec.kinds else "uses no kernel"
        raise PnpError(
            f"the pipeline {name} {what}, so {words[extra[0]]} cannot be given; it takes {listed}"
        )


def default_scale(spec: Spec) -> int:
    """The scale of a pipeline unless another is given; 1 for one without scales."""
    default = next((g.default for g in spec.given if g.name == "s"), 1)
    return default if isinstance(default, int) else 1
