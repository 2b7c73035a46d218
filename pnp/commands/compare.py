"""`pnp compare`: the arguments of the command, and what it prints."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from pnp.comparing.adhoc import comparison_of_pipelines, is_comparison
from pnp.comparing.comparison import Comparison
from pnp.comparing.processes import over_all
from pnp.comparing.reader import read_comparison
from pnp.comparing.rows import Results
from pnp.comparing.run import Compared, compare
from pnp.errors import PnpError, tell
from pnp.kernel_files import read_kernels
from pnp.options import read_noise


def compare_files(args: argparse.Namespace) -> int:
    """Run `pnp compare`; the exit status is 1 if something could not be measured or kept."""
    comparison = _comparison(args)
    compared = compare(
        comparison,
        out=args.out,
        only=args.only,
        limit=args.limit,
        device=args.device,
        dtype=args.dtype,
        again=args.again,
        keep=args.keep,
        reuse=args.reuse,
    )
    failures = over_all(len(compared.failures))
    if os.environ.get("RANK", "0") == "0":
        compared.results = Results(compared.folder)  # with the rows of the other processes
        _tell(compared, failures)
    wanted = set(args.only or comparison.methods)
    if wanted <= set(compared.without_weights):
        raise PnpError(
            f"nothing was measured: no method has weights ({_missing(comparison, wanted)}); "
            "name files of weights that exist, or make them with pnp train"
        )
    return 1 if failures else 0


def _missing(comparison: Comparison, names: set[str]) -> str:
    """Why methods cannot be measured."""
    found = []
    for name in comparison.methods:
        if name in names:
            try:
                comparison.methods[name].files()
            except PnpError as e:
                found.append(f"{name}: {str(e).partition(';')[0]}")
    return ", ".join(found)


def _tell(compared: Compared, failures: int) -> None:
    comparison, folder = compared.comparison, compared.folder
    if compared.without_weights:
        tell(f"no weights yet: {', '.join(compared.without_weights)}")
    if failures:
        said = f"{failures} result{'s' * (failures > 1)}"
        tell(f"{said} could not be measured or kept")
    print(f"comparison  {folder / 'comparison.yaml'}")
    print(f"rows        {compared.results.path} ({len(compared.results.rows)})")
    results = compared.results.within(comparison)
    for method in comparison.methods:
        values = [float(r["psnr"]) for r in results.of(method) if r["psnr"]]
        if values:
            print(f"{sum(values) / len(values):8.2f} dB  {method} ({len(values)} rows)")
    if compared.results.rows:
        print(f"pnp report {folder} renders tables, differences and pictures as a page")


def _comparison(args: argparse.Namespace) -> Comparison:
    named = len(args.what) == 1 and is_comparison(args.what[0])
    changes = overrides_of(args, args.what[0] if named else None) | _conditions(args)
    if named:
        return read_comparison(args.what[0], args.assignments, small=args.small, overrides=changes)
    if args.small or args.base:
        raise PnpError("compare: --small and --base are for comparisons, such as table-7")
    among = [name for name in args.what if is_comparison(name)]
    if among:
        raise PnpError(f"compare: {among[0]} is a comparison; run it alone, without pipelines")
    return comparison_of_pipelines(args.what, changes, args.out, args.assignments)


def overrides_of(args: argparse.Namespace, name: str | None) -> dict[str, Any]:
    """What the options change, by key of the comparison of this name.

    Kernels of another file keep the groups of the comparison if it has numbered ones.
    """
    found: dict[str, Any] = {}
    if args.data:
        named = args.data == "scikit-image" or args.data.startswith("PNP_")
        found["data.folder"] = args.data if named else str(Path(args.data).resolve())
    if args.kernels:
        count = len(read_kernels(args.kernels))
        found["kernels.file"] = str(Path(args.kernels).resolve())
        own = None if name is None or args.small else read_comparison(name).kernels
        if own is None or own.file is None:
            found["kernels.groups"] = {"kernels": list(range(1, count + 1))}
    if args.base:
        found["base"] = args.base
    return found


def _conditions(args: argparse.Namespace) -> dict[str, Any]:
    """The options of the observations."""
    found: dict[str, Any] = {}
    if args.every is not None:
        found["data.every"] = args.every
    if args.kernel and not args.kernels:
        found["kernels"] = {"file": None, "groups": {"kernels": args.kernel}}
    if args.scale:
        found["scales"] = args.scale
    if args.sigma:
        for level in args.sigma:
            read_noise(level, "--sigma")
        found["sigmas"] = args.sigma
    if args.protocol:
        found["protocol"] = args.protocol
    return found
