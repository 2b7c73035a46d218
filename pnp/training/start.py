"""The start of a training: the pipeline of a recipe with its initial weights; modules that the
recipe does not train are frozen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from pnp.building import build
from pnp.checkpoints import load_weights, split_source
from pnp.errors import Origin, PipelineError, PnpError, Problem
from pnp.language.trained import contradictions
from pnp.pipeline import Pipeline
from pnp.training.recipe import Recipe

Source = tuple[str, Origin]
"""A file or name of weights, and the line that names it."""


def prepare(recipe: Recipe) -> Pipeline:
    """The pipeline of a recipe with its initial weights; modules that are not trained are frozen.

    Raises:
        PipelineError: A module to be trained has no parameters, a frozen network has no weights, or
            weights do not fit; with all such problems.
    """
    torch.manual_seed(recipe.seed)
    pipeline = build(recipe.spec, random_weights=True).requires_grad_(False)
    problems = _unfreeze(pipeline, recipe)
    sources, missing = sources_of(pipeline, recipe)
    problems += missing
    for target, (source, origin) in sources.items():
        if target in pipeline.parts:
            m = recipe.spec.modules[target]
            if found := contradictions(recipe.spec.document, m, source):
                problems += found
                continue
        try:
            load_weights(pipeline.get_submodule(target), source, symbol=target)
        except (PnpError, AttributeError) as e:
            problems.append(Problem(origin, f"{target}: {e}", _recipe_that_makes(source)))
    if problems:
        raise PipelineError(problems)
    return pipeline


def _unfreeze(pipeline: Pipeline, recipe: Recipe) -> list[Problem]:
    """Unfreeze the parts that `train` names; returns the problems found."""
    problems = []
    origin = recipe.line("train")
    for name in recipe.train:
        try:
            part = pipeline.get_submodule(name)
        except AttributeError:
            module = pipeline.get_submodule(name.partition(".")[0])
            parts = ", ".join(n for n, _ in module.named_children())
            problems.append(Problem(origin, f"there is no '{name}' to train", f"parts: {parts}"))
            continue
        if next(part.parameters(), None) is None:
            message = f"'{name}' is to be trained, but it has no parameters"
            problems.append(Problem(origin, message))
        part.requires_grad_(True)
    return problems


def sources_of(pipeline: Pipeline, recipe: Recipe) -> tuple[dict[str, Source], list[Problem]]:
    """The weights from which each module or part starts, and the frozen modules that have none.

    `start` comes first; weights that the pipeline itself names are for frozen modules only.
    """
    sources = {target: (str(n.value), n.origin) for target, n in recipe.start.items()}
    for_all = sources.pop("", None)
    problems = []
    for symbol, module in pipeline.parts.items():
        spec = recipe.spec.modules[symbol]
        if for_all is not None and next(module.parameters(), None) is not None:
            sources[symbol] = for_all
            continue
        frozen = {n for n, p in module.named_parameters(prefix=symbol) if not p.requires_grad}
        if all(_is_part(name, recipe.start) for name in frozen):
            continue
        named = spec.weights or recipe.spec.weights
        if named is not None:
            sources[symbol] = (str(named.value), named.origin)
        else:
            cure = f"write 'start: {{{symbol}: FILE}}' (--set start.{symbol}=FILE), or train it"
            message = f"{symbol} is frozen, but no weights are given for it"
            problems.append(Problem(spec.origin, message, cure))
    return sources, problems


def _is_part(name: str, parts: Mapping[str, object]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _recipe_that_makes(source: str) -> str:
    """A hint for weights of an earlier stage, which are in runs/RECIPE."""
    parts = Path(split_source(source)[0]).parts
    missing = parts[:1] == ("runs",) and len(parts) > 1 and not Path(*parts).exists()
    return f"'pnp train {parts[1]}' makes it" if missing else ""
