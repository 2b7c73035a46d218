"""The examples, docs/examples/*.py, as pages: prose, code, what the code prints, figures.

The docstring of a script is the head of its page.  `# %%` begins a cell: comments that follow it at
once are Markdown, the rest is executed.  `plt.show()` puts the figure into the page.  Results are
kept in out/site until the script or the package changes.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import json
import os
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

from links import ROOT, Pages

SCRIPTS, KEPT = ROOT / "docs" / "examples", ROOT / "out" / "site"
ORDER = ("restore", "prior", "compose", "compare", "train")
_SOURCES = ("pnp", "solvers", "priors", "pipelines")


def example_pages() -> Pages:
    """The pages, figures included, and the overview."""
    pages: Pages = {}
    cards = []
    sources = [f for s in _SOURCES for t in ("py", "yaml") for f in (ROOT / s).rglob(f"*.{t}")]
    state = _digest([*sources, Path(__file__)])
    for name in ORDER:
        cells = _executed(SCRIPTS / f"{name}.py", state)
        head, about = cells[0]["prose"].split("\n\n", 1)
        pages[f"examples/{name}.md"] = (_page(name, cells), f"docs/examples/{name}.md")
        picture = next(f for c in cells for f in c["figures"])
        title, summary = head.removeprefix("# "), " ".join(about.split("\n\n")[0].split())
        cards.append(f"[![{title}]({picture})]({name}.md)\n\n**[{title}]({name}.md)**\n\n{summary}")
    gallery = "\n\n".join(f"<div markdown>\n\n{card}\n\n</div>" for card in cards)
    text = f'# Examples\n\n{_INDEX}\n<div class="gallery" markdown>\n\n{gallery}\n\n</div>\n'
    return {"examples/index.md": (text, "docs/examples/index.md"), **pages}


_INDEX = """\
Each page is a script that ran when this site was built, in less than a minute on one core.
The scripts use photographs that come with scikit-image.
"""


def figures() -> dict[str, bytes]:
    """The pictures of all examples by their place in the site."""
    return {f"examples/{f.name}": f.read_bytes() for f in sorted(KEPT.glob("*.png"))}


def _digest(files: Any) -> str:
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(file.read_bytes())
    return found.hexdigest()


def _page(name: str, cells: list[dict[str, Any]]) -> str:
    parts = []
    for cell in cells:
        parts.append(cell["prose"])
        if cell["code"]:
            parts.append(f"```python\n{cell['code']}\n```")
        if cell["printed"]:
            parts.append(f'```text title="Printed"\n{cell["printed"]}\n```')
        parts += [f"![Figure of the code above]({figure})" for figure in cell["figures"]]
    parts.append(f"The script: [docs/examples/{name}.py]({name}.py)")
    return "\n\n".join(filter(None, parts))


def _executed(script: Path, state: str) -> list[dict[str, Any]]:
    """The cells of a script with what they print and draw, from out/site if nothing changed."""
    key = hashlib.sha256(state.encode() + script.read_bytes()).hexdigest()
    kept = KEPT / f"{script.stem}.json"
    if kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["key"] == key:
            return found["cells"]
    print(f"running docs/examples/{script.name}", flush=True)
    cells = run(script, KEPT)
    kept.write_text(json.dumps({"key": key, "cells": cells}), encoding="utf-8")
    return cells


def run(script: Path, folder: Path) -> list[dict[str, Any]]:
    """Execute a script cell by cell in an empty working folder; figures go to `folder`."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    cells = cells_of(script.read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    drawn: list[str] = []

    def show() -> None:
        for number in plt.get_fignums():
            name = f"{script.stem}-{len(drawn) + 1}.png"
            plt.figure(number).savefig(folder / name, dpi=110, bbox_inches="tight")
            drawn.append(name)
        plt.close("all")

    here, shown = os.getcwd(), plt.show
    with tempfile.TemporaryDirectory() as working, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(working)
        plt.show = show  # type: ignore[assignment]
        try:
            for cell in cells:
                before, printed = len(drawn), io.StringIO()
                with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
                    lines = "\n" * cell["line"] + cell["code"]  # for messages
                    exec(compile(lines, str(script), "exec"), namespace)
                cell["printed"] = printed.getvalue().rstrip().replace(working, "")
                cell["figures"] = drawn[before:]
        finally:
            plt.show = shown
            os.chdir(here)
    return cells


def cells_of(text: str) -> list[dict[str, Any]]:
    """The docstring as the first cell, then the parts between `# %%` lines: prose and code."""
    cells = [{"prose": ast.get_docstring(ast.parse(text)) or "", "code": "", "line": 0}]
    for mark in re.finditer(r"^# %%\n((?:#[^\n]*\n)*)\n*(.*?)(?=^# %%\n|\Z)", text, re.M | re.S):
        prose = re.sub(r"^# ?", "", mark[1], flags=re.MULTILINE).strip()
        line = text.count("\n", 0, mark.start(2))
        cells.append({"prose": prose, "code": mark[2].rstrip(), "line": line})
    return cells
