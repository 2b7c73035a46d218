"""A document as YAML text, with the origin of each line (`pnp show`, `pnp diff`)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from pnp.document import Node, scalar
from pnp.errors import Origin


def emit(node: Node) -> Iterator[tuple[str, Origin]]:
    """The lines of a document as YAML, each with its origin; `read_text` reads the same values
    from them.

    Values that were written on one line stay on one line.
    """
    yield from _emit(node, "")


def _emit(node: Node, indent: str) -> Iterator[tuple[str, Origin]]:
    def on_one_line(value: Node) -> bool:
        return _simple(value) or (len(_origins(value)) == 1 and len(_flow(value)) <= 90)

    if node.is_map and node.value:
        for key, value in node.value.items():
            if on_one_line(value):
                yield f"{indent}{_word(key)}: {_line(value)}", value.origin
            else:
                yield f"{indent}{_word(key)}:", value.origin
                yield from _emit(value, indent + "  ")
    elif node.is_list and node.value:
        for value in node.value:
            if on_one_line(value):
                yield f"{indent}- {_line(value)}", value.origin
            else:
                lines = list(_emit(value, indent + "  "))
                yield f"{indent}- {lines[0][0].lstrip()}", lines[0][1]
                yield from lines[1:]
    else:
        yield f"{indent}{_flow(node)}", node.origin


def _simple(node: Node) -> bool:
    return not (node.is_map or node.is_list) or not node.value


def _origins(node: Node) -> set[tuple[str, int | None]]:
    inner = node.value.values() if node.is_map else node.value if node.is_list else ()
    return {(node.origin.file, node.origin.line)}.union(*(_origins(v) for v in inner))


def _flow(node: Node) -> str:
    if node.is_map:
        return "{" + ", ".join(f"{_word(k)}: {_flow(v)}" for k, v in node.value.items()) + "}"
    if node.is_list:
        return "[" + ", ".join(_flow(v) for v in node.value) + "]"
    return _word(node.value)


def _line(node: Node) -> str:
    """A value on a line of its own, where commas and brackets need no quotes."""
    if (
        isinstance(node.value, str)
        and re.fullmatch(r"[A-Za-z][\w ,;'=()\[\].+-]*[\w)\]]", node.value)
        and isinstance(scalar(node.value), str)
    ):
        return node.value
    return _flow(node)


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value).replace("inf", ".inf").replace("nan", ".nan")
    if isinstance(value, (int, float)):
        return repr(value)
    plain = re.fullmatch(r"[A-Za-z0-9_./(+-][A-Za-z0-9_./%() =+-]*", value) and not value.endswith(
        " "
    )
    if (
        plain
        and isinstance(scalar(value), str)
        and not value.startswith(("- ", "---"))
        and value != "-"
    ):
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())
