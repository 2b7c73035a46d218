"""Public weights, public inputs: our networks against outputs of the original implementations.

The folder of references is not part of the project (environment variable PNP_PARITY); without it these tests skip.
"""

import importlib.util

import numpy as np
import pytest
import torch

import pnp
from pnp.checkpoints import load_weights
from pnp.estimators.hypanet import HyPaNet
from pnp.priors.dncnn import DnCNN
from pnp.priors.drunet import DRUNet
from pnp.priors.resunet import ResUNet
from pnp.priors.scunet import SCUNet
from pnp.solvers.fft_image import FftImage

USRNET = {"x2_sigma5": 1e-4, "x3_sigma2": 3e-4, "x4_sigma0": 2e-3}


def read(path):
    return {key: torch.from_numpy(value) for key, value in np.load(path).items()}


def filled(parity, network):
    """The network with the reproducible weights that the references were made with."""
    spec = importlib.util.spec_from_file_location("fill", parity / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill(network).eval()


def distance(x, reference):
    """Largest difference, relative to the reference's range."""
    return float((x - reference).abs().max() / (reference.max() - reference.min()))


def listed(path):
    """Names and shapes of a checkpoint, from lines such as `m_head.weight (16, 4, 3, 3)`."""
    return {key: shape for key, shape in (line.split(" ", 1) for line in path.read_text().splitlines())}


def shapes(network):
    return {key: str(tuple(value.shape)) for key, value in network.state_dict().items()}


@torch.no_grad()
def test_scunet(parity):
    network, reference = filled(parity, SCUNet(config=(2,) * 7)), read(parity / "scunet_dim64_depth2.npz")
    assert shapes(network) == listed(parity / "scunet_dim64_depth2.keys.txt")
    assert distance(network(reference["x"]), reference["out"]) < 1e-4


@torch.no_grad()
def test_drunet(parity):
    network, reference = filled(parity, DRUNet(nc=(16, 32, 64, 64))), read(parity / "drunet_colour_nb4.npz")
    assert shapes(network) == listed(parity / "drunet_colour_nb4.keys.txt")
    # The reference's fourth channel is random, not the constant map that a level gives.
    assert distance(network.body(reference["x"]), reference["out"]) < 1e-4


@torch.no_grad()
def test_dncnn_with_public_weights(parity):
    network, reference = DnCNN(), read(parity / "dncnn_25.npz")
    load_weights(network, parity / "dncnn_25.pth")
    assert distance(network(reference["x"]), reference["out"]) < 1e-4


@torch.no_grad()
def usrnet_tiny(parity, reference, D, dtype=torch.float32, bf16=False):
    """USRNet's loop: D and P in turn, their parameters from H; `bf16` computes in lower precision within P."""
    P, H = ResUNet(nc=(16, 32, 64, 64)).to(dtype), HyPaNet(n=6, width=32).to(dtype)
    load_weights(P, parity / "usrnet_tiny.pth")
    load_weights(H, parity / "usrnet_tiny.pth")
    y, k, s = reference["y"].to(dtype), reference["k"].to(dtype), int(reference["scale"])
    alpha, beta = H(reference["sigma"], s, 6)
    x = y.repeat_interleave(s, dim=2).repeat_interleave(s, dim=3)
    for i in range(6):
        z = D(y, x, k, alpha[:, i : i + 1])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            x = P(z, beta[:, i : i + 1])
    return x


def equation_8(y, x, k, alpha):
    """D as the paper writes it: on the zero-filled y, with the division by alpha at the end."""
    s = x.shape[-1] // y.shape[-1]
    filled_y, blur = torch.zeros_like(x), torch.zeros_like(x[:1, :1])
    filled_y[..., ::s, ::s] = y
    blur[..., : k.shape[-2], : k.shape[-1]] = k
    K = torch.fft.fft2(blur.roll((-(k.shape[-2] // 2), -(k.shape[-1] // 2)), dims=(-2, -1)))

    def fold(X):
        return X.unflatten(-1, (s, -1)).unflatten(-3, (s, -1)).mean((-4, -2))

    A = K.conj() * torch.fft.fft2(filled_y) + torch.fft.fft2(alpha * x)
    tiled = (fold(K * A) / (fold(K.abs() ** 2) + alpha)).repeat(1, 1, s, s)
    return torch.fft.ifft2((A - K.conj() * tiled) / alpha).real


@pytest.mark.parametrize("case", USRNET)
def test_usrnet_tiny(parity, case):
    """The tolerance is 1e-4 of the range where the reference itself is that exact.

    At sigma 0 H gives alphas down to 2e-6, and equation 8, by which the references were made in float32, divides by
    alpha: its rounding reaches 1e-3 of the range (next test).  Our D does not divide.
    """
    reference = read(parity / f"usrnet_tiny_{case}.npz")
    assert distance(usrnet_tiny(parity, reference, FftImage()), reference["x"]) < USRNET[case]


AS_PIPELINE = """
given: [y, s, k, sigma]
modules:
  U: {initializer: nearest}
  H: {estimator: hypanet, n: 6, width: 32}
  D: {solver: fft-image}
  P: {prior: resunet, nc: [16, 32, 64, 64]}
start:
  - x = U(y, s)
  - alpha, beta = H(sigma, s, n)
repeat: 6
steps:
  - z = D(y, x, k, alpha[i])
  - x = P(z, beta[i])
return: x
"""


@pytest.mark.parametrize("case", USRNET)
def test_usrnet_tiny_as_a_pipeline(parity, case, tmp_path):
    (tmp_path / "tiny.yaml").write_text(AS_PIPELINE + f"weights: {parity / 'usrnet_tiny.pth'}")
    pipeline = pnp.load(tmp_path / "tiny.yaml")
    reference = read(parity / f"usrnet_tiny_{case}.npz")
    with torch.inference_mode():
        x = pipeline(y=reference["y"], k=reference["k"], s=int(reference["scale"]), sigma=float(reference["sigma"])).x
    assert distance(x, usrnet_tiny(parity, reference, FftImage())) < 1e-6
    assert distance(x, reference["x"]) < USRNET[case]


@pytest.mark.parametrize("case", USRNET)
def test_usrnet_tiny_is_equation_8_in_exact_arithmetic(parity, case):
    reference = read(parity / f"usrnet_tiny_{case}.npz")
    exact = usrnet_tiny(parity, reference, equation_8, torch.float64)
    assert distance(usrnet_tiny(parity, reference, FftImage()), exact) < 1e-5
    rounded = usrnet_tiny(parity, reference, equation_8)
    assert distance(reference["x"], exact) < 4 * distance(rounded, exact) + 1e-5


@pytest.mark.parametrize("case", USRNET)
def test_bf16_within_P_changes_psnr_by_less_than_0_02_dB(parity, case):
    reference = read(parity / f"usrnet_tiny_{case}.npz")
    full, low = (usrnet_tiny(parity, reference, FftImage(), bf16=bf16) for bf16 in (False, True))
    psnr = [-10 * torch.log10((x - reference["hr"]).square().mean()) for x in (full, low)]
    assert 0 < abs(psnr[0] - psnr[1]) < 0.02
