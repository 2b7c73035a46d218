"""DnCNN: a plain stack of convolutions that predicts the noise."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from pnp.interfaces import Image, Level
from pnp.options import Count, Range
from pnp.registry import prior

from .network import NetworkPrior

BATCH_NORM_EPS = 1e-4  # of the public checkpoints; they do not store it


@prior("dncnn")
class DnCNN(NetworkPrior):
    """DnCNN, a denoiser for the one noise level (or range) it was trained on: a stack of
    convolutions.

        x = P(z) = z - noise(z)

    z is (B, channels, H, W) on [0, 1], of any size.  The network receives no level; a level that is
    given is ignored.  It has 555,137 parameters with the defaults.  KAIR's weights load:
    `dncnn_15.pth`, `dncnn_25.pth`, `dncnn_50.pth` (depth: 17), `dncnn_gray_blind.pth` and
    `dncnn_color_blind.pth` (depth: 20); batch normalisation in a checkpoint is merged into the
    convolution before it.

    Args:
        channels: Channels of the image: 1, or 3 for colour.
        depth: Number of convolutions.
        features: Features of the inner layers.

    Returns:
        An image of z's shape.

    Raises:
        PnpError: The image has another number of channels.

    Source:
        Zhang, Zuo, Chen, Meng, Zhang (2017).
    """

    cite: ClassVar = ("zhang2017dncnn",)

    def __init__(
        self,
        channels: Count = 1,
        depth: Annotated[int, Range(at_least=2)] = 17,
        features: Count = 64,
    ):
        super().__init__(channels)
        layers: list[nn.Module] = [nn.Conv2d(channels, features, 3, padding=1)]
        for _ in range(depth - 2):
            layers += [nn.ReLU(inplace=True), nn.Conv2d(features, features, 3, padding=1)]
        layers += [nn.ReLU(inplace=True), nn.Conv2d(features, channels, 3, padding=1)]
        self.model = nn.Sequential(*layers)
        self.overlap = depth  # the reach: each convolution sees one pixel further

    def body(self, x: Tensor) -> Tensor:
        """x without the noise that the stack sees in it."""
        return x - self.model(x)

    def forward(self, x: Image, level: Level | None = None) -> Image:
        """The denoised image."""
        return self.restore(x)

    @classmethod
    def translate(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A checkpoint with batch normalisation, as one without: each is merged into the
        convolution before it.
        """
        places = [re.fullmatch(r"(.*?)(\d+)\.(\w+)", key) for key in state]
        one_stack = None not in places and len({place[1] for place in places if place}) == 1
        if not one_stack or not any(key.endswith("running_var") for key in state):
            return state
        layers: dict[int, dict[str, Tensor]] = {}
        for place, value in zip(places, state.values(), strict=True):
            if place:
                layers.setdefault(int(place[2]), {})[place[3]] = value
        merged: list[tuple[Tensor, Tensor]] = []
        for _, layer in sorted(layers.items()):
            weight = layer["weight"]
            if "running_var" not in layer:
                merged.append((weight, layer.get("bias", torch.zeros(len(weight)))))
                continue
            scale = weight / (layer["running_var"] + BATCH_NORM_EPS).sqrt()
            kernel, bias = merged[-1]
            merged[-1] = (
                kernel * scale[:, None, None, None],
                (bias - layer["running_mean"]) * scale + layer["bias"],
            )
        return {
            f"model.{2 * i}.{part}": value
            for i, pair in enumerate(merged)
            for part, value in zip(("weight", "bias"), pair, strict=True)
        }
