"""The runner of comparisons on two tiny images: rows, resuming, refusals, and the page made from them."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import pnp
from pnp.comparing.page import write_page
from pnp.comparing.reader import COMPARISONS, read_comparison
from pnp.comparing.rows import Results
from pnp.errors import PipelineError, PnpError
from pnp.images import read_image, write_image
from pnp.kernel_files import read_kernels
from pnp.metrics import psnr
from pnp.protocols import degrade

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

TINY = """
about: Two tiny images
data: {folder: images, every: 2}
kernels:
  file: kernels.npy
  groups: {wide: [1], narrow: [2]}
scales: [1, 2]
sigmas: [0, 2%]
protocol: usrnet
metrics: [psnr, psnr_y, kernel_error]
methods:
  bicubic: {pipeline: pipelines/bicubic.yaml}
  D alone: {pipeline: pipelines/d-alone.yaml, given: [k, sigma]}
  tv: {pipeline: hqs-tv, set: {repeat: 2}, given: [k, sigma]}
  learned: {pipeline: usrnet-tiny, weights: not-there.pth, given: [k, sigma]}
"""
MEASURED = ("bicubic", "D alone", "tv")


@pytest.fixture
def folder(tmp_path):
    """A folder of benchmarks with three images, of which every second is compared on, and two kernels."""
    generator = torch.Generator().manual_seed(0)
    (tmp_path / "images").mkdir()
    for name in "abc":
        write_image(
            tmp_path / "images" / f"{name}.png", torch.rand(1, 3, 24, 33, generator=generator)
        )
    np.save(
        tmp_path / "kernels.npy", torch.rand(2, 5, 5, generator=generator).softmax(-1).numpy() / 5
    )
    shutil.copytree(BENCHMARKS / "pipelines", tmp_path / "pipelines")
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def run(folder, **options):
    options.setdefault("device", "cpu")
    compared = pnp.compare(folder / "tiny.yaml", out=folder / "results" / "tiny", **options)
    assert not compared.failures
    return compared.without_weights, compared.results


def rows_of(folder):
    with (folder / "results" / "tiny" / "rows.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def without_times(rows):
    return sorted(
        tuple(value for name, value in row.items() if name not in ("seconds", "peak_mb"))
        for row in rows
    )


def test_a_row_for_each_method_and_observation(folder):
    missing, results = run(folder)
    assert missing == ["learned"]
    rows = rows_of(folder)
    assert len(rows) == len(results.rows) == len(MEASURED) * 2 * 2 * 2 * 2
    assert {row["image"] for row in rows} == {"a", "c"}
    assert {row["method"]: row["given"] for row in rows} == {
        "bicubic": "",
        "D alone": "k sigma",
        "tv": "k sigma",
    }


def test_a_kernel_that_was_given_is_no_estimate(folder):
    run(folder, only=["tv"])
    assert {row["kernel_error"] for row in rows_of(folder)} == {""}


@pytest.mark.parametrize("name", ["dan-setting1", "div2krk"])
def test_results_lie_where_the_protocol_has_the_pixels_and_borders_are_unknown(name, tmp_path):
    """Bicubic downsampling takes the middles of blocks.  A method that does not receive the kernel
    cannot know this, so its result is moved there; one that does receives the shift with it."""
    (tmp_path / "wide.yaml").write_text(
        "about: Wide\ndata: {folder: scikit-image, first: 1, crop: 144}\nscales: [4]\nsigmas: [0]\n"
        f"protocol: {name}\nkernels: {{groups: {{wide: ['gaussian:2.6']}}}}\n"
        "methods:\n  bicubic: {pipeline: bicubic}\n  blind: {pipeline: blind-classical}\n"
        "  told: {pipeline: hqs-tv, given: [k, sigma], set: {repeat: 20}}\n"
    )
    compared = pnp.compare(tmp_path / "wide.yaml", out=tmp_path / "out", device="cpu", keep=0)
    rows = {row["method"]: row for row in compared.results.rows.values()}
    for row in rows.values():
        assert abs(float(row["psnr"]) - float(row["psnr_registered"])) < 0.1, row
    blind = rows["blind"]
    assert float(blind["kernel_error"]) < 1.1 * float(blind["kernel_error_registered"]) + 1e-7
    assert float(blind["psnr_lr"]) > 40
    assert float(rows["told"]["psnr"]) > float(rows["bicubic"]["psnr"]) + 0.2  # no ringing borders


def test_psnr_in_the_csv_equals_a_direct_computation(folder):
    run(folder, only=["tv"])
    kernels = read_kernels(folder / "kernels.npy")
    pipeline = pnp.load("hqs-tv", repeat=2)
    for row in rows_of(folder):
        s, sigma, k = int(row["scale"]), float(row["sigma"]), kernels[int(row["kernel"]) - 1]
        y, truth = degrade(
            read_image(folder / "images" / f"{row['image']}.png").pixels, k, s, sigma, "usrnet"
        )
        assert truth.shape[-2:] == (24, 32)
        x = pipeline(y=y, s=s, k=k, sigma=sigma).x
        assert float(row["psnr"]) == pytest.approx(float(psnr(x, truth, s * s)), abs=1e-4)


def test_an_interrupted_comparison_goes_on(folder):
    run(folder)
    whole = rows_of(folder)
    path = folder / "results" / "tiny" / "rows.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:8]) + lines[8][:-5])  # stopped while it wrote a row
    kept = rows_of(folder)[:7]
    run(folder)
    assert rows_of(folder)[:7] == kept
    assert without_times(rows_of(folder)) == without_times(whole)


def test_what_is_measured_is_not_measured_again(folder):
    run(folder, limit=1)
    first = (folder / "results" / "tiny" / "rows.csv").read_text()
    run(folder, limit=1)
    assert (folder / "results" / "tiny" / "rows.csv").read_text() == first
    run(folder)
    assert (folder / "results" / "tiny" / "rows.csv").read_text().startswith(first)


def test_rows_of_another_comparison_are_taken_where_they_are_of_the_same(folder):
    run(folder, only=["D alone", "tv"])
    first = folder / "results" / "tiny"
    rows = [row | {"psnr": "77.0000"} for row in rows_of(folder)]
    with (first / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "other.yaml").write_text(
        TINY.replace("  tv: {", "  renamed: {").replace(
            "D alone: {", "D alone: {set: {modules.D: {solver: cg-image}}, "
        )
    )
    compared = pnp.compare(
        folder / "other.yaml", out=folder / "results" / "other", device="cpu", reuse=[first]
    )
    values = {m: {row["psnr"] for row in compared.results.of(m)} for m in compared.results.methods}
    assert values["renamed"] == {"77.0000"}
    assert "77.0000" not in values["D alone"] | values["bicubic"]
    assert len(compared.results.of("renamed")) == len(compared.results.of("bicubic"))


def test_a_folder_without_rows_cannot_be_reused(folder):
    with pytest.raises(PnpError, match=r"--reuse .*images: there are no rows"):
        run(folder, reuse=[folder / "images"])


def test_rows_of_other_options_are_never_mixed(folder, capsys):
    run(folder, limit=1)
    (folder / "tiny.yaml").write_text(TINY.replace("repeat: 2", "repeat: 3"))
    with pytest.raises(PnpError, match="rows of 'tv' have another set"):
        run(folder)
    run(folder, limit=1)
    assert "rows of 'tv' have another" in capsys.readouterr().err
    before = {row["set"] for row in rows_of(folder) if row["method"] == "tv"}
    run(folder, only=["tv"], again=True)
    after = {row["set"] for row in rows_of(folder) if row["method"] == "tv"}
    assert len(after) == 1 and after != before


def test_the_page_depends_on_the_rows_alone(folder):
    _, results = run(folder)
    page = folder / "docs" / "results.md"
    write_page(folder, page)
    first = page.read_text()
    head, *lines = results.path.read_text().splitlines(keepends=True)
    results.path.write_text(head + "".join(reversed(lines)))
    write_page(folder, page)
    assert page.read_text() == first
    assert "Not in the tables: learned (no weights yet)." in first
    assert "Border omitted, in pixels: 1 at x1, 4 at x2." in first

    wanted = [
        r
        for r in results.rows.values()
        if (r["method"], r["scale"], r["sigma"]) == ("tv", "2", "0.02")
    ]
    mean = sum(float(r["psnr"]) for r in wanted) / len(wanted)
    table = first.split("### PSNR at x2, noise 2 %")[1]
    tv = next(line for line in table.splitlines() if line.startswith("| tv |"))
    assert tv.strip("| ").split(" | ")[-1].strip("*") == f"{mean:.2f}"


def test_an_unfinished_method_is_not_in_the_tables(folder):
    run(folder, only=["bicubic"])
    run(folder, only=["tv"], limit=1)
    write_page(folder, folder / "results.md")
    text = (folder / "results.md").read_text()
    assert "tv (8 of 16 rows measured)" in text and "D alone (not measured yet)" in text
    assert "| tv |" not in text


def test_without_kernels_there_is_no_blur_and_published_figures_stand_beside_ours(folder):
    text = TINY[: TINY.index("kernels:")] + TINY[TINY.index("scales:") : TINY.index("methods:")]
    text = (
        text.replace("[1, 2]", "[1]")
        .replace("[0, 2%]", "[5/255]")
        .replace("protocol: usrnet", "protocol: denoising")
    )
    text += (
        "methods:\n  as it is: {pipeline: pipelines/observation.yaml}\npublished: {BM3D: [99.5]}\n"
    )
    (folder / "tiny.yaml").write_text(text)
    run(folder)
    for row in rows_of(folder):
        noise = np.random.RandomState(0).normal(0, 5 / 255, (24, 33, 3))
        x = (
            read_image(folder / "images" / f"{row['image']}.png")
            .pixels[0]
            .permute(1, 2, 0)
            .double()
            .numpy()
        )
        error = (np.clip(x + noise, 0, 1) * 255).round() - (x * 255).round()
        assert float(row["psnr"]) == pytest.approx(
            10 * np.log10(255**2 / (error**2).mean()), abs=0.01
        )
    write_page(folder, folder / "results.md")
    page = (folder / "results.md").read_text()
    assert "| BM3D, *published* | **99.50** |" in page and "| method | 5/255 |" in page
    assert (
        "- No blur." in page
        and "Border omitted: none." in page
        and "kernels" not in page.split("## Two tiny")[1]
    )
    for wrong in ("[1, 2]", "1"):
        (folder / "tiny.yaml").write_text(text.replace("[99.5]", wrong))
        with pytest.raises(PnpError, match="should be a list of 1 PSNR values"):
            run(folder)


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        (
            "every: 2",
            "evry: 2",
            r"tiny.yaml:3: data: there is no key 'evry'(.|\n)*did you mean 'every'",
        ),
        (
            "given: [k, sigma]}\n  tv",
            "given: [x]}\n  tv",
            r"tiny.yaml:13: D alone: given is \['x'\], but should be a list",
        ),
        (
            "  bicubic: {",
            "  bicubic: {given: [k], ",
            r"bicubic: k cannot be given(.|\n)*the pipeline .* takes y, s",
        ),
        ("folder: images", "folder: nowhere", r"there are no images in .*nowhere"),
        (
            "[psnr, psnr_y, kernel_error]",
            "[psnr_x]",
            r"there is no metric 'psnr_x'(.|\n)*did you mean 'psnr_y'",
        ),
        (
            "2%",
            "2",
            r"tiny.yaml:8: sigmas is \[0, 2\], but should be a list, each entry a noise level",
        ),
        ("[1, 2]\nsig", "2\nsig", r"tiny.yaml:7: scales is 2, but should be a list"),
        ("[1, 2]\nsig", "[a]\nsig", r"tiny.yaml:7: scales is \['a'\], but should be a list"),
        ("usrnet\n", "3\n", r"tiny.yaml:9: protocol is 3, but should be text"),
        ("usrnet\n", "usrnt\n", r"there is no protocol 'usrnt'(.|\n)*did you mean 'usrnet'"),
        ("[psnr, psnr_y, kernel_error]", "psnr", r"metrics is 'psnr', but should be a list"),
        (
            "folder: images",
            "folder: img",
            r"tiny.yaml:3: there are no images in .*img\n(.|\n)*put images",
        ),
        ("given: [k, sigma]", "given: [x]", r"D alone: given is \['x'\], but should be a list"),
        ("images, every: 2", "images, every: 0", r"data: every is 0, but should be a whole"),
        ("pipeline: hqs-tv, ", "", r"tv: the key 'pipeline' is missing"),
        ("about:", "abuot:", r"a comparison has no key 'abuot'(.|\n)*the key 'about' is missing"),
    ],
)
def test_a_wrong_description_is_refused(folder, wrong, right, message):
    (folder / "tiny.yaml").write_text(TINY.replace(wrong, right))
    with pytest.raises(PnpError, match=message):
        run(folder)


def test_everything_that_is_wrong_is_told_at_once(folder):
    text = TINY.replace("[1, 2]\nsig", "2\nsig").replace("protocol: usrnet", "protocol: 3")
    text = text.replace("[psnr, psnr_y, kernel_error]", "psnr")
    (folder / "tiny.yaml").write_text(text)
    with pytest.raises(PipelineError) as caught:
        read_comparison(folder / "tiny.yaml")
    assert [p.origin.line for p in caught.value.problems] == [7, 9, 10]


def test_a_comparison_extends_another_and_finds_files_beside_the_one_that_names_them(folder):
    (folder / "more").mkdir()
    (folder / "more" / "short.yaml").write_text(
        "extends: ../tiny.yaml\nabout: Shorter\ndata: {every: 1}\n"
        "methods: {tv: {set: {repeat: 1}}, learned: null}\n"
    )
    comparison = read_comparison(folder / "more" / "short.yaml", ["scales.1=3"])
    assert comparison.about == "Shorter" and comparison.scales == [1, 3]
    assert list(comparison.methods) == list(MEASURED) and len(comparison.images()) == 3
    assert comparison.methods["tv"].spec().iterations == 1
    assert comparison.methods["tv"].given == ("k", "sigma")
    assert comparison.methods["bicubic"].spec().name == "bicubic"


def test_a_plugin_brings_comparisons(folder, tmp_path, monkeypatch):
    info = tmp_path / "more-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pnp.comparisons]\nmore = more_comparisons\n")
    shutil.copytree(folder, tmp_path / "more_comparisons", ignore=lambda *_: ["more_comparisons"])
    (tmp_path / "more_comparisons" / "__init__.py").touch()
    own = set(COMPARISONS.names())
    monkeypatch.syspath_prepend(tmp_path)
    assert set(COMPARISONS.names()) - own == {"tiny"}
    assert read_comparison("tiny").methods["tv"].spec().iterations == 2


def test_the_comparisons_of_the_project_can_be_read():
    for path in BENCHMARKS.glob("*.yaml"):
        for method in read_comparison(path).methods.values():
            method.spec()


def test_errors_of_kernels_keep_their_digits_in_the_rows(folder):
    """They are of order 1e-5, and four decimals would leave zero."""
    comparison = read_comparison(folder / "tiny.yaml")
    results = Results(folder / "results")
    case = next(iter(comparison.cases()))
    results.add("bicubic", case, {"psnr": 30.0, "kernel_error": 1.23456e-5}, {})
    assert "1.23456e-05" in {value for row in results.rows.values() for value in row.values()}


def test_the_page_of_results_is_the_one_that_the_rows_give(tmp_path):
    """docs/results.md is generated; only the depth of its links depends on where it is."""
    page = BENCHMARKS.parent / "docs" / "results.md"
    write_page(BENCHMARKS, tmp_path / "results.md")
    links = re.compile(r"\]\([^)]*\)")
    made, kept = (links.sub("]", p.read_text()) for p in (tmp_path / "results.md", page))
    assert made == kept, "run: python benchmarks/results_page.py"
