"""The data solvers: D for the image, Dk for the blur kernel, one method per file.

`build("fft-image")` constructs one by name, `names()` lists them.
"""

from pnp.registry import solver

build, names = solver.build, solver.names
__all__ = ["build", "names"]
