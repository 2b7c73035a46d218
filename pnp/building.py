"""From the name of a pipeline, or its YAML, to a `Pipeline`: modules are constructed and get their
weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pnp.checkpoints import load_weights
from pnp.errors import PipelineError, PnpError, Problem
from pnp.interfaces import Module
from pnp.language.reader import PIPELINES, read_spec
from pnp.language.spec import ModuleSpec, Spec
from pnp.language.trained import contradictions
from pnp.pipeline import Pipeline
from pnp.registry import REGISTRIES
from pnp.trained_options import in_package, of_another


def load(
    name: str | Path, *overlays: str | Path, random_weights: bool = False, **overrides: Any
) -> Pipeline:
    """The pipeline of a name or of a YAML file, ready to run.

    Args:
        name: A pipeline's name or path.
        overlays: Names or paths of pipelines that are put over it, as with `--with`.
        random_weights: Leave networks at their random start.
        overrides: As with `--set`; dotted keys in a dict: `load("usrnet", repeat=8,
            **{"modules.P.weights": path})`.

    Raises:
        PipelineError: With every problem found.
    """
    spec = read_spec(str(name), overrides, overlays=map(str, overlays))
    return build(spec, random_weights=random_weights)


def build(spec: Spec, *, random_weights: bool = False) -> Pipeline:
    """Construct the modules of a spec, load their weights, and put them together; PipelineError if
    some cannot be.
    """
    problems: list[Problem] = []
    modules: dict[str, Module] = {}
    for symbol, m in spec.modules.items():
        try:
            modules[symbol] = REGISTRIES[m.role].get(m.name)(**m.options)
            if "_parameters" not in vars(modules[symbol]):
                raise PnpError(f"{m.name}: its constructor must begin with super().__init__()")
        except PnpError as e:
            message, _, cure = str(e).removeprefix(f"{m.name}: ").partition("; ")
            cure = cure or f"{symbol} is the {m.role} {m.name}"
            problems.append(Problem(m.origin, f"{symbol}: {message}", cure))
        except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as e:
            problems.append(
                Problem(m.origin, f"{symbol}: {m.name} cannot be built: {type(e).__name__}: {e}")
            )
        else:
            if not random_weights or hasattr(modules[symbol], "adopt"):  # the file is the network
                problems += _load(modules[symbol], m, spec)
    if spec.weights is not None and all(
        spec.modules[symbol].weights is not None or not module.needs_weights
        for symbol, module in modules.items()
    ):
        cure = "leave 'weights' out, or check the names of the networks"
        problems.append(Problem(spec.weights.origin, "no module takes these weights", cure))
    if problems:
        raise PipelineError(problems)
    return Pipeline(spec, modules)


def _load(module: Module, m: ModuleSpec, spec: Spec) -> list[Problem]:
    """Load a module's own weights, or those of the pipeline; a network needs some."""
    if m.weights is None and not module.needs_weights:
        return []
    source = m.weights or spec.weights
    if source is None:
        cure = (
            f"add 'weights: FILE' to {m.symbol}{in_package(m.role, m.name)}, "
            "or 'weights: FILE' for all modules (--set weights=FILE)"
        )
        message = f"{m.symbol}: the {m.role} {m.name} is a network, but no weights are given"
        return [Problem(m.origin, message, cure)]
    if problems := contradictions(spec.document, m, source.value):
        return problems
    try:
        load_weights(module, source.value, symbol=m.symbol)
    except PnpError as e:
        message, _, cure = str(e).partition("; ")
        if told := of_another(source.value, m.role, m.name):
            message, cure = told
        if spec.name in PIPELINES.names() and spec.name != source.value.partition("/")[0]:
            cure = cure.replace("--with NAME", f"--with {spec.name}")
        return [Problem(source.origin, f"{m.symbol}: {message}", cure)]
    return []
