"""What a file of weights says of itself, in the entry `__metadata__` of its .safetensors header.

The entry holds text by key.  Those of pnp begin with `pnp.`: the name of the weights, and what the
manifest of pretrained weights says of them, without checksums.

    pnp.name: drunet-small     pnp.pipeline: denoise     pnp.trained: {"noise": 0.1961}

Values that are not text are JSON.  `pnp.pipeline` is the name of a pipeline or its YAML
(`pnp.language.embedded`), `pnp.modules` the networks with their options (`pnp.trained_options`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors

from pnp.decoders import first_line
from pnp.errors import PnpError
from pnp.files import atomic
from pnp.limits import LARGEST_TEXT

PREFIX = "pnp."
TEXT = frozenset(
    {"name", "version", "pipeline", "recipe", "data", "machine", "licence", "precision"}
)
"""The keys whose values are text."""
CHECKSUMS = ("sha256", "pre_decay")
"""What a header cannot say: the checksum of its own file, and that of another one."""
_CURE = "pnp run PIPELINE IMAGE --set weights={} runs it without its header"


def metadata_of(name: str, entry: Mapping[str, Any]) -> dict[str, str]:
    """The metadata of a file of weights.

    Args:
        name: The name of the weights.
        entry: What the manifest says of them.
    """
    said = {"name": name, **{k: v for k, v in entry.items() if k not in CHECKSUMS}}
    texts = {k: v if k in TEXT else json.dumps(v, ensure_ascii=False) for k, v in said.items()}
    return {"format": "pt", **{PREFIX + key: text for key, text in texts.items()}}


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a .safetensors file; empty for any other file, and for a damaged one, which
    is reported when its tensors are read."""
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return {}
    try:
        with safetensors.safe_open(path, "pt") as file:
            return file.metadata() or {}
    except Exception:
        return {}


def read_entry(path: Path, shown: str = "") -> dict[str, Any]:
    """What the header of a file of weights says, by key without `pnp.`; empty if it says nothing.

    Args:
        path: The file.
        shown: Its name in messages.
    Raises:
        PnpError: The file cannot be read, or what pnp's keys hold is damaged or too large.
    """
    shown = shown or str(path)
    if path.suffix.lower() != ".safetensors":
        return {}
    try:
        with safetensors.safe_open(path, "pt") as file:
            found = file.metadata() or {}
    except Exception as e:  # a damaged file can cause any exception
        cause = f"not a readable checkpoint ({first_line(e)})"
        raise PnpError(f"{shown}: {cause}; is the file complete?") from e
    told = {k.removeprefix(PREFIX): v for k, v in found.items() if k.startswith(PREFIX)}
    size = sum(map(len, told.values()))
    if size > LARGEST_TEXT:
        limit = f"its header has {size / 1000:.0f} kB of text, the limit is {LARGEST_TEXT // 1000}"
        raise PnpError(f"{shown}: {limit} kB; {_CURE.format(shown)}")
    entry: dict[str, Any] = {}
    for key, text in told.items():
        try:
            entry[key] = text if key in TEXT else json.loads(text)
        except (ValueError, RecursionError):
            entry[key] = None
        if not _is_sound(key, entry[key]):
            damage = f"its header is damaged: {PREFIX}{key} is {text[:40]!r}"
            raise PnpError(f"{shown}: {damage}; {_CURE.format(shown)}")
    return entry


def _is_sound(key: str, value: Any) -> bool:
    """True if a value has the form that its key has in a manifest."""
    if key in TEXT:
        return bool(value.strip())
    if key in ("steps", "minutes"):
        return _is_number(value)
    if key == "measured":
        return isinstance(value, dict) and all(map(_is_number, value.values()))
    if key == "modules":
        return isinstance(value, dict) and all(isinstance(m, dict) for m in value.values())
    if key == "trained":
        return isinstance(value, dict) and is_range(value)
    return value is not None


def is_range(trained: Mapping[str, Any]) -> bool:
    """True for a range that weights were trained for: a list `scales`, a level `noise`, and
    true as `jpeg` if there was JPEG among the images."""
    scales, noise = trained.get("scales", []), trained.get("noise", 0)
    sound = isinstance(scales, list) and all(map(_is_number, scales)) and _is_number(noise)
    return sound and isinstance(trained.get("jpeg", False), bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def write_metadata(path: Path, metadata: Mapping[str, str]) -> bool:
    """Replace the metadata of a .safetensors file; its tensors stay as they are, byte for byte.

    Returns:
        False if the file says this already.
    """
    content = path.read_bytes()
    changed = with_metadata(content, metadata)
    if changed == content:
        return False
    with atomic(path) as temporary:
        temporary.write_bytes(changed)
    return True


def with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """The content of a .safetensors file with other metadata, in the order given here."""
    header, data = _split(content)
    header.pop("__metadata__", None)
    said = {"__metadata__": dict(metadata), **header}
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data


def tensors_digest(path: Path) -> str:
    """The sha256 of the tensors of a .safetensors file, by which results name their weights: of
    names, types, shapes and bytes, in the order of the names.  What the header says besides does
    not change it.  Of any other file, the sha256 of its content.
    """
    content = path.read_bytes()
    try:
        if path.suffix.lower() != ".safetensors":
            raise ValueError
        header, data = _split(content)
        digest = hashlib.sha256()
        for name in sorted(header.keys() - {"__metadata__"}):
            tensor = header[name]
            first, last = tensor["data_offsets"]
            digest.update(f"{name} {tensor['dtype']} {tensor['shape']}\n".encode())
            digest.update(data[first:last])
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged: said when it is loaded
        return hashlib.sha256(content).hexdigest()
    return digest.hexdigest()


def _split(content: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header of a .safetensors file and the bytes of its tensors."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    return header, memoryview(content)[8 + size :]
