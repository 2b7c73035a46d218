"""The folder of a training run: checkpoints (written atomically), the log, the curves.

runs/NAME/checkpoints/00001200/     weights.safetensors, ema.safetensors, state.pt; the newest
                                    two are kept
runs/NAME/checkpoints/pre-decay/    the state before the decay of the learning rate in a final run
runs/NAME/pre-decay.safetensors     the weights of the last state at the full learning rate, in
                                    half precision: enough to continue on another machine
runs/NAME/weights.safetensors       the result, described in weights.yaml
runs/NAME/pipeline.yaml             the pipeline with these weights (run_pipeline.py)
runs/NAME/log.csv, curves.png, samples/
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors.torch
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from pnp import __version__
from pnp.checkpoint_files import read_checkpoint
from pnp.decoders import first_line
from pnp.errors import PnpError
from pnp.files import atomic, check_results, hidden_folder, make_folder
from pnp.headers import metadata_of, with_metadata
from pnp.language.layers import FOLDER_FILE
from pnp.registry import current_role
from pnp.training.recipe import Recipe

KEPT = 2
ENTRY = "weights.yaml"
"""The file that describes the result: its entry for the manifest."""
PRE_DECAY = "pre-decay"
"""Name of the state before the decay of the learning rate."""
STATE = ("step", "decay", "finished", "seconds", "optimiser")
"""What the state of a checkpoint holds at least."""
COLUMNS = (
    "step",
    "seconds",
    "loss",
    "lr",
    "images_per_s",
    "validation",
    "psnr",
    "bicubic",
    "D alone",
    "kernel",
    "sigma",
)


@dataclass
class Checkpoint:
    """A state to continue from; `state` is None if there are only weights."""

    path: Path
    weights: dict[str, Tensor]
    ema: dict[str, Tensor]
    state: dict[str, Any] | None


class Run:
    """The folder of one run."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.checkpoints = self.folder / "checkpoints"
        self.last: Path | None = None
        """The checkpoint written or read last."""

    @property
    def exists(self) -> bool:
        """True if an earlier run left a state to continue from."""
        return bool(self._numbered()) or self._pre_decay.is_file()

    @property
    def _pre_decay(self) -> Path:
        return self.folder / f"{PRE_DECAY}.safetensors"

    def save(
        self,
        weights: Mapping[str, Tensor],
        ema: Mapping[str, Tensor],
        state: Mapping[str, Any],
        name: str = "",
    ) -> Path:
        """Write a checkpoint atomically, then remove the oldest."""
        target = self.checkpoints / (name or f"{state['step']:08d}")
        try:
            with hidden_folder(self.checkpoints) as hidden:
                temporary = hidden / "new"
                temporary.mkdir()
                _write(temporary / "weights.safetensors", weights)
                _write(temporary / "ema.safetensors", ema)
                with (temporary / "state.pt").open("wb") as opened:
                    torch.save(dict(state), opened)
                for file in temporary.iterdir():  # the data must be on the disk before the name is
                    with file.open("rb") as opened:
                        os.fsync(opened.fileno())
                if target.exists():
                    target.rename(hidden / "earlier")
                temporary.rename(target)
        except OSError as e:
            raise PnpError(f"{target}: the checkpoint cannot be written: {e.strerror or e}") from e
        for old in self._numbered()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        if not name:
            self.last = target
        return target

    def save_pre_decay(self, weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write `pre-decay.safetensors`, with these facts in its header."""
        name = f"{facts['name']}, {PRE_DECAY}"
        said = metadata_of(name, {"version": __version__, **facts, "name": name})
        with atomic(self._pre_decay) as temporary:
            _write(temporary, halved(weights), said)

    def resume(self, recipe: Recipe, final: bool) -> Checkpoint | None:
        """The checkpoint to continue from: the newest that is complete, or the one before the decay
        if a final run has ended or the new run is not final.

        None if the run was killed before its first checkpoint and starts again.  PnpError if there
        was no run, or it belongs to another recipe.
        """
        checkpoint = self._newest(recipe, final)
        if checkpoint is not None:
            self.last = checkpoint.path
            return checkpoint
        if self._pre_decay.is_file():
            tensors = {k: v.float() for k, v in read_checkpoint(self._pre_decay).items()}
            return Checkpoint(self._pre_decay, tensors, tensors, None)
        if self.checkpoints.is_dir() or (self.folder / "log.csv").is_file():
            return None
        raise PnpError(
            f"--resume: {self.folder} holds no checkpoint; leave --resume out to begin a run there"
        )

    def _newest(self, recipe: Recipe, final: bool) -> Checkpoint | None:
        damaged = []
        for path in reversed(self._numbered()):
            try:
                checkpoint = _read(path)
            except PnpError as e:
                damaged.append(str(e))
                continue
            state, before = checkpoint.state or {}, self.checkpoints / PRE_DECAY
            self._same(checkpoint, recipe)
            if state["decay"] < 1 and (state["finished"] or not final) and before.is_dir():
                return _read(before)
            return checkpoint
        if damaged and not self._pre_decay.is_file():
            cure = "begin another run with -o"
            raise PnpError("\n".join([*damaged, f"    = no checkpoint can be read; {cure}"]))
        return None

    @staticmethod
    def _same(checkpoint: Checkpoint, recipe: Recipe) -> None:
        """PnpError if the checkpoint was made for other networks, steps, losses or `train`."""
        found = _in_current_roles((checkpoint.state or {}).get("recipe", {}))
        wanted = recipe.identity()
        for key, value in wanted.items():
            if found.get(key) != value:
                first = _difference(found.get(key), value)
                raise PnpError(
                    f"{checkpoint.path}: a checkpoint of another recipe; {key}: {first}; "
                    "resume with the recipe, --with and --set that made it, "
                    "or choose another folder with -o"
                )

    def _numbered(self) -> list[Path]:
        return sorted(p for p in self.checkpoints.glob("*") if p.name.isdigit())

    def check(self, given: Iterable[tuple[str | Path, str]], data: Iterable[Path]) -> None:
        """PnpError if the files of the run would replace given ones, or be among the images."""
        names = (
            "weights.safetensors",
            ENTRY,
            FOLDER_FILE,
            f"{PRE_DECAY}.safetensors",
            "log.csv",
            "curves.png",
        )
        check_results({"the training": [self.folder / name for name in names]}, given)
        for folder in data:
            for own in (self.folder, self.folder / "samples"):
                if own.resolve().is_relative_to(folder.resolve()):
                    raise PnpError(
                        f"--out {self.folder}: {own} is inside the training images, {folder}, so "
                        "pictures of the run would be trained on; choose another folder"
                    )

    def begin(self, step: int) -> None:
        """Make the folders; remove steps that are trained again from the log."""
        for folder in (self.folder, self.checkpoints, self.folder / "samples"):
            make_folder(folder)
        rows = [row for row in self.read_log() if int(row["step"]) <= step]
        with atomic(self.folder / "log.csv") as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other trainings out of the folder."""
        make_folder(self.folder)
        file = self.folder / ".lock"
        try:
            with FileLock(file, timeout=0):
                try:
                    yield
                finally:
                    with suppress(OSError):  # Windows keeps a file that is open
                        file.unlink()
        except Timeout:
            raise PnpError(
                f"{self.folder}: another training is running in this folder; stop it, or choose "
                "another folder by -o DIR"
            ) from None

    def log(self, row: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        path = self.folder / "log.csv"
        try:
            with path.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS).writerow(dict(row))
        except OSError as e:
            raise PnpError(f"{path}: cannot be written: {e.strerror or e}") from e

    def read_log(self) -> list[dict[str, str]]:
        """The lines of the log; one that a crash cut short is left out."""
        path = self.folder / "log.csv"
        if not path.is_file():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as e:
            raise self._damaged_log(first_line(e)) from e
        for number, row in enumerate(rows, 2):
            if not _is_line(row):
                if number == len(rows) + 1:
                    return rows[:-1]
                raise self._damaged_log(f"line {number}")
        return rows

    def _damaged_log(self, reason: str) -> PnpError:
        path = self.folder / "log.csv"
        return PnpError(
            f"{path}: the log is damaged ({reason}); repair it, or remove it and continue"
        )

    def draw_curves(self, title: str) -> None:
        """Draw `curves.png` from the log: the loss, and PSNR or errors of the validation."""
        from matplotlib.figure import Figure  # needs no window system and keeps no global state

        rows = self.read_log()
        figure = Figure(figsize=(10, 4))
        left, right = figure.subplots(
            1, 2, gridspec_kw={"left": 0.07, "right": 0.98, "bottom": 0.12, "wspace": 0.16}
        )
        for axes, names in ((left, ("loss", "validation")), (right, _watched(rows))):
            for name in names:
                points = [(int(r["step"]), float(r[name])) for r in rows if r[name]]
                if points:
                    fixed = name in ("bicubic", "D alone")
                    axes.plot(*zip(*points, strict=True), "--" if fixed else "-", label=name)
            axes.set_xlabel("step")
            if axes.lines:
                axes.legend()
        left.set_yscale("log")
        for axis_labels in (left.yaxis.set_major_formatter, left.yaxis.set_minor_formatter):
            axis_labels(lambda value, _: f"{value:.3g}")
        right.set_ylabel("PSNR (dB)" if "psnr" in _watched(rows) else "error")
        figure.suptitle(title)
        with atomic(self.folder / "curves.png") as temporary:
            figure.savefig(temporary, dpi=120)


def _is_line(row: Mapping[Any, Any]) -> bool:
    """True for a complete line of the log: all columns, numbers or nothing in them."""
    if {*row} != {*COLUMNS} or None in row.values() or not re.fullmatch("[0-9]{1,15}", row["step"]):
        return False
    try:
        return all(float(value or 0) is not None for value in row.values())
    except ValueError:
        return False


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in half precision."""
    return {
        key: value.half() if value.is_floating_point() else value for key, value in weights.items()
    }


def _watched(rows: list[dict[str, str]]) -> tuple[str, ...]:
    return (
        ("psnr", "bicubic", "D alone") if any(row["psnr"] for row in rows) else ("kernel", "sigma")
    )


def _write(
    path: Path, tensors: Mapping[str, Tensor], said: Mapping[str, str] = MappingProxyType({})
) -> None:
    plain = {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}
    path.write_bytes(with_metadata(safetensors.torch.save(plain), {"format": "pt", **said}))


def _read(path: Path) -> Checkpoint:
    try:
        weights = safetensors.torch.load_file(path / "weights.safetensors")
        ema = safetensors.torch.load_file(path / "ema.safetensors")
        state = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
        missing = [key for key in STATE if key not in state]
    except Exception as e:  # a damaged file can make the readers fail in any way
        raise PnpError(f"{path}: the checkpoint is damaged ({first_line(e)})") from e
    if missing:
        raise PnpError(f"{path}: the checkpoint is damaged ({missing[0]} is missing)")
    return Checkpoint(path, weights, ema, state)


def _in_current_roles(identity: dict[str, Any]) -> dict[str, Any]:
    """A recipe's identity with modules that became transforms as such."""
    modules = {
        symbol: {current_role(key, str(value)): value for key, value in module.items()}
        for symbol, module in identity.get("modules", {}).items()
    }
    return {**identity, "modules": modules}


def _difference(found: Any, wanted: Any) -> str:
    """The first entry in which two values differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in dict.fromkeys([*wanted, *found]):
            if found.get(key) != wanted.get(key):
                return f"{key}: {_difference(found.get(key), wanted.get(key))}"
    return f"{found} there, {wanted} here"
