"""The five interfaces of modules, and the kinds of values that pass between them.

The annotations of `forward` are the schema: a pipeline's steps are checked against them before
anything runs, so a module declares its inputs and outputs as `Image`, `Kernel`, `Level`, `Levels`,
`Number` and `Complex`, and with nothing else.

    class Median(Prior):
        def forward(self, x: Image, level: Level | None = None) -> Image: ...

A parameter with a default may be left out of a step; a prior whose `level` has a default is `blind`
(it ignores the level), every other prior refuses to run without one.
"""

from __future__ import annotations

import inspect
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NoReturn

import torch
from torch import Tensor, nn

from pnp.errors import PnpError
from pnp.options import Noise as Noise
from pnp.options import checked
from pnp.runs import pipeline_run as pipeline_run
from pnp.runs import present_run


@dataclass(frozen=True)
class Kind:
    """A kind of value: its name in messages, its shape and what it holds."""

    name: str
    shape: str
    about: str

    def __str__(self) -> str:
        return self.name


Image = Annotated[
    Tensor,
    Kind("image", "(B, C, H, W)", "an image with values on [0, 1]; also a mask or an observation"),
]
Complex = Annotated[
    Tensor,
    Kind(
        "complex",
        "(B, 2, H, W)",
        "a complex image, its real and its imaginary part; its magnitude is on [0, 1]",
    ),
]
Kernel = Annotated[
    Tensor,
    Kind("kernel", "(B, 1, K, K)", "a blur kernel that sums to one, its centre at index K // 2"),
]
Level = Annotated[
    Tensor | float,
    Kind(
        "level",
        "(B, 1, 1, 1)",
        "a noise level (standard deviation on [0, 1]) or a weight, one per image",
    ),
]
Levels = Annotated[
    Tensor,
    Kind(
        "levels", "(B, n, 1, 1)", "one level per iteration; `name[i]` is the level of iteration i"
    ),
]
Number = Annotated[int, Kind("number", "int", "a whole number: a scale, an index or a count")]


Boundary = Literal["circular", "replicate", "reflect"]
"""How an image continues beyond its edges: from the opposite edge, with its outermost pixel, or
mirrored (the outermost pixel not doubled)."""


