"""The pipeline language: from a YAML document to a checked `Spec`, or to all of its problems at
once.

A pipeline is the paper's equations as lines `out[, out] = Module(in[, in])`.  An input is a
variable, `variable[i]` or a number; `i` and `n` (the loop's index and its number of iterations)
exist in a loop.  Nothing is evaluated as Python.  Order of a run: the defaults of `given`,
`before`, `start`, `repeat` x `steps`, `after`, `return`; several loops are a list under `stages`.
docs/write-a-pipeline.md describes the whole of it.

Three steps, in this order: `gather` merges the file with those it extends and with the overrides;
`parse` reads the merged document into a `Spec`; `check` follows the kinds of the variables through
the steps.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pnp.document import Node, from_python, read_file, scalar
from pnp.errors import OldSpelling, Origin, PipelineError, PnpError, Problem, hint, nearest
from pnp.interfaces import KINDS, Kind, signature_of
from pnp.options import read_fields
from pnp.registry import REGISTRIES, current_word

KEYS = (
    "about",
    "cite",
    "extends",
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
STAGE_KEYS = ("start", "repeat", "steps", "swap")
KIND_OF_NAME = {
    **dict.fromkeys(("y", "x", "z", "mask"), "image"),
    **dict.fromkeys(("k", "w"), "kernel"),
    **dict.fromkeys(("sigma", "alpha", "beta"), "level"),
    "s": "number",
}
_VARIABLE = r"[a-z][A-Za-z0-9_]*"
_LETTER = r"[A-Z][A-Za-z0-9_]*"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_STEP = re.compile(rf"\s*({_VARIABLE}(?:\s*,\s*{_VARIABLE})*)\s*=\s*({_LETTER})\s*\((.*)\)\s*")
_INPUT = re.compile(rf"({_VARIABLE})(?:\[\s*([a-z0-9]+)\s*\])?|({_NUMBER})")
_FORM = "a step reads 'out[, out] = Module(in[, in])', for example 'z = D(y, x, k, alpha[i])'"


@dataclass(frozen=True)
class Variable:
    """An input that is a variable, or one level of a schedule: `name[index]` with index `i` or a number."""

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
        return (
            f"{', '.join(self.outputs)} = {self.module}({', '.join(str(i) for i in self.inputs)})"
        )


@dataclass(frozen=True)
class Given:
    """A variable that the caller gives; `default` is a step or a number used when the caller does not, or None."""

    name: str
    kind: Kind
    default: Step | int | float | None
    origin: Origin


@dataclass(frozen=True)
class ModuleSpec:
    """A module of a pipeline: its letter, what kind of module, its registered name, options and weights."""

    letter: str
    word: str
    name: str
    options: dict[str, Any]
    weights: Node | None
    origin: Origin


@dataclass(frozen=True)
class Swap:
    """In iterations first <= i < last (counted over the whole stage), other modules stand for some letters."""

    first: int
    last: int
    letters: dict[str, str]
    origin: Origin


@dataclass(frozen=True)
class Stage:
    """`start` once, then `steps` `repeat` times, with modules swapped in some of the iterations."""

    start: tuple[Step, ...]
    repeat: int
    steps: tuple[Step, ...]
    swap: tuple[Swap, ...]

    def letter(self, letter: str, i: int) -> str:
        """The letter that stands for `letter` in iteration i."""
        for swap in self.swap:
            if swap.first <= i < swap.last:
                letter = swap.letters.get(letter, letter)
        return letter


@dataclass(frozen=True)
class Spec:
    """A pipeline, read and merged: what `Pipeline` is built from."""

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
    returns_origin: Origin = field(default_factory=lambda: Origin(""))

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


# ---------------------------------------------------------------- finding and merging files


def names() -> list[str]:
    """The pipelines that can be loaded by name: those of the package and those of installed plugins."""
    return sorted(_packaged())


def _packaged() -> dict[str, Any]:
    found: dict[str, Any] = {}
    packages = ["pnp.pipelines", *(point.value for point in entry_points(group="pnp.pipelines"))]
    for package in packages:
        try:
            entries = list(files(package).iterdir())
        except (ModuleNotFoundError, TypeError) as e:
            raise PnpError(
                f"the plugin package '{package}' of the entry point group pnp.pipelines cannot be imported: {e}"
            ) from e
        for entry in entries:
            if entry.name.endswith(".yaml"):
                stem = entry.name.removesuffix(".yaml")
                if stem in found:
                    where = f"one in {found[stem][0]}, one in {package}"
                    raise PnpError(
                        f"two pipelines are called '{stem}': {where}; rename one of them"
                    )
                found[stem] = (package, entry)
    return found


def locate(name: str, beside: Path | None = None) -> tuple[Path, str]:
    """The file of a pipeline given by name or path, and how to call it in messages; PnpError if there is none."""
    if name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name:
        path = Path(name).expanduser()
        if beside is not None and not path.is_absolute():
            path = beside / path
        if path.is_dir():
            raise PnpError(f"{name}: this is a folder; name a pipeline file (.yaml)")
        if not path.is_file():
            raise PnpError(
                f"{name}: there is no such file; pipelines by name: {', '.join(names())}"
            )
        return path, name
    packaged = _packaged()
    if name not in packaged:
        also = (
            f"; a file is written with its ending: {name}.yaml"
            if Path(f"{name}.yaml").is_file()
            else ""
        )
        raise PnpError(
            f"there is no pipeline called '{name}'; {hint(name, packaged, 'pipelines')}{also}"
        )
    with as_file(packaged[name][1]) as path:
        return path, f"{name}.yaml"


def gather(
    name: str, overrides: dict[str, Any] | None = None, assignments: Iterable[str] = ()
) -> Node:
    """The document of a pipeline merged with those that it extends, then with the overrides.

    Arguments: `name`, a pipeline's name or path; `overrides`, dotted keys and Python values as for
    `pnp.load`; `assignments`, texts 'key.key=value' as for `--set`.
    """
    document = _extend(name, None, ())
    for key, value in (overrides or {}).items():
        document = assign(
            document,
            key,
            from_python(value, Origin(f"load({key}=...)", None, f"{key} = {value!r}")),
        )
    for text in assignments:
        key, equals, value = text.partition("=")
        origin = Origin(f"--set {text}")
        if not equals or not key.strip():
            raise PnpError(
                f"--set {text}: write it as key=value, for example --set repeat=8 or --set modules.P.weights=FILE"
            )
        document = assign(document, key.strip(), _written(value.strip(), origin))
    return document


def _written(text: str, origin: Origin) -> Node:
    """The value of --set: YAML, so that lists and maps can be given too."""
    from pnp.document import read_text

    if not text.startswith(("[", "{", '"', "'")):
        return Node(scalar(text), origin)
    try:
        node = read_text(text, origin.file)
    except PipelineError as e:
        raise PipelineError([Problem(origin, p.message, p.cure) for p in e.problems]) from None
    return from_python(node.plain(), origin)


def _extend(
    name: str, beside: Path | None, seen: tuple[Path, ...], origin: Origin | None = None
) -> Node:
    try:
        path, shown = locate(name, beside)
    except PnpError as e:
        if origin is None:
            raise
        raise PipelineError([Problem(origin, str(e))]) from None
    if path.resolve() in seen:
        assert origin is not None
        raise PipelineError(
            [Problem(origin, f"'{name}' extends itself, by way of this line", "end the circle")]
        )
    document = read_file(path, shown)
    if not document.is_map:
        raise PipelineError(
            [Problem(document.origin, "a pipeline is a map of keys", f"keys: {', '.join(KEYS)}")]
        )
    return adopt(document, path.parent, (*seen, path.resolve()))


def adopt(document: Node, folder: Path, seen: tuple[Path, ...] = ()) -> Node:
    """A pipeline's document, written in a file of `folder`, merged with those that it extends."""
    document = _absolute_weights(document, folder)
    parent = document.value.get("extends")
    if parent is None:
        return document
    if not isinstance(parent.value, str):
        raise PipelineError([Problem(parent.origin, "extends wants the name of one pipeline")])
    base = _extend(parent.value, folder, seen, parent.origin)
    return _merge(
        base, Node({k: v for k, v in document.value.items() if k != "extends"}, document.origin)
    )


