"""A run that continues from an iteration of an earlier one ends in the same result, bit for bit."""

from typing import Any

import numpy as np
import pytest
import torch

import pnp
from pnp.cli import main
from pnp.images import write_image
from pnp.replay import needed_from

STAGED = """\
given: [y, s = 2, k, sigma]
modules:
  U: {initializer: bicubic}
  H: {estimator: hqs-schedule}
  D: {solver: fft-image}
  P: {prior: tv, iterations: 3}
  N: {transform: gaussian-noise}
  S: {transform: weighted-sum}
before:
  - y = S(y, 0.9, y, 0.1)
stages:
  - start:
      - x = U(y, s)
      - u = U(y, s)
      - alpha, beta = H(sigma, s, n)
    repeat: 2
    steps:
      - z = D(y, x, k, alpha[i])
      - e = N(z, beta[i])
      - x = S(z, 1, e, 0.1)
      - x = P(x, beta[i])
  - start:
      - u = S(u, 0.5, x, 0.5)
      - alpha, beta = H(sigma, s, n)
    repeat: 3
    steps:
      - z = D(y, x, k, alpha[i])
      - x = P(z, beta[i])
      - u = S(u, 0.5, x, 0.5)
after:
  - u = S(u, 1, z, 0.1)
return: [x, u]
"""
ITERATIONS: dict[str, Any] = {"modules.P.iterations": 9}
KERNEL = torch.rand(1, 1, 5, 4, generator=torch.Generator().manual_seed(2))
GIVEN: dict[str, Any] = {
    "y": torch.rand(2, 3, 20, 18, generator=torch.Generator().manual_seed(1)),
    "s": 2,
    "k": KERNEL / KERNEL.sum(),
    "sigma": 0.02,
}


@pytest.fixture
def staged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "staged.yaml").write_text(STAGED)
    return pnp.load("staged.yaml")


def recorded(pipeline, path="run.npz", **given):
    recorder = pnp.Recorder(full=True)
    result = pipeline(**GIVEN, trace=recorder, **given)
    recorder.save(path)
    return result


@pytest.mark.parametrize("boundary", ["periodic", "unknown"])
def test_from_every_iteration_of_all_stages_it_ends_in_the_same_bits(staged, boundary):
    whole = recorded(staged, boundary=boundary, seed=3)
    for i in range(5):
        seen: list[int | None] = []
        result = staged(
            **GIVEN,
            boundary=boundary,
            seed=3,
            resume=pnp.read_state("run.npz", i),
            trace=lambda state, seen=seen: seen.append(state.iteration),
        )
        assert [n for n in seen if n is not None] == list(range(i, 5))
        assert all(torch.equal(result[name], whole[name]) for name in ("x", "u"))


def test_networks_in_channels_last_end_in_the_same_bits(tmp_path):
    pipeline = pnp.load("dpir", repeat=3).prepare()
    given = {n: v[:1] if n == "y" else v for n, v in GIVEN.items()}
    recorder = pnp.Recorder(full=True)
    with torch.no_grad():
        whole = pipeline(**given, boundary="unknown", trace=recorder)
        recorder.save(tmp_path / "run.npz")
        for i in range(3):
            resume = pnp.read_state(tmp_path / "run.npz", i)
            again = pipeline(**given, boundary="unknown", resume=resume)
            assert torch.equal(again.x, whole.x)


def test_a_resumed_run_can_be_recorded_and_continued(staged):
    whole = recorded(staged)
    recorded(staged, "second.npz", resume=pnp.read_state("run.npz", 1))
    again = staged(**GIVEN, resume=pnp.read_state("second.npz", 4))
    assert torch.equal(again.u, whole.u)
    with pytest.raises(pnp.PnpError, match="holds no iteration 0; it holds 1, 2, 3, 4"):
        pnp.read_state("second.npz", 0)


def test_another_prior_is_tried_without_the_iterations_before(staged):
    recorded(staged)
    other: Any = pnp.load("staged.yaml", **ITERATIONS)
    start = pnp.read_state("run.npz", 4)
    result = other(**GIVEN, resume=start)
    assert not torch.equal(result.x, staged(**GIVEN, resume=start).x)
    y = start.variables["y"]
    by_hand = other.D(y, start.variables["x"], GIVEN["k"], start.variables["alpha"][:, 2:])
    expected = other.P(by_hand, start.variables["beta"][:, 2:])
    torch.testing.assert_close(result.x, expected)


def test_only_what_later_steps_read_is_kept(staged):
    assert needed_from(staged.spec, 0) == {"y", "x", "u", "alpha", "beta"}
    assert needed_from(staged.spec, 4) == {"y", "x", "u", "alpha", "beta"}
    assert needed_from(pnp.load("hqs-tv").spec, 3) == {"x", "alpha", "beta"}


