"""The variables that are still needed at a place of a pipeline: those that later steps read before
they are assigned again, and those that it returns.
"""

from __future__ import annotations

from collections.abc import Iterable

from pnp.language.spec import Spec, Step, Variable

LOOP = frozenset({"i", "n"})
"""Index and length of a loop, which are no variables."""


def needed_after(spec: Spec) -> dict[int, frozenset[str]]:
    """What is needed after each step, by its `id`; the loops are followed round."""
    needed: dict[int, frozenset[str]] = {}
    later = _before(spec.after, frozenset(spec.returns), needed)
    for stage in reversed(spec.stages):
        behind = left_out = later
        once = _before(stage.steps, behind, needed)
        later = _before(stage.steps, behind | once, needed) if stage.repeat else behind
        later = _before(stage.start, later, needed)
        if stage.watched:
            later |= left_out
    _before(spec.before, later, needed)
    return needed


def needed_by(spec: Spec, stage: int) -> frozenset[str]:
    """What is needed before an iteration of a stage."""
    later = _before(spec.after, frozenset(spec.returns), {})
    for following in reversed(spec.stages[stage + 1 :]):
        left_out = later if following.watched else frozenset()
        later = _before((*following.start, *following.steps), later, {}) | left_out
    return _before(spec.stages[stage].steps, later, {})


def _before(
    steps: Iterable[Step], later: frozenset[str], needed: dict[int, frozenset[str]]
) -> frozenset[str]:
    """What is needed before steps after which `later` is; notes what is needed after each."""
    for step in reversed(tuple(steps)):
        needed[id(step)] = needed.get(id(step), frozenset()) | later
        read = {value.name for value in step.inputs if isinstance(value, Variable)}
        later = (later - frozenset(step.outputs)) | (frozenset(read) - LOOP)
    return later
