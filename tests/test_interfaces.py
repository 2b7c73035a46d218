"""Everything registered has the inputs and outputs that its interface promises."""

from typing import Any, cast

import pytest
import torch

import pnp
from pnp.errors import PnpError
from pnp.interfaces import signature_of
from pnp.registry import REGISTRIES

SMALL = {
    "kernel-encoder": {"features": 4},
    "spectral-kernel": {"width": 4, "depth": 0},
    "srresnet": {"scale": 2, "features": 4, "blocks": 1},
}


def modules(*words):
    return [(role, name) for role in words for name in REGISTRIES[role].names()]


def kinds(role, name):
    signature = signature_of(REGISTRIES[role].get(name))
    required = [a.kind.name for a in signature.inputs if a.required]
    return required, [a.kind.name for a in signature.inputs], [k.name for k in signature.outputs]


@pytest.mark.parametrize(("role", "name"), modules("solver"))
def test_a_solver_takes_y_x_k_and_gives_the_image_or_the_kernel(role, name):
    _, inputs, outputs = kinds(role, name)
    assert inputs[:3] == ["image", "image", "kernel"]
    assert (inputs[3:], outputs) in [
        (["level"], ["image"]),
        (["level", "image"], ["image"]),
        ([], ["kernel"]),
    ]


@pytest.mark.parametrize(("role", "name"), modules("prior"))
def test_a_prior_gives_the_kind_that_it_takes(role, name):
    """Beside it, a level; a prior of kernels may also see the last kernel, if there is one."""
    required, inputs, outputs = kinds(role, name)
    assert outputs == inputs[:1] and inputs[1:] in ([], ["level"], ["kernel"])
    assert inputs[1:] != ["kernel"] or required == inputs[:1] == ["kernel"]


@pytest.mark.parametrize(("role", "name"), modules("estimator"))
def test_an_estimator_gives_levels(role, name):
    assert set(kinds(role, name)[2]) <= {"level", "levels"}


@pytest.mark.parametrize(("role", "name"), modules("initializer"))
def test_an_initializer_gives_a_first_estimate_from_y(role, name):
    torch.manual_seed(0)
    required, _, (output,) = kinds(role, name)
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


@pytest.mark.parametrize("role", REGISTRIES)
def test_the_message_about_a_wrong_base_class_has_the_right_article(role):
    registry = REGISTRIES[role]
    article = "an" if role in ("initializer", "estimator") else "a"
    with pytest.raises(
        PnpError, match=f"'x' is registered as {article} {role}, so it must derive from pnp"
    ):
        registry("x")(cast(Any, object))
