"""`pnp list NAME`: inputs, outputs, options, documentation and citation of a module.

The documentation is the docstring of the class, in Google style: a summary and the formula, then
sections `Args:` (the options of the constructor), `Returns:`, `Raises:` and `Source:`.
"""

from __future__ import annotations

import difflib
import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Any

from pnp.bibliography import bibtex
from pnp.checkpoints import manifest
from pnp.commands.documents import DIALECTS, is_path, split_kind
from pnp.errors import PnpError, nearest, with_article
from pnp.interfaces import Module, signature_of
from pnp.options import describe, options_of
from pnp.plugins import left_out
from pnp.registry import REGISTRIES
from pnp.trained_options import plain, trained_modules

SECTIONS = ("Args", "Returns", "Raises", "Source")


@dataclass(frozen=True)
class Docstring:
    """The parts of a docstring."""

    body: str
    """The text before the sections."""
    options: dict[str, str]
    """The entries of `Args`: name -> text on one line."""
    sections: dict[str, str]
    """The other sections, as written."""


def read_docstring(cls: type[Any]) -> Docstring:
    """The parts of the docstring of a class; docstrings of its bases are not inherited."""
    text = inspect.cleandoc(vars(cls).get("__doc__") or "")
    body, *rest = re.split(rf"^({'|'.join(SECTIONS)}):\n", text, flags=re.M)
    sections = {
        title: textwrap.dedent(content).strip()
        for title, content in zip(rest[::2], rest[1::2], strict=True)
    }
    options: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", sections.pop("Args", "")):
        name, colon, about = entry.partition(":")
        if colon:
            options[name] = " ".join(about.split())
    return Docstring(body.strip(), options, sections)


def is_module(name: str) -> bool:
    """True for the name of a module that is no pipeline's, and for one with its role before it."""
    kind, rest = split_kind(name)
    if kind is not None:
        return kind in REGISTRIES
    named = any(rest in d.names() for d in DIALECTS.values()) or is_path(rest)
    return not named and any(rest in r.names() for r in REGISTRIES.values())


def check_name(name: str) -> None:
    """PnpError for a name that nothing has, with the nearest one of any kind."""
    kind, rest = split_kind(name)
    if kind is not None or is_path(rest) or any(rest in d.names() for d in DIALECTS.values()):
        return
    kinds = {n: noun for noun, d in reversed(DIALECTS.items()) for n in d.names()}
    kinds = {n: role for role, r in REGISTRIES.items() for n in r.names()} | kinds
    if why := left_out(rest):
        raise PnpError(f"nothing is called '{rest}'; {why}")
    close = difflib.get_close_matches(rest, kinds, n=1, cutoff=0.6)
    if close:
        told = f"did you mean the {kinds[close[0]]} '{close[0]}'?"
        raise PnpError(f"nothing is called '{rest}'; {told} pnp list shows all names")


def explain(name: str) -> str:
    """The documentation of the module called `name`, in each interface that has one.

    `initializer:bicubic` is the one of that interface alone.
    """
    kind, name = split_kind(name)
    registries = {kind: REGISTRIES[kind]} if kind in REGISTRIES else REGISTRIES
    found = [
        (role, r.get(name))
        for role, r in registries.items()
        if kind in REGISTRIES or name in r.names()
    ]
    if found:
        return "\n\n\n".join(_module(role, cls) for role, cls in found)
    for noun, dialect in DIALECTS.items():
        if name in dialect.names():
            raise PnpError(f"'{name}' is {with_article(noun)}; pnp show {name} prints it")
    if why := left_out(name):
        raise PnpError(f"there is no module called '{name}'; {why}")
    near = nearest(name, (n for r in REGISTRIES.values() for n in r.names()))
    cure = " ".join(filter(None, (near, "`pnp list` shows all")))
    raise PnpError(f"there is no module called '{name}'; {cure}")


def _module(role: str, cls: type[Module]) -> str:
    signature, documentation = signature_of(cls), read_docstring(cls)
    parts = [f"{cls.registered}, {with_article(role)}: {signature}"]
    parts.append(documentation.body)
    inputs = [
        f"{a.name}: {a.kind.name} {a.kind.shape}" + ("" if a.required else ", optional")
        for a in signature.inputs
    ]
    parts.append(_section("Inputs", "\n".join(inputs)))
    options = options_of(cls)
    lines = []
    for option, parameter in options.items():
        default = (
            ""
            if parameter.default is parameter.empty
            else f", default {written_default(parameter)}"
        )
        lines.append(f"{option}: {describe(parameter.annotation)}{default}")
        about = documentation.options.get(option, "")
        lines += textwrap.wrap(about, 92, initial_indent="    ", subsequent_indent="    ")
    parts.append(_section("Options", "\n".join(lines) or "none"))
    if fitting := weights_of(role, cls):
        parts.append(_section("Weights in the package", fitting))
    parts += [_section(title, text) for title, text in documentation.sections.items()]
    if cls.cite:
        parts.append(_section("Citation", bibtex(cls.cite)))
    return "\n\n".join(part for part in parts if part)


def weights_of(role: str, cls: type[Module]) -> str:
    """The pretrained weights of a module, and the options that they bring, if not the defaults."""
    known = {name: plain(p.default) for name, p in options_of(cls).items()}
    lines = []
    for name in manifest():
        for symbol, entry in trained_modules(name).items():
            if entry.get(role) != cls.registered:
                continue
            brought = [f"{k}: {v}" for k, v in entry.items() if k in known and known[k] != v]
            options = f"; {', '.join(brought)}" if brought else ""
            lines.append(f"weights: {name} (its {symbol}{options})")
    return "\n".join(lines)


def _section(title: str, text: str) -> str:
    return f"{title}:\n{textwrap.indent(text, '  ')}"


def written_default(parameter: inspect.Parameter) -> str:
    """A default as it is written in YAML."""
    value = parameter.default
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(list(value)) if isinstance(value, tuple) else str(value)
