"""Checkpoints: read without running code, fitted by name and shape, converted."""

import os
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from pnp import checkpoints
from pnp.checkpoint_files import read_checkpoint
from pnp.checkpoints import load_weights
from pnp.conversion import convert
from pnp.errors import PnpError
from pnp.estimators.hypanet import HyPaNet
from pnp.priors.dncnn import BATCH_NORM_EPS, DnCNN
from pnp.priors.resunet import ResUNet

NC = (2, 4, 4, 8)


def network(seed: int = 0, **options: Any) -> ResUNet:
    torch.manual_seed(seed)
    return ResUNet(**{"nc": NC, "nb": 1, **options})


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for key, value in a.state_dict().items():
        torch.testing.assert_close(b.state_dict()[key], value, rtol=0, atol=0)


def prefixed(module: nn.Module, prefix: str) -> dict:
    return {prefix + key: value for key, value in module.state_dict().items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"params": s},
        lambda s: {"params": {k: 0 * v for k, v in s.items()}, "params_ema": s},
        lambda s: {"state_dict": {"module." + k: v for k, v in s.items()}, "epoch": 3},
        lambda s: {"model": {"state_dict": s}, "optimizer": {"lr": 0.1}},
        lambda s: {"p." + k.replace("m_down1.", "m_down1.module."): v for k, v in s.items()},
        lambda s: {"_orig_mod.net." + k: v for k, v in s.items()},
    ],
    ids=["plain", "params", "ema", "lightning", "nested", "prefix and module", "compiled"],
)
def test_wrappings_are_recognised(tmp_path, wrap):
    torch.save(wrap(network().state_dict()), tmp_path / "w.pth")
    other = network(1)
    load_weights(other, tmp_path / "w.pth")
    assert_same(network(), other)


def test_one_file_serves_P_and_H(tmp_path):
    P, H = network(), HyPaNet(2, 4)
    torch.save(prefixed(P, "p.") | prefixed(H, "h."), tmp_path / "usrnet.pth")
    other_P, other_H = network(1), HyPaNet(2, 4)
    load_weights(other_P, tmp_path / "usrnet.pth")
    load_weights(other_H, tmp_path / "usrnet.pth")
    assert_same(P, other_P)
    assert_same(H, other_H)


def test_of_several_sets_one_is_chosen_by_name(tmp_path):
    torch.save(prefixed(network(0), "p_init.") | prefixed(network(1), "p."), tmp_path / "two.pth")
    other = network(2)
    with pytest.raises(PnpError, match=r"several sets.*'#p', '#p_init'"):
        load_weights(other, tmp_path / "two.pth")
    load_weights(other, f"{tmp_path / 'two.pth'}#p_init")
    assert_same(network(0), other)
    load_weights(other, f"{tmp_path / 'two.pth'}#p")
    assert_same(network(1), other)


def test_the_checkpoint_of_a_pipeline_serves_each_of_its_modules(tmp_path):
    P, p, Q, H = network(0), network(1), network(2), HyPaNet(2, 4)
    torch.save(
        prefixed(P, "P.") | prefixed(p, "p.") | prefixed(Q, "Q.") | prefixed(H, "H."),
        tmp_path / "run.pth",
    )
    for symbol, expected, other in [
        ("P", P, network(9)),
        ("Q", Q, network(9)),
        ("q", Q, network(9)),
        ("H", H, HyPaNet(2, 4)),
    ]:
        load_weights(other, tmp_path / "run.pth", symbol=symbol)
        assert_same(expected, other)
    with pytest.raises(PnpError, match="several sets"):
        load_weights(network(9), tmp_path / "run.pth", symbol="R")
    with pytest.raises(PnpError, match=r"wrong shape: Q.m_head"):
        load_weights(network(9, channels=1), tmp_path / "run.pth", symbol="Q")


def test_half_precision_is_converted(tmp_path):
    torch.save({k: v.half() for k, v in network().state_dict().items()}, tmp_path / "w.pth")
    other = network(1)
    load_weights(other, tmp_path / "w.pth")
    assert all(p.dtype == torch.float32 for p in other.parameters())
    assert_same(network().half().float(), other)


def test_mismatches_are_listed_by_name_and_shape(tmp_path):
    state = prefixed(network(), "p.") | {
        "p.m_extra.weight": torch.zeros(3),
        "h.mlp.0.weight": torch.zeros(2),
    }
    del state["p.m_body.0.res.2.weight"]
    torch.save(state, tmp_path / "w.pth")
    other = network(1, channels=1)
    before = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(PnpError) as e:
        load_weights(other, tmp_path / "w.pth", where="modules.P.weights")
    assert str(e.value).splitlines()[0].startswith("modules.P.weights: ")
    for line in (
        "missing: m_body.0.res.2.weight (8, 8, 3, 3)",
        "unexpected: p.m_extra.weight (3,)",
        "wrong shape: p.m_head.weight (2, 4, 3, 3), expected (2, 2, 3, 3)",
        "wrong shape: p.m_tail.weight (3, 2, 3, 3), expected (1, 2, 3, 3)",
    ):
        assert line in str(e.value)
    assert "h.mlp" not in str(e.value)
    assert all(torch.equal(before[key], value) for key, value in other.state_dict().items())


