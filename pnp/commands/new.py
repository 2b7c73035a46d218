"""`pnp new KIND NAME`: a package with one module, its test and a pipeline, to be changed."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from pathlib import Path

from pnp.commands.templates import MODULES, PIPELINES, PYPROJECT, TESTS
from pnp.errors import PnpError
from pnp.files import hidden_folder
from pnp.registry import REGISTRIES


def new_package(kind: str, name: str, parent: Path | None = None) -> list[Path]:
    """Write the folder `name` with a package for a module of a kind; the files, first its folder.

    Args:
        kind: "solver", "prior", "initializer", "estimator" or "transform".
        name: The name of the package and of its module's file: small letters, digits and
            underscores.  The module is registered with hyphens in their place.
        parent: Where the folder is made; the current folder unless given.

    Raises:
        PnpError: The name cannot be imported, is taken, or there is such a file or folder.
    """
    registered = _checked(kind, name)
    folder = (parent or Path()) / name
    if folder.exists() or folder.is_symlink():
        raise PnpError(f"{folder}: exists, and nothing is overwritten; choose another name")
    words = {
        "NAME": name,
        "REGISTERED": registered,
        "CLASS": "".join(part.capitalize() for part in name.split("_")),
        "KIND": kind,
    }
    texts = {
        "pyproject.toml": PYPROJECT,
        f"{name}/__init__.py": '"""The REGISTERED package."""\n',
        f"{name}/{name}.py": MODULES[kind],
        f"{name}/try-{registered}.yaml": PIPELINES[kind],
        f"test_{name}.py": TESTS[kind],
    }
    try:
        with hidden_folder(folder.parent) as hidden:
            for file, text in texts.items():
                path = hidden / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_filled(text, words), encoding="utf-8")
            (hidden / name).rename(folder)
    except OSError as e:
        raise PnpError(f"{folder}: cannot be written: {e.strerror or e}") from e
    return [folder, *(folder / file for file in texts)]


def told(kind: str, files: list[Path]) -> str:
    """What was written, and what can be done with it."""
    folder, *written = files
    module = next(f for f in written if f.parent.name == f.stem)
    pipeline = next(f for f in written if f.suffix == ".yaml")
    lines = [*map(str, written), "", "next:"]
    if importlib.util.find_spec("pytest") is None:
        lines.append("  pip install pytest")
    lines += [
        f"  python -m pytest {folder}",
        f"  pnp list {kind}s --plugin {module}",
        f"  pnp run {pipeline} PHOTO -k gaussian:1.6 --plugin {module}",
        f"  pip install -e {folder}    # then: pnp run {pipeline.stem} PHOTO -k gaussian:1.6",
    ]
    return "\n".join(lines)


def _checked(kind: str, name: str) -> str:
    """The name under which the module is registered; PnpError for a name that will not do."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        almost = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        fits = re.fullmatch(r"[a-z][a-z0-9_]*", almost) and not keyword.iskeyword(almost)
        cure = f"write {almost}" if fits else "write small letters, digits and underscores"
        raise PnpError(f"'{name}' cannot be the name of a Python module; {cure}")
    registered = name.replace("_", "-")
    if registered in REGISTRIES[kind].names():
        raise PnpError(f"there is a {kind} called '{registered}'; choose another name")
    if name in sys.stdlib_module_names or _is_installed(name):
        raise PnpError(f"there is a Python package called '{name}'; choose another name")
    return registered


def _is_installed(name: str) -> bool:
    """True for a name that is imported from elsewhere; folders without code do not count."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub("|".join(words), lambda match: words[match[0]], text)
