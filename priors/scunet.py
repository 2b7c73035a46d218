"""SCUNet: a U-net whose blocks split their channels between a residual convolution and a Swin
transformer.

Blind (`scunet`, the public denoiser) and with a level map (`scunet-level`, the prior of IKR-Net's
last iterations). Parameters carry the names of the public checkpoints.

An output pixel depends on the input up to 181 pixels away with two blocks per stage and windows of
8 pixels, further with more blocks.  Tiles overlap by 96 pixels only: pixels further away changed
the output of `scunet-small` by less than 0.05/255, for noise between 0 and 50/255.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from pnp.interfaces import Image, Level
from pnp.options import Count, Fraction, Rule
from pnp.registry import prior

from .network import NetworkPrior
from .resunet import conv3

SevenStages = tuple[Count, Count, Count, Count, Count, Count, Count]
"""Blocks of the seven stages of the U-net."""
Window = Annotated[Count, Rule("that is even", lambda n: n % 2 == 0)]
"""Side of the windows in pixels; they are shifted by half."""


class WindowAttention(nn.Module):
    """Self-attention within windows of `window` x `window` pixels, with a learnt bias for each
    relative position.

    With `shifted`, the windows are displaced by half a window, with wrap-around; pixels that are
    adjacent only through the wrap-around do not attend to each other.
    """

    relation: Tensor
    apart: Tensor

    def __init__(self, dim: int, head_dim: int, window: int, shifted: bool):
        super().__init__()
        self.head_dim, self.window, self.shift = head_dim, window, window // 2 if shifted else 0
        self.embedding_layer = nn.Linear(dim, 3 * dim)
        self.linear = nn.Linear(dim, dim)
        self.relative_position_params = nn.Parameter(
            torch.zeros(dim // head_dim, 2 * window - 1, 2 * window - 1)
        )
        nn.init.trunc_normal_(self.relative_position_params, std=0.02)

        row, column = torch.arange(window**2) // window, torch.arange(window**2) % window
        relation = (
            torch.stack([row[:, None] - row, column[:, None] - column]) + window - 1
        )  # (2, p, p)
        self.register_buffer("relation", relation, persistent=False)
        # The wrap-around divides the pixels of a window in one of four ways: not at all, in the
        # last column of windows, in the last row, in the corner.  None depends on the image size.
        wrapped_row, wrapped_column = row >= window - self.shift, column >= window - self.shift
        across, down = (
            wrapped_column[:, None] != wrapped_column,
            wrapped_row[:, None] != wrapped_row,
        )
        apart = torch.stack([torch.zeros_like(across), across, down, across | down])
        self.register_buffer("apart", apart[:, None], persistent=False)  # (4, 1, p, p)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim) -> (B, H, W, dim); H and W are multiples of the window."""
        batch, rows, columns = len(x), x.shape[1] // self.window, x.shape[2] // self.window
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
        x = rearrange(x, "b (r h) (c w) d -> (b r c) (h w) d", h=self.window, w=self.window)
        q, k, v = rearrange(
            self.embedding_layer(x), "n p (three g d) -> three n g p d", three=3, d=self.head_dim
        )
        x = F.scaled_dot_product_attention(
            q, k, v, attn_mask=self.bias(batch, rows, columns).to(q.dtype)
        )
        x = self.linear(rearrange(x, "n g p d -> n p (g d)"))
        x = rearrange(x, "(b r c) (h w) d -> b (r h) (c w) d", r=rows, c=columns, h=self.window)
        return x.roll((self.shift, self.shift), dims=(1, 2)) if self.shift else x

    def bias(self, batch: int, rows: int, columns: int) -> Tensor:
        """What is added to the attention's logits, (B * windows, heads, p, p).

        The bias of positions, and -inf between pixels that are adjacent only through wrap-around.
        """
        position = self.relative_position_params[
            :, self.relation[0], self.relation[1]
        ]  # (heads, p, p)
        if not self.shift:
            return position.expand(batch * rows * columns, -1, -1, -1)
        four = position.masked_fill(self.apart, float("-inf"))  # (4, heads, p, p)
        last_row = torch.arange(rows, device=position.device) == rows - 1
        last_column = torch.arange(columns, device=position.device) == columns - 1
        way = 2 * last_row[:, None].long() + last_column
        return four[way.flatten().repeat(batch)]


