"""`pnp completion`: scripts for shells by shtab, with the names of pipelines, recipes and others.

The names are those at the time of the call, plugins included.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from pnp.commands.documents import DIALECTS
from pnp.extras import extra
from pnp.registry import REGISTRIES

_KINDS = {
    "words": ("pipeline",),
    "pipeline": ("pipeline", "recipe", "comparison"),
    "pipelines": ("pipeline", "recipe", "comparison"),
    "a": ("pipeline", "recipe", "comparison"),
    "b": ("pipeline", "recipe", "comparison"),
    "recipe": ("recipe",),
    "what": ("comparison", "pipeline"),
    "overlays": ("pipeline",),
    "base": ("pipeline",),
}
"""The arguments that are names, and of what; files are completed as well."""
_FILES = ("data", "kernel", "kernels", "mask", "out", "plugin", "reference", "source", "start")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script of a parser for a shell, "bash" or "zsh"."""
    shtab = extra("shtab", "pnp completion", "completion")
    functions: dict[str, set[str]] = {}
    for command, action in _actions(parser):
        if (kinds := _KINDS.get(action.dest)) is not None:
            modules = [n for r in REGISTRIES.values() for n in r.names()]
            names = {name for kind in kinds for name in DIALECTS[kind].names()}
            if command == "list":
                names = {f"{kind}s" for kind in (*DIALECTS, *REGISTRIES)} | {"weights", *modules}
            function = f"_pnp_{command}_{action.dest}"
            functions[function] = names
            action.complete = {"bash": function, "zsh": function}  # type: ignore[attr-defined]
        elif action.dest in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    preamble = "\n".join(_function(shell, name, sorted(n)) for name, n in functions.items())
    text: str = shtab.complete(parser, shell=shell, preamble={shell: preamble})
    return text


def _actions(parser: argparse.ArgumentParser) -> Iterable[tuple[str, Any]]:
    """The arguments of all commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, inner in action.choices.items():
                yield from ((command, one) for one in inner._actions)


def _function(shell: str, name: str, words: list[str]) -> str:
    """A function of a shell that completes words and files."""
    listed = " ".join(words)
    if shell == "bash":
        return f'{name}() {{ compgen -W "{listed}" -- "$1"; compgen -f -- "$1"; }}'
    return f"{name}() {{ compadd -- {listed}; _files }}"
