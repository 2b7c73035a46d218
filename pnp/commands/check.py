"""`pnp check`: a pipeline that passes starts in `pnp run`, a recipe in `pnp train`.

Beside the checks of the reader, weights are loaded, and the pipeline runs
once on a small image: so options that do not fit each other, such as `repeat: 8` with a schedule of
six levels, are found here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import torch

from pnp.building import build
from pnp.commands.catalogue import without_weights
from pnp.commands.documents import dialect_of
from pnp.comparing.reader import COMPARISONS, read_comparison
from pnp.errors import Origin, PipelineError, PnpError, Problem
from pnp.inference import run_image
from pnp.kspace import takes_kspace
from pnp.language.layers import Dialect
from pnp.language.reader import read_spec
from pnp.language.spec import Spec
from pnp.pipeline import Pipeline
from pnp.training.recipe_reader import RECIPES, load_recipe

SIDE = 24
"""Of the observation on which a pipeline is tried."""


def verdict(
    name: str,
    assignments: tuple[str, ...] = (),
    overlays: tuple[str, ...] = (),
    random_weights: bool = False,
) -> str:
    """One line about a document that can be used; PnpError with all problems of another."""
    dialect, plain = dialect_of(name)
    if dialect is RECIPES:
        return _of_recipe(plain, assignments, overlays)
    if dialect is COMPARISONS:
        return _of_comparison(plain, assignments, overlays, dialect)
    return of_pipeline(read_spec(plain, None, assignments, overlays), random_weights)


def of_pipeline(spec: Spec, random_weights: bool = False) -> str:
    """One line about a pipeline that can run; PnpError with all problems of another.

    Args:
        spec: The pipeline.
        random_weights: True if its networks may be without weights.
    """
    problems: list[Problem] = []
    try:
        pipeline = build(spec, random_weights=random_weights)
    except PipelineError as e:
        problems = list(e.problems)
        try:
            pipeline = build(spec, random_weights=True)
        except PipelineError:
            raise PipelineError(problems) from None
    tried = _trial(pipeline)
    if problems or tried:
        raise PipelineError([*problems, *([problem_of(tried)] if tried else [])])
    parameters = sum(p.numel() for p in pipeline.parameters())
    given = ", ".join(g.name if g.default is None else f"[{g.name}]" for g in spec.given)
    learned = f", {parameters:,} parameters" if parameters else ""
    without = list(without_weights(spec)) if random_weights else []
    random = f"; without weights: {', '.join(without)}" if without else ""
    idle = [symbol for symbol in spec.modules if symbol not in spec.called]
    unused = f"; no step calls {', '.join(idle)}" if idle else ""
    returned = ", ".join(spec.returns)
    ok = f"{spec.name}: ok: ({given}) -> {returned}, {spec.iterations} iterations"
    return f"{ok}{learned}{random}{unused}"


def problem_of(text: str) -> Problem:
    """A message as a problem; 'FILE:LINE: ...' and 'FILE: ...' say where it is."""
    first, *rest = text.split("\n")
    where = re.match(r"(\S+?\.ya?ml)(?::(\d+))?: (.*)", first)
    if where is None:
        return Unplaced(Origin(""), text)
    line = int(where[2]) if where[2] else None
    return Problem(Origin(where[1], line), "\n".join([where[3], *rest]))


class Unplaced(Problem):
    """A problem that no line of a file shows."""

    def __str__(self) -> str:
        return self.message


def listed(checked: Mapping[str, str | PnpError], form: str) -> str:
    """What was found, as JSON or as commands of GitHub's workflows.

    Args:
        checked: By name, the verdict or the problems.
        form: "json" or "github".
    """
    found = {
        name: list(said.problems) if isinstance(said, PipelineError) else [problem_of(str(said))]
        for name, said in checked.items()
        if isinstance(said, PnpError)
    }
    if form == "json":
        entries = [
            {
                "name": name,
                "ok": name not in found,
                "verdict": str(said),
                "problems": [_plain(problem) for problem in found.get(name, ())],
            }
            for name, said in checked.items()
        ]
        return json.dumps(entries, indent=2, ensure_ascii=False)
    return "\n".join(
        _github(problem, name) for name, problems in found.items() for problem in problems
    )


def _plain(problem: Problem) -> dict[str, Any]:
    where = problem.origin
    place = {"file": where.file or None, "line": where.line}
    return {**place, "message": problem.message, "cure": problem.cure}


def _github(problem: Problem, name: str) -> str:
    """One `::error` line, in which percent signs, line ends, colons and commas are escaped."""
    where, text = problem.origin, problem.message + (f"\n= {problem.cure}" if problem.cure else "")
    place = {"file": where.file or name, "line": where.line, "title": f"pnp check {name}"}
    inner = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
    outer = {**inner, **str.maketrans({":": "%3A", ",": "%2C"})}
    properties = ",".join(
        f"{key}={str(value).translate(outer)}" for key, value in place.items() if value is not None
    )
    return f"::error {properties}::{text.translate(inner)}"


def _trial(pipeline: Pipeline) -> str:
    """The problem of a run on a small image; empty if there is none."""
    spec = pipeline.spec
    scales = [g.default for g in spec.given if g.name == "s"]
    s = scales[0] if scales and isinstance(scales[0], int) else 2 if scales else 1
    generator = torch.Generator().manual_seed(0)
    channels = 2 if takes_kspace(spec) else pipeline.channels or 3
    y = torch.rand(1, channels, SIDE, SIDE, generator=generator)
    made: dict[str, Any] = {"kernel": torch.ones(1, 1, 3, 3) / 9, "level": 0.02}
    values: dict[str, Any] = {}
    for g in spec.given:
        if g.name == "s":
            values["s"] = s
        elif g.default is None and g.name != "y":
            values[g.name] = made.get(g.kind.name, 1)
    for g in spec.given:
        if g.default is None and g.name != "y" and g.kind.name == "image":
            side = SIDE if g.name == "mask" else SIDE * s
            values[g.name] = torch.ones(1, 1 if g.name == "mask" else channels, side, side)
    try:
        run_image(pipeline.eval(), y, values)
    except PnpError as e:
        return str(e)
    return ""


def _of_recipe(name: str, assignments: tuple[str, ...], overlays: tuple[str, ...]) -> str:
    from pnp.training.start import prepare

    recipe = load_recipe(name, assignments, overlays)
    pipeline = prepare(recipe)
    count = sum(p.numel() for p in pipeline.parameters() if p.requires_grad)
    trains = f"trains {', '.join(recipe.train)} of {recipe.spec.name}, {count:,} parameters"
    data = ", from the images of --data" if recipe.needs_images else ""
    return f"{recipe.name}: ok: {trains}{data}"


def _of_comparison(
    name: str, assignments: tuple[str, ...], overlays: tuple[str, ...], dialect: Dialect
) -> str:
    if overlays:
        raise PnpError(f"--with {overlays[0]}: a {dialect.noun} takes no overlays; use its extends")
    comparison = read_comparison(name, assignments)
    without = [m.name for m in comparison.methods.values() if not m.has_weights()]
    left = f"; left out, because their weights are not there: {', '.join(without)}"
    counts = {
        "method": len(comparison.methods),
        "scale": len(comparison.scales),
        "noise level": len(comparison.sigmas),
    }
    axes = ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for what, n in counts.items())
    return f"{comparison.name}: ok: {axes}{left if without else ''}"
