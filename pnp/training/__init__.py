"""Training: recipes, the training loop, and the files that it writes.

    from pnp.training import load_recipe, train

Names are looked up on first use, so that the command line's help does not import PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnp.training.recipe import Recipe as Recipe
    from pnp.training.recipe_reader import load_recipe as load_recipe
    from pnp.training.shipping import check_weights_name as check_weights_name
    from pnp.training.shipping import ship as ship
    from pnp.training.trainer import Trainer as Trainer
    from pnp.training.trainer import train as train

_HOME = {
    "Recipe": "recipe",
    "load_recipe": "recipe_reader",
    "check_weights_name": "shipping",
    "ship": "shipping",
    "Trainer": "trainer",
    "train": "trainer",
}
__all__ = sorted(_HOME)


if not TYPE_CHECKING:  # with it, type checkers would accept any name

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            return getattr(importlib.import_module(f"pnp.training.{_HOME[name]}"), name)
        raise AttributeError(f"module 'pnp.training' has no attribute '{name}'")
