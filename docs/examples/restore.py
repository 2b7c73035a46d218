"""# Restore a photograph

A photograph is blurred, sampled at every second pixel and disturbed by noise.
`pnp.restore` is given nothing but the result, and finds the kernel, the noise level and the image.
"""

# %%
# ## The observation
#
# y = (x ⊗ k)↓s + n, with an oblique Gaussian kernel, scale 2 and 1 % noise.
# `make_kernel` understands the same words as `--kernel` of the command line.

import torch
from matplotlib import pyplot as plt
from skimage import data

import pnp
from pnp.kernel_files import make_kernel

photograph = torch.from_numpy(data.chelsea()).permute(2, 0, 1)[None] / 255
x = photograph[..., 40:200, 120:312]
k = make_kernel("gaussian:2.4,0.9,-30")
y, x = pnp.degrade(x, k, s=2, sigma=0.01)
print("ground truth", tuple(x.shape), " observation", tuple(y.shape))

# %%
# ## The restoration
#
# Without a kernel, `ikrnet-small` estimates one; its weights come with the package.
# The observation was simulated with a periodic border, so we say so; for a photograph, leave `boundary` out.
# `reference` only serves to measure the PSNR.

restored = pnp.restore(y, "ikrnet-small", scale=2, boundary="periodic", reference=x)
quality = restored.record["quality"]
print(f"bicubic   {quality['psnr_before']:.2f} dB")
print(f"restored  {quality['psnr_after']:.2f} dB")
print(f"kernel    {restored.record['kernel']['verdict']}")

# %%
# ## A look at it


def show(axes, image, title):
    """An image (1, C, H, W), or a kernel."""
    axes.imshow(image[0].clamp(0, 1).permute(1, 2, 0), cmap="gray")
    axes.set_title(title)
    axes.axis("off")


figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
show(axes[0], pnp.initializers.build("bicubic")(y, 2), "bicubic interpolation")
show(axes[1], restored.image, "restored")
show(axes[2], x, "ground truth")
plt.show()

# %%
# The estimated kernel is one of the returned values, too.

figure, axes = plt.subplots(1, 2, figsize=(5, 2.6), layout="constrained")
for panel, kernel, title in zip(axes, (restored.kernel, k), ("estimated", "true"), strict=True):
    show(panel, kernel / kernel.max(), title)
plt.show()

# %%
# On the command line the same is
#
# ```sh
# pnp run observation.png --scale 2 --boundary periodic --reference truth.png
# ```
