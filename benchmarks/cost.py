"""What each pipeline costs, for its page of the documentation.

    python benchmarks/cost.py [NAME ...]     measure; write results/cost.csv

Parameters and multiply-adds of each module, and the memory of a result of 1024 x 1024, are those
that `pnp show NAME` prints (`pnp.cost`), at the pipeline's own scale.  Without names, all pipelines
are measured, in a quarter of an hour on one core.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from pnp.building import build
from pnp.cost import cost_of
from pnp.errors import PnpError
from pnp.files import atomic
from pnp.language.reader import PIPELINES, read_spec

TABLE = Path(__file__).parent / "results" / "cost.csv"
FIELDS = ("pipeline", "scale", "iterations", "module", "parameters", "per_pixel", "memory_mb")
SIDE = 1024


def measured(name: str) -> list[dict[str, str]]:
    """A row for each module of a pipeline; `per_pixel` counts multiply-adds per HR pixel in all
    iterations, `memory_mb` the tensors of the whole pipeline, without Python and PyTorch."""
    cost = cost_of(build(read_spec(name), random_weights=True), SIDE, SIDE)
    memory = f"{(cost.peak() - cost.base) / 1e6:.0f}"
    return [
        {
            "pipeline": name,
            "scale": str(cost.s),
            "iterations": str(cost.iterations),
            "module": symbol,
            "parameters": str(count),
            "per_pixel": f"{cost.multiply_adds[symbol]:.4g}",
            "memory_mb": memory,
        }
        for symbol, count in cost.parameters.items()
    ]


def read() -> dict[str, list[dict[str, str]]]:
    """The rows of the table by pipeline."""
    found: dict[str, list[dict[str, str]]] = {}
    if TABLE.is_file():
        with TABLE.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["pipeline"], []).append(row)
    return found


def write(rows: dict[str, list[dict[str, str]]]) -> None:
    with atomic(TABLE) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, FIELDS, lineterminator="\n")
        table.writeheader()
        for name in sorted(rows):
            table.writerows(rows[name])


def main(names: list[str]) -> None:
    rows = read()
    for name in names or PIPELINES.names():
        try:
            rows[name] = measured(name)
        except PnpError as e:
            print(f"{name}: not measured; {e}", file=sys.stderr)
            continue
        print(name, flush=True)
        write(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