def test_a_wholly_different_file_gives_a_short_message(tmp_path):
    torch.save(DnCNN(depth=8, features=2).state_dict(), tmp_path / "w.pth")
    with pytest.raises(PnpError, match="18 more") as e:
        load_weights(network(nb=1), tmp_path / "w.pth")
    assert "unexpected: model.0.weight (2, 1, 3, 3)" in str(e.value)
    assert len(str(e.value).splitlines()) < 15


class Bomb:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "save", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o, 2))], ids=["torch", "pickle"]
)
def test_a_malicious_pickle_is_refused_and_never_runs(tmp_path, save):
    save({"m_head.weight": torch.zeros(2), "x": Bomb(tmp_path / "ran")}, tmp_path / "bomb.pth")
    with pytest.raises(PnpError, match=r"bomb.pth: not read.*run any code"):
        load_weights(network(), tmp_path / "bomb.pth")
    assert not (tmp_path / "ran").exists()


@given(content=st.binary(max_size=200), suffix=st.sampled_from([".pth", ".safetensors"]))
def test_any_bytes_are_one_clear_error(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    with pytest.raises(PnpError, match=f"any{suffix}"):
        read_checkpoint(path)


def test_unreadable_files_are_one_clear_error(tmp_path):
    torch.save(network().state_dict(), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    for name, content in {
        "half.pth": whole[: len(whole) // 2],
        "empty.pth": b"",
        "text.pth": b"hello, I am a page that says 404",
        "text.safetensors": b"hello, I am a page that says 404",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PnpError, match=name):
            read_checkpoint(tmp_path / name)
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(PnpError, match="no named tensors"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(PnpError, match="no such file"):
        read_checkpoint(tmp_path / "absent.pth")


def test_broken_numbers_are_refused(tmp_path):
    state = network().state_dict()
    state["m_tail.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(PnpError, match=r"m_tail.weight holds NaN"):
        load_weights(network(), tmp_path / "w.pth")


def test_convert_keeps_every_tensor(tmp_path):
    shared = torch.rand(3, 4)
    state = {
        "a": shared,
        "b": shared,
        "c": torch.rand(4, 3).t(),
        "steps": torch.tensor(7),
        "half": torch.rand(2).half(),
    }
    torch.save({"params": {"module." + k: v for k, v in state.items()}}, tmp_path / "in.pth")
    convert(tmp_path / "in.pth", tmp_path / "out.safetensors")
    out = read_checkpoint(tmp_path / "out.safetensors")
    assert out.keys() == state.keys()
    assert all(torch.equal(out[k], v) and out[k].dtype == v.dtype for k, v in state.items())
    with pytest.raises(PnpError, match="give a name with that suffix"):
        convert(tmp_path / "in.pth", tmp_path / "out.pth")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.pth", "out.safetensors"]


def test_relative_paths_start_from_the_file_that_names_them(tmp_path):
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    other = network(1)
    load_weights(other, "w.safetensors", base=tmp_path)
    assert_same(network(), other)


def test_shipped_weights_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PRETRAINED", tmp_path)
    (tmp_path / "ikrnet").mkdir()
    save_file(network().state_dict(), tmp_path / "ikrnet" / "P.safetensors")
    (tmp_path / "manifest.yaml").write_text("ikrnet/Pk:\n  recipe: ikrnet-small\n")
    other = network(1)
    load_weights(other, "ikrnet/P")
    assert_same(network(), other)
    with pytest.raises(
        PnpError,
        match=r"'ikrnet/Pk' \(it has: ikrnet/P\).*pnp train ikrnet-small.*modules.NAME.weights",
    ):
        load_weights(other, "ikrnet/Pk")
    with pytest.raises(PnpError, match=r"no weights called '\.\./secret'") as e:
        load_weights(other, "../secret")
    assert "pnp train" not in str(e.value)


def test_batch_normalisation_of_a_public_DnCNN_is_merged(tmp_path):
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 5, 3, padding=1), nn.ReLU()]
    for _ in range(2):
        norm = nn.BatchNorm2d(5, eps=BATCH_NORM_EPS)
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.1, 2)
        layers += [nn.Conv2d(5, 5, 3, padding=1), norm, nn.ReLU()]
    original = nn.Sequential(*layers, nn.Conv2d(5, 1, 3, padding=1)).eval()
    torch.save(prefixed(original, "model."), tmp_path / "w.pth")
    ours, x = DnCNN(depth=4, features=5), torch.rand(1, 1, 9, 9)
    load_weights(ours, tmp_path / "w.pth")
    torch.testing.assert_close(ours(x), x - original(x), rtol=0, atol=1e-5)
