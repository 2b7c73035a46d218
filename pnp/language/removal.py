"""The removal of a module (`F: null`) together with the steps that call it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pnp.document import Node
from pnp.language.spec import Step, Variable
from pnp.language.steps import read_step

_LISTS = ("before", "start", "steps", "after")


def removed_modules(base: Node, layer: Node) -> set[str]:
    """The symbols of the base's modules that the layer sets to null."""
    present, changed = base.value.get("modules"), layer.value.get("modules")
    if present is None or changed is None or not (present.is_map and changed.is_map):
        return set()
    return {s for s, m in changed.value.items() if m.value is None and s in present.value}


def without_calls(document: Node, symbols: Collection[str]) -> Node:
    """The pipeline without the steps that call the given modules, if the others can do without.

    They cannot if one of them reads a variable that nothing computes any more, or computes only
    variables that nothing reads any more.  Then all steps stay, and the check of the pipeline
    reports the missing module.
    """
    if not symbols:
        return document
    fewer = _filtered(document, symbols)
    before, after = _Use(document), _Use(fewer)
    orphans = after.read - after.written - (before.read - before.written)
    idle = [step for step in after.steps if not after.read & {*step.outputs}]
    newly_idle = [step for step in idle if before.read & {*step.outputs}]
    return document if orphans or newly_idle else fewer


class _Use:
    """The steps of a document, and the variables that it reads and writes."""

    def __init__(self, document: Node):
        self.steps = list(_steps(document))
        self.written = {name for step in self.steps for name in step.outputs}
        self.read = {v.name for step in self.steps for v in step.inputs if isinstance(v, Variable)}
        self.read |= set(_words(document.value.get("return")))
        for name in _words(document.value.get("given")):
            self.written.add(name.partition("=")[0].strip())


def _filtered(holder: Node, symbols: Collection[str]) -> Node:
    """A pipeline or one of its stages, without steps that call one of the modules."""
    kept = dict(holder.value)
    for key in _LISTS:
        if key in kept and kept[key].is_list:
            lines = [line for line in kept[key].value if not _calls(line, symbols)]
            kept[key] = Node(lines, kept[key].origin)
    if "stages" in kept and kept["stages"].is_list:
        stages = [_filtered(s, symbols) if s.is_map else s for s in kept["stages"].value]
        kept["stages"] = Node(stages, kept["stages"].origin)
    return Node(kept, holder.origin)


def _calls(line: Node, symbols: Collection[str]) -> bool:
    step = read_step(line)
    return isinstance(step, Step) and step.module in symbols


def _steps(holder: Node) -> Iterator[Step]:
    for key in _LISTS:
        node = holder.value.get(key)
        for line in node.value if node is not None and node.is_list else ():
            step = read_step(line)
            if isinstance(step, Step):
                yield step
    stages = holder.value.get("stages")
    for stage in stages.value if stages is not None and stages.is_list else ():
        if stage.is_map:
            yield from _steps(stage)


def _words(node: Node | None) -> Iterator[str]:
    """The names in a list, in a map of one entry, or alone."""
    for item in () if node is None else node.value if node.is_list else [node]:
        if item.is_map:
            yield from item.value
        elif isinstance(item.value, str):
            yield item.value
