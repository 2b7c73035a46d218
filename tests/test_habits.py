"""What the files around the code promise: the version that is cited, the commands that CI calls."""

import ast
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import pnp
from pnp.extras import DISTRIBUTION

ROOT = Path(__file__).parent.parent


def test_all_files_name_this_version_and_the_distribution():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["version"]) == (DISTRIBUTION, pnp.__version__)
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == pnp.__version__
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == pnp.__version__


def test_hosted_ci_calls_targets_that_exist_and_the_pythons_that_are_supported():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    makefile = (ROOT / "Makefile").read_text()
    commands = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    targets = {target for run in commands for target in re.findall(r"make (\w+)", run)}
    assert {"test", "long"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert all(f"Python :: {version}" in pyproject for version in versions)
    assert f'requires-python = ">={versions[0]}"' in pyproject


KINDS = ["solvers", "priors", "initializers", "estimators", "transforms"]


@pytest.mark.parametrize("kind", KINDS)
def test_modules_do_not_import_modules_of_another_kind(kind):
    files = sorted((ROOT / "pnp" / kind).glob("*.py"))
    assert files
    others = "|".join(other for other in KINDS if other != kind)
    for file in files:
        found = re.search(rf"^\s*(from|import) pnp\.({others})\b.*", file.read_text(), re.MULTILINE)
        assert not found, f"{file.name}: {found[0]}"


def test_the_page_on_the_architecture_names_every_file():
    page = (ROOT / "docs/architecture.md").read_text()
    for folder in ("pnp", "pnp/commands", "pnp/comparing", "pnp/language", "pnp/training"):
        for file in (ROOT / folder).glob("[a-z]*.py"):
            assert re.search(rf"(?<![\w/]){file.name}\b", page), f"{folder}/{file.name}"


def test_only_commands_print():
    """What the rest of the package has to say goes to the logger `pnp`, or is a warning."""
    for folder in ("pnp", "solvers", "priors"):
        for file in (ROOT / folder).rglob("*.py"):
            if "commands" in file.parts or file.name == "cli.py":
                continue
            calls = (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call))
            assert not any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls), (
                file
            )


def test_files_and_functions_are_short():
    for folder in ("pnp", "solvers", "priors", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert text.count("\n") <= 350, file
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef):
                    length = (node.end_lineno or 0) - node.lineno + 1
                    assert length <= 60, f"{file}: {node.name} has {length} lines"


def test_no_public_name_is_that_of_a_file():
    """Python puts an imported file into the package, where it would hide the public object."""
    files = {module.name for module in pkgutil.iter_modules(pnp.__path__)}
    assert not files & (set(pnp.__all__) - set(pnp._MODULES))
