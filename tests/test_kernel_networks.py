"""The networks around the kernel and the noise: I, Pk, F, the kernel corrector and the flow of kernels."""

import math

import pytest
import torch
from torch import nn

from pnp.checkpoints import load_weights
from pnp.errors import PnpError
from pnp.estimators.residual_noise import ResidualNoise
from pnp.initializers.kernel_encoder import KernelEncoder
from pnp.interfaces import DataSolver, pipeline_run
from pnp.kernels import resize_kernel
from pnp.networks.kernel_autoencoder import KernelAutoEncoder
from pnp.networks.kernel_flow import KernelFlow, shifted
from pnp.observation import blur, downsample
from pnp.priors.flow_kernel import FlowKernel
from pnp.priors.kernel_auto_encoder import AutoEncodedKernel
from pnp.priors.kernel_resunet import KernelResUNet
from pnp.priors.kernel_update import KernelUpdate
from pnp.testing import check_prior
from pnp.transforms.flow_kernel import FlowKernelSearch
from pnp.transforms.kernel_corrector import KernelCorrector

FKP: dict[str, dict] = {
    "FKP_x2": dict(size=11, width=15, shift=0.5),
    "FKP_x4": dict(size=19, width=25, shift=1.5),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def gaussian(
    size: int, rows: float = 1.5, columns: float = 1.5, angle: float = 0.0, centre: float = 0.0
):
    """A Gaussian kernel (1, 1, size, size); its standard deviations, its angle, the offset of its centre."""
    at = torch.arange(size) - size // 2 - centre
    r, c = at[:, None], at[None, :]
    u, v = r * math.cos(angle) + c * math.sin(angle), c * math.cos(angle) - r * math.sin(angle)
    k = torch.exp(-(u**2) / (2 * rows**2) - v**2 / (2 * columns**2))
    return (k / k.sum())[None, None]


def observation(scale: int, size: int = 9, batch: int = 2, height: int = 11, width: int = 10):
    x = torch.rand(batch, 3, scale * height, scale * width)
    k = gaussian(size).repeat(batch, 1, 1, 1)
    return downsample(blur(x, k), scale), x, k


def every_parameter_learns(module: nn.Module, output: torch.Tensor) -> None:
    # Not the plain sum: that of a normalised kernel is one, whatever the parameters are.
    (output * torch.rand_like(output)).sum().backward()
    silent = [
        name
        for name, p in module.named_parameters()
        if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert not silent, f"no gradient reaches {silent}"


# Sizes that the authors' code has


def test_parameter_counts():
    conv = [(3, 64), (64, 64), (64, 64), (64, 64), (64, 64), (64, 10)]
    encoder = sum(a * b * 25 + b for a, b in conv)
    decoder = sum(a * b + b for a, b in [(10, 25), (25, 100), (100, 225), (225, 400), (400, 441)])
    assert parameters(KernelResUNet()) == 16_863
    assert parameters(KernelEncoder().encoder) == encoder
    assert parameters(KernelEncoder().decoder) == parameters(KernelAutoEncoder().decoder) == decoder
    assert parameters(ResidualNoise()) == (27 * 64 + 64) + (64 * 64 + 64)


# I


@pytest.mark.parametrize(
    ("channels", "size", "height", "width"), [(3, 21, 16, 16), (1, 11, 5, 7), (4, 20, 1, 3)]
)
def test_kernel_encoder_gives_kernels(channels, size, height, width):
    k = KernelEncoder(size=size, channels=channels, features=8)(
        torch.rand(2, channels, height, width)
    )
    assert k.shape == (2, 1, size, size)
    assert (k >= 0).all()
    torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(2))


def test_kernel_encoder_of_the_authors_is_not_normalised():
    k = KernelEncoder(normalise=False, features=8)(torch.rand(1, 3, 8, 8))
    assert k.min() >= 0 and k.max() <= 1
    assert k.sum() > 2  # sigmoids of an untrained decoder are near one half


def test_kernel_encoder_treats_images_one_by_one():
    i, y = KernelEncoder(features=8), torch.rand(3, 3, 9, 8)
    torch.testing.assert_close(i(y), torch.cat([i(one) for one in y.split(1)]))


def test_kernel_encoder_learns_everywhere():
    i = KernelEncoder(features=8)
    every_parameter_learns(i, i(torch.rand(2, 3, 8, 8)))


def test_kernel_encoder_takes_over_the_decoder_of_an_auto_encoder():
    auto, i = KernelAutoEncoder(size=9), KernelEncoder(size=9, features=8)
    i.decoder.load_state_dict(auto.decoder.state_dict())
    code = torch.randn(2, 10)
    assert torch.equal(i.decoder(code), auto.decoder(code))
    assert (
        i.encoder(torch.rand(2, 3, 8, 8)).shape
        == auto.encoder(gaussian(9).repeat(2, 1, 1, 1)).shape
    )


def test_the_prior_of_the_auto_encoder_has_its_keys_and_its_result():
    auto, prior = KernelAutoEncoder(size=9), AutoEncodedKernel(size=9)
    prior.load_state_dict(auto.state_dict())
    k = gaussian(9).repeat(2, 1, 1, 1)
    assert torch.equal(prior(k), auto(k))
    assert {key.split(".")[0] for key in prior.state_dict()} == {"encoder", "decoder"}


def test_kernel_auto_encoder_can_be_trained():
    auto = KernelAutoEncoder(size=9)
    kernels = torch.cat(
        [gaussian(9, a, b, t) for a in (1.0, 2.0) for b in (1.0, 3.0) for t in (0.0, 0.8)]
    )
    every_parameter_learns(auto, auto(kernels))
    optimiser = torch.optim.Adam(auto.parameters(), lr=1e-3)
    spread = (kernels - kernels.mean(0)).square().mean()
    for _ in range(300):
        loss = (auto(kernels) - kernels).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.05 * spread  # a decoder that ignored the latent would stay at the spread


def test_kernel_encoder_refuses_other_channels_and_sizes():
    with pytest.raises(
        PnpError, match="1 channel, but the network was built for 3; set channels: 1"
    ):
        KernelEncoder()(torch.rand(1, 1, 8, 8))
    with pytest.raises(PnpError, match="kernel-encoder: size is 0"):
        KernelEncoder(size=0)


# Pk


@pytest.mark.parametrize("size", [(21, 21), (1, 1), (9, 16), (25, 25)])
def test_kernel_resunet_keeps_any_size(size):
    w = torch.rand(2, 1, *size, dtype=torch.float64)
    k = KernelResUNet()(w)
    assert k.shape == w.shape
    assert k.dtype == w.dtype


@pytest.mark.parametrize("gain", [1.0, 100.0])
def test_constraint_holds_and_is_the_nearest(gain):
    raw, by_sum, simplex = (
        KernelResUNet(constraint=c, gain=gain) for c in ("none", "sum", "simplex")
    )
    by_sum.load_state_dict(raw.state_dict())
    simplex.load_state_dict(raw.state_dict())
    w = torch.rand(3, 1, 11, 11)
    free, summed, projected = raw(w), by_sum(w), simplex(w)
    one = torch.ones(3)
    assert (free.sum((1, 2, 3)) - 1).abs().max() > 1e-3
    torch.testing.assert_close(summed.sum((1, 2, 3)), one)
    torch.testing.assert_close(projected.sum((1, 2, 3)), one)
    assert (projected >= 0).all()
    # Nearest: `sum` moves all taps alike, and no other kernel of the simplex is nearer than the
    # projection.
    moved = (summed - free).flatten(1)
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), atol=1e-6, rtol=0)
    for other in (
        gaussian(11),
        torch.full((1, 1, 11, 11), 1 / 121),
        torch.eye(121)[60].reshape(1, 1, 11, 11),
    ):
        assert (
            (projected - free).square().sum((1, 2, 3))
            <= (other - free).square().sum((1, 2, 3)) + 1e-6
        ).all()


