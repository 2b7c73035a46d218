"""A page for each pipeline: its equations, file, modules, cost and citation."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from citations import cited
from latex2mathml.converter import convert
from links import ROOT, Pages

from pnp.citations import keys_of
from pnp.commands.catalogue import needs
from pnp.commands.show import flattened
from pnp.cost import unit
from pnp.language.reader import PIPELINES, read_spec
from pnp.language.spec import Spec, Step, Variable

sys.path.append(str(ROOT / "benchmarks"))
import cost

GREEK = ("sigma", "alpha", "beta", "gamma")
ARGUMENTS = {"k": "-k kernel.npy", "mask": "--mask known.png", "sigma": "--sigma 2%"}
_INDEX = """\
---
search: {exclude: true}
---
# Pipelines

`pnp list pipelines` prints this table, `pnp show NAME` a pipeline with all that it extends.
[Write a pipeline](../docs/write-a-pipeline.md) describes the language.

| pipeline | what | needs |
|---|---|---|
"""


def pipeline_pages() -> Pages:
    """The pages, and the table of all."""
    names = [n for n in PIPELINES.names() if (ROOT / f"pipelines/{n}.yaml").is_file()]
    specs = {name: read_spec(name) for name in names}
    rows = [f"| [{n}]({n}.yaml) | {cell(s.about)} | {cell(needs(s))} |" for n, s in specs.items()]
    pages = {"pipelines/index.md": (_INDEX + "\n".join(rows), "pipelines/index.md")}
    costs = cost.read()
    for name, spec in specs.items():
        text = "\n\n".join(filter(None, _sections(name, spec, costs.get(name, []))))
        pages[f"pipelines/{name}.md"] = (text, f"pipelines/{name}.yaml")
    return pages


def cell(text: str) -> str:
    """A text in a table."""
    return " ".join(text.replace("|", "\\|").split())


def _sections(name: str, spec: Spec, costs: list[dict[str, str]]) -> Iterator[str]:
    needed = [ARGUMENTS[g.name] for g in spec.given if g.default is None and g.name in ARGUMENTS]
    command = " ".join(["pnp run", name, "photograph.png", *needed])
    demand = needs(spec)
    yield f"# {name}\n\n{spec.about}."
    yield f"{demand[0].upper()}{demand[1:]}.\n\n```sh\n{command}\n```"
    yield f"## Equations\n\n{_equations(spec)}\n\nSymbols: [notation](../docs/notation.md)."
    yield f"## Modules\n\n{_modules(spec)}"
    yield _yaml(name)
    yield _cost(costs)
    yield cited(keys_of(spec))


def _equations(spec: Spec) -> str:
    """The steps in the order in which they run, as a table: when, equation, module."""
    rows: list[str] = []

    def add(when: str, steps: Iterable[Step]) -> None:
        for step in steps:
            rows.append(f"| {when} | {_formula(step)} | {_link(spec, step.module)} |")
            when = ""

    for g in spec.given:
        if isinstance(g.default, Step):
            add(f"without {g.name}", [g.default])
    add("first", spec.before)
    for number, stage in enumerate(spec.stages, 1):
        which = f"stage {number}: " if len(spec.stages) > 1 else ""
        watched = f", if it changes {_math(_symbol(stage.watched.name))}" if stage.watched else ""
        add(f"{which}start{watched}", stage.start)
        times = f"{stage.repeat} times, *i* = 0 ... {stage.repeat - 1}"
        add(f"{which}{times}", stage.steps)
        for swap in stage.swap:
            for old, new in swap.replacements.items():
                when = f"*i* = {swap.first} ... {swap.last - 1}"
                instead = f"{_math(_symbol(new))} in place of {_math(_symbol(old))}"
                rows.append(f"| {when} | {instead} | {_link(spec, new)} |")
    add("last", spec.after)
    return "\n".join(["| when | step | module |", "|---|---|---|", *rows])


def _formula(step: Step) -> str:
    inputs = ", ".join(_variable(v) if isinstance(v, Variable) else str(v) for v in step.inputs)
    outputs = ", ".join(map(_symbol, step.outputs))
    return _math(f"{outputs} = {_symbol(step.module)}({inputs})")


def _variable(v: Variable) -> str:
    return _symbol(v.name) + ("" if v.index is None else f"_{{{v.index}}}")


def _symbol(name: str) -> str:
    """A name as TeX: the paper's letters, D_k for Dk, upright words."""
    if name in GREEK:
        return f"\\{name}"
    if name[0].isupper() and len(name) > 1:
        return f"{name[0]}_{{{name[1:]}}}"
    return name if len(name) == 1 else f"\\mathrm{{{name}}}"


def _math(tex: str) -> str:
    return convert(tex).replace("\n", "")


def _link(spec: Spec, symbol: str) -> str:
    m = spec.modules[symbol]
    return f"[{m.name}](../docs/modules/{m.role}s/{m.name}.md)"


def _modules(spec: Spec) -> str:
    rows = ["| symbol | module | options | weights |", "|---|---|---|---|"]
    for symbol, m in spec.modules.items():
        if symbol in spec.called:
            values = {k: list(v) if isinstance(v, tuple) else v for k, v in m.options.items()}
            options = "<br>".join(f"{k}: {cell(str(v))}" for k, v in values.items())
            weights = cell(str(m.weights.value)) if m.weights is not None else ""
            link = f"{m.role} {_link(spec, symbol)}"
            rows.append(f"| {_math(_symbol(symbol))} | {link} | {options} | {weights} |")
    if spec.weights is not None:
        rows += ["", f"The weights are those of `{spec.weights.value}`."]
    return "\n".join(rows)


def _yaml(name: str) -> str:
    """The file, and what it becomes with all that it extends."""
    text = (ROOT / f"pipelines/{name}.yaml").read_text(encoding="utf-8").rstrip()
    shown = f"## File\n\n```yaml\n{text}\n```"
    if "\nextends:" in f"\n{text}":
        merged = flattened(PIPELINES, PIPELINES.read(name))
        block = "\n".join(f"    {line}" for line in f"```yaml\n{merged}\n```".split("\n"))
        shown += f'\n\n??? note "With all that it extends (`pnp show {name}`)"\n{block}'
    return shown


def _cost(rows: list[dict[str, str]]) -> str:
    """The table of `benchmarks/results/cost.csv` for one pipeline, or nothing."""
    if not rows:
        return ""
    n = max(int(rows[0]["iterations"]), 1)
    parameters = sum(int(row["parameters"]) for row in rows)
    every = sum(float(row["per_pixel"]) for row in rows)
    lines = ["| module | parameters | multiply-adds per pixel and iteration |", "|---|--:|--:|"]
    for row in rows:
        count, each = int(row["parameters"]), float(row["per_pixel"]) / n
        if count or each >= 0.5:
            lines.append(f"| {_math(_symbol(row['module']))} | {count:,} | {unit(each)} |")
    lines.append(f"| all | {parameters:,} | |")
    return f"""## Cost

At scale {rows[0]["scale"]}, each pixel of the result takes {unit(every)} multiply-adds, and a
result of {cost.SIDE} x {cost.SIDE} pixels {int(rows[0]["memory_mb"]) / 1000:.2g} GB beside Python
and PyTorch.

{chr(10).join(lines)}

`pnp show {rows[0]["pipeline"]} --size 480x320` measures it for another size;
[speed and memory](../benchmarks/README.md) compares pipelines."""
