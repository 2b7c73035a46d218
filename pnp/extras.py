"""Packages that only some parts of pnp need: imported when they are, one message if they are not
there."""

from __future__ import annotations

import importlib
from types import ModuleType

from pnp.errors import PnpError

DISTRIBUTION = "pnp-imaging"
"""The name by which package indexes know pnp; their `pnp` is something else."""


def extra(package: str, needed_by: str, name: str = "") -> ModuleType:
    """A package of the optional dependencies.

    Args:
        package: The package to import.
        needed_by: What needs it, the first words of the message.
        name: The extra of pnp that installs it, by default of the same name.

    Raises:
        PnpError: It is not installed, or its import fails.
    """
    try:
        return importlib.import_module(package)
    except ImportError as e:
        absent = isinstance(e, ModuleNotFoundError) and e.name == package
        reason = "is not installed" if absent else f"cannot be imported ({e})"
        cure = f"pip install '{DISTRIBUTION}[{name or package}]'"
        raise PnpError(f"{needed_by}: {package} {reason}; {cure}") from e
