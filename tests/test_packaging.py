"""What is built and installed: one top-level package with all of its files, and plugins found by their entry points."""

import importlib
import os
import shutil
import subprocess
import sys
import tarfile
import textwrap
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pnp.cli import main
from pnp.images import write_image
from pnp.registry import REGISTRIES
from pnp.testing import (
    check_estimator,
    check_initializer,
    check_prior,
    check_solver,
    check_transform,
)

ROOT = Path(__file__).parent.parent
FOLDERS = {
    "pnp": "pnp",
    "solvers": "pnp/solvers",
    "priors": "pnp/priors",
    "pipelines": "pnp/pipelines",
}
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
OFFLINE = ["--no-deps", "--no-index", "--no-build-isolation"]


def call(*command, cwd, path=None, status=0):
    """Run a command; its output.  `path` is all that is added to the interpreter's own packages."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if status == 0 else done.stderr


def pnp(*arguments, **keywords):
    return call(sys.executable, "-m", "pnp", *arguments, **keywords)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the project's source, so that building leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("source") / "pnp"
    ignore = shutil.ignore_patterns(
        "__pycache__", "*.egg-info", ".*", "build", "dist", "out", "results", "img"
    )
    shutil.copytree(ROOT, folder, ignore=ignore, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    call(*PIP, "wheel", *OFFLINE, "-w", out, source, cwd=out)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("installed")
    call(*PIP, "install", *OFFLINE, "--target", target, wheel, cwd=target)
    return target


@pytest.fixture(scope="module")
def plugin(source, tmp_path_factory):
    target = tmp_path_factory.mktemp("plugin")
    call(*PIP, "install", *OFFLINE, "--target", target, source / "tests" / "plugin", cwd=target)
    return target


@pytest.fixture
def photograph(tmp_path):
    write_image(tmp_path / "photograph.png", torch.rand(1, 3, 12, 10))
    np.save(tmp_path / "kernel.npy", np.full((3, 3), 1 / 9))
    return tmp_path / "photograph.png"


def files_of_the_package():
    """Every file below the four folders, as it is named once installed."""
    for folder, inside in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.relative_to(ROOT).parts:
                yield f"{inside}/{path.relative_to(ROOT / folder).as_posix()}"


def test_every_folder_of_code_is_in_packages():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    named = {f"pnp.{name}" if name != "pnp" else name for name in FOLDERS} | {
        "pnp.initializers",
        "pnp.estimators",
        "pnp.transforms",
    }
    code = {
        Path(f).parent.as_posix().replace("/", ".")
        for f in files_of_the_package()
        if f.endswith(".py")
    }
    assert set(setuptools["packages"]) == code >= named


def test_the_wheel_holds_one_top_level_package_and_every_file_of_it(wheel):
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if not n.endswith("/")}
    assert {n.split("/")[0] for n in inside if ".dist-info/" not in n} == {"pnp"}
    assert {n for n in inside if ".dist-info/" not in n} == set(files_of_the_package())
    assert {"pnp/py.typed", "pnp/references.bib", "pnp/pipelines/ikrnet.yaml"} <= inside
    assert any(n.endswith("licenses/LICENSE") for n in inside)


def test_the_sdist_holds_every_file_and_builds(source, tmp_path):
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    call(sys.executable, "-c", build, cwd=source)
    archive = next(tmp_path.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    top = next(p for p in tmp_path.iterdir() if p.is_dir())
    expected = {p.relative_to(source) for folder in FOLDERS for p in (source / folder).rglob("*")}
    expected = {p for p in expected if (source / p).is_file()}
    expected |= {Path(name) for name in ("README.md", "LICENSE", "pyproject.toml")}
    assert not {p.as_posix() for p in expected if not (top / p).is_file()}
    call(*PIP, "wheel", *OFFLINE, "-w", tmp_path / "wheels", archive, cwd=tmp_path)
    built = next((tmp_path / "wheels").glob("*.whl"))
    assert set(files_of_the_package()) <= set(zipfile.ZipFile(built).namelist())


def test_installed_it_works_from_anywhere(installed, tmp_path):
    where = "import pnp, pnp.solvers, pnp.priors; print(pnp.__file__, pnp.solvers.__file__, pnp.priors.__file__)"
    for file in call(sys.executable, "-c", where, cwd=tmp_path, path=[installed]).split():
        assert Path(file).is_relative_to(installed)
    assert (installed / "bin" / "pnp").is_file() or (installed / "Scripts").is_dir()


def test_a_checkout_works_without_being_installed(source, tmp_path):
    script = "import pnp, pnp.pipelines; print(pnp.pipelines.__file__)"
    printed = call(sys.executable, "-c", script, cwd=tmp_path, path=[source])
    assert Path(printed.strip()).resolve() == source / "pipelines" / "__init__.py"


def test_a_checkout_without_links_works_too(source, tmp_path):
    """Where links do not survive, git writes text files in their place."""
    shutil.copytree(source, tmp_path / "copy", symlinks=True)
    for link in (tmp_path / "copy" / "pnp").iterdir():
        if link.is_symlink():
            target = str(link.readlink())
            link.unlink()
            link.write_text(target)
    script = "import pnp.pipelines, pnp.solvers.fft_image; print(pnp.pipelines.__file__)"
    printed = call(sys.executable, "-c", script, cwd=tmp_path, path=[tmp_path / "copy"])
    assert Path(printed.strip()) == tmp_path / "copy" / "pipelines" / "__init__.py"


@pytest.mark.parametrize("name", ["pnp", "tests", "benchmarks"])
def test_what_stands_beside_the_package_is_not_inside_it(source, tmp_path, name):
    said = call(sys.executable, "-c", f"import pnp.{name}", cwd=tmp_path, path=[source], status=1)
    assert f"No module named 'pnp.{name}'" in said


def test_help_imports_nothing_heavy(tmp_path):
    script = """
        import sys
        from pnp.cli import main
        for arguments in (["--help"], ["run", "--help"], ["--version"]):
            try:
                main(arguments)
            except SystemExit:
                pass
        import pnp.training
        print([name for name in ("torch", "numpy", "yaml", "skimage", "matplotlib", "tqdm") if name in sys.modules])
    """
    assert call(sys.executable, "-c", textwrap.dedent(script), cwd=tmp_path, path=[ROOT]).endswith(
        "[]\n"
    )


# ---------------------------------------------------------------- plugins


def test_an_installed_plugin_is_there_by_name_beside_what_pnp_has(
    installed, plugin, tmp_path, photograph
):
    path = [installed, plugin]
    listed = pnp("list", cwd=tmp_path, path=path)
    own = ("ikrnet", "fft-image", "resunet", "bicubic", "wavelet-noise")
    for name in (*own, "gradient-image", "box", "grey", "falling", "negative", "example"):
        assert f"  {name} " in listed
    pnp(
        "run",
        "example",
        photograph,
        "-o",
        "out",
        "--scale",
        "2",
        "--kernel",
        "kernel.npy",
        cwd=tmp_path,
        path=path,
    )
    assert (tmp_path / "out" / "photograph_x2.png").is_file()


@pytest.fixture
def modules_of_the_plugin(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests" / "plugin")
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    return importlib.import_module("pnp_example.modules")


def test_a_plugins_modules_keep_the_contract_of_their_kinds(modules_of_the_plugin):
    check_prior(modules_of_the_plugin.Box())
    check_solver(modules_of_the_plugin.GradientImage())
    check_initializer(modules_of_the_plugin.Grey())
    check_estimator(modules_of_the_plugin.Falling())
    check_transform(modules_of_the_plugin.Negative())


def fake_package(folder, name, points, **files):
    """What an installation leaves: modules and metadata with entry points."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(points))
    for file, text in files.items():
        (folder / f"{file}.py").write_text(textwrap.dedent(text))
    return folder


