"""The rows and pictures of a comparison: what they are of, what makes them stale, what is kept."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pnp
from pnp.cli import main
from pnp.comparing.observing import Observer
from pnp.comparing.pictures import file_name
from pnp.comparing.reader import read_comparison
from pnp.comparing.rows import ADDED, COLUMNS, Results
from pnp.errors import PnpError
from pnp.images import read_image, write_image

TINY = """
about: Tiny images
data: {folder: images}
kernels: {file: kernels.npy, groups: {all: [1]}}
scales: [2]
sigmas: [0]
protocol: usrnet
methods: {bicubic: {pipeline: bicubic}}
"""


def picture(path, seed):
    write_image(path, torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(seed)))


def kernels(path, seed):
    k = torch.rand(1, 5, 5, generator=torch.Generator().manual_seed(seed))
    np.save(path, (k / k.sum()).numpy())


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder of a comparison on one image."""
    (tmp_path / "images").mkdir()
    picture(tmp_path / "images" / "a.png", 0)
    kernels(tmp_path / "kernels.npy", 0)
    (tmp_path / "tiny.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(text=None, out="out", **options):
    if text is not None:
        Path("tiny.yaml").write_text(text, encoding="utf-8")
    return pnp.compare("tiny.yaml", out=out, device="cpu", **options)


def rows_of(path="out/rows.csv"):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows, columns=COLUMNS):
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


EARLIER = (
    "run,method,scale,sigma,kernel,image,psnr,psnr_y,seconds\n"
    "1,bicubic,2,0,1,a,30,31,0.1\n1,other,2,0,1,a,32,33,0.1\n",
    "run,method,pipeline,set\n1,bicubic,bicubic,\n",
)


def test_rows_of_earlier_versions_move_to_the_folder_when_a_method_is_dropped(here):
    for name, text in zip(("out.csv", "out.runs.csv"), EARLIER, strict=True):
        Path(name).write_text(text)
    results = Results("out")
    assert results.methods == ["bicubic", "other"]
    results.drop("bicubic")
    assert [(r["method"], r["psnr"]) for r in rows_of()] == [("other", "32")]
    assert not Path("out.csv").exists() and not Path("out.runs.csv").exists()


@pytest.mark.parametrize(
    "files",
    [
        {"out.csv": EARLIER[0]},
        {"out.csv": "day,sales\n1,2\n", "out.runs.csv": EARLIER[1]},
        {"out.csv": EARLIER[0], "out.runs.csv": "run,km\n1,5\n"},
    ],
)
def test_other_files_beside_the_folder_are_neither_read_nor_deleted(here, files):
    for name, text in files.items():
        Path(name).write_text(text)
    run()
    run(TINY.replace("usrnet", "exact"), again=True)
    assert {row["protocol"] for row in rows_of()} == {"exact"}
    assert {name: Path(name).read_text() for name in files} == files


def test_images_that_differ_in_their_ending_alone_have_rows_of_their_own(here):
    picture("images/a.bmp", 1)
    picture("images/b.png", 2)
    run()
    values = {row["image"]: row["psnr"] for row in rows_of()}
    assert list(values) == ["a.bmp", "a.png", "b"] and len({*values.values()}) == 3
    assert len([*Path("out/pictures").glob("a.*")]) == 2
    before = rows_of()
    run(limit=1)
    assert rows_of() == before


def test_the_name_of_an_image_does_not_depend_on_which_are_measured(here):
    picture("images/a.tif", 1)
    (case,) = read_comparison("tiny.yaml", overrides={"data.first": 1}).cases()
    assert case.name == "a.png"


CHANGES = {
    "crop": lambda: Path("tiny.yaml").write_text(TINY.replace("images}", "images, crop: 24}")),
    "kernels_sha256": lambda: kernels("kernels.npy", 1),
    "image_sha256": lambda: picture("images/a.png", 1),
}


@pytest.mark.parametrize("column", CHANGES)
def test_rows_of_another_observation_are_stale_and_not_reused(here, capsys, column):
    (first,) = run().results.rows.values()
    CHANGES[column]()
    run()
    assert f"rows of 'bicubic' have another {column}" in capsys.readouterr().err
    picture("images/b.png", 2)
    with pytest.raises(PnpError, match=f"another {column}"):
        run()
    other = run(out="other", reuse=["out"], limit=1).results
    (new,) = other.rows.values()
    assert new["psnr"] != first["psnr"]
    run(again=True)
    assert [row["psnr"] for row in rows_of() if row["image"] == "a"] == [new["psnr"]]


def test_rows_that_lack_later_columns_are_as_good_as_new_ones(here, capsys):
    """They are neither stale nor measured again, and a row that is added brings the columns."""
    run()
    before = [row | {"psnr": "77.0000"} for row in rows_of()]
    write_rows("out/rows.csv", before, [c for c in COLUMNS if c not in ADDED])
    old = Path("out/rows.csv").read_text()
    run()
    assert Path("out/rows.csv").read_text() == old and "another" not in capsys.readouterr().err
    assert run(out="other", reuse=["out"]).results.of("bicubic")[0]["psnr"] == "77.0000"
    assert {rows_of("other/rows.csv")[0][name] for name in ADDED} == {""}
    picture("images/b.png", 2)
    run()
    first, second = rows_of()
    assert [*first] == [*COLUMNS] and first == before[0] | dict.fromkeys(ADDED, "")
    assert (second["crop"], second["modules"]) == ("none", "none") and second["kernels_sha256"]


