"""Checkpoints as training programs write them, read to tensors by name; code in them is never run.

Programs wrap the weights in dictionaries, beside optimisers, further networks and averages of the
weights.  Averaged weights are taken rather than those of the last step, and a `Notice` says so.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from pnp.decoders import first_line
from pnp.downloads import check_downloaded
from pnp.errors import Notice, PnpError
from pnp.files import check_file
from pnp.limits import check_zip

WRAPPERS = (
    *("params", "state_dict", "model_state", "model_state_dict", "model", "network", "net"),
    *("netG", "generator"),
)
"""Keys under which training programs store the weights, in order of preference; other keys are
recognised if there is only one with tensors in it."""

AVERAGED = frozenset({"ema", "swa", "avg", "average", "averaged", "polyak"})
"""Words in the names of averaged weights: params_ema, model_ema, netG_ema, swa_model ..."""
NO_WEIGHTS = frozenset({"optimizer", "optimiser", "optim", "opt", "scheduler", "scaler", "loss"})
"""Words in the names of what training programs store beside the weights."""

WRAPPING_SEGMENTS = {"module", "_orig_mod"}
"""Segments that DataParallel, AveragedModel and torch.compile insert into names."""

DEEPEST = 4
"""How many dictionaries may lie in each other."""
SETS = 4
"""How many networks of one file are looked through."""
LARGEST_SEARCH = 500
"""How many dictionaries are searched for weights."""

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".pth.tar", ".pt.tar", ".bin")


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU.

    Wrapping dictionaries and `module.` prefixes are removed.  Formats are .safetensors, and
    PyTorch's .pth, .pt, .ckpt ...; code in a file is never run.

    Raises:
        PnpError: The file does not exist, is damaged, contains objects other than tensors and plain
            values, or contains no tensors.
    """
    return read_part(path, None)[0]


def read_part(path: str | Path, part: str | None) -> tuple[dict[str, Tensor], str | None]:
    """The tensors of a checkpoint, and what remains of `part` after it has chosen among sets.

    Args:
        path: The file.
        part: Names of wrapping dictionaries, then a prefix of the tensors, divided by dots.
    """
    path = Path(path)
    tensors, part = _unwrapped(_content(path), part, str(path))
    if not tensors:
        raise PnpError(
            f"{path}: the file holds no named tensors; save the state_dict() of the network"
        )
    for key, value in tensors.items():
        if kind := _odd_kind(value):
            raise PnpError(f"{path}: {key} is a {kind} tensor; save dense tensors of real numbers")
    stretched = [key for key, value in tensors.items() if _is_stretched(value)]
    if stretched:
        raise PnpError(
            f"{path}: {stretched[0]} states more values than are stored; is the file damaged?"
        )
    return tensors, part


def _odd_kind(value: Tensor) -> str:
    """What stands in the way of using a tensor as weights, or nothing."""
    if value.layout != torch.strided:
        return "sparse"
    return (
        "meta" * value.is_meta or "quantised" * value.is_quantized or "complex" * value.is_complex()
    )


def other_ending(file: str | Path) -> PnpError:
    """The error for a file whose name does not end as those of weights do."""
    return PnpError(
        f"{file}: this is not read as weights; give a file that ends in {', '.join(SUFFIXES)}"
    )


def is_averaged(name: str) -> bool:
    """True if a name tells of averaged weights."""
    return bool(_words(name) & AVERAGED)