TAKEN = """
    from pnp import Image, Level, Prior, prior

    @prior("tv")
    class Other(Prior):
        '''Claims a name that pnp has.'''

        def forward(self, x: Image, level: Level | None = None) -> Image:
            return x
"""


def messages_in(said: str) -> int:
    """How many messages a text has; long ones are continued on indented lines."""
    return sum(not line.startswith(" ") for line in said.splitlines())


def test_a_plugin_that_claims_a_taken_name_is_refused_with_both_places(installed, tmp_path):
    site = fake_package(tmp_path / "site", "rival", "[pnp.priors]\ntv = rival:Other\n", rival=TAKEN)
    said = pnp("list", "priors", cwd=tmp_path, path=[installed, site], status=1)
    assert messages_in(said) == 1 and "Traceback" not in said
    assert "rival" in said and "two priors are called 'tv'" in said
    assert f"{installed / 'pnp' / 'priors' / 'tv.py'}:" in said and f"{site / 'rival.py'}:" in said


def test_a_pipeline_that_claims_a_taken_name_is_refused_with_both_places(
    installed, plugin, tmp_path
):
    site = fake_package(tmp_path / "site", "twin", "[pnp.pipelines]\ntwin = twin_pipelines\n")
    (site / "twin_pipelines").mkdir()
    (site / "twin_pipelines" / "__init__.py").touch()
    shutil.copy(plugin / "pnp_example" / "example.yaml", site / "twin_pipelines")
    said = pnp("list", "pipelines", cwd=tmp_path, path=[installed, plugin, site], status=1)
    assert messages_in(said) == 1
    assert (
        "two pipelines are called 'example': one in pnp_example, one in twin_pipelines; rename"
        in said
    )


