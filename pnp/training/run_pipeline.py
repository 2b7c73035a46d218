"""The pipeline of a training run, `pipeline.yaml` beside its weights: `pnp run runs/NAME IMAGE`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pnp.checkpoint_files import SUFFIXES
from pnp.checkpoints import split_source
from pnp.document import Node, from_python
from pnp.files import atomic
from pnp.language.embedded import MODEL
from pnp.language.emit import emit
from pnp.language.layers import FOLDER_FILE
from pnp.pipeline import Pipeline
from pnp.training.recipe import Recipe
from pnp.training.start import sources_of

OBSERVED = ("s", "k", "sigma", "mask")
"""What a user can say of an image y."""


def write_pipeline(
    weights: Path, recipe: Recipe, pipeline: Pipeline, trained: Collection[str]
) -> None:
    """Write the pipeline of a recipe beside its weights.

    Args:
        weights: The file of weights; trained modules read it from the folder of the pipeline.
        recipe: The recipe; frozen modules read the weights that it, or its pipeline, names.
        pipeline: The pipeline that was trained.
        trained: The symbols of trained modules.
    """
    with atomic(weights.with_name(FOLDER_FILE)) as temporary:
        temporary.write_text(_text(weights.name, recipe, pipeline, trained), encoding="utf-8")


def pipeline_in_header(recipe: Recipe, pipeline: Pipeline, trained: Collection[str]) -> str | None:
    """The pipeline of a recipe as its weights say it in their header: without files other than the
    weights themselves.  None if it restores no image, or needs the ground truth.
    """
    needed = {g.name for g in recipe.spec.given if g.default is None}
    if "x" not in recipe.spec.returns or not needed <= {"y", *OBSERVED}:
        return None
    return _text(MODEL, recipe, pipeline, trained, alone=True)


def _text(
    weights: str,
    recipe: Recipe,
    pipeline: Pipeline,
    trained: Collection[str],
    alone: bool = False,
) -> str:
    """The pipeline of a recipe as YAML; `alone` leaves out frozen modules' files of weights."""
    frozen, _ = sources_of(pipeline, recipe)
    document = recipe.spec.document
    modules = {}
    for symbol, module in document.value["modules"].value.items():
        source = weights if symbol in trained else None
        if source is None and symbol in frozen:
            source = _absolute(frozen[symbol][0])
            file = split_source(source)[0].lower().endswith(SUFFIXES)
            source = None if alone and file else source
        named = {} if source is None else {"weights": from_python(source, module.origin)}
        own = {key: node for key, node in module.value.items() if key != "weights" or not alone}
        modules[symbol] = Node({**own, **named}, module.origin)
    about = f"{recipe.spec.about or recipe.name}; trained with the recipe {recipe.name}"
    written = {
        "about": from_python(about, document.origin),
        **{key: node for key, node in document.value.items() if key not in ("about", "weights")},
        "modules": Node(modules, document.value["modules"].origin),
    }
    return "\n".join(line for line, _ in emit(Node(written, document.origin))) + "\n"


def _absolute(source: str) -> str:
    """Weights by their whole path, if they are a file rather than a name of the package."""
    file, part = split_source(source)
    path = Path(file).expanduser()
    return f"{path.resolve()}#{part}".removesuffix("#None") if path.is_file() else source
