"""Weights bring the options with which they were trained."""

from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

import pnp
from pnp.building import build
from pnp.checkpoint_files import read_checkpoint
from pnp.checkpoints import PRETRAINED, manifest
from pnp.cli import main
from pnp.conversion import convert
from pnp.errors import PipelineError
from pnp.headers import metadata_of, read_metadata
from pnp.language.reader import read_spec
from pnp.registry import REGISTRIES
from pnp.trained_options import described, in_package, trained_modules

SMALL = "{prior: resunet, channels: 1, nc: [2, 4, 4, 8], nb: 1}"
RECORDED = [
    (name, symbol)
    for name, entry in manifest().items()
    if "sha256" in entry
    for symbol in trained_modules(name)
]


def pipeline(tmp_path, module: str, rest: str = "") -> str:
    text = f"""\
given: [x, sigma]
modules:
  S: {module}
{rest}
after: [x = S(x, sigma)]
return: [x]
"""
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("after: [x = S(x, sigma)]", "after:\n  - x = S(x, sigma)"))
    return str(path)


def said(modules):
    return metadata_of("mine", {"modules": modules})


def weights_of(tmp_path, module: str = SMALL, name: str = "own.safetensors"):
    spec = read_spec(pipeline(tmp_path, module))
    made = build(spec, random_weights=True)
    path = tmp_path / name
    save_file(made.state_dict(), path, metadata=said(described(spec.modules, ["S"])))
    return path, made


def test_weights_for_all_take_the_place_of_those_that_the_package_does_not_have(tmp_path):
    path, _ = weights_of(tmp_path)
    for own, expected in (("ikrnet/P", None), ("usrnet-mini", "usrnet-mini")):
        module = f"{{prior: resunet, weights: {own}}}"
        spec = read_spec(pipeline(tmp_path, module, f"weights: {path}"))
        weights = spec.modules["S"].weights
        assert (weights and weights.value) == expected
        assert spec.modules["S"].options["nc"] == (
            (2, 4, 4, 8) if expected is None else (16, 32, 64, 64)
        )


def test_every_file_of_the_package_says_how_it_was_trained():
    files = sorted(PRETRAINED.rglob("*.safetensors"))
    assert files
    for file in files:
        name = file.relative_to(PRETRAINED).with_suffix("").as_posix()
        tensors = {key.partition(".")[0] for key in read_checkpoint(file)}
        assert set(trained_modules(name)) == tensors


@pytest.mark.parametrize(("name", "symbol"), RECORDED)
def test_a_module_takes_its_architecture_from_the_weights_of_the_package(name, symbol):
    entry = trained_modules(name)[symbol]
    role = next(key for key in entry if key in REGISTRIES)
    overrides: dict[str, Any] = {"modules.X": {role: entry[role], "weights": name}}
    loaded: Any = pnp.load("bicubic", **overrides).X
    found = described(read_spec("bicubic", overrides).modules, ["X"])["X"]
    assert {k: v for k, v in found.items() if k not in loaded.free} == {
        k: v for k, v in entry.items() if k not in loaded.free
    }
    assert sum(p.numel() for p in loaded.parameters()) > 0


@pytest.mark.parametrize("level", ["module", "pipeline"])
def test_options_that_are_not_written_come_from_the_weights(tmp_path, level):
    path, made = weights_of(tmp_path)
    if level == "module":
        mine = pipeline(tmp_path, f"{{prior: resunet, weights: {path.name}}}")
    else:
        mine = pipeline(tmp_path, "{prior: resunet}", f"weights: {path.name}")
    loaded = pnp.load(mine)
    for key, value in made.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_show_says_that_an_option_comes_from_the_weights(tmp_path, capsys):
    path, _ = weights_of(tmp_path)
    assert main(["show", pipeline(tmp_path, f"{{prior: resunet, weights: {path.name}}}")]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "nc:" in line)
    assert "[2, 4, 4, 8]" in line and f"# weights {path}" in line


