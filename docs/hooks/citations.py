"""Citations in words, from BibTeX, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pybtex import format_from_string

from pnp.bibliography import bibtex


def cited(keys: Iterable[str]) -> str:
    """The section on what a pipeline or a module cites, or nothing."""
    entries = [bibtex([key]) for key in keys]
    if not entries:
        return ""
    words = "\n".join(f"- {_in_words(entry)}" for entry in entries)
    block = "\n\n".join(entries)
    indented = "\n".join(f"    {line}".rstrip() for line in f"```bibtex\n{block}\n```".split("\n"))
    return f'## Citation\n\n{words}\n\n??? quote "BibTeX"\n{indented}\n'


def _in_words(entry: str) -> str:
    """Authors, title, journal, as HTML on one line; TeX's `$\\ell_2$` becomes l2."""
    page = format_from_string(
        re.sub(r"\$\\ell_(\d)\$", r"l\1", entry), "plain", output_backend="html"
    )
    found = re.search(r"<dd>(.*?)</dd>", page, re.DOTALL)
    assert found is not None, entry
    return " ".join(re.sub(r"</?span[^>]*>", "", found[1]).split())
