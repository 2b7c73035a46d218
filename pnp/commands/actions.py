"""The functions behind the commands of `pnp`; each takes the parsed arguments.

They are thin: they call library functions with plain arguments, and print.  Imports are local, so
that `pnp --help` stays fast.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pnp.errors import PnpError, tell

if TYPE_CHECKING:
    from pnp.language.spec import Spec

LISTS = (
    *("pipelines", "solvers", "priors", "initializers", "estimators", "transforms"),
    *("recipes", "comparisons", "weights"),
)


def load_plugins(args: argparse.Namespace) -> None:
    """Load the files of `--plugin`."""
    if args.plugin:
        from pnp.registry import load_plugin

        for file in args.plugin:
            load_plugin(file)


def _spec(args: argparse.Namespace, name: str) -> Spec:
    from pnp.language.reader import read_spec

    return read_spec(name, assignments=args.assignments, overlays=args.overlays)


def run(args: argparse.Namespace) -> int:
    """Restore images."""
    if args.again is not None:
        from pnp.commands.again import repeat

        return repeat(args)
    from pnp.commands.batch import restore_files

    return restore_files(args)


def degrade(args: argparse.Namespace) -> int:
    """Simulate observations."""
    from pnp.commands.degrade import degrade_files

    return degrade_files(args)


def demo(args: argparse.Namespace) -> int:
    """Degrade and restore a photograph."""
    from pnp.commands import demo as on_a_photograph

    return on_a_photograph.demo(args.out, args.run)


def train(args: argparse.Namespace) -> int:
    """Train networks with a recipe."""
    from pnp.commands.train import train_files

    return train_files(args)


def compare(args: argparse.Namespace) -> int:
    """Compare pipelines."""
    from pnp.commands.compare import compare_files

    return compare_files(args)


def report(args: argparse.Namespace) -> int:
    """Render a comparison as a page or as tables."""
    from pnp.commands.report import report_folder

    return report_folder(args)


def figure(args: argparse.Namespace) -> int:
    """Draw a figure of the paper."""
    from pnp.commands.report import draw_figure

    return draw_figure(args)


def list_(args: argparse.Namespace) -> int:
    """List what there is, or describe a module."""
    if args.what is None or args.what in LISTS:
        from pnp.commands import catalogue

        print(catalogue.listing(args.what))
    else:
        from pnp.commands import explain

        print(explain.explain(args.what))
    return 0


def show_(args: argparse.Namespace) -> int:
    """Print a pipeline and its cost, a recipe, a comparison, a module or the card of weights."""
    from pnp.commands import explain, show
    from pnp.commands.catalogue import needs
    from pnp.commands.documents import also_called, dialect_of, is_path
    from pnp.cost import read_size

    if explain.is_module(args.pipeline):
        print(explain.explain(args.pipeline))
        return 0
    card, runs = show.weights_card(args.pipeline) or ("", True)
    if not runs:
        print(card)
        return 0
    if card:
        print("\n".join(f"# {line}" for line in card.split("\n")))
    else:
        explain.check_name(args.pipeline)
    read_size(args.size)  # so that a wrong one is said before anything is printed
    dialect, name = dialect_of(args.pipeline)
    if dialect.noun == "pipeline":
        spec = _spec(args, name)
        print(show.flattened(dialect, spec.document))
        changed = bool(args.assignments or args.overlays)
        print(show.cost(spec, args.size, args.scale, changed))
        print(f"# {needs(spec)}")
    else:
        document = dialect.read(name, assignments=args.assignments, overlays=args.overlays)
        print(show.flattened(dialect, document))
    others = [] if is_path(name) else also_called(name, dialect.noun)
    if others:
        told = ", ".join(f"pnp show {other}" for other in others)
        tell(f"{name} is the name of something else, too: {told}")
    return 0


def check(args: argparse.Namespace) -> int:
    """Print the problems of documents; the exit status is 1 if there are any."""
    from pnp.commands.check import listed, verdict

    checked: dict[str, str | PnpError] = {}
    changes = tuple(args.assignments), tuple(args.overlays)
    for name in args.pipelines:
        try:
            checked[name] = verdict(name, *changes, random_weights=args.random_weights)
        except PnpError as e:
            if args.debug:
                raise
            checked[name] = e
        if args.format == "text":
            said = checked[name]
            failed = isinstance(said, PnpError)
            (tell if failed else print)(str(said))
    if args.format != "text" and (text := listed(checked, args.format)):
        print(text)
    return int(any(isinstance(said, PnpError) for said in checked.values()))


def schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema of a kind of document."""
    import json

    from pnp.commands.schema import schema

    print(json.dumps(schema(args.kind), indent=1, ensure_ascii=False))
    return 0


def completion(args: argparse.Namespace) -> int:
    """Print a script by which a shell completes commands, options and names."""
    from pnp.commands.completion import script

    print(script(args.parser, args.shell))
    return 0


def diff(args: argparse.Namespace) -> int:
    """Show how two pipelines, recipes or comparisons differ."""
    from pnp.commands import show

    print(show.difference(args.a, args.b))
    return 0


def cite(args: argparse.Namespace) -> int:
    """Print BibTeX."""
    from pnp.commands import show

    print(show.citations(_spec(args, args.pipeline)))
    return 0


def convert(args: argparse.Namespace) -> int:
    """Convert a checkpoint."""
    from pnp.conversion import convert
    from pnp.files import remove_leftovers

    if (args.target is None) == (args.out is None):
        reason = "give the name of the file once, as OUT or by -o OUT"
        raise PnpError(f"pnp convert {args.source}: {reason}")
    target = args.out if args.target is None else args.target
    remove_leftovers(Path(target).parent)
    convert(args.source, target, args.part)
    print(f"{target}: written")
    return 0


def new(args: argparse.Namespace) -> int:
    """Write a package for a module."""
    from pnp.commands.new import new_package, told

    print(told(args.kind, new_package(args.kind, args.name)))
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "degrade": degrade,
    "demo": demo,
    "train": train,
    "compare": compare,
    "report": report,
    "figure": figure,
    "list": list_,
    "show": show_,
    "check": check,
    "diff": diff,
    "cite": cite,
    "convert": convert,
    "schema": schema,
    "completion": completion,
    "new": new,
}
