"""Which images `pnp run` restores: files and folders, without results of earlier runs; and which of
them are finished already.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pnp
from pnp.bars import bars_of
from pnp.errors import PnpError
from pnp.files import check_names, result_names
from pnp.language.embedded import holds_pipeline, is_hub_folder
from pnp.language.layers import is_run
from pnp.language.reader import PIPELINES
from pnp.overexposed import photograph, white_of
from pnp.reduction import reduction_for
from pnp.restoration import Restorer
from pnp.training.data import SUFFIXES
from pnp.verdict import SIDE, width_from_spectrum

FOLDER = "restored"
"""The folder of results without `--out`."""
DEFAULT = "ikrnet-small"
"""The pipeline of a plain `pnp run PHOTO`."""
MEGAPIXELS = 4.0
"""A plain `pnp run PHOTO` chooses the largest of the scales whose result is not larger."""
SCALES = (4, 2, 1)
WIDEST = 5.0
"""Standard deviation of a kernel for which 25 x 25 pixels are enough, in pixels of the result."""
_TEXT = (".yaml", ".yml", ".json", ".txt", "")
_ADDED = ("_kernel", "_trace", "_compare", "_complex")


@dataclass(frozen=True)
class Found:
    """An image to restore."""

    path: str
    """As the user wrote it, or below the folder that the user wrote."""
    folder: Path
    """Where its results belong, relative to the folder of all results."""
    searched: bool = False
    """True if it was found in a folder that the user wrote."""


def pipeline_and_images(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Separate the words of the command: a pipeline, if the first one is none of the images.

    The first word is an image if it has the ending of one, or is a folder other than that of a
    pipeline, or a file that is neither text nor weights; everything else is a pipeline, perhaps
    misspelled.
    """
    first, file = words[0], Path(words[0])
    ending = file.suffix.lower()
    folder = file.is_dir() and not is_run(file) and not is_hub_folder(file)
    text = ending in _TEXT or holds_pipeline(file)
    image = ending in SUFFIXES or folder or (file.is_file() and not text)
    if first in PIPELINES.names() or not image:
        return first, list(words[1:])
    return None, list(words)


def find_images(words: Iterable[str], out: Path) -> tuple[list[Found], list[str]]:
    """The images among files and folders, and what was left out: results of earlier runs.

    Folders are searched with their subfolders, but without `out`.

    Raises:
        PnpError: A folder holds no images.
    """
    found: dict[str, Found] = {}
    left_out: list[str] = []
    for word in words:
        path = Path(word)
        if not path.is_dir():
            files = [path]
        else:
            files = sorted(
                p
                for p in path.rglob("*")
                if p.suffix.lower() in SUFFIXES and p.is_file() and not _within(p, out, path)
            )
            if not files:
                raise PnpError(
                    f"{word}: there are no images in this folder ({', '.join(SUFFIXES)})"
                )
        for file in files:
            if is_result(file):
                left_out.append(str(file))
                continue
            name = word if file is path else str(file)
            inside = Path() if file is path else file.parent.relative_to(path)
            found.setdefault(name, Found(name, inside, file is not path))
    return list(found.values()), left_out


def other_files(words: Iterable[str], out: Path) -> dict[str, int]:
    """How many files of each ending the searched folders hold that are not taken for images."""
    files = {
        path
        for folder in map(Path, words)
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.suffix.lower() not in (*SUFFIXES, *_TEXT)
        and path.is_file()
        and not _within(path, out, folder)
        and not is_result(path)
    }
    return dict(sorted(Counter(path.suffix.lower() for path in files).items()))


def is_result(path: Path) -> bool:
    """True if a record of an earlier run beside the file names it among its results."""
    return path.name in (_recorded(path) or ())


def check_foreign(files: Iterable[Path]) -> None:
    """PnpError if one of the files exists, but no record of an earlier run is beside it."""
    for file in files:
        if file.is_file() and _recorded(file) is None:
            raise PnpError(
                f"{file}: this file is there already and is no result of pnp run (no record is "
                "beside it); choose another folder with --out, or replace it by --overwrite"
            )


