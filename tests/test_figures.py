"""The figures of the paper, drawn with our results on a corner of one photograph."""

import shutil

import pytest
from PIL import Image

import pnp
from pnp.cli import main
from pnp.comparing.rows import COLUMNS

TINY = ["--small", "--device", "cpu", "--set", "data.crop=72"]
FEW = ["--set", "kernels.groups={gaussian: ['gaussian:1.2']}"]


@pytest.mark.parametrize(
    ("number", "methods"), [(7, 5), pytest.param(12, 4, marks=pytest.mark.long)]
)
def test_results_side_by_side(tmp_path, monkeypatch, number, methods):
    monkeypatch.chdir(tmp_path)
    base = ["--base", "blind-classical", "--set", "stages.0.repeat=1", "--set", "stages.1.repeat=5"]
    words = base if number == 7 else []
    assert main(["figure", str(number), *TINY, *FEW, *words]) == 0
    with Image.open(tmp_path / "figures" / f"figure-{number}.png") as drawn:
        assert drawn.width / drawn.height == pytest.approx((2 + methods) * 2.5 / 2.75, rel=0.02)


def test_a_figure_is_of_what_was_asked_last(tmp_path, monkeypatch):
    """Results of other options or without pictures are measured again."""
    monkeypatch.chdir(tmp_path)
    base = ["--base", "blind-classical", "--set", "stages.0.repeat=1"]
    drawn, target = [], tmp_path / "figures" / "figure-7.png"
    for repeat in ("2", "1"):
        words = [*base, "--set", f"stages.1.repeat={repeat}"]
        assert main(["figure", "7", *TINY, *FEW, *words]) == 0
        drawn.append(target.read_bytes())
    assert drawn[0] != drawn[1]
    shutil.rmtree(target.with_suffix("") / "pictures")
    assert main(["figure", "7", *TINY, *FEW, *words]) == 0
    assert target.read_bytes() == drawn[1]


def test_the_rows_of_a_comparison_are_no_part_of_a_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [",".join(COLUMNS)]
    for image in "ab":
        row = dict.fromkeys(COLUMNS, "") | {"method": "x", "image": image}
        lines.append(",".join(row.values()))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "rows.csv").write_text("\n".join(lines) + "\n")
    assert main(["figure", "7", *TINY, *FEW, "--base", "blind-classical", "-o", "mine.png"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "mine holds a comparison of several images; choose another name with --out" in said
    assert (tmp_path / "mine" / "rows.csv").read_text().splitlines() == lines


def test_the_iterations(tmp_path):
    overrides = {"base": "blind-classical", "data.crop": 72}
    out = pnp.figure(13, out=tmp_path / "13.png", small=True, overrides=overrides, device="cpu")
    with Image.open(out) as drawn:
        assert drawn.width > drawn.height > 300


def test_other_figures_are_refused(capsys):
    assert main(["figure", "3"]) == 1
    assert "only figures 7, 8, 11, 12, 13 can be drawn" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("name", "said"), [("f8", "write f8.png"), ("a.png", "is a folder")])
def test_a_name_that_no_figure_can_have_is_refused_before_anything_is_measured(
    name, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").mkdir()
    assert main(["figure", "8", "--small", "-o", name]) == 1
    assert said in " ".join(capsys.readouterr().err.split())
    assert [*tmp_path.rglob("*")] == [tmp_path / "a.png"]
