"""pnp.restore: the same image in any form gives the same result, and bad input one clear message."""

import numpy as np
import pytest
import torch
from PIL import Image

import pnp
from pnp.images import write_image
from pnp.restoration import Restorer, restore


@pytest.fixture
def pixels():
    return (
        torch.rand(1, 3, 24, 20, generator=torch.Generator().manual_seed(0)) * 255
    ).round() / 255


def forms(pixels, folder):
    """One image in every form that is taken."""
    write_image(folder / "image.png", pixels)
    array = (pixels[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    return {
        "path": folder / "image.png",
        "text": str(folder / "image.png"),
        "PIL": Image.fromarray(array),
        "bytes": array,
        "16 bits": array.astype(np.uint16) * 257,
        "floats": array.astype(np.float64) / 255,
        "tensor": pixels[0],
        "batch of one": pixels,
    }


@pytest.mark.parametrize("channels", [1, 3])
def test_every_form_of_an_image_gives_the_same_result(tmp_path, pixels, channels):
    pixels = pixels[:, :channels]
    restorer = Restorer(
        "hqs-tv", scale=2, kernel="gaussian:1", sigma="1%", assignments=("repeat=2",)
    )
    results = {}
    for name, image in forms(
        pixels if channels == 3 else pixels.expand(-1, 3, -1, -1), tmp_path
    ).items():
        if channels == 1 and name in ("bytes", "16 bits", "floats"):
            image = image[..., 0]
        elif channels == 1 and "tensor" in name:
            image = image[:1]
        results[name] = restorer(image).image
    first = results.pop("path")
    assert first.shape[-2:] == (48, 40)
    for name, other in results.items():
        assert torch.allclose(other.mean(1), first.mean(1), atol=1e-5), name


def test_restore_gives_what_the_pipeline_gives_and_tells_all_of_it(pixels):
    pixels = 0.95 * pixels  # white is the limit of a photograph, but a value for the pipeline
    k = np.full((3, 3), 1 / 9)
    restored = pnp.restore(
        pixels, "hqs-tv", scale=2, kernel=k, sigma=0.02, reference=torch.rand(1, 3, 48, 40)
    )
    direct = pnp.load("hqs-tv")(
        y=pixels, s=2, k=torch.from_numpy(k).float(), sigma=0.02, boundary="unknown"
    )
    assert torch.allclose(restored.image, direct.x, atol=1e-5)
    assert restored.kernel is not None and restored.kernel.shape == (1, 1, 3, 3)
    assert restored.record["given"] == {"s": 2, "k": "ndarray", "sigma": 0.02, "mask": None}
    assert {"psnr_lr", "psnr_before", "psnr_after"} <= set(restored.record["quality"])
    assert restored.record["input"] == "Tensor"


def test_estimated_levels_are_in_the_result(pixels):
    changes = ("repeat=1", "return=[x, sigma]")
    restored = restore(pixels, "hqs-tv", scale=1, kernel=torch.ones(3, 3) / 9, assignments=changes)
    assert restored.levels["sigma"][0] > 0


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.rand(2, 3, 8, 8), r"a batch goes to pnp.load"),
        (torch.rand(8, 8, 3), r"a tensor \(C, H, W\)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "is uint8; give floating point numbers"),
        (np.zeros((3, 8, 8), np.uint8), r"an array \(H, W\)"),
        (np.zeros((8, 8), np.int64), "not int64"),
        ([1, 2, 3], "not list"),
        ("nowhere.png", "nowhere.png"),
    ],
)
def test_other_forms_are_one_clear_message(image, message):
    with pytest.raises(pnp.PnpError, match=message):
        restore(image, "hqs-tv", scale=1, kernel="delta")


def test_what_the_pipeline_needs_and_does_not_take_is_said_in_the_callers_words(pixels):
    with pytest.raises(pnp.PnpError, match=r"needs kernel; it takes y, s \(scale\), k \(kernel\)"):
        restore(pixels, "hqs-tv", scale=2)
    with pytest.raises(pnp.PnpError, match="so kernel cannot be given"):
        restore(pixels, "blind-classical", kernel="delta")
    with pytest.raises(pnp.PnpError, match=r"reference Tensor: it is 8 x 8, but Tensor at scale 2"):
        restore(pixels, "hqs-tv", scale=2, kernel="delta", reference=torch.rand(1, 3, 8, 8))
