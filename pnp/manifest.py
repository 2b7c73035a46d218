"""Descriptions of weights in YAML: the manifest of pretrained ones, and the entry of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pnp.decoders import first_line
from pnp.errors import PnpError


def read_entries(path: Path, cure: str = "install pnp again") -> dict[str, dict[str, Any]]:
    """The entries of a manifest by name, none if it does not exist; PnpError if it is damaged."""
    if not path.is_file():
        return {}
    entries = read_map(path, cure)
    if not all(isinstance(entry, dict) for entry in entries.values()):
        raise PnpError(f"{path}: the file is damaged (an entry is no map); {cure}")
    return entries


def read_map(path: Path, cure: str) -> dict[str, Any]:
    """A map that pnp wrote as YAML; PnpError with the cure if the file is damaged."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as e:
        raise PnpError(f"{path}: the file is damaged ({first_line(e)}); {cure}") from e
    if found is not None and not isinstance(found, dict):
        raise PnpError(f"{path}: the file is damaged (it is no map); {cure}")
    return found or {}
