"""Citations: BibTeX by key, from references.bib, or written out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from pnp.errors import PnpError, nearest

_ENTRY = re.compile(r"@\w+\s*\{\s*[^,\s{}]+\s*,.*\}", re.DOTALL)


def bibtex(keys: Iterable[str]) -> str:
    """The BibTeX of keys of references.bib, and of entries that are written out."""
    return "\n\n".join(_references().get(key, key) for key in keys)


def check_cited(keys: Iterable[str]) -> None:
    """PnpError if a key is neither in references.bib nor a whole BibTeX entry."""
    for key in keys:
        if key in _references():
            continue
        if not key.lstrip().startswith("@"):
            near = nearest(key, _references())
            cure = f"{near} write the whole BibTeX entry in `cite`".strip()
            raise PnpError(f"'{key}' is not in references.bib; {cure}")
        if not _ENTRY.fullmatch(key.strip()) or key.count("{") != key.count("}"):
            first = key.strip().splitlines()[0][:40]
            raise PnpError(f"'{first}' is not whole BibTeX; write '@type{{key, field = {{...}}}}'")


@cache
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
