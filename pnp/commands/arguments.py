"""The options of each command of `pnp`, and their texts for `--help`."""

from __future__ import annotations

import argparse

from pnp.commands.parsing import folder, positive, whole

KINDS = ("solver", "prior", "initializer", "estimator", "transform")
DEFAULT = "default: %(default)s"
_KERNEL = (
    "FILE (.npy, .npz, .mat, .png; FILE#3 is the third kernel in it), "
    "gaussian:1.6, gaussian:3,1,45 (degrees, counter-clockwise), disc:4.5, delta"
)
_MINUTES = "stop after M minutes, including start-up"
_STEPS = whole("number of steps", 1)
SCALE, _SEED = whole("scale", 1, 16), whole("seed", 0, 2**32 - 1)
_LEVEL = "noise level, for example 2%%, 5/255 or 0.02"


def add_common(command: argparse.ArgumentParser) -> None:
    """The options of every command."""
    add = command.add_argument
    plugin = "a Python file with modules"
    add("--plugin", metavar="FILE", action="append", default=[], help=plugin)
    add("--debug", action="store_true", help="show the stack trace of an error")


def add_changes(chosen: argparse.ArgumentParser) -> None:
    """The options that change a pipeline."""
    add = chosen.add_argument
    change = "change the pipeline, e.g. repeat=8 or modules.P.weights=FILE"
    add("--set", metavar="KEY=VALUE", action="append", default=[], dest="assignments", help=change)
    over = "apply another pipeline's changes on top, e.g. ikrnet-8 --with ikrnet-known-noise"
    add("--with", metavar="PIPELINE", action="append", default=[], dest="overlays", help=over)


def add_run(run: argparse.ArgumentParser) -> None:
    """The options of `pnp run`."""
    run.usage = "pnp run [PIPELINE] IMAGE [IMAGE ...] [-o DIR] [-s S] [-k KERNEL] [further options]"
    add = run.add_argument
    add(
        "words",
        metavar="IMAGE",
        nargs="*",
        help="a pipeline (a name, see pnp list, a YAML file, weights whose header names one, or "
        "hf:owner/name; without it, a blind one that fits photographs), then the observations y: "
        "PNG, TIFF, JPEG, WebP, .npy ..., or folders",
    )
    add(
        "-o",
        "--out",
        metavar="DIR",
        type=folder,
        help="folder for NAME_xS.png, the kernel and a JSON record (default: restored)",
    )
    add(
        "-s",
        "--scale",
        metavar="S",
        type=SCALE,
        help="factor by which the image is enlarged; 1 for deblurring",
    )
    add("-k", "--kernel", metavar="KERNEL", help=f"blur kernel: {_KERNEL}")
    add("--sigma", metavar="LEVEL", help=f"{_LEVEL}; without it, pipelines estimate it if they can")
    add("--mask", metavar="FILE", help="for inpainting: white (or opaque) where the image is known")
    add(
        "--reference",
        metavar="FILE",
        help="ground truth, for one image: print the PSNR before and after",
    )
    pair = "also write the image before and after as one picture"
    add("--compare", action="store_true", help=pair)
    add(
        "--format",
        choices=["png", "same"],
        default="png",
        help=f"file type of the result: PNG, or that of the input ({DEFAULT})",
    )
    add(
        "--jobs",
        metavar="N",
        type=whole("number of images", 1, 256),
        default=1,
        help=f"images at the same time ({DEFAULT})",
    )
    add("--overwrite", action="store_true", help="restore finished images once more, replace files")
    _add_trace(run)
    _add_computing(run)
    _add_continued(run)


def _add_trace(run: argparse.ArgumentParser) -> None:
    """What `pnp run` records of the iterations."""
    add = run.add_argument
    add("--trace", action="store_true", help="also save and draw the variables of every iteration")
    full = "a trace with all that --from needs, in full precision (a large file)"
    add("--trace-full", action="store_true", help=full)
    add(
        "--trace-also",
        metavar="NAME",
        nargs=1,
        action="extend",
        default=[],
        help="also trace this variable, for example w or z",
    )


def _add_continued(run: argparse.ArgumentParser) -> None:
    """How `pnp run` continues an earlier run, or repeats it."""
    add = run.add_argument
    begin = "begin in the middle, with the variables of this trace (of --trace-full)"
    add("--from", metavar="TRACE", dest="continued", help=begin)
    which = "with --from: the iteration to begin with, counted from 0 through all stages"
    add("--iteration", metavar="N", type=whole("iteration", 0), help=which)
    again = "repeat the run of this JSON record (default of --out: again), and compare the images"
    add("--again", metavar="RECORD", help=again)


