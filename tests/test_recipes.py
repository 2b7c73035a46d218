"""Recipes are read and checked like pipelines: every problem at once, each with its line and its cure."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path

import pytest
import torch

import pnp.training
from pnp.errors import PipelineError, PnpError
from pnp.language.reader import read_spec
from pnp.random_blur import random_kernels
from pnp.trained_options import described
from pnp.training.recipe_reader import KEYS, RECIPES, load_recipe
from pnp.training.shipping import read_manifest
from pnp.training.validation import draw

DOCS = Path(__file__).parent.parent / "docs" / "training.md"
GOOD = """about: a test
pipeline: usrnet-tiny
train: [P, H]
losses:
  - {l1: x}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def messages(folder: Path, text: str) -> list[str]:
    with pytest.raises(PipelineError) as caught:
        load_recipe(write(folder, text))
    return [str(p) for p in caught.value.problems]


@pytest.mark.parametrize("name", RECIPES.names())
def test_every_recipe_that_ships_is_sound_and_says_what_it_is(name):
    recipe = load_recipe(name)
    assert recipe.about and recipe.train and recipe.losses
    assert recipe.optimiser.betas == (0.9, 0.99)


def test_there_is_a_recipe_for_each_stage_of_the_paper():
    stages = {
        "kernel-autoencoder",
        "initializer-latents",
        "initializer-kernels",
        "image-prior",
        "image-prior-initial-kernels",
        "kernel-prior",
        "noise",
        "joint",
        "denoise-scunet",
        "denoise-resunet",
        "denoise-drunet",
    }
    assert stages <= set(RECIPES.names())


def test_image_prior_draws_the_scales_in_turn():
    assert load_recipe("image-prior").degradations.scales == (1, 2, 3, 4)
    mini = load_recipe("image-prior-mini")
    assert dict(zip(mini.degradations.scales, mini.shares, strict=True)) == {
        1: 0.1,
        2: 0.3,
        3: 0.15,
        4: 0.45,
    }


def test_the_stages_freeze_what_the_paper_freezes():
    trained = {name: load_recipe(name).train for name in RECIPES.names()}
    assert trained["kernel-prior"] == ("Pk",)
    assert trained["noise"] == ("F",)
    assert "I" not in trained["joint"] and "Pk" not in trained["joint"]


def test_a_recipe_starts_from_what_the_earlier_stages_leave():
    for name in RECIPES.names():
        recipe = load_recipe(name)
        for symbol, node in recipe.start.items():
            source, _, part = str(node.value).partition("#")
            earlier = (
                Path(source).parts[1]
                if source.startswith("runs/")
                else read_manifest()[source]["recipe"].split()[0].rstrip(",")
            )
            here, there = (
                recipe.spec.modules[symbol.partition(".")[0]],
                load_recipe(earlier).spec.modules,
            )
            before = there[part.partition(".")[0] or here.symbol]
            if before.name == here.name:
                trained = described({"X": before}, ["X"])
                assert trained == described({"X": here}, ["X"]), (
                    f"{symbol} of {name} does not fit what {source} holds"
                )


def test_all_problems_at_once_in_the_order_of_the_lines(tmp_path):
    text = "pipeline: usrnet-tiny\ntrain: [P, Q]\nfreeze: [P]\nlosses:\n  - {l1: xx}\n  - {l3: x}\nbatch: many\noptimizer: {lr: 1}\n"
    found = messages(tmp_path, text)
    lines = [int(m.split(".yaml:")[1].split(":")[0]) for m in found]
    assert lines == sorted(lines) and len(found) == 6
    text = "\n".join(found)
    for part in (
        "'P' is to be trained, but it is also frozen",
        "there is no module 'Q' to train\n    2 | train: [P, Q]",
        "the pipeline has no variable 'xx'",
        "a loss says l1, l2, log or kernel",
        "batch is 'many', but should be a whole number",
        "a recipe has no key 'optimizer'",
        "did you mean 'optimiser'?",
    ):
        assert part in text


CASES = {
    "train: [P, H]|train: []": "the recipe trains nothing",
    "pipeline: usrnet-tiny|pipeline: usrnet-tny": "did you mean 'usrnet-tiny'?",
    "pipeline: usrnet-tiny|pipeline: {extends: usrnet-tiny, freeze: [P]}": "the pipeline mine freezes it",
    "train: [P, H]|train: [P, H]\nset: {modules.P.nx: 3}": "P: there is no option 'nx'",
    "{l1: x}|{l1: x, target: k}": "'x' is image, but the target 'k' is kernel",
    "{l1: x}|{l1: x, iterations: [1, 2]}": "2 weights, but usrnet-tiny has 6 iterations",
    "{l1: x}|{l1: x, iterations: some}": "a loss: iterations is 'some', but should be one of last, all or a list",
    "{l1: x}|{l1: x}\ndegradations: {scales: {4: much}}": "scales should be a list, or shares by scale",
    "{l1: x}|{l1: x}\ndegradations: {kinds: round}": "there is no kind of kernels called 'round'",
    "{l1: x}|{l1: x}\ndegradations: {noise: 15}": "write 15/255 or 15%",
    "{l1: x}|{l1: x}\ncrop: 16": "crops of 16 pixels are smaller than the kernels (21)",
    "{l1: x}|{l1: x}\nema: 1": "below 1",
    "{l1: x}|{l1: x}\nschedule: {halve: 0}": "schedule: halve is 0, but should be a whole number of at least 1",
    "{l1: x}|{l1: x}\nextends: image-priors": "did you mean 'image-prior'?",
}