def _absolute_weights(document: Node, folder: Path) -> Node:
    """Paths of weights are relative to the file that names them: make those that exist there absolute."""

    def absolute(holder: Node) -> Node:
        weights = holder.value.get("weights") if holder.is_map else None
        if weights is None or not isinstance(weights.value, str):
            return holder
        if not (folder / weights.value.partition("#")[0]).is_file():
            return holder
        return Node(
            {**holder.value, "weights": Node(str(folder / weights.value), weights.origin)},
            holder.origin,
        )

    modules = document.value.get("modules")
    if modules is not None and modules.is_map:
        entries = {letter: absolute(module) for letter, module in modules.value.items()}
        document = Node(
            {**document.value, "modules": Node(entries, modules.origin)}, document.origin
        )
    return absolute(document)


def _merge(base: Node, layer: Node) -> Node:
    """A document over the one it extends: modules merge by letter, any other key replaces, null removes."""
    merged = dict(base.value)
    for key, node in layer.value.items():
        if node.value is None:
            merged.pop(key, None)
        elif key == "modules" and node.is_map and key in merged and merged[key].is_map:
            modules = dict(merged[key].value)
            for letter, module in node.value.items():
                if module.value is None:
                    modules.pop(letter, None)
                elif (
                    module.is_map
                    and letter in modules
                    and modules[letter].is_map
                    and not set(module.value) & set(REGISTRIES)
                ):
                    options = {**modules[letter].value, **module.value}
                    modules[letter] = Node(
                        {k: v for k, v in options.items() if v.value is not None},
                        modules[letter].origin,
                    )
                else:
                    modules[letter] = module
            merged[key] = Node(modules, node.origin)
        else:
            merged[key] = node
    return Node(merged, base.origin)


