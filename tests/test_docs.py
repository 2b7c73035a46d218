"""Every snippet of the documentation is run, and every link in it leads somewhere.

A block of Markdown says in its info string what it is:

    yaml                a whole pipeline: it is parsed and checked, its modules are built
    yaml NAME.yaml      the same, and written to the working folder under that name
    yaml fragment       part of a file: it must be readable
    yaml wrong NAME     a pipeline with mistakes; the next `text` block is what pnp says of it
    python              executed, in one namespace per document
    python NAME.py      written to the working folder, a plugin
    toml                readable
    LANGUAGE with NAME  only if the package NAME is installed
    sh                  each line that begins with `pnp` is a command line that pnp understands
"""

import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from pnp.building import build
from pnp.cli import _parser
from pnp.document import read_text
from pnp.errors import PnpError
from pnp.language.reader import read_spec
from pnp.protocols import PROTOCOLS
from pnp.registry import REGISTRIES

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
)
LANGUAGES = {"yaml", "python", "toml", "sh", "text", "bibtex"}

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix()
)


def blocks(document):
    """(language, rest of the info string, text) of each fenced block."""
    for info, text in re.findall(r"^```([^\n]*)\n(.*?)^```$", document.read_text(), re.M | re.S):
        language, _, rest = info.partition(" ")
        yield language, rest.strip(), text


def said_of(name):
    with pytest.raises(PnpError) as caught:
        build(read_spec(name), random_weights=True)
    priors = ", ".join(REGISTRIES["prior"].names())
    return str(caught.value).replace(priors, "PRIORS") + "\n"


@every_document
def test_snippets(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for registry in REGISTRIES.values():
        registry.names()
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    monkeypatch.setattr("pnp.protocols.PROTOCOLS", dict(PROTOCOLS))
    torch.manual_seed(0)
    namespace = {"__name__": "snippet"}
    expected = None
    for language, rest, text in blocks(document):
        assert language in LANGUAGES, f"a block of {document.name} is {language or 'nameless'}"
        if rest.startswith("with "):
            package, _, rest = rest.removeprefix("with ").partition(" ")
            if find_spec(package) is None:
                continue
        if language == "yaml" and rest == "fragment":
            read_text(text, "fragment")
        elif language == "yaml":
            wrong, name = rest.startswith("wrong "), rest.removeprefix("wrong ") or "snippet.yaml"
            Path(name).write_text(text)
            if wrong:
                expected = said_of(name)
            else:
                build(read_spec(name), random_weights=True)
        elif language == "text" and expected is not None:
            assert text == expected
            expected = None
        elif language == "toml":
            tomllib.loads(text)
        elif language == "sh":
            for line in re.sub(r"\\\n", " ", text).splitlines():
                if line.startswith("pnp "):
                    command = line.partition(" > ")[0]
                    _parser().parse_args(shlex.split(command, comments=True)[1:])
        elif language == "python" and rest:
            Path(rest).write_text(text)
        elif language == "python":
            # With a name of its own in sys.modules, classes that are defined in a snippet can be
            # registered.
            exec(
                compile("from __future__ import annotations\n" + text, f"{document.name}", "exec"),
                namespace,
            )


@every_document
def test_links(document):
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for target in targets:
        path = target.partition("#")[0]
        if path and not re.match(r"[a-z]+:", target):
            assert (document.parent / path).exists(), f"{document.name} links to {target}"


def test_the_pipeline_on_the_first_screen_of_the_readme_runs_as_installed(tmp_path):
    text = next(t for word, rest, t in blocks(ROOT / "README.md") if (word, rest) == ("yaml", ""))
    (tmp_path / "mine.yaml").write_text(text)
    build(read_spec(str(tmp_path / "mine.yaml")))  # with the weights that it names


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text())
        waiting += [(page.parent / link).resolve() for link in links if ":" not in link]
    assert {p.resolve() for p in DOCUMENTS} <= reached


def test_the_docs_name_modules_and_pipelines_that_exist():
    """Words in code style right after a kind (`solver: x`) are names of the registry."""
    for document in DOCUMENTS:
        for word, name in re.findall(
            r"\{(solver|prior|initializer|estimator|transform): ([a-z0-9-]+)", document.read_text()
        ):
            known = [*REGISTRIES[word].names(), "scunett", "mine", "box", "three-layers"]
            known.append("mean-of-neighbours")
            assert name in known, f"{document.name}: there is no {word} called {name}"
