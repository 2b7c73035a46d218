"""# Denoise before or after?

IKR-Net's paper asks in Table 7 whether an image should be denoised before the restoration (Denoise+IKR) or after it (IKR+Denoise).
`pnp.compare` measures both with our small networks, on a part of one photograph.
"""

# %%
# ## The comparison
#
# `table-7` comes with the package; its small form takes five photographs of scikit-image at scale 2.
# Here it has two kernels and one photograph, so that it ends within a minute.

from matplotlib import pyplot as plt

import pnp
from pnp.comparing.reader import read_comparison

comparison = read_comparison(
    "table-7",
    small=True,
    overrides={
        "data.crop": 96,
        "kernels.groups": {"gaussian": ["gaussian:1.6"], "motion": ["motion:1"]},
    },
)
methods = ["original", "Denoise+IKR", "IKR+Denoise"]
compared = pnp.compare(comparison, out="table-7", only=methods, limit=1)
print(compared.results.path.name, len(compared.results.rows), "rows")

# %%
# ## The rows
#
# Each row is one method on one observation.
# The file can be continued: a second call measures only what is missing.

figures = {}
for method in methods:
    rows = compared.results.of(method)
    figures[method] = {row["kernel"]: float(row["psnr"]) for row in rows}
    words = ", ".join(f"{kernel} {value:.2f} dB" for kernel, value in figures[method].items())
    print(f"{method:12} {words}")

# %%

figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
for i, method in enumerate(methods):
    places = [place + 0.25 * i for place in range(len(figures[method]))]
    bars = axes.bar(places, list(figures[method].values()), width=0.23, label=method)
    axes.bar_label(bars, fmt="%.2f", fontsize=8)
values = [value for each in figures.values() for value in each.values()]
axes.set(ylabel="PSNR in dB", ylim=(min(values) - 2, max(values) + 1.5))
axes.set_xticks([0.25, 1.25], list(figures[methods[0]]))
axes.legend(ncols=3, fontsize=8, loc="upper center")
plt.show()

# %%
# One photograph proves nothing: [results](../results.md) has tables with more images and intervals, and [compare](../compare.md) describes comparisons.
# On the command line this is `pnp compare table-7 --small --only original Denoise+IKR IKR+Denoise`, and `pnp report` makes a page of it.
