"""Options: values from YAML or Python as the types that a constructor is annotated with.

The annotations are the schema.  `int`, `float`, `bool`, `str`, `Literal`, lists, tuples and unions
with None are converted; ranges are part of the type:

    def __init__(self, iterations: Count = 30, strength: Positive = 0.6,
                 threshold: Annotated[float, Range(at_least=0, below=1)] = 0.05): ...

A value that does not fit is one message that says what was written and what it should be.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any

from pnp.document import Node
from pnp.errors import PnpError, Problem, hint, shown


@dataclass(frozen=True)
class Range:
    """The range of a number, as metadata of `Annotated`; `at_least` and `at_most` are inclusive."""

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: Any) -> bool:
        """True for a number within the range."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"from {_number(self.at_least)} to {_number(self.at_most)}"
        limits = {
            "of at least": self.at_least,
            "of at most": self.at_most,
            "above": self.above,
            "below": self.below,
        }
        return " and ".join(f"{word} {n:g}" for word, n in limits.items() if n is not None)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


@dataclass(frozen=True)
class Rule:
    """Any other condition on one value: `text` follows the type in messages ("that is odd")."""

    text: str
    holds: Callable[[Any], bool]

    def __str__(self) -> str:
        return self.text


class _NoiseRange(Range):
    """The range of noise levels, which have a notation of their own."""


_NOISE = _NoiseRange(0, 1)

Count = Annotated[int, Range(at_least=1)]
"""A whole number of at least 1."""
LARGEST_SEED = 2**32 - 1
Seed = Annotated[int, Range(0, LARGEST_SEED)]
"""The seed of random numbers."""
Positive = Annotated[float, Range(above=0)]
"""A number above 0."""
Fraction = Annotated[float, Range(0, 1)]
"""A number from 0 to 1."""
Noise = Annotated[float, _NOISE]
"""A noise level on [0, 1]; YAML may write it as 0.02, 2% or 5/255."""


def read_noise(value: Any, name: str) -> float:
    """A noise level on [0, 1] from 0.02, '2%' or '5/255'; PnpError for anything else, for example
    15, with `name` at its start.
    """
    try:
        return convert(Noise, value)
    except PnpError as e:
        raise PnpError(f"{name} {e}") from None


def convert(annotation: Any, value: Any) -> Any:
    """`value` as the annotated type; PnpError 'is ..., but should be ...' if it does not fit.

    A whole number serves as a float, a list as a tuple.  An annotation of any other type takes the
    value as it is.
    """
    try:
        return _convert(annotation, value)
    except _Unfit:
        message, cure = _problem(annotation, value)
        raise PnpError(f"{message}; {cure}" if cure else message) from None


def describe(annotation: Any) -> str:
    """What values of an annotation are, in words: 'a whole number of at least 1 or null'."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        rules = " ".join(str(rule) for rule in arguments[1:] if isinstance(rule, (Range, Rule)))
        if _is_noise(annotation):
            extra = [str(r) for r in arguments[1:] if r != _NOISE]
            return " ".join(["a noise level on [0, 1]", *extra])
        return f"{describe(arguments[0])} {rules}".rstrip()
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(a) for a in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (list, tuple):
        members = [a for a in arguments if a is not Ellipsis]
        fixed = origin is tuple and Ellipsis not in arguments and members
        size = f" of {len(members)}" if fixed else ""
        same = len(set(map(describe, members))) == 1
        return f"a list{size}" + (f", each entry {describe(members[0])}" if same else "")
    if origin is dict:
        return "a map" + ("" if arguments[1] is Any else f", each entry {describe(arguments[1])}")
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def options_of(cls: type[Any]) -> dict[str, inspect.Parameter]:
    """The options that the constructor of a class takes, by name, with their types."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    known = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    source = cls if dataclasses.is_dataclass(cls) else cls.__init__
    hints = typing.get_type_hints(source, include_extras=True) if known else {}
    return {p.name: p.replace(annotation=hints.get(p.name, Any)) for p in known}


def read_fields(
    cls: type[Any],
    node: Node,
    prefix: str = "",
    *,
    noun: str = "option",
    skip: Iterable[str] = (),
) -> tuple[dict[str, Any], list[Problem]]:
    """The arguments of a dataclass or a module from a map, and all problems.

    Args:
        cls: The class; the annotations of its constructor say what its options are.
        node: A map from options to values; problems carry their lines.
        prefix: Put before every message, for example 'P: '.
        noun: The word for an option in messages.
        skip: Keys of the map and options of the class that the caller reads itself.

    Returns:
        The values that fit, by name, and the problems.  An option whose type is a dataclass is read
        from a map in the same way.
    """
    known = {name: p for name, p in options_of(cls).items() if name not in set(skip)}
    given = {name: value for name, value in node.value.items() if name not in set(skip)}
    values: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        if name not in known:
            cure = hint(name, known, f"{noun}s") if known else f"it takes no {noun}s"
            message = f"{prefix}there is no {noun} '{name}'"
            problems.append(Problem(value.origin, message, cure))
            continue
        inner = _dataclass_in(known[name].annotation)
        optional = type(None) in typing.get_args(known[name].annotation)
        if inner is not None and not (optional and value.value is None):
            made, found = read_dataclass(inner, value, f"{prefix}{name}", noun=noun)
            values |= {} if made is None else {name: made}
            problems += found
            continue
        try:
            values[name] = _convert(known[name].annotation, value.plain())
        except _Unfit:
            message, cure = _problem(known[name].annotation, value.plain())
            problems.append(Problem(value.origin, f"{prefix}{name} {message}", cure))
    missing = [n for n, p in known.items() if p.default is p.empty and n not in given]
    problems += [Problem(node.origin, f"{prefix}the {noun} '{n}' is missing") for n in missing]
    return values, problems