def _content(path: Path) -> Any:
    check_file(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise other_ending(path)
    try:
        check_downloaded(path)
        if path.suffix.lower() == ".safetensors" or _is_safetensors(path):
            return safetensors.torch.load_file(path)
        check_zip(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats that PyTorch no longer writes
            return torch.load(path, map_location="cpu", weights_only=True)
    except PnpError:
        raise
    except pickle.UnpicklingError as e:
        raise PnpError(
            f"{path}: not read: the file is damaged, or holds Python objects, "
            "which could run any code when read; "
            "where it was made, save only the state_dict() of the network"
        ) from e
    except Exception as e:  # a damaged file can cause any exception
        if "TorchScript" in str(e):
            raise PnpError(
                f"{path}: this is a program (TorchScript), not weights; "
                "where it was made, save the state_dict() of the network"
            ) from e
        raise PnpError(
            f"{path}: not a readable checkpoint ({first_line(e)}); is the file complete?"
        ) from e


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a header in JSON, the header."""
    with path.open("rb") as file:
        length, brace = file.read(8), file.read(1)
    return brace == b"{" and 1 < int.from_bytes(length, "little") < path.stat().st_size


def _unwrapped(
    content: Any, part: str | None, where: str, depth: int = 0
) -> tuple[dict[str, Tensor], str | None]:
    """The tensors of nested dictionaries by name; of several networks, by `network.name`."""
    if not isinstance(content, Mapping) or depth > DEEPEST:
        return {}, part
    sets = _sets(content)
    if not sets:
        own = {plain_name(key): value for key, value in content.items() if _is_named(key, value)}
        if len(own) > 1:  # AveragedModel counts what it has averaged
            own.pop("n_averaged", None)
        return own, part
    chosen, _, rest = (part or "").partition(".")
    if chosen in sets:
        return _unwrapped(sets[chosen], rest or None, where, depth + 1)
    averaged = [key for key in sets if is_averaged(key)]
    if averaged and len(averaged) < len(sets):
        left = next(key for key in sets if key not in averaged)
        say_averaged(where, averaged[0], left)
    unnamed = [key for key in content if _is_averaged_list(key, content[key])]
    if unnamed and not averaged:
        told = f"the averaged weights '{unnamed[0]}' have no names, so the others are taken"
        warnings.warn(Notice(f"{where}: {told}"), stacklevel=2)
    names = averaged or [key for key in WRAPPERS if key in sets][:1] or list(sets)[:SETS]
    if len(names) == 1:
        return _unwrapped(sets[names[0]], part, where, depth + 1)
    inner = {name: _unwrapped(sets[name], None, where, depth + 1)[0] for name in names}
    return {f"{name}.{key}": value for name in names for key, value in inner[name].items()}, part


def say_averaged(where: str, name: str, other: str) -> None:
    """Tell the user which of two sets of weights is taken."""
    cure = f" (append #{other} to its name for these)" if other else ""
    told = f"the averaged weights '{name}' are taken, not {other or 'the others'}{cure}"
    warnings.warn(Notice(f"{where}: {told}"), stacklevel=2)


def _sets(content: Mapping[Any, Any]) -> dict[str, Mapping[Any, Any]]:
    """The dictionaries that may hold the weights; none if the weights are beside them."""
    sets = {key: value for key, value in content.items() if _holds_weights(key, value, set())}
    wrapped = any(key in WRAPPERS or is_averaged(key) for key in sets)
    beside = any(_is_named(key, value) and value.dim() for key, value in content.items())
    return {} if beside and not wrapped else sets


def _holds_weights(key: Any, value: Any, seen: set[int]) -> bool:
    """True for a dictionary with named tensors in it, at any depth, that is no optimiser's."""
    if not isinstance(key, str) or not isinstance(value, Mapping) or "param_groups" in value:
        return False
    if _words(key) & NO_WEIGHTS or id(value) in seen or len(seen) > LARGEST_SEARCH:
        return False
    seen.add(id(value))
    return any(_is_named(k, v) or _holds_weights(k, v, seen) for k, v in value.items())


def _is_averaged_list(key: Any, value: Any) -> bool:
    """True for averaged weights in a list, as torch-ema stores them."""
    lists = value.values() if isinstance(value, Mapping) else (value,)
    found = (v for v in lists if isinstance(v, (list, tuple)))
    return isinstance(key, str) and is_averaged(key) and any(map(_all_tensors, found))


def _all_tensors(values: list[Any] | tuple[Any, ...]) -> bool:
    return bool(values) and all(isinstance(value, Tensor) for value in values)


def _is_named(key: Any, value: Any) -> bool:
    return isinstance(key, str) and isinstance(value, Tensor)


def _is_stretched(value: Tensor) -> bool:
    """True for a view that shows its storage many times, as `expand` makes it."""
    if value.layout != torch.strided:
        return False
    return value.numel() * value.element_size() > value.untyped_storage().nbytes()


def _words(name: str) -> set[str]:
    """The words in a name such as model_ema, netG or swaModel, in small letters."""
    parted = re.sub(r"([a-z])([A-Z])", r"\1_\2", name)
    return set(re.split(r"[^a-z]+", parted.lower()))


def plain_name(key: str) -> str:
    """A name without the segments that wrappers insert."""
    return ".".join(segment for segment in key.split(".") if segment not in WRAPPING_SEGMENTS)
