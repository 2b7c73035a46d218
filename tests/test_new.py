"""pnp new: what it writes passes its own test, runs, and is what an installation registers."""

import importlib.util
import sys
import tomllib

import pytest
import torch

from pnp.cli import main
from pnp.commands.arguments import KINDS
from pnp.commands.explain import read_docstring
from pnp.commands.new import new_package, told
from pnp.errors import PnpError
from pnp.images import write_image
from pnp.interfaces import Module
from pnp.options import options_of
from pnp.registry import REGISTRIES


@pytest.fixture
def registries(monkeypatch):
    for registry in REGISTRIES.values():
        registry.names()
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))


@pytest.fixture
def write(tmp_path, monkeypatch, registries):
    """Writes a package `my_module`, which can be imported until the end of the test."""

    def write(kind):
        folder, *_ = new_package(kind, "my_module", tmp_path)
        monkeypatch.syspath_prepend(folder)
        return folder

    yield write
    for name in ("my_module", "my_module.my_module"):
        sys.modules.pop(name, None)


def test_the_kinds_are_those_of_the_registries():
    assert set(KINDS) == set(REGISTRIES)


@pytest.mark.parametrize("kind", KINDS)
def test_the_written_test_passes(kind, write):
    folder = write(kind)
    spec = importlib.util.spec_from_file_location("written", folder / "test_my_module.py")
    assert spec is not None and spec.loader is not None
    written = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(written)
    tests = [f for name, f in vars(written).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


@pytest.mark.parametrize("kind", KINDS)
def test_the_written_entry_points_lead_to_the_module_and_the_pipeline(kind, write):
    folder = write(kind)
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]
    module, _, name = points[f"pnp.{kind}s"]["my-module"].partition(":")
    cls = getattr(importlib.import_module(module), name)
    assert REGISTRIES[kind].get("my-module") is cls and issubclass(cls, Module)
    package = importlib.import_module(points["pnp.pipelines"]["my-module"])
    assert package.__path__[0] == str(folder / "my_module")
    assert [*(folder / "my_module").glob("*.yaml")]
    assert set(read_docstring(cls).options) == set(options_of(cls))
    assert "Returns" in read_docstring(cls).sections


@pytest.mark.parametrize("kind", KINDS)
def test_the_written_pipeline_runs(kind, tmp_path, monkeypatch, capsys, registries):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "photo.png", torch.rand(1, 3, 12, 10))
    assert main(["new", kind, "my_module"]) == 0
    lines = capsys.readouterr().out.splitlines()
    command = next(line for line in lines if line.startswith("  pnp run my_module"))
    words = [{"PHOTO": "photo.png"}.get(word, word) for word in command.split()[1:]]
    assert main([*words, "--set", "repeat=2", "-o", "out", "--sigma", "2%"]) == 0
    assert (tmp_path / "out/photo_x1.png").is_file()
    assert main(["list", f"{kind}s", *words[-2:]]) == 0
    assert "  my-module " in capsys.readouterr().out


@pytest.mark.parametrize("installed", [True, False])
def test_pytest_is_mentioned_where_it_is_missing(installed, tmp_path, monkeypatch):
    files = new_package("prior", "my_module", tmp_path)
    found = importlib.util.find_spec
    missing = set() if installed else {"pytest"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else found(name)
    )
    assert ("pip install pytest" in told("prior", files)) is not installed


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my-prior", "cannot be the name of a Python module; write my_prior"),
        ("MyPrior", "cannot be the name of a Python module; write myprior"),
        ("class", "cannot be the name of a Python module; write small letters"),
        ("2x", "cannot be the name of a Python module; write small letters"),
        ("../up", "cannot be the name of a Python module; write up"),
        ("a__b", "cannot be the name of a Python module; write a_b"),
        ("tv", "there is a prior called 'tv'"),
        ("unit_sum", "there is a prior called 'unit-sum'"),
        ("json", "there is a Python package called 'json'"),
        ("torch", "there is a Python package called 'torch'"),
    ],
)
def test_names_that_will_not_do(name, said, tmp_path):
    with pytest.raises(PnpError, match=said):
        new_package("prior", name, tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_nothing_is_overwritten(what, tmp_path):
    there = tmp_path / "mine"
    if what == "file":
        there.write_text("kept")
    elif what == "folder":
        there.mkdir()
    else:
        there.symlink_to("nowhere")
    with pytest.raises(PnpError, match="mine: exists, and nothing is overwritten"):
        new_package("prior", "mine", tmp_path)
    assert [*tmp_path.iterdir()] == [there]
    assert what != "file" or there.read_text() == "kept"


def test_a_folder_that_is_not_there_is_one_message(tmp_path):
    with pytest.raises(PnpError, match="cannot be written: No such file or directory"):
        new_package("prior", "mine", tmp_path / "missing")
