"""deepinv and spandrel: their networks as our priors, our modules in deepinv's algorithms."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

import pnp
from pnp.building import build
from pnp.checkpoints import PRETRAINED, load_weights
from pnp.errors import PnpError
from pnp.extras import extra
from pnp.interfaces import Image, Level, Prior, pipeline_run
from pnp.language.reader import read_spec
from pnp.testing import check_prior

SMALL = PRETRAINED / "drunet-small.safetensors"


def needs(package):
    reason = f"{package} is not installed: pip install 'pnp-imaging[{package}]'"
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=reason)


with_deepinv, with_spandrel = needs("deepinv"), needs("spandrel")


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def kernel(height=7, width=5):
    k = rand(1, 1, height, width, seed=3)
    return k / k.sum()


def drunet():
    return pnp.load("dpir").eval().parts["P"]


def denoise_with(**entry):
    changes: dict[str, Any] = {"modules.P": entry}
    return pnp.load("denoise", **changes)


# Without the packages


def test_the_priors_are_listed_and_the_packages_not_imported():
    code = (
        "import sys, pnp; pnp.priors.names(); import pnp.interop; "
        "print([m for m in ('deepinv', 'spandrel') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert {"deepinv", "spandrel"} <= set(pnp.priors.names())


@pytest.mark.parametrize(
    "use",
    [
        lambda: pnp.priors.build("deepinv", denoiser="TVDenoiser"),
        lambda: pnp.interop.as_denoiser(pnp.priors.build("tv")),
        lambda: pnp.interop.as_reconstructor("hqs-tv"),
        lambda: pnp.interop.as_physics(kernel()),
    ],
)
def test_without_deepinv_one_message_says_how_to_install_it(use, monkeypatch):
    monkeypatch.setitem(sys.modules, "deepinv", None)
    with pytest.raises(PnpError, match=r"deepinv .*; pip install 'pnp-imaging\[deepinv\]'$"):
        use()


def test_without_spandrel_one_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(PnpError, match=r"spandrel .*; pip install 'pnp-imaging\[spandrel\]'$"):
        load_weights(pnp.priors.build("spandrel"), SMALL)


def test_a_package_that_is_not_there_and_one_that_is_broken(tmp_path, monkeypatch):
    with pytest.raises(PnpError, match=r"a: no_such_package is not installed; .*pnp-imaging.b"):
        extra("no_such_package", "a", "b")
    (tmp_path / "broken_package.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PnpError, match=r"broken_package cannot be imported .*no_such_package"):
        extra("broken_package", "a")


def test_spandrel_without_a_file_is_told_to_name_one():
    with pytest.raises(PnpError, match="there is no network yet; name its file"):
        pnp.priors.build("spandrel")(rand(1, 3, 8, 8))
    with pytest.raises(PnpError, match="is a network, but no weights are given"):
        denoise_with(prior="spandrel")


# The prior deepinv

DENOISERS: dict[str, dict[str, Any]] = {
    "DRUNet": {"pretrained": None, "nc": [4, 4, 8, 8], "nb": 1},
    "DnCNN": {"pretrained": None, "depth": 4, "nf": 8},
    "TVDenoiser": {"n_it_max": 20},
    "MedianFilter": {"kernel_size": 3},
    "BilateralFilter": {},
}


@with_deepinv
@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_of_deepinv_pass_check_prior(name):
    torch.manual_seed(0)
    check_prior(pnp.priors.build("deepinv", denoiser=name, options=DENOISERS[name]))


@with_deepinv
def test_a_denoiser_of_deepinv_in_yaml_computes_what_it_does_alone(tmp_path):
    import deepinv

    torch.manual_seed(0)
    options = DENOISERS["DRUNet"]
    alone = deepinv.models.DRUNet(**options).eval()
    torch.save(alone.state_dict(), tmp_path / "theirs.pth")
    (tmp_path / "mine.yaml").write_text(
        "extends: denoise\nmodules:\n"
        "  P: {prior: deepinv, denoiser: DRUNet, weights: theirs.pth,\n"
        "      options: {pretrained: null, nc: [4, 4, 8, 8], nb: 1}}\n"
    )
    y = rand(2, 3, 16, 24)
    result = pnp.load(tmp_path / "mine.yaml").eval()(y=y, sigma=0.1).x
    assert torch.equal(result, alone(y, 0.1))


@with_deepinv
def test_a_denoiser_that_starts_from_its_last_result_does_so_within_a_run():
    P = pnp.priors.build("deepinv", denoiser="TVDenoiser", options=DENOISERS["TVDenoiser"])
    x = rand(1, 1, 12, 12)
    once = P(x, 0.1)
    assert torch.equal(P(x, 0.1), once)
    with pipeline_run():
        assert torch.equal(P(x, 0.1), once)
        assert (P(x, 0.1) - once).abs().max() > 1e-6


@with_deepinv
def test_each_image_has_its_own_level():
    P = pnp.priors.build("deepinv", denoiser="TVDenoiser", options=DENOISERS["TVDenoiser"])
    x = rand(2, 3, 16, 16)
    both = P(x, torch.tensor([0.02, 0.3]).reshape(2, 1, 1, 1))
    torch.testing.assert_close(both[:1], P(x[:1], 0.02))
    torch.testing.assert_close(both[1:], P(x[1:], 0.3))


@with_deepinv
@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"denoiser": "DRUnet"}, "(?s)no denoiser 'DRUnet'.*did you mean 'DRUNet'"),
        ({"denoiser": "Denoiser2"}, "(?s)no denoiser 'Denoiser2'.*denoisers: .*BM3D, "),
        (
            {"denoiser": "DnCNN", "options": {"dep": 4}},
            "(?s)DnCNN cannot be built .*'dep'.*its options: .*depth",
        ),
        ({"denoiser": "DnCNN", "options": {"pretrained": None}}, "network, but no weights"),
        ({}, "the option 'denoiser' is missing"),
    ],
)
def test_wrong_entries_are_one_message(entry, message):
    with pytest.raises(PnpError, match=message):
        denoise_with(prior="deepinv", **entry)


@with_deepinv
def test_a_wrong_number_of_channels_is_one_message():
    P = pnp.priors.build("deepinv", denoiser="DnCNN", options=DENOISERS["DnCNN"])
    with pytest.raises(PnpError, match="x has 1 channel, but"):
        P(rand(1, 1, 8, 8), 0.1)


# The prior spandrel


class DnCNN(nn.Module):
    """The public layout of DnCNN: convolutions of 3 x 3 at even numbers of `model`."""

    def __init__(self, inputs=3, depth=9, features=8):
        super().__init__()
        sides = [inputs, *[features] * (depth - 1), 3]
        layers = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sides)]
        both = [layer for conv in layers for layer in (conv, nn.ReLU())]
        self.model = nn.Sequential(*both[:-1])


def spandrel_of(source, **options):
    P = pnp.priors.build("spandrel", **options)
    load_weights(P, source, symbol="P")
    return P


@pytest.fixture
def dncnn(tmp_path):
    torch.manual_seed(0)
    network = DnCNN()
    torch.save({"params": network.state_dict()}, tmp_path / "dncnn.pth")
    return network.model, tmp_path / "dncnn.pth"


@with_spandrel
@pytest.mark.parametrize("size", [(16, 24), (13, 9)])
def test_drunet_small_is_recognised_and_computes_what_ours_does(size):
    x = rand(2, 3, *size)
    level = torch.tensor([0.02, 0.1]).reshape(2, 1, 1, 1)
    with torch.no_grad():
        ours = drunet()(x, level)
    torch.testing.assert_close(spandrel_of(SMALL)(x, level), ours, rtol=0, atol=1e-5)


@with_spandrel
def test_spandrel_recognises_drunet_small_once_its_prefix_is_gone():
    import spandrel

    state = safetensors.torch.load_file(SMALL)
    with pytest.raises(spandrel.UnsupportedModelError):
        spandrel.ModelLoader().load_from_state_dict(state)
    plain = {key.removeprefix("P."): value for key, value in state.items()}
    found = spandrel.ModelLoader().load_from_state_dict(plain)
    assert (found.architecture.id, found.scale, found.input_channels) == ("DRUNet", 1, 3)


@with_spandrel
def test_networks_of_spandrel_pass_check_prior(dncnn):
    check_prior(spandrel_of(SMALL))
    check_prior(spandrel_of(dncnn[1]))
    assert spandrel_of(dncnn[1]).blind and not spandrel_of(SMALL).blind


@with_spandrel
def test_a_file_in_yaml_is_found_beside_it_and_its_own_level_is_used(dncnn, tmp_path):
    network, _ = dncnn
    (tmp_path / "mine.yaml").write_text(
        "extends: denoise\nmodules:\n  P: {prior: spandrel, weights: dncnn.pth}\n"
    )
    y = rand(1, 3, 20, 12)
    with torch.no_grad():
        alone = (y - network(y)).clamp(0, 1)
    result = pnp.load(tmp_path / "mine.yaml")(y=y, sigma=0.1).x
    torch.testing.assert_close(result, alone)
    with_level = denoise_with(prior="spandrel", weights=str(SMALL))
    torch.testing.assert_close(
        with_level(y=y, sigma=0.1).x, pnp.load("denoise").eval()(y=y, sigma=0.1).x
    )


@with_spandrel
@pytest.mark.parametrize("size", [(70, 51), (32, 96)])
def test_tiles_as_wide_as_the_receptive_field_change_nothing(dncnn, size):
    x = rand(2, 3, *size)
    whole = spandrel_of(dncnn[1], tile=None)(x)
    tiled = spandrel_of(dncnn[1], tile=16, overlap=9)(x)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-6)
    narrow = spandrel_of(dncnn[1], tile=16, overlap=1)(x)
    assert (narrow - whole).abs().max() > 1e-4


@with_spandrel
def test_backward_through_a_network_of_spandrel_is_refused(dncnn):
    x = rand(1, 3, 8, 8).requires_grad_()
    with pytest.raises(PnpError, match="no gradients"):
        spandrel_of(dncnn[1])(x).sum().backward()


@with_spandrel
def test_files_that_are_no_restoration_network_are_refused(tmp_path):
    torch.save({"a.weight": rand(3, 3), "b.weight": rand(3)}, tmp_path / "other.pth")
    with pytest.raises(PnpError, match="does not recognise the network"):
        spandrel_of(tmp_path / "other.pth")
    state = DnCNN().state_dict()
    state["model.0.weight"][0, 0, 0, 0] = torch.nan
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(PnpError, match=r"model.0.weight holds NaN"):
        spandrel_of(tmp_path / "broken.pth")
    with pytest.raises(PnpError, match="DRUNet needs a noise level"):
        spandrel_of(SMALL)(rand(1, 3, 8, 8))
    with pytest.raises(PnpError, match="no part 'Q'; its parts: P"):
        spandrel_of(f"{SMALL}#Q")


@with_spandrel
def test_a_network_that_enlarges_is_refused(tmp_path):
    from spandrel.architectures.SPAN import SPAN

    network = SPAN(num_in_ch=3, num_out_ch=3, upscale=2, feature_channels=8)
    torch.save(network.state_dict(), tmp_path / "span.pth")
    with pytest.raises(PnpError, match=r"SPAN enlarges 2 times.*scale 1"):
        spandrel_of(tmp_path / "span.pth")


# Ours in deepinv


@with_deepinv
@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_the_physics_of_deepinv_is_our_observation_and_its_prox_our_solver(s):
    from deepinv.physics import Downsampling

    x, z, k = rand(2, 3, 24, 36), rand(2, 3, 24, 36, seed=1), kernel()
    theirs = Downsampling(img_size=(3, 24, 36), filter=k, factor=s, padding="circular")
    ours = pnp.interop.as_physics(k, s)
    y = pnp.observe(x, k, s)
    torch.testing.assert_close(theirs.A(x), y, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.A(x), y, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.A_adjoint(y), theirs.A_adjoint(y), rtol=0, atol=1e-6)
    D = pnp.solvers.build("fft-image")(y, z, k, 0.25)
    torch.testing.assert_close(theirs.prox_l2(z, y, 4.0), D, rtol=0, atol=2e-6)
    assert torch.equal(ours.prox_l2(z, y, 4.0), D)


@with_deepinv
@pytest.mark.parametrize("boundary", ["replicate", "reflect"])
def test_other_boundaries_and_masks(boundary):
    mask = (rand(1, 1, 12, 10, seed=5) > 0.3).float()
    physics = pnp.interop.as_physics(kernel(3, 3), 2, boundary=boundary, mask=mask).double()
    x, y = rand(1, 3, 24, 20).double(), rand(1, 3, 12, 10, seed=1).double()
    expected = mask * pnp.observe(x, kernel(3, 3).double(), 2, boundary=boundary)
    torch.testing.assert_close(physics.A(x), expected)
    assert physics.adjointness_test(x).abs() < 1e-9
    z = physics.prox_l2(x, y, 2.0)
    gradient = 2 * physics.A_adjoint(physics.A(z) - mask * y) + z - x
    assert gradient.norm() < 1e-4 * x.norm()


@with_deepinv
def test_a_physics_follows_new_kernels_and_refuses_what_does_not_fit():
    physics, x = pnp.interop.as_physics(kernel(), 2, sigma=0.1), rand(1, 1, 16, 16)
    other = torch.ones(1, 1, 3, 3) / 9
    torch.testing.assert_close(physics.A(x, filter=other), pnp.observe(x, other, 2))
    assert abs(float((physics(x) - physics.A(x)).std()) - 0.1) < 0.05
    with pytest.raises(PnpError, match="cg-image is for the boundary replicate"):
        pnp.interop.as_physics(kernel(), solver=pnp.solvers.build("cg-image"))
    with pytest.raises(PnpError, match="as_physics: sigma"):
        pnp.interop.as_physics(kernel(), sigma=15)


@with_deepinv
def test_dpir_of_deepinv_with_our_modules_agrees_with_its_own():
    import deepinv

    x, k = rand(1, 3, 32, 32), kernel()
    theirs = deepinv.physics.Downsampling(img_size=(3, 32, 32), filter=k, factor=2)
    denoiser = pnp.interop.as_denoiser(drunet())
    y = pnp.observe(x, k, 2)
    model = deepinv.optim.DPIR(sigma=0.02, denoiser=denoiser)
    with torch.no_grad():
        ours = model(y, pnp.interop.as_physics(k, 2, sigma=0.02))
        reference = model(y, theirs)
    torch.testing.assert_close(ours, reference, rtol=0, atol=1e-4)
    assert (ours - y.repeat_interleave(2, -1).repeat_interleave(2, -2)).abs().max() > 0.01


@with_deepinv
def test_a_denoiser_for_deepinv_is_the_prior():
    P, x = pnp.priors.build("tv"), rand(2, 3, 16, 16)
    denoiser = pnp.interop.as_denoiser(P)
    assert torch.equal(denoiser(x, 0.1), P(x, 0.1))
    level = torch.tensor([0.05, 0.2])
    assert torch.equal(denoiser(x, level), P(x, level.reshape(2, 1, 1, 1)))
    with pytest.raises(PnpError, match="tv: it needs a noise level"):
        denoiser(x)
    with pytest.raises(PnpError, match="is no prior of images"):
        pnp.interop.as_denoiser(pnp.priors.build("simplex"))


@with_deepinv
@pytest.mark.parametrize("name", ["Downsampling", "Blur", "BlurFFT", "ours"])
def test_a_pipeline_gets_scale_kernel_and_level_from_the_physics(name):
    from deepinv import physics as kinds

    k, noise = kernel(5, 5), kinds.GaussianNoise(0.02)
    s = 2 if name in ("Downsampling", "ours") else 1
    physics = {
        "Downsampling": lambda: kinds.Downsampling((3, 24, 24), k, 2, noise_model=noise),
        "Blur": lambda: kinds.Blur(k, padding="circular", noise_model=noise),
        "BlurFFT": lambda: kinds.BlurFFT((3, 24, 24), k, noise_model=noise),
        "ours": lambda: pnp.interop.as_physics(k, 2, sigma="2%"),
    }[name]()
    x = rand(1, 3, 24, 24)
    y = physics.A(x)
    torch.testing.assert_close(y, pnp.observe(x, k, s), rtol=0, atol=1e-6)
    pipeline = pnp.load("hqs-tv", repeat=3)
    result = pnp.interop.as_reconstructor(pipeline)(y, physics)
    assert torch.equal(result, pipeline(y=y, s=s, k=k, sigma=0.02).x)


@with_deepinv
def test_beyond_the_border_a_physics_that_is_not_circular_is_unknown():
    from deepinv.physics import Blur

    x, k = rand(1, 3, 24, 24), kernel(5, 5)
    physics = Blur(k, padding="reflect")
    y, pipeline = physics.A(x), pnp.load("hqs-tv", repeat=2)
    told = {"y": y, "s": 1, "k": k, "sigma": 0.02}
    unknown, periodic = (pipeline(**told, boundary=b).x for b in ("unknown", "periodic"))
    assert torch.equal(pnp.interop.as_reconstructor(pipeline, sigma=0.02)(y, physics), unknown)
    other = pnp.interop.as_reconstructor(pipeline, boundary="periodic", sigma=0.02)
    assert torch.equal(other(y, physics), periodic)
    with pytest.raises(PnpError, match="boundary"):
        wrong: Any = "open"
        pnp.interop.as_reconstructor(pipeline, boundary=wrong)


@with_deepinv
def test_other_physics():
    from deepinv import physics as kinds

    x = rand(2, 3, 24, 24)
    mask = (rand(1, 24, 24, seed=5) > 0.3).float()
    physics = kinds.Inpainting((3, 24, 24), mask=mask)
    tv = pnp.load("inpaint-tv")
    inpaint = pnp.interop.as_reconstructor(tv)
    assert torch.equal(inpaint(x * mask, physics), tv(y=x * mask, mask=mask[None]).x)
    denoise = pnp.interop.as_reconstructor("denoise")
    levels = torch.tensor([0.05, 0.1])
    with torch.no_grad():
        result = denoise(x, kinds.Denoising(kinds.GaussianNoise(levels)))
        alone = pnp.load("denoise")(y=x, sigma=levels.reshape(2, 1, 1, 1)).x
    assert torch.equal(result, alone)
    with pytest.raises(PnpError, match="denoise takes no mask"):
        denoise(x, physics)
    with pytest.raises(PnpError, match="hqs-tv needs k, which the physics DownsamplingMatlab"):
        pnp.interop.as_reconstructor("hqs-tv")(x, kinds.DownsamplingMatlab(factor=2))
    with pytest.raises(PnpError, match="padding='valid'"):
        pnp.interop.as_reconstructor("hqs-tv")(x, kinds.Blur(kernel()))
    with pytest.raises(PnpError, match="hqs-tv does not take 'level'"):
        pnp.interop.as_reconstructor("hqs-tv", level=2)


@with_deepinv
def test_the_test_function_of_deepinv_runs_a_pipeline():
    import deepinv

    x = rand(2, 3, 16, 16).cumsum(-1) / 16
    physics = pnp.interop.as_physics(kernel(3, 3), 2, sigma=0.01)
    torch.manual_seed(0)
    pairs: Any = [{"x": image, "y": physics(image[None])[0]} for image in x]
    loader: Any = torch.utils.data.DataLoader(pairs)
    model = pnp.interop.as_reconstructor(pnp.load("hqs-tv", repeat=4))
    found = deepinv.test(
        model, loader, physics, verbose=False, show_progress_bar=False, compare_no_learning=False
    )
    mses = [(model(p["y"][None], physics) - p["x"][None]).square().mean() for p in pairs]
    psnr = torch.stack([-10 * mse.log10() for mse in mses]).mean()
    assert found["PSNR"] == pytest.approx(float(psnr), abs=1e-2)


@with_deepinv
def test_gradients_pass_through_a_reconstructor():
    class Learned(Prior):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(0.9))

        def forward(self, x: Image, level: Level) -> Image:
            return self.factor * x

    pipeline = build(read_spec("hqs-tv", {"repeat": 2}))
    pipeline.P = Learned()
    physics = pnp.interop.as_physics(kernel(3, 3), 2, sigma=0.01)
    model = pnp.interop.as_reconstructor(pipeline)
    model(physics.A(rand(1, 3, 16, 16)), physics).square().mean().backward()
    assert pipeline.P.factor.grad is not None and float(pipeline.P.factor.grad) > 0
