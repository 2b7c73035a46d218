"""Public checkpoints that bring their options and the scale of their training: IKC's and FKP's."""

from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import pnp
from pnp.checkpoints import load_weights
from pnp.commands.catalogue import needs
from pnp.equal_steps import shortened
from pnp.errors import PipelineError, PnpError
from pnp.initializers.ikc_predictor import IKCPredictor, principal_components
from pnp.kernels import gaussian_kernels
from pnp.language.reader import read_spec
from pnp.networks.kernel_flow import KernelFlow
from pnp.observation import blur
from pnp.priors.flow_kernel import FlowKernel
from pnp.trained_range import outside, scales_of
from pnp.transforms.flow_kernel import FlowKernelSearch

WIDTHS = torch.tensor([0.3, 0.8, 1.6, 2.4, 3.2, 3.9])


def gaussians(widths=WIDTHS, size=21):
    return gaussian_kernels(size, widths, widths)


def relative(found, true):
    return ((found - true).flatten(1).norm(dim=1) / true.flatten(1).norm(dim=1)).max()


def public_predictor(path, **changes):
    """A file with the names of IKC's public checkpoint, with random weights."""
    network = IKCPredictor(features=4).encoder.state_dict()
    torch.save({**{f"ConvNet.{name}": value for name, value in network.items()}, **changes}, path)
    return path


def public_flow(path, size, width):
    """A file with the names of FKP's public checkpoints, with random weights."""
    state = FlowKernel(size=size, width=width).state_dict()
    torch.save({"model_state": {n.removeprefix("flow."): v for n, v in state.items()}}, path)
    return path


def load(name, changes: dict[str, Any]):
    return pnp.load(name, **changes)


def flow_of(changes: dict[str, Any]) -> KernelFlow:
    search = load("fkp-dpir", changes).parts["Dk"]
    assert isinstance(search, FlowKernelSearch)
    return search.flow


def width_of(flow: KernelFlow) -> int:
    return flow.state_dict()["net.0.s_net.0.weight"].shape[0]


# IKC