@dataclass(frozen=True)
class Argument:
    """One input of a module: its name, its kind, and whether a step must give it."""

    name: str
    kind: Kind
    required: bool


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of `forward`, from its annotations."""

    inputs: tuple[Argument, ...]
    outputs: tuple[Kind, ...]

    def __str__(self) -> str:
        parts: list[str] = []
        optional = 0
        for a in self.inputs:
            if a.required:
                parts.append(a.name if not parts else f", {a.name}")
            else:
                parts.append(f"[{a.name}" if not parts else f"[, {a.name}")
                optional += 1
        return f"({''.join(parts)}{']' * optional}) -> {', '.join(k.name for k in self.outputs)}"


def kind_of(annotation: Any) -> Kind | None:
    """The `Kind` that an annotation carries (`Image`, `Level | None` ...), or None."""
    for part in (annotation, *typing.get_args(annotation)):
        for extra in getattr(part, "__metadata__", ()):
            if isinstance(extra, Kind):
                return extra
    return None


KINDS: dict[str, Kind] = {
    k.name: k
    for k in map(kind_of, (Image, Complex, Kernel, Level, Levels, Number))
    if k is not None
}


def signature_of(cls: type[Module]) -> Signature:
    """The schema of a module class; TypeError if `forward` is not fully annotated with kinds."""
    forward = cls.forward
    hints = typing.get_type_hints(forward, include_extras=True)
    inputs = []
    for p in list(inspect.signature(forward).parameters.values())[1:]:
        kind = kind_of(hints.get(p.name))
        if kind is None or p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            raise TypeError(
                f"{cls.__name__}.forward: annotate its parameter '{p.name}' with one of Image, "
                "Kernel, Level, Levels, Number, Complex (from pnp.interfaces): the annotations are "
                "what pipelines are checked against"
            )
        inputs.append(Argument(p.name, kind, p.default is p.empty))
    returned = hints.get("return")
    parts = typing.get_args(returned) if typing.get_origin(returned) is tuple else (returned,)
    outputs = tuple(kind_of(part) for part in parts)
    if None in outputs:
        raise TypeError(
            f"{cls.__name__}.forward: annotate what it returns, for example '-> Image' or "
            "'-> tuple[Level, Levels]'"
        )
    return Signature(tuple(inputs), typing.cast(tuple[Kind, ...], outputs))


class Module(nn.Module, ABC):
    """What the five interfaces have in common; derive from one of those, not from this.

    `cite` names entries of `pnp/references.bib` (or holds BibTeX itself) for `pnp cite`.
    `registered` is the name under which the class is registered, the class's own name until then.
    The annotations of a constructor are checked whenever it is called (`pnp.options`).
    """

    cite: ClassVar[tuple[str, ...]] = ()
    registered: ClassVar[str]
    differentiable: ClassVar[bool] = True
    """False for a module without gradients.  Backward through such a prior or solver is a PnpError
    (`pnp.gradients.without_gradient`); the results of other kinds are constants to autograd."""
    free: ClassVar[tuple[str, ...]] = ()
    """Options that may differ from those with which the weights were trained."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.registered = cls.__name__
        if "__init__" in vars(cls):
            cls.__init__ = checked(cls.__init__)  # type: ignore[method-assign]

    @abstractmethod
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """One step of a pipeline."""

    @property
    def needs_weights(self) -> bool:
        """True for a network, whose weights are loaded after it is built."""
        return next(self.parameters(), None) is not None

    def report(self) -> dict[str, float]:
        """Metrics of the last call for the user, such as a solver's residual; empty by default."""
        return {}

    def least_side(self, s: int) -> int:
        """The least height and width of y, at scale s, with which it works.

        `pnp.restore` continues a smaller y.  By default: x must hold the kernel that it gives.
        """
        gives_kernel = any(kind.name == "kernel" for kind in signature_of(type(self)).outputs)
        size = getattr(self, "size", None) if gives_kernel else None
        return 1 if size is None else -(-size // s)

    def refuse(self, problem: str, cure: str) -> NoReturn:
        """Raise the PnpError 'name: problem; cure'."""
        raise PnpError(f"{self.registered}: {problem}; {cure}")

    def run_state(self) -> dict[str, Any]:
        """Values that this module keeps between its calls in one run of a pipeline, by name.

        Each run begins with an empty state; so does each iteration under gradient checkpointing,
        which runs it twice.  Outside a run every call gets an empty one.
        """
        run = present_run()
        return {} if run is None else run.states.setdefault(self, {})

    def cached(self, compute: Callable[..., Any], *inputs: Any) -> Any:
        """`compute(*inputs)`, not computed again when the inputs are those of the last call.

        A module has a single slot for the rest of the run: it holds the result for the last inputs.
        Inputs are compared by identity (`is`), which costs nothing: for an equal tensor that is
        another object, the result is computed again, and inputs must not be changed in place.
        Outside a run nothing is kept.
        """
        state = self.run_state()
        last, result = state.get("cached", ((), None))
        if len(last) != len(inputs) or any(a is not b for a, b in zip(last, inputs, strict=True)):
            self.forget()
            del last, result  # freed before the new one needs memory
            result = compute(*inputs)
            state["cached"] = (inputs, result)
        return result

    def forget(self) -> None:
        """Free what `cached` holds."""
        self.run_state().pop("cached", None)


class DataSolver(Module):
    """Minimiser of the data term plus a quadratic pull towards the previous estimate.

        D, for the image:    z = argmin_z |y - (z * k)|s|^2 + weight |z - x|^2   (equations 8, 9)
        Dk, for the kernel:  w = argmin_w |y - (x * w)|s|^2 + weight |w - k|^2   (equations 10, 11)

    `*` is true convolution, the kernel's centre is at index K // 2, `|s` keeps the upper-left pixel
    of every s x s block; the norms are sums over all pixels and channels.  s is the ratio of the
    sizes of x and y.  The result has the dtype and device of x (z) or k (w).  A solver of images
    has `forward(y, x, k, weight) -> Image`; a mask on the data term may follow.  Without a kernel
    it has `forward(y, x, mask, weight)`, of images (inpainting) or of complex images (MRI):

    z = argmin_z |mask T (y - z)|^2 + weight |z - x|^2,   T the identity, or the Fourier transform

    A solver of kernels has `forward(y, x, k) -> Kernel`, and its weight is gamma H W, H x W the
    size of x.

    The docstring of a solver states its objective.  Where that differs from the plain case, the
    attributes below declare it, and `pnp.testing.check_solver` checks it by spatial convolution.
    A step that is no such minimiser is a `Transform`.
    """

    boundary: Boundary = "circular"
    """What lies beyond the border of the image: "circular", "replicate" or "reflect"."""
    gamma: float = 0.0
    """Solvers of kernels: the weight of the pull for each pixel of x."""
    pull: str = "last"
    """Solvers of kernels: pulled to the "last" kernel k or to "zero"."""
    channel: int | None = None
    """Solvers of kernels: the one colour channel in the data term, or None for all."""
    size: int | None = None
    """Solvers of kernels: the side of the result, or None for the side of k or of x."""
    cropped: ClassVar[bool] = False
    """Solvers of kernels: True if `size` cuts the middle out of the minimiser over all kernels as
    large as the image, False if the minimiser is sought among kernels of that size."""
    tolerance: float = 0.0
    """Iterative solvers: the relative residual at which they stop; 0 for a direct solver."""
    iterations: int = 1
    """Iterative solvers: the largest number of iterations."""


class Prior(Module):
    """A denoiser or projection: x = P(z, level) for images, k = Pk(w) for kernels.

    A prior of kernels may take the last kernel as well, Pk(w, k), but has to run without it.

    The result has the shape, dtype and device of the input.  `level` is the standard deviation of
    the Gaussian noise that P is to remove.  `pnp.testing.check_prior` checks this.  A step that
    changes the shape is a `Transform`.
    """

    channels: int | None = None
    """Number of image channels it works on, or None for any."""
    size: int | None = None
    """Side of the kernels that it works on (it refuses others), or None for any."""

    @property
    def blind(self) -> bool:
        """True if it runs without a level."""
        return all(a.required is False for a in signature_of(type(self)).inputs[1:])


class Initializer(Module):
    """A first estimate from the observation y, its first input.

    For the image, U: `forward(y, s) -> Image`, s times as large as y; or `-> Complex`, for MRI.
    For the kernel, I: `forward(y) -> Kernel`.
    Further inputs (a mask, a level) are free.
    """


class Estimator(Module):
    """Noise levels and weights: F, H, schedules and constants.  Any inputs; outputs are `Level` or
    `Levels`.
    """


class Transform(Module):
    """A step that fits none of the other interfaces: any inputs, any outputs.

    Only its annotations are checked.  Changes of size (`crop`, `bicubic-down`) and learned updates
    of the kernel (`kernel-corrector`) are transforms.
    """


def takes_image(module: Module) -> bool:
    """True for a module whose first input is an image."""
    inputs = signature_of(type(module)).inputs
    return bool(inputs) and inputs[0].kind.name == "image"


def is_image_network(module: Module) -> bool:
    """True for an image prior with parameters."""
    return (
        isinstance(module, Prior)
        and takes_image(module)
        and next(module.parameters(), None) is not None
    )


def as_level(value: Tensor | float, like: Tensor) -> Tensor:
    """A level as a tensor (B, 1, 1, 1) or (1, 1, 1, 1), of dtype and device of `like` (B, ...)."""
    level = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if level.dim() == 0 or level.numel() == 1:
        return level.reshape(1, 1, 1, 1)
    return level.reshape(level.shape[0], 1, 1, 1)
