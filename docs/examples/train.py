"""# Train from scratch on a folder

A small Gaussian denoiser is trained on a folder of images, in half a minute on one core, and removes the noise from a photograph that it has not seen.
"""

# %%
# ## The folder
#
# Any folder with images will do.
# Here it holds parts of three photographs; a fourth is left for the test.

import logging
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from skimage import data

import pnp
from pnp.training import load_recipe, train

logging.getLogger("pnp").setLevel("ERROR")


def pixels(image):
    """A photograph (1, 3, H, W) on [0, 1]."""
    return torch.from_numpy(image).permute(2, 0, 1)[None] / 255


folder = Path("photographs")
folder.mkdir()
for image in (data.astronaut(), data.coffee(), data.rocket()):
    for row in range(0, 256, 128):
        for column in range(0, 384, 128):
            part = pixels(image)[..., row : row + 128, column : column + 128]
            pnp.write_image(folder / f"{len(list(folder.iterdir()))}.png", part)
print(len(list(folder.iterdir())), "images")

# %%
# ## The recipe
#
# `denoise-drunet-small` trains DRUNet; the assignments make it small enough for this page.
# Without them, and for longer, it trained the weights `drunet-small` of the package.

recipe = load_recipe(
    "denoise-drunet-small",
    ["modules.P.nc=[8,16,16,16]", "modules.P.nb=1", "crop=48", "batch=8", "precision=fp32",
     "schedule.warmup=10", "validation.crop=48"],
)  # fmt: skip
trainer = train(recipe, "run", [folder], steps=400, final=True)
print(*sorted(path.name for path in Path("run").iterdir()), sep="\n")

# %%
# ## The result
#
# The folder of a run is a pipeline.

x = pixels(data.chelsea())[..., 60:188, 140:332]
y = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    denoised = pnp.load("run")(y=y, sigma=0.1).x
panels = {"25/255 of noise": y, "denoised": denoised, "ground truth": x}
figure, axes = plt.subplots(1, 3, figsize=(11, 2.8), layout="constrained")
for panel, (title, image) in zip(axes, panels.items(), strict=True):
    panel.imshow(image[0].clamp(0, 1).permute(1, 2, 0))
    panel.set_title(title)
    panel.axis("off")
plt.show()
for title, image in list(panels.items())[:2]:
    print(f"{title:16}{pnp.metrics.psnr(image, x).item():.2f} dB")

# %%
# On the command line:
#
# ```sh
# pnp train denoise-drunet-small --data photographs --minutes 30 -o run
# pnp run run noisy.png --sigma 10%
# ```
#
# [Training](../training.md) has all recipes.