@pytest.mark.parametrize(
    ("option", "written", "trained"),
    [("nc", "[2, 4, 8, 8]", "[2, 4, 4, 8]"), ("nb", "2", "1"), ("channels", "3", "1")],
)
def test_an_option_that_contradicts_the_weights_is_named_with_both_values(
    tmp_path, option, written, trained
):
    path, _ = weights_of(tmp_path)
    mine = pipeline(tmp_path, f"{{prior: resunet, {option}: {written}, weights: {path.name}}}")
    with pytest.raises(PipelineError) as e:
        pnp.load(mine)
    (problem,) = e.value.problems
    assert f"S: {option} is {written}, but the weights" in problem.message
    assert problem.message.endswith(f"were trained with {trained}")
    assert problem.origin.line == 3 and f"modules.S.{option}=" in problem.cure
    assignment = problem.cure.split()[1]
    assert read_spec(mine, assignments=[assignment])
    pnp.load(mine, random_weights=True)  # another network of that kind, for a training


def test_an_option_without_effect_on_the_weights_may_differ():
    P: Any = {"prior": "scunet", "weights": "scunet-small", "drop_path": 0.1}
    assert pnp.load("bicubic", **{"modules.X": P})


def test_the_symbol_selects_among_several_networks_of_a_file(tmp_path):
    two = "{prior: resunet, channels: 1, nc: [2, 2, 2, 4], nb: 1}"
    spec = read_spec(pipeline(tmp_path, SMALL, f"  R: {two}"))
    made = build(spec, random_weights=True)
    told = said(described(spec.modules, ["S", "R"]))
    save_file(made.state_dict(), tmp_path / "both.safetensors", metadata=told)
    for symbol, nc in (("S", (2, 4, 4, 8)), ("R", (2, 2, 2, 4))):
        by_part = f"{{prior: resunet, weights: both.safetensors#{symbol}}}"
        assert read_spec(pipeline(tmp_path, by_part)).modules["S"].options["nc"] == nc
    for_all = read_spec(
        pipeline(tmp_path, "{prior: resunet}", "  R: {prior: resunet}\nweights: both.safetensors")
    )
    assert for_all.modules["R"].options["nc"] == (2, 2, 2, 4)
    ambiguous = "{prior: resunet, weights: both.safetensors}"
    mine = pipeline(tmp_path, "{prior: identity}", f"  Q: {ambiguous}")
    assert "nc" not in read_spec(mine).modules["Q"].options


def test_weights_of_another_network_say_whose_they_are():
    with pytest.raises(PipelineError) as e:
        X: Any = {"prior": "dncnn", "weights": "drunet-small"}
        pnp.load("bicubic", **{"modules.X": X})
    assert "drunet-small holds the weights of P: prior drunet" in str(e.value)


def test_convert_keeps_the_options(tmp_path):
    path, _ = weights_of(tmp_path)
    convert(path, tmp_path / "other.safetensors")
    assert read_metadata(tmp_path / "other.safetensors") == read_metadata(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"S": 1}', '{"S": {"prior": 3}}', '"x"'])
def test_metadata_that_are_no_options_are_left_alone(tmp_path, text):
    path, made = weights_of(tmp_path)
    save_file(made.state_dict(), path, metadata={"pnp.modules": text})
    mine = pipeline(tmp_path, SMALL.replace("}", f", weights: {path.name}}}"))
    assert pnp.load(mine)


def test_an_option_of_a_later_release_is_a_problem_and_not_a_crash(tmp_path):
    path, made = weights_of(tmp_path)
    told = {"S": {"prior": "resunet", "depth": 3, "nc": [2, 4, 4, 8]}}
    save_file(made.state_dict(), path, metadata=said(told))
    with pytest.raises(PipelineError, match="S: there is no option 'depth'"):
        pnp.load(pipeline(tmp_path, f"{{prior: resunet, weights: {path.name}}}"))


def test_the_manifest_holds_only_options_that_exist():
    for name, entry in yaml.safe_load((PRETRAINED / "manifest.yaml").read_text()).items():
        for module in entry.get("modules", {}).values():
            role = next(key for key in module if key in REGISTRIES)
            cls = REGISTRIES[role].get(module[role])
            known = set(pnp.options.options_of(cls))
            assert known - set(cls.free) <= set(module) - {role} <= known, name


def test_a_network_without_weights_names_those_of_the_package(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: ikrnet-small\nmodules: {P: {prior: scunet}}\n")
    with pytest.raises(PipelineError, match=r"to P \(the package has scunet-small\), or"):
        pnp.load(tmp_path / "a.yaml")
    assert in_package("prior", "drunet") == " (the package has drunet-small)"
    assert in_package("prior", "scunet-level") == in_package("estimator", "drunet") == ""
