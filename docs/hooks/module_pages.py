"""A page for each module: what it computes, inputs, options, weights and citation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from citations import cited
from links import ROOT, Pages
from pipeline_pages import cell

from pnp.commands.explain import read_docstring, weights_of, written_default
from pnp.errors import with_article
from pnp.interfaces import Module, signature_of
from pnp.language.reader import PIPELINES, read_spec
from pnp.options import describe, options_of
from pnp.registry import REGISTRIES

KINDS = {
    "solver": "D and Dk: minimisers of the data term plus a quadratic pull.",
    "prior": "P and Pk: denoisers and projections that keep the shape.",
    "initializer": "U and I: a first image, a first kernel.",
    "estimator": "F and H: noise levels and weights.",
    "transform": "Every other step.",
}
_INDEX = """\
---
search: {exclude: true}
---
# Modules

A symbol of a pipeline names a module, for example `P: {prior: drunet}`.
`pnp list priors` prints one of these tables, `pnp show NAME` a module.
How to write one: [a prior](../write-a-prior.md), [any other module](../write-a-module.md).
"""


def module_pages() -> Pages:
    """The pages, and the tables by kind."""
    index, pages, users = [_INDEX], {}, _users()
    for role, about in KINDS.items():
        registry = REGISTRIES[role]
        found = {n: registry.get(n) for n in registry.names()}
        found = {n: cls for n, cls in found.items() if cls.__module__.startswith("pnp.")}
        rows = [f"| [{n}]({role}s/{n}.md) | {_summary(cls)} |" for n, cls in found.items()]
        index += [
            f"## {role.capitalize()}s\n\n{about}\n",
            "| name | what |",
            "|---|---|",
            *rows,
            "",
        ]
        for name, cls in found.items():
            text = "\n\n".join(filter(None, _sections(role, cls, users.get((role, name), []))))
            pages[f"modules/{role}s/{name}.md"] = (text, f"docs/modules/{role}s/{name}.md")
    return {"modules/index.md": ("\n".join(index), "docs/modules/index.md"), **pages}


def _users() -> dict[tuple[str, str], list[str]]:
    """The pipelines that call each module."""
    users: dict[tuple[str, str], list[str]] = {}
    for name in PIPELINES.names():
        spec = read_spec(name)
        if (ROOT / f"pipelines/{name}.yaml").is_file():
            for key in {(m.role, m.name) for s, m in spec.modules.items() if s in spec.called}:
                users.setdefault(key, []).append(name)
    return users


def _summary(cls: type[Module]) -> str:
    return cell(read_docstring(cls).body.split("\n\n")[0])


def _sections(role: str, cls: type[Module], users: list[str]) -> Iterator[str]:
    signature, documentation = signature_of(cls), read_docstring(cls)
    yield f"# {cls.registered}\n\n{with_article(role).capitalize()}: `{signature}`"
    yield documentation.body
    yield "## Inputs\n\n| name | kind | shape |\n|---|---|---|\n" + "\n".join(
        f"| `{a.name}` | {a.kind.name}{'' if a.required else ', optional'} | {a.kind.shape} |"
        for a in signature.inputs
    )
    yield f"Returns: {documentation.sections['Returns']}"
    yield _options(cls)
    if weights := weights_of(role, cls):
        lines = [line.removeprefix("weights: ") for line in weights.splitlines()]
        yield "## Weights in the package\n\n" + "\n".join(f"- {line}" for line in lines)
    if raises := documentation.sections.get("Raises"):
        yield f"## Errors\n\n{raises}"
    if source := documentation.sections.get("Source"):
        yield f"## Source\n\n{source}"
    yield f"The code: [{_file(cls)}](../../../{_file(cls)})"
    if users:
        yield "## Pipelines\n\n" + ", ".join(f"[{n}](../../../pipelines/{n}.yaml)" for n in users)
    yield cited(cls.cite)


def _options(cls: type[Module]) -> str:
    abouts = read_docstring(cls).options
    rows = [
        f"| `{name}` | {cell(describe(p.annotation))} | {_default(p)} | {cell(abouts[name])} |"
        for name, p in options_of(cls).items()
    ]
    if not rows:
        return ""
    head = "## Options\n\n| name | values | default | what |\n|---|---|---|---|\n"
    return head + "\n".join(rows)


def _default(parameter: inspect.Parameter) -> str:
    empty: Any = parameter.empty
    return "" if parameter.default is empty else f"`{written_default(parameter)}`"


def _file(cls: type[Module]) -> str:
    """Its file in the repository, where solvers and priors are at the top."""
    path = Path(inspect.getsourcefile(cls) or "").resolve()
    return path.relative_to(ROOT.resolve()).as_posix()
