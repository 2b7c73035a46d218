"""The rows of a comparison on disk (CSV), one for each method and observation.

    results/NAME.csv        run, method, scale, sigma, kernel, image, the metrics, seconds
    results/NAME.runs.csv   for each run: pipeline, weights, protocol, precision, machine ...

A row names its run.  Each row is appended as soon as it is measured, so that an interrupted
comparison continues where it stopped.
"""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

from comparison import IDENTITY, METRICS_OF_KERNELS, Case, Comparison

from pnp.errors import PnpError
from pnp.files import atomic, make_folder

KEY = ("method", "scale", "sigma", "kernel", "image")
RUN = ("run", *IDENTITY, "commit", "date", "machine", "device", "threads", "torch")


class Results:
    """The measured rows of a comparison and their runs, in two CSV files."""

    def __init__(self, comparison: Comparison, folder: Path | None = None):
        folder = make_folder(folder or comparison.path.parent / "results")
        self.path = folder / f"{comparison.name}.csv"
        self.runs_path = folder / f"{comparison.name}.runs.csv"
        self.columns = ("run", *KEY, *comparison.metrics, "seconds")
        self.runs = {row["run"]: row for row in _read(self.runs_path, RUN)}
        self.rows = {_key(row): row for row in _read(self.path, self.columns)}

    def runs_of(self, method: str) -> list[dict[str, str]]:
        """The runs that measured the rows of a method, oldest first."""
        used = {row["run"] for row in self.rows.values() if row["method"] == method}
        return [run for name, run in self.runs.items() if name in used]

    def has(self, method: str, case: Case) -> bool:
        """True if the method was measured on this observation."""
        return _key(self._written(method, case)) in self.rows

    def add(
        self, run: dict[str, str], case: Case, values: dict[str, float | None], seconds: float
    ) -> None:
        """Append a row, and its run if the run is new."""
        digest = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:8]
        if digest not in self.runs:
            self.runs[digest] = {"run": digest, **run}
            _append(self.runs_path, RUN, self.runs[digest])
        row = {"run": digest, **self._written(run["method"], case)}
        for name, value in values.items():  # an error of a kernel is of order 1e-5
            form = ".6g" if name in METRICS_OF_KERNELS else ".4f"
            row[name] = "" if value is None else format(value, form)
        row["seconds"] = f"{seconds:.3f}"
        self.rows[_key(row)] = row
        _append(self.path, self.columns, row)

    def drop(self, method: str) -> None:
        """Delete the rows of a method, and the runs that no row refers to any more."""
        self.rows = {key: row for key, row in self.rows.items() if row["method"] != method}
        used = {row["run"] for row in self.rows.values()}
        self.runs = {name: run for name, run in self.runs.items() if name in used}
        _write(self.path, self.columns, list(self.rows.values()))
        _write(self.runs_path, RUN, list(self.runs.values()))

    @staticmethod
    def _written(method: str, case: Case) -> dict[str, str]:
        values = (method, str(case.scale), f"{case.sigma:g}", str(case.kernel), case.image.stem)
        return dict(zip(KEY, values, strict=True))


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def _read(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The complete rows of a CSV file; an incomplete last line is removed from the file."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or columns) != columns:
        raise PnpError(
            f"{path}: its columns are {', '.join(reader.fieldnames or ())}, "
            f"but should be {', '.join(columns)}; rename or delete the file to measure again"
        )
    return list(reader)


def _append(path: Path, columns: tuple[str, ...], row: dict[str, str]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def _write(path: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
