"""# Compose in YAML

A pipeline that no paper has, without Python code: total variation in the first iterations, a network in the last ones.
It extends `dpir` by one module and one swap.
"""

# %%
# ## The file
#
# `extends` takes all that `dpir` has; `swap` calls another module for a symbol in some iterations.

from pathlib import Path

import torch
from matplotlib import pyplot as plt
from skimage import data

import pnp
from pnp.kernel_files import make_kernel

Path("tv-then-network.yaml").write_text("""\
about: DPIR whose first four of eight iterations are denoised by total variation
extends: dpir
modules:
  T: {prior: tv, strength: 0.4, iterations: 10}
repeat: 8
swap:
  first 4: {P: T}
""")
pipeline = pnp.load("tv-then-network.yaml")
print(pipeline.spec.about)

# %%
# A mistake is found before anything runs, with its line and the nearest name.

Path("wrong.yaml").write_text("""\
extends: dpir
modules:
  T: {prior: tvv}
swap:
  first 4: {P: T}
""")
try:
    pnp.load("wrong.yaml")
except pnp.PnpError as error:
    print(error)

# %%
# ## Three pipelines on one observation

x = torch.from_numpy(data.coffee()).permute(2, 0, 1)[None, :, 60:188, 180:340] / 255
k = make_kernel("motion:3")
y, x = pnp.degrade(x, k, sigma=0.02)

pipelines = {
    "total variation": pnp.load("hqs-tv", repeat=8),
    "network": pnp.load("dpir", repeat=8),
    "first 4 by TV": pipeline,
}
recorders = {name: pnp.Recorder() for name in pipelines}
results = {}
for name, each in pipelines.items():
    with torch.no_grad():
        results[name] = each(y=y, k=k, sigma=0.02, trace=recorders[name]).x
    print(f"{name:16}{pnp.metrics.psnr(results[name], x).item():.2f} dB")

# %%
# The third calls the network in four of the eight iterations, and total variation, which is much faster, in the others.
#
# ## Over the iterations
#
# `Recorder` is a hook that keeps the variables of every iteration.

figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, recorder in recorders.items():
    iterates = torch.from_numpy(recorder.arrays()["x"])
    axes.plot(pnp.metrics.psnr(iterates, x.expand_as(iterates)), "o-", label=name)
axes.set(xlabel="iteration", ylabel="PSNR of x in dB")
axes.legend()
plt.show()

# %%

figure, axes = plt.subplots(1, 4, figsize=(12, 2.8), layout="constrained")
for panel, (name, image) in zip(axes, {"observation": y, **results}.items(), strict=True):
    panel.imshow(image[0].clamp(0, 1).permute(1, 2, 0))
    panel.set_title(name)
    panel.axis("off")
plt.show()

# %%
# The whole language is described in [write a pipeline](../write-a-pipeline.md).
