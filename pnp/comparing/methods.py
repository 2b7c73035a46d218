"""The rows of the tables: a pipeline with its options, weights and the true values it receives; or
results made elsewhere; or a Python function.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pnp.checkpoints import find_weights
from pnp.comparing.places import expand
from pnp.document import Node
from pnp.errors import PipelineError, PnpError, Problem
from pnp.headers import tensors_digest
from pnp.language.reader import spec_within
from pnp.language.spec import Spec
from pnp.options import Noise

DIGITS = 12
"""Of the digests in rows."""
BASE = "base"
"""As a pipeline: the `base` of the comparison."""


@dataclass(frozen=True)
class Method:
    """A row of the tables."""

    name: str
    document: Node
    base: Node | None = None
    """The pipeline that is called `base`."""
    changes: Node | None = None
    """Changes of the base."""
    pipeline: str | list[str] = ""
    set: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    first: str | None = None
    """A pipeline that the observation goes through before."""
    then: str | None = None
    """A pipeline that the result goes through afterwards."""
    given: tuple[Literal["k", "sigma"], ...] | dict[str, Noise | bool] = ()
    """The true values that it receives, or a map of values, in which `true` is the true one."""
    external: str | None = None
    """A folder of results made elsewhere."""
    pattern: str = "{image}_x{scale}.png"
    """The names of its files, with image, scale, kernel, sigma in braces."""
    call: str | None = None
    """A Python function: `file.py:function` or `module:function`."""

    @property
    def shown(self) -> str:
        """What it runs, in words."""
        if self.external is not None:
            return self.external
        if self.call is not None:
            return self.call
        named = [self.pipeline] if isinstance(self.pipeline, str) else self.pipeline
        real = [self.base.value if n == BASE and self.base is not None else n for n in named]
        chain = [self.first, " with ".join(real), self.then]
        return ", then ".join(name for name in chain if name)

    def specs(self) -> list[Spec]:
        """The pipelines that it runs, one after the other."""
        around = [
            [spec_within(node, None, self.name)] if node is not None else []
            for node in map(self.document.value.get, ("first", "then"))
        ]
        return [*around[0], self.spec(), *around[1]]

    def problems(self) -> list[Problem]:
        """What is wrong with it, but for weights that do not exist; a function is not imported."""
        if self.call is not None:
            if not self.call.rpartition(":")[0].endswith(".py") or self.files():
                return []
            message = f"{self.name}: call {self.call}: there is no such file"
            return [Problem(self.document.value["call"].origin, message)]
        if self.external is not None:
            node = self.document.value["external"]
            if expand(node).is_dir():
                return []
            message = f"{self.name}: external {self.external}: there is no such folder"
            return [Problem(node.origin, message)]
        try:
            self.specs()
        except PipelineError as e:
            return list(e.problems)
        return list(self._wrongly_told())

    def _wrongly_told(self) -> Iterator[Problem]:
        """Values that the pipeline does not take, or needs and does not get."""
        takes, told = {g.name: g.default is None for g in self.spec().given}, self.told()
        origin = self.document.value.get("given", self.document).origin
        for name in told:
            if name not in takes:
                cure = f"the pipeline {self.shown} takes {', '.join(takes)}"
                yield Problem(origin, f"{self.name}: {name} cannot be given", cure)
        needed = [n for n, must in takes.items() if must and n not in ("y", "s", *told)]
        if needed:
            message = f"{self.name}: the pipeline {self.shown} needs {' and '.join(needed)}"
            cure = f"write 'given: [{', '.join([*told, *needed])}]' to give the true values"
            yield Problem(origin, message, cure)

    def spec(self) -> Spec:
        """The pipeline, checked."""
        entry = self.document.value
        written = entry.get("set")
        uses_base = self.base is not None and BASE in (
            [self.pipeline] if isinstance(self.pipeline, str) else self.pipeline
        )
        changes = dict(self.changes.value) if uses_base and self.changes is not None else {}
        changes |= dict(written.value) if written is not None else {}
        if self.weights is not None:
            origin = entry["weights"].origin
            changes["weights"] = Node(str(expand(entry["weights"])), origin)
        pipeline = _with_base(entry["pipeline"], self.base)
        return spec_within(pipeline, Node(changes, self.document.origin), self.name)

    def files(self) -> list[Path]:
        """The files of its weights; PnpError if one does not exist."""
        if self.external is not None:
            return []
        if self.call is not None:
            file = Path(self.call.rpartition(":")[0])
            beside = (self.document.origin.folder or Path()) / file
            return [f for f in (beside, file) if f.is_file()][:1]
        specs = self.specs()
        named = [m.weights for spec in specs for m in spec.modules.values()]
        named += [spec.weights for spec in specs]
        sources = {node.value for node in named if node is not None}
        files = [find_weights(source)[0] for source in sorted(sources)]
        missing = [file for file in files if not file.is_file()]
        if missing:
            raise PnpError(f"{missing[0]}: there is no such file")
        return files

    def has_weights(self) -> bool:
        """False if weights that it needs do not exist (yet)."""
        if self.external is not None or self.call is not None:
            return True
        self.specs()  # raises any other problem
        try:
            self.files()
        except PnpError:
            return False
        return True

    def told(self) -> dict[str, Noise | bool]:
        """The values that it receives: True for the true value."""
        return self.given if isinstance(self.given, dict) else dict.fromkeys(self.given, True)

    def file_name(self, image: str, scale: int, kernel: str, sigma: float) -> str:
        """The name of the result of an observation; PnpError if the pattern cannot be used."""
        words = {
            "image": image,
            "scale": scale,
            "kernel": kernel.replace(":", "-"),
            "sigma": _Level(sigma),
        }
        try:
            return self.pattern.format(**words)
        except (LookupError, ValueError, AttributeError, TypeError) as e:
            raise PnpError(
                f"pattern '{self.pattern}' cannot be used ({e}); "
                f"words in braces: {', '.join(words)}"
            ) from None

    def identity(self) -> dict[str, str]:
        """What makes this method the one that it is, as columns of a row."""
        told = {n: v for n, v in self.told().items() if v is not False}
        files = self.files()
        if self.external is not None or self.call is not None:
            document: Any = {
                "external": self.external and Path(self.external).name,
                "pattern": self.pattern,
                "call": self.call and Path(self.call).name,
            }
        else:
            plain = [spec.document.plain() for spec in self.specs()]
            documents = [_without(text, ("weights", "about", "cite")) for text in plain]
            document = documents[0] if len(documents) == 1 else documents
        return {
            "method": self.name,
            "pipeline": self.shown if self.external is None else Path(self.external).name,
            "set": json.dumps(_named(self.set), sort_keys=True) if self.set else "",
            "document": _sha256(json.dumps(document, sort_keys=True).encode())[:DIGITS],
            "given": " ".join(n if v is True else f"{n}={v:g}" for n, v in told.items()),
            "weights": self.weights or " ".join(file.name for file in files),
            "sha256": " ".join(tensors_digest(file)[:DIGITS] for file in files),
            "modules": self._modules(),
        }

    def _modules(self) -> str:
        """Which module has which weights, by their digests; `none` without weights."""
        if self.external is not None or self.call is not None:
            return "none"
        found = []
        for spec in self.specs():
            named = {symbol: module.weights for symbol, module in spec.modules.items()}
            for symbol, node in ({"weights": spec.weights} | named).items():
                if node is not None:
                    file, part = find_weights(node.value)
                    digest = tensors_digest(file)[:DIGITS]
                    found.append(f"{symbol}={digest}" + (f"#{part}" if part else ""))
        return " ".join(found) or "none"


class _Level(float):
    """A number that is written as short as it can be: 0.02, 0.0196078."""

    def __format__(self, form: str) -> str:
        return super().__format__(form or "g")


def _with_base(pipeline: Node, base: Node | None) -> Node:
    """The names of a pipeline, with that of the base in place of `base`."""
    if pipeline.is_list:
        return Node([_with_base(item, base) for item in pipeline.value], pipeline.origin)
    return base if pipeline.value == BASE and base is not None else pipeline


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _named(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes with files of weights by their names, wherever they are."""
    return {
        key: _named(value)
        if isinstance(value, dict)
        else Path(value).name
        if key.rpartition(".")[2] == "weights" and isinstance(value, str)
        else value
        for key, value in changes.items()
    }


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(v, keys) for key, v in value.items() if key not in keys}
    return value