@pytest.mark.parametrize("constraint", ["none", "sum", "simplex"])
def test_kernel_resunet_learns_everywhere(constraint):
    pk = KernelResUNet(nc=(4, 4, 4, 4), constraint=constraint)
    every_parameter_learns(pk, pk(torch.rand(2, 1, 13, 13)))


def test_kernel_resunet_treats_kernels_one_by_one():
    pk, w = KernelResUNet(), torch.rand(3, 1, 13, 13)
    torch.testing.assert_close(pk(w), torch.cat([pk(one) for one in w.split(1)]))


def test_kernel_resunet_refuses_unknown_options():
    with pytest.raises(
        PnpError, match="constraint is 'softmax', but should be one of none, sum, simplex"
    ):
        KernelResUNet(constraint="softmax")  # type: ignore[arg-type]
    with pytest.raises(PnpError, match="gain is 0"):
        KernelResUNet(gain=0)


# F


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_residual_noise_gives_one_level_per_image(scale):
    f = ResidualNoise(features=8)
    y, x, k = observation(scale)
    sigma = f(y + 0.1 * torch.randn_like(y), x, k)
    assert sigma.shape == (2, 1, 1, 1)
    assert (sigma >= 0).all()


def test_residual_noise_sees_nothing_but_the_residual():
    f, (y, x, k) = ResidualNoise(features=8), observation(2)
    y2, x2, _ = observation(2)
    noise = 0.02 * torch.randn_like(y)
    torch.testing.assert_close(f(y + noise, x, k), f(y2 + noise, x2, k))
    assert not torch.allclose(f(y + noise, x, k), f(y + 3 * noise, x, k))


