"""Steps that draw noise: seeded by the run, the iteration and the position, and by nothing else."""

import copy
import json
from typing import Any

import pytest
import torch

import pnp
from pnp.cli import main
from pnp.images import write_image

NOISY = """\
given: [y, level: level]
modules:
  N: {transform: gaussian-noise}
  S: {transform: weighted-sum}
start:
  - x = S(y, 1, y, 0)
  - e = N(y, level)
repeat: 3
steps:
  - z = N(y, level)
  - u = N(y, level)
  - x = S(x, 0.5, z, 1, u, -1)
after:
  - v = N(y, level)
return: [x, e, z, u, v]
"""
"""Every step of noise, and a result that depends on all iterations."""


@pytest.fixture
def noisy(tmp_path):
    (tmp_path / "noisy.yaml").write_text(NOISY)
    return pnp.load(tmp_path / "noisy.yaml")


def run(pipeline, y, seed=0, **more):
    return pipeline(y=y, level=0.1, seed=seed, **more)


Y = torch.rand(2, 3, 40, 50, generator=torch.Generator().manual_seed(1))


def test_it_is_gaussian_of_the_level(noisy):
    e = pnp.transforms.build("gaussian-noise")(torch.zeros(1, 3, 200, 200), 0.2)
    n = (e / 0.2).flatten().sort().values.double()
    expected = torch.distributions.Normal(0.0, 1.0).cdf(n)
    steps = torch.arange(1, len(n) + 1) / len(n)
    # Kolmogorov and Smirnov: exceeded by a right sample with a probability of 1e-6
    assert float((expected - steps).abs().max()) < 2.7 / len(n) ** 0.5


def test_a_stage_that_is_run_several_times_draws_its_own_noise_each_time(tmp_path):
    (tmp_path / "noisy.yaml").write_text(
        """\
given: [y, level: level]
modules:
  N: {transform: gaussian-noise}
  S: {transform: weighted-sum}
stages:
  - start:
      - a = S(y, 1, y, 0)
      - e = S(y, 1, y, 0)
  - start:
      - a = S(e, 1, e, 0)
      - e = N(y, level)
    times: 2
return: [a, e]
"""
    )
    drawn = run(pnp.load(tmp_path / "noisy.yaml"), Y)
    assert not torch.equal(drawn["a"], drawn["e"])


def test_each_step_and_each_iteration_draws_its_own(noisy):
    drawn: list[torch.Tensor] = []

    def trace(state):
        drawn.extend(state.variables[n].clone() for n in "zu" if n in state.variables)

    result = run(noisy, Y, trace=trace)
    drawn += [result.e, result.v]
    assert len(drawn) == 8
    for a in range(len(drawn)):
        for b in range(a):
            one, two = drawn[a][0].flatten(), drawn[b][0].flatten()
            correlation = float(torch.corrcoef(torch.stack((one, two)))[0, 1])
            assert abs(correlation) < 6 / len(one) ** 0.5


def test_it_repeats_itself_whatever_was_drawn_before(noisy):
    first = run(noisy, Y, seed=3)
    torch.rand(7)
    again, other = run(copy.deepcopy(noisy), Y, seed=3), run(noisy, Y, seed=4)
    assert torch.equal(first.x, again.x)
    assert all(not torch.equal(first[n], other[n]) for n in "xezuv")


def test_the_global_generator_is_left_as_it_was(noisy):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run(noisy, Y)
    assert torch.equal(torch.rand(1), expected)


def test_an_image_of_a_batch_gets_what_it_gets_alone(noisy):
    together = run(noisy, Y)
    for i in (0, 1):
        alone = run(noisy, Y[i : i + 1])
        assert torch.equal(together.x[i : i + 1], alone.x)


def test_checkpointing_draws_the_same_noise_twice(noisy):
    slopes: list[Any] = []
    for checkpointing in (False, True):
        noisy.checkpointing = checkpointing
        y = Y.clone().requires_grad_()
        x = run(noisy, y).x
        (x * x).sum().backward()
        slopes.append(y.grad)
    assert torch.equal(*slopes)


def test_float64_gets_the_noise_of_float32(noisy):
    assert torch.allclose(run(noisy, Y).e.double(), run(noisy, Y.double()).e, atol=1e-7)


def test_a_negative_level_is_refused():
    with pytest.raises(pnp.PnpError, match="gaussian-noise: level is -1"):
        pnp.transforms.build("gaussian-noise")(Y, -1.0)


def test_the_record_repeats_a_run_byte_for_byte(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "noisy.yaml").write_text(
        NOISY.replace("level: level", "sigma").replace("level", "sigma")
    )
    write_image("y.png", Y[:1])
    command = ["run", "noisy.yaml", "y.png", "-o", "out", "--sigma", "5%", "--seed", "8"]
    assert main(command) == 0
    assert json.loads((tmp_path / "out/y_x1.json").read_text())["seed"] == 8
    assert main(["run", "--again", "out/y_x1.json"]) == 0
    assert "byte for byte the same" in capsys.readouterr().out
    other = [*command[:4], "other", *command[5:-1], "9"]
    assert main(other) == 0
    assert (tmp_path / "out/y_x1.png").read_bytes() != (tmp_path / "other/y_x1.png").read_bytes()


# ---------------------------------------------------------------- weighted sums


def test_a_weighted_sum_is_the_sum():
    S = pnp.transforms.build("weighted-sum")
    a, b, c = torch.rand(3, 2, 3, 4, 5, dtype=torch.float64)
    q = torch.tensor([0.5, -2.0], dtype=torch.float64).reshape(2, 1, 1, 1)
    torch.testing.assert_close(S(a, 2.0, b, q), 2 * a + q * b)
    torch.testing.assert_close(S(a, 2.0, b, q, c), 2 * a + q * b + c)
    torch.testing.assert_close(S(a, 2.0, b, q, c, 3), 2 * a + q * b + 3 * c)


def test_a_weighted_sum_of_other_sizes_is_refused():
    S = pnp.transforms.build("weighted-sum")
    with pytest.raises(pnp.PnpError, match="add images of one size"):
        S(torch.rand(1, 3, 4, 4), 1, torch.rand(1, 3, 4, 5), 1)
