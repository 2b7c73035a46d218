"""Atomic writing of files, and the folders and names of results."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pnp.errors import PnpError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Write a file atomically: the block writes to a temporary name, which is then renamed.

        with atomic("out/result.json") as temporary:
            temporary.write_text(text)

    The temporary file is in the folder of `path` and is deleted if the block fails.  Its name keeps
    the suffix of `path`, because writers derive the format from it.  An existing file stays until
    the new one is complete.

    Raises:
        PnpError: The operating system reports an error (no such folder, no space ...).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as e:
        raise PnpError(f"{path}: cannot be written: {e.strerror or e}") from e
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a record as JSON, atomically; infinities and NaN, which JSON lacks, become null."""
    text = json.dumps(_finite(record), indent=2, ensure_ascii=False, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make_folder(name: str | Path) -> Path:
    """The folder for results, created if it does not exist."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise PnpError(f"--out {name}: the folder cannot be created: {e.strerror or e}") from e
    return Path(name)


def result_names(paths: Iterable[str]) -> dict[str, str]:
    """The base name of each input's results; PnpError if two inputs have the same one."""
    names: dict[str, str] = {}
    for path in paths:
        name = Path(path).stem
        other = next((p for p, n in names.items() if n == name), None)
        if other is not None:
            raise PnpError(
                f"the results of {other} and {path} would both be called {name}; "
                "run them separately, each with its own folder (--out)"
            )
        names[path] = name
    return names
