"""A training recipe: which letters of which pipeline learn what, from which degradations, for how
long.

Read like a pipeline: nothing runs, every value keeps its line, all problems are reported at once.

    about: Gaussian denoising
    pipeline: {given: [y, sigma], modules: {P: {prior: drunet}}, after: ["x = P(y, sigma)"], return: [x]}
    train: [P]
    losses: [{l1: x}]

`pipeline` is a name, a file, or a pipeline written out; `set` changes it by dotted keys, as `--set`
does.  A loss compares a variable of the pipeline, or the output of a part of a module
(`I.encoder`), with the truth of that name, or with `target`.  docs/training.md describes all keys;
the sections are the dataclasses of this file.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

from pnp.degradations import Degradations
from pnp.document import Node, read_file, read_text, scalar
from pnp.errors import Origin, PipelineError, PnpError, Problem, hint
from pnp.interfaces import KINDS, signature_of
from pnp.language.reader import PIPELINES, spec_of
from pnp.language.spec import KEYS as PIPELINE_KEYS
from pnp.language.spec import KIND_OF_NAME, Spec
from pnp.options import convert
from pnp.registry import REGISTRIES

TRUTHS = ("x", "y", "k", "sigma", "s")
"""What a training batch holds: image, observation, kernel, noise level, scale."""
PACKAGE = "pnp.training.recipes"


Measure = Literal["l1", "l2", "log", "kernel"]


@dataclass(frozen=True)
class Optimiser:
    """Adam or Muon, the gradient cut to a norm of `clip`."""

    method: Literal["adam", "muon"] = "adam"
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """Learning rate: a linear rise, then held; halved every so many steps; decayed to zero at the end if `final`."""

    warmup: int = 200
    halve: int | None = None
    decay: float = 0.35
    """The last fraction of a run over which a final run decays linearly to zero."""
    final: bool = False


@dataclass(frozen=True)
class Validation:
    """The images that are held out of the training data, and how often they are restored."""

    images: int = 8
    crop: int = 96
    minutes: float = 2.0
    seed: int = 1234


@dataclass(frozen=True)
class Loss:
    """weight * mean |of - target|, squared for l2, of logarithms for log (levels, whose relative error
    counts), or the distance of kernels `losses.kernel_distance`.

    At the end, in every iteration (their mean), or weighted by iteration; with `mirror`, to the
    nearer of a kernel and its mirror image.
    """

    measure: Measure
    of: str
    target: str
    iterations: str | tuple[float, ...]
    weight: float
    mirror: bool
    origin: Origin


@dataclass(frozen=True)
class Recipe:
    """A recipe that has been read and checked."""

    name: str
    spec: Spec
    train: tuple[str, ...]
    losses: tuple[Loss, ...]
    document: Node
    about: str = ""
    changes: tuple[str, ...] = ()
    """The assignments 'key=value' that were made to it."""
    start: Mapping[str, Node] = field(default_factory=dict)
    """Starting weights by letter or part of a module ('I.decoder'); '' stands for every network."""
    degradations: Degradations = field(default_factory=Degradations)
    shares: tuple[float, ...] = (1.0,)
    """How often each of the scales is drawn."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    validation: Validation = field(default_factory=Validation)
    batch: int = 16
    crop: int = 96
    precision: Literal["bf16", "fp32"] = "fp32"
    compile: bool = False
    recompute: bool = False
    ema: float = 0.999
    steps: int | None = None
    minutes: float | None = None
    save: float = 2.0
    log: int = 10
    seed: int = 0

    @property
    def given(self) -> tuple[str, ...]:
        """The true values that the pipeline is given."""
        return tuple(g.name for g in self.spec.given if g.name in TRUTHS)

    @property
    def needs_images(self) -> bool:
        """False for a recipe that learns from kernels alone."""
        return bool({"x", "y", "sigma"} & {*self.given, *(loss.target for loss in self.losses)})

    def line(self, *keys: str) -> Origin:
        """Where a key is written, for messages."""
        node = self.document
        for key in keys:
            node = node.value.get(key, node) if node.is_map else node
        return node.origin

    def identity(self) -> dict[str, Any]:
        """What makes a checkpoint one of this recipe: the networks, the steps, what trains and for what."""
        spec = self.spec
        modules = {
            letter: {m.word: m.name, **{k: _plain(v) for k, v in m.options.items()}}
            for letter, m in spec.modules.items()
        }
        return {
            "modules": modules,
            "steps": [str(step) for step in spec.steps()],
            "repeat": [stage.repeat for stage in spec.stages],
            "train": list(self.train),
            "losses": [
                f"{loss.measure} {loss.of} {loss.target} {loss.iterations}{' mirror' * loss.mirror}"
                for loss in self.losses
            ],
        }


