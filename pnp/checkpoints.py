"""Weights of networks: safe reading, matching to a module by name and shape.

There are three kinds of sources: a file (`weights: usrnet.pth`), a part of a file
(`weights: ikrnet.pth#p2`), and the name of pretrained weights in the package
(`weights: ikrnet/P`).  Public checkpoints need no preparation: wrapping dictionaries and prefixes
are recognised here.  If a public layout differs in more than prefixes, the module has a class
method `translate(state) -> state` that renames or merges the tensors of the checkpoint.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pnp.checkpoint_files import (
    SUFFIXES,
    is_averaged,
    other_ending,
    plain_name,
    read_part,
    say_averaged,
)
from pnp.errors import PnpError
from pnp.manifest import read_entries
from pnp.tensors import FLOATS, dtype_of

PRETRAINED = Path(__file__).parent / "weights"
MANIFEST = "manifest.yaml"
"""In `PRETRAINED`: for each name of pretrained weights a mapping; its `recipe` trained them."""

LISTED = 4


def load_weights(
    module: nn.Module,
    source: str | Path,
    where: str = "",
    base: Path | None = None,
    symbol: str = "",
) -> None:
    """Load weights into `module`.

    Names in the file may have a prefix, such as USRNet's `p.` and `h.`; `_prefix` finds it.  So the
    checkpoint of a whole pipeline can be used for each of its modules.  Values are converted to the
    module's dtype.

    Args:
        module: The network.
        source: A file, a part of a file (`file#prefix`), or the name of pretrained weights.
        where: Prefix of error messages.
        base: The folder at which a relative path starts.
        symbol: The module's symbol in the pipeline; it selects one of several prefixes.

    Raises:
        PnpError: There is no such source, or tensors do not match; then the message lists them by
            name and shape, and the module is unchanged.
    """
    try:
        path, part = find_weights(source, base)
        check_pretrained(path)
        state, part = read_part(path, part)
        if adopt := getattr(module, "adopt", None):
            _check_finite(state, str(source))
            adopt(part_of(state, part, str(source)), symbol)
            return
        module = getattr(module, "holds", module)
        translate = getattr(type(module), "translate", None)
        _fill(module, state if translate is None else translate(state), str(source), part, symbol)
    except PnpError as e:
        raise PnpError(f"{where}: {e}" if where else str(e)) from e


def split_source(source: str | Path) -> tuple[str, str | None]:
    """A file or a name, and the part after its last '#' if there is one.

    A folder's name may hold a '#' too: "run#3/plain.pth" is a file.
    """
    text = str(source)
    if text.lower().endswith(SUFFIXES):
        return text, None
    file, _, part = text.rpartition("#")
    return (file, part or None) if file else (text, None)


def find_weights(source: str | Path, base: Path | None = None) -> tuple[Path, str | None]:
    """The file that `source` refers to, and the prefix after its '#' if there is one."""
    text, part = split_source(source)
    if text.lower().endswith(SUFFIXES):
        return (base or Path()) / Path(text).expanduser(), part
    if is_name(text) and (ours := PRETRAINED / f"{text}.safetensors").is_file():
        return ours, part
    if os.path.isfile((base or Path()) / text):
        raise other_ending(text)
    raise PnpError(_unknown_weights(text))


def check_source(source: str | Path) -> Path | None:
    """The file of weights if it does not exist, else None; nothing is read.

    Raises:
        PnpError: The source is neither a file of weights nor a name in the package's manifest.
    """
    text, _ = split_source(source)
    if is_name(text) and text in manifest():
        return None
    path, _ = find_weights(source)
    return None if os.path.isfile(path) else path


def is_name(text: str) -> bool:
    """True for what can be the name of pretrained weights: it cannot leave their folder."""
    return re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", text, re.ASCII) is not None


def check_pretrained(path: Path) -> None:
    """PnpError if a file of the package is not the one that its manifest describes."""
    if path.is_relative_to(PRETRAINED):
        name = path.relative_to(PRETRAINED).with_suffix("").as_posix()
        expected = manifest().get(name, {}).get("sha256")
        state = path.stat()
        if expected and _sha256_of(path, state.st_mtime_ns, state.st_size) != expected:
            raise PnpError(
                f"{path}: the file is not the one that the package describes (its sha256 differs); "
                "install pnp again"
            )


@functools.cache
def _sha256_of(path: Path, changed: int, size: int) -> str:
    """The checksum of a file, computed once for as long as it does not change."""
    return sha256(path)


def sha256(path: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def manifest() -> dict[str, dict[str, Any]]:
    """The entries of the package's manifest by name."""
    path = PRETRAINED / MANIFEST
    if not path.is_file():
        return {}
    return _read_manifest(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _read_manifest(path: Path, changed: int) -> dict[str, dict[str, Any]]:
    return read_entries(path)


def _fill(
    module: nn.Module, state: dict[str, Tensor], source: str, part: str | None, symbol: str
) -> None:
    wanted = {plain_name(key): (key, value) for key, value in module.state_dict().items()}
    prefix = _prefix(wanted, state, source, symbol) if part is None else part.rstrip(".") + "."
    given = part_of(state, prefix.rstrip(".") if part is None else part, source)
    groups = {
        "missing": [
            _described(key, value) for key, (_, value) in wanted.items() if key not in given
        ],
        "unexpected": [_described(prefix + key, given[key]) for key in given if key not in wanted],
        "wrong shape": [
            f"{_described(prefix + key, given[key])}, expected {tuple(value.shape)}"
            for key, (_, value) in wanted.items()
            if key in given and given[key].shape != value.shape
        ],
    }
    groups["wrong type"] = [
        f"{prefix + key} is {dtype_of(given[key])}, expected {dtype_of(value)}"
        for key, (_, value) in wanted.items()
        if key in given and given[key].is_floating_point() != value.is_floating_point()
    ]
    problems = [f"{what}: {line}" for what, lines in groups.items() for line in _some(lines)]
    if problems:
        kind = type(module).__name__
        raise PnpError(
            "\n    ".join(
                [f"{source}: these weights do not fit {kind} with its present options:", *problems]
            )
            + f"\n    = set the options of {kind} to those with which the weights were trained, "
            "or give other weights"
        )
    _check_finite(given, source, prefix)
    module.load_state_dict({key: given[plain] for plain, (key, _) in wanted.items()})


def part_of(state: dict[str, Tensor], part: str | None, source: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it; PnpError if there are none."""
    if not part:
        return state
    prefix = part.rstrip(".") + "."
    given = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    if not given:
        parts = ", ".join(dict.fromkeys(key.partition(".")[0] for key in list(state)[:1000]))
        raise PnpError(f"{source}: the file has no part '{part}'; its parts: {parts}")
    return given


def _check_finite(given: dict[str, Tensor], source: str, prefix: str = "") -> None:
    for key, value in given.items():
        if value.is_floating_point() and not _readable(value).isfinite().all():
            raise PnpError(
                f"{source}: {prefix}{key} holds NaN or infinity, because the file is damaged "
                "or its training failed; give other weights"
            )


def _prefix(
    wanted: Mapping[str, tuple[str, Tensor]], state: Mapping[str, Tensor], source: str, symbol: str
) -> str:
    """The prefix of a module's tensors in a file.

    | the file holds | names in it | prefix of the module P |
    |---|---|---|
    | the network alone | `m_head.weight` | none |
    | one network in another class | `net.m_head.weight` | `net.` |
    | a pipeline, as training writes it | `P.m_head.weight`, `H.mlp.0.weight` | `P.` |
    | USRNet's networks | `p.m_head.weight`, `h.mlp.0.weight` | `p.` |
    | several of one kind | `p_init.m_head.weight`, `p.m_head.weight` | the user must choose |

    The order of preference: averaged weights, if all tensors are found among them and among others;
    no prefix, if all are found without one; the prefix that equals the module's symbol, first with
    the same case, then with any case; the prefix under which most tensors match.
    """
    candidates = _candidates(wanted, state)
    whole = {p for p in candidates if _fits(wanted, state, p) == _everything(wanted)}
    averaged = {p for p in whole if any(map(is_averaged, p.split(".")))}
    if averaged and whole - averaged:
        first = next(iter(averaged)) if len(averaged) == 1 else None
        if (prefix := first or _prefix_of_symbol(averaged, symbol)) is not None:
            other = min(whole - averaged, key=len).rstrip(".")
            say_averaged(source, prefix.rstrip("."), other)
            return prefix
    if "" in whole:
        return ""
    of_symbol = _prefix_of_symbol(candidates, symbol)
    return of_symbol or _fitting_prefix(candidates, wanted, state, source)


def _candidates(wanted: Iterable[str], state: Iterable[str]) -> set[str]:
    """All prefixes, with their last dot, under which the file has any tensor of the module."""
    return {
        key.removesuffix(name)
        for key in state
        for name in wanted
        if key == name or key.endswith(f".{name}")
    }


def _fits(
    wanted: Mapping[str, tuple[str, Tensor]], state: Mapping[str, Tensor], prefix: str
) -> tuple[int, int]:
    """Two counts of tensors found under a prefix: with the right shape, and with any shape."""
    found = [(state[prefix + name], t) for name, (_, t) in wanted.items() if prefix + name in state]
    return sum(there.shape == t.shape for there, t in found), len(found)


def _everything(wanted: Mapping[str, tuple[str, Tensor]]) -> tuple[int, int]:
    return len(wanted), len(wanted)


def _prefix_of_symbol(candidates: set[str], symbol: str) -> str | None:
    """The only prefix whose last part is the symbol: in the same case, else in any case."""
    last = {prefix: prefix.rstrip(".").rpartition(".")[2] for prefix in candidates}
    exact = [prefix for prefix, part in last.items() if symbol and part == symbol]
    alike = [prefix for prefix, part in last.items() if symbol and part.lower() == symbol.lower()]
    return next((found[0] for found in (exact, alike) if len(found) == 1), None)


def _fitting_prefix(
    candidates: set[str],
    wanted: Mapping[str, tuple[str, Tensor]],
    state: Mapping[str, Tensor],
    source: str,
) -> str:
    """The prefix under which most tensors match; PnpError if all match under several prefixes."""
    fits = {prefix: _fits(wanted, state, prefix) for prefix in sorted(candidates, key=len)}
    best = max(fits.values(), default=(0, 0))
    prefixes = [prefix for prefix, fit in fits.items() if fit == best]
    if len(prefixes) > 1 and best == _everything(wanted):
        choices = ", ".join(f"'#{p.rstrip('.')}'" for p in prefixes)
        raise PnpError(
            f"{source}: several sets of weights in the file match; "
            f"append one of {choices} to its name"
        )
    return prefixes[0] if prefixes else ""


def _readable(value: Tensor) -> Tensor:
    """The same numbers in a dtype that PyTorch can compare."""
    return value if value.dtype in FLOATS else value.float()


def _some(lines: list[str]) -> list[str]:
    return lines if len(lines) <= LISTED else [*lines[:LISTED], f"{len(lines) - LISTED} more"]


def _described(key: str, value: Tensor) -> str:
    return f"{key} {tuple(value.shape)}"


def _unknown_weights(name: str) -> str:
    recipe = manifest().get(name, {}).get("recipe")
    files = PRETRAINED.rglob("*.safetensors")
    known_names = sorted(p.relative_to(PRETRAINED).with_suffix("").as_posix() for p in files)
    small = f"{name.partition('/')[0]}-small"
    instead = f"{small} has weights, and takes overlays (pnp run {small} --with NAME); "
    return (
        f"the package has no weights called '{name}' (it has: {', '.join(known_names) or 'none'}); "
        + instead * (small in known_names and "/" in name)
        + (f"train them with `pnp train {recipe}`, or " if recipe else "")
        + f"give a file that ends in {', '.join(SUFFIXES)}, "
        "in YAML or with --set modules.NAME.weights=FILE"
    )
