"""Descriptions of comparisons: changes by `--set`, values of the wrong kind, and the copy that
repeats a comparison from anywhere.
"""

import csv
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import pnp
from pnp.cli import main
from pnp.comparing.observing import Observer
from pnp.comparing.reader import read_comparison
from pnp.images import write_image
from pnp.metrics import psnr
from pnp.protocols import protocol

HEAD = "about: Mine\ndata: {folder: photos}\nscales: [2]\nsigmas: [2%]\n"
NET = (
    "given: [y, s = 1]\nmodules: {U: {initializer: bicubic}, "
    "P: {prior: dncnn, channels: 3, depth: 2, features: 2}}\n"
    "start: ['x = U(y, s)', 'x = P(x)']\nreturn: x\n"
)
PLUGIN = """
import torch
from pnp import Image, Level, Prior, prior

@prior("as-it-is")
class AsItIs(Prior):
    '''The image itself.'''

    def forward(self, x: Image, level: Level) -> Image:
        return x
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with two small images."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i, name in enumerate("ab"):
        generator = torch.Generator().manual_seed(i)
        pixels = torch.rand(1, 3, 32, 40, generator=generator)
        write_image(tmp_path / "photos" / f"{name}.png", pixels)
    return tmp_path


def compare(*words):
    return main(["compare", *words, "--device", "cpu", "--keep", "0"])


def rows_in(folder):
    with (Path(folder) / "rows.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def said(capsys):
    return " ".join(capsys.readouterr().err.split())


QUICK = ("--data", "photos", "--scale", "2", "--kernel", "gaussian:1")


def test_set_changes_the_comparison_and_each_of_its_pipelines(here):
    words = ["--set", "repeat=1", "--set", "sigmas=[1%]", "--set", "modules.P.iterations=1"]
    assert compare("hqs-tv", *QUICK, *words) == 0
    made = read_comparison("comparisons/hqs-tv/comparison.yaml")
    assert made.sigmas == [0.01]
    seen = Observer(made)(next(made.cases()))
    changes: dict[str, Any] = {"repeat": 1, "modules.P.iterations": 1}
    changed = pnp.load("hqs-tv", **changes)
    x = changed(y=seen.y, s=2, k=seen.k).x
    expected = float(psnr(x, seen.truth, protocol(made.protocol).border(2)))
    assert float(rows_in("comparisons/hqs-tv")[0]["psnr"]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("pipelines", "change", "message"),
    [
        ("hqs-tv", "repeat=0", "--set repeat=0: hqs-tv: repeat should be a whole number"),
        ("hqs-tv", "nonsense=1", "neither a comparison nor a pipeline has a key 'nonsense'"),
        ("hqs-tv", "set.repeat=1", "set is for comparisons that are written down"),
        ("hqs-tv bicubic", "modules.P.strength=1", "bicubic: there is no module 'P' to change"),
    ],
)
def test_a_change_that_is_not_taken_is_one_message(here, capsys, pipelines, change, message):
    assert compare(*pipelines.split(), *QUICK, "--set", change) == 1
    assert message in said(capsys) and not Path("comparisons").exists()


FUNCTIONS = """
import numpy as np
import torch

TAPS = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]])

def made(y, s, **found):
    return {"x": y.repeat_interleave(s, -1).repeat_interleave(s, -2), **found}

