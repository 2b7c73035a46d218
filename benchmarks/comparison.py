"""A comparison: its description (YAML), and its rows on disk (CSV), one for each method and
observation.

    results/NAME.csv        run, method, scale, sigma, kernel, image, the metrics, seconds
    results/NAME.runs.csv   what a run was: pipeline, weights, protocol, precision; commit, date, machine

A row names its run.  Rows are appended as they are measured, so that an interrupted comparison goes
on where it was.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pnp.checkpoints import find_weights
from pnp.document import Node, read_file
from pnp.errors import PnpError, hint
from pnp.files import atomic, make_folder
from pnp.language.reader import read_spec
from pnp.language.spec import Spec
from pnp.options import read_noise

ROOT = Path(__file__).parent.parent
FOLDERS = {"PNP_DATA": "data", "PNP_PARITY": "parity"}
"""Paths may begin with one of these environment variables; each has a default beside the checkout."""

KEY = ("method", "scale", "sigma", "kernel", "image")
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
"""What must be equal for two runs of a method to belong into one table."""
RUN = ("run", *IDENTITY, "commit", "date", "machine", "device", "threads", "torch")


class Case(NamedTuple):
    """One observation: the number of the kernel counts from 1."""

    image: Path
    scale: int
    kernel: int
    sigma: float


@dataclass(frozen=True)
class Method:
    """A row of the tables: a pipeline, its options and weights, and what of the truth it is given."""

    name: str
    pipeline: str
    set: dict[str, Any]
    weights: str | None
    given: tuple[str, ...]
    folder: Path

    def spec(self) -> Spec:
        """The pipeline, checked."""
        overrides = dict(self.set)
        if self.weights is not None:
            overrides["weights"] = str(expand(self.weights, self.folder))
        beside = self.folder / self.pipeline
        pipeline = str(beside) if beside.is_file() else self.pipeline
        return replace(read_spec(pipeline, overrides), name=self.name)

    def files(self) -> list[Path]:
        """The files of its weights; PnpError if one is not there."""
        spec = self.spec()
        sources = {m.weights.value for m in spec.modules.values() if m.weights is not None}
        sources |= set() if spec.weights is None else {spec.weights.value}
        files = [find_weights(source)[0] for source in sorted(sources)]
        missing = [file for file in files if not file.is_file()]
        if missing:
            raise PnpError(f"{missing[0]}: there is no such file")
        return files

    def has_weights(self) -> bool:
        """False if weights that it needs are not there (yet)."""
        self.spec()  # anything else that is wrong is an error
        try:
            self.files()
        except PnpError:
            return False
        return True


@dataclass(frozen=True)
class Comparison:
    """What a description says; see benchmarks/README.md."""

    path: Path
    about: str
    data: str
    every: int
    kernels: str
    """Empty: there is no blur, which is a kernel of one tap."""
    groups: dict[str, list[int]]
    scales: list[int]
    sigmas: list[float]
    protocol: str
    metrics: list[str]
    methods: dict[str, Method]
    published: dict[str, list[float]]
    """PSNR of other systems as their authors state it, one for each scale and noise level."""

    @property
    def name(self) -> str:
        """Name of the description, and of its results."""
        return self.path.stem

    def images(self) -> list[Path]:
        """The images compared on, by name."""
        folder = expand(self.data, self.path.parent)
        found = sorted(
            p for p in folder.glob("*") if p.suffix.lower() in (".png", ".jpg", ".tif", ".bmp")
        )
        if not found:
            raise PnpError(
                f"{self.path}: there are no images in {folder}; set the environment variable of '{self.data}'"
            )
        return found[:: self.every]

    def cases(self, limit: int | None = None) -> Iterator[Case]:
        """All observations, image after image; of the first `limit` images, if given."""
        kernels = sorted(number for numbers in self.groups.values() for number in numbers)
        for image in self.images()[:limit]:
            for scale in self.scales:
                for kernel in kernels:
                    for sigma in self.sigmas:
                        yield Case(image, scale, kernel, sigma)

    def identity(self, method: Method, dtype: str) -> dict[str, str]:
        """What a row of this method means, as written to the CSV of the runs."""
        document = _without(method.spec().document.plain(), ("weights", "about", "cite"))
        values = {
            "method": method.name,
            "pipeline": method.pipeline,
            "set": json.dumps(method.set, sort_keys=True) if method.set else "",
            "document": hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[
                :12
            ],
            "given": " ".join(method.given),
            "weights": method.weights or " ".join(file.name for file in method.files()),
            "sha256": " ".join(
                hashlib.sha256(file.read_bytes()).hexdigest() for file in method.files()
            ),
            "data": self.data,
            "kernels": self.kernels,
            "protocol": self.protocol,
            "dtype": dtype,
        }
        return {name: values[name] for name in IDENTITY}


def expand(text: str, beside: Path) -> Path:
    """A path of a description: below a folder of `FOLDERS`, beside the description, or the name of shipped weights."""
    first, _, rest = text.partition("/")
    if first in FOLDERS:
        return Path(os.environ.get(first, ROOT.parent / "shared" / FOLDERS[first])) / rest
    return beside / text if (beside / text).exists() else Path(text)


def read_comparison(path: str | Path) -> Comparison:
    """Read a description; PnpError with file and line for what is wrong in it."""
    path = Path(path)
    node = read_file(path)
    needed = ("about", "data", "scales", "sigmas", "protocol", "metrics", "methods")
    top = _map(node, (*needed, "kernels", "published"), needed)
    data = _map(top["data"], ("folder", "every"), ("folder",))
    kernels = (
        _map(top["kernels"], ("file", "groups"), ("file", "groups")) if "kernels" in top else None
    )
    published = {}
    for name, figures in (_map(top["published"]) if "published" in top else {}).items():
        columns = len(top["scales"].plain()) * len(top["sigmas"].plain())
        published[name] = figures.plain()
        if not figures.is_list or len(published[name]) != columns:
            raise PnpError(
                f"{figures.origin}: a list of {columns} PSNRs is wanted, for each scale the noise levels in turn"
            )
    methods = {}
    for name, entry in _map(top["methods"]).items():
        parts = _map(entry, ("pipeline", "set", "weights", "given"), ("pipeline",))
        plain = {key: part.plain() for key, part in parts.items()}
        given = tuple(plain.get("given", ()))
        unknown = [v for v in given if v not in ("k", "sigma")]
        if unknown:
            raise PnpError(
                f"{parts['given'].origin}: '{unknown[0]}' cannot be given; what is known is k and sigma"
            )
        options = plain.get("set", {})
        methods[name] = Method(
            name, plain["pipeline"], options, plain.get("weights"), given, path.parent
        )
    return Comparison(
        path=path,
        about=top["about"].value,
        data=data["folder"].value,
        every=data["every"].value if "every" in data else 1,
        kernels=kernels["file"].value if kernels else "",
        groups=kernels["groups"].plain() if kernels else {"none": [1]},
        scales=top["scales"].plain(),
        sigmas=[read_noise(value, "sigmas: a level") for value in top["sigmas"].plain()],
        protocol=top["protocol"].value,
        metrics=top["metrics"].plain(),
        methods=methods,
        published=published,
    )


class Results:
    """The measured rows of a comparison and their runs, in two CSV files."""

    def __init__(self, comparison: Comparison, folder: Path | None = None):
        folder = make_folder(folder or comparison.path.parent / "results")
        self.path, self.runs_path = (
            folder / f"{comparison.name}.csv",
            folder / f"{comparison.name}.runs.csv",
        )
        self.columns = ("run", *KEY, *comparison.metrics, "seconds")
        self.runs = {row["run"]: row for row in _read(self.runs_path, RUN)}
        self.rows = {_key(row): row for row in _read(self.path, self.columns)}

    def runs_of(self, method: str) -> list[dict[str, str]]:
        """The runs that rows of a method come from, oldest first."""
        used = {row["run"] for row in self.rows.values() if row["method"] == method}
        return [run for name, run in self.runs.items() if name in used]

    def has(self, method: str, case: Case) -> bool:
        """True if this was measured."""
        return _key(self._written(method, case)) in self.rows

    def add(
        self, run: dict[str, str], case: Case, values: dict[str, float | None], seconds: float
    ) -> None:
        """Append a row, and its run if that is new."""
        digest = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:8]
        if digest not in self.runs:
            self.runs[digest] = {"run": digest, **run}
            _append(self.runs_path, RUN, self.runs[digest])
        row = {"run": digest, **self._written(run["method"], case)}
        row |= {name: "" if value is None else f"{value:.4f}" for name, value in values.items()}
        row["seconds"] = f"{seconds:.3f}"
        self.rows[_key(row)] = row
        _append(self.path, self.columns, row)

    def drop(self, method: str) -> None:
        """Forget the rows of a method, and runs that no row comes from any more."""
        self.rows = {key: row for key, row in self.rows.items() if row["method"] != method}
        used = {row["run"] for row in self.rows.values()}
        self.runs = {name: run for name, run in self.runs.items() if name in used}
        _write(self.path, self.columns, list(self.rows.values()))
        _write(self.runs_path, RUN, list(self.runs.values()))

    @staticmethod
    def _written(method: str, case: Case) -> dict[str, str]:
        values = (method, str(case.scale), f"{case.sigma:g}", str(case.kernel), case.image.stem)
        return dict(zip(KEY, values, strict=True))


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def _read(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The whole rows of a CSV file; a last line that was cut off is removed from the file."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or columns) != columns:
        raise PnpError(
            f"{path}: its columns are {', '.join(reader.fieldnames or ())}, but {', '.join(columns)} are wanted"
        )
    return list(reader)


def _append(path: Path, columns: tuple[str, ...], row: dict[str, str]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def _write(path: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _map(node: Node, known: tuple[str, ...] = (), needed: tuple[str, ...] = ()) -> dict[str, Node]:
    """The entries of a map; PnpError for keys that are unknown or lacking."""
    if not node.is_map:
        raise PnpError(
            f"{node.origin}: a map is wanted here"
            + (f" with the keys {', '.join(known)}" if known else "")
        )
    for key, value in node.value.items():
        if known and key not in known:
            raise PnpError(f"{value.origin}: there is no key '{key}'; {hint(key, known, 'keys')}")
    for key in needed:
        if key not in node.value:
            raise PnpError(f"{node.origin}: the key '{key}' is lacking; keys: {', '.join(known)}")
    return node.value


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(v, keys) for key, v in value.items() if key not in keys}
    return value
