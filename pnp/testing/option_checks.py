"""Are options out of range refused with one message?"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any

from pnp.errors import PnpError
from pnp.interfaces import Module
from pnp.options import options_of


def check_options(module: Module, use: Callable[[Module], None]) -> None:
    """Try 0 and -1 for each option that is a number, and NaN: the constructor refuses a value with
    a PnpError, or what it builds works.

    Args:
        module: A module; its attributes, or the defaults, are the other options.
        use: What has to work; it raises AssertionError with the law that is broken.

    Raises:
        AssertionError: with the option, its value, and what happened.
    """
    cls = type(module)
    known = options_of(cls)
    values = {n: getattr(module, n, p.default) for n, p in known.items()}
    if any(v is inspect.Parameter.empty for v in values.values()):
        return
    for name, parameter in known.items():
        for value in _extremes(parameter.annotation):
            try:
                other = cls(**values | {name: value})
            except PnpError:
                continue
            except Exception as e:
                raise AssertionError(
                    f"{cls.__name__} with {name} = {value} fails with {type(e).__name__}: {e}; "
                    "state its range in its type (Count, Positive ...), or call self.refuse"
                ) from e
            try:
                use(other)
            except Exception as e:
                raise AssertionError(
                    f"{cls.__name__} accepts {name} = {value}, but then: {type(e).__name__}: {e}"
                ) from e


def _extremes(annotation: Any) -> tuple[float, ...]:
    """Values to try for an option of this type; none if it is no number."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    parts = (annotation, *typing.get_args(annotation))
    if float in parts:
        return (0.0, -1.0, float("nan"))
    return (0, -1) if int in parts else ()
