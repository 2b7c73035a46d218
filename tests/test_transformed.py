"""D within torch.func (jvp, vmap, grad), in forward mode, and as an exported program."""

from typing import Any

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import grad, jacfwd, jacrev, jvp, vmap

import pnp

GENERATOR = torch.Generator().manual_seed(0)


def rand(*shape):
    return torch.rand(*shape, generator=GENERATOR, dtype=torch.float64)


def problem(s):
    k = rand(2, 1, 3, 4)
    k = k / k.sum((-2, -1), keepdim=True)
    return [rand(2, 3, 5, 6), rand(2, 3, 5 * s, 6 * s), k, 0.1 + rand(2, 1, 1, 1)]


MASK = (rand(2, 1, 5, 6) > 0.4).double()
COMPLEX = [rand(2, 2, 5, 6), rand(2, 2, 5, 6), MASK, 0.1 + rand(2, 1, 1, 1)]
INPAINTING = [rand(2, 3, 5, 6), rand(2, 3, 5, 6), MASK, 0.1 + rand(2, 1, 1, 1)]
CASES: dict[str, Any] = {
    "fft-image, s = 1": ("fft-image", {}, problem(1)),
    "fft-image, s = 2": ("fft-image", {}, problem(2)),
    "fft-image, s = 3": ("fft-image", {}, problem(3)),
    "equation-8, s = 1": ("equation-8", {}, problem(1)),
    "equation-8, s = 2": ("equation-8", {}, problem(2)),
    "mri-image": ("mri-image", {}, COMPLEX),
    "mask-image": ("mask-image", {}, INPAINTING),
}
CG = {"tolerance": 1e-12, "iterations": 60}
ITERATIVE = {
    f"cg-image, {b}": ("cg-image", {"boundary": b, **CG}, problem(2))
    for b in ("circular", "reflect")
}
CASES = CASES | ITERATIVE
every = pytest.mark.parametrize("case", CASES)


def built(case, **changes):
    name, options, values = CASES[case]
    return pnp.solvers.build(name, **(options | (changes if options else {}))), tuple(values)


def tangents(values) -> tuple[torch.Tensor, ...]:
    return tuple(rand(*v.shape) - 0.5 for v in values)


@every
def test_jvp_is_the_difference_quotient(case):
    D, values = built(case)
    along = tangents(values)
    result, slope = jvp(D, values, along)[:2]
    torch.testing.assert_close(result, D(*values))
    h = 1e-5
    above, below = (
        D(*(v + sign * h * t for v, t in zip(values, along, strict=True))) for sign in (1, -1)
    )
    torch.testing.assert_close(slope, (above - below) / (2 * h), rtol=1e-6, atol=1e-8)


@every
def test_jvp_to_y_and_x_is_linear_and_agrees_with_the_difference_of_two_results(case):
    D, (y, x, *rest) = built(case)
    dy, dx = tangents((y, x))
    slope = jvp(lambda a, b: D(a, b, *rest), (y, x), (dy, dx))[1]
    torch.testing.assert_close(slope, D(y + dy, x + dx, *rest) - D(y, x, *rest))


@every
def test_forward_mode_and_backward_are_adjoint(case):
    D, values = built(case)
    along = tangents(values)
    with forward_ad.dual_level():
        dual = D(*(forward_ad.make_dual(v, t) for v, t in zip(values, along, strict=True)))
        slope = forward_ad.unpack_dual(dual).tangent
    u = rand(*slope.shape)
    leaves = [v.clone().requires_grad_() for v in values]
    back = torch.autograd.grad((u * D(*leaves)).sum(), leaves)
    expected = sum((t * g).sum() for t, g in zip(along, back, strict=True))
    torch.testing.assert_close((u * slope).sum(), expected)


@every
def test_the_exported_program_gives_the_same(case):
    D, values = built(case, iterations=6)
    values = tuple(v.float() for v in values)
    program = torch.export.export(D, values).module()
    other = tuple(v.flip(0).float() for v in values)
    for given in (values, other):
        torch.testing.assert_close(program(*given), D(*given))


@pytest.mark.parametrize("case", ITERATIVE)
def test_the_exported_program_of_a_mask_gives_the_same(case):
    D, (y, x, k, weight) = built(case, iterations=3)
    given = y, x, k, weight, MASK
    program = torch.export.export(D, given).module()
    torch.testing.assert_close(program(*given), D(*given))


@every
def test_vmap_is_a_loop_and_grad_is_backward(case):
    D, values = built(case)
    many = [torch.stack((v, v.flip(0), 0.5 * v)) for v in values]
    together = vmap(D)(*many)
    alone = torch.stack([D(*(v[i] for v in many)) for i in range(3)])
    torch.testing.assert_close(together, alone)

    def loss(*given):
        return D(*given).square().sum()

    found = grad(loss, argnums=(0, 1, 2, 3))(*values)
    leaves = [v.clone().requires_grad_() for v in values]
    for one, two in zip(found, torch.autograd.grad(loss(*leaves), leaves), strict=True):
        torch.testing.assert_close(one, two)


@every
def test_gradients_within_vmap_are_those_of_a_loop(case):
    D, values = built(case)
    many = [torch.stack((v, 0.5 * v)) for v in values]

    def loss(*given):
        return D(*given).square().sum()

    together = vmap(grad(loss, argnums=(0, 1, 2, 3)))(*many)
    for i in range(2):
        alone = grad(loss, argnums=(0, 1, 2, 3))(*(v[i] for v in many))
        for one, two in zip(together, alone, strict=True):
            torch.testing.assert_close(one[i], two)


@every
def test_the_jacobian_to_y_is_the_same_forward_and_backward(case):
    D, (y, *rest) = built(case)
    forward, backward = (j(lambda v: D(v, *rest))(y) for j in (jacfwd, jacrev))
    torch.testing.assert_close(forward, backward)
