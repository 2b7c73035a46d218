"""Weights as part of the package: `pnp/weights/NAME.safetensors` and their entries in its manifest.

States before the decay of the learning rate, from which long trainings continue, are outside the
package, in `benchmarks/pre_decay/` of the repository.

An entry states how to make the file again (recipe, data, steps, machine), its quality (the metrics
of the recipe's validation), its licence, the pipeline that restores with it, and its sha256.  The
header of the file says the same, without the sha256 (`pnp.headers`).  An entry without sha256 has
no file: it names the recipe that makes the weights, for the message to users of a pipeline that
needs them.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import yaml
from torch import Tensor

from pnp import __version__
from pnp.checkpoints import MANIFEST, PRETRAINED, is_name, sha256, split_source
from pnp.errors import PnpError
from pnp.files import atomic, make_folder
from pnp.fingerprints import beside
from pnp.headers import metadata_of, read_entry, with_metadata, write_metadata
from pnp.language.reader import PIPELINES
from pnp.manifest import read_entries, read_map
from pnp.pipeline import Pipeline
from pnp.trained_options import described
from pnp.training.run_folder import ENTRY, PRE_DECAY

_log = logging.getLogger(__name__)

HEAD = """\
# The pretrained weights of the package, and how each file is made: see docs/training.md.
# `pnp train --ship NAME` adds entries; after a change by hand, `make weights` writes the headers of
# the files.  An entry without sha256 has no file; its recipe makes it.
"""
ORDER = (
    *("sha256", "version", "pipeline", "recipe", "data", "steps", "batch", "minutes", "machine"),
    *("precision", "licence", "measured", "trained", "modules"),
)
"""The keys of an entry, in the order in which they are written."""
TOLERANCE = 0.01  # dB
PRE_DECAY_STATES = Path(__file__).parents[2] / "benchmarks" / "pre_decay"
"""In a checkout; at most `PRE_DECAY_BYTES` in all."""
PRE_DECAY_BYTES = 10_000_000


def export(
    path: Path,
    pipeline: Pipeline,
    symbols: Collection[str],
    measure: Callable[[Pipeline], dict[str, float]],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the weights of trained modules and their entry, in half precision if that costs no more
    than 0.01 dB, or a thousandth of the loss where there is no PSNR.

    Args:
        path: The file to write; the entry is written into the same folder.
        pipeline: The pipeline with the weights.
        symbols: Those of the modules that were trained.
        measure: The metrics of a pipeline.
        facts: Further values of the entry; its `name` is that of the weights, for the header alone.

    Returns:
        The entry.
    """
    full = measure(pipeline)
    rounded = copy.deepcopy(pipeline)
    rounded.load_state_dict({k: _half(v) for k, v in pipeline.state_dict().items()})
    half = measure(rounded)
    if "psnr" in full:
        holds = half["psnr"] > full["psnr"] - TOLERANCE
    else:
        holds = half["loss"] <= 1.001 * full["loss"]
    weights = {
        k: (_half(v) if holds else v).detach().cpu().contiguous()
        for k, v in pipeline.state_dict().items()
        if k.partition(".")[0] in symbols
    }
    entry = {
        "version": __version__,
        **{key: value for key, value in facts.items() if key != "name"},
        "precision": "half" if holds else "single",
        "measured": {name: float(f"{value:.5g}") for name, value in full.items()},
        "modules": described(pipeline.spec.modules, sorted(symbols)),
    }
    said = metadata_of(facts.get("name", path.stem), entry)
    with atomic(path) as temporary:
        temporary.write_bytes(with_metadata(safetensors.torch.save(weights), said))
    entry = {"sha256": sha256(path), **entry}
    with atomic(path.with_name(ENTRY)) as temporary:
        temporary.write_text(_yaml(entry), encoding="utf-8")
    return entry