class SwinBlock(nn.Module):
    """Attention and a two-layer perceptron, each after a normalisation and with a skip; pixels are
    (B, H, W, dim).
    """

    def __init__(self, dim: int, head_dim: int, window: int, shifted: bool, drop_path: float):
        super().__init__()
        self.ln1 = nn.LayerNorm(dim)
        self.msa = WindowAttention(dim, head_dim, window, shifted)
        self.ln2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.drop_path = depth_dropout(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, of x's shape."""
        x = x + self.drop_path(self.msa(self.ln1(x)))
        return x + self.drop_path(self.mlp(self.ln2(x)))


class SwinConvBlock(nn.Module):
    """Half of the channels to a residual convolution block, half to a Swin block, 1 x 1
    convolutions around both.
    """

    def __init__(self, channels: int, head_dim: int, window: int, shifted: bool, drop_path: float):
        super().__init__()
        half = channels // 2
        self.trans_block = SwinBlock(half, head_dim, window, shifted, drop_path)
        self.conv1_1 = nn.Conv2d(channels, channels, 1)
        self.conv1_2 = nn.Conv2d(channels, channels, 1)
        self.conv_block = nn.Sequential(conv3(half, half), nn.ReLU(inplace=True), conv3(half, half))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same shape."""
        local, distant = self.conv1_1(x).chunk(2, dim=1)
        local = local + self.conv_block(local)
        distant = rearrange(
            self.trans_block(rearrange(distant, "b c h w -> b h w c")), "b h w c -> b c h w"
        )
        return x + self.conv1_2(torch.cat([local, distant], dim=1))


class SwinConvUNet(NetworkPrior):
    """The network of `scunet` and `scunet-level`, which differ in their inputs.

    Args:
        inputs: Channels of the input of `body`.

    The other arguments are the options of `scunet`.
    """

    free: ClassVar = ("drop_path",)

    def __init__(
        self,
        inputs: int,
        channels: int,
        config: SevenStages,
        dim: int,
        head_dim: int,
        window: int,
        drop_path: float,
    ):
        super().__init__(channels, multiple=8 * window)
        self.overlap = 12 * window
        if dim % (2 * head_dim):
            self.refuse(
                f"dim is {dim} and head_dim {head_dim}, but half of dim is divided into heads",
                f"make dim a multiple of {2 * head_dim}",
            )
        rates = (drop_path * depth / max(sum(config) - 1, 1) for depth in range(sum(config)))

        def blocks(stage: int, features: int) -> list[nn.Module]:
            return [
                SwinConvBlock(features, head_dim, window, bool(i % 2), next(rates))
                for i in range(config[stage])
            ]

        def down(stage: int, features: int) -> nn.Sequential:
            return nn.Sequential(
                *blocks(stage, features), nn.Conv2d(features, 2 * features, 2, stride=2, bias=False)
            )

        def up(stage: int, features: int) -> nn.Sequential:
            enlarge = nn.ConvTranspose2d(2 * features, features, 2, stride=2, bias=False)
            return nn.Sequential(enlarge, *blocks(stage, features))

        self.m_head = nn.Sequential(conv3(inputs, dim))
        self.m_down1 = down(0, dim)
        self.m_down2 = down(1, 2 * dim)
        self.m_down3 = down(2, 4 * dim)
        self.m_body = nn.Sequential(*blocks(3, 8 * dim))
        self.m_up3 = up(4, 4 * dim)
        self.m_up2 = up(5, 2 * dim)
        self.m_up1 = up(6, dim)
        self.m_tail = nn.Sequential(conv3(dim, channels))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def body(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, channels, H, W); H and W are multiples of 8 windows.

        The first and the last layer compute without autocast, because it would round the image
        itself.
        """
        with torch.autocast(x.device.type, enabled=False):
            x1 = self.m_head(x)  # (B, dim, H, W)
        x2 = self.m_down1(x1)  # (B, 2 dim, H/2, W/2)
        x3 = self.m_down2(x2)  # (B, 4 dim, H/4, W/4)
        x4 = self.m_down3(x3)  # (B, 8 dim, H/8, W/8)
        x = self.m_body(x4)
        x = self.m_up3(x + x4)
        x = self.m_up2(x + x3)
        x = self.m_up1(x + x2)
        with torch.autocast(x.device.type, enabled=False):
            return self.m_tail(x + x1)


def depth_dropout(rate: float) -> nn.Module:
    """Drops a block for single images of a batch in training; imports timm only if needed."""
    if rate == 0:
        return nn.Identity()
    from timm.layers import DropPath

    return DropPath(rate)


@prior("scunet")
class SCUNet(SwinConvUNet):
    """SCUNet, a blind denoiser for real noise: U-net of convolution and Swin transformer blocks.

        x = P(z)

    z is (B, channels, H, W) on [0, 1], of any size; a level that is given is ignored.  It has
    17,946,072 parameters with the defaults.  The public `scunet_*.pth` load.

    Args:
        channels: Channels of the image: 3, or 1 for greyscale.
        config: Blocks of the seven stages.
        dim: Features of the finest scale, a multiple of 2 head_dim.
        head_dim: Features of one attention head.
        window: Side of the attention windows in pixels.
        drop_path: Rate at which the deepest block is skipped in training; the others in proportion.

    Returns:
        An image of z's shape.

    Raises:
        PnpError: The image has another number of channels, or dim is not a multiple of 2 head_dim.

    Source:
        Zhang, Li, Liang, Cao, Zhang, Tang, Fan, Timofte, Van Gool (2023).
    """

    cite: ClassVar = ("zhang2023scunet",)

    def __init__(
        self,
        channels: Count = 3,
        config: SevenStages = (4, 4, 4, 4, 4, 4, 4),
        dim: Count = 64,
        head_dim: Count = 32,
        window: Window = 8,
        drop_path: Fraction = 0.0,
    ):
        super().__init__(channels, channels, config, dim, head_dim, window, drop_path)

    def forward(self, x: Image, level: Level | None = None) -> Image:
        """The denoised image."""
        return self.restore(x)


@prior("scunet-level")
class LevelSCUNet(SwinConvUNet):
    """SCUNet with the noise level as one more input channel, the P of IKR-Net's last iterations
    (Table 7).

        x = P(z, level)

    z is (B, channels, H, W) on [0, 1], of any size; the level is a standard deviation on [0, 1], a
    number or (B, 1, 1, 1), expanded to a constant map.  It has 17,946,648 parameters with the
    defaults.

    Args:
        channels: Channels of the image: 3, or 1 for greyscale.
        config: Blocks of the seven stages.
        dim: Features of the finest scale, a multiple of 2 head_dim.
        head_dim: Features of one attention head.
        window: Side of the attention windows in pixels.
        drop_path: Rate at which the deepest block is skipped in training; the others in proportion.

    Returns:
        An image of z's shape.

    Raises:
        PnpError: The image has another number of channels, or dim is not a multiple of 2 head_dim.

    Source:
        Zhang et al. (2023), with the level of Ates, Yildirim, Gunturk (2023).
    """

    cite: ClassVar = ("zhang2023scunet", "ates2023ikrnet")

    def __init__(
        self,
        channels: Count = 3,
        config: SevenStages = (4, 4, 4, 4, 4, 4, 4),
        dim: Count = 64,
        head_dim: Count = 32,
        window: Window = 8,
        drop_path: Fraction = 0.0,
    ):
        super().__init__(channels + 1, channels, config, dim, head_dim, window, drop_path)

    def forward(self, x: Image, level: Level) -> Image:
        """The image without noise of standard deviation `level`."""
        return self.restore(x, level)
