"""From a YAML document to a checked `Spec`, or to all of its problems at once.

A pipeline is the paper's equations as lines `out[, out] = Module(in[, in])`.  An input is a
variable, `variable[i]` or a number; `i` and `n` (the loop's index and its number of iterations)
exist in a loop.  Nothing is evaluated as Python code.  Order of a run: the defaults of `given`,
`before`, `start`, `repeat` x `steps`, `after`, `return`; several loops are a list under `stages`.
docs/write-a-pipeline.md describes the language.

`layers` merges the file with those that it extends and with overrides; this file reads the merged
document, with `given`, `steps` and `stages`; `kinds` follows the kinds of the variables.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pnp.bibliography import check_cited
from pnp.document import Node
from pnp.errors import Findings, OldSpelling, PnpError, Problem, hint, nearest, with_article
from pnp.hub_files import HUB, fetch
from pnp.language.embedded import CONFIG, holds_pipeline, is_hub_folder, read_embedded
from pnp.language.given import GivenReader
from pnp.language.kinds import check_kinds
from pnp.language.layers import Dialect, Merge, merge_maps
from pnp.language.removal import removed_modules, without_calls
from pnp.language.spec import KEYS, ModuleSpec, Spec
from pnp.language.stages import StageReader
from pnp.language.steps import SYMBOL, read_steps
from pnp.language.trained import with_weights_found
from pnp.options import read_fields
from pnp.registry import REGISTRIES, current_role

_EXAMPLES = {"return": "x, k", "freeze": "P, H", "cite": "zhang2020usrnet"}


def read_spec(
    name: str,
    overrides: Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    overlays: Iterable[str] = (),
) -> Spec:
    """The pipeline of a name or a YAML file, merged and checked.

    Args:
        name: A pipeline's name or path.
        overrides: Python values by dotted key, as for `pnp.load`.
        assignments: Texts 'key.key=value', as for `--set`.
        overlays: Names or paths of pipelines that are put over it, as for `--with`.

    Raises:
        PipelineError: With every problem found.
    """
    overlays = tuple(overlays)
    document = PIPELINES.read(name, overrides, assignments, overlays)
    return spec_of(document, " with ".join([name, *overlays]))


def spec_within(pipeline: Node, changes: Node | None, name: str) -> Spec:
    """The pipeline that another document names or contains, with the changes of that document.

    Args:
        pipeline: A name, a file, a list of a base and overlays, or the keys of a pipeline.
        changes: A map of values by dotted key, as for `--set`.
        name: The name of the pipeline in messages.

    Raises:
        PipelineError: With every problem found.
    """
    holder = pipeline if pipeline.is_map else Node({"extends": pipeline}, pipeline.origin)
    document = PIPELINES.extended(holder)
    for key, value in changes.value.items() if changes is not None else ():
        document = PIPELINES.override(document, key, value)
    return spec_of(document, name)


def spec_of(document: Node, name: str) -> Spec:
    """The `Spec` of a merged document; PipelineError with every problem found."""
    return _Reader(name, with_weights_found(document)).read()


def _merge(base: Node, layer: Node) -> Node:
    """A pipeline over another: modules are merged by symbol, any other key replaces.

    A module that is removed takes the steps that call it along.
    """
    merged = merge_maps(base, layer, {"modules": _merge_modules}.get)
    return without_calls(merged, removed_modules(base, layer))


def _merge_modules(base: Node, layer: Node) -> Node:
    def merge_module(symbol: str) -> Merge | None:
        says_what_it_is = layer.value[symbol].is_map and {*layer.value[symbol].value} & {
            *REGISTRIES
        }
        return None if says_what_it_is else merge_maps

    merged = merge_maps(base, layer, merge_module)
    # A removal of a module that does not exist stays, so that the reader reports it.
    misfits = {k: v for k, v in layer.value.items() if v.value is None and k not in base.value}
    return Node({**merged.value, **misfits}, layer.origin)


# Pipelines that padded photographs; to be deleted with the next release.
_RENAMED = {
    "blind-photo": "blind-classical",
    "hqs-tv-photo": "hqs-tv",
    "usrnet-photo": "usrnet-small",
}


class _Pipelines(Dialect):
    """Pipelines, some of which have old names, and those that files of weights name."""

    def find(self, name: str, folder: Path | None = None) -> tuple[Path, str]:
        """As of every dialect; an old name gives a warning.

        Further, the name of a file of weights, of a folder with config.json and model.safetensors,
        and `hf:owner/name@revision`.
        """
        path = (folder or Path()) / Path(name).expanduser()
        if name.startswith(HUB):
            return fetch(name), name
        if holds_pipeline(path):
            if not path.is_file():
                raise PnpError(f"{name}: there is no such file of weights; look at the name")
            return path, name
        if path.is_dir() and is_hub_folder(path) and name not in self.names():
            return path / CONFIG, name
        if new := _RENAMED.get(name):
            told = f"{name} is {new} now, with boundary 'unknown', the default of pnp run"
            warnings.warn(OldSpelling(f"{told} and pnp.restore; write {new}"), stacklevel=2)
        return super().find(new or name, folder)

    def document(self, path: Path, shown: str) -> Node:
        """The document in a file, or the one that a file of weights says in its header."""
        if holds_pipeline(path):
            return read_embedded(self, path, shown)
        return super().document(path, shown)


PIPELINES = _Pipelines(
    noun="pipeline",
    keys=KEYS,
    group="pnp.pipelines",
    merge=_merge,
    complete=("given", "modules", "return"),
    package="pnp.pipelines",
)


class _Reader:
    """Reads the parts of a document; collects problems in `findings` and continues."""

    def __init__(self, name: str, document: Node):
        self.name, self.document = name, document
        self.findings = Findings()
        self.say = self.findings.say

    def read(self) -> Spec:
        """The spec; PipelineError with all problems."""
        self.findings.problems += PIPELINES.unknown_keys(self.document)
        modules = self.modules()
        written = self.get("modules")
        symbols = frozenset(written.value if written is not None and written.is_map else ())
        stages = StageReader(self.document, modules, symbols, self.findings).read()
        returns = self.words("return")
        if not returns:
            cure = "add a line such as 'return: [x]'"
            self.say(self.document.origin, "nothing is returned", cure)
        spec = Spec(
            name=self.name,
            document=self.document,
            about=self.text("about"),
            cite=self.cited(),
            given=GivenReader(self.document, self.findings).read(),
            modules=modules,
            weights=self.weights(self.document, "weights"),
            freeze=self.words("freeze"),
            before=read_steps(self.get("before"), "before", self.findings),
            stages=stages,
            after=read_steps(self.get("after"), "after", self.findings),
            returns=returns,
        )
        if not self.findings.incomplete:
            spec, problems = check_kinds(spec, symbols - set(modules))
            self.findings.problems += problems
        self.findings.raise_all()
        return spec

    def get(self, key: str) -> Node | None:
        """The value of a key, if it is written."""
        found: Node | None = self.document.value.get(key)
        return found

    def text(self, key: str) -> str:
        """A line of text."""
        node = self.get(key)
        if node is None:
            return ""
        if not isinstance(node.value, str):
            self.say(node.origin, f"{key} should be a line of text")
            return ""
        return node.value

    def words(self, key: str) -> tuple[str, ...]:
        """A name, or a list of names."""
        node = self.get(key)
        if node is None:
            return ()
        items = node.value if node.is_list else [node]
        if not all(isinstance(item.value, str) for item in items):
            cure = f"for example '{key}: [{_EXAMPLES[key]}]'"
            self.say(node.origin, f"{key} should be a list of names", cure)
            return ()
        return tuple(item.value for item in items)

    def cited(self) -> tuple[str, ...]:
        """Keys of references.bib, or BibTeX."""
        keys = self.words("cite")
        try:
            check_cited(keys)
        except PnpError as e:
            message, _, cure = str(e).partition("; ")
            self.say(self.document.value["cite"].origin, message, cure)
        return keys

    def weights(self, holder: Node, what: str) -> Node | None:
        """The weights that the document or a module names."""
        node: Node | None = holder.value.get("weights")
        if node is not None and not isinstance(node.value, str):
            message = f"{what} should be a file or the name of pretrained weights"
            self.say(node.origin, f"{message}, not {node.plain()!r}")
            return None
        return node

    def modules(self) -> dict[str, ModuleSpec]:
        """The modules by symbol, without those that could not be read."""
        node = self.get("modules")
        if node is None or not node.is_map or not node.value:
            cure = "add 'modules:' with lines such as 'P: {prior: tv}'"
            self.say((node or self.document).origin, "there are no modules", cure)
            self.findings.incomplete = True
            return {}
        read = {symbol: self.module(symbol, entry) for symbol, entry in node.value.items()}
        return {symbol: module for symbol, module in read.items() if module is not None}

    def module(self, symbol: str, entry: Node) -> ModuleSpec | None:
        """One module; None after a problem with its role or name."""
        if not re.fullmatch(SYMBOL, symbol):
            cure = "modules begin with a capital letter, variables with a small one"
            self.say(entry.origin, f"'{symbol}' cannot name a module", cure)
            return None
        words = [w for w in REGISTRIES if entry.is_map and w in entry.value]
        if len(words) != 1:
            self.say_no_module(symbol, entry, words)
            return None
        role = self.current(symbol, words[0], entry)
        name = entry.value[words[0]]
        if not isinstance(name.value, str) or name.value not in REGISTRIES[role].names():
            other = [w for w, r in REGISTRIES.items() if w != role and name.value in r.names()]
            cure = REGISTRIES[role].missing(str(name.value))
            if other:
                form = f"'{symbol}: {{{other[0]}: {name.value}}}'"
                cure = f"it is {with_article(other[0])}: write {form}"
            self.say(name.origin, f"there is no {role} called '{name.plain()}'", cure)
            return None
        weights = self.weights(entry, f"{symbol}: weights")
        cls = REGISTRIES[role].get(name.value)
        options, problems = read_fields(cls, entry, f"{symbol}: ", skip=(words[0], "weights"))
        for problem in problems:
            cure = f"{symbol} is the {role} {name.value}; see `pnp list {name.value}`"
            self.findings.problems.append(replace(problem, cure=problem.cure or cure))
        return ModuleSpec(symbol, role, name.value, options, weights, entry.origin)

    def current(self, symbol: str, role: str, entry: Node) -> str:
        """The role under which a module is registered now; a warning for an old one."""
        name = entry.value[role]
        if not isinstance(name.value, str) or role == current_role(role, name.value):
            return role
        now = current_role(role, name.value)
        message = f"{symbol}: '{role}: {name.value}' will not be read by the next release"
        cure = f"write '{symbol}: {{{now}: {name.value}}}'"
        warnings.warn(OldSpelling(Problem(name.origin, message, cure)), stacklevel=2)
        return now

    def say_no_module(self, symbol: str, entry: Node, words: list[str]) -> None:
        """Report an entry that does not name one module."""
        form = f"'{symbol}: {{prior: tv}}'; one of {', '.join(REGISTRIES)} and its options"
        layer = entry.origin.file != self.document.origin.file
        if layer and not words and (entry.is_map or entry.value is None):
            what = "change" if entry.is_map else "remove"
            known = [k for k, v in self.document.value["modules"].value.items() if v is not entry]
            cure = hint(symbol, known, "modules")
            if entry.is_map:
                cure += f"; a new module needs its kind, for example {form}"
            self.say(entry.origin, f"there is no module '{symbol}' to {what}", cure)
        elif not entry.is_map:
            self.say(entry.origin, f"{symbol} is not a module", f"for example {form}")
        elif words:
            message = f"{symbol} is both {' and '.join(words)}"
            self.say(entry.origin, message, f"for example {form}")
        else:
            near = next((nearest(k, REGISTRIES) for k in entry.value if nearest(k, REGISTRIES)), "")
            message = f"{symbol} does not say what it is"
            self.say(entry.origin, message, f"{near} for example {form}".strip())
