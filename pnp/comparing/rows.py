"""The rows of a comparison on disk: tidy CSV, one row for each method and observation.

    DIR/rows.csv            written as the results come
    DIR/rows.1.csv ...      by the other processes of torchrun

A row is appended as soon as it is measured, whole or not at all, so that a comparison that was
stopped or killed continues where it was.  Rows in the form of earlier versions (`DIR.csv`, whose
column `run` refers to `DIR.runs.csv`) are read as well.
"""

from __future__ import annotations

import copy
import csv
import io
import os
from pathlib import Path

from pnp.comparing.comparison import METRICS_OF_KERNELS, Case, Comparison
from pnp.comparing.methods import DIGITS
from pnp.errors import PnpError
from pnp.files import atomic, make_folder

KEY = ("method", "scale", "sigma", "kernel", "image")
MEASURED = (
    "psnr",
    "psnr_y",
    "ssim",
    "psnr_registered",
    "kernel_error",
    "kernel_error_registered",
    "psnr_lr",
    "sigma_estimated",
    "verdict",
    "seconds",
    "peak_mb",
)
ADDED = ("crop", "kernels_sha256", "modules")
"""Columns that files of earlier versions lack; there they are empty."""
OPTIONAL = ("protocol_hash", "image_sha256", *ADDED)
"""Columns that are compared only where a row has them."""
_FIRST = (
    "pipeline",
    "set",
    "document",
    "given",
    "weights",
    "sha256",
    "data",
    "kernels",
    "protocol",
    "protocol_hash",
    "dtype",
)
IDENTITY = (*_FIRST, *ADDED)
"""Rows of a method may be in one table only if these values are equal."""
VERSIONS = ("commit", "pnp", "torch", "machine", "device", "threads", "date")
_BEFORE = (*KEY, *MEASURED, "image_sha256", "image_hash", *_FIRST, *VERSIONS)
COLUMNS = (*_BEFORE, *ADDED)
_HEADER, _HEADER_BEFORE = ",".join(COLUMNS), ",".join(_BEFORE)
_OTHER = (
    "its columns are not those of this version of pnp; rename or delete the file to measure again"
)

Row = dict[str, str]


class Results:
    """The measured rows of a comparison, in a folder.

    Args:
        folder: Where they are; it need not exist.
        rank: The number of this process; each writes a file of its own.
    """

    def __init__(self, folder: str | Path, rank: int = 0):
        self.folder = _with_name(folder)
        self.path = self.folder / (f"rows.{rank}.csv" if rank else "rows.csv")
        self.rows = {key_of(row): row for row in read_rows(self.folder, self.path)}

    @property
    def methods(self) -> list[str]:
        """The methods that have rows, in the order of their first rows."""
        return list(dict.fromkeys(row["method"] for row in self.rows.values()))

    def of(self, method: str) -> list[Row]:
        """The rows of a method."""
        return [row for row in self.rows.values() if row["method"] == method]

    def within(self, comparison: Comparison) -> Results:
        """For reading: the rows of the methods, scales, noise levels and kernels of a comparison;
        a folder also keeps those that its description has no more.
        """
        conditions = {
            (str(s), f"{sigma:g}", k)
            for s in comparison.scales
            for sigma in comparison.sigmas
            for group in comparison.groups.values()
            for k in group
        }
        found = copy.copy(self)
        found.rows = {
            key: row
            for key, row in self.rows.items()
            if key[0] in comparison.methods and key[1:4] in conditions
        }
        return found

    def has(self, method: str, case: Case) -> bool:
        """True if the method was measured on this observation."""
        return key_of(written(method, case)) in self.rows

    def add(
        self,
        method: str,
        case: Case,
        values: dict[str, float | None],
        facts: dict[str, str],
    ) -> None:
        """Append a row: what was measured, and what identifies it."""
        row = dict.fromkeys(COLUMNS, "") | written(method, case) | facts
        for name, value in values.items():
            row[name] = "" if value is None else format(value, _FORMS.get(name, ".4f"))
        self._append(row)

    def copy(self, row: Row, facts: dict[str, str]) -> None:
        """Append a row of another comparison as a row of the method of these facts."""
        self._append(row | {name: facts[name] for name in ("method", *_FIRST)})

    def _append(self, row: Row) -> None:
        self.rows[key_of(row)] = row
        _append(self.path, row)

    def drop(self, method: str) -> None:
        """Delete the rows of a method from all files."""
        self.rows = {key: row for key, row in self.rows.items() if row["method"] != method}
        for path in self.folder.glob("rows*.csv"):
            _write(path, [row for row in _read(path) if row["method"] != method])
        if earlier := _earlier(self.folder):  # their kept rows move to this file
            _write(self.path, list(self.rows.values()))
            for path in earlier:
                path.unlink()


