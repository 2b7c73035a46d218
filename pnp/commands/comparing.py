"""The options of `pnp compare`, `pnp figure` and `pnp report`."""

from __future__ import annotations

import argparse

_DEFAULT = "default: %(default)s"
_LEVEL = "noise level, for example 2%%, 5/255 or 0.02"


def add_compare(compare: argparse.ArgumentParser) -> None:
    """The options of `pnp compare`."""
    add = compare.add_argument
    what = "a comparison (table-1 ... table-9, or a YAML file), or pipelines"
    add("what", metavar="COMPARISON", nargs="+", help=what)
    _add_measured(compare)
    add("-o", "--out", metavar="DIR", help="folder of the rows (default: comparisons/NAME)")
    add("--every", metavar="N", type=int, help="every n-th image")
    add("--limit", metavar="N", type=int, help="the first N images")
    words = "gaussian:1.6, motion:1 and others"
    add("--kernel", metavar="KERNEL", action="append", default=[], help=words)
    add("--scale", metavar="S", type=scale, action="append", default=[], help="1, 2, 3 or 4 ...")
    add("--sigma", metavar="LEVEL", action="append", default=[], help=_LEVEL)
    add("--protocol", metavar="NAME", help="how observations are simulated: exact, usrnet ...")
    add("--only", metavar="METHOD", nargs="+", default=[], help="measure these methods only")
    again = "delete and measure again rows made with other pipelines, weights or precision"
    add("--again", action="store_true", help=again)
    keep = f"keep pictures and curves of the first N images ({_DEFAULT})"
    add("--keep", metavar="N", type=int, default=2, help=keep)
    add("--dtype", choices=["fp32", "bf16"], default="fp32", help=f"precision ({_DEFAULT})")


def add_figure(figure: argparse.ArgumentParser) -> None:
    """The options of `pnp figure`."""
    add = figure.add_argument
    add("number", metavar="N", type=int, help="7, 8, 11, 12 or 13")
    _add_measured(figure)
    add("-o", "--out", metavar="FILE", help="PNG (default: figures/figure-N.png)")


def _add_measured(command: argparse.ArgumentParser) -> None:
    """The options that `compare` and `figure` have in common."""
    add = command.add_argument
    add("--data", metavar="DIR", help="folder of images; scikit-image: the photographs in it")
    add("--kernels", metavar="FILE", help="file of kernels (.npy, .mat ...)")
    add("--base", metavar="PIPELINE", help="the pipeline in place of the comparison's own base")
    add("--small", action="store_true", help="the comparison's small form, minutes on a laptop")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1, mps ({_DEFAULT})")
    change = "change the comparison (scales=[2]), or its base (weights=FILE, modules.P.nb=1)"
    add("--set", metavar="KEY=VALUE", action="append", default=[], dest="assignments", help=change)


def add_report(report: argparse.ArgumentParser) -> None:
    """The options of `pnp report`."""
    add = report.add_argument
    add("folder", metavar="DIR", help="where pnp compare wrote its rows")
    add(
        "--format",
        choices=["html", "markdown", "latex"],
        default="html",
        help=f"a page, or tables ({_DEFAULT})",
    )
    add("-o", "--out", metavar="FILE", help="default: report.html in DIR, or stdout")


def scale(text: str) -> int:
    """A scale from the command line."""
    if not text.isdigit() or not 1 <= int(text) <= 16:
        raise argparse.ArgumentTypeError(
            f"the scale is '{text}', but it must be a whole number from 1 to 16"
        )
    return int(text)
