"""The text of one step: out[, out] = Module(in[, in])."""

from __future__ import annotations

import re

from pnp.document import Node, scalar
from pnp.errors import Findings, Problem
from pnp.language.spec import Step, Variable

VARIABLE = r"[a-z][A-Za-z0-9_]*"
SYMBOL = r"[A-Z][A-Za-z0-9_]*"
FORM = "a step reads 'out[, out] = Module(in[, in])', for example 'z = D(y, x, k, alpha[i])'"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
STEP_PATTERN = rf"\s*({VARIABLE}(?:\s*,\s*{VARIABLE})*)\s*=\s*({SYMBOL})\s*\((.*)\)\s*"
_STEP = re.compile(STEP_PATTERN)
_INPUT = re.compile(rf"({VARIABLE})(?:\[\s*(-?[a-z0-9]+)\s*\])?|({_NUMBER})")


def read_steps(node: Node | None, key: str, findings: Findings) -> tuple[Step, ...]:
    """The steps of a list; if one cannot be read, `findings` is marked as incomplete."""
    if node is None:
        return ()
    if not node.is_list:
        message = f"{key} should be a list of steps, each on a line that begins with '-'"
        findings.say(node.origin, message, FORM)
        findings.incomplete = True
        return ()
    steps = []
    for item in node.value:
        step = read_step(item)
        if isinstance(step, Problem):
            findings.problems.append(step)
            findings.incomplete = True
        else:
            steps.append(step)
    return tuple(steps)


def read_step(node: Node) -> Step | Problem:
    """The step of a line, or its problem."""
    text = node.value
    match = _STEP.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return _no_step(node)
    outputs = tuple(name.strip() for name in match[1].split(","))
    for name in outputs:
        if name in ("i", "n"):
            cure = "i is the index of the iteration and n their number"
            return Problem(node.origin, f"'{name}' cannot be assigned", cure)
    if len(set(outputs)) != len(outputs):
        return Problem(node.origin, "an output is written twice", "give each a name of its own")
    inputs: list[Variable | int | float] = []
    for part in match[3].split(",") if match[3].strip() else []:
        value = _read_input(part.strip(), node)
        if isinstance(value, Problem):
            return value
        inputs.append(value)
    return Step(outputs, match[2], tuple(inputs), node.origin)


def _no_step(node: Node) -> Problem:
    """The problem of a line that is no step."""
    text, line = node.value, node.origin.text.strip()
    cure = FORM
    missing = _missing(text, "()") if isinstance(text, str) else ""
    if missing and "[" in line.partition("=")[0]:
        cure = "inside [...] a comma ends a step: write each step on its own line after '-'"
    elif missing:
        cure = f"{missing}; {FORM}"
    return Problem(node.origin, "this is not a step", cure)


def _missing(text: str, pair: str) -> str:
    """Which of two brackets is missing, in words; empty if none is."""
    opened, closed = (text.count(bracket) for bracket in pair)
    return f"a '{pair[opened > closed]}' is missing" if opened != closed else ""


def _read_input(text: str, node: Node) -> Variable | int | float | Problem:
    match = _INPUT.fullmatch(text)
    if match is None:
        cure = _missing(text, "[]") or "an input is a variable, variable[i] or a number"
        return Problem(node.origin, f"'{text}' is not an input", cure)
    name, index, written = match.groups()
    if written:
        number = scalar(written)
        return number if isinstance(number, (int, float)) else float(written)
    if index is None:
        return Variable(name)
    if index == "i":
        return Variable(name, "i")
    if index.removeprefix("-").isdigit():
        return Variable(name, int(index))
    cure = "an index is i or a number, for example alpha[i]; -1 is the last"
    return Problem(node.origin, f"'{index}' is not an index", cure)