def read_dataclass(
    cls: type[Any], node: Node, name: str, *, noun: str = "key"
) -> tuple[Any, list[Problem]]:
    """An instance of a dataclass from a map, or None, and all problems of the map."""
    if not node.is_map:
        cure = f"{noun}s: {', '.join(options_of(cls))}"
        return None, [Problem(node.origin, f"{name} should be a map of {noun}s", cure)]
    values, problems = read_fields(cls, node, f"{name}: ", noun=noun)
    if problems:
        return None, problems
    try:
        return cls(**values), []
    except PnpError as e:
        named = (v.origin for key, v in node.value.items() if re.search(rf"\b{key}\b", str(e)))
        return None, [Problem(next(named, node.origin), str(e))]


def checked(construct: Callable[..., None]) -> Callable[..., None]:
    """A constructor of modules that first converts its arguments to the annotated types.

    All wrong options are one PnpError.
    """

    @functools.wraps(construct)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = inspect.signature(construct).bind(self, *args, **kwargs)
        except TypeError:
            return construct(self, *args, **kwargs)  # Python's own message
        hints = typing.get_type_hints(construct, include_extras=True)
        wrong = []
        for name, value in bound.arguments.items():
            if bound.signature.parameters[name].kind in (
                inspect.Parameter.VAR_POSITIONAL,
                inspect.Parameter.VAR_KEYWORD,
            ):
                continue
            try:
                bound.arguments[name] = convert(hints.get(name, Any), value)
            except PnpError as e:
                wrong.append(f"{name} {e}")
        if wrong:
            raise PnpError(f"{type(self).registered}: {'; '.join(wrong)}")
        return construct(*bound.args, **bound.kwargs)

    return init


class _Unfit(Exception):
    """A value that does not fit an annotation."""


_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "null",
    Any: "anything",
}


def _problem(annotation: Any, value: Any) -> tuple[str, str]:
    """The problem, as the text after the name of an option, and the cure."""
    cure = _noise_cure(value) if _is_noise(annotation) else ""
    return f"is {shown(value)}, but should be {describe(annotation)}", cure


def _convert(annotation: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        found = _as_noise(value) if _is_noise(annotation) else _convert(arguments[0], value)
        rules = [rule for rule in arguments[1:] if isinstance(rule, (Range, Rule))]
        if found is None or not all(rule.holds(found) for rule in rules):
            raise _Unfit
        return found
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value)
    if origin is typing.Literal:
        for choice in arguments:
            if value == choice and not isinstance(value, bool):
                return choice
        raise _Unfit
    if origin in (list, tuple):
        return _convert_list(origin, arguments, value)
    if origin is dict:
        if not isinstance(value, dict):
            raise _Unfit
        return {key: _convert(arguments[1], entry) for key, entry in value.items()}
    if annotation in (int, float):
        kind: Any = Integral if annotation is int else Real
        if not isinstance(value, kind) or isinstance(value, bool) or not abs(value) < 1e300:
            raise _Unfit
        return annotation(value)
    if annotation in (bool, str) and not isinstance(value, annotation):
        raise _Unfit
    return value


def _convert_union(members: tuple[Any, ...], value: Any) -> Any:
    for member in members:
        if member is type(None):
            if value is None:
                return None
            continue
        try:
            return _convert(member, value)
        except _Unfit:
            continue
    raise _Unfit


def _convert_list(origin: type, arguments: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise _Unfit
    members = [a for a in arguments if a is not Ellipsis]
    if origin is tuple and Ellipsis not in arguments and members:
        if len(members) != len(value):
            raise _Unfit
    else:
        members = (members or [Any])[:1] * len(value)
    return origin(_convert(kind, item) for kind, item in zip(members, value, strict=True))


def _is_noise(annotation: Any) -> bool:
    return any(extra == _NOISE for extra in getattr(annotation, "__metadata__", ()))


def _as_noise(value: Any) -> float | None:
    """The number that a noise level was written as, of any size; None if it is not a number."""
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    text = value.replace(" ", "") if isinstance(value, str) else ""
    if match := re.fullmatch(r"(\d*\.?\d+|\d+\.)%", text):
        return float(match[1]) / 100
    if match := re.fullmatch(r"(\d*\.?\d+|\d+\.)/(\d*\.?\d+)", text):
        return float(match[1]) / float(match[2]) if float(match[2]) else None
    if re.fullmatch(r"[-+]?(\d*\.?\d+|\d+\.)([eE][-+]?\d+)?", text):
        return float(text)
    return None


def _noise_cure(value: Any) -> str:
    number = _as_noise(value)
    if number is not None and number > 1 and re.fullmatch(r"[\d.]+", str(value)):
        return f"write {value}/255 or {value}% if that is meant"
    return "write it as 0.02, 2% or 5/255"


def _dataclass_in(annotation: Any) -> type[Any] | None:
    """The dataclass of an annotation such as `Schedule` or `Schedule | None`."""
    parts = (annotation, *typing.get_args(annotation))
    return next((p for p in parts if isinstance(p, type) and dataclasses.is_dataclass(p)), None)
