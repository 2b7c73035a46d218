"""The image networks and H: what they compute whatever their weights are."""

from typing import Any

import pytest
import torch
from torch import nn

from pnp.errors import PnpError
from pnp.estimators.hypanet import HyPaNet
from pnp.priors.dncnn import DnCNN
from pnp.priors.drunet import DRUNet
from pnp.priors.network import NetworkPrior
from pnp.priors.resunet import BlindResUNet, ResUNet
from pnp.priors.scunet import LevelSCUNet, SCUNet, WindowAttention
from pnp.testing import check_prior

NC = (4, 4, 8, 8)
SWIN: dict[str, Any] = {"config": (2, 2, 2, 2, 2, 2, 2), "dim": 8, "head_dim": 2, "window": 4}
WITH_LEVEL = {
    "resunet": lambda channels=3: ResUNet(channels, nc=NC, nb=1),
    "drunet": lambda channels=3: DRUNet(channels, nc=NC, nb=1),
    "scunet-level": lambda channels=3: LevelSCUNet(channels, **SWIN),
}
BLIND = {
    "resunet-blind": lambda channels=3: BlindResUNet(channels, nc=NC, nb=1),
    "scunet": lambda channels=3: SCUNet(channels, **SWIN),
    "dncnn": lambda channels=3: DnCNN(channels, depth=4, features=8),
}
ALL = WITH_LEVEL | BLIND


def build(name: str, channels: int = 3) -> NetworkPrior:
    torch.manual_seed(0)
    return ALL[name](channels).eval()


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: ResUNet(), 17_010_624),
        (lambda: ResUNet(nc=(16, 32, 64, 64)), 590_332 - 1_548),
        (lambda: BlindResUNet(), 17_010_048),
        (lambda: DRUNet(), 32_640_960),
        (lambda: SCUNet(), 17_946_072),
        (lambda: LevelSCUNet(), 17_946_648),
        (lambda: DnCNN(), 555_137),
        (lambda: HyPaNet(), 17_016_016 - 17_010_624),
        (lambda: HyPaNet(n=6, width=32), 1_548),
    ],
)
def test_parameter_counts_are_the_published_ones(network, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in network().parameters()) == parameters


@pytest.mark.parametrize("name", ALL)
def test_networks_keep_the_contract_of_a_prior(name):
    check_prior(build(name))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (65, 33)])
def test_any_size_keeps_its_shape(name, size):
    x = torch.rand(2, 3, *size)
    out = build(name)(x, 0.1)
    assert out.shape == x.shape and out.isfinite().all()