_SCALARS = (
    "batch",
    "crop",
    "precision",
    "compile",
    "recompute",
    "ema",
    "steps",
    "minutes",
    "save",
    "log",
    "seed",
)
_SECTIONS = {"optimiser": Optimiser, "schedule": Schedule, "validation": Validation}
KEYS = (
    "about",
    "extends",
    "pipeline",
    "set",
    "train",
    "freeze",
    "start",
    "losses",
    "degradations",
    *_SECTIONS,
    *_SCALARS,
)


def names() -> list[str]:
    """The recipes that come with pnp."""
    return sorted(
        p.name.removesuffix(".yaml") for p in files(PACKAGE).iterdir() if p.name.endswith(".yaml")
    )


def load_recipe(name: str | Path, assignments: Iterable[str] = ()) -> Recipe:
    """The recipe of a name or a YAML file, with assignments 'key=value' as of `--set`;
    PipelineError with all problems.

    An assignment whose key is none of a recipe's keys is one to the pipeline:
    'modules.P.nc=[8,8,8,8]', 'repeat=2'.
    """
    changes = tuple(assignments)
    document, folder = _inherit(str(name), None, ())
    document = reduce(_assign, changes, document)
    return replace(_Reader(Path(str(name)).stem, document, folder).read(), changes=changes)


def _inherit(name: str, origin: Origin | None, seen: tuple[str, ...]) -> tuple[Node, Path]:
    """The document of a recipe over those that it extends, and the folder of the first of them."""
    beside = Path(seen[-1]).parent if seen else Path()
    path, shown = _locate(name, beside, origin)
    if str(path) in seen:
        raise PipelineError(
            [Problem(origin or Origin(shown), f"'{name}' extends itself", "end the circle")]
        )
    document = read_file(path, shown)
    if not document.is_map:
        raise PipelineError(
            [Problem(document.origin, "a recipe is a map of keys", f"keys: {', '.join(KEYS)}")]
        )
    parent = document.value.get("extends")
    if parent is None:
        return document, path.parent
    base, folder = _inherit(str(parent.value), parent.origin, (*seen, str(path)))
    return _layer(base, document), folder


def _locate(name: str, beside: Path, origin: Origin | None) -> tuple[Path, str]:
    if name.endswith((".yaml", ".yml")):
        path = beside / Path(name).expanduser()
        if path.is_file():
            return path, name
        problem = f"{name}: there is no such file"
    elif name in names():
        with as_file(files(PACKAGE) / f"{name}.yaml") as path:
            return path, f"{name}.yaml"
    else:
        problem = f"there is no recipe called '{name}'"
    if origin is None:
        raise PnpError(f"{problem}; {hint(name, names(), 'recipes')}")
    raise PipelineError([Problem(origin, problem, hint(name, names(), "recipes"))])


