"""`pnp report`: the arguments of the command, and what it prints."""

from __future__ import annotations

import argparse

from pnp.comparing.report import report


def report_folder(args: argparse.Namespace) -> int:
    """Render a comparison."""
    found = report(args.folder, format=args.format, out=args.out)
    print(found, end="" if isinstance(found, str) else "\n")
    return 0
