"""The command `pnp`: its parsers, and the place where errors become a message and an exit status.

This file imports no large package, so that `pnp --help` is fast.  Each command has its own imports.

Exit status: 0 success; 1 failure (the reason is on stderr); 2 the command line is wrong; 130
interrupted; 141 the program that reads the output stopped before the work was complete.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TextIO

from pnp import __version__
from pnp.commands import comparing
from pnp.commands.actions import ACTIONS, LISTS, load_plugins
from pnp.errors import Notice, OldSpelling, PnpError, fitted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help()
        return 0
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr: names need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _warnings_on_stderr():
            load_plugins(args)
            return ACTIONS[args.command](args)
    except PnpError as e:
        return _fail(e, args.debug)
    except KeyboardInterrupt:
        print("\ninterrupted; files already written are complete", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        unfinished = args.command in ("run", "degrade", "train", "demo", "compare", "figure")
        return 141 if unfinished else 0
    except Exception as e:
        if args.debug:
            raise
        message = f"{type(e).__name__}: {e}".strip().splitlines()[0]
        print(
            f"pnp: unexpected error: {message}\n"
            "    = this is a bug in pnp; --debug shows where it is, please report it",
            file=sys.stderr,
        )
        return 1


@contextmanager
def _warnings_on_stderr() -> Iterator[None]:
    """Print each warning of pnp once, in the form of errors; others as usual."""
    shown: set[str] = set()
    words = {OldSpelling: "warning", Notice: "note"}
    with warnings.catch_warnings():
        for ours in words:
            warnings.simplefilter("always", ours)
        show = warnings.showwarning

        def show_ours(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if category not in words:
                show(message, category, filename, lineno, file, line)
            elif str(message) not in shown:
                shown.add(str(message))
                print(fitted(f"{words[category]}: {message}"), file=sys.stderr)

        warnings.showwarning = show_ours
        yield


def _fail(error: PnpError, debug: bool) -> int:
    if debug:
        raise error
    print(fitted(str(error)), file=sys.stderr)
    return 1


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pnp",
        description="Inverse problems in imaging, solved by pipelines of interchangeable modules "
        "that are written in YAML.",
        epilog="pnp COMMAND --help describes a command; pnp list shows the pipelines.",
    )
    parser.add_argument("--version", action="version", version=f"pnp {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--plugin", metavar="FILE", action="append", default=[], help="a Python file with modules"
    )
    common.add_argument("--debug", action="store_true", help="show the stack trace of an error")
    chosen = argparse.ArgumentParser(add_help=False)
    change = "change the pipeline, e.g. repeat=8 or modules.P.weights=FILE"
    chosen.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="assignments", help=change
    )
    over = "apply another pipeline's changes on top, e.g. ikrnet-8 --with ikrnet-known-noise"
    chosen.add_argument(
        "--with", metavar="PIPELINE", action="append", default=[], dest="overlays", help=over
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, about: str, *more: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sentence = about[0].upper() + about[1:] + "."
        return commands.add_parser(name, help=about, description=sentence, parents=[common, *more])

    _add_run(command("run", "restore images with a pipeline", chosen))
    _add_degrade(command("degrade", "simulate an observation y = (x * k)|s + n of an image"))
    demo = command("demo", "degrade a photograph, restore it, and print the PSNR before and after")
    demo.add_argument("-o", "--out", metavar="DIR", default="out/demo", help=_DEFAULT)
    demo.set_defaults(run=main)
    _add_train(command("train", "train networks with a recipe"))
    comparing.add_compare(
        command("compare", "compare pipelines on images: a CSV row for every result")
    )
    comparing.add_figure(
        command("figure", "draw figure 7, 8, 11, 12 or 13 of the paper with our results")
    )
    comparing.add_report(command("report", "render a comparison as a page or as tables"))
    show_list = command("list", "list pipelines and modules, or describe a module")
    what = f"list only these ({', '.join(LISTS)}), or describe the module of this name, such as tv"
    show_list.add_argument("what", metavar="WHAT", nargs="?", help=what)
    show = command("show", "print a pipeline, merged with what it extends, and its cost", chosen)
    show.add_argument("pipeline", metavar="PIPELINE")
    size = f"size of the result for which the cost is computed ({_DEFAULT})"
    show.add_argument("--size", metavar="HxW", default="1024x1024", help=size)
    check = command("check", "check pipelines and print all their problems", chosen)
    check.add_argument("pipelines", metavar="PIPELINE", nargs="+", help="YAML files or names")
    diff = command("diff", "show how two pipelines differ, after merging what they extend")
    diff.add_argument("a", metavar="A")
    diff.add_argument("b", metavar="B")
    cite = command("cite", "print BibTeX for a pipeline and its modules", chosen)
    cite.add_argument("pipeline", metavar="PIPELINE")
    convert = command("convert", "convert a public checkpoint to safetensors")
    convert.add_argument("source", metavar="IN", help=".pth, .pt, .ckpt or .safetensors")
    convert.add_argument("target", metavar="OUT", help=".safetensors")
    return parser


_DEFAULT = "default: %(default)s"
_KERNEL = (
    "FILE (.npy, .npz, .mat, .png; FILE#3 is the third kernel in it), "
    "gaussian:1.6, gaussian:3,1,45 (degrees, counter-clockwise), delta"
)
_LEVEL = "noise level, for example 2%%, 5/255 or 0.02"


def _add_run(run: argparse.ArgumentParser) -> None:
    run.usage = "pnp run [PIPELINE] IMAGE [IMAGE ...] [-o DIR] [-s S] [-k KERNEL] [further options]"
    add = run.add_argument
    add(
        "words",
        metavar="IMAGE",
        nargs="+",
        help="a pipeline (a name, see pnp list, or a YAML file; without it, a blind one that fits "
        "photographs), then the observations y: PNG, TIFF, JPEG, WebP, .npy ..., or folders",
    )
    add(
        "-o",
        "--out",
        metavar="DIR",
        default="restored",
        help=f"folder for NAME_xS.png, the kernel and a JSON record ({_DEFAULT})",
    )
    add(
        "-s",
        "--scale",
        metavar="S",
        type=comparing.scale,
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
        help=f"file type of the result: PNG, or that of the input ({_DEFAULT})",
    )
    add("--jobs", metavar="N", type=_jobs, default=1, help=f"images at the same time ({_DEFAULT})")
    add("--overwrite", action="store_true", help="restore finished images once more")
    add("--trace", action="store_true", help="also save and draw the variables of every iteration")
    add(
        "--trace-also",
        metavar="NAME",
        nargs=1,
        action="extend",
        default=[],
        help="also trace this variable, for example w or z",
    )
    add(
        "--random-weights",
        action="store_true",
        help="do not load weights; networks stay random, to test a pipeline",
    )
    _add_computing(run)


def _add_computing(run: argparse.ArgumentParser) -> None:
    """Where and how networks compute."""
    add = run.add_argument
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1, mps ({_DEFAULT})")
    add(
        "--dtype",
        choices=["fp32", "bf16"],
        default="fp32",
        help=f"precision of the networks ({_DEFAULT})",
    )
    add(
        "--compile",
        action="store_true",
        help="compile the image priors: slower at first, then faster",
    )
    add("--seed", type=int, default=0, help=f"seed of all random numbers ({_DEFAULT})")


def _add_degrade(degrade: argparse.ArgumentParser) -> None:
    add = degrade.add_argument
    add("images", metavar="IMAGE", nargs="+", help="the ground truth x")
    add(
        "-o",
        "--out",
        metavar="DIR",
        required=True,
        help="folder for NAME_xS_lr.png, the kernel and a JSON record",
    )
    add(
        "-k",
        "--kernel",
        metavar="KERNEL",
        default="gaussian:1.6",
        help=f"{_KERNEL}, motion:SEED ({_DEFAULT})",
    )
    add("-s", "--scale", metavar="S", type=comparing.scale, default=4, help=_DEFAULT)
    add("--sigma", metavar="LEVEL", default="0", help=f"{_LEVEL} ({_DEFAULT})")
    how = f"exact: in floats, also written as .npy; the others: as in the papers' code ({_DEFAULT})"
    add("--protocol", metavar="NAME", default="exact", help=how)
    add("--seed", type=int, default=0, help=f"seed of the noise ({_DEFAULT})")


def _add_train(train: argparse.ArgumentParser) -> None:
    add = train.add_argument
    add(
        "recipe",
        metavar="RECIPE",
        help="name or YAML file of a recipe; an unknown name prints the list",
    )
    add("-o", "--out", metavar="DIR", help="folder of the run (default: runs/RECIPE)")
    add("--data", metavar="DIR", nargs="+", default=[], help="folders of images")
    add("--minutes", metavar="M", type=float, help="stop after M minutes, including start-up")
    add("--steps", metavar="N", type=int, help="stop after N steps in total")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1, mps ({_DEFAULT})")
    add("--resume", action="store_true", help="continue the run in this folder")
    add("--final", action="store_true", help="let the learning rate decay to zero towards the end")
    add("--start", metavar="FILE", help="initial weights of all networks")
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


def _jobs(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(
            f"the number of images is '{text}', but it must be a whole number from 1 to 256"
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