def change(old, new):
    assert old in STAGED
    return STAGED.replace(old, new)


@pytest.mark.parametrize(
    ("iteration", "text", "given", "message"),
    [
        (5, STAGED, {}, "run.npz: it holds no iteration 5; it holds 0, 1, 2, 3, 4"),
        (1, change("repeat: 3", "repeat: 4"), {}, "another number of iterations: [2, 3]"),
        (1, STAGED, {"s": 3}, "another scale: 2, and is 3"),
        (1, STAGED, {"y": GIVEN["y"].flip(0)}, "another observation; give the same image"),
        (1, STAGED, {"boundary": "unknown"}, "another boundary: periodic, and is unknown"),
        (
            3,
            change(
                "      - u = S(u, 0.5, x, 0.5)\nafter", "      - v = S(z, 1, v, 1)\nafter"
            ).replace("      - u = S(u, 0.5, x, 0.5)", "      - v = S(u, 0.5, x, 0.5)"),
            {},
            "staged.yaml needs v in iteration 3, but the trace holds",
        ),
    ],
)
def test_what_cannot_be_continued_is_one_message(staged, iteration, text, given, message):
    recorded(staged)
    with open("staged.yaml", "w") as file:
        file.write(text)
    with pytest.raises(pnp.PnpError) as caught:
        pnp.load("staged.yaml")(**{**GIVEN, **given}, resume=pnp.read_state("run.npz", iteration))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_module_that_keeps_values_is_named(tmp_path):
    small: dict[str, Any] = {"modules.Dk.width": 4, "modules.Dk.steps": 1, "modules.Dk.size": 9}
    small |= {"modules.I.size": 9}
    pipeline = pnp.load("fkp-dpir", random_weights=True, repeat=2, **small)
    recorder = pnp.Recorder(full=True)
    given = {n: v for n, v in GIVEN.items() if n not in ("k", "sigma")}
    whole = pipeline(**given, trace=recorder)
    recorder.save(tmp_path / "run.npz")
    again = pipeline(**given, resume=pnp.read_state(tmp_path / "run.npz", 0))
    assert torch.equal(again.x, whole.x)
    with pytest.raises(pnp.PnpError, match="flow-kernel keeps values between iterations"):
        pipeline(**given, resume=pnp.read_state(tmp_path / "run.npz", 1))


def test_files_that_hold_no_state_are_told(tmp_path, staged):
    recorder = pnp.Recorder()
    staged(**GIVEN, trace=recorder)
    recorder.save("plain.npz")
    with pytest.raises(pnp.PnpError, match=r"plain.npz: it holds no state .* --trace-full"):
        pnp.read_state("plain.npz", 0)
    with pytest.raises(pnp.PnpError, match=r"absent.npz: there is no such file"):
        pnp.read_state("absent.npz", 0)
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(pnp.PnpError, match=r"text.npz: this is no trace of pnp run"):
        pnp.read_state("text.npz", 0)


# ---------------------------------------------------------------- on the command line

RUN = ["run", "hqs-tv", "y.png", "-k", "gaussian:1", "-s", "2", "--set", "repeat=3"]


@pytest.fixture
def traced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_image("y.png", GIVEN["y"][:1])
    assert main([*RUN, "-o", "out", "--trace-full"]) == 0
    capsys.readouterr()
    return tmp_path


def test_pnp_run_continues_a_trace_and_repeats_that(traced, capsys):
    trace = "out/y_x2_trace.npz"
    assert set(np.load(trace)) >= {"x", "state/2/x", "state/facts"}
    assert main([*RUN, "-o", "more", "--from", trace, "--iteration", "2"]) == 0
    assert (traced / "more/y_x2.png").read_bytes() == (traced / "out/y_x2.png").read_bytes()
    assert main(["run", "--again", "more/y_x2.json"]) == 0
    assert "byte for byte the same" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--from", "out/y_x2_trace.npz"], "--from needs --iteration N"),
        (["--iteration", "1"], "--iteration needs --from TRACE"),
        (["--from", "y.png", "--iteration", "1"], "y.png: this is no trace of pnp run"),
        (
            ["--from", "out/y_x2_trace.npz", "--iteration", "3"],
            "out/y_x2_trace.npz: it holds no iteration 3; it holds 0, 1, 2",
        ),
        (
            ["--from", "out/y_x2_trace.npz", "--iteration", "1", "--boundary", "periodic"],
            "out/y_x2_trace.npz: it was recorded with another boundary: unknown, and is periodic",
        ),
    ],
)
def test_wrong_commands_are_one_message(traced, capsys, more, message):
    assert main([*RUN, "-o", "more", *more]) == 1
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told