def _add_computing(run: argparse.ArgumentParser) -> None:
    """How `pnp run` computes, or computes once more."""
    add = run.add_argument
    beyond = (
        "what lies beyond the border: unknown, as of a photograph, or periodic, as of what pnp "
        "degrade writes"
    )
    add(
        "--boundary",
        choices=["unknown", "periodic"],
        default="unknown",
        help=f"{beyond} ({DEFAULT})",
    )
    add(
        "--random-weights",
        action="store_true",
        help="do not load weights; networks stay random, to test a pipeline",
    )
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1, xpu, mps ({DEFAULT})")
    add(
        "--dtype",
        choices=["auto", "fp32", "bf16"],
        default="auto",
        help=f"precision of the networks; auto: bf16 where it is faster, for those pipelines of "
        f"pnp whose result it changes by less than 0.01 dB, else fp32 ({DEFAULT})",
    )
    add(
        "--compile",
        action="store_true",
        help="compile the image priors: slower at first, then faster",
    )
    where = (
        "where the result lies: corner, its first pixel on that of the image, as in the papers' "
        "equations, or centre, as most programs enlarge"
    )
    add("--align", choices=["corner", "centre"], default="corner", help=f"{where} ({DEFAULT})")
    smaller = (
        "at scale 1, where the kernel is estimated: reduce the photograph by R before it is "
        "restored and enlarged again; auto: as much as a blur wider than 25 x 25 pixels needs"
    )
    add("--reduce", metavar="R", default="auto", help=f"{smaller} ({DEFAULT})")
    memory = (
        "memory that one image may take, e.g. 6GB: networks get it in tiles, which does not change "
        "the result (default: 4GB as far as possible)"
    )
    add("--max-memory", metavar="SIZE", help=memory)
    add("--seed", type=_SEED, default=0, help=f"seed of all random numbers ({DEFAULT})")


def add_degrade(degrade: argparse.ArgumentParser) -> None:
    """The options of `pnp degrade`."""
    add = degrade.add_argument
    add("images", metavar="IMAGE", nargs="+", help="the ground truth x: images, or folders of them")
    add(
        "-o",
        "--out",
        metavar="DIR",
        type=folder,
        required=True,
        help="folder for NAME_xS_lr.png, the kernel and a JSON record",
    )
    add(
        "-k",
        "--kernel",
        metavar="KERNEL",
        default="gaussian:1.6",
        help=f"{_KERNEL}, motion:SEED ({DEFAULT})",
    )
    add("-s", "--scale", metavar="S", type=SCALE, default=4, help=DEFAULT)
    add("--sigma", metavar="LEVEL", default="0", help=f"{_LEVEL} ({DEFAULT})")
    how = f"exact: in floats, also written as .npy; the others: as in the papers' code ({DEFAULT})"
    add("--protocol", metavar="NAME", default="exact", help=how)
    add("--seed", type=_SEED, default=0, help=f"seed of the noise ({DEFAULT})")


def add_train(train: argparse.ArgumentParser) -> None:
    """The options of `pnp train`."""
    add = train.add_argument
    add(
        "recipe",
        metavar="RECIPE",
        help="name or YAML file of a recipe; an unknown name prints the list",
    )
    add("-o", "--out", metavar="DIR", help="folder of the run (default: runs/RECIPE)")
    add("--data", metavar="DIR", nargs="+", default=[], help="folders of images")
    add(
        "--minutes",
        metavar="M",
        type=positive("time"),
        help="stop after M minutes, including start-up",
    )
    add(
        "--steps", metavar="N", type=whole("number of steps", 1), help="stop after N steps in total"
    )
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1 ({DEFAULT})")
    add("--resume", action="store_true", help="continue the run in this folder")
    add("--final", action="store_true", help="let the learning rate decay to zero towards the end")
    add("--start", metavar="FILE", help="initial weights of all networks")
    add("--licence", metavar="TEXT", help="licence of the weights, for their description")
    add(
        "--ship",
        metavar="NAME",
        help="at the end of the training, add its weights to the package",
    )
    change = (
        "change the recipe or its pipeline, e.g. batch=8, optimiser.lr=1e-5, "
        "modules.P.nc=[16,32,64,64]"
    )
    add("--set", metavar="KEY=VALUE", action="append", default=[], dest="assignments", help=change)
    over = "apply another recipe's changes on top"
    add("--with", metavar="RECIPE", action="append", default=[], dest="overlays", help=over)


