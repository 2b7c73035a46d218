"""Model cards: what a file of weights is, how it was made and how it is used, from its header.

`pnp show FILE` prints the card of a file, docs/weights.md has those of the package's weights
(`make weights`), and `pnp.hub` writes one as README.md.
"""

from __future__ import annotations

import inspect
import json
import math
import textwrap
from pathlib import Path
from typing import Any

import safetensors

from pnp.bibliography import bibtex
from pnp.checkpoints import PRETRAINED, manifest
from pnp.errors import PnpError
from pnp.files import atomic
from pnp.headers import read_entry, tensors_digest
from pnp.language.reader import PIPELINES, read_spec
from pnp.language.spec import Spec
from pnp.registry import REGISTRIES

TERMS = {
    "BSDS500": "The images of BSDS500 are for non-commercial research and education, by the terms "
    "of the University of California, Berkeley. The licence of the weights, {licence}, is for the "
    "numbers in the file; it cannot permit what the terms of the images forbid. Whether these "
    "terms reach weights that were trained with the images is not settled. For commercial use, "
    "obtain advice, or train on images whose terms allow it: pnp train RECIPE --data FOLDER."
}
"""By a word in `data`: the terms of the images, and what they mean for the weights."""
LIMITS = (
    "Trained on photographs that were degraded by computation: one kernel for the whole image "
    "where there is blur, and white or correlated Gaussian noise. {missing} and "
    "blur that varies over the image were not among them."
)
_NEEDED = {"k": "-k KERNEL", "mask": "--mask FILE", "sigma": "--sigma LEVEL"}
_METRICS = {
    "loss": ("loss", ""),
    "psnr": ("PSNR", " dB"),
    "bicubic": ("bicubic interpolation", " dB"),
    "observation": ("the observation", " dB"),
    "D alone": ("D alone with the true kernel", " dB"),
    "kernel": ("mean squared error of a kernel's tap", ""),
    "sigma": ("mean absolute error of the noise level", ""),
}
"""How the metrics of a validation are called, and their units."""

PAGE = """\
# Pretrained weights

The files in `pnp/weights`, each with its card.
A file says the same of itself in its header: `pnp show FILE` prints the card, and \
`pnp run FILE photo.png` runs the pipeline that it names.
This page is made from the headers by `make weights`.
[Training](training.md#pretrained-weights) has the commands that make each file, and \
[results](results.md) what pipelines reach with it.

## Data and licence

{data}

{terms}

## Limits of all weights

{limits}
"""


def _facts(path: Path, entry: dict[str, Any], spec: Spec | None) -> dict[str, str]:
    """What a file of weights says of itself, in words by topic."""
    found = {
        "networks": "; ".join(map(_network, entry.get("modules", {}).items())),
        "parameters": _parameters(path, entry),
        "pipeline": _pipeline(entry, spec),
        "trained for": _range(entry.get("trained", {})),
        "recipe": entry.get("recipe", ""),
        "training": _training(entry),
        "data": entry.get("data", ""),
        "measured": _measured(entry.get("measured", {})),
        "licence": entry.get("licence", ""),
        "pnp": entry.get("version", ""),
        "sha256 of the tensors": tensors_digest(path)[:12],
    }
    printable = {
        topic: "".join(c if c.isprintable() else " " for c in text) for topic, text in found.items()
    }
    return {topic: text for topic, text in printable.items() if text}


def card(path: Path, shown: str = "") -> str:
    """The card of a file of weights as lines of text, for a terminal.

    Args:
        path: The file.
        shown: Its name in messages.
    Raises:
        PnpError: It is damaged, or its header says nothing of pnp.
    """
    shown = shown or str(path)
    entry = read_entry(path, shown)
    if not entry:
        raise PnpError(
            f"{shown}: its header says nothing of pnp, so there is no card; "
            "pnp run PIPELINE IMAGE --set weights=FILE uses it"
        )
    spec = read_spec(str(path)) if "pipeline" in entry else None
    found, licence = _facts(path, entry, spec), entry.get("licence", "not stated")
    found |= {"terms": terms(entry.get("data", ""), licence), "limits": limits(entry)}
    if spec is not None:
        found["use"] = command(spec, shown if path.name == Path(shown).name else entry["pipeline"])
    width = max(map(len, found))
    lines = [f"{path.stem if spec is None else entry.get('name', path.stem)}: {_purpose(entry)}"]
    for topic, text in found.items():
        if text:
            lines += textwrap.wrap(
                text,
                100,
                initial_indent=f"  {topic:{width}}  ",
                subsequent_indent=" " * (width + 4),
                break_on_hyphens=False,
                break_long_words=False,
            )
    return "\n".join(lines)