def test_weights_that_change_places_make_another_method(here):
    for name in ("one", "two"):
        Path(f"{name}.safetensors").write_text(name)
    found = []
    for p, f in (("one", "two"), ("two", "one")):
        method = (
            "{pipeline: ikrnet-small, set: "
            f"{{modules.P.weights: {p}.safetensors, modules.F.weights: {f}.safetensors}}}}"
        )
        Path("tiny.yaml").write_text(TINY.replace("{pipeline: bicubic}", method))
        found.append(read_comparison("tiny.yaml").methods["bicubic"].identity())
    assert found[0]["sha256"] == found[1]["sha256"]
    assert sorted(found[0]["modules"].split()) != sorted(found[1]["modules"].split())


def test_an_image_that_was_replaced_is_read_again(here):
    seen = []
    for seed in (0, 1):
        picture("images/a.png", seed)
        comparison = read_comparison("tiny.yaml")
        seen.append(Observer(comparison)(next(comparison.cases())).truth)
    assert not torch.equal(*seen)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_an_image_whose_name_is_not_utf8_fails_alone(here, capsys):
    os.rename(b"images/a.png", b"images/caf\xe9.png")
    picture("images/b.png", 1)
    assert main(["compare", "tiny.yaml", "-o", "out", "--device", "cpu"]) == 1
    assert [row["image"] for row in rows_of()] == ["b"]
    said = capsys.readouterr().err
    assert r"caf\xe9.png: its name is not UTF-8" in "".join(said.split("\n"))
    assert "1 result could not be measured" in said


def test_the_folder_of_rows_may_be_the_present_one(here, monkeypatch, capsys):
    Path("within").mkdir()
    monkeypatch.chdir("within")
    assert main(["compare", "../tiny.yaml", "-o", ".", "--device", "cpu"]) == 0
    for form in ("html", "markdown"):
        assert main(["report", ".", "--format", form]) == 0
    write_rows("rows.csv", [row | {"psnr": "77.0000"} for row in rows_of("rows.csv")])
    pnp.compare("../tiny.yaml", out="../other", device="cpu", reuse=["."])
    assert rows_of("../other/rows.csv")[0]["psnr"] == "77.0000"


NAMES = ["фото", "кот", "tv, σ", "tv σ", "tv", "truth", "observation", "kernel", "case", "基準", ""]
FIXED = {"truth", "observation", "kernel", "case", ""}


def test_each_text_has_a_file_name_of_its_own():
    found = [file_name(text) for text in NAMES]
    assert len({*found}) == len(found) and not FIXED & {*found}
    assert all(name.isascii() and not {*name} & {*"/\\ ,"} for name in found)
    assert file_name("usrnet-small+tv") == "usrnet-small+tv"


def test_pictures_of_any_method_and_image_are_kept_and_shown(here):
    Path("images/a.png").rename("images/фото.png")
    picture("images/кот.png", 1)
    methods = ", ".join(f'"{m}": {{pipeline: bicubic}}' for m in NAMES if m)
    compared = run(TINY.replace("bicubic: {pipeline: bicubic}", methods))
    assert not compared.failures and len(compared.results.rows) == 2 * (len(NAMES) - 1)
    for folder in Path("out/pictures").glob("*/"):
        assert len([*folder.glob("*.png")]) == 2 + len(NAMES) - 1
    assert len([*Path("out/pictures").glob("*/")]) == 2
    text = Path(pnp.report("out")).read_text(encoding="utf-8")
    assert "фото, x2, kernel 1" in text and "кот, x2, kernel 1" in text


def test_a_picture_that_cannot_be_written_does_not_cost_the_row(here, capsys):
    Path("out").mkdir()
    Path("out/pictures").write_text("no folder")
    (failure,) = run().failures  # so that the command does not exit with 0
    assert "no picture: " in failure and failure in capsys.readouterr().err
    assert len(rows_of()) == 1


def test_pictures_are_of_the_rows_that_are_there(here):
    two = TINY.replace("methods: {", "methods: {second: {pipeline: bicubic}, ")
    run(two)
    (folder,) = Path("out/pictures").glob("*/")
    assert read_image(folder / "truth.png").pixels.shape[-2:] == (32, 40)
    run(two.replace("images}", "images, crop: 24}"), only=["bicubic"], again=True, keep=0)
    assert not [*folder.glob("bicubic*")] and [*folder.glob("second*")]
    run(two.replace("images}", "images, crop: 16}"), again=True)
    for name in ("truth", "bicubic", "second"):
        assert read_image(folder / f"{name}.png").pixels.shape[-2:] == (16, 16)
