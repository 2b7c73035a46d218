"""The command `pnp`: its parsers, and the place where errors become a message and an exit status.

This file imports no large package, so that `pnp --help` is fast.  Each command has its own imports.

Exit status: 0 success; 1 failure (the reason is on stderr); 2 the command line is wrong; 130
interrupted; 141 the program that reads the output stopped before the work was complete.
"""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TextIO

from pnp import __version__
from pnp.commands.actions import ACTIONS, LISTS, load_plugins
from pnp.commands.arguments import (
    DEFAULT,
    SCALE,
    add_changes,
    add_common,
    add_compare,
    add_convert,
    add_degrade,
    add_figure,
    add_new,
    add_report,
    add_run,
    add_train,
)
from pnp.commands.parsing import Parser
from pnp.errors import Notice, OldSpelling, PnpError, tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    _open_streams()
    parser = _parser()
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.refuse(unknown, args.command)
    args.command_line = list(sys.argv[1:] if arguments is None else arguments)
    if args.command == "run" and not args.words and args.again is None:
        parser.error("pnp run: the following arguments are required: IMAGE")
    if args.command is None:
        parser.print_help()
        return 0
    parser.refuse_empty(args)
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr: names need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _warnings_on_stderr(), _log_on_stderr():
            load_plugins(args)
            return ACTIONS[args.command](args)
    except PnpError as e:
        return _fail(e, args.debug)
    except KeyboardInterrupt:
        if arguments is None:  # the program ends; a second Ctrl-C would only add a stack trace
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        goes_on = ", and the same command goes on" if args.command in ("run", "compare") else ""
        tell(f"\ninterrupted; files already written are complete{goes_on}")
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) has stopped
        _drop_output()
        unfinished = args.command in ("run", "degrade", "train", "demo", "compare", "figure")
        return 141 if unfinished else 0
    except (Exception, SystemExit) as e:
        if args.debug:
            raise
        if isinstance(e, OSError) and e.errno == errno.ENOSPC:
            _drop_output()
        return _fail(PnpError(_unexpected(e)), False)


def _open_streams() -> None:
    """Where a stream is closed (`2>&-`, some daemons), what is printed on it is lost."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


def _drop_output() -> None:
    """What is still to be printed is lost, since nobody can take it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: BaseException) -> str:
    """What is said of an error that no part of pnp has a message for."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{error.filename or 'output'}: cannot be written: {error.strerror}; make room"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; look at the name, the disk and permissions"
    if isinstance(error, SystemExit):
        return f"a plugin ended the program (sys.exit({error.code!r})); repair the plugin"
    message = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    about = "this is a bug in pnp; --debug shows where it is, please report it"
    return f"pnp: unexpected error: {message}\n    = {about}"


class _OnStderr(logging.Handler):
    """Writes messages of the library to what stderr is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(record.getMessage())


@contextmanager
def _log_on_stderr() -> Iterator[None]:
    """Show what the library logs, from INFO on."""
    logger, handler = logging.getLogger("pnp"), _OnStderr()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


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
                tell(f"{words[category]}: {message}")

        warnings.showwarning = show_ours
        yield


def _fail(error: PnpError, debug: bool) -> int:
    if debug:
        raise error
    tell(str(error))
    return 1


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> Parser:
    parser = Parser(
        prog="pnp",
        description="Inverse problems in imaging, solved by pipelines of interchangeable modules "
        "that are written in YAML.",
        epilog="pnp COMMAND --help describes a command; pnp list shows the pipelines.",
    )
    parser.add_argument("--version", action="version", version=f"pnp {__version__}")
    common = Parser(add_help=False)
    add_common(common)
    chosen = Parser(add_help=False)
    add_changes(chosen)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, about: str, *more: Parser) -> argparse.ArgumentParser:
        sentence = about[0].upper() + about[1:] + "."
        return commands.add_parser(name, help=about, description=sentence, parents=[common, *more])

    add_run(command("run", "restore images with a pipeline", chosen))
    add_degrade(command("degrade", "simulate an observation y = (x * k)|s + n of an image"))
    demo = command("demo", "degrade a photograph, restore it, and print the PSNR before and after")
    demo.add_argument("-o", "--out", metavar="DIR", default="out/demo", help=DEFAULT)
    demo.set_defaults(run=main)
    add_train(command("train", "train networks with a recipe"))
    add_compare(command("compare", "compare pipelines on images: a CSV row for every result"))
    add_figure(command("figure", "draw figure 7, 8, 11, 12 or 13 of the paper with our results"))
    add_report(command("report", "render a comparison as a page or as tables"))
    show_list = command("list", "list what there is, or describe a module")
    what = f"list only these ({', '.join(LISTS)}), or describe the module of this name, such as tv"
    show_list.add_argument("what", metavar="WHAT", nargs="?", help=what)
    show = command("show", "print a pipeline with its cost, a recipe, a module ...", chosen)
    told = "a name (recipe:NAME, weights:NAME if two share it), a file"
    show.add_argument("pipeline", metavar="NAME", help=told)
    size = f"size of the result for which the cost is computed ({DEFAULT})"
    show.add_argument("--size", metavar="HxW", default="1024x1024", help=size)
    factor = "scale for which the cost is computed (default: that of the pipeline, or 4)"
    show.add_argument("-s", "--scale", metavar="S", type=SCALE, help=factor)
    check = command("check", "check that pipelines, recipes or comparisons can run", chosen)
    check.add_argument("pipelines", metavar="NAME", nargs="+", help="YAML files or names")
    check.add_argument("--random-weights", action="store_true", help="networks need no weights")
    formats = ("text", "json", "github")
    told = f"text, JSON, or annotations of GitHub's workflows ({DEFAULT})"
    check.add_argument("--format", choices=formats, default="text", help=told)
    diff = command("diff", "show how two pipelines, recipes or comparisons differ")
    diff.add_argument("a", metavar="A")
    diff.add_argument("b", metavar="B")
    cite = command("cite", "print BibTeX for a pipeline and its modules", chosen)
    cite.add_argument("pipeline", metavar="PIPELINE")
    add_convert(command("convert", "convert a checkpoint, or a part of it, to safetensors"))
    schema = command("schema", "print a JSON Schema, by which editors know the YAML files")
    kinds = ("pipeline", "recipe", "comparison")
    schema.add_argument("kind", choices=kinds, help="the kind of file")
    completion = command("completion", "print a script for completion in a shell")
    completion.add_argument("shell", choices=("bash", "zsh"), help="the shell")
    completion.set_defaults(parser=parser)
    add_new(command("new", "write a package with a module of your own, its test and a pipeline"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