def markdown(path: Path, name: str, source: str = "") -> str:
    """The card of a file of weights in Markdown, without heading.

    Args:
        path: The file.
        name: Its name in a pipeline.
        source: What `pnp run` is given, for a card that stands alone; by default a pipeline of the
            package, or the file, with links as seen from docs/.
    """
    entry = read_entry(path)
    spec = read_spec(str(path)) if "pipeline" in entry else None
    found = _facts(path, entry, spec)
    lines = [f"{_purpose(entry)}.", "", "| | |", "|---|---|"]
    for topic, text in found.items():
        word = text.partition(":")[0]
        if topic == "pipeline" and not source and word in PIPELINES.names():
            text = text.replace(word, f"[{word}](../pipelines/{word}.yaml)", 1)
        elif topic == "pipeline" and text.startswith("{"):
            text = f"`{text}`"
        lines.append(f"| {topic} | {text.replace('|', '/')} |")
    lines.append("")
    if spec is not None:
        named = entry["pipeline"] in PIPELINES.names()
        given = source or (entry["pipeline"] if named else f"pnp/weights/{name}.safetensors")
        lines += ["```sh", command(spec, given), "```", ""]
    roles = ((s, r, m) for s, m in entry.get("modules", {}).items() for r in REGISTRIES if r in m)
    own = [f"`{s}: {{{role}: {m[role]}, weights: {name}}}`" for s, role, m in roles]
    lines += [f"In a pipeline of your own: {', '.join(own)}.", ""] if own else []
    if found.get("pipeline") == "in the header":
        kind = "yaml" if source else "yaml fragment"
        lines += [f"```{kind}", entry["pipeline"].rstrip("\n"), "```", ""]
    if source:
        said = (terms(entry.get("data", ""), entry.get("licence", "not stated")), limits(entry))
        lines += [line for text in said if text for line in (text, "")]
    keys = _cited(entry)
    lines += ["```bibtex", bibtex(keys), "```", ""] if keys else []
    return "\n".join(lines)


def command(spec: Spec, name: str) -> str:
    """The command that restores a photograph with a pipeline."""
    needed = [g.name for g in spec.given if g.default is None and g.name != "y"]
    options = [_NEEDED.get(n, f"--{n} VALUE") for n in needed if n != "s"]
    scale = ["-s 2"] if any(g.name == "s" and g.default is None for g in spec.given) else []
    return " ".join(["pnp run", name, "photo.png", *scale, *options])


def terms(data: str, licence: str) -> str:
    """The terms of the images that weights were trained with, as far as they are known."""
    return " ".join(text.format(licence=licence) for word, text in TERMS.items() if word in data)


def limits(entry: dict[str, Any]) -> str:
    """What the images were without that weights were trained with."""
    stored = entry.get("trained", {}).get("jpeg")
    return LIMITS.format(missing="Overexposed pixels" if stored else "JPEG, overexposed pixels")


def page() -> str:
    """docs/weights.md."""
    shipped = {n: PRETRAINED / f"{n}.safetensors" for n, e in manifest().items() if "sha256" in e}
    entries = [read_entry(path) for path in shipped.values()]
    data: dict[str, list[str]] = {}
    for name, entry in zip(shipped, entries, strict=True):
        data.setdefault(entry["data"], []).append(f"`{name}`")
    stored = [f"`{n}`" for n, e in zip(shipped, entries, strict=True) if e["trained"].get("jpeg")]
    jpeg = f"JPEG (except for {', '.join(stored)})" if stored else "JPEG"
    licences = dict.fromkeys(e["licence"] for e in entries)
    said = dict.fromkeys(terms(text, " or ".join(licences)).replace(". ", ".\n") for text in data)
    head = PAGE.format(
        data="\n".join(f"{_who(names, len(data))} trained with {t}." for t, names in data.items()),
        terms="\n\n".join(filter(None, said)),
        limits=LIMITS.format(missing=f"{jpeg}, overexposed pixels").replace(". ", ".\n"),
    )
    return head + "".join(f"\n## {n}\n\n{markdown(shipped[n], n)}" for n in sorted(shipped))


