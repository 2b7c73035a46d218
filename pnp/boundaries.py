"""What a run assumes beyond the border of the observation: its period, or nothing.

The equations of D and Dk are for periodic images, as in the papers.  For a photograph, `Unknown`
calls the same modules such that only known pixels count:

    z = D(y, x, k, weight)   the minimiser over the known pixels (`pnp.frames`), or, if D takes a
                             mask, that of D itself; x and z have a frame from here on
    w = Dk(y, x, k)          y is A x in the frame: no misfit there, so no information
    x = P(z, level)          with the frame; a network on y itself sees its mirror image beyond
    F(y, x, k), I(y, s) ...  y alone, and x without its frame

Of overexposed pixels of y, at least their value is known (`pnp.overexposed`): in them D and Dk get
an observation that is brighter, where that fits better.

A step that takes images with and without a frame gets all of them without.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional as F

from pnp.checks import as_option, check_kernel_fits, check_weight
from pnp.frames import NETWORKS, Frame, completed, frame_of
from pnp.interfaces import DataSolver, Estimator, Module, Signature, is_image_network, signature_of
from pnp.kernels import is_delta
from pnp.language.spec import Step, Variable
from pnp.operators import Blur
from pnp.overexposed import as_bright, at_least, overexposed, past_networks

Assumption = Literal["periodic", "unknown"]
"""What lies beyond the border of an observation."""
MIRROR = 24
"""Width of the mirror image that networks see around images without a frame."""
Call = Callable[[Module, list[Any]], Any]


class Border(ABC):
    """How the steps of one run are called."""

    def __init__(self) -> None:
        self.frames: dict[str, Frame] = {}
        """Of the variables that have one, in their own pixels."""

    @abstractmethod
    def run(self, step: Step, module: Module, inputs: list[Any], call: Call) -> Any:
        """What the module of a step gives; `call` calls it."""

    @abstractmethod
    def shown(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The variables as users see them."""


class Periodic(Border):
    """The observation is one period of an endless image: every step gets what is written."""

    def run(self, step: Step, module: Module, inputs: list[Any], call: Call) -> Any:
        """What the module gives for these inputs."""
        return call(module, inputs)

    def shown(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The variables themselves."""
        return variables


class Unknown(Border):
    """Nothing is known beyond the border: x and z have a frame, y has none."""

    def __init__(self, least: int = 0, y: Tensor | None = None) -> None:
        super().__init__()
        self.least = least
        """Least width of a frame in pixels of x."""
        self.bright = overexposed(y)
        """The overexposed pixels of the observation, None without any."""

    def run(self, step: Step, module: Module, inputs: list[Any], call: Call) -> Any:
        """What the module gives for images that fit together."""
        signature = signature_of(type(module))
        kinds = [argument.kind.name for argument in signature.inputs][: len(inputs)]
        names = [value.name if isinstance(value, Variable) else "" for value in step.inputs]
        frames = [self.frames.get(name) for name in names]
        images = [i for i, kind in enumerate(kinds) if kind == "image"]
        if self.bright is not None and is_image_network(module):
            call = past_networks(call)
        if kinds[:3] == ["image", "image", "kernel"] and frames[0] is None:
            frame, inputs = self._compared(step, module, signature, inputs, frames[1])
            values = call(module, inputs)
            if frame is not None:
                module.forget()  # next time it gets another y
            self._keep(step, signature, values, frame, inputs[1])
            return values
        shared = {frames[i] for i in images} - {None}
        if len(shared) == 1 and all(frames[i] for i in images):
            values = call(module, inputs)
            if self._keep(step, signature, values, shared.pop(), inputs[images[0]]):
                return values
        inputs = [v if f is None else f.inside(v) for v, f in zip(inputs, frames, strict=True)]
        self._keep(step, signature, (), None, None)
        return _with_mirror(module, inputs, call)

    def shown(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The variables without their frames."""
        return {
            name: self.frames[name].inside(value) if name in self.frames else value
            for name, value in variables.items()
        }

    def _compared(
        self,
        step: Step,
        module: Module,
        signature: Signature,
        inputs: list[Any],
        frame_of_x: Frame | None,
    ) -> tuple[Frame | None, list[Any]]:
        """The inputs of a step that compares y with A x, with frames, and the frame of x."""
        y, x, k, *rest = inputs
        known = x if frame_of_x is None else frame_of_x.inside(x)
        s = known.shape[-2] // y.shape[-2]
        if known.shape[-2:] != (s * y.shape[-2], s * y.shape[-1]):
            return None, inputs  # the module says what is wrong
        check_kernel_fits(module.registered, k, *known.shape[-2:])
        if is_delta(k) or isinstance(module, Estimator):
            # without blur nothing beyond the border counts; A x in the frame has no noise
            return None, [y, known, k, *rest]
        frame = frame_of(y, k, s, self.least)
        if frame_of_x != frame.times(s):
            x = frame.times(s).bridged(known)
        same = self.bright is not None and self.bright.shape == y.shape
        bright = self.bright if same else None
        arguments = [argument.name for argument in signature.inputs]
        masked = "mask" in arguments and len(inputs) >= arguments.index("mask")
        of_image = isinstance(module, DataSolver) and signature.outputs[0].name == "image"
        if of_image and rest and not masked:
            weight = check_weight(module.registered, rest[0], x)
            return frame.times(s), [completed(y, x, k, weight, frame, bright), x, k, *rest]
        if bright is not None and not of_image:
            x = as_bright(x, bright)
        Ax = Blur(k, x.shape[-2:], s)(x)
        if bright is not None:
            y = at_least(y, bright, frame.inside(Ax))
        if masked:
            mask = rest[1] if len(rest) > 1 else y.new_ones(1, 1, *y.shape[-2:])
            y, rest[1:] = frame.padded(y), [frame.padded(mask)]
        else:
            y = frame.around(y, Ax)
        return frame.times(s), [y, x, k, *rest]

    def _keep(
        self, step: Step, signature: Signature, values: Any, frame: Frame | None, like: Any
    ) -> bool:
        """Record the frames of a step's outputs, given that of an input; False if they do not have
        one, because the step crops or extends."""
        for name in step.outputs:
            self.frames.pop(name, None)
        outputs = values if isinstance(values, tuple) else (values,)
        for name, kind, value in zip(step.outputs, signature.outputs, outputs, strict=False):
            if frame is not None and kind.name == "image":
                ratio = value.shape[-2] / like.shape[-2]
                if value.shape[-1] != ratio * like.shape[-1] or max(ratio, 1 / ratio) % 1:
                    return False
                self.frames[name] = frame.times(ratio)
        return True


def border_for(
    assumption: Assumption, modules: Iterable[Module], y: Tensor | None = None
) -> Border:
    """The border of one run of a pipeline with these modules on an observation y."""
    known = as_option("boundary", "boundary", Assumption, assumption)
    if known == "periodic":
        return Periodic()
    return Unknown(NETWORKS if any(map(is_image_network, modules)) else 0, y)


def _with_mirror(module: Module, inputs: list[Any], call: Call) -> Any:
    """What a module gives; a network gets the image with its mirror image beyond the border, and
    that part of the result is cut off."""
    if not is_image_network(module):
        return call(module, inputs)
    height, width = inputs[0].shape[-2:]
    rows, columns = min(MIRROR, height - 1), min(MIRROR, width - 1)
    wide = F.pad(inputs[0], (columns, columns, rows, rows), mode="reflect")
    return call(module, [wide, *inputs[1:]])[..., rows : rows + height, columns : columns + width]