@pytest.mark.parametrize("name", [name for name in ALL if name != "dncnn"])
def test_the_frame_repeats_the_last_row_and_column(name):
    network = build(name)
    height, width, whole = network.multiple - 3, network.multiple - 5, network.multiple
    x = torch.rand(1, 3, whole, whole)
    x[..., height:, :] = x[..., height - 1 : height, :]
    x[..., width:] = x[..., width - 1 : width]
    cropped = network(x, 0.1)[..., :height, :width]
    torch.testing.assert_close(network(x[..., :height, :width], 0.1), cropped, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_one_channel_networks(name):
    x = torch.rand(1, 1, 9, 11)
    assert build(name, channels=1)(x, 0.1).shape == x.shape


@pytest.mark.parametrize("name", ALL)
def test_wrong_channels_are_one_clear_error(name):
    with pytest.raises(
        PnpError, match=f"{name}: x has 1 channel, but the network was built for 3; set channels: 1"
    ):
        build(name)(torch.rand(1, 1, 8, 8), 0.1)
    with pytest.raises(PnpError, match="shape"):
        build(name)(torch.rand(3, 8, 8), 0.1)


@pytest.mark.parametrize("name", WITH_LEVEL)
def test_each_image_has_its_own_level(name):
    network, x = build(name), torch.rand(1, 3, 16, 16).expand(2, -1, -1, -1)
    together = network(x, torch.tensor([0.01, 0.3]).reshape(2, 1, 1, 1))
    torch.testing.assert_close(together[:1], network(x[:1], 0.01), rtol=0, atol=1e-6)
    torch.testing.assert_close(together[1:], network(x[1:], 0.3), rtol=0, atol=1e-6)
    assert (together[0] - together[1]).abs().max() > 1e-4
    assert not network.blind


@pytest.mark.parametrize("name", BLIND)
def test_blind_networks_ignore_the_level(name):
    network, x = build(name), torch.rand(1, 3, 16, 16)
    assert network.blind
    assert torch.equal(network(x), network(x, 0.5))


@pytest.mark.parametrize("name", ["resunet", "drunet"])
def test_without_biases_the_network_is_homogeneous(name):
    network, x = build(name), torch.rand(1, 3, 12, 20)
    torch.testing.assert_close(network(4 * x, 0.4), 4 * network(x, 0.1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_learns(name):
    network = build(name).train()
    (network(torch.rand(2, 3, 40, 40), 0.1) ** 2).mean().backward()
    without = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


@pytest.mark.parametrize("name", ALL)
def test_memory_format_does_not_change_the_result(name):
    network, x = build(name), torch.rand(2, 3, 20, 12)
    expected = network(x, 0.1)
    last = network.to(memory_format=torch.channels_last)(
        x.to(memory_format=torch.channels_last), 0.1
    )
    torch.testing.assert_close(last, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_lower_precision_inside_keeps_the_dtype_outside(name):
    network, x = build(name), torch.rand(1, 3, 20, 12)
    expected = network(x, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(x, 0.1)
    assert mixed.dtype == x.dtype
    assert 0 < (mixed - expected).abs().max() < 0.05
    assert not torch.equal(mixed, mixed.bfloat16().float())  # the image itself is not rounded
    assert network(x.double(), 0.1).dtype == torch.float64


def test_shifted_windows_are_attention_among_true_neighbours():
    """Attention over all pixels at once, masked by the definition, gives what windows on the torus with masks give."""
    torch.manual_seed(0)
    window, rows, columns, dim, head_dim = 4, 12, 8, 6, 3
    x = torch.randn(2, rows, columns, dim)
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    row, column = row.flatten(), column.flatten()
    for shifted in (False, True):
        attention = WindowAttention(dim, head_dim, window, shifted)
        nn.init.normal_(attention.relative_position_params)
        start = window // 2 if shifted else 0
        group = torch.stack(
            [
                (row - start).div(window, rounding_mode="floor"),
                (column - start).div(window, rounding_mode="floor"),
            ]
        )
        same = (group[:, :, None] == group[:, None, :]).all(0)
        down, across = row[:, None] - row, column[:, None] - column
        limit = window - 1
        position = attention.relative_position_params[
            :, down.clamp(-limit, limit) + limit, across.clamp(-limit, limit) + limit
        ]
        q, k, v = (
            attention.embedding_layer(x.flatten(1, 2))
            .reshape(2, -1, 3, dim // head_dim, head_dim)
            .permute(2, 0, 3, 1, 4)
        )
        logits = (q @ k.transpose(-1, -2) / head_dim**0.5 + position).masked_fill(
            ~same, float("-inf")
        )
        expected = attention.linear(
            (logits.softmax(-1) @ v).transpose(1, 2).reshape(2, rows, columns, dim)
        )
        torch.testing.assert_close(attention(x), expected, rtol=1e-5, atol=1e-6)


def test_drop_path_acts_in_training_only():
    torch.manual_seed(0)
    network, x = SCUNet(**SWIN, drop_path=0.9), torch.rand(1, 3, 32, 32)
    assert not torch.equal(network.train()(x), network(x))
    assert torch.equal(network.eval()(x), network(x))


@pytest.mark.parametrize(
    ("construct", "message"),
    [
        (lambda: ResUNet(channels=0), "resunet: channels is 0"),
        (lambda: ResUNet(nc=(64, 128)), "resunet: nc is .*a list of 4"),  # type: ignore[arg-type]
        (lambda: DRUNet(nb=0), "drunet: nb is 0"),
        (lambda: SCUNet(config=(4, 4)), "scunet: config is .*a list of 7"),  # type: ignore[arg-type]
        (lambda: SCUNet(dim=48), "scunet: dim is 48.*multiple of 64"),
        (lambda: DnCNN(depth=1), "dncnn: depth is 1"),
        (lambda: HyPaNet(n=0), "hypanet: n is 0"),
    ],
)
def test_options_that_build_no_network(construct, message):
    with pytest.raises(PnpError, match=message):
        construct()


def test_H_gives_positive_parameters_of_every_iteration():
    torch.manual_seed(0)
    H = HyPaNet(n=5)
    alpha, beta = H(torch.tensor([0.0, 0.02, 1.0]).reshape(3, 1, 1, 1), 4, 5)
    assert alpha.shape == beta.shape == (3, 5, 1, 1)
    assert (torch.cat([alpha, beta]) >= 1e-6).all()
    torch.testing.assert_close(H(0.02, 4, 5)[0][0], alpha[1])
    assert all(not torch.equal(H(0.02, 4, 5)[0], H(0.02, s, 5)[0]) for s in (1, 2, 3))


def test_H_starts_as_a_schedule():
    torch.manual_seed(0)
    alpha, beta = (v.detach() for v in HyPaNet(n=6)(0.02, 4, 6))
    assert float(beta[0, 0]) == pytest.approx(49 / 255, rel=0.5) and float(
        beta[0, -1]
    ) == pytest.approx(0.01, rel=0.8)
    torch.testing.assert_close(alpha, 0.23 * (0.02 / beta) ** 2, rtol=3, atol=0)
    assert float(HyPaNet(n=1)(0.02, 4, 1)[1].detach()) == pytest.approx(0.01, rel=0.8)


def test_H_refuses_another_number_of_iterations():
    with pytest.raises(
        PnpError, match="hypanet: it is built for 8 iterations, but the pipeline runs 4"
    ):
        HyPaNet(n=8)(0.02, 2, 4)
