"""`pnp report` and `pnp figure`: the arguments of the commands, and what they print."""

from __future__ import annotations

import argparse

from pnp.commands.compare import overrides_of
from pnp.comparing.figures import TABLES, figure
from pnp.comparing.report import report


def report_folder(args: argparse.Namespace) -> int:
    """Render a comparison."""
    found = report(args.folder, format=args.format, out=args.out)
    print(found, end="" if isinstance(found, str) else "\n")
    return 0


def draw_figure(args: argparse.Namespace) -> int:
    """Draw a figure of the paper."""
    found = figure(
        args.number,
        out=args.out,
        small=args.small,
        overrides=overrides_of(args, TABLES.get(args.number)),
        assignments=tuple(args.assignments),
        device=args.device,
    )
    print(found)
    return 0
