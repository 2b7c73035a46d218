"""Warnings of a run: settings outside those of the training, block edges of JPEG."""

import io

import numpy as np
import pytest
import skimage.data
import torch
import yaml
from PIL import Image

import pnp
from pnp.block_edges import VISIBLE, block_edges
from pnp.checkpoints import manifest
from pnp.cli import main
from pnp.images import write_image
from pnp.language.reader import read_spec
from pnp.trained_range import outside, trained_range

PHOTOGRAPHS = ("chelsea", "astronaut", "coffee", "camera")


def photograph(name, quality=None):
    """A photograph, reduced to 2/3, so that no blocks are left; as JPEG of this quality."""
    image = Image.fromarray(getattr(skimage.data, name)()[:300, :400]).convert("RGB")
    image = image.resize((266, 200), Image.Resampling.BICUBIC)
    if quality is not None:
        file = io.BytesIO()
        image.save(file, "jpeg", quality=quality)
        image = Image.open(file)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_block_edges_are_seen_in_a_jpeg_wherever_its_blocks_begin(name):
    jpeg = photograph(name, 30)
    assert block_edges(photograph(name)) < 1.15 and block_edges(jpeg) > VISIBLE
    assert block_edges(jpeg[..., 3:, 5:]) == pytest.approx(block_edges(jpeg), rel=0.03)
    assert block_edges(photograph(name, 92)) < VISIBLE


def test_block_edges_of_flat_and_small_images_are_none():
    assert block_edges(torch.full((1, 3, 80, 80), 0.5)) == 1
    assert block_edges(torch.rand(1, 3, 80, 63)) == 1


def test_every_file_of_weights_in_the_package_says_what_it_was_trained_for():
    for name, entry in manifest().items():
        if "sha256" in entry:
            trained = trained_range(name)
            assert 0 < trained["noise"] < 0.25 and trained.get("scales", [1]) == sorted(
                trained.get("scales", [1])
            )


def test_settings_within_the_training_give_no_warning_and_others_name_the_range():
    spec = read_spec("usrnet-mini")
    for s in (1, 2, 3, 4):
        assert outside(spec, s, 0.06) == outside(spec, s, None) == []
    scale, noise = outside(spec, 5, 0.5)
    assert scale == "the weights usrnet-mini were trained for the scales 1, 2, 3, 4, not 5"
    assert noise == "the weights usrnet-mini were trained for noise up to 6 %, not 50 %"
    assert outside(read_spec("hqs-tv"), 7, 0.5) == []


def test_weights_of_a_run_are_warned_of_by_their_entry(tmp_path):
    entry = {"trained": {"scales": [2], "noise": 0.01}}
    (tmp_path / "weights.yaml").write_text(yaml.safe_dump(entry))
    (tmp_path / "weights.safetensors").write_bytes(b"")
    assert trained_range(str(tmp_path / "weights.safetensors")) == entry["trained"]
    (tmp_path / "weights.yaml").write_text("trained: much\n")
    assert trained_range(str(tmp_path / "weights.safetensors")) == {}
    assert trained_range(str(tmp_path / "other.safetensors")) == {}


def test_a_run_prints_and_records_its_warnings(tmp_path, capsys):
    y = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "y.png", y)
    options = ["-k", "delta", "-s", "5", "--sigma", "50%", "-o", str(tmp_path / "out")]
    assert main(["run", "usrnet-mini", str(tmp_path / "y.png"), *options]) == 0
    said = capsys.readouterr().out
    assert (
        "  warning: the weights usrnet-mini were trained for the scales 1, 2, 3, 4, not 5" in said
    )
    assert "  warning: the weights usrnet-mini were trained for noise up to 6 %, not 50 %" in said
    restored = pnp.restore(photograph("chelsea", 30), "hqs-tv", kernel="delta", sigma=0.02)
    assert "edges every 8 pixels, as of JPEG" in restored.record["warnings"][0]
