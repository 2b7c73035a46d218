"""A training recipe: which modules of which pipeline learn what, from which degradations, for how
long.

    about: Gaussian denoising
    pipeline: denoise
    train: [P]
    losses: [{l1: x}]

The sections of a recipe are the dataclasses of this file, and their annotations say what may be
written; `recipe_reader` reads them from YAML.  docs/training.md describes all keys.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pnp.checkpoints import split_source
from pnp.degradations import Degradations
from pnp.document import Node
from pnp.errors import Origin
from pnp.language.spec import Spec
from pnp.options import Count, Positive, Range, Seed

GROUND_TRUTH = ("x", "y", "k", "sigma", "s")
"""What a training batch contains: image, observation, kernel, noise level, scale."""
Measure: TypeAlias = Literal["l1", "l2", "log", "kernel"]
Share: TypeAlias = Annotated[float, Range(at_least=0, below=1)]
Minutes: TypeAlias = Annotated[float, Range(at_least=0)]


@dataclass(frozen=True)
class Optimiser:
    """Adam or Muon, the gradient cut to a norm of `clip`."""

    method: Literal["adam", "muon"] = "adam"
    lr: Positive = 1e-4
    betas: tuple[Share, Share] = (0.9, 0.99)
    clip: Positive = 1.0


@dataclass(frozen=True)
class Schedule:
    """Learning rate: a linear rise, constant, halved at intervals, decayed to zero if final."""

    warmup: Annotated[int, Range(at_least=0)] = 200
    halve: Count | None = None
    decay: Annotated[float, Range(above=0, at_most=1)] = 0.35
    """The last fraction of a run over which a final run decays linearly to zero."""
    final: bool = False


@dataclass(frozen=True)
class Validation:
    """How many images are kept out of the training data, and how often they are restored."""

    images: Count = 8
    crop: Count = 96
    minutes: float = 2.0
    seed: Seed = 1234


@dataclass(frozen=True)
class Loss:
    """weight * mean |output - target|; squared for l2, of logarithms for log (levels, whose
    relative error counts), or the distance of kernels `objective.kernel_distance`.

    At the end, in every iteration (their mean), or weighted by iteration; with `mirror`, to the
    nearer of a kernel and its mirror image.  With a `quantile` q, log minimises the pinball loss

        2 max(q e, (q - 1) e),   e = log target - log output

    so the output becomes the q quantile of what the target may be; 1/2 is the median.
    """

    measure: Measure
    output: str
    """The compared variable of the pipeline, or part of a module."""
    target: str
    iterations: Literal["last", "all"] | tuple[float, ...] = "last"
    weight: float = 1.0
    mirror: bool = False
    quantile: Annotated[float, Range(above=0, below=1)] = 0.5
    origin: Origin = field(default=Origin(""))


@dataclass(frozen=True)
class Recipe:
    """A recipe, read and checked."""

    name: str
    spec: Spec
    train: tuple[str, ...]
    losses: tuple[Loss, ...]
    document: Node
    about: str = ""
    changes: tuple[str, ...] = ()
    """The assignments 'key=value' of `--set` that were made to it."""
    overlays: tuple[str, ...] = ()
    """The recipes of `--with` that were put over it."""
    start: Mapping[str, Node] = field(default_factory=dict)
    """Starting weights by symbol or part of a module ('I.decoder'); '' stands for every network."""
    degradations: Degradations = field(default_factory=Degradations)
    shares: tuple[float, ...] = (1.0,)
    """How often each of the scales is drawn."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    validation: Validation = field(default_factory=Validation)
    batch: Count = 16
    crop: Count = 96
    precision: Literal["bf16", "fp32"] = "fp32"
    compile: bool = False
    recompute: bool = False
    ema: Share = 0.999
    steps: Count | None = None
    minutes: Minutes | None = None
    save: Minutes = 2.0
    log: Count = 10
    seed: Seed = 0

    @property
    def given(self) -> tuple[str, ...]:
        """The true values that the pipeline is given."""
        return tuple(g.name for g in self.spec.given if g.name in GROUND_TRUTH)

    @property
    def needs_images(self) -> bool:
        """False for a recipe that learns from kernels alone."""
        return bool({"x", "y", "sigma"} & {*self.given, *(loss.target for loss in self.losses)})

    @property
    def range(self) -> dict[str, Any]:
        """Scales, if its pipeline has one, the largest noise level of its observations, and whether
        there is JPEG among them."""
        scales = {"scales": sorted(self.degradations.scales)}
        has_scale = any(g.name == "s" for g in self.spec.given)
        jpeg = {"jpeg": True} if self.degradations.jpeg else {}
        return {**(scales if has_scale else {}), "noise": float(self.degradations.noise), **jpeg}

    @property
    def command(self) -> str:
        """Its name with `--with` and `--set`, as they are written after `pnp train`."""
        over = [f"--with {shlex.quote(o)}" for o in self.overlays]
        return " ".join([self.name, *over, *(f"--set {shlex.quote(c)}" for c in self.changes)])

    def files(self) -> list[tuple[str, str]]:
        """The files that it names, and what they are."""
        modules = [m.weights for m in self.spec.modules.values()]
        nodes = [node for node in (self.spec.weights, *modules) if node is not None]
        named = [(node, "weights") for node in nodes]
        named += [(node, "starting weights") for node in self.start.values()]
        files = [(split_source(str(node.value))[0], role) for node, role in named]
        return [(self.document.origin.file, "recipe"), *files]

    def line(self, *keys: str) -> Origin:
        """Where a key is written, for messages."""
        node = self.document
        for key in keys:
            node = node.value.get(key, node) if node.is_map else node
        return node.origin

    def identity(self) -> dict[str, Any]:
        """What a checkpoint of this recipe must agree in: networks, steps, what trains, losses."""
        spec = self.spec
        modules = {
            symbol: {m.role: m.name, **{k: _plain(v) for k, v in m.options.items()}}
            for symbol, m in spec.modules.items()
        }
        return {
            "modules": modules,
            "steps": [str(step) for step in spec.steps()],
            "repeat": [stage.repeat for stage in spec.stages],
            "train": list(self.train),
            "losses": [
                f"{loss.measure} {loss.output} {loss.target} {loss.iterations}"
                + " mirror" * loss.mirror
                for loss in self.losses
            ],
        }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
