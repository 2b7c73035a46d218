"""Options of modules: from what YAML says to what a constructor wants, or one message why it does not fit."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from pnp.document import Node
from pnp.errors import PnpError, hint
from pnp.interfaces import Module, Noise


def read_noise(value: Any) -> float:
    """A noise level on [0, 1] from 0.02, '2%' or '5/255'; PnpError for anything else, 15 among it."""
    number: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str):
        text = value.replace(" ", "")
        if match := re.fullmatch(r"(\d*\.?\d+|\d+\.)%", text):
            number = float(match[1]) / 100
        elif match := re.fullmatch(r"(\d*\.?\d+|\d+\.)/(\d*\.?\d+)", text):
            number = float(match[1]) / float(match[2]) if float(match[2]) else None
        elif re.fullmatch(r"[-+]?(\d*\.?\d+|\d+\.)([eE][-+]?\d+)?", text):
            number = float(text)
    if number is None:
        raise PnpError(f"{value!r} is not a noise level; write it as 0.02, 2% or 5/255")
    if not 0 <= number <= 1:
        plain = number > 1 and re.fullmatch(r"[\d.]+", str(value))
        cure = (
            f"write {value}/255 or {value}% if that is meant"
            if plain
            else "write it as 0.02, 2% or 5/255"
        )
        raise PnpError(f"{value} is not a noise level on [0, 1]; {cure}")
    return number


def convert(annotation: Any, value: Any) -> Any:
    """`value` as the annotated type; PnpError that says what is wanted.

    Understood: int, float, bool, str, `Noise`, `Literal`, lists and tuples of these, unions with
    None.  A whole number serves as a float.  Any other annotation takes the value as it is.
    """
    if annotation is Noise:
        return read_noise(value)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return convert(arguments[0], value)
    if origin in (typing.Union, types.UnionType):
        failures = []
        for member in arguments:
            if member is type(None):
                if value is None:
                    return None
                continue
            try:
                return convert(member, value)
            except PnpError as e:
                failures.append(str(e))
        raise PnpError(
            failures[-1] if len(failures) == 1 else f"wants {_wanted(annotation)}, not {value!r}"
        )
    if origin is typing.Literal:
        if value in arguments and not isinstance(value, bool):
            return value
        raise PnpError(f"wants one of {', '.join(map(str, arguments))}, not {value!r}")
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            raise PnpError(f"wants {_wanted(annotation)}, not {value!r}")
        members = [a for a in arguments if a is not Ellipsis]
        fixed = origin is tuple and Ellipsis not in arguments and bool(members)
        if fixed and len(members) != len(value):
            raise PnpError(f"wants {_wanted(annotation)}, not {value!r}")
        kinds = members if fixed else [members[0] if members else Any] * len(value)
        converted = [convert(kind, item) for kind, item in zip(kinds, value, strict=True)]
        return tuple(converted) if origin is tuple else converted
    if (
        annotation is float
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < 1e300
    ):
        return float(value)
    if annotation is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if annotation in (bool, str):
        if isinstance(value, annotation):
            return value
    elif annotation not in (int, float):
        return value
    raise PnpError(f"wants {_wanted(annotation)}, not {value!r}")


def options_of(cls: type[Module]) -> dict[str, inspect.Parameter]:
    """The options that the constructor of a module takes, by name."""
    if cls.__init__ is Module.__init__:
        return {}
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def read_options(
    cls: type[Module], nodes: Mapping[str, Node]
) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """The options of a module as its constructor wants them, and (option, problem, cure) for those that do not fit."""
    known = options_of(cls)
    hints = typing.get_type_hints(cls.__init__, include_extras=True) if known else {}
    values: dict[str, Any] = {}
    problems = []
    for name, node in nodes.items():
        if name not in known:
            cure = hint(name, known, "options") if known else "it takes no options"
            problems.append((name, f"there is no option '{name}'", cure))
            continue
        try:
            values[name] = convert(hints.get(name, Any), node.plain())
        except PnpError as e:
            problems.append((name, f"{name}: {e}", ""))
    missing = [n for n, p in known.items() if p.default is p.empty and n not in nodes]
    problems += [(name, f"the option '{name}' is missing", "") for name in missing]
    return values, problems


def _wanted(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    names = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        type(None): "null",
    }
    if annotation in names:
        return names[annotation]
    if annotation is Noise:
        return "a noise level"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_wanted(a) for a in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)}"
    return "a list" if origin in (list, tuple) else str(annotation)
