"""The transforms: steps that are no solver, prior, initializer or estimator, one per file.

`build("extend", margin=16)` constructs one by name, `names()` lists them.
"""

from pnp.registry import transform

build, names = transform.build, transform.names
__all__ = ["build", "names"]
