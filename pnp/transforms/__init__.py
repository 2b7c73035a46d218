"""The transforms: steps that are no solver, prior, initializer or estimator, one per file.

`build("crop", size=21)` constructs one by name, `names()` lists them.
"""

from pnp.registry import transform

build, names = transform.build, transform.names
__all__ = ["build", "names"]
