"""Installed plugins: their entry points; those that cannot be imported are left out."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from typing import Any

from pnp.decoders import first_line
from pnp.errors import Notice, PnpError, hint

_BROKEN: dict[tuple[str, str], str] = {}
"""Why an entry point, by group and name, is left out."""


class NameTaken(PnpError):
    """A name that two plugins, or a plugin and pnp, give to different things."""


def owner_of(point: EntryPoint) -> str:
    """The distribution that declares an entry point."""
    return point.dist.name if point.dist is not None else "its package"


def leave_out(point: EntryPoint, error: BaseException) -> None:
    """Record that an entry point cannot be used; one warning for all that fail in the same way."""
    owner, module = owner_of(point), point.value.partition(":")[0]
    why = first_line(error) if isinstance(error, PnpError) else ""
    why = why or f"{module} cannot be imported: {type(error).__name__}: {first_line(error)}"
    message = f"plugin {owner} is left out: {why}; repair {owner}, or uninstall it"
    told = message in _BROKEN.values()
    _BROKEN[point.group, point.name] = message
    if not told:
        warnings.warn(Notice(message), stacklevel=2)


def missing(group: str, name: str, names: Iterable[str], nouns: str) -> str:
    """The cure for a name that does not exist: the plugin that has or may have it, or the nearest
    name and all names.
    """
    if (group, name) in _BROKEN:
        return _BROKEN[group, name]
    return "; ".join([hint(name, names, nouns), *dict.fromkeys(_BROKEN.values())])


def left_out(name: str) -> str:
    """Why an entry point of this name, of any group, is left out; '' if none is."""
    return next((why for (_, point), why in _BROKEN.items() if point == name), "")


@cache
def _points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of a group; to find them reads a file of every installed distribution."""
    return tuple(entry_points(group=group))


def packages(group: str, own: str) -> Iterator[tuple[str, list[Any]]]:
    """Names and files of pnp's `own` package of documents, if there is one, and of those of
    plugins.
    """
    if own:
        yield own, list(files(own).iterdir())
    for point in _points(group, tuple(sys.path)):
        try:
            entries = list(files(point.value).iterdir())
        except (Exception, SystemExit) as e:
            leave_out(point, e)
        else:
            yield point.value, entries