def _layer(base: Node, layer: Node) -> Node:
    """A recipe over another: maps merge by key (but not the pipeline), anything else replaces, null removes."""
    merged = dict(base.value)
    for key, node in layer.value.items():
        if node.value is None:
            merged.pop(key, None)
        elif node.is_map and key != "pipeline" and key in merged and merged[key].is_map:
            merged[key] = Node({**merged[key].value, **node.value}, node.origin)
        elif key != "extends":
            merged[key] = node
    return Node(merged, base.origin)


def _assign(document: Node, text: str) -> Node:
    """One `--set key=value`; what is no key of a recipe is a change of its pipeline."""
    key, equals, value = (part.strip() for part in text.partition("="))
    origin = Origin(f"--set {text}")
    if not equals or not key:
        raise PnpError(
            f"--set {text}: write it as key=value, for example --set batch=4 or --set modules.P.nb=1"
        )
    node = _located(read_text(value, origin.file), origin) if value[:1] in tuple("[{\"'") else None
    node = node or Node(scalar(value), origin)
    first, _, rest = key.partition(".")
    if first not in KEYS:
        if first not in PIPELINE_KEYS:
            known = sorted({*KEYS, *PIPELINE_KEYS})
            raise PipelineError(
                [
                    Problem(
                        origin,
                        f"neither a recipe nor a pipeline has a key '{first}'",
                        hint(first, known, "keys"),
                    )
                ]
            )
        first, rest = "set", key
    if rest:
        node = Node({rest: node}, origin)
    return _layer(document, Node({first: node}, origin))


