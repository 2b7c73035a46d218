"""The pipeline that a file of weights names in its header, or a folder in its config.json.

The header, or the configuration, holds the name of a pipeline, or a pipeline as YAML.  Others may
have written it, so it is read like any pipeline, without running code, and can read no other file:

- a file of weights in it (`weights: model.safetensors`) is the file itself, without a folder;
- the name of the file (`pnp.name`) is the file, and other names are weights of the package;
- `extends` takes names of pipelines, no paths;
- modules whose options may name files or addresses are refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pnp.checkpoint_files import SUFFIXES
from pnp.checkpoints import split_source
from pnp.decoders import first_line
from pnp.document import Node, read_text
from pnp.errors import Origin, PipelineError, PnpError, Problem, hint
from pnp.headers import read_entry
from pnp.language.layers import Dialect
from pnp.limits import LARGEST_TEXT
from pnp.registry import REGISTRIES

CONFIG, MODEL = "config.json", "model.safetensors"
"""The files of a folder as huggingface_hub writes it (`pnp.hub`)."""
OUTSIDE = {"deepinv": "downloads or reads what its options name"}
"""Priors that are not built for a pipeline of others, and why."""


def holds_pipeline(path: Path) -> bool:
    """True for a file of weights, and for the configuration in the folder of a pipeline."""
    return path.name == CONFIG or path.name.lower().endswith(SUFFIXES)


def is_hub_folder(path: Path) -> bool:
    """True for a folder with a pipeline as huggingface_hub writes it."""
    return (path / CONFIG).is_file() and (path / MODEL).is_file()


def read_embedded(dialect: Dialect, path: Path, shown: str) -> Node:
    """The document of a file of weights or of a configuration, a layer over what it extends.

    Args:
        dialect: Pipelines.
        path: The file.
        shown: Its name in messages.
    Raises:
        PnpError: It says no pipeline, is damaged, or the pipeline needs another file.
    """
    config = path.name == CONFIG
    entry = _config(path, shown) if config else read_entry(path, shown)
    text = entry.get("pipeline")
    if not text:
        raise PnpError(f"{shown}: {_without(path, entry)}")
    where = f"{shown} (its header)" if not config else shown
    own = _own_document(dialect, text, where)
    file, name = path.with_name(MODEL) if config else path, str(entry.get("name", ""))
    found = _bound(dialect, _with_itself(own, file), file, name)
    if not config:
        _check_reads(found, file, shown, name)
    return found


def _without(path: Path, entry: dict[str, Any]) -> str:
    """Why a file names no pipeline, and what to do."""
    if path.suffix.lower() != ".safetensors":
        reason = "only the header of a .safetensors file can name a pipeline"
    elif "modules" in entry:
        modules = entry["modules"].values()
        holds = [f"{role} {m[role]!a}" for m in modules for role in REGISTRIES if role in m]
        reason = f"its header names no pipeline, only modules ({', '.join(holds)[:80]})"
    else:
        reason = "its header names no pipeline of pnp"
    return f"{reason}; write: pnp run PIPELINE IMAGE --set weights={path}"


def _config(path: Path, shown: str) -> dict[str, Any]:
    """What the configuration says, by key; PnpError if it is damaged or too large."""
    try:
        if (size := path.stat().st_size) > LARGEST_TEXT:
            raise ValueError(f"it has {size / 1000:.0f} kB, the limit is {LARGEST_TEXT // 1000}")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("pipeline", ""), str):
            raise ValueError("it is no map with a 'pipeline'")
    except (OSError, ValueError, RecursionError) as e:
        raise PnpError(
            f"{shown}: {path.name} is no configuration of pnp ({first_line(e)}); "
            "is it the folder of another program?"
        ) from e
    if "pipeline" not in found:
        raise PnpError(f"{shown}: {path.name} names no pipeline of pnp; is it of another program?")
    return found


def _own_document(dialect: Dialect, text: str, where: str) -> Node:
    """The document that the text is or names, without what it extends."""
    origin = Origin(where)
    text = text.strip()
    if re.fullmatch(r"[\w.-]+", text):
        if text not in dialect.names():
            known = hint(text, dialect.names(), "pipelines")
            raise PnpError(f"{where}: it names the pipeline '{text}', which is not here; {known}")
        return Node({"extends": Node(text, origin)}, origin)
    document = read_text(text, where)
    if not document.is_map:
        problem = Problem(document.origin, "a pipeline is a map of keys, or a name")
        raise PipelineError([problem])
    extends = document.value.get("extends")
    for parent in [] if extends is None else extends.value if extends.is_list else [extends]:
        if parent.value not in dialect.names():
            message = f"it extends {parent.plain()!r}, which is no name of a pipeline"
            cure = "a pipeline in a header, or of the hub, cannot extend a file"
            raise PipelineError([Problem(parent.origin, message, cure)])
    return document


def _with_itself(own: Node, file: Path) -> Node:
    """The document with the file itself wherever it names a file of weights."""

    def found(holder: Node) -> Node:
        weights = holder.value.get("weights") if holder.is_map else None
        if weights is None or not isinstance(weights.value, str):
            return holder
        source, part = split_source(weights.value)
        if not source.lower().endswith(SUFFIXES):
            return holder
        if "/" in source or "\\" in source:
            message = f"{source} is another file, which a pipeline in a header, or of the hub,"
            cure = f"a file without a folder is its own: weights: {MODEL}"
            raise PipelineError([Problem(weights.origin, f"{message} cannot read", cure)])
        return Node({**holder.value, "weights": _source(file, part, weights.origin)}, holder.origin)

    own = found(own)
    modules = own.value.get("modules")
    if modules is None or not modules.is_map:
        return own
    inner = Node({symbol: found(m) for symbol, m in modules.value.items()}, modules.origin)
    return Node({**own.value, "modules": inner}, own.origin)


def _bound(dialect: Dialect, own: Node, file: Path, name: str) -> Node:
    """The document with the file wherever its pipeline, or one that it extends, names `name`."""
    merged = dialect.extended(own).value
    modules = merged.get("modules")
    modules = modules.value if modules is not None and modules.is_map else {}
    _refuse_outside(modules)
    value = dict(own.value)
    if (found := _named(merged.get("weights"), name)) is not None:
        value["weights"] = _source(file, found[0], own.origin)
    for symbol, module in modules.items():
        found = _named(module.value.get("weights"), name) if module.is_map else None
        if found is not None:
            changed = value.get("modules", Node({}, own.origin))
            entry = changed.value.get(symbol, Node({}, own.origin))
            entry = Node(
                {**entry.value, "weights": _source(file, *found, own.origin)}, entry.origin
            )
            value["modules"] = Node({**changed.value, symbol: entry}, changed.origin)
    return Node(value, own.origin)


def _named(weights: Node | None, name: str) -> tuple[str | None] | None:
    """The part of the weights called `name` that is written, None for other weights."""
    if weights is None or not isinstance(weights.value, str):
        return None
    source, part = split_source(weights.value)
    return (part,) if source == name else None


def _refuse_outside(modules: dict[str, Node]) -> None:
    for symbol, module in modules.items():
        prior = module.value.get("prior") if module.is_map else None
        if prior is not None and prior.value in OUTSIDE:
            reason = f"{OUTSIDE[prior.value]}, so it is not built from a header"
            message = f"{symbol}: the prior {prior.value} {reason}"
            raise PipelineError([Problem(prior.origin, message, "write the pipeline as a file")])


def _source(file: Path, part: str | None, origin: Origin) -> Node:
    return Node(f"{file}#{part}" if part else str(file), origin)


def _check_reads(document: Node, file: Path, shown: str, name: str) -> None:
    """PnpError if the pipeline of a header reads no weights of its file."""
    modules = document.value.get("modules", Node({}, document.origin))
    holders = [document, *(modules.value.values() if modules.is_map else ())]
    sources = [holder.value.get("weights") for holder in holders if holder.is_map]
    if not any(s is not None and str(s.value).startswith(str(file)) for s in sources):
        told = f"the pipeline of its header reads no weights called {name[:80]!a}"
        raise PnpError(f"{shown}: {told}; write: pnp run PIPELINE IMAGE --set weights={shown}")
