"""# Write a prior

A prior of your own in a dozen lines: soft thresholding of the coefficients of all 8 x 8 patches.
It is checked, used in a pipeline, and compared with total variation.
"""

# %%
# ## The class
#
# The annotations of `forward` tell pipelines what the module takes and gives.
# Options are the parameters of the constructor; their ranges are part of the types.

import math

import torch
from matplotlib import pyplot as plt
from skimage import data
from torch.nn import functional

import pnp
from pnp import Count, Image, Level, Positive
from pnp.interfaces import as_level
from pnp.kernel_files import make_kernel
from pnp.testing import check_prior


@pnp.prior("patch-dct")
class PatchDCT(pnp.Prior):
    """Soft thresholding in the DCT of all overlapping patches, which are then averaged.

    Args:
        side: Side of a patch in pixels.
        strength: The threshold as a multiple of the noise level.

    Returns:
        An image of x's shape.
    """

    def __init__(self, side: Count = 8, strength: Positive = 0.8):
        super().__init__()
        self.side, self.strength = side, strength
        n = torch.arange(side, dtype=torch.float64)
        dct = torch.cos(math.pi / side * (n + 0.5) * n[:, None]) * math.sqrt(2 / side)
        dct[0] /= math.sqrt(2)
        self.register_buffer("dct", torch.kron(dct, dct), persistent=False)

    def forward(self, x: Image, level: Level) -> Image:
        """The image with small coefficients removed; the means of patches are kept."""
        batch, channels, height, width = x.shape
        r = self.side - 1
        padded = functional.pad(x, (r, r, r, r), mode="replicate")
        patches = functional.unfold(padded.flatten(0, 1)[:, None], self.side)
        dct = self.dct.to(x)
        level = as_level(level, x).expand(batch, channels, 1, 1).reshape(-1, 1, 1)
        coefficients = dct @ patches
        shrunk = coefficients.sign() * (coefficients.abs() - self.strength * level).clamp(min=0)
        kept = torch.cat([coefficients[:, :1], shrunk[:, 1:]], dim=1)
        size = (height + 2 * r, width + 2 * r)
        total = functional.fold(dct.T @ kept, size, self.side)[..., r:-r, r:-r]
        return total.reshape(x.shape) / self.side**2


# %%
# ## The check
#
# `check_prior` tests what every pipeline relies on: shapes, dtypes, levels as numbers and tensors, independent images in a batch, gradients.

check_prior(PatchDCT())
print("check_prior: passed")

# %%
# ## In a pipeline
#
# `hqs-tv` deblurs with total variation as its prior.
# One value replaces it; nothing else changes.

x = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None, :, 20:148, 160:288] / 255
k = make_kernel("gaussian:1.6")
y, x = pnp.degrade(x, k, sigma=0.02)

results = {
    "hqs-tv": pnp.load("hqs-tv")(y=y, k=k, sigma=0.02).x,
    "patch-dct": pnp.load("hqs-tv", **{"modules.P": {"prior": "patch-dct"}})(
        y=y, k=k, sigma=0.02
    ).x,
}
for name, image in {"observation": y, **results}.items():
    print(f"{name:12}{pnp.metrics.psnr(image, x).item():.2f} dB")

# %%

figure, axes = plt.subplots(1, 4, figsize=(12, 3.3), layout="constrained")
for panel, (name, image) in zip(
    axes, {"observation": y, **results, "ground truth": x}.items(), strict=True
):
    panel.imshow(image[0].clamp(0, 1).permute(1, 2, 0))
    panel.set_title(name)
    panel.axis("off")
plt.show()

# %%
# In a file, `pnp run hqs-tv photo.png -k k.npy --plugin patch_dct.py --set 'modules.P={prior: patch-dct}'` does the same; [write a prior](../write-a-prior.md) shows how a package registers it.
