"""The description of a comparison (YAML): its pipelines, observations and metrics."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pnp.checkpoints import find_weights
from pnp.document import Node
from pnp.errors import Findings, PipelineError, PnpError, Problem, hint
from pnp.language.layers import Dialect, Merge, merge_maps
from pnp.language.reader import spec_within
from pnp.language.spec import Spec
from pnp.options import Count, Noise, convert, read_fields
from pnp.protocols import PROTOCOLS

ROOT = Path(__file__).parent.parent
FOLDERS = {"PNP_DATA": "data", "PNP_PARITY": "parity"}
"""Environment variables with which paths may start; defaults are folders beside the checkout."""

METRICS_OF_IMAGES = ("psnr", "psnr_y", "psnr_registered", "ssim")
METRICS_OF_KERNELS = ("kernel_error", "kernel_error_registered")
METRICS = (*METRICS_OF_IMAGES, *METRICS_OF_KERNELS)
IDENTITY = (
    "method",
    "pipeline",
    "set",
    "document",
    "given",
    "weights",
    "sha256",
    "data",
    "kernels",
    "protocol",
    "dtype",
)
"""Two runs of a method may be in one table only if these values are equal."""


class Case(NamedTuple):
    """One observation; kernels are numbered from 1."""

    image: Path
    scale: int
    kernel: int
    sigma: float


@dataclass(frozen=True)
class Images:
    """The test images: those of a folder, or every n-th of them."""

    folder: str
    every: Count = 1


@dataclass(frozen=True)
class Kernels:
    """The kernels of a file, in groups, which are columns of the tables."""

    file: str
    groups: dict[str, list[Count]]


@dataclass(frozen=True)
class Method:
    """A row of the tables: a pipeline, its options and weights, and the true values it receives."""

    name: str
    document: Node
    pipeline: str
    set: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    given: tuple[Literal["k", "sigma"], ...] = ()

    def spec(self) -> Spec:
        """The pipeline, checked."""
        entry, written = self.document.value, self.document.value.get("set")
        changes = dict(written.value) if written is not None else {}
        if self.weights is not None:
            origin = entry["weights"].origin
            changes["weights"] = Node(str(expand(entry["weights"])), origin)
        return spec_within(entry["pipeline"], Node(changes, self.document.origin), self.name)

    def files(self) -> list[Path]:
        """The files of its weights; PnpError if one does not exist."""
        spec = self.spec()
        sources = {m.weights.value for m in spec.modules.values() if m.weights is not None}
        sources |= set() if spec.weights is None else {spec.weights.value}
        files = [find_weights(source)[0] for source in sorted(sources)]
        missing = [file for file in files if not file.is_file()]
        if missing:
            raise PnpError(f"{missing[0]}: there is no such file")
        return files

    def has_weights(self) -> bool:
        """False if weights that it needs do not exist (yet)."""
        self.spec()  # raises any other problem
        try:
            self.files()
        except PnpError:
            return False
        return True


@dataclass(frozen=True)
class Comparison:
    """The content of a description; see benchmarks/README.md."""

    path: Path
    document: Node
    about: str
    data: Images
    scales: list[Count]
    sigmas: list[Noise]
    protocol: str
    metrics: list[str]
    methods: dict[str, Method]
    kernels: Kernels | None = None
    """None: no blur, which is a kernel of one tap."""
    published: dict[str, list[float]] = field(default_factory=dict)
    """PSNR of other systems as published by their authors, one for each scale and noise level."""

    @property
    def name(self) -> str:
        """The name of the description and of its results."""
        return self.path.stem

    @property
    def groups(self) -> dict[str, list[int]]:
        """The groups of kernels, by number from 1."""
        return {"none": [1]} if self.kernels is None else self.kernels.groups

    def kernel_file(self) -> Path | None:
        """The file of the kernels, if there are any."""
        kernels = self.document.value.get("kernels")
        return None if kernels is None else expand(kernels.value["file"])

    def images(self) -> list[Path]:
        """The test images, sorted by name."""
        node = self.document.value["data"].value["folder"]
        folder = expand(node)
        suffixes = (".png", ".jpg", ".tif", ".bmp")
        found = sorted(p for p in folder.glob("*") if p.suffix.lower() in suffixes)
        if found:
            return found[:: self.data.every]
        first = self.data.folder.partition("/")[0]
        cure = f"put images there, or start the path with one of {', '.join(FOLDERS)}"
        if first in FOLDERS:
            cure = f"set the environment variable {first}"
        raise PipelineError([Problem(node.origin, f"there are no images in {folder}", cure)])

    def cases(self, limit: int | None = None) -> Iterator[Case]:
        """All observations, in the order of the images; of the first `limit` images, if given."""
        kernels = sorted(number for numbers in self.groups.values() for number in numbers)
        for image in self.images()[:limit]:
            for scale in self.scales:
                for kernel in kernels:
                    for sigma in self.sigmas:
                        yield Case(image, scale, kernel, sigma)

    def identity(self, method: Method, dtype: str) -> dict[str, str]:
        """The values of `IDENTITY` for this method, as written to the CSV of the runs."""
        document = _without(method.spec().document.plain(), ("weights", "about", "cite"))
        files = method.files()
        values = {
            "method": method.name,
            "pipeline": method.pipeline,
            "set": json.dumps(method.set, sort_keys=True) if method.set else "",
            "document": _sha256(json.dumps(document, sort_keys=True).encode())[:12],
            "given": " ".join(method.given),
            "weights": method.weights or " ".join(file.name for file in files),
            "sha256": " ".join(_sha256(file.read_bytes()) for file in files),
            "data": self.data.folder,
            "kernels": "" if self.kernels is None else self.kernels.file,
            "protocol": self.protocol,
            "dtype": dtype,
        }
        return {name: values[name] for name in IDENTITY}


def expand(path: Node) -> Path:
    """Resolve a path of a description.

    It is in a folder of `FOLDERS`, or relative to the file that contains it, or the name of
    pretrained weights.
    """
    first, _, rest = path.value.partition("/")
    if first in FOLDERS:
        return Path(os.environ.get(first, ROOT.parent / "shared" / FOLDERS[first])) / rest
    beside = (path.origin.folder or Path()) / path.value
    return beside if beside.exists() else Path(path.value)


def _merge(base: Node, layer: Node) -> Node:
    """Merge a comparison over another: maps by key, methods by option; other values replace."""
    return merge_maps(base, layer, lambda key: _merge_methods if key == "methods" else merge_maps)


def _merge_methods(base: Node, layer: Node) -> Node:
    def within(name: str) -> Merge | None:
        entry = layer.value[name]
        return None if entry.is_map and "pipeline" in entry.value else merge_maps

    return merge_maps(base, layer, within)


_NO_KEYS = ("path", "document")
COMPARISONS = Dialect(
    noun="comparison",
    keys=("extends", *(f.name for f in fields(Comparison) if f.name not in _NO_KEYS)),
    group="pnp.comparisons",
    merge=_merge,
    complete=("data", "scales", "sigmas", "methods"),
)


def read_comparison(name: str | Path, assignments: Iterable[str] = ()) -> Comparison:
    """The comparison in a YAML file, or of a name; PipelineError with all its problems."""
    path, _ = COMPARISONS.find(str(name))
    document = COMPARISONS.read(str(name), assignments=assignments)
    findings = Findings(COMPARISONS.unknown_keys(document))
    known = {key: node for key, node in document.value.items() if key in COMPARISONS.keys}
    skip = (*_NO_KEYS, "methods", "published")
    here = Node(known, document.origin)
    values, findings_of_fields = read_fields(Comparison, here, noun="key", skip=skip)
    findings.problems += findings_of_fields
    if "protocol" in values and values["protocol"] not in PROTOCOLS:
        message = f"there is no protocol '{values['protocol']}'"
        findings.say(
            known["protocol"].origin, message, hint(values["protocol"], PROTOCOLS, "protocols")
        )
    for metric in values.get("metrics", ()):
        if metric not in METRICS:
            cure = hint(metric, METRICS, "metrics")
            findings.say(known["metrics"].origin, f"there is no metric '{metric}'", cure)
    values["methods"] = _read_methods(known.get("methods"), document, findings)
    columns = len(values.get("scales", ())) * len(values.get("sigmas", ()))
    values["published"] = _read_published(known.get("published"), columns, findings)
    findings.raise_all()
    return Comparison(path, document, **values)


def _read_methods(node: Node | None, document: Node, findings: Findings) -> dict[str, Method]:
    if node is None or not node.is_map or not node.value:
        cure = "for example 'methods: {tv: {pipeline: hqs-tv}}'"
        findings.say((node or document).origin, "methods should be a map of pipelines", cure)
        return {}
    methods = {}
    for name, entry in node.value.items():
        if not entry.is_map:
            cure = f"for example '{name}: {{pipeline: hqs-tv}}'"
            findings.say(entry.origin, f"{name} should be a map of keys", cure)
            continue
        skip = ("name", "document")
        values, problems = read_fields(Method, entry, f"{name}: ", noun="key", skip=skip)
        findings.problems += problems
        if not problems:
            methods[name] = Method(name, entry, **values)
    return methods


def _read_published(node: Node | None, columns: int, findings: Findings) -> dict[str, list[float]]:
    if node is None:
        return {}
    if not node.is_map:
        cure = "for example 'published: {BM3D: [30.1]}'"
        findings.say(node.origin, "published should be a map of lists", cure)
        return {}
    published = {}
    for name, numbers in node.value.items():
        try:
            published[name] = convert(list[float], numbers.plain())
        except PnpError:
            published[name] = []
        if columns and len(published[name]) != columns:
            message = f"{name} should be a list of {columns} PSNR values"
            cure = "write one value for each noise level of the first scale, then of the next"
            findings.say(numbers.origin, message, cure)
    return published


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(v, keys) for key, v in value.items() if key not in keys}
    return value