def test_residual_noise_scales_with_the_maximum():
    low, high = ResidualNoise(features=8), ResidualNoise(features=8, max_sigma=0.06)
    high.load_state_dict(low.state_dict())
    y, x, k = observation(2)
    noise = 0.02 * torch.randn_like(y)
    torch.testing.assert_close(high(y + 2 * noise, x, k), 2 * low(y + noise, x, k))


def test_residual_noise_learns_and_passes_gradients_to_image_and_kernel():
    f, (y, x, k) = ResidualNoise(features=8), observation(2)
    x.requires_grad_()
    k.requires_grad_()
    every_parameter_learns(f, f(y + 0.1 * torch.randn_like(y), x, k))
    assert x.grad.abs().sum() > 0
    assert k.grad.abs().sum() > 0


def test_residual_noise_can_tell_noise_levels():
    f = ResidualNoise(features=16)
    optimiser = torch.optim.Adam(f.parameters(), lr=3e-3)
    _, x, k = observation(1, batch=8, height=16, width=16)

    def example():
        sigma = 0.03 * torch.rand(8, 1, 1, 1)
        return f(blur(x, k) + sigma * torch.randn_like(x), x, k), sigma

    for _ in range(150):
        found, sigma = example()
        optimiser.zero_grad()
        (found - sigma).abs().mean().backward()
        optimiser.step()
    found, sigma = example()
    assert (found - sigma).abs().mean() < 0.003  # guessing the middle is off by 0.0075


def test_residual_noise_refuses_other_channels_and_sizes():
    y, x, k = observation(2)
    with pytest.raises(PnpError, match="set channels: 3"):
        ResidualNoise(channels=1)(y, x, k)
    with pytest.raises(PnpError, match="not one whole scale"):
        ResidualNoise()(y, x[..., 1:], k)
    with pytest.raises(PnpError, match="max_sigma is 3"):
        ResidualNoise(max_sigma=3.0)


# The kernel corrector


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_kernel_corrector_gives_kernels_at_any_scale(scale):
    y, x, k = observation(scale)
    out = KernelCorrector(size=9, features=8)(y, x, k)
    assert out.shape == k.shape
    assert (out >= 0).all()
    torch.testing.assert_close(out.sum((1, 2, 3)), torch.ones(2))


