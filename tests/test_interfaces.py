"""Everything registered has the inputs and outputs that its interface promises."""

import pytest
import torch

import pnp
from pnp.interfaces import signature_of
from pnp.registry import REGISTRIES

SMALL = {
    "kernel-encoder": {"features": 4},
    "spectral-kernel": {"width": 4, "depth": 0},
    "srresnet": {"scale": 2, "features": 4, "blocks": 1},
}


def modules(*words):
    return [(word, name) for word in words for name in REGISTRIES[word].names()]


def kinds(word, name):
    signature = signature_of(REGISTRIES[word].get(name))
    required = [a.kind.name for a in signature.inputs if a.required]
    return required, [a.kind.name for a in signature.inputs], [k.name for k in signature.outputs]


@pytest.mark.parametrize(("word", "name"), modules("solver"))
def test_a_solver_takes_y_x_k_and_gives_the_image_or_the_kernel(word, name):
    _, inputs, outputs = kinds(word, name)
    assert inputs[:3] == ["image", "image", "kernel"]
    assert (inputs[3:], outputs) in [
        (["level"], ["image"]),
        (["level", "image"], ["image"]),
        ([], ["kernel"]),
    ]


@pytest.mark.parametrize(("word", "name"), modules("prior"))
def test_a_prior_gives_the_kind_that_it_takes(word, name):
    _, inputs, outputs = kinds(word, name)
    assert outputs == inputs[:1] and inputs[1:] in ([], ["level"])


@pytest.mark.parametrize(("word", "name"), modules("estimator"))
def test_an_estimator_gives_levels(word, name):
    assert set(kinds(word, name)[2]) <= {"level", "levels"}


@pytest.mark.parametrize(("word", "name"), modules("initializer"))
def test_an_initializer_gives_a_first_estimate_from_y(word, name):
    torch.manual_seed(0)
    required, _, (output,) = kinds(word, name)
    s = 2 if "number" in required else 1
    others = {"number": s, "level": 0.1, "image": torch.ones(2, 1, 12, 10)}
    y = torch.rand(2, 3, 12, 10)
    first = pnp.initializers.build(name, **SMALL.get(name, {}))(
        y, *[others[kind] for kind in required[1:]]
    )
    first = first.detach()
    assert first.dtype == y.dtype and bool(first.isfinite().all())
    if output == "image":
        assert first.shape == (2, 3, 12 * s, 10 * s)
    else:
        assert first.shape[:2] == (2, 1) and first.shape[-2] == first.shape[-1]
        assert float(first.min()) >= 0
        torch.testing.assert_close(first.sum((1, 2, 3)), torch.ones(2))
