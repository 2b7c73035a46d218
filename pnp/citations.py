"""What pipelines and the modules that they call cite."""

from __future__ import annotations

from pnp.bibliography import bibtex as bibtex
from pnp.language.spec import Spec
from pnp.registry import REGISTRIES


def keys_of(spec: Spec) -> list[str]:
    """What a pipeline and the modules that it calls cite."""
    keys = dict.fromkeys(spec.cite)
    for symbol, module in spec.modules.items():
        if symbol in spec.called:
            keys.update(dict.fromkeys(REGISTRIES[module.role].get(module.name).cite))
    return list(keys)