def add_report(report: argparse.ArgumentParser) -> None:
    """The options of `pnp report`."""
    add = report.add_argument
    add("folder", metavar="DIR", help="where pnp compare wrote its rows")
    add(
        "--format",
        choices=["html", "markdown", "latex"],
        default="html",
        help=f"a page, or tables ({DEFAULT})",
    )
    add("-o", "--out", metavar="FILE", help="default: report.html in DIR, or stdout")


def add_compare(compare: argparse.ArgumentParser) -> None:
    """The options of `pnp compare`."""
    add = compare.add_argument
    what = "a comparison (table-1 ... table-9, or a YAML file), or pipelines"
    add("what", metavar="COMPARISON", nargs="+", help=what)
    _add_measured(compare)
    add("-o", "--out", metavar="DIR", help="folder of the rows (default: comparisons/NAME)")
    add("--every", metavar="N", type=int, help="every n-th image")
    add("--limit", metavar="N", type=int, help="the first N images")
    words = "gaussian:1.6, disc:4.5, motion:1 and others"
    add("--kernel", metavar="KERNEL", action="append", default=[], help=words)
    add("--scale", metavar="S", type=SCALE, action="append", default=[], help="1, 2, 3 or 4 ...")
    add("--sigma", metavar="LEVEL", action="append", default=[], help=_LEVEL)
    add("--protocol", metavar="NAME", help="how observations are simulated: exact, usrnet ...")
    add("--only", metavar="METHOD", nargs="+", default=[], help="measure these methods only")
    again = "delete and measure again rows made with other pipelines, weights or precision"
    add("--again", action="store_true", help=again)
    reuse = "take rows of the same method and observation from these folders of other comparisons"
    add("--reuse", metavar="DIR", nargs="+", default=[], help=reuse)
    keep = f"keep pictures and curves of the first N images ({DEFAULT})"
    add("--keep", metavar="N", type=int, default=2, help=keep)
    add("--dtype", choices=["fp32", "bf16"], default="fp32", help=f"precision ({DEFAULT})")


def add_figure(figure: argparse.ArgumentParser) -> None:
    """The options of `pnp figure`."""
    add = figure.add_argument
    add("number", metavar="N", type=whole("number of the figure", 1, 99), help="7, 8, 11, 12 or 13")
    _add_measured(figure)
    add("-o", "--out", metavar="FILE", help="PNG (default: figures/figure-N.png)")


def _add_measured(command: argparse.ArgumentParser) -> None:
    """The options that `compare` and `figure` have in common."""
    add = command.add_argument
    add("--data", metavar="DIR", help="folder of images; scikit-image: the photographs in it")
    add("--kernels", metavar="FILE", help="file of kernels (.npy, .mat ...)")
    add("--base", metavar="PIPELINE", help="the pipeline in place of the comparison's own base")
    add("--small", action="store_true", help="the comparison's small form, minutes on a laptop")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1, xpu, mps ({DEFAULT})")
    change = "change the comparison (scales=[2]), or its base (weights=FILE, modules.P.nb=1)"
    add("--set", metavar="KEY=VALUE", action="append", default=[], dest="assignments", help=change)


def add_convert(convert: argparse.ArgumentParser) -> None:
    """The arguments of `pnp convert`."""
    convert.usage = "pnp convert IN OUT [--part P], or pnp convert IN [--part P] -o OUT"
    add = convert.add_argument
    add("source", metavar="IN", help=".pth, .pt, .ckpt, .safetensors, or the name of weights")
    add("target", metavar="OUT", nargs="?", help=".safetensors")
    add("-o", "--out", metavar="OUT", help="the same")
    part = "write this part alone, without 'P.' in its names, for other programs"
    add("--part", metavar="P", help=part)


def add_new(new: argparse.ArgumentParser) -> None:
    """The arguments of `pnp new`."""
    new.add_argument("kind", metavar="KIND", choices=KINDS, help=", ".join(KINDS))
    new.add_argument("name", metavar="NAME", help="of the package and its folder: my_prior")
