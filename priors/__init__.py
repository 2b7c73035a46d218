"""The priors: classical denoisers and networks, for images and for kernels, one per file.

`build("tv")` constructs one by name, `names()` lists them.
"""

from pnp.registry import prior

build, names = prior.build, prior.names
__all__ = ["build", "names"]
