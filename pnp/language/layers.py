"""A document over a document: `extends`, overlays and `--set`, for every kind of document.

Layers, each over the ones before:

    the files that `extends` names: one, or a list of the base and then overlays
    the document itself
    overlays (`--with`)
    single values: `set`, `--set key=value`, keyword arguments of `pnp.load`

Each file is a layer once.  So an overlay may itself extend a file that is a layer already:
`ikrnet-8` with `ikrnet-scunet` is `ikrnet`, then the changes of each of the two.  A layer may say
in `variants` what an overlay that is written for another structure changes in its own.

Pipelines, recipes and comparisons are three `Dialect`s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file
from pathlib import Path
from typing import Any, TypeAlias

from pnp.document import Node, from_python, read_file
from pnp.errors import Origin, PipelineError, PnpError, Problem, hint
from pnp.language.values import put, read_assignment
from pnp.plugins import missing, packages

Merge: TypeAlias = Callable[[Node, Node], Node]
"""Merges a map over another: `merge(base, layer)`."""
FOLDER_FILE = "pipeline.yaml"
"""A folder with this file, such as that of a training run, is a pipeline."""
_LONGEST = 50
"""Files from a document to its base."""
_VARIANTS = "variants"
_SYMBOL = re.compile(r"[A-Z]\w*")


@dataclass(frozen=True)
class _Variant(Node):
    """The values by dotted key that stand for an overlay, as `variants` of a layer says."""


@dataclass(frozen=True)
class Dialect:
    """One kind of document: its name in messages, its keys, its files, and how a layer changes one.

    Args:
        noun: What a document is called in messages.
        keys: Its keys.
        group: The entry points by which plugins name packages with further documents.
        merge: Merges a document over the one below it.
        complete: Keys that only a whole document has together, never an overlay.
        package: The package of pnp's own documents, if they have one.
        dotted: Keys whose entries have dots in their names; an assignment's path ends there.
        inner: The kind of document that the key `set` changes; assignments to its keys go there.
    """

    noun: str
    keys: tuple[str, ...]
    group: str
    merge: Merge
    complete: tuple[str, ...]
    package: str = ""
    dotted: tuple[str, ...] = ()
    inner: Dialect | None = None

    def names(self) -> list[str]:
        """The names of the documents of pnp and of plugins."""
        return sorted(self._named())

    def find(self, name: str, folder: Path | None = None) -> tuple[Path, str]:
        """The file of a name or of a path relative to `folder`, and its name in messages."""
        if name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name:
            path = (folder or Path()) / Path(name).expanduser()
            if os.path.isdir(path):
                return self._in_folder(path, name)
            if not os.path.isfile(path):
                known = ", ".join(self.names())
                raise PnpError(
                    f"{name}: there is no such file; {self.noun}s by name: {known or 'none'}"
                )
            return path, name
        named = self._named()
        if name in named:
            with as_file(named[name][1]) as path:
                return path, f"{name}.yaml"
        if name and os.path.isdir((folder or Path()) / name):
            return self._in_folder((folder or Path()) / name, name)
        cure = missing(self.group, name, named, self.noun + "s")
        message = f"there is no {self.noun} called '{name}'; {cure}"
        if os.path.isfile((folder or Path()) / f"{name}.yaml"):
            message += f"; a file is written with its ending: {name}.yaml"
        raise PnpError(message)

    def document(self, path: Path, shown: str) -> Node:
        """The document in a file, before it is merged with what it extends."""
        return read_file(path, shown)

    def _in_folder(self, path: Path, name: str) -> tuple[Path, str]:
        """The pipeline in the folder of a training run."""
        if self.noun == "pipeline" and (path / FOLDER_FILE).is_file():
            return path / FOLDER_FILE, f"{name.rstrip('/')}/{FOLDER_FILE}"
        if self.noun == "pipeline" and is_run(path):
            cure = "pnp train --resume continues it"
            raise PnpError(f"{name}: this training has not ended, it has no {FOLDER_FILE}; {cure}")
        raise PnpError(f"{name}: this is a folder; name a {self.noun} file (.yaml)")

    def read(
        self,
        name: str,
        overrides: Mapping[str, Any] | None = None,
        assignments: Iterable[str] = (),
        overlays: Iterable[str] = (),
    ) -> Node:
        """The document of a name or a file, merged with all its layers.

        Args:
            name: A name or a path.
            overrides: Values by dotted key.
            assignments: Texts 'key.key=value'.
            overlays: Names or paths of documents that are put over it.

        Raises:
            PipelineError: With the line of the problem.
        """
        stack: dict[Path, Node] = {}
        self._stack(name, None, stack)
        for overlay in overlays:
            self._stack(overlay, Origin(f"--with {overlay}"), stack, overlay=True)
        document = self._merged(stack.values())
        for key, value in (overrides or {}).items():
            origin = Origin(f"load({key}=...)", None, f"{key} = {value!r}")
            document = self.override(document, key, from_python(value, origin))
        for text in assignments:
            document = self.override(document, *read_assignment(text))
        return document

    def extended(self, document: Node) -> Node:
        """A document that is part of another file, merged with those that it extends."""
        stack: dict[Path, Node] = {}
        self._stack_parents(document, stack, ())
        return self._merged([*stack.values(), document])

    def override(self, document: Node, key: str, value: Node) -> Node:
        """One value as the last layer.

        A dotted key reaches into maps and, by index, into lists (`stages.1.repeat`); null removes.
        A whole key, and a map for one entry of a key, are merged like those of an overlay.
        """
        first, _, rest = key.partition(".")
        settable = [k for k in self.keys if k not in ("extends", _VARIANTS)]
        if first not in settable:
            if self.inner is not None and first in self.inner.keys and first != "extends":
                return self.override(document, f"set.{key}", value)
            raise PipelineError([self._not_settable(key, settable, value.origin)])
        within = document.value.get(first)
        of_a_list = within is not None and within.is_list
        whole = value.is_map or value.value is None
        if not rest:
            return self.merge(document, Node({first: value}, value.origin))
        if first in self.dotted or ("." not in rest and whole and not of_a_list):
            layer = Node({rest: value}, value.origin)
            return self.merge(document, Node({first: layer}, value.origin))
        return put(document, key.split("."), value, "")

    def unknown_keys(self, document: Node) -> list[Problem]:
        """A problem for each key that is unknown in this kind of document."""
        return [
            Problem(node.origin, f"a {self.noun} has no key '{key}'", hint(key, self.keys, "keys"))
            for key, node in document.value.items()
            if key not in self.keys
        ]

    def _not_settable(self, whole: str, settable: list[str], origin: Origin) -> Problem:
        key = whole.partition(".")[0]
        if _SYMBOL.fullmatch(key):
            cure = f"an option of a module is set as modules.{whole}"
            return Problem(origin, f"a {self.noun} has no key '{key}' to set", cure)
        if self.inner is None:
            cure = hint(key, settable, "keys")
            return Problem(origin, f"a {self.noun} has no key '{key}' to set", cure)
        message = f"neither a {self.noun} nor a {self.inner.noun} has a key '{key}'"
        return Problem(origin, message, hint(key, {*settable, *self.inner.keys}, "keys"))

    def _named(self) -> dict[str, Any]:
        """Package and file of each document that has a name."""
        found: dict[str, Any] = {}
        for package, entries in packages(self.group, self.package):
            for entry in entries:
                if not entry.name.endswith(".yaml"):
                    continue
                stem = entry.name.removesuffix(".yaml")
                if stem in found:
                    raise PnpError(
                        f"two {self.noun}s are called '{stem}': one in {found[stem][0]}, "
                        f"one in {package}; rename one of them"
                    )
                found[stem] = (package, entry)
        return found

    def _find(self, name: str, origin: Origin | None) -> tuple[Path, str]:
        try:
            return self.find(name, origin.folder if origin is not None else None)
        except PnpError as e:
            if origin is None:
                raise
            message, _, cure = str(e).partition("; ")
            raise PipelineError([Problem(origin, message, cure)]) from None

    def _stack(
        self,
        name: str,
        origin: Origin | None,
        stack: dict[Path, Node],
        chain: tuple[Path, ...] = (),
        overlay: bool = False,
    ) -> None:
        """Add a file to the stack, after those that it extends; each file is added once."""
        found, shown = self._find(name, origin)
        path = found.resolve()
        here = origin or Origin(shown)
        if path in chain:
            message = f"'{name}' extends itself through this line"
            raise PipelineError([Problem(here, message, "remove the cycle")])
        if len(chain) >= _LONGEST:
            message = f"files extend each other through more than {_LONGEST} files"
            raise PipelineError([Problem(here, message, "put some of them into one file")])
        if path in stack:
            return
        document = self.document(found, shown)
        if not document.is_map:
            message, cure = f"a {self.noun} is a map of keys", f"keys: {', '.join(self.keys)}"
            raise PipelineError([Problem(document.origin, message, cure)])
        if stack and path in (variants := self._variants(stack.values())):
            stack[path] = variants[path]
            return
        if stack and "extends" not in document.value:
            self._check_overlay(shown, document, stack, here, overlay)
        self._stack_parents(document, stack, (*chain, path))
        self._variants([document])
        stack[path] = document

    def _variants(self, layers: Iterable[Node]) -> dict[Path, _Variant]:
        """What stands for an overlay by `variants` of the layers, by the file of the overlay."""
        found: dict[Path, _Variant] = {}
        for layer in layers:
            node = layer.value.get(_VARIANTS) if _VARIANTS in self.keys else None
            if node is None:
                continue
            if node.value is None:
                found.clear()
                continue
            for name, changes in _changes_by_name(node).items():
                path = self._find(name, changes.origin)[0].resolve()
                found.pop(path, None)
                if changes.value is not None:
                    found[path] = _Variant(changes.value, changes.origin)
        return found

    def _check_overlay(
        self, shown: str, document: Node, stack: dict[Path, Node], here: Origin, overlay: bool
    ) -> None:
        """Refuse a second base, whether an overlay extends it or it is named as an overlay."""
        base = next(iter(stack.values())).origin.file
        if not overlay:
            message = f"{shown} cannot be a second base: {base} is the base already"
            cure = f"an overlay extends nothing, or {base} and its layers"
            raise PipelineError([Problem(here, message, cure)])
        if set(self.complete) <= set(document.value):
            message = f"{shown} is a whole {self.noun}, not an overlay of {base}"
            cure = f"an overlay has only what it changes, or extends {base}"
            raise PipelineError([Problem(here, message, cure)])

    def _stack_parents(
        self, document: Node, stack: dict[Path, Node], chain: tuple[Path, ...]
    ) -> None:
        node = document.value.get("extends")
        if node is None:
            return
        parents = node.value if node.is_list else [node]
        if not parents or not all(isinstance(p.value, str) for p in parents):
            message = f"extends should be a {self.noun}: a name, a file, or a list of them"
            cure = "in a list the base comes first, then its overlays"
            raise PipelineError([Problem(node.origin, message, cure)])
        base, *overlays = parents
        self._stack(base.value, base.origin, stack, chain)
        for overlay in overlays:
            self._stack(overlay.value, overlay.origin, stack, chain, overlay=True)

    def _merged(self, layers: Iterable[Node]) -> Node:
        used_up = {"extends", _VARIANTS} & {*self.keys}
        document = None
        for layer in layers:
            if document is not None and isinstance(layer, _Variant):
                for key, value in layer.value.items():
                    document = self.override(document, key, value)
                continue
            own = Node({k: v for k, v in layer.value.items() if k not in used_up}, layer.origin)
            document = own if document is None else self.merge(document, own)
        assert document is not None
        return document


def _changes_by_name(node: Node) -> dict[str, Node]:
    """The entries of `variants`; PipelineError if they are not maps of values, or null."""
    if node.is_map and node.value:
        entries: dict[str, Node] = node.value
        if all((v.is_map and v.value) or v.value is None for v in entries.values()):
            return entries
    message = "'variants' should state for each overlay which values it changes here"
    cure = "for example 'variants: {ikrnet-8: {stages.1.times: 1}}'"
    raise PipelineError([Problem(node.origin, message, cure)])


def is_run(path: Path) -> bool:
    """True for the folder of a training run, or another one with a pipeline."""
    return (path / FOLDER_FILE).is_file() or (
        (path / "log.csv").is_file() and (path / "checkpoints").is_dir()
    )


def merge_maps(
    base: Node, layer: Node, within: Callable[[str], Merge | None] = lambda key: None
) -> Node:
    """A map over another: null removes, other values replace; `within(key)` merges inner maps."""
    merged = dict(base.value)
    for key, node in layer.value.items():
        merge = within(key)
        if node.value is None:
            merged.pop(key, None)
        elif merge is not None and node.value == {} and key in merged:
            cure = "write what changes, or null to remove it"
            raise PipelineError([Problem(node.origin, f"'{key}: {{}}' changes nothing", cure)])
        elif merge is not None and node.is_map and key in merged and merged[key].is_map:
            merged[key] = merge(merged[key], node)
        else:
            merged[key] = node
    return Node(merged, base.origin)
