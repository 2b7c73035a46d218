"""Networks in tiles, the memory of runs, and its limit."""

import csv
import itertools
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pnp
from pnp.alive import Alive
from pnp.cli import main
from pnp.equal_steps import shortened
from pnp.errors import PnpError
from pnp.inference import run_image
from pnp.language.reader import PIPELINES
from pnp.memory import (
    LARGEST,
    LIBRARIES,
    USUAL,
    Limit,
    Line,
    Memory,
    NetworkMemory,
    example_inputs,
    memory_of,
    read_memory,
)
from pnp.tiles import spans

ROOT = Path(__file__).parent.parent
TINY: dict[str, dict[str, Any]] = {
    "resunet": {"nc": [4, 4, 4, 4], "nb": 1},
    "resunet-blind": {"nc": [4, 4, 4, 4], "nb": 1},
    "drunet": {"nc": [2, 2, 2, 2], "nb": 1},
    "dncnn": {"channels": 3, "depth": 5, "features": 4},
    "scunet": {"dim": 4, "head_dim": 2, "config": [2] * 7, "window": 2},
    "scunet-level": {"dim": 4, "head_dim": 2, "config": [2] * 7, "window": 2},
}


def tiny(name):
    torch.manual_seed(0)
    return pnp.priors.build(name, **TINY[name]).eval()


@pytest.mark.parametrize("name", TINY)
@torch.inference_mode()
def test_tiles_do_not_change_the_result(name):
    P = tiny(name)
    z = torch.rand(1, 3, 2 * P.overlap + 80, 3 * P.overlap + 101)
    whole = P(z, 0.1)
    P.tile = 2 * P.overlap + P.multiple + 8
    assert (P(z, 0.1) - whole).abs().max() < (0.05 / 255 if "scunet" in name else 1e-6)


@pytest.mark.parametrize("name", ["resunet", "drunet", "dncnn"])
@torch.inference_mode()
def test_the_overlap_is_the_reach_of_the_network(name):
    """NaN in one pixel reaches exactly the pixels that depend on it."""
    P = tiny(name)
    farthest = 0
    for at in range(P.overlap + 16, P.overlap + 24):
        z = torch.rand(1, 3, 24, 2 * P.overlap + 40)
        z[..., at] = torch.nan
        columns = P(z, 0.1)[0].isnan().any(0).any(0).nonzero()
        farthest = max(farthest, at - int(columns.min()), int(columns.max()) - at)
    assert farthest == P.overlap


def test_tiles_of_the_pretrained_scunet_differ_by_less_than_a_level():
    P: Any = pnp.load("denoise-blind").P
    noise = torch.randn(1, 3, 64, 448, generator=torch.Generator().manual_seed(0))
    z = (torch.linspace(0, 1, 448) + 0.1 * noise).clamp(0, 1)
    with torch.inference_mode():
        whole = P(z)
        P.tile = 256
        assert 0 < (P(z) - whole).abs().max() < 1 / 255


@pytest.mark.parametrize(
    "length, side, overlap, multiple",
    [(1000, 256, 20, 8), (37, 16, 3, 1), (64, 64, 9, 8), (65, 64, 9, 8), (300, 1, 16, 64)],
)
def test_tiles_cover_an_axis_once_and_see_the_overlap(length, side, overlap, multiple):
    tiles = list(spans(length, side, overlap, multiple))
    kept = list(itertools.chain(*(range(k.start, k.stop) for _, k in tiles)))
    assert kept == list(range(length))
    for seen, k in tiles:
        assert seen.start % multiple == 0
        assert seen.start == 0 or k.start - seen.start >= overlap
        assert seen.stop == length or seen.stop - k.stop >= overlap


def test_total_variation_in_tiles_is_the_same_bit_for_bit(monkeypatch):
    x = torch.rand(2, 3, 90, 70, generator=torch.Generator().manual_seed(0))
    level = torch.tensor([0.05, 0.2]).reshape(2, 1, 1, 1)
    tv = pnp.priors.build("tv", iterations=7)
    whole = tv(x, level)
    monkeypatch.setattr("pnp.priors.tv.LARGE", 1)
    monkeypatch.setattr("pnp.priors.tv.TILE", 16)
    assert torch.equal(tv(x, level), whole)


def test_tiles_have_gradients():
    P = tiny("dncnn").double()
    z = torch.rand(1, 3, 40, 40, dtype=torch.float64, requires_grad=True)
    (whole,) = torch.autograd.grad(P(z).square().sum(), z)
    P.tile = 24
    (tiled,) = torch.autograd.grad(P(z).square().sum(), z)
    assert torch.allclose(whole, tiled, atol=1e-12)


