"""`pnp run` on folders and on many images, and without the name of a pipeline."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from pnp.cli import main
from pnp.commands.inputs import (
    Found,
    find_images,
    is_result,
    names_of,
    pipeline_and_images,
    usual_scale,
)
from pnp.errors import PnpError
from pnp.images import read_image, write_image
from pnp.kernel_files import make_kernel
from pnp.metrics import psnr
from pnp.observation import blur

QUICK = ["median"]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder with a subfolder, a damaged file, and two names that differ in their ending."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for i, name in enumerate(["a.png", "b.png", "b.jpg", "trip/a.tif"]):
        x = torch.rand(3, 24 + i, 20, generator=torch.Generator().manual_seed(i))
        write_image(folder / name, x)
    (folder / "broken.png").write_bytes(b"\x89PNG and then nothing")
    (folder / "notes.txt").write_text("no image")
    pipeline = (
        "given: [y, s = 1]\nmodules: {M: {prior: median}}\nafter: ['x = M(y)']\nreturn: [x]\n"
    )
    (tmp_path / "median.yaml").write_text(pipeline)
    return folder


def run(*words):
    return main(["run", "median.yaml", *map(str, words)])


def results(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_a_folder_is_walked_and_a_damaged_file_does_not_stop_the_rest(photos, capsys):
    assert run("photos", "-o", "out") == 1
    said = capsys.readouterr()
    assert "broken.png" in said.err and "1 of 5 images could not be restored" in said.err
    expected = {"a_x1", "b.jpg_x1", "b.png_x1", "trip/a_x1"}
    found = results(photos.parent / "out")
    assert found == {f"{name}{end}" for name in expected for end in (".png", ".json")}


def test_finished_images_are_skipped_until_something_changes(photos, capsys):
    (photos / "broken.png").unlink()
    assert run("photos", "-o", "out") == 0
    record = photos.parent / "out" / "a_x1.json"
    first = record.read_text()
    capsys.readouterr()
    assert run("photos", "-o", "out") == 0
    assert capsys.readouterr().out.count("restored already") == 4
    assert record.read_text() == first
    # another input, another option, a missing result, --overwrite
    write_image(photos / "a.png", torch.zeros(3, 24, 20))
    assert run("photos", "-o", "out") == 0
    assert capsys.readouterr().out.count("restored already") == 3
    assert run("photos", "-o", "out", "--set", "modules.M.size=5") == 0
    assert capsys.readouterr().out.count("restored already") == 0
    record.with_suffix(".png").unlink()
    assert run("photos", "-o", "out", "--set", "modules.M.size=5") == 0
    assert capsys.readouterr().out.count("restored already") == 3
    assert run("photos", "-o", "out", "--set", "modules.M.size=5", "--overwrite") == 0
    assert capsys.readouterr().out.count("restored already") == 0


def test_results_of_earlier_runs_are_not_restored(photos, capsys):
    (photos / "broken.png").unlink()
    traced = ["-k", "gaussian:1", "--set", "repeat=1", "--trace", "-o", "photos"]
    assert main(["run", "hqs-tv", "photos/a.png", *traced]) == 0
    made = {"a_x1.png", "a_x1.json", "a_x1_trace.npz", "a_x1_trace.png"}
    assert made <= results(photos)
    assert is_result(photos / "a_x1_trace.png") and not is_result(photos / "a.png")
    capsys.readouterr()
    assert run("photos", "-o", "photos") == 0
    said = capsys.readouterr()
    assert "results of earlier runs" in said.err and "a_x1_x1.png" not in results(photos)
    assert run("photos", "-o", "photos/results") == 0
    before = results(photos)
    assert run("photos", "-o", "photos/results") == 0
    assert results(photos) == before


def test_a_result_alone_is_refused_and_the_cure_is_named(photos, capsys):
    assert run("photos/a.png", "-o", "out") == 0
    capsys.readouterr()
    assert run("out/a_x1.png", "-o", "again") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "out/a_x1.png: results of earlier runs" in said and "copy it into another folder" in said
    assert not Path("again").exists()


def test_several_processes_give_the_same_files(photos, capsys):
    (photos / "broken.png").unlink()
    assert run("photos", "-o", "one") == 0
    assert run("photos", "-o", "two", "--jobs", "2") == 0
    for name in ("a_x1.png", "b.png_x1.png", "b.jpg_x1.png", "trip/a_x1.png"):
        one, two = (photos.parent / folder / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_process_that_is_killed_is_one_message_and_the_same_command_goes_on(
    photos, capsys, monkeypatch
):
    Path("mortal.py").write_text(
        "import os, signal\ndef prepare(args, threads): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    images = ["photos/a.png", "photos/b.png"]
    assert run(images[0], "-o", "out") == 0
    monkeypatch.syspath_prepend(photos.parent)
    with monkeypatch.context() as here:
        here.setattr(
            "pnp.commands.batch._prepare_worker", importlib.import_module("mortal").prepare
        )
        assert run(*images, "-o", "out", "--jobs", "2") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "--jobs 2: a process was ended from outside, most often for lack of memory" in said
    assert "finished images are kept" in said and "bug" not in said
    assert run(*images, "-o", "out") == 0
    assert "photos/a.png: restored already" in capsys.readouterr().out
    assert {"a_x1.png", "b_x1.png"} <= results(photos.parent / "out")


def test_formats_and_the_picture_before_and_after(photos):
    (photos / "broken.png").unlink()
    assert run("photos", "-o", "out", "--format", "same", "--compare") == 0
    found = results(photos.parent / "out")
    assert {"a_x1.png", "b.jpg_x1.jpg", "trip/a_x1.tif", "a_x1_compare.png"} <= found
    pair = read_image(photos.parent / "out" / "a_x1_compare.png").pixels
    assert pair.shape[-1] > 2 * 20 and torch.equal(
        pair[..., :20], read_image("photos/a.png").pixels
    )
    rgba = np.full((9, 9, 4), 128, np.uint8)
    rgba[:, :4, 3] = 0

    Image.fromarray(rgba).save(photos / "clear.webp")
    assert run(photos / "clear.webp", "-o", "out", "--format", "same", "--compare") == 0
    assert (photos.parent / "out" / "clear_x1.webp").is_file()
    pair = read_image(photos.parent / "out" / "clear_x1_compare.png").pixels
    assert (pair[..., :4] == 1).all() and (pair[..., 11:15] == 1).all()  # on white
    assert pair[..., 4:9].max() == pair[..., 15:].max() == 191 / 255


def test_a_result_too_large_for_the_format_of_the_input_is_a_png(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image("long.webp", torch.rand(1, 3, 1, 4096))
    enlarge = "given: [y, s]\nmodules: {U: {initializer: bicubic}}\nafter: ['x = U(y, s)']\n"
    (tmp_path / "enlarge.yaml").write_text(f"{enlarge}return: [x]\n")
    for scale, ending in {3: ".webp", 4: ".png"}.items():
        command = ["run", "enlarge.yaml", "long.webp", "-o", "out", "--format", "same"]
        assert main([*command, "-s", str(scale)]) == 0
        x = read_image(tmp_path / "out" / f"long_x{scale}{ending}").pixels
        assert x.shape == (1, 3, scale, scale * 4096)


def test_two_images_never_have_the_same_results(photos, capsys):
    """Two folders with images of one name; endings that are kept in names."""
    for folder, names in {
        "h1": ["IMG_1.png"],
        "h2": ["img_1.png"],
        "h3": ["a.png", "a.jpg", "a.jpg.png"],
    }.items():
        Path(folder).mkdir()
        for name in names:
            write_image(f"{folder}/{name}", torch.rand(3, 8, 8))
    for words in (["h1", "h2"], ["h3"]):
        assert main(["run", "bicubic", *words, "-s", "2", "-o", "out"]) == 1
        assert "would both be called" in capsys.readouterr().err
        assert not Path("out").exists()


def test_files_of_other_kinds_in_a_folder_are_counted(photos, capsys):
    (photos / "broken.png").unlink()
    for name in ("one.gif", "two.GIF", "trip/raw.nef"):
        (photos / name).write_bytes(b"anything")
    assert run("photos", "-o", "out") == 0
    said = capsys.readouterr().err
    assert "only restored if they are named: 2 .gif, 1 .nef\n" in said and "1 .txt" not in said


def test_without_a_pipeline_the_default_is_taken_and_named(photos, capsys):
    few = [word for i in range(3) for word in ("--set", f"stages.{i}.repeat=1")]
    quick = [*few, "--set", "modules.H.n=1", "--set", "modules.G.n=1", "--random-weights"]
    assert main(["run", "photos/a.png", *quick]) == 0
    said = capsys.readouterr()
    assert "no pipeline is named: ikrnet-small, scale 4 or 2 or 1" in said.err
    record = json.loads((photos.parent / "restored" / "a_x4.json").read_text())
    assert record["pipeline"] == "ikrnet-small" and record["given"]["s"] == 4
    assert record["size"] == [96, 80]


def test_the_scale_of_a_plain_run_limits_the_result_to_4_megapixels():
    photo = torch.from_numpy(np.tile(astronaut(), (2, 2, 1))[:1001, :1000]).permute(2, 0, 1)[None]
    photo = photo / 255
    assert usual_scale(photo[..., :500, :500]) == 4 and usual_scale(photo[..., :501, :500]) == 2
    assert usual_scale(photo[..., :1000, :]) == 2 and usual_scale(photo) == 1
    assert usual_scale(torch.zeros(1, 1, 1, 1).expand(1, 3, 3000, 4000)) == 1
    assert usual_scale(photo[..., :9, :9]) == 4


@pytest.mark.parametrize(
    ("kernel", "scale"), [("gaussian:0.6", 4), ("gaussian:2", 2), ("gaussian:3.5", 1), ("line", 1)]
)
def test_the_scale_of_a_plain_run_leaves_room_for_the_blur(kernel, scale):
    """A kernel of 15 pixels in the observation would have 60 in a result of scale 4."""
    scene = torch.from_numpy(astronaut()[:256, 100:400]).permute(2, 0, 1)[None] / 255
    line = torch.full((1, 1, 1, 19), 1 / 19)
    y = blur(scene, line if kernel == "line" else make_kernel(kernel, "kernel"))
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    assert usual_scale(y + 0.01 * noise) == scale


def test_words_are_a_pipeline_and_images_or_images_alone(photos):
    assert pipeline_and_images(["hqs-tv", "a.png"]) == ("hqs-tv", ["a.png"])
    assert pipeline_and_images(["my.yaml", "a.png"]) == ("my.yaml", ["a.png"])
    assert pipeline_and_images(["hqs-vt", "a.png"]) == ("hqs-vt", ["a.png"])
    assert pipeline_and_images(["missing.png"]) == (None, ["missing.png"])
    assert pipeline_and_images(["photos", "a.png"]) == (None, ["photos", "a.png"])


def test_two_images_of_one_name_are_refused_only_if_they_are_named(photos):
    searched, _ = find_images(["photos"], photos.parent / "out")
    names = names_of([found for found in searched if not found.folder.parts])
    assert set(names.values()) == {"a", "b.png", "b.jpg", "broken"}
    with pytest.raises(PnpError, match="would both be called b"):
        names_of([Found("photos/b.png", photos), Found("photos/b.jpg", photos)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hqs-tv"], "no image is named"),
        (["hqs-tvv", "photos/a.png"], "there is no pipeline called 'hqs-tvv'"),
        (["missing.png"], "missing.png: there is no such file"),
        (["median.yaml", "empty"], "empty: there are no images in this folder"),
    ],
)
def test_wrong_words_get_a_message(photos, capsys, words, message):
    (photos.parent / "empty").mkdir()
    assert main(["run", *words, "-o", "out"]) == 1
    assert message in capsys.readouterr().err


def test_a_trace_of_a_pipeline_without_iterations_is_refused(photos, capsys):
    assert run("photos", "-o", "out", "--trace") == 1
    assert "--trace: median.yaml has no iterations" in capsys.readouterr().err


def test_a_wrong_number_of_jobs_is_refused(photos, capsys):
    with pytest.raises(SystemExit):
        run("photos", "--jobs", "0")
    assert "from 1 to 256" in capsys.readouterr().err


def pipeline(*steps, modules="U: {initializer: bicubic}"):
    """A pipeline with these steps, in a file."""
    text = f"given: [y]\nmodules: {{{modules}}}\nbefore: {[*steps]}\nreturn: [x]\n"
    with open("steps.yaml", "w") as file:
        file.write(text)


def test_the_size_of_the_result_is_that_of_the_result(photos, capsys):
    pipeline("x = U(y, 2)", "x = U(x, 2)")
    photo, reference = photos / "a.png", torch.rand(3, 96, 80)
    write_image("reference.png", reference)
    for said in ("a.png: 80 x 96, ", "restored already"):
        assert main(["run", "steps.yaml", str(photo), "--reference", "reference.png"]) == 0
        assert said in capsys.readouterr().out
    assert results(photos.parent / "restored") == {"a_x4.png", "a_x4.json"}
    record = json.loads((photos.parent / "restored" / "a_x4.json").read_text())
    assert (record["size"], record["scale"]) == ([96, 80], 4)
    quality = record["quality"]  # the result is the bicubic interpolation, twice by 2
    assert quality["psnr_after"] == pytest.approx(quality["psnr_before"], abs=0.5)
    write_image("wrong.png", reference[:, :48, :40])
    assert main(["run", "steps.yaml", str(photo), "--reference", "wrong.png", "--overwrite"]) == 1
    assert "48 x 40, but" in (said := capsys.readouterr().err) and "becomes 96 x 80" in said


def test_a_result_that_is_no_multiple_of_the_observation_has_its_size_in_its_name(photos, capsys):
    modules = "U: {initializer: bicubic}, T: {transform: bicubic-down}"
    pipeline("z = U(y, 3)", "x = T(z, 2)", modules=modules)
    write_image("reference.png", torch.full((3, 36, 30), 0.5))
    command = ["run", "steps.yaml", str(photos / "a.png"), "--compare"]
    for said in ("a.png: 30 x 36 (no whole multiple of the observation)", "restored already"):
        assert main([*command, "--reference", "reference.png"]) == 0
        assert said in capsys.readouterr().out
    made = {"a_30x36.png", "a_30x36.json", "a_30x36_compare.png"}
    assert results(photos.parent / "restored") == made
    record = json.loads((photos.parent / "restored" / "a_30x36.json").read_text())
    assert (record["size"], record["scale"]) == ([36, 30], None)
    x, reference = (read_image(name).pixels for name in (record["files"]["image"], "reference.png"))
    assert record["quality"]["psnr_after"] == pytest.approx(float(psnr(x, reference, border=1)))


def test_a_result_of_an_unexpected_size_does_not_replace_a_given_file(photos, capsys):
    pipeline("x = U(y, 2)")
    (photos / "a.png").rename(photos / "a_x2.png")
    (photos / "a.png").hardlink_to(photos / "a_x2.png")
    before = (photos / "a.png").read_bytes()
    assert main(["run", "steps.yaml", str(photos / "a.png"), "-o", str(photos)]) == 1
    assert "would overwrite the observation" in capsys.readouterr().err
    assert (photos / "a.png").read_bytes() == before


def mixed(folder):
    """Photographs of all kinds, some of which cannot be restored."""
    folder.mkdir()
    (folder / "trip").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
    colours = Image.fromarray(pixels)
    colours.save(folder / "colours.png")
    colours.convert("L").save(folder / "grey.jpg")
    colours.convert("CMYK").save(folder / "cmyk.jpg")
    colours.convert("RGBA").save(folder / "trip" / "clear.png")
    write_image(folder / "deep.png", torch.rand(3, 24, 20), bits=16)
    write_image(folder / "trip" / "deep.tif", torch.rand(3, 24, 20), bits=16)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: upright, the image is 24 wide
    colours.save(folder / "turned.jpg", exif=exif)
    (folder / "cut.jpg").write_bytes((folder / "grey.jpg").read_bytes()[:300])
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no image")


def test_a_folder_of_mixed_photographs_goes_through_one_command(photos, capsys):
    mixed(photos.parent / "mixed")
    before = {p: p.read_bytes() for p in (photos.parent / "mixed").rglob("*") if p.is_file()}
    assert run("mixed", "-o", "out") == 1
    said = capsys.readouterr().err
    for reason in (
        "mixed/cmyk.jpg: the colours are CMYK",
        "mixed/cut.jpg: the image cannot be read; is it damaged or cut off?",
        "mixed/empty.png: the file is empty",
        "3 of 9 images could not be restored",
    ):
        assert reason in said
    modes = {}
    for path in (photos.parent / "out").rglob("*.png"):
        with Image.open(path) as image:
            modes[path.relative_to(photos.parent / "out").as_posix()] = (image.mode, image.size)
    deep = read_image(photos.parent / "out" / "deep_x1.png")
    assert deep.bits == 16 and read_image(photos.parent / "out/trip/deep_x1.png").bits == 16
    assert modes == {
        "colours_x1.png": ("RGB", (20, 24)),
        "grey_x1.png": ("L", (20, 24)),
        "turned_x1.png": ("RGB", (24, 20)),
        "deep_x1.png": ("RGB", (20, 24)),
        "trip/deep_x1.png": ("RGB", (20, 24)),
        "trip/clear_x1.png": ("RGBA", (20, 24)),
    }
    after = {p: p.read_bytes() for p in (photos.parent / "mixed").rglob("*") if p.is_file()}
    assert after == before
    assert run("mixed", "-o", "out") == 1
    said = capsys.readouterr()
    assert said.out.count("restored already") == 6 and "3 of 9 images" in said.err
