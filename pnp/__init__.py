"""pnp: inverse problems in imaging as pipelines of interchangeable modules, written in YAML.

    import pnp
    pipeline = pnp.load("hqs-tv", repeat=8)
    result = pipeline(y=y, s=4, k=k, sigma=0.02)
    result.x

Everything public can be imported from here.  Names are looked up on first use, so that `import pnp`
is quick.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    import pnp.estimators as estimators  # noqa: F401 (the alias exports it)
    import pnp.hub as hub  # noqa: F401 (the alias exports it)
    import pnp.initializers as initializers  # noqa: F401 (the alias exports it)
    import pnp.interop as interop  # noqa: F401 (the alias exports it)
    import pnp.metrics as metrics  # noqa: F401 (the alias exports it)
    import pnp.priors as priors  # noqa: F401 (the alias exports it)
    import pnp.solvers as solvers  # noqa: F401 (the alias exports it)
    import pnp.testing as testing  # noqa: F401 (the alias exports it)
    import pnp.transforms as transforms  # noqa: F401 (the alias exports it)
    from pnp.building import load as load
    from pnp.checkpoints import load_weights as load_weights
    from pnp.comparing.figures import figure as figure
    from pnp.comparing.report import report as report
    from pnp.comparing.run import compare as compare
    from pnp.degradations import Degradations as Degradations
    from pnp.degradations import ImagePool as ImagePool
    from pnp.errors import PipelineError as PipelineError
    from pnp.errors import PnpError as PnpError
    from pnp.images import ImageFile as ImageFile
    from pnp.images import read_image as read_image
    from pnp.images import write_image as write_image
    from pnp.interfaces import Complex as Complex
    from pnp.interfaces import DataSolver as DataSolver
    from pnp.interfaces import Estimator as Estimator
    from pnp.interfaces import Image as Image
    from pnp.interfaces import Initializer as Initializer
    from pnp.interfaces import Kernel as Kernel
    from pnp.interfaces import Level as Level
    from pnp.interfaces import Levels as Levels
    from pnp.interfaces import Number as Number
    from pnp.interfaces import Prior as Prior
    from pnp.interfaces import Transform as Transform
    from pnp.kernel_files import read_kernel as read_kernel
    from pnp.kernel_files import write_kernel as write_kernel
    from pnp.observation import observe as observe
    from pnp.operators import Blur as Blur
    from pnp.operators import Operator as Operator
    from pnp.options import Count as Count
    from pnp.options import Fraction as Fraction
    from pnp.options import Noise as Noise
    from pnp.options import Positive as Positive
    from pnp.options import Range as Range
    from pnp.options import Rule as Rule
    from pnp.pipeline import Pipeline as Pipeline
    from pnp.protocols import Protocol as Protocol
    from pnp.protocols import add_protocol as add_protocol
    from pnp.protocols import degrade as degrade
    from pnp.random_blur import random_kernels as random_kernels
    from pnp.registry import estimator as estimator
    from pnp.registry import initializer as initializer
    from pnp.registry import load_plugin as load_plugin
    from pnp.registry import prior as prior
    from pnp.registry import solver as solver
    from pnp.registry import transform as transform
    from pnp.replay import read_state as read_state
    from pnp.restoration import Restored as Restored
    from pnp.restoration import Restorer as Restorer
    from pnp.restoration import restore as restore
    from pnp.result import Result as Result
    from pnp.result import State as State
    from pnp.trace import Recorder as Recorder

_HOME = {
    "building": ["load"],
    "checkpoints": ["load_weights"],
    "comparing.figures": ["figure"],
    "comparing.report": ["report"],
    "comparing.run": ["compare"],
    "degradations": ["Degradations", "ImagePool"],
    "errors": ["PipelineError", "PnpError"],
    "images": ["ImageFile", "read_image", "write_image"],
    "interfaces": [
        "Complex",
        "DataSolver",
        "Estimator",
        "Image",
        "Initializer",
        "Kernel",
        "Level",
        "Levels",
        "Number",
        "Prior",
        "Transform",
    ],
    "kernel_files": ["read_kernel", "write_kernel"],
    "observation": ["observe"],
    "options": ["Count", "Fraction", "Noise", "Positive", "Range", "Rule"],
    "operators": ["Blur", "Operator"],
    "pipeline": ["Pipeline"],
    "result": ["Result", "State"],
    "protocols": ["Protocol", "add_protocol", "degrade"],
    "random_blur": ["random_kernels"],
    "replay": ["read_state"],
    "restoration": ["Restored", "Restorer", "restore"],
    "registry": ["estimator", "initializer", "load_plugin", "prior", "solver", "transform"],
    "trace": ["Recorder"],
}
_MODULES = [
    *("estimators", "hub", "initializers", "interop", "metrics", "priors", "solvers"),
    *("testing", "transforms"),
]
_NAMES = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted([*_NAMES, *_MODULES, "__version__"])


if not TYPE_CHECKING:  # with it, type checkers would accept any name

    def __getattr__(name: str) -> Any:
        if name in _NAMES:
            return getattr(importlib.import_module(f"pnp.{_NAMES[name]}"), name)
        if name in _MODULES:
            return importlib.import_module(f"pnp.{name}")
        raise AttributeError(f"module 'pnp' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__


# In a checkout `solvers/`, `priors/` and `pipelines/` are beside this folder, which links to them;
# installed, they are inside it.  Where links do not survive, a checkout finds them by this line.
if not (Path(__file__).parent / "solvers").is_dir():
    __path__.append(str(Path(__file__).parent.parent))
