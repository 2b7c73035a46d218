"""Pipelines, recipes, comparisons and modules by name or file, told apart by what they are.

A file is what its keys say; a name is looked for among pipelines, then recipes, then comparisons.
Where two things have one name, `recipe:ikrnet-small` or `initializer:bicubic` says which is meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pnp.checkpoint_files import SUFFIXES
from pnp.checkpoints import manifest
from pnp.comparing.reader import COMPARISONS
from pnp.document import Node
from pnp.errors import PnpError, nearest, with_article
from pnp.language.layers import Dialect
from pnp.language.reader import PIPELINES
from pnp.registry import REGISTRIES
from pnp.training.recipe_reader import RECIPES

DIALECTS: dict[str, Dialect] = {d.noun: d for d in (PIPELINES, RECIPES, COMPARISONS)}


def split_kind(name: str) -> tuple[str | None, str]:
    """The kind that is written before a name, and the name: 'recipe:joint' -> recipe, joint."""
    kind, colon, rest = name.partition(":")
    return (kind, rest) if colon and kind in (*DIALECTS, *REGISTRIES) else (None, name)


def is_path(name: str) -> bool:
    """True for what names a file rather than something of the package."""
    file = name.lower().endswith((".yaml", ".yml", *SUFFIXES))
    return file or "/" in name or "\\" in name or Path(name).is_dir()


def dialect_of(name: str) -> tuple[Dialect, str]:
    """What kind of document a name or a file is, and the name without its kind.

    Raises:
        PnpError: Nothing has this name.
    """
    kind, rest = split_kind(name)
    if kind is not None:
        if kind not in DIALECTS:
            raise PnpError(
                f"{name}: {with_article(kind)} is a module; pnp show {name} describes it"
            )
        return DIALECTS[kind], rest
    if is_path(name):
        return _of_file(name), name
    found = [d for d in DIALECTS.values() if name in d.names()]
    if found:
        return found[0], name
    others = [n for dialect in DIALECTS.values() for n in dialect.names()]
    others += [n for registry in REGISTRIES.values() for n in registry.names()]
    near = nearest(name, others)
    if near != nearest(name, PIPELINES.names()):
        what = "pipeline, recipe, comparison or module"
        raise PnpError(f"there is no {what} called '{name}'; {near}")
    return PIPELINES, name


def also_called(name: str, but: str) -> list[str]:
    """What else has this name, as it is written: 'recipe:ikrnet-small'; `but` is the kind known."""
    kinds = [noun for noun, d in DIALECTS.items() if noun != but and name in d.names()]
    kinds += [role for role, r in REGISTRIES.items() if role != but and name in r.names()]
    kinds += ["weights"] if but != "weights" and "sha256" in manifest().get(name, {}) else []
    return [f"{kind}:{name}" for kind in kinds]


def ordered(dialect: Dialect, document: Node) -> Node:
    """The document with its keys in the order in which they act."""
    known = {key: document.value[key] for key in dialect.keys if key in document.value}
    return Node(
        {**known, **{k: v for k, v in document.value.items() if k not in known}}, document.origin
    )


def read_document(
    name: str, assignments: Iterable[str] = (), overlays: Iterable[str] = ()
) -> tuple[Dialect, Node]:
    """The kind of a name or a file, and its document, merged with those that it extends."""
    dialect, name = dialect_of(name)
    return dialect, dialect.read(name, assignments=assignments, overlays=overlays)


def _of_file(name: str) -> Dialect:
    """The kind of a file: that whose own keys it has, else that of the document it extends."""
    try:
        path, shown = PIPELINES.find(name)
        document = PIPELINES.document(path, shown)
    except PnpError:
        return PIPELINES  # which says what is wrong with it
    if not document.is_map:
        return PIPELINES
    for dialect in DIALECTS.values():
        others = {key for d in DIALECTS.values() if d is not dialect for key in d.keys}
        if set(document.value) & (set(dialect.keys) - others):
            return dialect
    extended = document.value.get("extends")
    parents = extended.value if extended is not None and extended.is_list else [extended]
    first = parents[0].value if parents and parents[0] is not None else None
    if not isinstance(first, str):
        return PIPELINES
    if is_path(first):
        return _of_file(str(path.parent / first)) if first != name else PIPELINES
    return next((d for d in DIALECTS.values() if first in d.names()), PIPELINES)
