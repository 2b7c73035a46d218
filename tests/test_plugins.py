"""A plugin that cannot be imported is left out, with one note; what needs it says why it is missing."""

import textwrap
from typing import Any

import numpy as np
import pytest
import torch

import pnp
from pnp.cli import main
from pnp.errors import Notice, PnpError
from pnp.images import write_image
from pnp.interfaces import Image, Level, Prior
from pnp.language.reader import read_spec
from pnp.registry import REGISTRIES

MODULES = """
    from pnp import Image, Level, Prior, prior, initializer

    @prior("half-made")
    class HalfMade(Prior):
        '''Registered before its file fails.'''

        def forward(self, x: Image, level: Level | None = None) -> Image:
            return x

    {fault}
"""
POINTS = """
    [pnp.priors]
    broken-prior = {package}.modules:HalfMade

    [pnp.solvers]
    broken-solver = {package}.modules:Another

    [pnp.pipelines]
    broken = {package}
"""
PIPELINE = """
    about: A pipeline of the broken plugin
    extends: hqs-tv
    modules:
      P: {prior: broken-prior}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Leaves a package as an installation does, and forgets what was discovered before."""

    def install(fault, package):
        site = tmp_path / "site"
        info, folder = site / f"{package}-1.0.dist-info", site / package
        info.mkdir(parents=True)
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        (info / "METADATA").write_text(text)
        (info / "entry_points.txt").write_text(textwrap.dedent(POINTS.format(package=package)))
        (folder / "__init__.py").touch()
        (folder / "modules.py").write_text(textwrap.dedent(MODULES).format(fault=fault))
        (folder / f"{package.replace('_', '-')}.yaml").write_text(textwrap.dedent(PIPELINE))
        for registry in REGISTRIES.values():
            registry.names()
            monkeypatch.setattr(registry, "_classes", dict(registry._classes))
        for registry in REGISTRIES.values():
            monkeypatch.setattr(registry, "_discovered", False)
        monkeypatch.setattr("pnp.plugins._BROKEN", {})
        monkeypatch.syspath_prepend(site)

    return install


@pytest.mark.parametrize(
    ("fault", "package", "why"),
    [
        ("import missing_package", "lacks_one", "ModuleNotFoundError: No module named 'missing_"),
        ("def", "wrong_syntax", "SyntaxError: invalid syntax"),
        ("1 / 0", "divides", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "ends", "SystemExit: 3"),
        ("prior('bad')(int)", "bad_class", "'bad' is registered as a prior, so it must derive"),
    ],
)
def test_it_is_named_once_and_left_out(fault, package, why, install, tmp_path, capsys):
    install(fault, package)
    with pytest.warns(Notice) as caught:
        names = {role: registry.names() for role, registry in REGISTRIES.items()}
    (note,) = (str(w.message) for w in caught)
    assert note.startswith(f"plugin {package} is left out: ") and why in note
    assert note.endswith(f"repair {package}, or uninstall it")
    assert "tv" in names["prior"] and "fft-image" in names["solver"]
    assert not {"half-made", "broken-prior", "broken-solver"} & {
        n for r in names.values() for n in r
    }


def test_commands_that_do_not_need_it_go_on(install, tmp_path, capsys):
    install("import missing_package", "goes_on")
    write_image(tmp_path / "y.png", torch.rand(1, 3, 12, 10))
    np.save(tmp_path / "k.npy", np.full((3, 3), 1 / 9))
    words = [str(tmp_path / "y.png"), "-k", str(tmp_path / "k.npy"), "-o", str(tmp_path / "out")]
    assert main(["run", "hqs-tv", *words, "--set", "repeat=2"]) == 0
    assert capsys.readouterr().err.count("note: plugin goes_on is left out: ") == 1
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "  goes-on " in said and "cannot be read; pnp check goes-on says why" in said
    assert "  usrnet-small " in said and "  tv " in said


@pytest.mark.filterwarnings("ignore::pnp.errors.Notice")
def test_what_names_its_modules_is_told_why_they_are_missing(install, capsys):
    install("import missing_package", "needed")
    why = "plugin needed is left out: needed.modules cannot be imported: ModuleNotFoundError: No module named"
    with pytest.raises(PnpError, match=f"'broken-prior'; {why}"):
        pnp.priors.build("broken-prior")
    with pytest.raises(PnpError, match=f"'half-made'; .*priors: .*; {why}"):
        pnp.priors.build("half-made")  # which no entry point names
    with pytest.raises(PnpError, match=f"there is no solver called 'broken-solver'\n.*{why}"):
        read_spec("hqs-tv", assignments=["modules.D={solver: broken-solver}"])
    assert main(["check", "needed"]) == 1
    said = capsys.readouterr().err
    assert (
        "there is no prior called 'broken-prior'" in said and "plugin needed is left out: " in said
    )
    for words in (["show", "broken-prior"], ["list", "broken-solver"]):
        assert main(words) == 1
        assert why in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pnp.errors.Notice")
def test_without_a_broken_plugin_messages_are_as_before(monkeypatch):
    monkeypatch.setattr("pnp.plugins._BROKEN", {})
    with pytest.raises(PnpError, match=r"^there is no prior called 'tvv'; did you mean 'tv'\?"):
        pnp.priors.build("tvv")


def test_an_option_may_be_called_name(monkeypatch):
    class Named(Prior):
        """Keeps the image."""

        def __init__(self, name: str = "nobody", self_: int = 0, role: str = ""):
            super().__init__()
            self.given: Any = (name, role)

        def forward(self, x: Image, level: Level | None = None) -> Image:
            return x

    prior = REGISTRIES["prior"]
    prior.names()
    monkeypatch.setattr(prior, "_classes", dict(prior._classes))
    prior("named")(Named)
    assert pnp.priors.build("named", name="somebody", role="any").given == ("somebody", "any")
    changes: Any = {"modules.P": {"prior": "named", "name": "else"}}
    pipeline: Any = pnp.load("hqs-tv", **changes)
    assert pipeline.P.given == ("else", "")
    pipeline = pnp.load("hqs-tv", **changes | {"modules.P.name": "third"})
    assert pipeline.P.given == ("third", "")
