"""The texts that `pnp show`, `diff` and `cite` print."""

from __future__ import annotations

import difflib
from pathlib import Path

import torch

from pnp.building import build
from pnp.cards import card
from pnp.checkpoint_files import SUFFIXES
from pnp.checkpoints import find_weights, manifest
from pnp.citations import bibtex, keys_of
from pnp.commands.documents import also_called, dialect_of, is_path, ordered
from pnp.cost import cost_of, read_size
from pnp.document import Node, from_python
from pnp.errors import PnpError, with_article
from pnp.headers import read_entry
from pnp.language.emit import emit
from pnp.language.layers import Dialect
from pnp.language.reader import PIPELINES, read_spec
from pnp.language.spec import Spec
from pnp.precision import chosen


def flattened(dialect: Dialect, document: Node) -> str:
    """A document merged into one YAML document; each line states where it was written."""
    lines = list(emit(ordered(dialect, document)))
    width = min(max(len(text) for text, _ in lines), 72)
    return "\n".join(f"{text:{width}}  # {origin}" for text, origin in lines)


def weights_card(name: str) -> tuple[str, bool] | None:
    """The card of a file of weights, and True if the file names a pipeline, which is shown as well;
    the card of pretrained weights, and False; None for any other name.

    Args:
        name: A file, a name that only weights have, or `weights:NAME`.
    """
    kind, colon, rest = name.partition(":")
    if colon and kind == "weights":
        return card(find_weights(rest)[0], rest), False
    if name.lower().endswith(SUFFIXES):
        path = Path(name).expanduser()
        if not path.is_file():
            raise PnpError(f"{name}: there is no such file")
        return card(path, name), "pipeline" in read_entry(path)
    if is_path(name) or also_called(name, "weights") or "sha256" not in manifest().get(name, {}):
        return None
    return card(find_weights(name)[0], name), False


def cost(
    spec: Spec, size: str = "1024x1024", scale: int | None = None, changed: bool = False
) -> str:
    """The cost of a pipeline for a result of a size at a scale, as comment lines (pnp/cost.py), in
    the precision that `pnp run` chooses; see there for `changed`."""
    height, width = read_size(size)
    pipeline = build(spec, random_weights=True)
    dtype = chosen("auto", spec, torch.device("cpu"), changed)
    return str(cost_of(pipeline, height, width, scale, dtype=dtype))


def difference(a: str, b: str) -> str:
    """The lines in which two merged pipelines, recipes or comparisons differ, as a unified diff.

    A module, and any other entry of a map, takes one line if it is short enough.
    """
    kinds = [dialect_of(name)[0] for name in (a, b)]
    if kinds[0] is not kinds[1]:
        first, second = (with_article(kind.noun) for kind in kinds)
        raise PnpError(f"{a} is {first} and {b} is {second}; only things of one kind are compared")
    old, new = ([text for text, _ in emit(_flat(name))] for name in (a, b))
    lines = list(difflib.unified_diff(old, new, fromfile=a, tofile=b, n=1, lineterm=""))
    return "\n".join(lines) if lines else f"{a} and {b} are the same"


def _flat(name: str) -> Node:
    """The merged document of a name; `emit` writes an entry on one line only if all of it has the
    same origin."""
    dialect, plain = dialect_of(name)
    document = read_spec(plain).document if dialect is PIPELINES else dialect.read(plain)
    document = ordered(dialect, document)
    maps = {
        key: Node(
            {inner: from_python(v.plain(), v.origin) for inner, v in node.value.items()},
            node.origin,
        )
        for key, node in document.value.items()
        if node.is_map
    }
    return Node({**document.value, **maps}, document.origin)


def citations(spec: Spec) -> str:
    """BibTeX of a pipeline and of the modules that it calls."""
    keys = keys_of(spec)
    return bibtex(keys) if keys else f"% {spec.name} and its modules cite nothing"
