"""Weights of networks: read safely, fitted to a module by name and shape, converted.

Three kinds of sources: a file (`weights: usrnet.pth`), a part of a file (`weights: ikrnet.pth#p2`),
and the name of weights that are shipped with the package (`weights: ikrnet/P`).  Public checkpoints
need no preparation: wrapping dictionaries and prefixes are recognised here; a module whose foreign
layouts differ in more than prefixes offers `translate(state) -> state`, a class method that renames
(or merges) the tensors of a checkpoint.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from torch import Tensor, nn

from pnp.errors import PnpError
from pnp.files import atomic

SHIPPED = Path(__file__).parent / "weights"
MANIFEST = "manifest.yaml"
"""In `SHIPPED`: for each name of shipped weights a mapping whose `recipe` is what trained them."""

WRAPPERS = ("params_ema", "params", "state_dict", "model_state", "model")
"""Keys under which training codes keep the weights, the one to prefer first."""

WRAPPING_SEGMENTS = {"module", "_orig_mod"}
"""What DataParallel and torch.compile insert into names."""

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
LISTED = 4


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU, without wrapping dictionaries and `module.`
    prefixes.

    Reads .safetensors, and .pth, .pt, .ckpt of PyTorch, these without running code that they may
    hold.  PnpError if the file is not there, is damaged, holds more than tensors and plain values,
    or no tensors at all.
    """
    path = Path(path)
    if not path.is_file():
        raise PnpError(f"{path}: there is no such file")
    if path.suffix not in SUFFIXES:
        raise PnpError(f"{path}: weights are read from files that end in {', '.join(SUFFIXES)}")
    content: Any
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        raise PnpError(
            f"{path}: refused: it is damaged, or holds Python objects, "
            "and reading those can run any code; "
            "where it was made, save the state_dict() of the network alone"
        ) from e
    except Exception as e:  # a damaged file can make the readers fail in any way
        raise PnpError(
            f"{path}: not a readable checkpoint ({e or type(e).__name__}); is the file complete?"
        ) from e
    while isinstance(content, Mapping):
        inner = next((content[w] for w in WRAPPERS if isinstance(content.get(w), Mapping)), None)
        if inner is None:
            break
        content = inner
    tensors = {}
    if isinstance(content, Mapping):
        tensors = {
            _plain(key): value for key, value in content.items() if isinstance(value, Tensor)
        }
    if not tensors:
        raise PnpError(
            f"{path}: there are no named tensors in it; weights are what state_dict() gives"
        )
    return tensors


def load_weights(
    module: nn.Module,
    source: str | Path,
    where: str = "",
    base: Path | None = None,
    letter: str = "",
) -> None:
    """Fill `module` with the weights of `source`: a file, a part of it (`file#prefix`), or the name
    of shipped weights.

    The names in the file may carry a prefix (USRNet's `p.` and `h.`): the one under which every
    tensor of the module is found is taken, and of several the one that ends in `letter`, so that
    the checkpoint of a whole pipeline serves each of its modules.  Numbers are converted to the
    module's dtype.  `where` opens messages; a relative path starts from `base`.  PnpError if there
    is no such source, or lists by name and shape what does not fit; then the module is left as it
    was.
    """
    try:
        path, part = find_weights(source, base)
        state = read_checkpoint(path)
        translate = getattr(type(module), "translate", None)
        _fill(module, state if translate is None else translate(state), str(source), part, letter)
    except PnpError as e:
        raise PnpError(f"{where}: {e}" if where else str(e)) from e


def find_weights(source: str | Path, base: Path | None = None) -> tuple[Path, str | None]:
    """The file that `source` means, and the prefix after its '#' if there is one."""
    text, _, part = str(source).partition("#")
    if text.endswith(SUFFIXES):
        return (base or Path()) / Path(text).expanduser(), part or None
    shipped = SHIPPED / f"{text}.safetensors"
    if ".." not in Path(text).parts and not Path(text).is_absolute() and shipped.is_file():
        return shipped, part or None
    raise PnpError(_not_shipped(text))


def convert(source: str | Path, target: str | Path) -> None:
    """Write the tensors of any checkpoint as .safetensors (`pnp convert IN OUT`)."""
    if Path(target).suffix != ".safetensors":
        raise PnpError(f"{target}: checkpoints are converted to .safetensors; end its name so")
    # Two names may share one tensor, which the format does not allow: each gets a copy of its own.
    state = {
        key: value.detach().clone().contiguous() for key, value in read_checkpoint(source).items()
    }
    with atomic(target) as temporary:
        temporary.write_bytes(safetensors.torch.save(state, metadata={"format": "pt"}))