def assign(document: Node, dotted: str, value: Node) -> Node:
    """One override as the last layer; a list is reached by index (`stages.1.repeat`)."""
    path = dotted.split(".")
    if path[0] not in KEYS or path[0] == "extends":
        known = [k for k in KEYS if k != "extends"]
        raise PipelineError(
            [
                Problem(
                    value.origin,
                    f"a pipeline has no key '{path[0]}' to set",
                    hint(path[0], known, "keys"),
                )
            ]
        )
    if path[0] == "modules" and len(path) == 2 and (value.is_map or value.value is None):
        return _merge(
            document, Node({"modules": Node({path[1]: value}, value.origin)}, value.origin)
        )

    def put(node: Node | None, rest: list[str], done: str) -> Node:
        if not rest:
            return value
        key = rest[0]
        if node is not None and node.is_list:
            if not key.isdigit() or int(key) >= len(node.value):
                raise PipelineError(
                    [
                        Problem(
                            value.origin,
                            f"'{done}' is a list of {len(node.value)}; '{key}' is not an index of it",
                        )
                    ]
                )
            items = list(node.value)
            items[int(key)] = put(items[int(key)], rest[1:], f"{done}.{key}")
            return Node(items, node.origin)
        if node is not None and not node.is_map:
            raise PipelineError(
                [Problem(value.origin, f"'{done}' is a single value, so there is no '{key}' in it")]
            )
        if done == "modules" and (node is None or key not in node.value):
            known = node.value if node is not None else ()
            raise PipelineError(
                [
                    Problem(
                        value.origin,
                        f"there is no module '{key}' to set an option of",
                        hint(key, known, "modules"),
                    )
                ]
            )
        inner = dict(node.value) if node is not None else {}
        new = put(inner.get(key), rest[1:], f"{done}.{key}" if done else key)
        if new.value is None and len(rest) == 1:
            inner.pop(key, None)
        else:
            inner[key] = new
        return Node(inner, node.origin if node is not None else value.origin)

    return put(document, path, "")


# ---------------------------------------------------------------- reading the merged document


def parse(document: Node, name: str) -> Spec:
    """The `Spec` of a merged document, its form and its kinds checked; PipelineError with every problem found."""
    reader = _Reader(name, document)
    spec = reader.read()
    problems = reader.problems
    if not reader.unsound:
        problems = [*problems, *check(spec)]
    if problems:
        problems.sort(key=lambda p: (p.origin.file, p.origin.line or 0))
        raise PipelineError(problems)
    return spec


