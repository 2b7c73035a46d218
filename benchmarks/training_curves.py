"""Draw docs/img/training.png: validation PSNR over training time, for the pretrained weights.

    python benchmarks/training_curves.py [FILE]

Reads results/training/NAME.csv, the `log.csv` of the run that trained the weights NAME.
"""

import csv
import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pnp.files import atomic

HERE = Path(__file__).parent
PANELS = {
    "Gaussian denoisers, levels 0 to 50/255": ["drunet-small", "scunet-small"],
    "image priors, scales 1 to 4, noise 0 to 6 %": ["usrnet-small", "usrnet-mini"],
}


def main(target: Path) -> None:
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, names) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for name in names:
            rows = read(name)
            minutes = [float(row["seconds"]) / 60 for row in rows]
            (line,) = axes.plot(minutes, [float(row["psnr"]) for row in rows], ".-", label=name)
            baselines = {"D alone": "--", "bicubic": ":"}
            bicubic = rows[0]["bicubic"]
            if name == names[0] and rows[0].get("D alone", bicubic) != bicubic:
                for baseline, style in baselines.items():
                    level = float(rows[0][baseline])
                    axes.axhline(level, color="grey", linestyle=style, linewidth=1, label=baseline)
            axes.annotate(
                f"{float(rows[-1]['psnr']):.2f}",
                (minutes[-1], float(rows[-1]["psnr"])),
                color=line.get_color(),
                xytext=(2, 3),
                textcoords="offset points",
                fontsize=8,
            )
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("minutes on one CPU core")
        axes.set_ylabel("validation PSNR (dB)")
        axes.grid(alpha=0.3)
        axes.legend()
    with atomic(target) as temporary:
        figure.savefig(temporary, format="png")


def read(name: str) -> list[dict[str, str]]:
    """The validations of a run, without the first one, of untrained networks."""
    with (HERE / "results" / "training" / f"{name}.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["psnr"] and int(row["step"]) > 0]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "docs" / "img" / "training.png")
