"""BibTeX of pipelines and modules, from references.bib."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files

from pnp.errors import PnpError
from pnp.language.spec import Spec
from pnp.registry import REGISTRIES


def keys_of(spec: Spec) -> list[str]:
    """What a pipeline and the modules that it calls cite."""
    keys = dict.fromkeys(spec.cite)
    for symbol, module in spec.modules.items():
        if symbol in spec.called:
            keys.update(dict.fromkeys(REGISTRIES[module.role].get(module.name).cite))
    return list(keys)


def bibtex(keys: Iterable[str], name: str) -> str:
    """The BibTeX entries of `keys`, which `name` cites.

    A key is one of references.bib, or a BibTeX entry itself.
    """
    known = _references()
    missing = [key for key in keys if key not in known and not key.lstrip().startswith("@")]
    if missing:
        raise PnpError(
            f"{name} cites {', '.join(missing)}, which is not in references.bib; "
            "write the whole BibTeX entry in `cite`"
        )
    return "\n\n".join(known.get(key, key) for key in keys)


def _references() -> dict[str, str]:
    """The entries of references.bib by key."""
    text = files("pnp").joinpath("references.bib").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=@)", "\n" + text)
    found = {}
    for entry in entries:
        match = re.match(r"@\w+\{([^,\s]+),", entry.strip())
        if match:
            found[match[1]] = entry.strip()
    return found
