"""The loops of a pipeline: `start`, `repeat`, `steps`, `swap`; one, or several under `stages`."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from pnp.document import Node
from pnp.errors import Findings, hint, shown
from pnp.language.spec import LOOP_KEYS, STAGE_KEYS, ModuleSpec, Stage, Swap, Watched
from pnp.language.steps import read_steps

_CHANGES = re.compile(r"([A-Za-z_]\w*) changes")
_WHEN = re.compile(r"(first|last)\s+(\d{1,6})|(\d{1,6})(?:\s*\.\.\s*(\d{1,6}))?")


MOST = 10**6
"""Iterations of a loop."""
MOST_TIMES = 100
"""Times that a stage is done."""


class StageReader:
    """Reads the stages of a document.

    `modules` are those that could be read, `written` the symbols of all modules of the document;
    problems of the others are reported with their own lines.
    """

    def __init__(
        self,
        document: Node,
        modules: dict[str, ModuleSpec],
        written: Collection[str],
        findings: Findings,
    ):
        self.document, self.modules, self.written = document, modules, written
        self.findings, self.say = findings, findings.say

    def read(self) -> tuple[Stage, ...]:
        """The stages; problems are added to the findings."""
        several = self.document.value.get("stages")
        alone = [key for key in LOOP_KEYS if key in self.document.value]
        if several is None:
            return (self.stage(self.document),) if alone else ()
        self.say_beside(several, [key for key in alone if key != "swap"])
        nodes = several.value if several.is_list else []
        if not nodes or not all(node.is_map for node in nodes):
            cure = f"keys of a stage: {', '.join(STAGE_KEYS)}"
            self.say(several.origin, "stages should be a list of maps", cure)
            self.findings.incomplete = True
            return ()
        for node in nodes:
            for key, value in node.value.items():
                if key not in STAGE_KEYS:
                    cure = hint(key, STAGE_KEYS, "keys of a stage")
                    self.say(value.origin, f"a stage has no key '{key}'", cure)
        stages: tuple[Stage, ...] = ()
        for node in nodes:
            stage = self.stage(node)
            stages += tuple(_copy(stage) for _ in range(self.number(node, "times")))
        swap = self.document.value.get("swap")
        return stages if swap is None else self.share_out(swap, stages)

    def say_beside(self, several: Node, keys: list[str]) -> None:
        """Report the keys of one loop beside `stages`; one of them may be of another layer."""
        base, file = self.document.origin.file, several.origin.file
        below = [key for key in keys if self.document.value[key].origin.file == base != file]
        if below:
            message = f"'stages' is written over the loop of {base} ({', '.join(below)})"
            nulls = ", ".join(f"'{key}: null'" for key in below)
            self.say(several.origin, message, f"write {nulls} beside it")
        for key in keys:
            origin = self.document.value[key].origin
            cure = "move it into one of the stages"
            if origin.file.startswith("--set"):
                cure = f"name the stage: --set stages.0.{key}=..., the first is 0"
            elif file == base != origin.file:
                cure = f"write 'stages: null' beside it to replace the stages of {base}"
            if key not in below:
                self.say(origin, f"'{key}' is written next to 'stages'", cure)

    def stage(self, node: Node) -> Stage:
        """One loop."""
        written = self.number(node, "repeat")
        if "repeat" in node.value and "steps" not in node.value:
            origin = node.value["repeat"].origin
            self.say(origin, "there are no steps to repeat", "add 'steps:'")
        listed = node.value.get("steps")
        steps = read_steps(listed, "steps", self.findings)
        if listed is not None and listed.value == []:
            cure = "write the steps, or null where there should be no loop"
            self.say(listed.origin, "steps is empty", cure)
        start = read_steps(node.value.get("start"), "start", self.findings)
        swap = node.value.get("swap")
        swaps = () if swap is None else self.swaps(swap, written)
        return Stage(start, written if steps else 0, steps, swaps, self.watched(node))

    def watched(self, node: Node) -> Watched | None:
        """The variable of `while: k changes`; None without it, and after a problem."""
        written = node.value.get("while")
        if written is None:
            return None
        match = _CHANGES.fullmatch(written.value) if isinstance(written.value, str) else None
        if match is None:
            message = f"while names one variable that changes, not {shown(written.plain())}"
            self.say(written.origin, message, "for example 'while: k changes'")
        return Watched(match[1], written.origin) if match else None

    def number(self, node: Node, key: str) -> int:
        """How often the steps of a loop (`repeat`), or a stage (`times`), are done."""
        written = node.value.get(key)
        if written is None:
            return 1
        number, most = written.value, MOST if key == "repeat" else MOST_TIMES
        whole = isinstance(number, int) and not isinstance(number, bool)
        if whole and 1 <= number <= most:
            return int(number)
        asked = f"of at most {most}" if whole and number > most else "of at least 1"
        message = f"{key} should be a whole number {asked}, not {shown(written.plain())}"
        self.say(written.origin, message)
        return 1

    def share_out(self, swap: Node, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        """The stages with their parts of a swap that counts the iterations of all of them."""
        overall = self.swaps(swap, sum(stage.repeat for stage in stages))
        result, before = [], 0
        for stage in stages:
            parts = []
            for whole in overall:
                first = max(whole.first - before, 0)
                last = min(whole.last - before, stage.repeat)
                if first < last:
                    parts.append(Swap(first, last, whole.replacements, whole.origin))
            result.append(Stage(stage.start, stage.repeat, stage.steps, (*stage.swap, *parts)))
            before += stage.repeat
        return tuple(result)

    def swaps(self, node: Node, total: int) -> tuple[Swap, ...]:
        """The swaps of a loop of `total` iterations."""
        if not node.is_map:
            self.say(node.origin, "swap should be a map", "for example 'swap: {last 4: {P: S}}'")
            return ()
        swaps: list[Swap] = []
        for when, replacements in node.value.items():
            swap = self.swap(when, replacements, total)
            if swap is None:
                continue
            clash = next((other for other in swaps if _clash(other, swap)), None)
            if clash is not None:
                line = clash.origin.line
                message = (
                    f"'{when}' swaps again what the swap on line {line} swaps "
                    "in the same iterations"
                )
                self.say(replacements.origin, message)
            elif {*swap.replacements, *swap.replacements.values()} <= set(self.modules):
                swaps.append(swap)
        return tuple(swaps)

    def swap(self, when: str, node: Node, total: int) -> Swap | None:
        """One entry, for example 'last 4: {P: S}'; None after a problem."""
        entries = node.value if node.is_map else {}
        if not entries or not all(isinstance(v.value, str) for v in entries.values()):
            message = f"swap '{when}' does not say which modules"
            self.say(node.origin, message, "for example 'last 4: {P: S}'")
            return None
        replacements = {symbol: other.value for symbol, other in entries.items()}
        unknown = [n for pair in replacements.items() for n in pair if n not in self.written]
        for name in unknown:
            cure = hint(name, self.modules, "modules")
            self.say(node.origin, f"there is no module '{name}'", cure)
        span = self.iterations(when, node, total)
        if span is None or unknown:
            return None
        return Swap(*span, replacements, node.origin)

    def iterations(self, when: str, node: Node, total: int) -> tuple[int, int] | None:
        """First iteration and the one after the last, of 'first 4', 'last 4', '3' or '3..6'."""
        match = _WHEN.fullmatch(when)
        if match is None:
            cure = "write 'first 4', 'last 4', '3' or '3..6'; the first iteration is 0"
            self.say(node.origin, f"'{when}' does not say which iterations", cure)
            return None
        if match[1]:
            needed = int(match[2])
            first, last = (0, needed) if match[1] == "first" else (total - needed, total)
        else:
            first = int(match[3])
            last = needed = int(match[4] or match[3]) + 1
        if first >= last:
            cure = "'3..6' are the iterations 3, 4, 5 and 6"
            self.say(node.origin, f"'{when}' contains no iteration", cure)
            return None
        if first < 0 or last > total:
            message = (
                f"'{when}' exceeds the loop, which has {total} iterations "
                f"(0..{total - 1}), not {needed}"
            )
            self.say(node.origin, message)
            return None
        return first, last


def _copy(stage: Stage) -> Stage:
    """The stage with steps of its own, since a step's place in the pipeline tells its noise."""
    start, steps = (tuple(replace(step) for step in part) for part in (stage.start, stage.steps))
    return replace(stage, start=start, steps=steps)


def _clash(a: Swap, b: Swap) -> bool:
    return a.first < b.last and b.first < a.last and bool(set(a.replacements) & set(b.replacements))