def test_kernel_corrector_learns_everywhere_and_is_no_minimiser():
    c = KernelCorrector(size=9, features=8)
    assert not isinstance(c, DataSolver)
    every_parameter_learns(c, c(*observation(2)))


def test_kernel_corrector_treats_images_one_by_one_and_shares_a_kernel():
    c, (y, x, k) = KernelCorrector(size=9, features=8), observation(2)
    alone = torch.cat([c(y[i : i + 1], x[i : i + 1], k[:1]) for i in range(2)])
    torch.testing.assert_close(c(y, x, k), alone)
    torch.testing.assert_close(c(y, x, k[:1]), alone)


def test_kernel_corrector_looks_at_all_it_is_given():
    c, (y, x, k) = KernelCorrector(size=9, features=8), observation(2)
    out = c(y, x, k)
    for changed in (
        c(y.flip(-1), x, k),
        c(y, x.flip(-1), k),
        c(y, x, gaussian(9, 3.0).repeat(2, 1, 1, 1)),
    ):
        assert not torch.equal(out, changed)


def test_kernel_corrector_refuses_what_does_not_fit():
    y, x, k = observation(2)
    with pytest.raises(PnpError, match="k is 9 x 9, not 21 x 21"):
        KernelCorrector()(y, x, k)
    with pytest.raises(PnpError, match="set channels: 3"):
        KernelCorrector(size=9, channels=1)(y, x, k)


# The flow


def fkp(cls, name: str, parity, **options):
    module = cls(**FKP[name], **options)
    load_weights(module, parity / f"{name}.pt")
    return module


def relative_error(found: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    return ((found - true).square().sum((1, 2, 3)) / true.square().sum((1, 2, 3))).sqrt()


def check_kernels(k: torch.Tensor) -> None:
    assert (k >= 0).all()
    torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(len(k)))


def test_flow_of_random_weights_gives_kernels():
    flow = KernelFlow(size=7, width=5, shift=0.0)
    latent = flow.on_sphere(torch.randn(4, 49))
    torch.testing.assert_close(latent.norm(dim=1), torch.full((4,), 7.0))
    check_kernels(flow(latent))
    every_parameter_learns(flow, flow(latent))


