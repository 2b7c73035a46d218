"""`pnp completion`: scripts for shells by shtab, with the names of pipelines, recipes and others.

The names are those at the time of the call, plugins included.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from typing import Any

from pnp.checkpoints import manifest
from pnp.commands.documents import DIALECTS
from pnp.extras import extra
from pnp.registry import REGISTRIES

_DOCUMENTS = ("pipeline", "recipe", "comparison")
_KINDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("run", "words"): ("pipeline",),
    ("run", "overlays"): ("pipeline",),
    ("train", "recipe"): ("recipe",),
    ("train", "overlays"): ("recipe",),
    ("train", "start"): ("weights",),
    ("compare", "what"): ("comparison", "pipeline"),
    ("compare", "base"): ("pipeline",),
    ("figure", "base"): ("pipeline",),
    ("list", "what"): ("kinds", "module"),
    ("show", "pipeline"): (*_DOCUMENTS, "weights", "module"),
    ("check", "pipelines"): _DOCUMENTS,
    ("diff", "a"): _DOCUMENTS,
    ("diff", "b"): _DOCUMENTS,
    ("cite", "pipeline"): ("pipeline",),
    ("convert", "source"): ("weights",),
}
"""The arguments that are names, by command and `dest`, and of what; files are completed as well."""
_FILES = ("FILE", "DIR", "IMAGE", "KERNEL", "TRACE", "RECORD", "OUT")
"""How arguments that are files are called in the help."""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script of a parser for a shell, "bash" or "zsh"."""
    shtab = extra("shtab", "pnp completion", "completion")
    known = _names()
    functions: dict[str, set[str]] = {"_pnp_file": set()}
    for command, action in _actions(parser):
        if (kinds := _KINDS.get((command, action.dest))) is not None:
            function = f"_pnp_{'_'.join(kinds)}_or_file"  # for _file, bash quotes spaces
            functions[function] = {name for kind in kinds for name in known[kind]}
            action.complete = {"bash": function, "zsh": function}  # type: ignore[attr-defined]
        elif action.metavar in _FILES:
            action.complete = {"bash": "_pnp_file", "zsh": "_files"}  # type: ignore[attr-defined]
    preamble = "\n".join(_function(shell, name, sorted(n)) for name, n in functions.items())
    text: str = shtab.complete(parser, shell=shell, preamble={shell: preamble})
    # shtab's mark of an argument with several words completes only the first of them in zsh.
    return re.sub(r'^(\s*)"\(\*\)::?', r'\1"*:', text, flags=re.MULTILINE)


def _names() -> dict[str, set[str]]:
    """What there is, by kind."""
    names = {kind: set(dialect.names()) for kind, dialect in DIALECTS.items()}
    names["weights"] = {name for name, entry in manifest().items() if "sha256" in entry}
    names["module"] = {name for registry in REGISTRIES.values() for name in registry.names()}
    return names | {"kinds": {f"{kind}s" for kind in (*DIALECTS, *REGISTRIES)} | {"weights"}}


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