class _Reader:
    """Reads the parts of a document; what is wrong is noted in `problems` and reading goes on."""

    def __init__(self, name: str, document: Node):
        self.name, self.document = name, document
        self.problems: list[Problem] = []
        self.unsound = (
            False  # true when steps are missing, so that following the kinds would only confuse
        )

    def say(self, origin: Origin, message: str, cure: str = "") -> None:
        self.problems.append(Problem(origin, message, cure))

    def get(self, key: str, where: Node | None = None) -> Node | None:
        return (where or self.document).value.get(key)

    def read(self) -> Spec:
        for key, node in self.document.value.items():
            if key not in KEYS:
                self.say(node.origin, f"a pipeline has no key '{key}'", hint(key, KEYS, "keys"))
        modules = self.modules()
        stages = self.stages(modules)
        returns = self.words("return")
        if not returns:
            self.say(
                self.document.origin, "nothing is returned", "add a line such as 'return: [x]'"
            )
        origin = (
            self.document.value["return"].origin
            if "return" in self.document.value
            else self.document.origin
        )
        return Spec(
            name=self.name,
            document=self.document,
            about=self.text("about"),
            cite=self.words("cite"),
            given=self.given(),
            modules=modules,
            weights=self.weights(self.document, "weights"),
            freeze=self.words("freeze"),
            before=self.steps(self.get("before"), "before"),
            stages=stages,
            after=self.steps(self.get("after"), "after"),
            returns=returns,
            returns_origin=origin,
        )

    def text(self, key: str) -> str:
        node = self.get(key)
        if node is None:
            return ""
        if not isinstance(node.value, str):
            self.say(node.origin, f"{key} wants a line of text")
            return ""
        return node.value

    def words(self, key: str) -> tuple[str, ...]:
        node = self.get(key)
        if node is None:
            return ()
        items = node.value if node.is_list else [node]
        if not all(isinstance(item.value, str) for item in items):
            self.say(node.origin, f"{key} wants a list of names", f"for example '{key}: [x, k]'")
            return ()
        return tuple(item.value for item in items)

    def weights(self, holder: Node, what: str) -> Node | None:
        node = self.get("weights", holder)
        if node is not None and not isinstance(node.value, str):
            self.say(
                node.origin,
                f"{what} wants a file or the name of shipped weights, not {node.plain()!r}",
            )
            return None
        return node

    def given(self) -> tuple[Given, ...]:
        node = self.get("given")
        if node is None:
            self.say(
                self.document.origin,
                "the pipeline does not say what it is given",
                "add a line such as 'given: [y, s]'",
            )
            self.unsound = True
            return ()
        if not node.is_list:
            self.say(node.origin, "given wants a list", "for example 'given: [y, s, k, sigma]'")
            self.unsound = True
            return ()
        result: list[Given] = []
        for item in node.value:
            one = self.one_given(item)
            if one is None:
                self.unsound = True
            elif one.name in (g.name for g in result):
                self.say(item.origin, f"'{one.name}' is given twice")
            else:
                result.append(one)
        return tuple(result)

    def one_given(self, item: Node) -> Given | None:
        if item.is_map and len(item.value) == 1:
            ((name, kind),) = item.value.items()
            if re.fullmatch(_VARIABLE, name) and kind.value in KINDS:
                return Given(name, KINDS[kind.value], None, item.origin)
            self.say(
                item.origin,
                f"'{name}: {kind.plain()}' is not a variable and its kind",
                f"kinds: {', '.join(KINDS)}",
            )
            return None
        if not isinstance(item.value, str):
            self.say(
                item.origin,
                f"given wants names, not {item.plain()!r}",
                "for example 'given: [y, s, k = G(y), sigma = 2e-2]'",
            )
            return None
        name, equals, value = (part.strip() for part in item.value.partition("="))
        if name not in KIND_OF_NAME:
            if re.fullmatch(_VARIABLE, name):
                cure = f"write '{name}: image'; kinds: {', '.join(KINDS)}; known without: {', '.join(KIND_OF_NAME)}"
                self.say(item.origin, f"the kind of '{name}' is not known", cure)
            else:
                self.say(
                    item.origin,
                    f"'{name}' is not the name of a variable",
                    "variables begin with a small letter",
                )
            return None
        kind = KINDS[KIND_OF_NAME[name]]
        default: Step | int | float | None = None
        if equals:
            number = scalar(value)
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                if kind.name not in ("number", "level") or (
                    kind.name == "number" and not isinstance(number, int)
                ):
                    self.say(
                        item.origin, f"'{name}' is {_a(kind)}, so {value} cannot be its default"
                    )
                    return None
                default = number
            else:
                default = self.step(Node(item.value, item.origin))
                if default is None:
                    return None
        return Given(name, kind, default, item.origin)

    def modules(self) -> dict[str, ModuleSpec]:
        node = self.get("modules")
        if node is None or not node.is_map or not node.value:
            self.say(
                node.origin if node else self.document.origin,
                "there are no modules",
                "add 'modules:' with lines such as 'P: {prior: tv}'",
            )
            self.unsound = True
            return {}
        result = {}
        for letter, entry in node.value.items():
            module = self.module(letter, entry)
            if module is not None:
                result[letter] = module
        return result

    def module(self, letter: str, entry: Node) -> ModuleSpec | None:
        form = (
            f"for example '{letter}: {{prior: tv}}'; one of {', '.join(REGISTRIES)} and its options"
        )
        if not re.fullmatch(_LETTER, letter):
            self.say(
                entry.origin,
                f"'{letter}' cannot name a module",
                "modules begin with a capital letter, variables with a small one",
            )
            return None
        if not entry.is_map:
            self.say(entry.origin, f"{letter} is not a module", form)
            return None
        words = [w for w in REGISTRIES if w in entry.value]
        if len(words) != 1:
            near = next((nearest(k, REGISTRIES) for k in entry.value if nearest(k, REGISTRIES)), "")
            what = (
                f"{letter} is both {' and '.join(words)}"
                if words
                else f"{letter} does not say what it is"
            )
            self.say(entry.origin, what, f"{near} {form}".strip())
            return None
        word = words[0]
        name = entry.value[word]
        if isinstance(name.value, str) and word != current_word(word, name.value):
            written, word = f"{word}: {name.value}", current_word(word, name.value)
            cure = f"write '{letter}: {{{word}: {name.value}}}'"
            message = f"{letter}: '{written}' will not be read by the next release"
            warnings.warn(OldSpelling(Problem(name.origin, message, cure)), stacklevel=2)
        if not isinstance(name.value, str) or name.value not in REGISTRIES[word].names():
            registry = REGISTRIES[word]
            other = [w for w, r in REGISTRIES.items() if w != word and name.value in r.names()]
            cure = (
                f"it is {_an(other[0])}: write '{letter}: {{{other[0]}: {name.value}}}'"
                if other
                else hint(str(name.value), registry.names(), word + "s")
            )
            self.say(name.origin, f"there is no {word} called '{name.plain()}'", cure)
            return None
        weights = self.weights(entry, f"{letter}: weights")
        cls = REGISTRIES[word].get(name.value)
        options, problems = read_fields(cls, entry, f"{letter}: ", skip=(words[0], "weights"))
        for problem in problems:
            cure = f"{letter} is the {word} {name.value}; see `pnp list {name.value}`"
            self.problems.append(replace(problem, cure=problem.cure or cure))
        return ModuleSpec(letter, word, name.value, options, weights, entry.origin)

    def stages(self, modules: dict[str, ModuleSpec]) -> tuple[Stage, ...]:
        several = self.get("stages")
        alone = [k for k in STAGE_KEYS if k in self.document.value]
        if several is None:
            if not alone:
                return ()
            return (self.stage(self.document, modules, several=False),)
        for key in (k for k in alone if k != "swap"):
            self.say(
                self.document.value[key].origin,
                f"'{key}' stands beside 'stages'",
                "move it into one of the stages",
            )
        if (
            not several.is_list
            or not several.value
            or not all(stage.is_map for stage in several.value)
        ):
            self.say(
                several.origin,
                "stages wants a list of maps",
                f"keys of a stage: {', '.join(STAGE_KEYS)}",
            )
            self.unsound = True
            return ()
        for stage in several.value:
            for key, node in stage.value.items():
                if key not in STAGE_KEYS:
                    self.say(
                        node.origin,
                        f"a stage has no key '{key}'",
                        hint(key, STAGE_KEYS, "keys of a stage"),
                    )
        stages = tuple(self.stage(stage, modules, several=True) for stage in several.value)
        swap = self.get("swap")
        if swap is None:
            return stages
        # A swap beside `stages` counts the iterations of all of them; give each stage its part.
        total = sum(stage.repeat for stage in stages)
        overall = self.swaps(swap, total, modules)
        result, before = [], 0
        for stage in stages:
            parts = tuple(
                Swap(
                    max(w.first - before, 0),
                    min(w.last - before, stage.repeat),
                    w.letters,
                    w.origin,
                )
                for w in overall
                if w.first < before + stage.repeat and w.last > before
            )
            result.append(Stage(stage.start, stage.repeat, stage.steps, (*stage.swap, *parts)))
            before += stage.repeat
        return tuple(result)

    def stage(self, node: Node, modules: dict[str, ModuleSpec], several: bool) -> Stage:
        repeat, written = self.get("repeat", node), 1
        if repeat is not None:
            if (
                isinstance(repeat.value, int)
                and not isinstance(repeat.value, bool)
                and 1 <= repeat.value <= 10**6
            ):
                written = repeat.value
            else:
                self.say(
                    repeat.origin,
                    f"repeat wants a whole number of at least 1, not {repeat.plain()!r}",
                )
            if "steps" not in node.value:
                self.say(repeat.origin, "there is nothing to repeat", "add 'steps:'")
        steps = self.steps(self.get("steps", node), "steps")
        start = self.steps(self.get("start", node), "start")
        swap = self.get("swap", node)
        swaps = () if swap is None else self.swaps(swap, written, modules)
        return Stage(start, written if steps else 0, steps, swaps)

    def swaps(self, node: Node, total: int, modules: dict[str, ModuleSpec]) -> tuple[Swap, ...]:
        if not node.is_map:
            self.say(node.origin, "swap wants a map", "for example 'swap: {last 4: {P: S}}'")
            return ()
        result: list[Swap] = []
        for when, letters in node.value.items():
            if (
                not letters.is_map
                or not letters.value
                or not all(isinstance(v.value, str) for v in letters.value.values())
            ):
                self.say(
                    letters.origin,
                    f"swap '{when}' does not say which letters",
                    "for example 'last 4: {P: S}'",
                )
                continue
            match = re.fullmatch(
                r"(first|last)\s+(\d{1,6})|(\d{1,6})(?:\s*\.\.\s*(\d{1,6}))?", when
            )
            if not match:
                self.say(
                    letters.origin,
                    f"'{when}' does not say which iterations",
                    "write 'first 4', 'last 4', '3' or '3..6'; the first iteration is 0",
                )
                continue
            if match[1]:
                count = int(match[2])
                first, last = (0, count) if match[1] == "first" else (total - count, total)
                wanted = count
            else:
                first, last = int(match[3]), int(match[4] or match[3]) + 1
                wanted = last
            named = {k: v.value for k, v in letters.value.items()}
            written = self.get(
                "modules"
            )  # also those in which something is wrong, which is told there
            known = written.value if written is not None and written.is_map else modules
            unknown = [name for pair in named.items() for name in pair if name not in known]
            for name in unknown:
                self.say(
                    letters.origin, f"there is no module '{name}'", hint(name, modules, "modules")
                )
            if first >= last:
                self.say(
                    letters.origin,
                    f"'{when}' names no iteration",
                    "'3..6' are the iterations 3, 4, 5 and 6",
                )
                continue
            if first < 0 or last > total:
                self.say(
                    letters.origin,
                    f"'{when}' goes beyond the loop, which has {total} iterations (0..{total - 1}), not {wanted}",
                )
                continue
            clash = [
                w
                for w in result
                if w.first < last and first < w.last and set(w.letters) & set(named)
            ]
            if clash:
                self.say(
                    letters.origin,
                    f"'{when}' swaps again what the swap on line {clash[0].origin.line} swaps in the same iterations",
                )
            if (
                not unknown
                and not clash
                and all(name in modules for pair in named.items() for name in pair)
            ):
                result.append(Swap(first, last, named, letters.origin))
        return tuple(result)

    def steps(self, node: Node | None, key: str) -> tuple[Step, ...]:
        if node is None:
            return ()
        if not node.is_list:
            self.say(
                node.origin,
                f"{key} wants a list of steps, each on a line that begins with '-'",
                _FORM,
            )
            self.unsound = True
            return ()
        steps = [self.step(item) for item in node.value]
        if None in steps:
            self.unsound = True
        return tuple(step for step in steps if step is not None)

    def step(self, node: Node) -> Step | None:
        match = _STEP.fullmatch(node.value) if isinstance(node.value, str) else None
        if match is None:
            split = isinstance(node.value, str) and node.value.count("(") != node.value.count(")")
            cure = "inside [...] a comma ends a step: give each step a line of its own that begins with '-'"
            self.say(
                node.origin,
                "this is not a step",
                cure if split and "[" in node.origin.text else _FORM,
            )
            return None
        outputs = tuple(name.strip() for name in match[1].split(","))
        for name in outputs:
            if name in ("i", "n"):
                self.say(
                    node.origin,
                    f"'{name}' cannot be assigned",
                    "i is the index of the iteration and n their number",
                )
                return None
        if len(set(outputs)) != len(outputs):
            self.say(node.origin, "an output stands twice")
            return None
        inputs: list[Variable | int | float] = []
        for text in match[3].split(",") if match[3].strip() else []:
            part = _INPUT.fullmatch(text.strip())
            if part is None:
                self.say(
                    node.origin,
                    f"'{text.strip()}' is not an input",
                    "an input is a variable, variable[i] or a number",
                )
                return None
            if part[3]:
                number = scalar(part[3])
                inputs.append(number if isinstance(number, (int, float)) else float(part[3]))
            elif part[2] is None:
                inputs.append(Variable(part[1]))
            elif part[2] == "i" or part[2].isdigit():
                inputs.append(Variable(part[1], int(part[2]) if part[2].isdigit() else "i"))
            else:
                self.say(
                    node.origin,
                    f"'{part[2]}' is not an index",
                    "an index is i or a number, for example alpha[i]",
                )
                return None
        return Step(outputs, match[2], tuple(inputs), node.origin)