def numbers(y, s): return made(y, s, k=TAPS[None, None], sigma=0.1)
def tensors(y, s): return made(y, s, k=TAPS.double(), sigma=torch.tensor([0.1]))
def arrays(y, s): return made(y, s, k=TAPS.numpy()[None], sigma=np.float32(0.1))
def lists(y, s): return made(y, s, k=TAPS.tolist(), sigma=[0.05, 0.15])
def text(y, s): return made(y, s, k=TAPS[None], sigma="10%")
def with_gradient(y, s): return made(y, s, k=TAPS.clone().requires_grad_(), sigma=torch.tensor(0.1))
def named_kernel(y, s): return made(y, s, k="gaussian:1")
def flat_kernel(y, s): return made(y, s, k=np.ones(9) / 9)
def kernel_of_nothing(y, s): return made(y, s, k=object())
def level_of_bytes(y, s): return made(y, s, sigma=15)
def word(y, s): return made(y, s, sigma="much")
def no_level(y, s): return made(y, s, sigma={})
"""
WRONG = {
    "named_kernel": "its function returns k as str, 'gaussian:1'",
    "flat_kernel": "its function: k has shape (9,)",
    "kernel_of_nothing": "its function returns k as object",
    "level_of_bytes": "its function: sigma is 15.0, but should be a noise level",
    "word": "its function: sigma is 'much', but should be a noise level",
    "no_level": "its function returns sigma as dict",
}
RIGHT = ("numbers", "tensors", "arrays", "lists", "text", "with_gradient")


def test_functions_return_what_is_usual_and_what_cannot_be_used_is_told_of_each(here, capsys):
    Path("mine.py").write_text(FUNCTIONS)
    names = [*WRONG, *RIGHT]
    methods = "".join(f"  {name}: {{call: mine.py:{name}}}\n" for name in names)
    Path("mine.yaml").write_text(f"{HEAD}methods:\n{methods}")
    assert compare("mine.yaml", "--limit", "1") == 1
    err = said(capsys)
    for name, message in WRONG.items():
        assert f"{name}, a.png at x2: {message}" in err
    rows = rows_in("comparisons/mine")
    assert [row["method"] for row in rows] == list(RIGHT)
    assert {row["sigma_estimated"] for row in rows} == {"0.1"}
    assert len({row["kernel_error"] for row in rows}) == 1 and float(rows[0]["kernel_error"]) > 0


def test_numbers_in_a_pattern_are_formatted_as_numbers(here):
    Path("mine.yaml").write_text(
        HEAD + 'methods: {theirs: {external: theirs, pattern: "{image}_{scale:03d}_{sigma}.png"}}\n'
    )
    (here / "theirs").mkdir()
    write_image(here / "theirs" / "a_002_0.02.png", torch.rand(1, 3, 32, 40))
    assert compare("mine.yaml", "--limit", "1") == 0
    assert len(rows_in("comparisons/mine")) == 1


def test_an_empty_or_wrong_value_is_told_with_its_line_and_all_of_them_at_once(here, capsys):
    Path("mine.yaml").write_text(
        "about: Mine\ndata: {folder: photos}\nscales: []\nsigmas: []\nmetrics: []\n"
        "kernels:\n  groups:\n    none: []\n    one: [delta]\n"
        "methods:\n  a:\n    pipeline: bicubic\n    otherwise: hqs-tv\nset: 3\n"
    )
    assert compare("mine.yaml") == 1
    err = capsys.readouterr().err
    assert [line for line in range(1, 15) if f"mine.yaml:{line}: " in err] == [3, 4, 5, 8, 13, 14]


def write_weights(folder):
    (folder / "net.yaml").write_text(NET)
    state = pnp.load(folder / "net.yaml", random_weights=True).state_dict()
    save_file({k: torch.zeros_like(v) for k, v in state.items()}, folder / "w.safetensors")


def test_the_copy_of_a_description_is_measured_from_anywhere(here, monkeypatch, capsys):
    write_weights(here)
    Path("mine.yaml").write_text(
        HEAD + "methods:\n  net: {pipeline: net.yaml, set: {modules.P.weights: w.safetensors}}\n"
        "  twice: {pipeline: bicubic, then: net.yaml, otherwise: {external: photos}}\n"
    )
    assert compare("mine.yaml", "-o", str(here / "out"), "--only", "net", "--limit", "1") == 0
    first = rows_in(here / "out")
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    command = (here / "out" / "comparison.yaml").read_text().splitlines()[0]
    capsys.readouterr()
    assert compare(*shlex.split(command)[3:], "--only", "net") == 0
    assert "no weights yet" not in said(capsys)
    rows = rows_in(here / "out")
    assert rows[:1] == first and [row["image"] for row in rows] == ["a", "b"]
    assert rows[0]["sha256"] and rows[1]["sha256"] == rows[0]["sha256"]
    assert read_comparison(here / "out" / "comparison.yaml").methods["twice"].specs()


def test_a_comparison_without_any_weights_is_no_success(here, capsys):
    Path("net.yaml").write_text(NET)
    Path("mine.yaml").write_text(
        HEAD + "methods: {net: {pipeline: net.yaml, weights: none.safetensors}}\n"
    )
    assert compare("mine.yaml") == 1
    assert "nothing was measured: no method has weights (net: none.safetensors: there is no" in (
        said(capsys)
    )


def test_the_command_of_the_report_has_precision_and_plugins(here):
    Path("as_it_is.py").write_text(PLUGIN)
    Path("mine.yaml").write_text(
        HEAD.replace("scales: [2]", "scales: [1]")
        + "methods:\n  one: {pipeline: hqs-tv, given: [k], set: {repeat: 1, modules.P: "
        "{prior: as-it-is}}}\n  two: {pipeline: bicubic}\n"
    )
    words = ("mine.yaml", "-o", "out", "--plugin", "as_it_is.py", "--limit", "1")
    assert compare(*words, "--only", "one", "--dtype", "bf16") == 0
    again = f"pnp compare out/comparison.yaml -o out --plugin {here / 'as_it_is.py'} --limit 1"
    assert f"<pre>{again} --dtype bf16 --only one</pre>" in page()
    assert compare(*words, "--only", "two") == 0
    assert f"<pre>{again} --dtype bf16 --only one\n{again} --only two</pre>" in page()


def page():
    return Path(pnp.report("out")).read_text()
