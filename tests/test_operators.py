"""Forward operators are linear, with their adjoint, and equal to spatial convolution."""

from typing import Any, cast, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import kernels, problems, tensors

from pnp.errors import PnpError
from pnp.interfaces import Boundary
from pnp.operators import Blur, Operator
from pnp.testing import check_adjoint, observe_spatially

BOUNDARIES = get_args(Boundary)


@given(problems(), st.sampled_from(BOUNDARIES), st.booleans())
def test_blur_keeps_the_laws_of_an_operator(p, boundary, masked):
    mask = tensors(1, 1, *p.y.shape[-2:], low=-0.5).clamp_min(0) if masked else None
    check_adjoint(Blur(p.k, p.x.shape[-2:], p.s, boundary, mask), p.x.shape)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_blur_in_float32_keeps_the_laws_up_to_rounding(boundary):
    A = Blur(kernels(0, 1, 4, 5).float(), (24, 16), 2, boundary)
    check_adjoint(A, (2, 3, 24, 16), dtype=torch.float32)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_mask_multiplies_what_is_observed(boundary):
    x, k, mask = tensors(2, 3, 12, 8), kernels(2, 1, 4, 3), tensors(2, 1, 6, 4, seed=1)
    y = Blur(k, (12, 8), 2, boundary, mask)(x)
    assert torch.allclose(y, mask * observe_spatially(x, k, 2, boundary), atol=1e-12)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_kernel_as_large_as_a_tiny_image_is_no_special_case(boundary):
    for size in ((1, 1), (1, 2), (2, 3), (3, 2)):
        check_adjoint(Blur(kernels(0, 1, *size), size, 1, boundary), (1, 1, *size))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_blur_has_the_derivatives_of_the_spatial_convolution(boundary):
    x, k, mask, u = (
        tensors(1, 2, 6, 4),
        kernels(0, 1, 3, 2),
        tensors(1, 1, 3, 2),
        tensors(1, 2, 3, 2),
    )
    inputs = [t.requires_grad_() for t in (x, k, mask)]
    assert torch.autograd.gradcheck(lambda x, k, m: Blur(k, (6, 4), 2, boundary, m)(x), inputs)
    inputs[0] = u.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda u, k, m: Blur(k, (6, 4), 2, boundary, m).adjoint(u), inputs
    )


class Rows(Operator):
    """Keeps every second row; options break one law each."""

    def __init__(self, forward=lambda y: y, back=lambda x: x, gram=None):
        self.forward, self.back, self.normal = forward, back, gram

    def __call__(self, x):
        return self.forward(x[..., ::2, :])

    def adjoint(self, u):
        x = u.new_zeros(*u.shape[:2], 2 * u.shape[2], u.shape[3])
        x[..., ::2, :] = u
        return self.back(x)

    def gram(self, x):
        return super().gram(x) if self.normal is None else self.normal(x)


def zeroed(x):
    return x.zero_() + x


@pytest.mark.parametrize(
    ("operator", "sentence"),
    [
        (Rows(back=lambda x: x.flip(-1)), "has a wrong adjoint: <A x, u> is"),
        (Rows(back=lambda x: 2 * x), "has a wrong adjoint"),
        (Rows(back=lambda x: x[..., 1:]), r"has an adjoint that gives \(2, 3, 8, 5\)"),
        (Rows(back=lambda x: x.float()), r"has an adjoint that gives \(torch.float32, 'cpu'\)"),
        (Rows(forward=lambda y: y.float()), r"gives \(torch.float32, 'cpu'\) for torch.float64"),
        (Rows(forward=lambda y: y + 1), r"is not linear: A\(a - 2 b\) and A a - 2 A b differ"),
        (Rows(forward=lambda y: y.clamp(min=0)), "is not linear"),
        (Rows(forward=zeroed), "writes into its input"),
        (Rows(gram=lambda x: x), "has a gram that is off by"),
    ],
)
def test_wrong_operators_are_found_out(operator, sentence):
    check_adjoint(Rows(), (2, 3, 8, 6))
    with pytest.raises(AssertionError, match=f"Rows {sentence}"):
        check_adjoint(operator, (2, 3, 8, 6))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k: Blur(k, (8, 6), 4), "8 x 6 pixels cannot be divided by 4; crop_to_multiple"),
        (
            lambda k: Blur(k, (8, 6), 0),
            "the scale is 0, but should be a whole number of at least 1",
        ),
        (lambda k: Blur(k, (8, 2)), "the kernel is 3 x 3, larger than the image x, which is 8 x 2"),
        (
            lambda k: Blur(k, (8, 6), 2, cast(Any, "wrap")),
            "boundary is 'wrap', but should be one of circular",
        ),
        (lambda k: Blur(k[0], (8, 6)), "k has shape .*; it needs four dimensions"),
        (
            lambda k: Blur(k, (8, 6), 2, mask=torch.ones(1, 1, 8, 6)),
            r"the mask has shape \(1, 1, 8, 6\), but y is 4 x 3",
        ),
        (
            lambda k: Blur(k, (8, 6))(tensors(1, 3, 6, 8)),
            "the image is 6 x 8, but this operator is for 8 x 6",
        ),
        (
            lambda k: Blur(k, (8, 6), 2).adjoint(tensors(1, 3, 8, 6)),
            "the observation is 8 x 6, but this operator is for 4 x 3",
        ),
        (
            lambda k: Blur(k.repeat(2, 1, 1, 1), (8, 6))(tensors(3, 3, 8, 6)),
            "there are 2 kernels for 3 images",
        ),
        (lambda k: Blur(k, (8, 6))(tensors(1, 8, 6, 3)), "with the channels last"),
    ],
)
def test_what_does_not_fit_is_one_clear_message(call, message):
    with pytest.raises(PnpError, match=f"blur: .*{message}"):
        call(kernels(0, 1, 3, 3))