def ship(
    folder: str | Path, name: str, to: Path = PRETRAINED, pre_decay: Path = PRE_DECAY_STATES
) -> Path:
    """Copy the weights of a finished run into the package, and its pre-decay state beside it.

    The header gets the name, and the pipeline of the package that has these weights, if there is
    one, instead of that of the run.

    Args:
        folder: The folder of the run.
        name: The name of the weights in the package.
        to: The folder of all weights and their manifest.
        pre_decay: The folder of pre-decay states; without it (an installed package), or if the
            folder would become too large, the state stays in the run's folder alone.

    Returns:
        The file of the weights.

    Raises:
        PnpError: The run has not ended, or its weights are not those that its entry describes.
    """
    source, described = Path(folder) / "weights.safetensors", Path(folder) / ENTRY
    check_weights_name(name)
    if not source.is_file() or not described.is_file():
        raise PnpError(
            f"--ship {name}: {folder} has no weights yet; "
            "they are written at the end of the training"
        )
    entry = read_map(described, "train to the end again")
    if sha256(source) != entry.get("sha256"):
        raise PnpError(
            f"--ship {name}: {source} is not the file that {described} describes; "
            "train to the end again"
        )
    target = to / f"{name}.safetensors"
    _copy(source, target)
    entry["pipeline"] = pipeline_with(name) or entry.get("pipeline")
    entry = _described(target, name, entry)
    beside(target).unlink(missing_ok=True)  # it told of the weights that are replaced
    if beside(source).is_file():
        _copy(beside(source), beside(target))
    state, kept = Path(folder) / f"{PRE_DECAY}.safetensors", pre_decay / f"{name}.safetensors"
    kept.unlink(missing_ok=True)  # it belonged to the weights that are replaced
    if state.is_file() and pre_decay.is_dir():
        size = state.stat().st_size + sum(
            p.stat().st_size for p in pre_decay.rglob("*.safetensors")
        )
        if size <= PRE_DECAY_BYTES:
            _copy(state, kept)
            entry["pre_decay"] = sha256(state)
        else:
            limit = f"{PRE_DECAY_BYTES / 1e6:.0f} MB"
            _log.warning("%s: not copied, %s may hold %s in all", state, pre_decay, limit)
    _write_manifest(to, {**read_manifest(to), name: entry})
    return target


def describe_all(folder: Path = PRETRAINED) -> list[str]:
    """Write what the manifest says into the header of each file, and the sha256 of each file into
    the manifest.  Nothing is written where both agree.

    Returns:
        The names of the files that have changed.
    """
    before = read_manifest(folder)
    after = {
        name: _described(folder / f"{name}.safetensors", name, entry)
        if "sha256" in entry
        else entry
        for name, entry in before.items()
    }
    if after != before:
        _write_manifest(folder, after)
    return [
        name for name, entry in after.items() if entry.get("sha256") != before[name].get("sha256")
    ]


def pipeline_with(name: str) -> str | None:
    """The pipeline that restores with the weights of a name: the one that is called like them, or
    the one with the fewest modules that reads them; None if there is none."""
    found = []
    for candidate in PIPELINES.names():
        document = PIPELINES.read(candidate)
        modules = document.value["modules"].value if "modules" in document.value else {}
        sources = [h.value.get("weights") for h in (document, *modules.values()) if h.is_map]
        if name in {split_source(node.value)[0] for node in sources if node is not None}:
            found.append((candidate != name, len(modules), candidate))
    return min(found)[-1] if found else None


def _described(path: Path, name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """The entry of a file, complete, after it was written into the header."""
    said, entry = read_entry(path), {k: v for k, v in entry.items() if v is not None}
    added = {
        "version": said.get("version", __version__),
        "pipeline": pipeline_with(name) if "pipeline" not in entry else None,
        "modules": said.get("modules"),
    }
    entry = {**{k: v for k, v in added.items() if v is not None}, **entry}
    known = [key for key in ORDER if key in entry]
    entry = {key: entry[key] for key in [*known, *(k for k in entry if k not in ORDER)]}
    entry.pop("sha256", None)
    write_metadata(path, metadata_of(name, entry))
    return {"sha256": sha256(path), **entry}


def _write_manifest(folder: Path, entries: Mapping[str, Any]) -> None:
    with atomic(folder / MANIFEST) as temporary:
        temporary.write_text(HEAD + _yaml(entries), encoding="utf-8")


def read_manifest(folder: Path = PRETRAINED) -> dict[str, dict[str, Any]]:
    """The entries by name."""
    return read_entries(folder / MANIFEST)


def check_weights_name(name: str) -> None:
    """PnpError if weights cannot have this name in the package."""
    if not is_name(name):
        raise PnpError(f"--ship {name}: a name is needed, such as usrnet-mini or ikrnet/P")


class _Dumper(yaml.SafeDumper):
    """Writes lists on one line, and texts of several lines, such as pipelines, line by line."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)
_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, True)
)


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _half(value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() else value


def _copy(source: Path, target: Path) -> None:
    make_folder(target.parent)
    with atomic(target) as temporary:
        temporary.write_bytes(source.read_bytes())
