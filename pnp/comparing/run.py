"""`pnp.compare`: measures what is missing of a comparison, row by row."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from pnp.comparing.comparison import Case, Comparison
from pnp.comparing.identity import identity_of, stale_column, versions
from pnp.comparing.measuring import Outcome, metrics_of
from pnp.comparing.methods import Method
from pnp.comparing.observing import Observer, image_digests
from pnp.comparing.pictures import Pictures, delete_pictures
from pnp.comparing.reader import portable, read_comparison
from pnp.comparing.reused import Reused
from pnp.comparing.rows import IDENTITY, Results
from pnp.comparing.runners import runner_of
from pnp.errors import Findings, PnpError, hint, tell
from pnp.files import atomic, make_folder
from pnp.inference import choose_device
from pnp.language.emit import emit
from pnp.registry import loaded_plugins


@dataclass
class Compared:
    """What a comparison came to."""

    comparison: Comparison
    folder: Path
    results: Results
    without_weights: list[str] = field(default_factory=list)
    """Methods that have no weights yet, and were left out."""
    failures: list[str] = field(default_factory=list)
    """What could not be measured, or not be kept as a picture, one message each."""


def compare(
    comparison: str | Path | Comparison,
    *,
    out: str | Path | None = None,
    only: Iterable[str] = (),
    limit: int | None = None,
    device: str = "auto",
    dtype: str = "fp32",
    again: bool = False,
    keep: int = 2,
    reuse: Iterable[str | Path] = (),
    say: Callable[[str], None] | None = None,
    **changes: Any,
) -> Compared:
    """Measure the missing rows of a comparison, also of one that was stopped, even by `kill -9`;
    processes of torchrun share the work.

    Args:
        comparison: A `Comparison`, the name of one that comes with pnp, or a YAML file.
        out: The folder of the results; by default `comparisons/NAME`.
        only: Measure these methods only.
        limit: The first images only.
        device: "auto", "cpu", "cuda", "cuda:1", "xpu", "mps".
        dtype: "fp32" or "bf16", the precision of the networks.
        again: Delete and measure again the rows of methods that have changed since.
        keep: Results of the first images that are kept as pictures, with curves over iterations.
        reuse: Folders of other comparisons, whose rows are taken where they are of the same method
            and observation; without pictures and curves.
        say: Takes messages; by default they go to stderr.
        changes: As of `read_comparison`: assignments, small, overrides.

    Raises:
        PnpError: The comparison cannot be read, or existing rows are of other pipelines or weights.
    """
    _check_counts(keep=keep, limit=limit)
    comparison = _read(comparison, changes)
    say = say or tell
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    folder = Path(out) if out is not None else Path("comparisons") / comparison.name
    place = choose_device(_device_of_process(device))
    methods = [_method(comparison, name) for name in only or comparison.methods]
    Findings([problem for m in methods for problem in m.problems()]).raise_all()
    ready = [m for m in methods if m.has_weights()]
    facts = {m.name: _facts(comparison, m, dtype, place) for m in ready}
    observe, reused, cases = Observer(comparison), Reused(reuse), list(comparison.cases(limit))
    results = Results(make_folder(folder), rank)
    images = image_digests(c for c in cases if any(results.has(m.name, c) for m in ready))
    for method in ready:
        _check_rows(results, facts[method.name], images, cases, again, say)
    share = [c for i, c in enumerate(cases) if i % world == rank]
    todo = [(c, left) for c in share if (left := [m for m in ready if not results.has(m.name, c)])]
    runners = {m.name: runner_of(m, dtype, place) for m in ready if todo}
    if rank == 0:
        _write_description(comparison, folder)
    compared = Compared(comparison, folder, results, [m.name for m in methods if m not in ready])
    if todo:
        pictures = Pictures(folder, comparison, keep)
        _measure(compared, todo, observe, runners, facts, pictures, reused, say, quiet=rank > 0)
    return compared


def _read(comparison: str | Path | Comparison, changes: dict[str, Any]) -> Comparison:
    if not isinstance(comparison, Comparison):
        return read_comparison(comparison, **changes)
    if changes:
        raise PnpError(f"compare: {', '.join(changes)} cannot change a Comparison that was read")
    return comparison


def _check_counts(**counts: int | None) -> None:
    for name, number in counts.items():
        if number is not None and number < 0:
            raise PnpError(f"{name} is {number}, but should be a whole number of at least 0")


def _measure(
    compared: Compared,
    todo: Sequence[tuple[Case, list[Method]]],
    observe: Observer,
    runners: dict[str, Callable[..., Outcome]],
    facts: dict[str, dict[str, str]],
    pictures: Pictures,
    reused: Reused,
    say: Callable[[str], None],
    quiet: bool,
) -> None:
    """Measure; what fails is said, and the rest goes on."""
    comparison = compared.comparison
    border = observe.protocol.border

    def fail(what: str) -> None:
        what = what.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        compared.failures.append(what)
        say(what)

    total = sum(len(left) for _, left in todo)
    pace = 0.1 if sys.stderr.isatty() else 60.0
    with tqdm(
        total=total, unit="row", desc=comparison.name, mininterval=pace, disable=quiet
    ) as bar:
        unreadable: set[Path] = set()
        for case, left in todo:
            seen = None
            try:
                seen = observe(case) if case.image not in unreadable else None
            except PnpError as e:
                unreadable.add(case.image)
                fail(f"{e}" if str(case.image) in str(e) else f"{case.image}: {e}")
            for method in left if seen is not None else ():
                assert seen is not None
                image = seen.fingerprint
                if row := reused.find(case, facts[method.name], image.pixels):
                    compared.results.copy(row, facts[method.name])
                    bar.update()
                    continue
                try:
                    outcome = runners[method.name](case, seen, pictures.curved(case))
                    values = metrics_of(outcome, seen, border(case.scale))
                except PnpError as e:
                    fail(f"{method.name}, {case.image.name} at x{case.scale}: {e}")
                    bar.update()
                    continue
                try:
                    pictures.keep(method.name, case, seen, outcome, values)
                except (PnpError, OSError) as e:  # the row is worth more
                    fail(f"{method.name}, {case.image.name} at x{case.scale}: no picture: {e}")
                values |= {"seconds": outcome.seconds, "peak_mb": outcome.peak_mb}
                more = {
                    "image_sha256": image.pixels,
                    "image_hash": image.perceptual,
                    "verdict": outcome.verdict,
                }
                compared.results.add(method.name, case, values, facts[method.name] | more)
                bar.update()


def _method(comparison: Comparison, name: str) -> Method:
    if name not in comparison.methods:
        raise PnpError(
            f"{comparison.path}: there is no method '{name}'; "
            f"{hint(name, comparison.methods, 'methods')}"
        )
    return comparison.methods[name]


def _facts(
    comparison: Comparison, method: Method, dtype: str, device: torch.device
) -> dict[str, str]:
    return identity_of(comparison, method) | {"dtype": dtype} | versions(device)


def _device_of_process(device: str) -> str:
    """Each process of torchrun on a machine has a GPU of its own."""
    if "LOCAL_RANK" in os.environ and device in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{int(os.environ['LOCAL_RANK']) % torch.cuda.device_count()}"
    return device


def _check_rows(
    results: Results,
    facts: dict[str, str],
    images: dict[str, str],
    cases: Sequence[Case],
    again: bool,
    say: Callable[[str], None],
) -> None:
    """Rows made with other weights, options, precision or images are never mixed with new rows;
    `images` has the hashes of the pixels by name.

    With `again` they are deleted; otherwise they are kept if no row is missing, and are an error if
    one is.
    """
    name = facts["method"]
    for row in results.of(name):
        now = facts | {"image_sha256": images.get(row["image"], "")}
        what = stale_column(row, now, (*IDENTITY, "image_sha256"))
        if what is None:
            continue
        if again:
            results.drop(name)
            delete_pictures(results.folder, name)
            return
        message = (
            f"{results.path}: the existing rows of '{name}' have another {what} "
            f"('{row[what]}', now '{now[what]}'); "
            f"--again --only '{name}' deletes them and measures again"
        )
        if not all(results.has(name, case) for case in cases):
            raise PnpError(message)
        say(message)
        return


def _write_description(comparison: Comparison, folder: Path) -> None:
    """The comparison as it was measured, with all that it extends: what the report is made of."""
    again = ["pnp", "compare", str(folder / "comparison.yaml"), "-o", str(folder)]
    again += [word for file in loaded_plugins() for word in ("--plugin", file)]
    lines = [f"# {shlex.join(again)}"]
    lines += [line for line, _ in emit(portable(comparison))]
    path = folder / "comparison.yaml"
    if path.is_file() and not _is_description(path, lines[1:]):
        raise PnpError(
            f"{path}: the description of the results would overwrite this file, which pnp compare "
            "did not write; choose another folder with --out"
        )
    with atomic(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _is_description(path: Path, lines: list[str]) -> bool:
    """True for a file that an earlier call wrote, or that holds these lines."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return text.startswith("# pnp compare ") or text.splitlines() == lines
