"""The options with which the networks in a file of weights were trained.

A file of weights says them in its header (`pnp.headers`), in the form of `modules:` of a pipeline;
for a file of the package without them, the entry `modules` of the manifest does:

    {"P": {"prior": "drunet", "channels": 3, "nc": [32, 64, 128, 256], "nb": 2}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pnp import checkpoints
from pnp.checkpoints import find_weights, manifest, split_source
from pnp.errors import PnpError
from pnp.headers import PREFIX, read_metadata
from pnp.language.spec import ModuleSpec
from pnp.options import options_of
from pnp.public_checkpoints import known
from pnp.registry import REGISTRIES, current_role

KEY = f"{PREFIX}modules"
"""The key of the metadata."""
Modules: TypeAlias = dict[str, dict[str, Any]]
"""By symbol: the role and the name of a module, and its options."""


def described(modules: Mapping[str, ModuleSpec], symbols: Iterable[str]) -> Modules:
    """Role, name and all options of modules, defaults included, as plain values."""
    found: Modules = {}
    for symbol in symbols:
        m = modules[symbol]
        options = options_of(REGISTRIES[m.role].get(m.name))
        values = {name: m.options.get(name, p.default) for name, p in options.items()}
        found[symbol] = {m.role: m.name, **{name: plain(v) for name, v in values.items()}}
    return found


def trained_modules(source: str) -> Modules:
    """What is known of the networks in a file of weights; empty if nothing is."""
    try:
        path, _ = find_weights(source)
    except PnpError:
        return {}
    try:
        found = json.loads(read_metadata(path).get(KEY, "{}"))
    except ValueError:
        found = {}
    if not found and path.is_relative_to(checkpoints.PRETRAINED) and path.is_file():
        name = path.relative_to(checkpoints.PRETRAINED).with_suffix("").as_posix()
        found = manifest().get(name, {}).get("modules", {})
    sound = isinstance(found, dict) and all(isinstance(m, dict) for m in found.values())
    return found if sound else {}


def trained_options(source: str, role: str, name: str, symbol: str) -> dict[str, Any]:
    """The options with which the weights of a module were trained; empty if they are not known.

    Args:
        source: The file, a part of it (`file#P`), or the name of pretrained weights.
        role: The role of the module, for example "prior".
        name: Its registered name.
        symbol: Its symbol, which selects one of several modules of that name.
    """
    part = (split_source(source)[1] or symbol).rpartition(".")[2]
    candidates = {
        s: {k: v for k, v in entry.items() if k not in REGISTRIES}
        for s, entry in trained_modules(source).items()
        if (role, name) in {(current_role(k, str(v)), v) for k, v in entry.items() if _is_role(k)}
    }
    if part in candidates:
        return candidates[part]
    options = list(candidates.values())
    if not options:
        return known(source, role, name).options
    return options[0] if all(o == options[0] for o in options) else {}


def listed(source: str) -> str:
    """The modules of a file of weights, in words: 'P: prior drunet, H: estimator hypanet'."""
    modules = trained_modules(source)
    words = [
        f"{symbol}: {role} {name}"
        for symbol, entry in modules.items()
        for role, name in entry.items()
        if _is_role(role)
    ]
    return ", ".join(words)


def in_package(role: str, name: str) -> str:
    """The pretrained weights of a module, in words after its symbol; empty if there are none."""
    fitting = [w for w in manifest() if re.search(rf"{role} {re.escape(name)}(,|$)", listed(w))]
    return f" (the package has {', '.join(fitting)})" if fitting else ""


def of_another(source: str, role: str, name: str) -> tuple[str, str] | None:
    """What is said of weights that are known to be those of other modules; None of others."""
    holds = listed(source)
    if not holds or re.search(rf" {role} {re.escape(name)}(,|$)", holds):
        return None
    return f"{source} are no weights of the {role} {name}", f"{source} holds the weights of {holds}"


def plain(value: Any) -> Any:
    """A value as JSON and YAML hold it: lists in place of tuples."""
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _is_role(key: str) -> bool:
    return key in REGISTRIES
