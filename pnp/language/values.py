"""Single values of a document: `--set key=value`, and where a dotted key puts its value."""

from __future__ import annotations

import re

from pnp.document import Node, read_text, relocated, scalar
from pnp.errors import Origin, PipelineError, PnpError, Problem

_INDEX = re.compile(r"[0-9]{1,9}")


def read_assignment(text: str) -> tuple[str, Node]:
    """Key and value of 'key.key=value'; the value is YAML, so it may be a list or a map."""
    key, equals, value = (part.strip() for part in text.partition("="))
    origin = Origin(f"--set {text}")
    if not equals or not key:
        raise PnpError(
            f"--set {text}: write it as key=value, "
            "for example --set repeat=8 or --set modules.P.weights=FILE"
        )
    if not value:
        raise PnpError(f"--set {text}: the value is missing; {key}=null removes what is there")
    if not value.startswith(("[", "{", '"', "'")):
        return key, Node(scalar(value), origin)
    try:
        return key, relocated(read_text(value, origin.file), origin)
    except PipelineError as e:
        raise PipelineError([Problem(origin, p.message, p.cure) for p in e.problems]) from None


def put(node: Node | None, path: list[str], value: Node, done: str) -> Node:
    """The node with `value` at a path inside it, without what is there if the value is null.

    Args:
        node: A map, a list, or None for a map that does not exist yet.
        path: Keys of maps and indices of lists.
        value: The value.
        done: The path to the node itself, for messages.
    """
    key, *rest = path
    here = f"{done}.{key}" if done else key
    if node is not None and node.is_list:
        if not _INDEX.fullmatch(key) or int(key) >= len(node.value):
            size = len(node.value)
            message = f"'{done}' is a list of {size}; '{key}' is not an index"
            raise PipelineError([Problem(value.origin, message, "the first is 0")])
        items = list(node.value)
        if rest:
            items[int(key)] = put(items[int(key)], rest, value, here)
        else:
            items[int(key) : int(key) + 1] = [value] if value.value is not None else []
        return Node(items, node.origin)
    if node is not None and not node.is_map:
        message = f"'{done}' is a single value without '{key}'"
        raise PipelineError([Problem(value.origin, message)])
    inner = dict(node.value) if node is not None else {}
    if rest:
        inner[key] = put(inner.get(key), rest, value, here)
    elif value.value is None:
        inner.pop(key, None)
    else:
        inner[key] = value
    return Node(inner, node.origin if node is not None else value.origin)
