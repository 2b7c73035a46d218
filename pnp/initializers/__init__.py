"""The initializers: a first image (U) or a first kernel (I) from the observation, one per file.

`build("bicubic")` constructs one by name, `names()` lists them.
"""

from pnp.registry import initializer

build, names = initializer.build, initializer.names
__all__ = ["build", "names"]
