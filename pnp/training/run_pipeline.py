"""The pipeline of a training run, `pipeline.yaml` beside its weights: `pnp run runs/NAME IMAGE`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pnp.checkpoints import split_source
from pnp.document import Node, from_python
from pnp.files import atomic
from pnp.language.emit import emit
from pnp.language.layers import FOLDER_FILE
from pnp.pipeline import Pipeline
from pnp.training.recipe import Recipe
from pnp.training.start import sources_of


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
    frozen, _ = sources_of(pipeline, recipe)
    document = recipe.spec.document
    modules = {}
    for symbol, module in document.value["modules"].value.items():
        source = weights.name if symbol in trained else None
        if source is None and symbol in frozen:
            source = _absolute(frozen[symbol][0])
        named = {} if source is None else {"weights": from_python(source, module.origin)}
        modules[symbol] = Node({**module.value, **named}, module.origin)
    about = f"{recipe.spec.about or recipe.name}; trained with the recipe {recipe.name}"
    written = {
        "about": from_python(about, document.origin),
        **{key: node for key, node in document.value.items() if key not in ("about", "weights")},
        "modules": Node(modules, document.value["modules"].origin),
    }
    text = "\n".join(line for line, _ in emit(Node(written, document.origin)))
    with atomic(weights.with_name(FOLDER_FILE)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _absolute(source: str) -> str:
    """Weights by their whole path, if they are a file rather than a name of the package."""
    file, part = split_source(source)
    path = Path(file).expanduser()
    return f"{path.resolve()}#{part}".removesuffix("#None") if path.is_file() else source
