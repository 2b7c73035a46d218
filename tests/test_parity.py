"""Public weights, public inputs: our networks against outputs of the original implementations.

The folder of references is not part of the project (environment variable PNP_PARITY); without it
these tests skip.
"""

import importlib.util

import numpy as np
import pytest
import torch

import pnp
from pnp.checkpoints import load_weights
from pnp.priors.dncnn import DnCNN
from pnp.priors.drunet import DRUNet
from pnp.priors.scunet import SCUNet

USRNET = ("x2_sigma5", "x3_sigma2", "x4_sigma0")


def read(path):
    return {key: torch.from_numpy(value) for key, value in np.load(path).items()}


def filled(parity, network):
    """The network with the reproducible weights that the references were made with."""
    spec = importlib.util.spec_from_file_location("fill", parity / "fill.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill(network).eval()


def distance(x, reference):
    """Largest difference, relative to the reference's range."""
    return float((x - reference).abs().max() / (reference.max() - reference.min()))


def listed(path):
    """Names and shapes of a checkpoint, from lines such as `m_head.weight (16, 4, 3, 3)`."""
    return {
        key: shape for key, shape in (line.split(" ", 1) for line in path.read_text().splitlines())
    }


def shapes(network):
    return {key: str(tuple(value.shape)) for key, value in network.state_dict().items()}


@torch.no_grad()
def test_scunet(parity):
    network, reference = (
        filled(parity, SCUNet(config=(2,) * 7)),
        read(parity / "scunet_dim64_depth2.npz"),
    )
    assert shapes(network) == listed(parity / "scunet_dim64_depth2.keys.txt")
    assert distance(network(reference["x"]), reference["out"]) < 1e-4


@torch.no_grad()
def test_drunet(parity):
    network, reference = (
        filled(parity, DRUNet(nc=(16, 32, 64, 64))),
        read(parity / "drunet_colour_nb4.npz"),
    )
    assert shapes(network) == listed(parity / "drunet_colour_nb4.keys.txt")
    # The reference's fourth channel is random, not the constant map that a level gives.
    assert distance(network.body(reference["x"]), reference["out"]) < 1e-4


@torch.no_grad()
def test_dncnn_with_public_weights(parity):
    network, reference = DnCNN(), read(parity / "dncnn_25.npz")
    load_weights(network, parity / "dncnn_25.pth")
    assert distance(network(reference["x"]), reference["out"]) < 1e-4


@torch.inference_mode()
def usrnet_tiny(parity, case, dtype=torch.float32, bf16=False, **changes):
    """What the pipeline usrnet-tiny makes of a reference's input with the public weights, and the reference."""
    pipeline = pnp.load("usrnet-tiny", weights=parity / "usrnet_tiny.pth", **changes)
    pipeline.to(dtype).prepare(torch.bfloat16 if bf16 else torch.float32)
    reference = read(parity / f"usrnet_tiny_{case}.npz")
    y, k = reference["y"].to(dtype), reference["k"].to(dtype)
    return pipeline(
        y=y, k=k, s=int(reference["scale"]), sigma=float(reference["sigma"])
    ).x, reference


@pytest.mark.parametrize("case", USRNET)
def test_usrnet_tiny_gives_the_public_outputs(parity, case):
    """To 1e-4, beside what rounding in float32 made of the reference itself: equation 8 divides by
    weights down to 2e-6, so two processors differ by that much on the same program."""
    exact, reference = usrnet_tiny(parity, case, torch.float64)
    rounding = distance(reference["x"], exact)
    assert distance(usrnet_tiny(parity, case)[0], reference["x"]) < 1e-4 + 2 * rounding
    assert distance(exact, reference["x"]) < 2e-3


@pytest.mark.parametrize("case", USRNET)
def test_fft_image_is_nearer_to_exact_arithmetic_than_the_public_outputs(parity, case):
    """At sigma 0 H gives weights down to 2e-6, and equation 8 divides by them: in float32 it loses what we keep."""
    exact, reference = usrnet_tiny(parity, case, torch.float64)
    ours = usrnet_tiny(parity, case, **{"modules.D.solver": "fft-image"})[0]
    assert distance(ours, exact) < 1e-5
    assert distance(ours, exact) < distance(reference["x"], exact)
    assert distance(ours, reference["x"]) < 1e-4 + 2 * distance(reference["x"], exact)


@pytest.mark.parametrize("case", USRNET)
def test_bf16_within_P_changes_psnr_by_less_than_0_02_dB(parity, case):
    (full, reference), (low, _) = (usrnet_tiny(parity, case, bf16=bf16) for bf16 in (False, True))
    psnr = [-10 * torch.log10((x - reference["hr"]).square().mean()) for x in (full, low)]
    assert 0 < abs(psnr[0] - psnr[1]) < 0.02
