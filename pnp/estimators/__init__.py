"""The estimators: noise levels, weights and schedules (F, H), one per file.

`build("wavelet-noise")` constructs one by name, `names()` lists them.
"""

from pnp.registry import estimator

build, names = estimator.build, estimator.names
__all__ = ["build", "names"]
