"""Alpha: hidden colours have no influence, visible ones stay, and their noise is continued."""

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import pnp
from pnp.cli import main
from pnp.image_forms import as_image_file
from pnp.images import ImageFile, read_image
from pnp.transparency import SURE, extend_colours

QUICK = ("repeat=2", "modules.P.iterations=5")


def disc(height=24, width=24, radius=8.0):
    """Alpha of a disc with a soft edge, (H, W)."""
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2)
    return np.clip(radius + 0.5 - distance, 0, 1)


def stripes(height=24, width=24):
    return np.tile((np.arange(width) // 6 % 2).astype(float), (height, 1))


SHAPES = {
    "disc": disc(),
    "stripes": stripes(),
    "one pixel": np.eye(24)[3][:, None] * np.eye(24)[20],
    "nothing": np.zeros((24, 24)),
    "faint": 0.01 * disc(),
    "all": np.ones((24, 24)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "16 bits", "floats"])
def test_the_result_does_not_depend_on_hidden_colours(tmp_path, shape, kind):
    rng = np.random.default_rng(0)
    alpha = SHAPES[shape]
    channels = 1 if kind == "LA" else 3
    seen = rng.integers(0, 256, (24, 24, channels))
    if kind == "P":  # few colours, one of them transparent
        alpha, seen = (alpha > 0.5).astype(float), seen // 128 * 200
    results = []
    for hidden in (0, 77, 255):
        path = tmp_path / f"{hidden}.tif"
        pixels = np.where((alpha > 0)[..., None], seen, hidden)
        stored = np.dstack([pixels, np.rint(255 * alpha)]).astype(np.uint8)
        if kind == "16 bits":
            tifffile.imwrite(path, stored * np.uint16(257), photometric="rgb")
        elif kind == "floats":
            tifffile.imwrite(path, stored.astype(np.float32) / 255, photometric="rgb")
        elif kind == "P":
            path = tmp_path / f"{hidden}.png"
            colours, index = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
            # Index 0 is the transparent colour.
            index = np.where(alpha > 0, index.reshape(24, 24) + 1, 0).astype(np.uint8)
            image = Image.fromarray(index, "P")
            image.putpalette([hidden] * 3 + colours.ravel().tolist())
            image.save(path, transparency=0)
        else:
            path = tmp_path / f"{hidden}.png"
            Image.fromarray(stored, None if channels == 3 else "LA").save(path)
        restored = pnp.restore(path, "hqs-tv", scale=2, kernel="delta", assignments=QUICK)
        results.append((restored.image, restored.record["estimates"], restored.record["quality"]))
    for x, estimates, quality in results[1:]:
        assert torch.equal(x, results[0][0])
        assert (estimates, quality) == results[0][1:]


@pytest.mark.parametrize("background", [(0, 0, 0), (0, 255, 0), (90, 90, 90)])
@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("kind", ["RGBA", "LA"])
def test_a_disc_of_one_colour_keeps_it_up_to_its_edge(tmp_path, background, s, kind):
    alpha, colour = disc(28, 26), np.array([255, 40, 0])
    pixels = np.where((alpha > 0)[..., None], colour, background)
    stored = np.dstack([pixels, 255 * alpha]).round().astype(np.uint8)
    if kind == "LA":
        stored, colour = stored[..., [0, 3]], colour[:1]
    Image.fromarray(stored, kind).save(tmp_path / "a.png")
    arguments = ["--scale", str(s), "--kernel", "gaussian:1", "-o", str(tmp_path / "out")]
    assert main(["run", "hqs-tv", str(tmp_path / "a.png"), *arguments]) == 0
    written = read_image(tmp_path / "out" / f"a_x{s}.png")
    assert written.alpha is not None and written.alpha.shape[-2:] == (28 * s, 26 * s)
    error = (written.pixels - torch.from_numpy(colour / 255).reshape(1, -1, 1, 1)) * written.alpha
    assert float(error.abs().max()) <= 3 / 255


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I;16"])
def test_a_PIL_image_is_read_as_its_file(tmp_path, mode):
    rng = np.random.default_rng(0)
    stored = np.dstack([rng.integers(0, 256, (28, 26, 3)), 255 * disc(28, 26)]).astype(np.uint8)
    image = Image.fromarray(stored)
    if mode == "I;16":
        image = Image.fromarray(stored[..., 0].astype(np.uint16) * 257)
    elif mode != "RGBA":
        image = image.convert(mode)
    image.save(tmp_path / "a.png")
    of_file, of_image = read_image(tmp_path / "a.png"), as_image_file(image)
    assert of_file.bits == of_image.bits and torch.equal(of_file.visible(), of_image.visible())
    assert (of_file.alpha is None) == (mode in ("1", "I;16")) or mode == "P"


@given(st.integers(0, 99), st.sampled_from(["disc", "stripes", "faint", "one pixel"]))
def test_visible_colours_stay_and_composites_change_by_two_grey_levels_at_most(seed, shape):
    rng = np.random.default_rng(seed)
    alpha = torch.from_numpy(SHAPES[shape] * rng.uniform(0, 1, (24, 24)))[None, None].float()
    pixels = torch.from_numpy(rng.random((1, 3, 24, 24))).float()
    extended = extend_colours(pixels, alpha)
    visible = (alpha >= SURE).expand_as(pixels)
    assert torch.equal(extended[visible], pixels[visible])
    assert float(((extended - pixels) * alpha).abs().max()) <= SURE / 4 + 1e-6
    assert extended.min() >= pixels.min() and extended.max() <= pixels.max()


@pytest.mark.parametrize("height", [16, 64, 96])
def test_the_noise_level_of_the_visible_part_is_found(height):
    """Bands of noise between transparent ones: what is extended must not look clean."""
    rng = np.random.default_rng(1)
    pixels = torch.from_numpy(0.5 + 0.06 * rng.standard_normal((1, 3, 128, 128))).float()
    alpha = torch.zeros(1, 1, 128, 128)
    alpha[..., 20 : 20 + height, :] = 1
    estimate = pnp.estimators.build("wavelet-noise")
    level = float(estimate(ImageFile(pixels, alpha=alpha).visible()))
    assert level == pytest.approx(0.06, rel=0.15)


def test_degraded_images_and_training_images_do_not_depend_on_hidden_colours(tmp_path):
    from pnp.training.data import read_images

    bytes_of = {}
    for hidden in (0, 255):
        pixels = np.where((disc(28, 28) > 0)[..., None], (200, 30, 90), hidden)
        (tmp_path / str(hidden)).mkdir()
        path = tmp_path / str(hidden) / "a.png"
        Image.fromarray(np.dstack([pixels, 255 * disc(28, 28)]).round().astype(np.uint8)).save(path)
        assert main(["degrade", str(path), "-s", "2", "-o", str(path.parent / "lr")]) == 0
        (image,) = read_images([path.parent], 3, 8)[:1]
        written = (path.parent / "lr" / "a_x2_lr.npy").read_bytes()
        bytes_of[hidden] = (written, image.numpy().tobytes())
    assert bytes_of[0] == bytes_of[255]


def test_hidden_values_that_are_no_colours_do_not_make_an_image_unreadable(tmp_path):
    """Programs leave NaN and large values under transparent pixels of floats."""
    pixels = np.dstack([np.full((24, 24, 3), 0.25), disc()]).astype(np.float32)
    for hidden in (np.nan, np.inf, 1e6, -7):
        stored = pixels.copy()
        stored[disc() == 0, :3] = hidden
        np.save(tmp_path / "a.npy", stored)
        assert read_image(tmp_path / "a.npy").visible().eq(0.25).all()


def test_an_image_that_is_seen_everywhere_is_left_alone():
    pixels = torch.rand(1, 3, 5, 6)
    for alpha in (None, torch.ones(1, 1, 5, 6), torch.full((1, 1, 5, 6), SURE)):
        assert ImageFile(pixels, alpha=alpha).visible() is pixels