@pytest.mark.parametrize("case", CASES)
def test_bad_recipes(case, tmp_path):
    old, new = case.split("|")
    assert old in GOOD
    [message] = messages(tmp_path, GOOD.replace(old, new))
    assert CASES[case] in message and "mine.yaml:" in message


def test_a_pipeline_that_wants_what_training_cannot_make(tmp_path):
    text = "pipeline: {given: [y, mask], modules: {P: {prior: drunet}}, after: ['x = P(y, 0.1)'], return: [x]}"
    [message] = messages(
        tmp_path, GOOD.replace("pipeline: usrnet-tiny", text).replace("[P, H]", "[P]")
    )
    assert "the pipeline needs 'mask', which training does not make" in message


def test_an_assignment_goes_to_the_recipe_or_else_to_its_pipeline():
    recipe = load_recipe(
        "image-prior", ["batch=3", "optimiser.lr=1e-5", "repeat=2", "modules.H.n=2"]
    )
    assert (recipe.batch, recipe.optimiser.lr, recipe.spec.iterations) == (3, 1e-5, 2)
    assert recipe.spec.modules["H"].options["n"] == 2
    with pytest.raises(
        PipelineError, match=r"--set trian=.*neither a recipe nor a pipeline has a key 'trian'"
    ):
        load_recipe("image-prior", ["trian=[P]"])
    with pytest.raises(PnpError, match="write it as key=value"):
        load_recipe("image-prior", ["batch"])


def test_a_recipe_extends_another(tmp_path):
    write(tmp_path, GOOD + "degradations: {scales: [2], size: 15}\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: mine.yaml\nabout: smaller\ndegradations: {scales: [3]}\n")
    recipe = load_recipe(child)
    assert recipe.degradations.scales == (3,) and recipe.degradations.size == 15
    assert recipe.train == ("P", "H") and recipe.about == "smaller"
    child.write_text("extends: child.yaml\n")
    with pytest.raises(PipelineError, match="extends itself"):
        load_recipe(child)


def test_a_cycle_through_another_folder_is_found(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "a.yaml").write_text("extends: x/../a.yaml\n")
    with pytest.raises(PipelineError, match=r"a.yaml:1: 'x/../a.yaml' extends itself"):
        load_recipe(tmp_path / "a.yaml")


def test_extends_may_be_a_list_of_a_base_and_overlays(tmp_path):
    write(tmp_path, GOOD + "optimiser: {lr: 1e-3}\nset: {repeat: 4}\n")
    (tmp_path / "less.yaml").write_text("optimiser: {clip: 2}\nset: {modules.P.nb: 1}\n")
    (tmp_path / "both.yaml").write_text("extends: [mine.yaml, less.yaml]\nbatch: 2\n")
    recipe = load_recipe(tmp_path / "both.yaml")
    assert (recipe.optimiser.lr, recipe.optimiser.clip, recipe.batch) == (1e-3, 2, 2)
    assert recipe.spec.iterations == 4 and recipe.spec.modules["P"].options["nb"] == 1
    over = load_recipe(tmp_path / "mine.yaml", ["batch=3"], [tmp_path / "less.yaml"])
    assert (over.optimiser, over.spec.modules["P"].options, over.batch) == (
        recipe.optimiser,
        recipe.spec.modules["P"].options,
        3,
    )
    words = ["mine", "--with", str(tmp_path / "less.yaml"), "--set", "batch=3"]
    assert shlex.split(over.command) == words
    (tmp_path / "both.yaml").write_text("extends: [mine.yaml, [a]]\n")
    with pytest.raises(PipelineError) as caught:
        load_recipe(tmp_path / "both.yaml")
    assert "both.yaml:1: extends should be a recipe: a name, a file, or a list" in str(caught.value)


def test_a_pipeline_is_relative_to_the_recipe_that_names_it(tmp_path):
    for folder, repeat in (("base", 3), ("mine", 5)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "p.yaml").write_text(f"extends: usrnet-tiny\nrepeat: {repeat}\n")
    write(tmp_path / "base", GOOD.replace("usrnet-tiny", "p.yaml"))
    assert load_recipe(tmp_path / "base" / "mine.yaml").spec.iterations == 3
    write(tmp_path / "mine", "extends: ../base/mine.yaml\n")
    assert load_recipe(tmp_path / "mine" / "mine.yaml").spec.iterations == 3
    write(tmp_path / "mine", "extends: ../base/mine.yaml\npipeline: {extends: p.yaml}\n")
    assert load_recipe(tmp_path / "mine" / "mine.yaml").spec.iterations == 5
    write(tmp_path / "mine", "extends: ../base/mine.yaml\npipeline: [usrnet-tiny, p.yaml]\n")
    assert load_recipe(tmp_path / "mine" / "mine.yaml").spec.iterations == 5