def _who(names: list[str], groups: int) -> str:
    """The subject of a sentence about weights, and its verb."""
    if groups == 1:
        return "All weights are"
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def write_page(path: Path) -> None:
    """Write docs/weights.md."""
    with atomic(path) as temporary:
        temporary.write_text(page(), encoding="utf-8")


def _cited(entry: dict[str, Any]) -> list[str]:
    """What the networks of a file cite, and its pipeline if it is called like the weights."""
    keys = {}
    if entry.get("pipeline") == entry.get("name"):
        keys = dict.fromkeys(read_spec(entry["pipeline"]).cite)
    for module in entry.get("modules", {}).values():
        for role, registry in REGISTRIES.items():
            if module.get(role) in registry.names():
                keys |= dict.fromkeys(registry.get(module[role]).cite)
    return list(keys)


def _network(named: tuple[str, dict[str, Any]]) -> str:
    symbol, module = named
    role = next((r for r in REGISTRIES if r in module), "")
    options = [f"{k} {json.dumps(v)}" for k, v in module.items() if k != role]
    return ", ".join([f"{symbol}: {role} {module.get(role, '')}".rstrip(), *options])


def _parameters(path: Path, entry: dict[str, Any]) -> str:
    with safetensors.safe_open(path, "pt") as file:
        names = file.keys()
        count = sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    precision = f" in {entry['precision']} precision" if "precision" in entry else ""
    return f"{count:,}{precision}, {path.stat().st_size / 1e6:.1f} MB"


def _purpose(entry: dict[str, Any]) -> str:
    """What the networks of a file compute: the first sentence of each class."""
    said = []
    for module in entry.get("modules", {}).values():
        for role, registry in REGISTRIES.items():
            if module.get(role) in registry.names():
                text = (inspect.getdoc(registry.get(module[role])) or "").split("\n\n")[0]
                said.append(" ".join(text.split()).partition(". ")[0].rstrip("."))
    return ". ".join(dict.fromkeys(said)) or "weights"


def _pipeline(entry: dict[str, Any], spec: Spec | None) -> str:
    """Its name and what it is, or its YAML if that is short."""
    text: str = entry.get("pipeline", "")
    if spec is None:
        return ""
    if text in PIPELINES.names():
        return f"{text}: {spec.about}" if spec.about else text
    return text if len(text.splitlines()) < 2 else "in the header"


def _range(trained: dict[str, Any]) -> str:
    scales = f"scales {', '.join(map(str, trained['scales']))}" if trained.get("scales") else ""
    noise = f"noise up to {100 * trained['noise']:.3g} %" if "noise" in trained else ""
    jpeg = "JPEG" if trained.get("jpeg") else ""
    return ", ".join(filter(None, (scales, noise, jpeg)))


def _training(entry: dict[str, Any]) -> str:
    steps = f"{entry['steps']} steps" if "steps" in entry else ""
    batch = f"of {entry['batch']}" if "batch" in entry and steps else ""
    minutes = f"{entry['minutes']} minutes" if "minutes" in entry else ""
    machine = f"on {entry['machine']}" if "machine" in entry else ""
    return ", ".join(filter(None, (f"{steps} {batch}".strip(), f"{minutes} {machine}".strip())))


def _measured(values: dict[str, float]) -> str:
    """The metrics on the validation images, in words; at scale 1 without blur, both baselines are
    the observation itself."""
    if "bicubic" in values and values["bicubic"] == values.get("D alone"):
        renamed = {"observation" if n == "bicubic" else n: v for n, v in values.items()}
        values = {name: value for name, value in renamed.items() if name != "D alone"}
    named = [(*_METRICS.get(name, (name, "")), value) for name, value in values.items()]
    said = [f"{words} {value:g}{unit}" for words, unit, value in named]
    return f"on validation images: {', '.join(said)}" if said else ""
