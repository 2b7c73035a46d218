"""Borders made periodic, and what that is worth to a solver with circular convolution."""

import pytest
import torch
from skimage import data

import pnp
from pnp.observation import blur

PHOTO = torch.from_numpy(data.camera()).double()[None, None, 100:260, 150:330] / 255


@pytest.mark.parametrize("margin", [1, 5, 16])
def test_trim_takes_off_what_extend_adds(margin):
    extended = pnp.initializers.build("extend", margin=margin)(PHOTO)
    assert extended.shape == (1, 1, 160 + 2 * margin, 180 + 2 * margin)
    assert torch.equal(pnp.initializers.build("trim", margin=margin)(extended, 1), PHOTO)


def test_an_extended_image_has_no_jump_at_its_period():
    def jump(x):
        return max((x - x.roll(1, dim)).narrow(dim, 0, 1).abs().mean() for dim in (-2, -1))

    extended = pnp.initializers.build("extend", margin=16)(PHOTO)
    assert jump(extended) < jump(PHOTO) / 5
    steps = [(extended.diff(dim=d).abs().max(), PHOTO.diff(dim=d).abs().max()) for d in (-2, -1)]
    assert all(new <= old + 1e-9 for new, old in steps)


def test_restoring_a_photograph_with_real_borders_rings_less():
    k = torch.ones(1, 1, 1, 11).double() / 11
    wide = torch.from_numpy(data.camera()).double()[None, None, 80:280, 130:350] / 255
    y = blur(wide, k)[
        ..., 20:-20, 20:-20
    ]  # a window of a larger scene: its borders are not periodic
    D = pnp.solvers.build("fft-image")
    extend, trim = pnp.initializers.build("extend"), pnp.initializers.build("trim")
    plain = D(y, y, k, 1e-3)
    longer = extend(y)
    better = trim(D(longer, longer, k, 1e-3), 1)
    errors = [float((z - PHOTO).square().mean()) for z in (plain, better)]
    assert errors[1] < errors[0] / 2


def test_messages_say_what_is_wrong():
    with pytest.raises(pnp.PnpError, match="margin is 0"):
        pnp.initializers.build("extend", margin=0)
    with pytest.raises(pnp.PnpError, match="wants more than 32 pixels a side, y is 20 x 40"):
        pnp.initializers.build("extend")(torch.zeros(1, 1, 20, 40))
    with pytest.raises(pnp.PnpError, match="too small"):
        pnp.initializers.build("trim")(torch.zeros(1, 1, 40, 40), 2)


def test_the_photo_pipeline_beats_the_periodic_one_on_a_window_of_a_scene():
    k = torch.ones(1, 1, 1, 11) / 11
    wide = torch.from_numpy(data.camera()).float()[None, None, 80:280, 130:350] / 255
    y = blur(wide, k)[..., 20:-20, 20:-20]
    truth = PHOTO.float()
    error = {}
    for name in ("hqs-tv", "hqs-tv-photo"):
        x = pnp.load(name)(y=y, k=k, sigma=0.005).x
        assert x.shape == truth.shape
        error[name] = float((x - truth).square().mean())
    assert error["hqs-tv-photo"] < error["hqs-tv"] / 2
