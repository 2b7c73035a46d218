"""Weights in a document: found beside the file that names them, and the options that they bring.

An option that is not written comes from the weights (`pnp.trained_options`); one that is written
must be that of the weights, except those that a class names in `free`.
"""

from __future__ import annotations

from typing import Any

from pnp.checkpoints import manifest, split_source
from pnp.document import Node, from_python
from pnp.errors import Origin, PnpError, Problem
from pnp.language.spec import ModuleSpec
from pnp.options import convert, options_of
from pnp.registry import REGISTRIES, current_role
from pnp.trained_options import plain, trained_options


def with_weights_found(document: Node) -> Node:
    """The document with weights in the folder of the file that names them by their whole path, and
    with the options that weights bring.

    Where the document has weights for all modules, they take the place of a module's own that the
    package names but does not have.
    """
    document = _located(document)
    modules = document.value.get("modules")
    if modules is None or not modules.is_map:
        return document
    for_all = document.value.get("weights")
    entries = {}
    for symbol, module in modules.value.items():
        found = _located(module)
        if for_all is not None and found.is_map and _is_missing(found.value.get("weights")):
            found = Node({k: v for k, v in found.value.items() if k != "weights"}, found.origin)
        entries[symbol] = _completed(symbol, found, for_all) if found.is_map else found
    return Node({**document.value, "modules": Node(entries, modules.origin)}, document.origin)


def _located(holder: Node) -> Node:
    weights = holder.value.get("weights") if holder.is_map else None
    if weights is None or not isinstance(weights.value, str) or weights.origin.folder is None:
        return holder
    folder = weights.origin.folder
    if not (folder / split_source(weights.value)[0]).is_file():
        return holder
    located = Node(str(folder / weights.value), weights.origin)
    return Node({**holder.value, "weights": located}, holder.origin)


def _is_missing(weights: Node | None) -> bool:
    """True for a name of weights of which the package has the recipe, but no file."""
    if weights is None or not isinstance(weights.value, str):
        return False
    entry = manifest().get(split_source(weights.value)[0])
    return entry is not None and "sha256" not in entry


def _completed(symbol: str, module: Node, for_all: Node | None) -> Node:
    """A module with the options of its weights that are not written and are not the default."""
    weights = module.value.get("weights") or for_all
    roles = [role for role in REGISTRIES if role in module.value]
    if weights is None or not isinstance(weights.value, str) or len(roles) != 1:
        return module
    name = module.value[roles[0]].value
    role = current_role(roles[0], name) if isinstance(name, str) else roles[0]
    if not isinstance(name, str) or name not in REGISTRIES[role].names():
        return module
    known = options_of(REGISTRIES[role].get(name))
    origin = Origin(f"weights {weights.value}")
    brought = {
        option: from_python(value, origin)
        for option, value in trained_options(weights.value, role, name, symbol).items()
        if option not in module.value
        and not (option in known and plain(known[option].default) == value)
    }
    return Node({**module.value, **brought}, module.origin) if brought else module


def contradictions(document: Node, m: ModuleSpec, source: str) -> list[Problem]:
    """A problem for each option of a module that is not the one of its weights."""
    cls = REGISTRIES[m.role].get(m.name)
    known, entry = options_of(cls), document.value["modules"].value[m.symbol]
    problems = []
    for option, trained in trained_options(source, m.role, m.name, m.symbol).items():
        if option not in known or option in cls.free:
            continue
        here = m.options.get(option, known[option].default)
        if _same(known[option].annotation, here, trained):
            continue
        where = entry.value.get(option, entry).origin
        message = f"{m.symbol}: {option} is {_yaml(here)}, but the weights {source}"
        assignment = f"modules.{m.symbol}.{option}={_yaml(trained).replace(', ', ',')}"
        problems.append(
            Problem(
                where,
                f"{message} were trained with {_yaml(trained)}",
                f"--set {assignment} takes the value of the weights; or give other weights",
            )
        )
    return problems


def _same(annotation: Any, here: Any, trained: Any) -> bool:
    try:
        return plain(convert(annotation, trained)) == plain(here)
    except PnpError:
        return False


def _yaml(value: Any) -> str:
    value = plain(value)
    return {None: "null", True: "true", False: "false"}[value] if _is_word(value) else str(value)


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, bool)