# ---------------------------------------------------------------- following the kinds through the
# steps


def check(spec: Spec) -> list[Problem]:
    """Problems of names, arity, kinds and use before definition, found without running anything."""
    problems: list[Problem] = []
    kinds: dict[str, Kind] = {}
    defined_at = {out: step for step in reversed(list(spec.steps())) for out in step.outputs}

    def say(origin: Origin, message: str, cure: str = "") -> None:
        problems.append(Problem(origin, message, cure))

    def follow(step: Step, loop: str, stand_ins: Mapping[str, str] = {}) -> None:
        letter = stand_ins.get(step.module, step.module)
        module = spec.modules.get(letter)
        if module is None:
            if letter not in spec.document.value["modules"].value:
                say(
                    step.origin,
                    f"there is no module '{step.module}'",
                    hint(step.module, spec.modules, "modules"),
                )
            kinds.update(
                {
                    out: KINDS[KIND_OF_NAME[out]]
                    for out in step.outputs
                    if out in KIND_OF_NAME and out not in kinds
                }
            )
            return
        signature = signature_of(REGISTRIES[module.word].get(module.name))
        usage = f"{letter} is the {module.word} {module.name}: {letter}{signature}"
        if letter != step.module:
            usage = f"{usage}; it stands for {step.module} in some iterations (swap)"
        needed = sum(a.required for a in signature.inputs)
        if not needed <= len(step.inputs) <= len(signature.inputs):
            count = (
                str(needed)
                if needed == len(signature.inputs)
                else f"{needed} to {len(signature.inputs)}"
            )
            say(
                step.origin,
                f"{letter} wants {count} input{'s' if count != '1' else ''}, but {len(step.inputs)} stand here",
                usage,
            )
        fits = needed <= len(step.inputs) <= len(signature.inputs)
        for argument, value in zip(signature.inputs, step.inputs, strict=False):
            found = kind_of_input(value, step, loop)
            if found is None or found == argument.kind or not fits:
                continue
            literal = not isinstance(value, Variable)
            if literal and (
                argument.kind.name == "level"
                or (argument.kind.name == "number" and isinstance(value, int))
            ):
                continue
            cure = (
                f"write {value}[i] for the level of iteration i"
                if found.name == "levels" and argument.kind.name == "level"
                else usage
            )
            say(
                step.origin,
                f"{letter} wants {argument.kind} as '{argument.name}', but {value} is {found}",
                cure,
            )
        if len(step.outputs) != len(signature.outputs):
            gives = ", ".join(k.name for k in signature.outputs)
            say(
                step.origin,
                f"{letter} gives {len(signature.outputs)} ({gives}), but {len(step.outputs)} stand left of '='",
                usage,
            )
        for name, kind in zip(step.outputs, signature.outputs, strict=False):
            if name in kinds and kinds[name] != kind:
                say(
                    step.origin,
                    f"'{name}' was {kinds[name]} before and would become {kind}",
                    "give it a name of its own",
                )
            else:
                kinds[name] = kind

    def kind_of_input(value: Variable | int | float, step: Step, loop: str) -> Kind | None:
        if not isinstance(value, Variable):
            return KINDS["number"] if isinstance(value, int) else KINDS["level"]
        if value.name in ("i", "n") or value.index == "i":
            if loop == "" or (loop == "start" and (value.name == "i" or value.index == "i")):
                say(
                    step.origin,
                    f"'{'i' if value.index == 'i' else value.name}' exists only in a loop",
                    "i in 'steps'; n in 'start' and 'steps'",
                )
                return None
            if value.name in ("i", "n"):
                return KINDS["number"]
        if value.name not in kinds:
            later = defined_at.get(value.name)
            if later is not None:
                cure = (
                    "no step before this one gives it"
                    if later is step
                    else f"'{later}' gives it, on line {later.origin.line}, but that is later"
                )
            else:
                cure = hint(value.name, kinds, "variables")
            say(step.origin, f"'{value.name}' is used before it has a value", cure)
            return None
        kind = kinds[value.name]
        if value.index is None:
            return kind
        if kind.name != "levels":
            say(
                step.origin,
                f"'{value.name}' is {kind}: it has no element [{value.index}]",
                f"only {KINDS['levels']} (one per iteration) are indexed",
            )
            return None
        return KINDS["level"]

    for given in spec.given:
        if isinstance(given.default, Step):
            follow(given.default, "")
        kinds.setdefault(given.name, given.kind)
        if kinds[given.name] != given.kind:
            say(
                given.origin,
                f"'{given.name}' is {_a(given.kind)}, but its default gives {kinds[given.name]}",
            )
            kinds[given.name] = given.kind
    for step in spec.before:
        follow(step, "")
    for stage in spec.stages:
        for step in stage.start:
            follow(step, "start")
        for step in stage.steps:
            follow(step, "steps")
        for swap in stage.swap:
            stood = dict(kinds)
            for step in stage.steps:
                if step.module in swap.letters:
                    follow(step, "steps", swap.letters)
            kinds.clear()
            kinds.update(stood)
    for step in spec.after:
        follow(step, "")
    for name in spec.returns:
        if name not in kinds:
            say(
                spec.returns_origin,
                f"'{name}' is returned, but no step gives it",
                hint(name, kinds, "variables"),
            )
    for letter in spec.freeze:
        if letter not in spec.modules:
            say(
                spec.document.value["freeze"].origin,
                f"there is no module '{letter}' to freeze",
                hint(letter, spec.modules, "modules"),
            )
    return list(dict.fromkeys(problems))


def _a(kind: Kind) -> str:
    return (
        f"an {kind}" if kind.name == "image" else f"a {kind}" if kind.name != "levels" else "levels"
    )


def _an(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