_FORMS = dict.fromkeys(METRICS_OF_KERNELS, ".6g") | {
    "seconds": ".3f",
    "peak_mb": ".1f",
    "sigma_estimated": ".6g",
}
"""An error of a kernel is of order 1e-5."""


def written(method: str, case: Case) -> Row:
    """The key of a row as text."""
    values = (method, str(case.scale), f"{case.sigma:g}", str(case.kernel), case.name)
    return dict(zip(KEY, values, strict=True))


def key_of(row: Row) -> tuple[str, ...]:
    """What a row is of."""
    return tuple(row[name] for name in KEY)


def read_rows(folder: Path, own: Path | None = None) -> list[Row]:
    """All rows in a folder, those of earlier versions first.

    An incomplete last line is left out, and removed from the file `own`.
    """
    folder = _with_name(folder)
    rows = _read_earlier(folder)
    for path in sorted(folder.glob("rows*.csv")):
        rows += _read(path, own=path == own)
    return rows


def _read(path: Path, own: bool = False) -> list[Row]:
    """The complete rows of a file; an incomplete last line is removed from one's own file."""
    rows = _table(path, repair=own)
    if rows and tuple(rows[0]) not in (COLUMNS, _BEFORE):
        raise PnpError(f"{path}: {_OTHER}")
    return [dict.fromkeys(COLUMNS, "") | row for row in rows]


def _table(path: Path, repair: bool = False) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise PnpError(f"{path}: not a CSV file; rename or delete it to measure again") from None
    if repair and not (text.startswith(_HEADER_BEFORE) or _HEADER.startswith(text)):
        raise PnpError(f"{path}: {_OTHER}")
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        if repair:
            with atomic(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def _with_name(folder: str | Path) -> Path:
    """The folder, by its own name: files of earlier versions are called as it is."""
    return Path(folder).resolve() if Path(folder).name in ("", "..") else Path(folder)


def _earlier(folder: Path) -> tuple[Path, Path] | None:
    """The two files of an earlier version; None for anything else of these names."""
    found = folder.with_name(f"{folder.name}.runs.csv"), folder.with_name(f"{folder.name}.csv")
    if not all(path.is_file() for path in found):
        return None
    heads = [path.read_bytes()[:100] for path in found]
    is_ours = heads[0].startswith(_EARLIER_RUNS) and heads[1].startswith(_EARLIER_ROWS)
    return found if is_ours else None


_EARLIER_RUNS = b"run,method,pipeline,"
_EARLIER_ROWS = b"run,method,scale,sigma,kernel,image,"


def _read_earlier(folder: Path) -> list[Row]:
    """Rows of earlier versions in the present form; columns that they lack are empty."""
    earlier = _earlier(folder)
    if earlier is None:
        return []
    runs_path, path = earlier
    runs = {run["run"]: run for run in _table(runs_path)}
    rows = []
    for old in _table(path):
        both = {**runs.get(old["run"], {}), **old}
        both["sha256"] = " ".join(d[:DIGITS] for d in both.get("sha256", "").split())
        rows.append({name: both.get(name, "") for name in COLUMNS})
    return rows


def _append(path: Path, row: Row) -> None:
    """Append a whole line; what a full disk took half of is removed again.

    A file that lacks the columns `ADDED` gets them first.
    """
    make_folder(path.parent)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if path.is_file() and _lacks_columns(path):
        _write(path, _read(path))
    before = path.stat().st_size if path.is_file() else 0
    if before == 0:
        writer.writeheader()
    writer.writerow(row)
    try:
        with path.open("ab") as file:
            file.write(text.getvalue().encode())
    except OSError as e:
        if path.is_file():
            os.truncate(path, before)
        raise PnpError(
            f"{path}: the row cannot be written: {e.strerror or e}; the rows before it are kept"
        ) from e


def _lacks_columns(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline().strip() == _HEADER_BEFORE.encode()


def _write(path: Path, rows: list[Row]) -> None:
    make_folder(path.parent)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
