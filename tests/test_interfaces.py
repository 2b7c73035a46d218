"""Everything registered has the inputs and outputs that its interface promises."""

from typing import Any, cast

import pytest

from pnp.errors import PnpError
from pnp.interfaces import signature_of
from pnp.registry import REGISTRIES


def modules(*words):
    return [(role, name) for role in words for name in REGISTRIES[role].names()]


def kinds(role, name):
    signature = signature_of(REGISTRIES[role].get(name))
    required = [a.kind.name for a in signature.inputs if a.required]
    return required, [a.kind.name for a in signature.inputs], [k.name for k in signature.outputs]


@pytest.mark.parametrize(("role", "name"), modules("solver"))
def test_a_solver_takes_y_x_k_or_a_mask_and_gives_the_image_or_the_kernel(role, name):
    _, inputs, outputs = kinds(role, name)
    if "kernel" not in inputs:
        (of_image,) = outputs
        assert of_image in ("image", "complex")
        assert inputs == [of_image, of_image, "image", "level"]
        return
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


@pytest.mark.parametrize("role", REGISTRIES)
def test_the_message_about_a_wrong_base_class_has_the_right_article(role):
    registry = REGISTRIES[role]
    article = "an" if role in ("initializer", "estimator") else "a"
    with pytest.raises(
        PnpError, match=f"'x' is registered as {article} {role}, so it must derive from pnp"
    ):
        registry("x")(cast(Any, object))
