"""Draw docs/img/training.png: validation over training time, for the pretrained weights.

    python benchmarks/training_curves.py [FILE]

Reads results/training/NAME.csv, the `log.csv` of a run that trained the weights.
"""

import csv
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pnp.files import atomic

HERE = Path(__file__).parent
PSNR, DISTANCE, LEVEL = "PSNR (dB)", "distance of kernels", "error of log sigma"
PANELS = {
    "Gaussian denoisers, levels 0 to 50/255": (PSNR, ["drunet-small", "scunet-small"]),
    "image priors, scales 1 to 4, noise 0 to 6 %": (PSNR, ["usrnet-small", "usrnet-mini"]),
    "further, with grey images; for estimated kernels": (
        PSNR,
        [
            *("usrnet-mini-longer", "usrnet-small-longer", "usrnet-small-further"),
            *("usrnet-mini-estimated", "usrnet-small-estimated"),
        ],
    ),
    "kernels: from the spectrum; one update": (
        DISTANCE,
        ["spectral-kernel", "ikrnet-small-pk", "ikrnet-small-pe"],
    ),
    "kernels: the sum of two updates": (
        DISTANCE,
        [
            *("ikrnet-small", "ikrnet-small-sharper"),
            *("ikrnet-small-weighted", "ikrnet-small-weighted-2"),
        ],
    ),
    "noise levels, and the error of a kernel as a level": (LEVEL, ["local-noise", "kernel-doubt"]),
}


def main(target: Path) -> None:
    figure = Figure(figsize=(15, 8), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, (what, names)) in zip(
        figure.subplots(2, 3).flat, PANELS.items(), strict=True
    ):
        for name in names:
            draw(axes, name, what, baselines=name == names[0])
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("minutes on one CPU core")
        axes.set_ylabel(what)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, ncols=1 + (len(names) > 3))
    with atomic(target) as temporary:
        figure.savefig(temporary, format="png")


def draw(axes: Axes, name: str, what: str, baselines: bool) -> None:
    """The curve of a run; with `baselines`, what other methods reach on the same images."""
    rows = read(name)
    minutes = [float(row["seconds"]) / 60 for row in rows]
    values = [float(row["psnr" if what == PSNR else "validation"]) for row in rows]
    (line,) = axes.plot(minutes, values, ".-", label=name)
    bicubic = rows[0]["bicubic"]
    if what == PSNR and baselines and rows[0]["D alone"] != bicubic:
        for baseline, style in {"D alone": "--", "bicubic": ":"}.items():
            level = float(rows[0][baseline])
            axes.axhline(level, color="grey", linestyle=style, linewidth=1, label=baseline)
    axes.annotate(
        f"{values[-1]:.2f}",
        (minutes[-1], values[-1]),
        color=line.get_color(),
        xytext=(2, 3),
        textcoords="offset points",
        fontsize=8,
    )


def read(name: str) -> list[dict[str, str]]:
    """The validations of a run, without the first one of untrained networks."""
    with (HERE / "results" / "training" / f"{name}.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["validation"] and int(row["step"]) > 0]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "docs" / "img" / "training.png")
