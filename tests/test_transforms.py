"""The transforms: cropped kernels, and the spellings that transforms had before."""

import copy
import warnings
from pathlib import Path

import pytest
import torch

import pnp
from pnp.errors import OldSpelling
from pnp.registry import REGISTRIES
from pnp.training.recipe_reader import load_recipe
from pnp.training.run_folder import Checkpoint, Run

# ---------------------------------------------------------------- crop


@pytest.mark.parametrize(("full", "size"), [((32, 31), 21), ((9, 12), 8), ((8, 8), 8), ((7, 6), 1)])
def test_crop_keeps_the_centre_at_half_the_size(full, size):
    k = torch.zeros(2, 1, *full)
    k[..., full[0] // 2, full[1] // 2] = 1
    cropped = pnp.transforms.build("crop", size=size)(k)
    assert cropped.shape == (2, 1, size, size)
    assert (cropped[..., size // 2, size // 2] == 1).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [("crop", {"size": 0}, "crop: size is 0")],
)
def test_bad_options_are_one_clear_error(name, options, message):
    with pytest.raises(pnp.PnpError, match=message):
        pnp.transforms.build(name, **options)


def test_crop_refuses_a_kernel_that_is_too_small():
    with pytest.raises(pnp.PnpError, match="crop: the kernel is 9 x 9, smaller than size 21"):
        pnp.transforms.build("crop")(torch.ones(1, 1, 9, 9))


# ---------------------------------------------------------------- spellings of the release before

OLD = """\
given: [y, s = 1, k, sigma]
modules:
  S: {initializer: bicubic-down}
  C: {prior: crop, size: 3}
  K: {solver: kernel-corrector, size: 3, features: 1}
  F: {solver: flow-kernel, size: 3, width: 1, steps: 1}
  P: {prior: flow-kernel, size: 3, width: 1, steps: 1}
after:
  - k = C(k)
  - k = K(y, y, k)
return: [y, k]
"""
MOVED = [
    ("initializer", "bicubic-down", 3, "S"),
    ("prior", "crop", 4, "C"),
    ("solver", "kernel-corrector", 5, "K"),
    ("solver", "flow-kernel", 6, "F"),
]


@pytest.fixture
def old(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.yaml").write_text(OLD)
    return "old.yaml"


def expected(word, name, line, symbol):
    written = OLD.splitlines()[line - 1].strip()
    return (
        f"old.yaml:{line}: {symbol}: '{word}: {name}' will not be read by the next release\n"
        f"    {line} | {written}\n"
        f"      = write '{symbol}: {{transform: {name}}}'"
    )


def test_old_spellings_are_read_with_a_warning_for_each_line(old):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        pipeline = pnp.load(old, random_weights=True)
    assert [str(w.message) for w in seen] == [expected(*moved) for moved in MOVED]
    assert all(w.category is OldSpelling for w in seen)
    y, k = torch.rand(1, 3, 8, 8), torch.ones(1, 1, 5, 5) / 25
    assert pipeline(y=y, k=k, sigma=0.1).k.shape == (1, 1, 3, 3)
    new = OLD
    for word, name, _, _ in MOVED:
        new = new.replace(f"{word}: {name}", f"transform: {name}")
    Path(old).write_text(new)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = pnp.load(old, random_weights=True)
    for symbol in pipeline.parts:
        assert type(getattr(again, symbol)) is type(getattr(pipeline, symbol))


def test_a_command_warns_once_for_each_line_on_stderr(old, capsys):
    from pnp.cli import main

    for _ in range(2):
        assert main(["show", old]) == 0
        out, err = capsys.readouterr()
        assert err == "".join(f"warning: {expected(*moved)}\n" for moved in MOVED)
        assert "warning" not in out


@pytest.mark.parametrize(("word", "name"), [moved[:2] for moved in MOVED])
def test_the_old_registries_still_build_what_became_a_transform(word, name):
    registry = REGISTRIES[word]
    with pytest.warns(OldSpelling) as seen:
        built = registry.build(name)
    assert type(built) is REGISTRIES["transform"].get(name)
    message = (
        f"{registry.package}: '{name}' is a transform now; write pnp.transforms.build('{name}')"
    )
    assert [str(w.message) for w in seen] == [message]
    assert seen[0].filename == __file__
    assert name not in registry.names()


def test_a_checkpoint_written_before_is_resumed():
    recipe = load_recipe("bisrnet")
    identity = copy.deepcopy(recipe.identity())
    identity["modules"]["C"]["solver"] = identity["modules"]["C"].pop("transform")
    Run._same(Checkpoint(Path("checkpoint"), {}, {}, {"recipe": identity}), recipe)


def test_a_solver_that_is_not_exact_is_told_to_be_a_transform(monkeypatch):
    solver = REGISTRIES["solver"]
    monkeypatch.setattr(solver, "_classes", dict(solver._classes))
    with pytest.warns(
        OldSpelling, match=r"test_transforms.py:\d+: 'rough' sets `exact`.* pnp.Transform"
    ):

        @solver("rough")
        class Rough(pnp.DataSolver):
            exact = False

            def forward(self, y: pnp.Image, x: pnp.Image, k: pnp.Kernel) -> pnp.Kernel:
                return k


def test_no_gradient_passes_stop_gradient():
    k = torch.rand(1, 1, 5, 5, requires_grad=True)
    stopped = pnp.transforms.build("stop-gradient")(k)
    assert torch.equal(stopped, k) and not stopped.requires_grad
