"""What is said of a comparison: differences, intervals, wins, images that weights were trained on."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pnp.checkpoints import PRETRAINED
from pnp.commands.compare import _tell
from pnp.comparing.page import section
from pnp.comparing.reader import read_comparison
from pnp.comparing.rows import COLUMNS, Results
from pnp.comparing.run import Compared
from pnp.comparing.statistics import difference, differences, interval, trained_on
from pnp.comparing.tables import Table, check_protocol, overview
from pnp.errors import PnpError
from pnp.fingerprints import (
    beside,
    fingerprint,
    read_fingerprints,
    trained_with,
    write_fingerprints,
)
from pnp.images import read_image, write_image


def results_of(tmp_path, psnr, **more):
    """Results with PSNR by method, image and kernel."""
    results = Results(tmp_path)
    for method, images in psnr.items():
        for image, kernels in images.items():
            for kernel, value in kernels.items():
                row = dict.fromkeys(COLUMNS, "") | {
                    "method": method,
                    "image": image,
                    "kernel": kernel,
                    "scale": "2",
                    "sigma": "0",
                    "psnr": f"{value}",
                    "protocol": "usrnet",
                }
                row |= {name: values[method] for name, values in more.items()}
                results.rows[method, "2", "0", kernel, image] = row
    return results


def test_differences_are_paired_by_observation_and_averaged_by_image(tmp_path):
    base = {"a": {"1": 20, "2": 30}, "b": {"1": 25}, "c": {"1": 30}}
    other = {"a": {"1": 21, "2": 33}, "b": {"1": 24}, "d": {"1": 99}}
    results = results_of(tmp_path, {"base": base, "other": other})
    found = difference(results, "other", "base", "psnr")
    assert found is not None
    assert found.images == 2 and found.mean == pytest.approx((2 - 1) / 2)
    assert (found.wins, found.losses, found.worst) == (1, 1, (("b", -1.0),))
    assert found.low is None and found.conclusion == "2 images are too few to tell"


@pytest.mark.parametrize(
    ("gained", "conclusion"),
    [
        ([1.0, 1.2, 0.9, 1.1, 1.05, 0.95], "better"),
        ([-1.0, -1.2, -0.9, -1.1, -1.05, -0.95], "worse"),
        ([1.0, -1.2, 0.9, -1.1, 1.05, -0.95], "no difference"),
        ([0.0] * 6, "no difference"),
    ],
)
def test_no_difference_is_said_when_there_is_none(tmp_path, gained, conclusion):
    base = {str(i): {"1": 20.0 + i} for i in range(6)}
    other = {str(i): {"1": 20.0 + i + d} for i, d in enumerate(gained)}
    found = difference(results_of(tmp_path, {"b": base, "o": other}), "o", "b", "psnr")
    assert found is not None and found.conclusion == conclusion


@given(st.lists(st.floats(-5, 5, width=16), min_size=5, max_size=30))
def test_the_interval_is_about_the_mean_and_always_the_same(values):
    low, high = interval(values)
    assert low is not None and high is not None
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert interval(values) == (low, high)


def test_the_interval_holds_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        low, high = interval(list(rng.normal(0.3, 1, 30)))
        held += low is not None and high is not None and low <= 0.3 <= high
    assert held >= 50  # 57 are expected of 60; 49 or fewer have a chance of 1e-4


def test_a_table_of_two_protocols_is_an_error(tmp_path):
    both = {m: {"a": {"1": 20}} for m in ("x", "y")}
    protocols = {"x": "usrnet", "y": "ikrnet"}
    with pytest.raises(PnpError, match="two protocols"):
        check_protocol(results_of(tmp_path, both, protocol=protocols), ["x", "y"])
    hashes = {"x": "11111111", "y": "22222222"}
    with pytest.raises(PnpError, match="two protocols"):
        check_protocol(results_of(tmp_path, both, protocol_hash=hashes), ["x", "y"])
    one = results_of(tmp_path, both, protocol_hash={"x": "11111111", "y": ""})
    check_protocol(one, ["x", "y"])  # rows of earlier versions have no hash


def test_published_rows_never_stand_in_a_table_of_ours(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "about: C\ndata: {folder: scikit-image}\nscales: [2]\nsigmas: [0]\n"
        "methods: {x: {pipeline: hqs-tv}}\npublished: {theirs: [31]}\n"
    )
    comparison = read_comparison(tmp_path / "c.yaml")
    results = results_of(tmp_path / "c", {"x": {"a": {"1": 20}}})
    assert list(overview(comparison, results, ["x"], "psnr").rows) == ["x"]
    assert differences(comparison, results, ["x"]) == []


TWO = """
about: C
data: {folder: scikit-image}
scales: [2]
sigmas: [0]
methods: {x: {pipeline: bicubic}, y: {pipeline: bicubic}}
"""


def test_only_rows_of_the_comparison_count(tmp_path, capsys):
    """Rows of a kernel and an image that the description has no more stay in the folder."""
    (tmp_path / "c.yaml").write_text(TWO)
    comparison = read_comparison(tmp_path / "c.yaml")
    psnr = {"x": {"a": {"1": 20, "2": 50}}, "y": {"a": {"1": 21, "2": 10}, "b": {"2": 10}}}
    results = results_of(tmp_path / "c", psnr, date={"x": "2026-01-01", "y": "2026-01-01"})
    for (*_, kernel, _), row in results.rows.items():
        row["seconds"] = "100" if kernel == "2" else "1"
    (found,) = differences(comparison, results, ["x", "y"])
    assert (found.images, found.mean) == (1, pytest.approx(1))
    text = "\n".join(section(comparison, results, tmp_path))
    assert "(1 images)" in text and "Not in the tables" not in text
    assert "| 1 |" in text and "| 1e+02 |" not in text and "100" not in text
    _tell(Compared(comparison, tmp_path / "c", results), 0)
    said = capsys.readouterr().out
    assert "20.00 dB  x (1 rows)" in said and "21.00 dB  y (1 rows)" in said


def test_nothing_is_better_or_worse_by_a_metric_without_a_best_value(tmp_path):
    (tmp_path / "c.yaml").write_text(TWO + "metrics: [sigma_estimated]\n")
    comparison = read_comparison(tmp_path / "c.yaml")
    results = results_of(tmp_path / "c", {m: {str(i): {"1": 1} for i in range(6)} for m in "xy"})
    for key, row in results.rows.items():
        row |= {"sigma_estimated": "0.1" if key[0] == "x" else "0.2", "date": "2026-01-01"}
    assert differences(comparison, results, ["x", "y"], "sigma_estimated") == []
    text = "\n".join(section(comparison, results, tmp_path))
    assert "0.1000" in text and "better" not in text.split("estimated noise level")[1]


def test_latex_escapes_and_bold():
    table = Table(["x2, 1 %", "x_4"], {"a & b": [1.0, 2.0], "c": [3.0, None]})
    text = table.latex()
    assert r"a \& b & 1.00 & \textbf{2.00} \\" in text and r"c & \textbf{3.00} & - \\" in text
    assert r"method & x2, 1 \% & x\_4 \\" in text


def photograph():
    import skimage.data

    return skimage.data.chelsea()


def test_a_fingerprint_survives_format_size_and_loss_of_colour(tmp_path):
    pixels = photograph()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=85)
    Image.fromarray(pixels).convert("L").save(tmp_path / "grey.png")
    half = Image.fromarray(pixels).resize((pixels.shape[1] // 2, pixels.shape[0] // 2))
    half.save(tmp_path / "half.png")
    first = fingerprint(read_image(tmp_path / "a.png").pixels[0])
    for name in ("a.jpg", "grey.png", "half.png"):
        assert first.matches(fingerprint(read_image(tmp_path / name).pixels[0])), name
    import skimage.data

    for other in (skimage.data.astronaut(), skimage.data.coffee(), pixels[::-1], pixels[:, ::-1]):
        tensor = torch.from_numpy(np.ascontiguousarray(other)).permute(2, 0, 1)
        assert not first.matches(fingerprint(tensor))


def test_weights_that_come_with_pnp_tell_what_they_were_trained_on():
    """Those that have no list of their own have that of the folders they were trained on."""
    shipped = sorted(PRETRAINED.glob("*.safetensors"))
    assert shipped and all(len(trained_with(file)) > 600 for file in shipped)


def test_images_that_weights_were_trained_on_are_found(tmp_path):
    """The fingerprints lie beside the weights; the rows hold those of the images."""
    (tmp_path / "images").mkdir()
    pixels = torch.from_numpy(photograph()).permute(2, 0, 1)
    write_image(tmp_path / "images" / "cat.png", pixels[None] / 255)
    (tmp_path / "mine.safetensors").write_bytes(b"")
    write_fingerprints(beside(tmp_path / "mine.safetensors"), [fingerprint(pixels)])
    (tmp_path / "c.yaml").write_text(
        "about: C\ndata: {folder: images}\nscales: [2]\nsigmas: [0]\n"
        "methods: {x: {pipeline: usrnet-tiny, weights: mine.safetensors}, y: {pipeline: hqs-tv}}\n"
    )
    comparison = read_comparison(tmp_path / "c.yaml")
    psnr = {m: {"cat": {"1": 20}, "dog": {"1": 21}} for m in ("x", "y")}
    results = results_of(tmp_path / "c", psnr)
    found = fingerprint(read_image(tmp_path / "images" / "cat.png").pixels[0])
    for (*_, image), row in results.rows.items():
        row["image_sha256"] = found.pixels if image == "cat" else "0" * 12
        row["image_hash"] = found.perceptual if image == "cat" else "f" * 16
    assert trained_on(comparison, results, "x") == ["cat"]
    assert trained_on(comparison, results, "y") == []


def test_a_damaged_file_of_fingerprints_is_one_message(tmp_path):
    path = tmp_path / "w.images.txt"
    path.write_text("# comment\nabc nonsense\n")
    with pytest.raises(PnpError, match=r"w.images.txt:2: not two hashes"):
        read_fingerprints(path)
