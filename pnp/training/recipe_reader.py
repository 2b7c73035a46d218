"""From a YAML document to a checked `Recipe`, or to all of its problems at once.

As for pipelines, nothing is executed, and every value keeps its line.  `pipeline` is a name, a
file, a list of a base and overlays, or a pipeline written out; `set` changes it by dotted keys, as
`--set` does.  A loss compares a variable of the pipeline, or the output of a part of a module
(`I.encoder`), with the ground truth of that name, or with `target`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

from pnp.document import Node
from pnp.errors import Findings, Origin, PipelineError, Problem, hint
from pnp.language.layers import Dialect, Merge, merge_maps
from pnp.language.reader import PIPELINES, spec_within
from pnp.language.spec import KIND_OF_NAME, Spec
from pnp.options import read_fields
from pnp.training.recipe import GROUND_TRUTH, Loss, Measure, Recipe

_STRUCTURE = ("extends", "pipeline", "set", "train", "freeze", "start", "losses")
"""Keys that this file reads itself."""
_NO_KEYS = ("name", "spec", "document", "changes", "overlays", "shares")
"""Fields of `Recipe` that are not keys."""
_FIELDS = tuple(f.name for f in fields(Recipe) if f.name not in (*_STRUCTURE, *_NO_KEYS))
KEYS = (*_STRUCTURE, *_FIELDS)


def load_recipe(
    name: str | Path, assignments: Iterable[str] = (), overlays: Iterable[str | Path] = ()
) -> Recipe:
    """The recipe of a name or a YAML file.

    Args:
        name: A recipe's name or path.
        assignments: Texts 'key=value' as of `--set`.  A key that recipes do not have changes the
            pipeline: 'modules.P.nc=[8,8,8,8]', 'repeat=2'.
        overlays: Names or paths of recipes that are put over it, as with `--with`.

    Raises:
        PipelineError: With all problems.
    """
    changes, over = tuple(assignments), tuple(map(str, overlays))
    document = RECIPES.read(str(name), assignments=changes, overlays=over)
    recipe = _Reader(Path(str(name)).stem, document).read()
    return replace(recipe, changes=changes, overlays=over)


def _merge(base: Node, layer: Node) -> Node:
    """A recipe over another: maps are merged by key, except the pipeline; other values replace."""

    def within(key: str) -> Merge | None:
        return {"pipeline": None, "set": _merge_changes}.get(key, merge_maps)

    return merge_maps(base, layer, within)


def _merge_changes(base: Node, layer: Node) -> Node:
    """Changes are applied in their order; null removes an entry of the pipeline."""
    earlier = {key: node for key, node in base.value.items() if key not in layer.value}
    return Node({**earlier, **layer.value}, base.origin)


RECIPES = Dialect(
    noun="recipe",
    keys=KEYS,
    group="pnp.recipes",
    merge=_merge,
    complete=("pipeline", "train", "losses"),
    package="pnp.training.recipes",
    dotted=("set", "start"),
    inner=PIPELINES,
)


class _Reader:
    """Reads the parts of a recipe; collects problems in `findings` and continues."""

    def __init__(self, name: str, document: Node):
        self.name, self.document = name, document
        self.findings = Findings()
        self.say = self.findings.say

    def read(self) -> Recipe:
        """The recipe; PipelineError with all problems."""
        self.findings.problems += RECIPES.unknown_keys(self.document)
        spec = self.pipeline()
        structure: dict[str, Any] = {
            "train": self.train(spec),
            "losses": self.losses(spec),
            "start": self.start(spec),
        }
        fields = self.fields()
        self.findings.raise_all()
        assert spec is not None
        recipe = Recipe(self.name, spec, document=self.document, **structure, **fields)
        self.check_crops(recipe)
        self.findings.raise_all()
        return recipe

    def get(self, key: str) -> Node | None:
        """The value of a key, if it is written."""
        found: Node | None = self.document.value.get(key)
        return found

    def pipeline(self) -> Spec | None:
        """The pipeline, with the changes of `set`; None after a problem."""
        node = self.get("pipeline")
        if node is None:
            message = "the recipe does not say which pipeline"
            self.say(self.document.origin, message, "add a line: pipeline: usrnet")
            return None
        if not (node.is_map or node.is_list or isinstance(node.value, str)):
            message = "pipeline should be a name, a file, or the keys of a pipeline"
            self.say(node.origin, message)
            return None
        names = node.plain() if node.is_list else [self.name if node.is_map else node.value]
        changes = self.get("set")
        if changes is not None and not changes.is_map:
            cure = "for example {repeat: 4, modules.P.nb: 1}"
            self.say(changes.origin, "set should be a map of changes", cure)
            changes = None
        try:
            spec = spec_within(node, changes, " with ".join(map(str, names)))
        except PipelineError as e:
            self.findings.problems += e.problems
            return None
        for given in spec.given:
            if given.name not in GROUND_TRUTH and given.default is None:
                message = f"the pipeline needs '{given.name}', which training does not make"
                self.say(given.origin, message, f"it makes {', '.join(GROUND_TRUTH)}")
        return spec

    def symbols(self, key: str) -> list[tuple[str, Origin]]:
        """The symbols, or parts of modules, of a list, and where they are written."""
        node = self.get(key)
        items = [] if node is None else node.value if node.is_list else [node]
        for item in items:
            if not isinstance(item.value, str):
                cure = f"for example '{key}: [P, H]'"
                self.say(item.origin, f"{key} should hold modules of the pipeline", cure)
        return [(item.value, item.origin) for item in items if isinstance(item.value, str)]

    def symbol(self, name: str, origin: Origin, spec: Spec | None, what: str) -> str | None:
        """The symbol of 'P' or 'I.encoder', if the pipeline has it."""
        symbol = name.partition(".")[0]
        if spec is not None and symbol not in spec.modules:
            cure = hint(symbol, spec.modules, "modules")
            self.say(origin, f"there is no module '{symbol}' to {what}", cure)
            return None
        return symbol

    def train(self, spec: Spec | None) -> tuple[str, ...]:
        """The symbols of the modules that are trained."""
        trained, frozen = self.symbols("train"), self.symbols("freeze")
        if not trained:
            cure = "name the modules that learn, as in 'train: [P, H]'"
            where = self.get("train") or self.document
            self.say(where.origin, "the recipe trains nothing", cure)
        for name, origin in frozen:
            self.symbol(name, origin, spec, "freeze")
        for name, origin in trained:
            symbol = self.symbol(name, origin, spec, "train")
            if symbol is None:
                continue
            trains = f"'{name}' is to be trained, but"
            if {name, symbol} & {other for other, _ in frozen}:
                self.say(origin, f"{trains} it is also frozen", "take it out of one of the lists")
            elif spec is not None and symbol in spec.freeze:
                cure = f"take {symbol} out of the pipeline's 'freeze', or train another module"
                self.say(origin, f"{trains} the pipeline {spec.name} freezes it", cure)
            elif spec is not None and symbol not in spec.called:
                self.say(origin, f"{trains} no step of {spec.name} calls it")
        return tuple(name for name, _ in trained)

    def start(self, spec: Spec | None) -> dict[str, Node]:
        """Starting weights: a file for all networks, or files by symbol."""
        node = self.get("start")
        if node is None:
            return {}
        sources: dict[str, Node] = node.value if node.is_map else {"": node}
        files = {}
        for target, source in sources.items():
            if not isinstance(source.value, str):
                cure = "for example 'start: {P: runs/a/weights.safetensors}'"
                self.say(source.origin, "start should name files of weights", cure)
                continue
            files[target] = source
            if target:
                self.symbol(target, source.origin, spec, "start from weights")
        return files

    def losses(self, spec: Spec | None) -> tuple[Loss, ...]:
        """What is minimised."""
        node = self.get("losses")
        if node is None or not node.is_list or not node.value:
            where = (node or self.document).origin
            self.say(where, "there are no losses", "add 'losses: [{l1: x}]'")
            return ()
        losses = [self.loss(item) for item in node.value]
        for loss in losses:
            if loss is not None and spec is not None:
                self.check_loss(loss, spec)
        return tuple(loss for loss in losses if loss is not None)

    def loss(self, item: Node) -> Loss | None:
        """One entry of `losses`; None after a problem."""
        form = (
            "{l1: x}, {l2: k, iterations: all, weight: 100} or {l2: I.encoder, target: A.encoder}"
        )
        measures = [m for m in get_args(Measure) if item.is_map and m in item.value]
        output = item.value[measures[0]] if len(measures) == 1 else None
        if output is None or not isinstance(output.value, str):
            message = "a loss says l1, l2, log or kernel, and of which variable"
            self.say(item.origin, message, f"for example {form}")
            return None
        complete = Node({"target": output, **item.value}, item.origin)
        skip = ("measure", "output", "origin", measures[0])
        values, problems = read_fields(Loss, complete, "a loss: ", noun="key", skip=skip)
        self.findings.problems += problems
        if problems:
            return None
        return Loss(measures[0], output.value, **values, origin=item.origin)

    def check_loss(self, loss: Loss, spec: Spec) -> None:
        """That a loss compares things of one kind that the pipeline has."""
        for name in (loss.output, loss.target):
            if "." in name:
                self.symbol(name, loss.origin, spec, "compare the output of")
            elif name not in spec.kinds and not (name == loss.target and name in GROUND_TRUTH):
                cure = hint(name, spec.kinds, "variables")
                self.say(loss.origin, f"the pipeline has no variable '{name}'", cure)
            elif name is loss.output and not spec.stages and name not in spec.returns:
                cure = f"returned: {', '.join(spec.returns)}"
                self.say(loss.origin, f"'{name}' is not returned by the pipeline", cure)
        kinds = {name: kind.name for name, kind in spec.kinds.items()}
        output, target = kinds.get(loss.output), kinds.get(loss.target)
        if loss.target in GROUND_TRUTH:
            target = KIND_OF_NAME[loss.target]
        if output is not None and target is not None and output != target:
            message = f"'{loss.output}' is {output}, but the target '{loss.target}' is {target}"
            self.say(loss.origin, message)
        if loss.measure == "kernel" and "kernel" not in (output, target):
            cure = "write l1 or l2 in place of kernel"
            self.say(loss.origin, f"'{loss.output}' is not a kernel", cure)
        if loss.mirror and loss.measure != "kernel":
            cure = "write {kernel: k, mirror: true}"
            self.say(loss.origin, "'mirror' belongs to a loss of kernels", cure)
        if loss.quantile != 0.5 and loss.measure != "log":
            cure = "write {log: width, quantile: 0.1}"
            self.say(loss.origin, "'quantile' belongs to a loss of logarithms", cure)
        self.check_iterations(loss, spec)

    def check_iterations(self, loss: Loss, spec: Spec) -> None:
        """That the iterations of a loss exist."""
        if loss.iterations == "all" and not spec.iterations:
            message = f"iterations: {spec.name} has no loop"
            self.say(loss.origin, message, "leave 'iterations' out")
        elif isinstance(loss.iterations, tuple) and len(loss.iterations) != spec.iterations:
            count = len(loss.iterations)
            message = f"{count} weights, but {spec.name} has {spec.iterations} iterations"
            self.say(loss.origin, f"iterations: {message}")

    def fields(self) -> dict[str, Any]:
        """The sections and single values, and the shares of the scales."""
        written = {key: node for key, node in self.document.value.items() if key in _FIELDS}
        shares: tuple[float, ...] = ()
        node = written.get("degradations")
        scales = node.value.get("scales") if node is not None and node.is_map else None
        if node is not None and scales is not None and scales.is_map:
            listed, shares = self.shares(scales)
            written["degradations"] = Node({**node.value, "scales": listed}, node.origin)
        here = Node(written, self.document.origin)
        skip = (*_STRUCTURE, *_NO_KEYS)
        values, problems = read_fields(Recipe, here, noun="key", skip=skip)
        self.findings.problems += problems
        if "degradations" in values and not shares:
            shares = (1.0,) * len(values["degradations"].scales)
        return values | ({"shares": shares} if shares else {})

    def shares(self, node: Node) -> tuple[Node, tuple[float, ...]]:
        """`scales: {2: 0.25, 4: 0.75}` as the list of scales and how often each is drawn."""
        numbers = {key: value.value for key, value in node.value.items()}
        sound = all(
            re.fullmatch("[0-9]{1,9}", key) and _is_share(value) for key, value in numbers.items()
        )
        if not sound or not sum(numbers.values()):
            message = "scales should be a list, or shares by scale"
            self.say(node.origin, message, "for example {1: 0.1, 2: 0.9}")
            numbers = {"1": 1.0}
        listed = Node([Node(int(key), node.origin) for key in numbers], node.origin)
        return listed, tuple(float(share) for share in numbers.values())

    def check_crops(self, recipe: Recipe) -> None:
        """That images are not smaller than kernels."""
        size, scale = recipe.degradations.size, max(recipe.degradations.scales)
        for key, crop in (("crop", recipe.crop), ("validation", recipe.validation.crop)):
            if recipe.needs_images and crop // scale * scale < size:
                message = f"crops of {crop} pixels are smaller than the kernels ({size})"
                where = recipe.line(key if self.get(key) else "degradations")
                self.findings.problems.append(Problem(where, f"{key}: {message}"))


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
