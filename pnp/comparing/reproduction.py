"""What stands in a report for those who want to measure it again: the command, and what to cite."""

from __future__ import annotations

import shlex
from pathlib import Path

from pnp.citations import bibtex, keys_of
from pnp.comparing.comparison import Comparison
from pnp.comparing.rows import Results
from pnp.errors import PnpError


def command_of(comparison: Comparison, folder: Path, results: Results) -> str:
    """The command that measures the same rows; one for each precision, if they have several."""
    all_methods = list(comparison.methods)
    first = (folder / "comparison.yaml").read_text(encoding="utf-8").splitlines()[0]
    command = f"pnp compare {folder / 'comparison.yaml'} -o {folder}"
    if first.startswith("# pnp "):
        command = first.removeprefix("# ")
    of: dict[str, list[str]] = {}
    for method in comparison.methods:
        for row in results.of(method)[:1]:
            of.setdefault(row["dtype"] or "fp32", []).append(method)
    command += _limit(comparison, results)
    return "\n".join(
        " ".join(
            [command]
            + ([f"--dtype {dtype}"] if dtype != "fp32" else [])
            + ([f"--only {shlex.join(methods)}"] if methods != all_methods else [])
        )
        for dtype, methods in (of or {"fp32": all_methods}).items()
    )


def _limit(comparison: Comparison, results: Results) -> str:
    """The option that names as many images as were measured, if these are the first ones."""
    try:
        images = list(dict.fromkeys(case.name for case in comparison.cases()))
    except PnpError:  # they are not at hand
        return ""
    found = {row["image"] for row in results.rows.values()}
    first = images[: len(found)]
    return f" --limit {len(first)}" if first != images and found == set(first) else ""


def bibtex_of(comparison: Comparison) -> str:
    """What to cite: of the comparison and of its pipelines."""
    keys = dict.fromkeys(comparison.cite)
    for method in comparison.methods.values():
        if method.external is None and method.call is None:
            for spec in method.specs():
                keys.update(dict.fromkeys(keys_of(spec)))
    return bibtex(keys) if keys else ""