def _fill(
    module: nn.Module, state: dict[str, Tensor], source: str, part: str | None, letter: str
) -> None:
    wanted = {_plain(key): (key, value) for key, value in module.state_dict().items()}
    prefix = _prefix(wanted, state, source, letter) if part is None else part.rstrip(".") + "."
    given = {
        key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)
    }

    groups = {
        "missing": [
            _described(key, value) for key, (_, value) in wanted.items() if key not in given
        ],
        "unexpected": [_described(prefix + key, given[key]) for key in given if key not in wanted],
        "wrong shape": [
            f"{_described(prefix + key, given[key])}, wanted {tuple(value.shape)}"
            for key, (_, value) in wanted.items()
            if key in given and given[key].shape != value.shape
        ],
    }
    problems = [f"{what}: {line}" for what, lines in groups.items() for line in _some(lines)]
    if problems:
        kind = type(module).__name__
        raise PnpError(
            "\n    ".join(
                [f"{source}: these weights do not fit {kind} as it is built here:", *problems]
            )
            + f"\n    = set the options of {kind} to those that the weights were made with, "
            "or give other weights"
        )
    broken = [
        key
        for key, value in given.items()
        if value.is_floating_point() and not value.isfinite().all()
    ]
    if broken:
        raise PnpError(
            f"{source}: {prefix}{broken[0]} holds NaN or infinity; "
            "the file is damaged or its training failed"
        )
    module.load_state_dict({key: given[plain] for plain, (key, _) in wanted.items()})


def _prefix(
    wanted: Mapping[str, tuple[str, Tensor]], state: Mapping[str, Tensor], source: str, letter: str
) -> str:
    """The prefix that a module's tensors have in a file.

    | the file holds | names in it | prefix of the module P |
    |---|---|---|
    | the network alone | `m_head.weight` | none |
    | one network in another class | `net.m_head.weight` | `net.` |
    | a pipeline, as training writes it | `P.m_head.weight`, `H.mlp.0.weight` | `P.` |
    | USRNet's networks | `p.m_head.weight`, `h.mlp.0.weight` | `p.` |
    | several of one kind | `p_init.m_head.weight`, `p.m_head.weight` | the user must say |

    In this order: no prefix if the whole module is there without one; the prefix that is the
    module's letter, in capitals before small ones; the prefix under which most tensors fit.
    """
    candidates = _candidates(wanted, state)
    if "" in candidates and _fits(wanted, state, "") == _everything(wanted):
        return ""
    of_letter = _prefix_of_letter(candidates, letter)
    return of_letter or _fitting_prefix(candidates, wanted, state, source)


def _candidates(wanted: Iterable[str], state: Iterable[str]) -> set[str]:
    """What stands before the name of any tensor of the module in the file, with its last dot."""
    return {
        key.removesuffix(name)
        for key in state
        for name in wanted
        if key == name or key.endswith(f".{name}")
    }


def _fits(
    wanted: Mapping[str, tuple[str, Tensor]], state: Mapping[str, Tensor], prefix: str
) -> tuple[int, int]:
    """How many tensors of the module are under a prefix with their shape, and how many at all."""
    found = [(state[prefix + name], t) for name, (_, t) in wanted.items() if prefix + name in state]
    return sum(there.shape == t.shape for there, t in found), len(found)


def _everything(wanted: Mapping[str, tuple[str, Tensor]]) -> tuple[int, int]:
    return len(wanted), len(wanted)


def _prefix_of_letter(candidates: set[str], letter: str) -> str | None:
    """The one prefix whose last part is the letter: as it is, or else whatever its case."""
    last = {prefix: prefix.rstrip(".").rpartition(".")[2] for prefix in candidates}
    exact = [prefix for prefix, part in last.items() if letter and part == letter]
    alike = [prefix for prefix, part in last.items() if letter and part.lower() == letter.lower()]
    return next((found[0] for found in (exact, alike) if len(found) == 1), None)


def _fitting_prefix(
    candidates: set[str],
    wanted: Mapping[str, tuple[str, Tensor]],
    state: Mapping[str, Tensor],
    source: str,
) -> str:
    """The prefix under which most tensors fit; PnpError if everything fits under several."""
    fits = {prefix: _fits(wanted, state, prefix) for prefix in sorted(candidates, key=len)}
    best = max(fits.values(), default=(0, 0))
    prefixes = [prefix for prefix, fit in fits.items() if fit == best]
    if len(prefixes) > 1 and best == _everything(wanted):
        choices = ", ".join(f"'#{p.rstrip('.')}'" for p in prefixes)
        raise PnpError(
            f"{source}: it holds several sets of weights that fit; "
            f"append one of {choices} to the file's name"
        )
    return prefixes[0] if prefixes else ""


def _plain(key: str) -> str:
    return ".".join(segment for segment in key.split(".") if segment not in WRAPPING_SEGMENTS)


def _some(lines: list[str]) -> list[str]:
    return lines if len(lines) <= LISTED else [*lines[:LISTED], f"{len(lines) - LISTED} more"]


def _described(key: str, value: Tensor) -> str:
    return f"{key} {tuple(value.shape)}"


def _not_shipped(name: str) -> str:
    manifest = SHIPPED / MANIFEST
    known = (yaml.safe_load(manifest.read_text()) or {}) if manifest.is_file() else {}
    recipe = known.get(name, {}).get("recipe")
    files = SHIPPED.rglob("*.safetensors")
    shipped = sorted(p.relative_to(SHIPPED).with_suffix("").as_posix() for p in files)
    return (
        f"no weights called '{name}' are shipped (there are: {', '.join(shipped) or 'none'}); "
        + (f"train them with `pnp train {recipe}`, or " if recipe else "")
        + f"give a file that ends in {', '.join(SUFFIXES)}, "
        "in YAML or with --set modules.LETTER.weights=FILE"
    )
