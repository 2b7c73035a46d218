"""A pipeline after reading: a `Spec` of steps, modules and stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pnp.document import Node
from pnp.errors import Origin
from pnp.interfaces import Kind

KEYS = (
    "about",
    "cite",
    "extends",
    "variants",
    "given",
    "modules",
    "weights",
    "freeze",
    "before",
    "start",
    "repeat",
    "steps",
    "stages",
    "swap",
    "after",
    "return",
)
"""The keys of a pipeline, in the order in which they are applied."""
LOOP_KEYS = ("start", "repeat", "steps", "swap")
"""The keys of a loop, in a pipeline of one loop or in one of `stages`."""
STAGE_KEYS = (*LOOP_KEYS, "times", "while")
"""The keys of one of `stages`."""
KIND_OF_NAME = {
    **dict.fromkeys(("y", "x", "z", "mask"), "image"),
    **dict.fromkeys(("k", "w"), "kernel"),
    **dict.fromkeys(("sigma", "alpha", "beta"), "level"),
    "s": "number",
}
"""Names whose kind is known without `name: kind` in `given`."""


@dataclass(frozen=True)
class Variable:
    """An input that is a variable, or one level of a schedule, `name[i]` or `name[0]`."""

    name: str
    index: str | int | None = None

    def __str__(self) -> str:
        return self.name if self.index is None else f"{self.name}[{self.index}]"


@dataclass(frozen=True)
class Step:
    """One line: outputs = module(inputs); an input is a `Variable` or a number."""

    outputs: tuple[str, ...]
    module: str
    inputs: tuple[Variable | int | float, ...]
    origin: Origin

    def __str__(self) -> str:
        inputs = ", ".join(map(str, self.inputs))
        return f"{', '.join(self.outputs)} = {self.module}({inputs})"


@dataclass(frozen=True)
class Given:
    """A variable that the caller gives; `default`: a step or a number, or None."""

    name: str
    kind: Kind
    default: Step | int | float | None
    origin: Origin


@dataclass(frozen=True)
class ModuleSpec:
    """A module of a pipeline: its symbol, registry, registered name, options and weights."""

    symbol: str
    role: str
    name: str
    options: dict[str, Any]
    weights: Node | None
    origin: Origin


@dataclass(frozen=True)
class Swap:
    """In iterations first <= i < last (of the whole stage) other modules stand in for some."""

    first: int
    last: int
    replacements: dict[str, str]
    """The symbols of the replaced modules, and of those that are called in their place."""
    origin: Origin


@dataclass(frozen=True)
class Watched:
    """A stage is left out, and not repeated, if its start leaves this variable as it is."""

    name: str
    origin: Origin


@dataclass(frozen=True)
class Stage:
    """`start` once, then `steps` `repeat` times, with modules swapped in some of the iterations."""

    start: tuple[Step, ...]
    repeat: int
    steps: tuple[Step, ...]
    swap: tuple[Swap, ...]
    watched: Watched | None = None

    def active(self, symbol: str, i: int) -> str:
        """The symbol of the module that is called in place of `symbol` in iteration i."""
        for swap in self.swap:
            if swap.first <= i < swap.last:
                symbol = swap.replacements.get(symbol, symbol)
        return symbol


@dataclass(frozen=True)
class Spec:
    """A pipeline, read, merged and checked; `Pipeline` is built from it."""

    name: str
    document: Node
    about: str = ""
    cite: tuple[str, ...] = ()
    given: tuple[Given, ...] = ()
    modules: dict[str, ModuleSpec] = field(default_factory=dict)
    weights: Node | None = None
    freeze: tuple[str, ...] = ()
    before: tuple[Step, ...] = ()
    stages: tuple[Stage, ...] = ()
    after: tuple[Step, ...] = ()
    returns: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """The kind of each variable, as the checker found it."""
    called: frozenset[str] = frozenset()
    """The symbols that steps call, including the replacements of `swap`."""

    def steps(self) -> Iterable[Step]:
        """All steps of the pipeline, each once."""
        yield from (g.default for g in self.given if isinstance(g.default, Step))
        yield from self.before
        for stage in self.stages:
            yield from stage.start
            yield from stage.steps
        yield from self.after

    @property
    def iterations(self) -> int:
        """Number of iterations of all stages together."""
        return sum(stage.repeat for stage in self.stages)

    def line(self, key: str) -> Origin:
        """Where a key of the pipeline is written, for messages."""
        node: Node = self.document.value.get(key, self.document)
        return node.origin
