"""The texts that `pnp list`, `show`, `check`, `diff` and `cite` print."""

from __future__ import annotations

import difflib
import inspect
import shutil
import textwrap

from pnp.checkpoints import check_source
from pnp.citations import bibtex, keys_of
from pnp.cost import cost_of, read_size
from pnp.document import Node, from_python
from pnp.errors import PipelineError, PnpError, Problem
from pnp.language.emit import emit
from pnp.language.reader import PIPELINES, read_spec
from pnp.language.spec import KEYS, Spec
from pnp.pipeline import Pipeline, build
from pnp.registry import REGISTRIES


def listing(what: str | None = None) -> str:
    """The pipelines, and the modules of each registry, one line each."""
    sections = []
    if what in (None, "pipelines"):
        sections.append(("pipelines", {n: read_spec(n).about for n in PIPELINES.names()}))
    for role, registry in REGISTRIES.items():
        if what in (None, role + "s"):
            sections.append(
                (role + "s", {n: _first_line(registry.get(n)) for n in registry.names()})
            )
    width = max((len(name) for _, entries in sections for name in entries), default=0)
    columns = max(shutil.get_terminal_size((120, 24)).columns, 60)
    lines = []
    for title, entries in sections:
        lines += ["", title] if what is None else []
        for name, about in entries.items():
            wrapped = textwrap.wrap(about, columns - width - 4, break_on_hyphens=False) or [""]
            lines.append(f"  {name:{width}}  {wrapped[0]}")
            lines += [f"  {'':{width}}  {rest}" for rest in wrapped[1:]]
    return "\n".join(lines).strip("\n")


def flattened(spec: Spec) -> str:
    """A pipeline merged into one YAML document; each line states where it was written."""
    lines = list(emit(_ordered(spec.document)))
    width = min(max(len(text) for text, _ in lines), 72)
    return "\n".join(f"{text:{width}}  # {origin}" for text, origin in lines)


def cost(spec: Spec, size: str = "1024x1024") -> str:
    """The cost of a pipeline for a result of the given size, as comment lines (pnp/cost.py)."""
    height, width = read_size(size)
    pipeline = build(spec, random_weights=True)
    return str(cost_of(pipeline, height, width))


def verdict(spec: Spec) -> str:
    """One line about a valid pipeline; PipelineError with all problems of an invalid one."""
    pipeline = build(spec, random_weights=True)
    absent = _absent_weights(spec, pipeline)
    parameters = sum(p.numel() for p in pipeline.parameters())
    given = ", ".join(g.name if g.default is None else f"[{g.name}]" for g in spec.given)
    learned = f", {parameters:,} parameters" if parameters else ""
    returned = ", ".join(spec.returns)
    missing = f"; there is no {' and no '.join(absent)}" if absent else ""
    ok = f"{spec.name}: ok: ({given}) -> {returned}, {spec.iterations} iterations"
    return f"{ok}{learned}{missing}"


def _absent_weights(spec: Spec, pipeline: Pipeline) -> list[str]:
    """The files of weights that do not exist; PipelineError for what cannot be weights."""
    absent, problems = [], []
    for symbol, module in spec.modules.items():
        learned = next(pipeline.parts[symbol].parameters(), None) is not None
        source = module.weights or (spec.weights if learned else None)
        if source is None:
            continue
        try:
            file = check_source(source.value)
        except PnpError as e:
            message, _, cure = str(e).partition("; ")
            problems.append(Problem(source.origin, f"{symbol}: {message}", cure))
        else:
            absent += [] if file is None else [str(file)]
    if problems:
        raise PipelineError(problems)
    return list(dict.fromkeys(absent))


def difference(a: str, b: str) -> str:
    """The lines in which two merged pipelines differ, as a unified diff.

    A module takes one line if it is short enough.
    """

    def flat(name: str) -> list[str]:
        document = _ordered(read_spec(name).document)
        modules = document.value["modules"]
        # `emit` writes an entry on one line only if all of it has the same origin.
        entries = {
            symbol: from_python(entry.plain(), entry.origin)
            for symbol, entry in modules.value.items()
        }
        document = Node(
            {**document.value, "modules": Node(entries, modules.origin)}, document.origin
        )
        return [text for text, _ in emit(document)]

    lines = list(difflib.unified_diff(flat(a), flat(b), fromfile=a, tofile=b, n=1, lineterm=""))
    return "\n".join(lines) if lines else f"{a} and {b} are the same"


def citations(spec: Spec) -> str:
    """BibTeX of a pipeline and of the modules that it calls."""
    keys = keys_of(spec)
    return bibtex(keys) if keys else f"% {spec.name} and its modules cite nothing"


def _ordered(document: Node) -> Node:
    """The document with its keys in the order in which they act."""
    return Node(
        {key: document.value[key] for key in KEYS if key in document.value}, document.origin
    )


def _first_line(cls: type) -> str:
    paragraph = (inspect.getdoc(cls) or "").strip().split("\n\n")[0]
    return " ".join(paragraph.split()).rstrip(".")
