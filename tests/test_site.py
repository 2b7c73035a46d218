"""The documentation site: every page is in its navigation, examples run, nothing is fetched."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cost
import pytest
from api_pages import api_pages
from example_pages import ORDER, SCRIPTS, run
from links import PAGES, Site

from pnp.building import build
from pnp.language.reader import PIPELINES, read_spec
from pnp.registry import REGISTRIES

ROOT = Path(__file__).parent.parent
NAVIGATION = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
EXTRA = ("mkdocs", "material", "mkdocstrings", "pybtex", "latex2mathml")
with_the_extra = pytest.mark.skipif(
    any(find_spec(package) is None for package in EXTRA),
    reason="the site needs the extra docs: pip install '.[docs]'",
)


def test_the_navigation_names_every_page_and_every_example():
    docs = ROOT / "docs"
    written = {p.relative_to(docs).as_posix() for p in docs.rglob("*.md")} | set(PAGES.values())
    examples = {f"examples/{p.stem}.md" for p in SCRIPTS.glob("*.py")}
    named = re.findall(r"[\w/.-]+\.md\b", NAVIGATION)
    assert {f"examples/{name}.md" for name in ORDER} == examples
    generated = {"examples/index.md", "modules/index.md"}
    assert sorted(named) == sorted(written | examples | generated)


def test_links_of_the_repository_become_links_of_the_site():
    class Files:
        def get_file_from_path(self, _):
            return True  # so that no page of a source is made

    site = Site(Files(), None)
    cases = {
        ("README.md", "[a](docs/results.md#x)"): "[a](results.md#x)",
        ("docs/training.md", "[a](../pipelines/dpir.yaml)"): "[a](pipelines/dpir.md)",
        ("docs/decisions/README.md", "[a](../../README.md)"): "[a](../index.md)",
        ("docs/training.md", "[a](../pnp/cost.py)"): "[a](source/pnp/cost.py.md)",
        ("README.md", "[a](https://b.c/d) [e](#f) `[g](h.md)`"): None,
        ("README.md", "```yaml fragment\n[a](docs/results.md)\n```"): (
            "```yaml\n[a](docs/results.md)\n```"
        ),
    }
    for (path, text), expected in cases.items():
        page = PAGES.get(path, path.removeprefix("docs/"))
        assert site.converted(text, page, path) == (expected or text)


def test_every_public_name_is_on_a_page_of_the_api():
    api_pages()  # it asserts that


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == "restore" else pytest.mark.long) for n in ORDER]
)
def test_examples_run_and_draw(name, tmp_path):
    cells = run(SCRIPTS / f"{name}.py", tmp_path)
    drawn = [figure for cell in cells for figure in cell["figures"]]
    assert drawn and sorted(drawn) == sorted(p.name for p in tmp_path.iterdir())
    printed = "\n".join(cell["printed"] for cell in cells)
    if name == "restore":
        before, after = (float(d) for d in re.findall(r"([\d.]+) dB", printed))
        assert after > before + 1


def test_costs_on_the_pages_are_those_of_the_pipelines():
    rows = cost.read()
    assert set(rows) <= set(PIPELINES.names())
    written, measured = rows["denoise"], cost.measured("denoise")
    for row in (*written, *measured):
        del row["memory_mb"]  # another PyTorch may need more or less
    assert written == measured


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(cost.read()))
def test_parameters_on_the_pages_are_those_of_the_pipelines(name):
    parts = build(read_spec(name), random_weights=True).parts
    counted = {symbol: sum(p.numel() for p in m.parameters()) for symbol, m in parts.items()}
    assert {row["module"]: int(row["parameters"]) for row in cost.read()[name]} == counted


@with_the_extra
@pytest.mark.long
def test_the_site_is_built_without_warnings_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    silent = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | silent, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    for name in PIPELINES.names():
        assert (tmp_path / f"pipelines/{name}.html").is_file()
    for role, registry in REGISTRIES.items():
        for name in (n for n in registry.names() if registry.get(n).__module__.startswith("pnp.")):
            assert (tmp_path / f"modules/{role}s/{name}.html").is_file()
    loaded = r'<(?:script|img|iframe)[^>]* src="https?:|<link[^>]*stylesheet[^>]*href="https?:'
    for page in tmp_path.rglob("*.html"):
        assert not re.search(loaded, page.read_text()), page
