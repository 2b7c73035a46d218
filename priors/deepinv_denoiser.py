"""P: the denoisers of the package deepinv."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pnp.checks import check_channels, check_form
from pnp.errors import PnpError, nearest
from pnp.extras import extra
from pnp.interfaces import Image, Level, Prior, as_level
from pnp.registry import prior


@prior("deepinv")
class DeepinvDenoiser(Prior):
    """Any denoiser of deepinv, by the name of its class (needs the extra `deepinv`).

        x = P(z, level)

    z is (B, C, H, W) on [0, 1].  The level is handed over as the denoiser's second argument, one
    value for each image: a standard deviation on [0, 1] for networks, a threshold for `TVDenoiser`
    and `WaveletDenoiser`; blind denoisers ignore it.  Those that start from their last result do so
    within one run of a pipeline only.  Where the constructor has the option
    `pretrained`, deepinv's default is to download weights; with `pretrained: null` they are those
    of the key `weights`.

    Args:
        denoiser: A class of `deepinv.models`, for example DRUNet.
        options: The arguments of its constructor.

    Returns:
        An image of z's shape.

    Raises:
        PnpError: deepinv is not installed, has no such denoiser, or refuses its options; the image
            has another number of channels.

    Source:
        Tachella et al. (2025), and the source that deepinv names for the class.
    """

    cite: ClassVar = ("tachella2025deepinverse",)

    def __init__(self, denoiser: str, options: dict[str, Any] | None = None):
        super().__init__()
        models = extra("deepinv", "the prior deepinv").models
        cls = getattr(models, denoiser, None)
        if not (inspect.isclass(cls) and issubclass(cls, models.Denoiser)):
            known = [n for n, c in vars(models).items() if _is_denoiser(c, models.Denoiser)]
            near = nearest(denoiser, known)
            self.refuse(
                f"deepinv.models has no denoiser '{denoiser}'",
                f"{near} denoisers: {', '.join(sorted(known))}".strip(),
            )
        arguments = _arguments(cls, options or {})
        try:
            self.denoiser: Any = cls(**(options or {}))
        except PnpError:
            raise
        except Exception as e:  # wrong options, a download that fails
            self.refuse(
                f"{denoiser} cannot be built ({type(e).__name__}: {e})",
                f"its options: {', '.join(arguments)}",
            )
        self.pretrained = bool(arguments.get("pretrained"))
        channels = next(
            (arguments[n] for n in ("in_channels", "in_nc", "in_chans") if n in arguments), None
        )
        self.channels = channels if isinstance(channels, int) else None

    @property
    def needs_weights(self) -> bool:
        """False if the denoiser has brought its own."""
        return not self.pretrained and super().needs_weights

    @property
    def holds(self) -> nn.Module:
        """The network that files of weights describe."""
        network: nn.Module = self.denoiser
        return network

    def forward(self, x: Image, level: Level) -> Image:
        """The image without noise of standard deviation `level`."""
        check_form(self.registered, "x", x)
        if self.channels is not None:
            check_channels(self.registered, "x", x, self.channels)
        parameter = next(self.denoiser.parameters(), None)
        z = x if parameter is None else x.to(parameter.dtype)
        levels = as_level(level, z).expand(len(z), 1, 1, 1).flatten()
        levels = levels.clamp_min(torch.finfo(z.dtype).tiny)  # TVDenoiser divides by its threshold
        if not hasattr(self.denoiser, "restart"):
            result: Tensor = self.denoiser(z, levels)
            return result.to(x.dtype)
        state = self.run_state()  # TVDenoiser ... keep their last result, here until the run ends
        vars(self.denoiser).update(state, restart=not state)
        result = self.denoiser(z, levels)
        for name, value in list(vars(self.denoiser).items()):
            if isinstance(value, Tensor):
                state[name] = value
                setattr(self.denoiser, name, None)
        return result.to(x.dtype)


def _is_denoiser(thing: Any, base: type) -> bool:
    return inspect.isclass(thing) and issubclass(thing, base) and thing is not base


def _arguments(cls: type, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments with which a class is constructed, defaults included."""
    parameters = list(inspect.signature(cls).parameters.values())
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {p.name: options.get(p.name, p.default) for p in named}