@pytest.mark.parametrize("group", ["pnp.priors", "pnp.pipelines"])
def test_a_plugin_that_cannot_be_imported_is_left_out(installed, tmp_path, group):
    points = f"[{group}]\nbroken = broken{':Thing' if group == 'pnp.priors' else ''}\n"
    site = fake_package(
        tmp_path / "site", "broken-plugin", points, broken="import a_module_that_is_missing\n"
    )
    noun = group.removeprefix("pnp.")
    listed = pnp("list", noun, cwd=tmp_path, path=[installed, site])
    assert listed == pnp("list", noun, cwd=tmp_path, path=[installed])


def test_a_plugin_can_be_a_single_file(installed, tmp_path, photograph):
    text = (
        textwrap.dedent(TAKEN)
        .replace('"tv"', '"mine"')
        .replace("Claims a name that pnp has.", "Does nothing.")
    )
    (tmp_path / "mine.py").write_text(text)
    run = [
        "run",
        "hqs-tv",
        photograph,
        "-o",
        "out",
        "--scale",
        "1",
        "--kernel",
        "kernel.npy",
        "--set",
        "repeat=2",
    ]
    pnp(
        *run,
        "--set",
        "modules.P={prior: mine}",
        "--plugin",
        "mine.py",
        cwd=tmp_path,
        path=[installed],
    )
    assert (tmp_path / "out" / "photograph_x1.png").is_file()


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("missing.py", None, "--plugin missing.py: there is no such file"),
        ("mine.txt", "", "--plugin mine.txt: not a Python file (its name should end in .py)"),
        ("mine.py", "def", "--plugin mine.py: SyntaxError: "),
        ("mine.py", "1 / 0", "--plugin mine.py: ZeroDivisionError: division by zero"),
        (
            "mine.py",
            "from pnp import prior\n@prior('x')\nclass X: pass",
            "so it must derive from pnp.Prior",
        ),
        ("mine.py", TAKEN, "two priors are called 'tv': one in "),
    ],
)
def test_messages_about_plugin_files(tmp_path, monkeypatch, capsys, file, text, expected):
    prior = REGISTRIES["prior"]
    prior.names()
    monkeypatch.setattr(prior, "_classes", dict(prior._classes))
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / file).write_text(textwrap.dedent(text))
    assert main(["list", "priors", "--plugin", file]) == 1
    said = capsys.readouterr().err
    assert expected in said and messages_in(said) == 1


def test_an_editable_installation_is_a_path_that_type_checkers_follow(source, tmp_path):
    call(*PIP, "install", *OFFLINE, "--target", tmp_path / "target", "-e", source, cwd=tmp_path)
    (link,) = (tmp_path / "target").glob("*.pth")
    assert Path(link.read_text().strip()).resolve() == source.resolve()


def test_the_comparisons_of_the_paper_run_where_pnp_is_installed(installed, tmp_path):
    """Without a checkout and without data: descriptions, weights and the template are there."""
    words = ["--small", "--limit", "1", "--keep", "1", "--only", "original", "--device", "cpu"]
    small = ["--set", "data.crop=64", "--set", "kernels.groups={gaussian: ['gaussian:1']}"]
    said = pnp("compare", "table-7", *words, *small, cwd=tmp_path, path=[installed])
    assert "rows.csv (1)" in said
    made = pnp("report", "comparisons/table-7-small", cwd=tmp_path, path=[installed])
    assert (tmp_path / made.strip()).stat().st_size > 10_000