def test_principal_components_are_orthonormal_and_keep_the_sum():
    mean, basis = principal_components(21, 10, 0.2, 4.0)
    torch.testing.assert_close(basis.T @ basis, torch.eye(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(basis.sum(0), torch.zeros(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(mean.sum(), torch.ones(()))


@pytest.mark.parametrize(("size", "latent"), [(21, 10), (15, 6), (20, 4)])
def test_the_coordinates_of_a_gaussian_give_the_gaussian(size, latent):
    predictor, k = IKCPredictor(size=size, latent=latent, features=4), gaussians(size=size)
    found = predictor.decoded(k.flatten(1) @ predictor.basis)
    error = {10: 1e-3, 6: 0.05, 4: 0.15}[latent]
    assert relative(found, k) < error
    torch.testing.assert_close(found.sum((1, 2, 3)), torch.ones(len(k)))


def test_predictor_gives_kernels_for_every_code():
    torch.manual_seed(0)
    predictor = IKCPredictor(features=4)
    with torch.no_grad():
        for p in predictor.parameters():
            p.mul_(4)
        k = predictor(torch.rand(3, 3, 9, 8))
    assert k.shape == (3, 1, 21, 21) and (k >= 0).all()
    torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(3))
    assert not torch.allclose(k[0], k[1])


def test_predictor_refuses_an_empty_range_and_other_channels():
    with pytest.raises(PnpError, match=r"narrowest is 4\.0, widest 4\.0"):
        IKCPredictor(narrowest=4.0)
    with pytest.raises(PnpError, match="set channels: 1"):
        IKCPredictor(features=4)(torch.rand(1, 1, 9, 9))


def test_a_matrix_in_the_checkpoint_is_taken(tmp_path):
    matrix = torch.rand(21**2, 10)
    predictor = IKCPredictor(features=4)
    load_weights(predictor, public_predictor(tmp_path / "p.pth", pca_matrix=matrix))
    assert torch.equal(predictor.basis, matrix)
    load_weights(predictor, public_predictor(tmp_path / "q.pth"))
    assert torch.equal(predictor.basis, IKCPredictor().basis)


def test_public_layout_of_ikc_brings_options_scale_and_noise(tmp_path):
    path = str(public_predictor(tmp_path / "p.pth"))
    spec = read_spec("ikc", {"weights": path})
    assert spec.modules["I"].options["features"] == 4
    assert scales_of(spec) == [4]
    assert needs(spec) == "runs as installed; scale 4 alone"
    assert outside(spec, 4, 0.01) == []
    scale, noise = outside(spec, 2, 0.03)
    assert scale == f"the weights {path} were trained for the scale 4, not 2"
    assert noise == f"the weights {path} were trained for images without noise, not 3 %"
    with pytest.raises(PipelineError, match=r"I: widest is 3(.|\n)*trained with 4"):
        load("ikc", {"weights": path, "modules.I.widest": 3})


@torch.no_grad()
def test_predictor_computes_what_the_public_code_does(parity):
    predictor, y = IKCPredictor(), torch.rand(2, 3, 24, 20)
    load_weights(predictor, parity / "ikc_predictor.pth")
    state = torch.load(parity / "ikc_predictor.pth", weights_only=True)
    code = y
    for i in range(0, 12, 2):
        kernel, bias = state[f"ConvNet.{i}.weight"], state[f"ConvNet.{i}.bias"]
        code = functional.conv2d(code, kernel, bias, stride=1 + (i == 6), padding=2)
        code = functional.leaky_relu(code, 0.2)
    reference = code.mean((2, 3))
    assert (predictor.encoder(y) - reference).abs().max() < 1e-4 * reference.abs().max()


def test_computed_components_are_those_of_the_public_matrix(parity):
    matrix = torch.load(parity / "ikc_pca_matrix.pth", weights_only=True)
    predictor = IKCPredictor()
    assert (predictor.basis - matrix).norm(dim=0).max() < 0.01
    # With codes by the public matrix, kernels of the two matrices differ by its sampling error.
    code = gaussians().flatten(1) @ matrix
    found = predictor.decoded(code)
    predictor.basis = matrix
    assert relative(found, predictor.decoded(code)) < 0.01


@torch.no_grad()
def test_predictor_reads_widths_under_the_degradation_of_its_training(parity, data):
    """Gaussian blur and PIL's bicubic downsampling; wide kernels are read too narrow."""
    predictor, images = IKCPredictor(), []
    load_weights(predictor, parity / "ikc_predictor.pth")
    for path in sorted((data / "cbsd68").iterdir())[:4]:
        image = np.asarray(Image.open(path).convert("RGB"))[:104, :152].copy()
        images.append(torch.from_numpy(image).permute(2, 0, 1) / 255)
    grid = torch.linspace(0.2, 4, 77)
    found = []
    for width in (0.8, 1.8, 2.6):
        y = down(blur(torch.stack(images), gaussians(torch.tensor([width]))))
        code = predictor.encoder(y)
        known = gaussians(grid).flatten(1) @ predictor.basis
        found.append(float(grid[torch.cdist(code, known).argmin(1)].mean()))
    assert found == sorted(found)
    assert found[0] == pytest.approx(0.8, abs=0.3)
    assert 1.5 < found[2] < 2.6


def down(x):
    """By a quarter with PIL's bicubic filter, in 8 bits."""
    size = (x.shape[-1] // 4, x.shape[-2] // 4)
    small = [
        np.asarray(
            Image.fromarray(one.mul(255).byte().numpy()).resize(size, Image.Resampling.BICUBIC)
        )
        for image in x
        for one in image
    ]
    return torch.from_numpy(np.stack(small)).unflatten(0, x.shape[:2]) / 255


# FKP


@pytest.mark.parametrize(("s", "size", "width"), [(2, 11, 15), (3, 15, 20), (4, 19, 25)])
def test_public_layout_of_fkp_brings_options_and_scale(tmp_path, s, size, width):
    path = str(public_flow(tmp_path / f"FKP_x{s}.pt", size, width))
    spec = read_spec("fkp-dpir", {"modules.Dk.weights": path})
    flow = flow_of({"modules.Dk.weights": path})
    assert (flow.size, width_of(flow)) == (size, width)
    assert flow.shift == (s - 1) / 2
    assert scales_of(spec) == [s]
    assert outside(spec, s, 0.01) == []
    other = 3 if s != 3 else 4
    assert outside(spec, other, 0.01) == [
        f"the weights {path} were trained for the scale {s}, not {other}"
    ]


def test_options_against_the_weights_of_fkp_are_refused_but_not_the_shift(tmp_path):
    weights = {"modules.Dk.weights": str(public_flow(tmp_path / "FKP_x3.pt", 15, 20))}
    with pytest.raises(PipelineError, match=r"Dk: size is 19(.|\n)*trained with 15"):
        flow_of({**weights, "modules.Dk.size": 19})
    flow = flow_of({**weights, "modules.Dk.shift": 0.0})
    assert flow.shift == 0


@pytest.mark.parametrize(
    ("name", "size", "width", "shift"), [("x2", 11, 15, 0.5), ("x4", 19, 25, 1.5)]
)
def test_public_files_of_fkp_bring_their_options(parity, name, size, width, shift):
    source = str(parity / f"FKP_{name}.pt")
    flow = flow_of({"modules.Dk.weights": source})
    assert (flow.size, width_of(flow), flow.shift) == (size, width, shift)


def test_fkp_dpir_runs_at_x3(tmp_path):
    weights = {"modules.Dk.weights": str(public_flow(tmp_path / "FKP_x3.pt", 15, 20))}
    pipeline = load("fkp-dpir", {**weights, "repeat": 1, "modules.Dk.steps": 2})
    result = pipeline(y=torch.rand(1, 3, 16, 15), s=3, sigma=0.01)
    assert result.x.shape == (1, 3, 48, 45)
    assert result["k"].shape == (1, 1, 15, 15)


def test_files_of_another_layout_bring_nothing(tmp_path):
    prior = FlowKernel(size=5, width=4)
    torch.save(prior.state_dict(), tmp_path / "own.pt")
    spec = read_spec("fkp-dpir", {"modules.Dk.weights": str(tmp_path / "own.pt")})
    assert "width" not in spec.modules["Dk"].options
    assert outside(spec, 2, 0.01) == []


def test_the_cost_of_the_flow_can_be_counted():
    search = FlowKernelSearch(size=5, width=4, steps=2)
    with FlopCounterMode(display=False) as counter:
        search(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16))
    assert counter.get_total_flops() > 0


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_two_steps_of_the_flow_stand_for_all_in_its_cost(steps):
    search = FlowKernelSearch(size=5, width=4, steps=steps)
    y, x = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16)

    def operations(*spans):
        calls = []
        search.flow.register_forward_hook(lambda *_: calls.append(1))
        with FlopCounterMode(display=False) as counter, ExitStack() as stack:
            measured = [stack.enter_context(span(counter.get_total_flops)) for span in spans]
            search(y, x)
            return counter.get_total_flops() + sum(m.left_out for m in measured), len(calls)

    whole, all_calls = operations()
    counted, calls = operations(shortened)
    assert counted == whole
    assert (all_calls, calls) == (steps + 1, min(steps, 2) + 1)