def _located(node: Node, origin: Origin) -> Node:
    if node.is_map:
        return Node({k: _located(v, origin) for k, v in node.value.items()}, origin)
    return Node([_located(v, origin) for v in node.value] if node.is_list else node.value, origin)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class _Reader:
    """Reads the parts of a recipe; what is wrong is noted in `problems` and reading goes on."""

    def __init__(self, name: str, document: Node, folder: Path):
        self.name, self.document, self.folder = name, document, folder
        self.problems: list[Problem] = []

    def say(self, origin: Origin, message: str, cure: str = "") -> None:
        self.problems.append(Problem(origin, message, cure))

    def get(self, key: str) -> Node | None:
        node: Node | None = self.document.value.get(key)
        return node

    def read(self) -> Recipe:
        for key, node in self.document.value.items():
            if key not in KEYS:
                self.say(node.origin, f"a recipe has no key '{key}'", hint(key, KEYS, "keys"))
        spec = self.pipeline()
        known = spec or Spec("", self.document)
        values: dict[str, Any] = {
            "name": self.name,
            "document": self.document,
            "spec": known,
            "train": self.train(spec),
            "losses": self.losses(spec),
            "start": self.start(spec),
        }
        hints = typing.get_type_hints(Recipe, include_extras=True)
        for key in ("about", *_SCALARS):
            if (node := self.get(key)) is not None:
                self.option(values, key, hints[key], node)
        for key, cls in _SECTIONS.items():
            values[key] = self.section(key, cls)
        values["degradations"], values["shares"] = self.degradations()
        if not self.problems:
            recipe = Recipe(**values)
            self.ranges(recipe)
            if spec is not None:
                self.kernels(recipe)
        if self.problems:
            self.problems.sort(key=lambda p: (p.origin.file, p.origin.line or 0))
            raise PipelineError(self.problems)
        return recipe

    def option(self, values: dict[str, Any], key: str, annotation: Any, node: Node) -> None:
        try:
            values[key] = convert(annotation, node.plain())
        except PnpError as e:
            self.say(node.origin, f"{key} {e}")

    def section(self, key: str, cls: type[Any]) -> Any:
        node = self.get(key)
        if node is None:
            return cls()
        if not node.is_map:
            self.say(
                node.origin,
                f"{key} wants a map",
                f"keys: {', '.join(f.name for f in dataclasses.fields(cls))}",
            )
            return cls()
        known = {f.name for f in dataclasses.fields(cls)}
        hints = typing.get_type_hints(cls, include_extras=True)
        values: dict[str, Any] = {}
        for name, value in node.value.items():
            if name in known:
                self.option(values, name, hints[name], value)
            else:
                self.say(value.origin, f"{key} has no key '{name}'", hint(name, known, "keys"))
        try:
            return cls(**values)
        except PnpError as e:
            self.say(node.origin, str(e))
            return cls()

    def degradations(self) -> tuple[Degradations, tuple[float, ...]]:
        """The degradations, and the shares of their scales: `scales: [2, 4]`, or `scales: {2: 0.25, 4: 0.75}`."""
        node, shares = self.get("degradations"), None
        scales = node.value.get("scales") if node is not None and node.is_map else None
        if node is not None and scales is not None and scales.is_map:
            numbers = {key: value.value for key, value in scales.value.items()}
            if not all(k.isdigit() and _share(v) for k, v in numbers.items()) or not sum(
                numbers.values()
            ):
                self.say(
                    scales.origin,
                    "scales wants a list, or shares by scale",
                    "for example {1: 0.1, 2: 0.9}",
                )
                numbers = {"1": 1.0}
            shares = tuple(float(v) for v in numbers.values())
            listed = Node([Node(int(k), scales.origin) for k in numbers], scales.origin)
            changed = Node({**node.value, "scales": listed}, node.origin)
            self.document = Node(
                {**self.document.value, "degradations": changed}, self.document.origin
            )
        made: Degradations = self.section("degradations", Degradations)
        return made, shares or (1.0,) * len(made.scales)

    def pipeline(self) -> Spec | None:
        node = self.get("pipeline")
        if node is None:
            self.say(
                self.document.origin,
                "the recipe does not say which pipeline",
                "add a line: pipeline: usrnet",
            )
            return None
        try:
            if node.is_map:
                document = PIPELINES.extended(node)
            elif isinstance(node.value, str):
                beside = self.folder / node.value
                document = PIPELINES.read(str(beside) if beside.is_file() else node.value)
            else:
                self.say(node.origin, "pipeline wants a name, a file, or the keys of a pipeline")
                return None
        except PipelineError as e:
            self.problems += e.problems
            return None
        except PnpError as e:
            self.say(node.origin, str(e))
            return None
        changes = self.get("set")
        if changes is not None and not changes.is_map:
            self.say(
                changes.origin,
                "set wants a map of changes",
                "for example {repeat: 4, modules.P.nb: 1}",
            )
            changes = None
        try:
            document = reduce(
                lambda d, item: PIPELINES.assign(d, *item),
                (changes.value if changes else {}).items(),
                document,
            )
            return spec_of(document, str(node.value) if not node.is_map else self.name)
        except PipelineError as e:
            self.problems += e.problems
            return None

    def words(self, key: str) -> list[tuple[str, Origin]]:
        node = self.get(key)
        items = [] if node is None else node.value if node.is_list else [node]
        for item in items:
            if not isinstance(item.value, str):
                self.say(
                    item.origin,
                    f"{key} wants letters of the pipeline",
                    f"for example '{key}: [P, H]'",
                )
        return [(item.value, item.origin) for item in items if isinstance(item.value, str)]

    def letter(self, name: str, origin: Origin, spec: Spec | None, what: str) -> str | None:
        """The letter of 'P' or 'I.encoder', if the pipeline has it."""
        letter = name.partition(".")[0]
        if spec is not None and letter not in spec.modules:
            self.say(
                origin,
                f"there is no module '{letter}' to {what}",
                hint(letter, spec.modules, "modules"),
            )
            return None
        return letter

    def train(self, spec: Spec | None) -> tuple[str, ...]:
        trained, frozen = self.words("train"), self.words("freeze")
        if not trained:
            self.say(
                (self.get("train") or self.document).origin,
                "the recipe trains nothing",
                "name the letters that learn, as in 'train: [P, H]'",
            )
        for name, origin in frozen:
            self.letter(name, origin, spec, "freeze")
        for name, origin in trained:
            letter = self.letter(name, origin, spec, "train")
            if letter is None:
                continue
            if name in (f for f, _ in frozen) or letter in (f for f, _ in frozen):
                self.say(
                    origin,
                    f"'{name}' is to be trained, but it is also frozen",
                    "take it out of one of the lists",
                )
            elif spec is not None and letter in spec.freeze:
                cure = f"take {letter} out of the pipeline's 'freeze', or train another letter"
                self.say(
                    origin,
                    f"'{name}' is to be trained, but the pipeline {spec.name} freezes it",
                    cure,
                )
            elif spec is not None and letter not in _called(spec):
                self.say(origin, f"'{name}' is to be trained, but no step of {spec.name} calls it")
        return tuple(name for name, _ in trained)

    def start(self, spec: Spec | None) -> dict[str, Node]:
        node = self.get("start")
        if node is None:
            return {}
        sources = node.value if node.is_map else {"": node}
        for target, source in sources.items():
            if not isinstance(source.value, str):
                self.say(
                    source.origin,
                    "start wants files of weights",
                    "for example 'start: {P: runs/a/weights.safetensors}'",
                )
            elif target:
                self.letter(target, source.origin, spec, "start from weights")
        return {
            target: source for target, source in sources.items() if isinstance(source.value, str)
        }

    def losses(self, spec: Spec | None) -> tuple[Loss, ...]:
        node = self.get("losses")
        if node is None or not node.is_list or not node.value:
            self.say(
                node.origin if node else self.document.origin,
                "there are no losses",
                "add 'losses: [{l1: x}]'",
            )
            return ()
        read = [self.loss(item, spec) for item in node.value]
        return tuple(loss for loss in read if loss is not None)

    def loss(self, item: Node, spec: Spec | None) -> Loss | None:
        form = "for example {l1: x}, {l2: k, iterations: all, weight: 100} or {l2: I.encoder, target: A.encoder}"
        kinds = [k for k in typing.get_args(Measure) if item.is_map and k in item.value]
        if len(kinds) != 1 or not isinstance(item.value[kinds[0]].value, str):
            self.say(item.origin, "a loss says l1, l2, log or kernel, and of what", form)
            return None
        unknown = [
            k for k in item.value if k not in (*kinds, "target", "iterations", "weight", "mirror")
        ]
        for key in unknown:
            self.say(item.value[key].origin, f"a loss has no key '{key}'", form)
        of = item.value[kinds[0]].value
        values: dict[str, Any] = {
            "target": of,
            "iterations": "last",
            "weight": 1.0,
            "mirror": False,
        }
        wanted = {
            "target": str,
            "iterations": str | tuple[float, ...],
            "weight": float,
            "mirror": bool,
        }
        for key, annotation in wanted.items():
            if key in item.value:
                self.option(values, key, annotation, item.value[key])
        loss = Loss(kinds[0], of, **values, origin=item.origin)
        if spec is not None:
            self.check_loss(loss, spec)
        return loss

    def check_loss(self, loss: Loss, spec: Spec) -> None:
        kinds = _kinds(spec)
        for name in (loss.of, loss.target):
            if "." in name:
                self.letter(name, loss.origin, spec, "compare the output of")
            elif name not in kinds and not (name == loss.target and name in TRUTHS):
                self.say(
                    loss.origin,
                    f"the pipeline has no variable '{name}'",
                    hint(name, kinds, "variables"),
                )
            elif name is loss.of and not spec.stages and name not in spec.returns:
                self.say(
                    loss.origin,
                    f"'{name}' is not returned by the pipeline",
                    f"returned: {', '.join(spec.returns)}",
                )
        of = kinds.get(loss.of)
        target = KIND_OF_NAME[loss.target] if loss.target in TRUTHS else kinds.get(loss.target)
        if of is not None and target is not None and of != target:
            self.say(
                loss.origin, f"'{loss.of}' is {of}, but the target '{loss.target}' is {target}"
            )
        if loss.measure == "kernel" and "kernel" not in (of, target):
            self.say(
                loss.origin, f"'{loss.of}' is not a kernel", "write l1 or l2 in place of kernel"
            )
        if loss.mirror and loss.measure != "kernel":
            self.say(
                loss.origin,
                "'mirror' belongs to a loss of kernels",
                "write {kernel: k, mirror: true}",
            )
        iterations = loss.iterations
        if isinstance(iterations, str) and iterations not in ("last", "all"):
            self.say(
                loss.origin, f"iterations: '{iterations}' should be last, all, or a list of weights"
            )
        elif iterations == "all" and not spec.iterations:
            self.say(loss.origin, f"iterations: {spec.name} has no loop", "leave 'iterations' out")
        elif isinstance(iterations, tuple) and len(iterations) != spec.iterations:
            self.say(
                loss.origin,
                f"iterations: {len(iterations)} weights, but {spec.name} has {spec.iterations} iterations",
            )

    def ranges(self, recipe: Recipe) -> None:
        least = {"batch": 1, "crop": 1, "log": 1, "steps": 1, "save": 0, "minutes": 0}
        for key, low in least.items():
            value = getattr(recipe, key)
            if value is not None and value < low:
                self.say(recipe.line(key), f"{key} is {value}, but should be at least {low}")
        if not 0 <= recipe.ema < 1:
            self.say(
                recipe.line("ema"),
                f"ema is {recipe.ema}, but it is the share that is kept: 0 or more, below 1",
            )
        o, schedule = recipe.optimiser, recipe.schedule
        if not o.lr > 0 or not o.clip > 0 or not all(0 <= b < 1 for b in o.betas):
            self.say(
                recipe.line("optimiser"),
                "optimiser: lr and clip should be above 0, betas from 0 to below 1",
            )
        if (
            schedule.warmup < 0
            or not 0 < schedule.decay <= 1
            or (schedule.halve is not None and schedule.halve < 1)
        ):
            self.say(
                recipe.line("schedule"),
                "schedule: warmup should be 0 or more, halve 1 or more, decay above 0 and at most 1",
            )
        if recipe.validation.images < 1 or recipe.validation.crop < 1:
            self.say(recipe.line("validation"), "validation: images and crop should be at least 1")

    def kernels(self, recipe: Recipe) -> None:
        spec, degradations = recipe.spec, recipe.degradations
        for g in spec.given:
            if g.name not in TRUTHS and g.default is None:
                self.say(
                    g.origin,
                    f"the pipeline wants '{g.name}', which training does not make",
                    f"it makes {', '.join(TRUTHS)}",
                )
        for key, crop in (("crop", recipe.crop), ("validation", recipe.validation.crop)):
            s = max(degradations.scales)
            if recipe.needs_images and crop // s * s < degradations.size:
                origin = recipe.line(key) if self.get(key) else recipe.line("degradations")
                self.say(
                    origin,
                    f"{key}: crops of {crop} pixels are smaller than the kernels ({degradations.size})",
                )


def _share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _called(spec: Spec) -> set[str]:
    """The letters that steps call, stand-ins among them."""
    stand_ins = {s for stage in spec.stages for swap in stage.swap for s in swap.letters.values()}
    return {step.module for step in spec.steps()} | stand_ins


def _kinds(spec: Spec) -> dict[str, str]:
    """The kind of each variable."""
    kinds = {g.name: g.kind.name for g in spec.given}
    for step in spec.steps():
        m = spec.modules[step.module]
        outputs = signature_of(REGISTRIES[m.word].get(m.name)).outputs
        kinds.update(zip(step.outputs, (k.name for k in outputs), strict=True))
    assert set(kinds.values()) <= set(KINDS)
    return kinds