@pytest.mark.parametrize("name", FKP)
def test_flow_of_public_weights_gives_compact_centred_kernels(name, parity):
    flow = fkp(FlowKernel, name, parity).flow
    with torch.no_grad():
        k = flow(flow.on_sphere(torch.randn(64, flow.size**2)))
    check_kernels(k)
    at = (torch.arange(flow.size) - flow.size // 2).float()
    centre = torch.stack(
        [(k.sum(3) * at[:, None].T).sum((1, 2)), (k.sum(2) * at[:, None].T).sum((1, 2))]
    )
    spread = (k * (at[:, None] ** 2 + at[None, :] ** 2)).sum((1, 2, 3)).sqrt()
    assert centre.mean(1).abs().max() < 0.1
    assert (
        spread.min() > 0.5 and spread.max() < 0.6 * flow.size
    )  # a flat kernel of size K spreads 0.41 K per axis
    # Smooth: neighbouring taps differ little, where independent taps would differ by twice their
    # squares.
    assert ((k[..., 1:] - k[..., :-1]).square().sum() / k.square().sum()) < 0.4


@pytest.mark.parametrize("by", [0.5, 1.5, -1.25, 2.0])
def test_shifting_a_gaussian_gives_the_shifted_gaussian(by):
    k = shifted(gaussian(25, 1.5, 2.5, 0.6), by)
    inner = slice(4, -4)  # beyond, the last row and column are repeated
    k, true = k[..., inner, inner], gaussian(25, 1.5, 2.5, 0.6, centre=by)[..., inner, inner]
    torch.testing.assert_close(k / k.sum(), true / true.sum(), atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("name", FKP)
def test_flow_prior_finds_the_nearest_kernel(name, parity):
    s = int(name[-1])
    true = torch.cat(
        [
            gaussian(FKP[name]["size"], 0.4 * s + a, 0.4 * s + b, t)
            for a, b, t in [(0, 1, 0.5), (0.5, 0.5, 0)]
        ]
    )
    found = fkp(FlowKernel, name, parity)(true)
    check_kernels(found)
    assert relative_error(found, true).max() < 0.05


@pytest.mark.parametrize("name", FKP)
def test_flow_solver_recovers_a_gaussian_from_an_observation(name, parity):
    s = int(name[-1])
    true = gaussian(FKP[name]["size"], 0.4 * s, 0.4 * s + 1, 0.7)
    x = torch.rand(1, 3, 32 * s, 24 * s)
    y = downsample(blur(x, true), s)
    y = y + 0.01 * torch.randn_like(y)
    found = fkp(FlowKernelSearch, name, parity)(y, x)
    check_kernels(found)
    assert relative_error(found, true).max() < 0.06


def tiny_search(**options):
    torch.manual_seed(1)
    return FlowKernelSearch(size=5, width=4, steps=5, **options)


@pytest.mark.parametrize("cls", [FlowKernel, FlowKernelSearch])
def test_flow_modules_are_deterministic_and_the_same_in_inference_mode(cls):
    torch.manual_seed(1)
    module = cls(size=5, width=4, steps=5)
    y, x, k = observation(2, size=5)
    inputs = (k,) if cls is FlowKernel else (y, x)
    plain = module(*inputs)
    with torch.inference_mode(), pipeline_run():
        assert torch.equal(module(*[i.clone() for i in inputs]), plain)
    with torch.no_grad():
        assert torch.equal(module(*inputs), plain)
    every_parameter_learns(module, plain)


def test_flow_prior_keeps_the_contract_of_priors():
    check_prior(FlowKernel(size=5, width=4, steps=5))


def test_gradients_of_the_flow_solver_are_those_of_its_result():
    solver = tiny_search().double()
    y, x, _ = (t.double() for t in observation(2, size=5))
    weights = torch.rand(2, 1, 5, 5, dtype=torch.float64)
    inputs = (y.requires_grad_(), x.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda y, x: (solver(y, x) * weights).sum(), inputs, fast_mode=True
    )


def test_flow_solver_lowers_the_data_term_and_goes_on_within_a_run():
    solver, (y, x, _) = tiny_search(), observation(2, size=5)

    def misfit(k):
        return (y - downsample(blur(x, k), 2)).square().sum((1, 2, 3))

    with torch.no_grad(), pipeline_run():
        first, second = misfit(solver(y, x)), misfit(solver(y, x))
    start = misfit(solver.flow(solver.flow.start(2, solver.seed)).detach())
    assert (first < start).all()
    assert (second < first).all()
    with torch.no_grad():
        torch.testing.assert_close(misfit(solver(y, x)), first)  # a new run starts anew


def test_flow_solver_begins_again_for_another_observation():
    solver, (y, x, _) = tiny_search(), observation(2, size=5)
    with torch.no_grad(), pipeline_run():
        first = solver(y, x)
        assert not torch.equal(solver(y, x), first)
        torch.testing.assert_close(solver(y.clone(), x), first)


def test_flow_solver_treats_images_one_by_one():
    solver, (y, x, _) = tiny_search(), observation(2, size=5)
    y[1] = y[1].flip(-1)
    with torch.no_grad():
        alone = torch.cat([solver(y[i : i + 1], x[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(solver(y, x), alone, atol=1e-5, rtol=1e-4)


def test_flow_search_stays_on_the_sphere():
    flow = KernelFlow(size=5, width=4, shift=0.0)
    found = flow.search(flow.start(2, 0), lambda k: k.square().sum(), steps=4, rate=0.5)
    torch.testing.assert_close(found.norm(dim=1), torch.full((2,), 5.0))
    assert not torch.allclose(found, flow.start(2, 0))


def test_own_weights_of_the_flow_load_again(tmp_path):
    prior, solver = FlowKernel(size=5, width=4), FlowKernelSearch(size=5, width=4)
    torch.save(prior.state_dict(), tmp_path / "flow.pt")
    load_weights(solver, tmp_path / "flow.pt")
    latent = prior.flow.start(1, 0)
    assert torch.equal(prior.flow(latent), solver.flow(latent))


def test_flow_modules_refuse_what_does_not_fit():
    with pytest.raises(
        PnpError, match=r"w is 9 x 9, but the flow gives 5 x 5; let Dk give that size \(size: 5\)"
    ):
        FlowKernel(size=5, width=4)(gaussian(9))
    with pytest.raises(PnpError, match="larger than the image"):
        FlowKernelSearch()(*observation(1, height=7, width=7)[:2])
    with pytest.raises(PnpError, match="steps is 0"):
        FlowKernelSearch(steps=0)
    with pytest.raises(PnpError, match="rate is -1"):
        FlowKernel(rate=-1)
    with pytest.raises(PnpError, match="shift is 9"):
        FlowKernel(size=5, width=4, shift=9)


class TestKernelUpdate:
    def trained(self, nc=(4, 4, 8, 8)):
        net = KernelUpdate(nc=nc)
        nn.init.normal_(net.m_tail.weight, std=0.3)
        return net

    def test_before_training_it_keeps_the_last_kernel(self):
        k, w = gaussian(25, 2.0, 1.0, 0.3), gaussian(25, 4.0)
        assert (KernelUpdate()(w, k) - k).abs().max() < 1e-4

    @pytest.mark.parametrize("size", [5, 8, 21, 25])
    def test_the_result_is_a_kernel(self, size):
        w = gaussian(size).repeat(2, 1, 1, 1) + 0.02 * torch.randn(2, 1, size, size)
        for k in (None, gaussian(size).repeat(2, 1, 1, 1)):
            result = self.trained()(w, k)
            assert result.shape == w.shape and result.min() >= 0
            assert torch.allclose(result.sum((1, 2, 3)), torch.ones(2))

    def test_it_depends_on_both_inputs_and_each_kernel_on_its_own(self):
        net = self.trained()
        w, k = torch.rand(2, 1, 9, 9) / 81, gaussian(9).repeat(2, 1, 1, 1)
        both = net(w, k)
        assert (net(w.flip(-1), k) - both).abs().max() > 1e-4
        assert (net(w, gaussian(9, 3.0).repeat(2, 1, 1, 1)) - both).abs().max() > 1e-4
        assert torch.allclose(net(w[1:], k[1:]), both[1:], atol=1e-6)

    def test_a_kernel_that_would_change_by_less_than_least_stays(self):
        net = self.trained()
        w = torch.rand(2, 1, 9, 9) / 81
        k = torch.cat([gaussian(9), net(w[1:], gaussian(9))])
        changed = net(w, k)
        sums = (changed - k).detach().abs().sum((1, 2, 3))
        for least in (0.99 * sums.min(), 1.01 * sums.min(), 1.01 * sums.max()):
            net.least = float(least)
            right = torch.where((sums < least)[:, None, None, None], k, changed)
            assert torch.allclose(net(w, k), right, atol=1e-6)

    def test_every_parameter_learns(self):
        net = self.trained()
        every_parameter_learns(net, net(torch.rand(1, 1, 25, 25) / 625, gaussian(25)))

    @pytest.mark.parametrize("side", [7, 11, 12])
    def test_a_kernel_of_another_size_is_padded_or_cropped(self, side):
        net = self.trained()
        w, k = torch.rand(1, 1, 9, 9) / 81, gaussian(side)
        assert torch.equal(net(w, k), net(w, resize_kernel(k, 9)))

    def test_an_image_is_refused(self):
        with pytest.raises(PnpError, match="kernel-update"):
            KernelUpdate()(torch.rand(1, 3, 9, 9))