def test_assignments_reach_into_lists_and_sections(tmp_path):
    path = write(tmp_path, GOOD + "start: {H: h.pth}\nschedule: {halve: 10}\n")
    changes = [
        "losses.0.weight=2",
        "start.P.decoder=p.pth#x",
        "schedule.halve=null",
        "start.H=null",
    ]
    recipe = load_recipe(path, changes)
    assert recipe.losses[0].weight == 2 and recipe.schedule.halve is None
    assert {key: node.value for key, node in recipe.start.items()} == {"P.decoder": "p.pth#x"}
    with pytest.raises(PipelineError, match=r"'losses' is a list of 1; '1' is not an index"):
        load_recipe(path, ["losses.1.weight=2"])
    with pytest.raises(PipelineError, match=r"'pipeline' is a single value without 'a'"):
        load_recipe(path, ["pipeline.a=2"])


def test_set_in_the_file_and_on_the_command_line_follow_the_same_rules(tmp_path):
    text = "pipeline: usrnet-tiny\ntrain: [P]\nlosses: [{l1: x}]\n"
    for change in ("modules.Q.nb: 1", "steps.9: x", "about.x: 1", "repaet: 3", "steps.1: null"):
        said = []
        path = write(tmp_path, f"{text}set: {{{change}}}\n")
        for assignments in ([], ["set=null", "set." + change.replace(": ", "=")]):
            with pytest.raises(PipelineError) as caught:
                load_recipe(path, assignments)
            said.append([(p.message, p.cure) for p in caught.value.problems])
        assert said[0] == said[1]


def test_a_plugin_brings_recipes(tmp_path, monkeypatch):
    info = tmp_path / "more-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pnp.recipes]\nmore = more_recipes\n")
    (tmp_path / "more_recipes").mkdir()
    (tmp_path / "more_recipes" / "__init__.py").touch()
    (tmp_path / "more_recipes" / "theirs.yaml").write_text("extends: joint\nbatch: 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "theirs" in RECIPES.names() and load_recipe("theirs").batch == 3


def test_yaml_that_is_cut_off_in_an_assignment_is_told_as_in_a_pipeline():
    for load in (load_recipe, lambda name, changes: read_spec("usrnet", assignments=changes)):
        with pytest.raises(PipelineError) as caught:
            load("joint", ["repeat=[1"])
        [problem] = caught.value.problems
        assert str(problem).startswith("--set repeat=[1: this is not YAML")


def test_each_wrong_value_is_told_with_its_line(tmp_path):
    text = GOOD + "batch: 0\noptimiser: 3\nschedule: {decay: 0, warmup: -1}\n"
    found = messages(tmp_path, text)
    assert [m.partition("\n")[0].partition(".yaml:")[2] for m in found] == [
        "6: batch is 0, but should be a whole number of at least 1",
        "7: optimiser should be a map of keys",
        "8: schedule: decay is 0, but should be a number of at most 1 and above 0",
        "8: schedule: warmup is -1, but should be a whole number of at least 0",
    ]


def test_names_are_told_when_there_is_no_such_recipe():
    with pytest.raises(PnpError, match="did you mean 'joint'"):
        load_recipe("joynt")


def test_documented_recipes_are_sound(tmp_path):
    recipes = re.findall(r"^```yaml fragment\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    assert recipes
    for text in recipes:
        load_recipe(write(tmp_path, text))


def test_all_recipes_and_keys_are_documented():
    docs = DOCS.read_text()
    for name in RECIPES.names():
        assert f"`{name}`" in docs, name
    for key in KEYS:
        assert f"`{key}`" in docs, key


def test_pnp_training_has_what_a_script_needs():
    assert pnp.training.__all__ == [
        "Recipe",
        "Trainer",
        "check_weights_name",
        "load_recipe",
        "ship",
        "train",
    ]
    for name in pnp.training.__all__:
        assert getattr(pnp.training, name).__name__ == name


KERNEL_OPTIONS = {
    "std": "[3, 3]",
    "nonlinearity": "[0.9, 0.9]",
    "reach": "[0.2, 0.2]",
    "pauses": "3",
    "logarithmic": "true",
    "disturbance": "0.5",
    "off_centre": "2",
}


def test_all_options_of_random_kernels_are_tried():
    others = {"n", "size", "kinds", "generator", "device"}
    assert {*inspect.signature(random_kernels).parameters} == {*KERNEL_OPTIONS, *others}


@pytest.mark.parametrize("option", KERNEL_OPTIONS)
def test_training_on_kernels_alone_follows_every_option_of_kernels(option):
    def kernels(*changes):
        recipe = load_recipe("kernel-autoencoder", ["degradations.kinds=mixed", *changes])
        return draw(recipe, None, 2, 32, torch.Generator().manual_seed(0), 1)["k"]

    assert torch.equal(kernels(), kernels())
    assert not torch.equal(kernels(), kernels(f"degradations.{option}={KERNEL_OPTIONS[option]}"))
