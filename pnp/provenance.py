"""What a result was made with, for its record; what of it is different now.

made_with(spec, device) -> {"weights": {"usrnet-small": "5f8c..."}, "plugins": {}, ...}
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch

import pnp
from pnp.checkpoints import find_weights, sha256
from pnp.headers import tensors_digest
from pnp.language.spec import Spec
from pnp.machine import machine
from pnp.registry import REGISTRIES

_VERSIONS = ("versions", "plugins")


def made_with(spec: Spec, device: torch.device, random_weights: bool = False) -> dict[str, Any]:
    """Checksums of the weights' tensors by source, versions of plugins and programs, machine."""
    groups = [*(registry.package for registry in REGISTRIES.values()), "pnp.pipelines"]
    owners = [point.dist for group in groups for point in entry_points(group=group)]
    return {
        "weights": {} if random_weights else _weights(spec),
        "plugins": {owner.name: owner.version for owner in owners if owner is not None},
        "versions": {
            "pnp": pnp.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "machine": machine(device),
    }


def now() -> str:
    """The date and time in UTC: 2026-11-28T13:20:05Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def checksums(files: Iterable[tuple[str | Path, str]]) -> list[dict[str, str]]:
    """File, role and checksum of each given file that exists: names of pipelines are no files."""
    return [
        {"file": str(file), "role": role, "sha256": sha256(Path(file))}
        for file, role in files
        if Path(file).is_file()
    ]


def changed_files(record: Mapping[str, Any]) -> list[str]:
    """What is said of each file of a record that is missing, or has another content now."""
    told = []
    for entry in record.get("read", []):
        file, role = entry["file"], entry["role"]
        if not Path(file).is_file():
            told.append(f"the {role} {file} is missing; it was read in {record['folder']}")
        elif sha256(Path(file)) != entry["sha256"]:
            told.append(f"the {role} {file} is not the file that was read for the record")
    return told


def changed_pipeline(
    record: Mapping[str, Any], document: Any, made: Mapping[str, Any]
) -> list[str]:
    """What is said of a pipeline and of weights that are not those of a record."""
    told = []
    old = record.get("document", {})
    keys = [key for key in {**old, **document} if old.get(key) != document.get(key)]
    if keys:
        told.append(f"the pipeline {record['pipeline']} differs in {', '.join(keys)}")
    for source, checksum in record.get("weights", {}).items():
        found = made["weights"].get(source)
        if found is not None and found != checksum:
            short = f"sha256 {found[:12]}, recorded {checksum[:12]}"
            told.append(f"the weights {source} are others ({short})")
    return told


def changed_versions(record: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """What is said of other versions, and of another machine."""
    told = []
    for group in _VERSIONS:
        for name, version in record.get(group, {}).items():
            here = made[group].get(name)
            if here != version:
                told.append(f"{name} is {here or 'not installed'} here, {version} in the record")
    if record.get("machine") != made["machine"]:
        told.append(f"this is {made['machine']}, the record says {record.get('machine')}")
    return told


def _weights(spec: Spec) -> dict[str, str]:
    sources = [spec.weights, *(module.weights for module in spec.modules.values())]
    names = dict.fromkeys(source.value for source in sources if source is not None)
    return {name: tensors_digest(find_weights(name)[0]) for name in names}