@pytest.mark.parametrize(
    "name, side",
    [
        *[("usrnet-mini", 256), ("hqs-tv", 256), ("denoise", 256)],
        pytest.param("ikrnet-small", 256, marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("boundary", ["periodic", "unknown"])
def test_the_estimate_is_what_a_larger_run_holds(name, side, boundary):
    """Extrapolated from results of 64 and 128 pixels; the tensors of a larger run are counted."""
    if (name, boundary) == ("ikrnet-small", "periodic"):
        pytest.skip("the other one takes long enough")
    changes: dict[str, Any] = {"repeat": 2} if name == "hqs-tv" else {}
    pipeline = pnp.load(name, **changes).prepare()
    said = memory_of(pipeline, 1, boundary)
    given = example_inputs(pipeline, side, 1)
    with shortened(), Alive() as alive:
        run_image(pipeline, given.pop("y"), given, boundary=boundary)
    held = alive.peak + said.state
    assert abs(said.peak(side, side) / held - 1) < 0.1


def test_a_sum_of_two_precisions_needs_a_copy():
    """As the CPU adds them: the operand in bf16 is cast as a whole."""
    a, b = torch.zeros(1000), torch.zeros(1000, dtype=torch.bfloat16)
    peaks = []
    for other in (a.clone(), b):
        with Alive() as alive:
            a + other
        peaks.append(alive.peak)
    assert peaks == [12000, 14000]


def test_what_show_says_is_within_a_fifth_of_what_runs_take():
    """The rows of benchmarks/memory.py: every pipeline that runs as installed, in two sizes."""
    with (ROOT / "benchmarks" / "results" / "memory.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sizes: dict[str, set[int]] = {}
    for row in rows:
        sizes.setdefault(row["pipeline"], set()).add(int(row["side"]))
        assert abs(int(row["said_mb"]) / int(row["measured_mb"]) - 1) < 0.2, row
    assert not [name for name in PIPELINES.names() if len(sizes.get(name, ())) < 2]


def with_workspace(network: NetworkMemory, side: int) -> float:
    """Bytes of a call on 4000 x 6000 pixels in tiles, which take twice their tensors."""
    return network.peak(4000, 6000, side) + network.inside.at(side**2)


def test_a_limit_chooses_tiles_within_it():
    network = NetworkMemory(Line(0, 24), Line(0, 800), 12.0, 1, 100, 8)
    assert network.tile(1000, 1000, 1e9) is None
    side = network.tile(4000, 6000, 2e9)
    assert side is not None and side % 8 == 0
    assert with_workspace(network, side) <= 2e9 < with_workspace(network, side + 8)
    assert network.tile(4000, 6000, 0) == network.least_tile() == 328


def test_tiles_leave_a_quarter_of_a_limit_free():
    network = NetworkMemory(Line(0, 24), Line(0, 800), 12.0, 1, 100, 8)
    memory = Memory((Line(0, 60),), {"P": network}, 0, 0)
    tiles = memory.tiles_within(4000, 6000, 3.6e9)
    assert tiles["P"] is not None
    assert 2.6e9 < LIBRARIES + with_workspace(network, tiles["P"]) <= 0.75 * 3.6e9
    side = memory.tiles_within(4000, 6000, 6e9)["P"]  # no larger than saves time
    assert side is not None and 0 <= side - 2 * 100 - LARGEST < 8


def test_without_a_limit_tiles_are_not_so_small_that_a_run_takes_several_times_as_long():
    network = NetworkMemory(Line(0, 110), Line(0, 800), 12.0, 1, 97, 8)
    memory = Memory((Line(0, 100),), {"P": network}, 0, 0)
    assert memory.tiles_within(4000, 6000, 4e9)["P"] == network.least_tile() == 328
    side = memory.tiles_within(4000, 6000, None)["P"]
    assert side is not None and (side / (side - 2 * 97)) ** 2 < 1.6
    assert LIBRARIES + memory.peak(4000, 6000, {"P": side}) < 1.5 * USUAL


TWICE = """
import torch
from pnp.machine import keep_freed_memory, resident
if {keep}:
    keep_freed_memory()
torch.ones(2**26)
print(resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for the C library glibc")
def test_freed_memory_is_kept_if_that_is_asked_for():
    """256 MB that were freed, in a process of its own."""
    held = [
        float(subprocess.check_output([sys.executable, "-c", TWICE.format(keep=keep)]))
        for keep in (False, True)
    ]
    assert held[1] > held[0] + 0.2e9


def test_a_limited_run_gives_the_same_picture(tmp_path, capsys, monkeypatch):
    """--max-memory between the least and what the whole image needs; what the process itself holds
    depends on the tests before, and is left out."""
    monkeypatch.setattr("pnp.memory.LIBRARIES", 0.0)
    y = np.random.default_rng(0).integers(0, 255, (420, 420, 3), dtype=np.uint8)
    Image.fromarray(y).save(tmp_path / "y.png")
    pipeline = pnp.load("denoise").prepare()
    memory = memory_of(pipeline, boundary="unknown")
    least = memory.peak(420, 420, memory.tiles_within(420, 420, 0))
    enough = (least + memory.peak(420, 420)) / 2
    whole, tiled = (
        pnp.restore(tmp_path / "y.png", "denoise", boundary="unknown", max_memory=limit)
        for limit in (None, f"{enough / 1e6:.0f}MB")
    )
    assert whole.record["tiles"] == {} and tiled.record["tiles"]["P"] < 420
    assert (whole.image - tiled.image).abs().max() < 1e-5
    assert main(["run", "denoise", str(tmp_path / "y.png"), "--max-memory", "9MB"]) == 1
    assert "y.png: --max-memory 9MB: a result of 420 x 420 needs about" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text, expected",
    [("6GB", 6e9), ("1.5 g", 1.5e9), ("500MB", 5e8), ("2GiB", 2**31), ("1000000", 1e6)],
)
def test_amounts_of_memory(text, expected):
    assert read_memory(text) == expected


@pytest.mark.parametrize("text", ["much", "0GB", "-1GB", "6 apples", ""])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(PnpError, match="write an amount of memory, for example 6GB"):
        Limit(text, "--max-memory")
