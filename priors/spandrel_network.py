"""P: restoration networks in any file that the package spandrel reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pnp.checks import check_channels, check_form
from pnp.decoders import first_line
from pnp.errors import PnpError
from pnp.extras import extra
from pnp.interfaces import Image, Level, Prior, as_level
from pnp.options import Count
from pnp.registry import prior


@prior("spandrel")
class SpandrelNetwork(Prior):
    """The restoration network in a file that spandrel recognises (needs the extra `spandrel`).

        x = P(z), or x = P(z, level) for networks with a noise level: DRUNet and FDnCNN

    The key `weights` names the file; architecture and options come from it.  z is (B, C, H, W) on
    [0, 1], of any size.  A network with a level gives what it computes; for any other, spandrel
    cuts the result to [0, 1], and the level is ignored.  Larger images are restored tile by tile,
    unless spandrel advises against it for the architecture.  Without gradients.

    Args:
        tile: Side of the tiles in pixels; null for the whole image at once.
        overlap: Width of the margin that each tile has in addition; what is computed in it is not
            used.  Tiles change nothing if it is the radius of the receptive field or more.

    Returns:
        An image of z's shape.

    Raises:
        PnpError: spandrel is not installed, or does not recognise the file; the network enlarges
            the image, changes the number of its channels or takes a mask; the image has another
            number of channels; a level is missing.
    """

    differentiable: ClassVar = False

    def __init__(self, tile: Count | None = 512, overlap: Count = 32):
        super().__init__()
        self.tile, self.overlap = tile, overlap
        self.network: nn.Module | None = None
        self.descriptor: Any = None

    @property
    def needs_weights(self) -> bool:
        """True: the file is the network."""
        return True

    @property
    def takes_level(self) -> bool:
        """True if the network has the noise level as an input."""
        found = self.descriptor
        return found is not None and (found.architecture.id == "DRUNet" or "FDnCNN" in found.tags)

    @property
    def blind(self) -> bool:
        """True if the network runs without a level."""
        return not self.takes_level

    def adopt(self, state: Mapping[str, Tensor], symbol: str = "") -> None:
        """Become the network of these tensors; prefixes of their names are found.

        Args:
            state: The tensors of a file by name.
            symbol: The module's symbol, which selects one of several networks.
        """
        spandrel = extra("spandrel", "the prior spandrel")
        loader = spandrel.ModelLoader()
        for named in _without_prefixes(state, symbol):
            try:
                found = loader.load_from_state_dict(named)
            except spandrel.UnsupportedModelError:
                continue
            except Exception as e:  # recognised by some names, but other tensors do not fit
                self.refuse(f"not loaded ({first_line(e)})", "is the file complete?")
            break
        else:
            self.refuse(
                f"spandrel {_version()} does not recognise the network",
                "name a file with the weights of one restoration network",
            )
        if not isinstance(found, spandrel.ImageModelDescriptor):
            self.refuse(
                f"{found.architecture.name} restores parts that a mask marks",
                "give a network that restores a whole image",
            )
        if found.scale != 1 or found.input_channels != found.output_channels:
            sizes = f"{found.input_channels} channels to {found.output_channels}"
            self.refuse(
                f"{found.architecture.name} enlarges {found.scale} times and maps {sizes}",
                "a prior keeps the shape of an image: give a network of scale 1",
            )
        self.descriptor = found.eval()
        self.network, self.channels = found.model, found.input_channels

    def forward(self, x: Image, level: Level | None = None) -> Image:
        """The restored image."""
        if self.network is None:
            self.refuse("there is no network yet", "name its file: 'weights: FILE'")
        check_form(self.registered, "x", x)
        check_channels(self.registered, "x", x, self.channels)
        if not self.takes_level:
            level = None
        elif level is None:
            name = self.descriptor.architecture.name
            self.refuse(f"{name} needs a noise level", "write P(x, level) or a number for it")
        result: Tensor = _WithoutGradients.apply(x, level, self)
        return result

    def restore(self, x: Tensor, level: Tensor | float | None) -> Tensor:
        """All images and all tiles."""
        z = x.to(next(self.parameters()).dtype)
        levels: list[Tensor | None] = [None] * len(z)
        if level is not None:
            levels = list(as_level(level, z).expand(len(z), 1, 1, 1).split(1))
        pairs = zip(z.split(1), levels, strict=True)
        return torch.cat([self._tiled(partial(self._run, level=v), i) for i, v in pairs]).to(
            x.dtype
        )

    def _run(self, x: Tensor, level: Tensor | None) -> Tensor:
        """One tile (1, C, H, W)."""
        if level is None:
            result: Tensor = self.descriptor(x)
            return result
        assert self.network is not None
        height, width = x.shape[-2:]
        right, below = self.descriptor.size_requirements.get_padding(width, height)
        z = torch.cat([x, level.expand(1, 1, height, width)], dim=1)
        with torch.no_grad():
            result = self.network(F.pad(z, (0, right, 0, below), mode="replicate"))
        return result[..., :height, :width]

    def _tiled(self, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """`run` on tiles with margins; their middle parts are put together."""
        height, width = x.shape[-2:]
        step = self.descriptor.size_requirements.multiple_of
        advised = self.descriptor.tiling.name == "SUPPORTED"
        if self.tile is None or not advised or max(height, width) <= self.tile:
            return run(x)
        tile, margin = (-(-side // step) * step for side in (self.tile, self.overlap))
        result = torch.empty_like(x)
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                a, b = max(top - margin, 0), max(left - margin, 0)
                part = run(x[..., a : top + tile + margin, b : left + tile + margin])
                inner = part[..., top - a : top - a + tile, left - b : left - b + tile]
                result[..., top : top + tile, left : left + tile] = inner
        return result


class _WithoutGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, level: Tensor | float | None, module: Any) -> Tensor:
        return module.restore(x.detach(), level).clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise PnpError(
            "spandrel: its networks are for restoration and have no gradients here; train through "
            "a network of pnp such as 'drunet', or detach the output"
        )


def _without_prefixes(state: Mapping[str, Tensor], symbol: str) -> Iterator[dict[str, Tensor]]:
    """The tensors as named, those of the symbol, then with one segment of all names less each
    time."""
    yield dict(state)
    own = {k: v for k, v in state.items() if symbol and k.split(".")[0].lower() == symbol.lower()}
    named = own or dict(state)
    while len({key.partition(".")[0] for key in named}) == 1 and all("." in key for key in named):
        named = {key.partition(".")[2]: value for key, value in named.items()}
        yield named


def _version() -> str:
    from importlib.metadata import version

    return version("spandrel")