def _recorded(path: Path) -> set[str] | None:
    """The names of the results in the record beside a file; None if there is no record."""
    stem = path.stem
    for end in _ADDED:
        stem = stem.removesuffix(end)
    try:
        record = json.loads((path.parent / f"{stem}.json").read_text(encoding="utf-8"))
        names = record["files"].values()
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return {Path(name).name for name in names if isinstance(name, str)}


def finished(stem: str, identity: str) -> Path | None:
    """The record of an earlier run with this identity, if all its files exist.

    Args:
        stem: Path of the results without their scale and endings.
        identity: That of the result.
    """
    folder, name = os.path.split(stem)
    form = re.compile(re.escape(name) + r"_(x\d+|\d+x\d+)\.json")
    records = (p for p in sorted(Path(folder).iterdir()) if form.fullmatch(p.name))
    return next((record for record in records if is_finished(record, identity)), None)


def is_finished(record: Path, identity: str) -> bool:
    """True if the record of an earlier run has this identity and all its files exist."""
    try:
        old: Any = json.loads(record.read_text(encoding="utf-8"))
        return old["identity"] == identity and all(
            (record.parent / Path(name).name).is_file() for name in old["files"].values()
        )
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


def names_of(images: Iterable[Found]) -> dict[str, str]:
    """The base name of the results of each image of one folder.

    Images of a searched folder that differ only in their ending keep it in the name.

    Raises:
        PnpError: Two images would have the same results.
    """
    images = list(images)
    named = result_names(found.path for found in images if not found.searched)
    stems = Counter(Path(found.path).stem.casefold() for found in images)
    for found in images:
        if found.searched:
            path = Path(found.path)
            named[found.path] = path.stem if stems[path.stem.casefold()] == 1 else path.name
    check_names(named.items())
    return named


def hash_of(restorer: Restorer) -> str:
    """A hash of a pipeline, its weights and what it is given, except the image."""
    facts = {name: value for name, value in restorer.facts.items() if name != "given"}
    facts["document"] = restorer.pipeline.spec.document.plain()
    facts["version"] = pnp.__version__
    digest = sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    saved = {} if restorer.resume is None else restorer.resume.variables
    given = {**restorer.given, "k": restorer.kernel, "s": 0}
    given |= {f"resume {name}": value for name, value in saved.items()}
    for name, value in sorted({**restorer.pipeline.state_dict(), **given}.items()):
        content = value.detach().cpu() if isinstance(value, Tensor) else torch.tensor(0)
        digest.update(f"{name} {value if not isinstance(value, Tensor) else ''}".encode())
        digest.update(content.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def identity(path: str, *facts: Any) -> str:
    """A hash of the bytes of a file and of all that determines its result."""
    try:
        content = Path(path).read_bytes()
    except OSError as e:
        raise PnpError(f"{path}: cannot be read: {e.strerror or e}") from e
    told = json.dumps(facts, sort_keys=True, default=str)
    return sha256(sha256(content).digest() + told.encode()).hexdigest()


def usual_scale(y: Tensor) -> int:
    """The scale of a plain run: the largest of 4, 2, 1 that suits the size and the blur of y.

    The result has at most 4 megapixels.  The kernel, in pixels of the result, has a standard
    deviation of at most 5, because it is estimated on 25 x 25 pixels: that of `spectral-kernel`,
    and 1 is the scale of blurs that are too wide already (`pnp.reduction`).
    Bars and overexposed pixels do not count for it.
    """
    suitable = [s for s in SCALES if s * s * y.shape[-2] * y.shape[-1] <= 1e6 * MEGAPIXELS]
    if suitable and suitable[0] > 1 and min(y.shape[-2:]) >= SIDE:
        y = bars_of(y).inside(y)
        with photograph(white_of(y, "", "unknown")):
            if reduction_for(y) > 1:
                return SCALES[-1]
            width = width_from_spectrum(y, 1) or 0.0
        suitable = [s for s in suitable if s * width <= WIDEST]
    return next(iter(suitable), SCALES[-1])


def _within(path: Path, out: Path, searched: Path) -> bool:
    """True if the path is in the folder of results, which itself is below the searched folder."""
    results = out.resolve()
    below = results != searched.resolve()
    return below and path.resolve().is_relative_to(results)
