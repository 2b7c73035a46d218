"""`pnp compare` as users call it: made from words, killed and resumed, shared, and on bad input."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

import pnp
from pnp.cli import main
from pnp.comparing.reader import read_comparison
from pnp.comparing.reproduction import command_of
from pnp.comparing.rows import Results
from pnp.images import write_image

BICUBIC = Path(__file__).parent.parent / "benchmarks" / "pipelines" / "bicubic.yaml"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with four small images and a pipeline of its own."""
    generator = torch.Generator().manual_seed(0)
    (tmp_path / "photos").mkdir()
    for name in "abcd":
        pixels = torch.rand(1, 3, 48, 64, generator=generator)
        write_image(tmp_path / "photos" / f"{name}.png", pixels)
    shutil.copy(BICUBIC, tmp_path / "my.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_in(folder):
    found = []
    for path in sorted(Path(folder).glob("rows*.csv")):
        with path.open(newline="") as file:
            found += list(csv.DictReader(file))
    return found


def compare(*words, status=0):
    assert main(["compare", *words, "--device", "cpu"]) == status


WORDS = (
    "hqs-tv",
    "my.yaml",
    "--data",
    "photos",
    "--scale",
    "2",
    "--kernel",
    "gaussian:1",
    "--sigma",
    "1%",
)


def test_pipelines_on_a_folder_make_a_comparison_that_can_be_run_again(here, capsys):
    compare(*WORDS, "--limit", "2")
    made = here / "comparisons" / "hqs-tv-my" / "comparison.yaml"
    said = capsys.readouterr().out
    assert str(made.relative_to(here)) in said and "pnp report comparisons/hqs-tv-my" in said
    first = rows_in(made.parent)
    assert {r["method"] for r in first} == {"hqs-tv", "my"} and len(first) == 4
    assert {r["given"] for r in first} == {"k", ""}  # what a pipeline cannot do without
    comparison = read_comparison(made)
    assert comparison.scales == [2] and comparison.sigmas == [0.01]
    os.chdir(here / "photos")  # paths in the file do not depend on the current folder
    compare(str(made), "-o", str(made.parent))
    assert len(rows_in(made.parent)) == 8 and rows_in(made.parent)[:4] == first


def test_every_column_that_can_be_measured_is(here):
    compare("blind-classical", *WORDS[1:], "--limit", "1", "--keep", "1")
    blind = rows_in("comparisons/blind-classical-my")[0]
    assert {n for n, v in blind.items() if v == ""} <= {
        *("ssim", "verdict", "set", "given", "weights", "sha256", "kernels", "commit", "peak_mb")
    }
    pictures = here / "comparisons" / "blind-classical-my" / "pictures"
    names = {p.name for p in pictures.glob("*/*")}
    assert {
        "truth.png",
        "observation.png",
        "kernel.npy",
        "my.png",
        "blind-classical_kernel.npy",
    } <= names


def test_a_comparison_that_was_killed_goes_on(here):
    """kill -9 in the middle of a method: rows that are there stay, and none is half-written."""
    (here / "mine.py").write_text(
        textwrap.dedent("""
        import os, signal
        from pathlib import Path

        def restore(y, s):
            calls = Path("calls")
            calls.write_text(calls.read_text() + "." if calls.exists() else ".")
            if len(calls.read_text()) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return y.repeat_interleave(s, -1).repeat_interleave(s, -2)
        """)
    )
    (here / "killed.yaml").write_text(
        "about: Killed\ndata: {folder: photos}\nscales: [2]\nsigmas: [0]\n"
        "methods: {mine: {call: mine.py:restore}}\n"
    )
    command = [
        sys.executable,
        "-m",
        "pnp",
        "compare",
        "killed.yaml",
        "--device",
        "cpu",
        "--keep",
        "0",
    ]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    kept = rows_in("comparisons/killed")
    assert [r["image"] for r in kept] == ["a", "b"]
    compare("killed.yaml", "--keep", "0")
    assert rows_in("comparisons/killed")[:2] == kept
    assert [r["image"] for r in rows_in("comparisons/killed")] == ["a", "b", "c", "d"]


def test_processes_of_torchrun_share_the_observations(here, monkeypatch):
    for rank in ("0", "1", "2"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "3")
        if rank == "0":
            compare("my.yaml", *WORDS[2:], "--out", "shared")
        else:
            pnp.compare("shared/comparison.yaml", out="shared", device="cpu")
    rows = rows_in("shared")
    assert sorted(r["image"] for r in rows) == ["a", "b", "c", "d"]
    assert {p.name for p in Path("shared").glob("rows*")} == {
        "rows.csv",
        "rows.1.csv",
        "rows.2.csv",
    }
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    compare("shared/comparison.yaml", "--out", "shared")
    assert rows_in("shared") == rows  # one process finds the rows of all


def test_processes_of_torchrun_wait_for_each_other_if_one_could_not_measure_all(here):
    (here / "photos" / "a.png").write_bytes(b"no image")
    (here / "photos" / "b.png").write_bytes(b"no image")
    words = "-m torch.distributed.run --standalone --nproc-per-node 2 -m pnp compare hqs-tv my.yaml"
    done = subprocess.run(
        [sys.executable, *words.split(), *WORDS[2:], "--out", "both", "--device", "cpu"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 1 and "2 results could not be measured" in done.stderr
    assert sorted((r["image"], r["method"]) for r in rows_in("both")) == [
        (image, method) for image in "cd" for method in ("hqs-tv", "my")
    ]
    assert "(2 rows)" in done.stdout and "rows.csv (4)" in done.stdout


def test_an_unreadable_image_is_reported_and_the_others_are_measured(here, capsys):
    (here / "photos" / "bb.png").write_bytes(b"no image")
    compare("my.yaml", *WORDS[2:], status=1)
    said = capsys.readouterr().err
    assert "bb.png" in said and "1 result could not be measured" in said
    assert [r["image"] for r in rows_in("comparisons/my")] == ["a", "b", "c", "d"]


def test_an_external_result_of_another_size_is_reported_and_the_others_are_measured(here, capsys):
    (here / "theirs").mkdir()
    for name, size in (("a", (48, 64)), ("b", (48, 60)), ("d", (48, 64))):
        write_image(here / "theirs" / f"{name}_x2.png", torch.rand(1, 3, *size))
    (here / "theirs.yaml").write_text(
        "about: Theirs\ndata: {folder: photos}\nscales: [2]\nsigmas: [0]\n"
        'methods: {theirs: {external: theirs, pattern: "{image}_x{scale}.png"}}\n'
    )
    compare("theirs.yaml", status=1)
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "theirs, b.png at x2: the result is 48 x 60 pixels, but the ground truth is 48 x 64" in said
    )
    assert "c_x2.png" in said and "2 results could not be measured" in said
    assert [r["image"] for r in rows_in("comparisons/theirs")] == ["a", "d"]
    assert {r["seconds"] for r in rows_in("comparisons/theirs")} == {""}


def test_a_full_disk_leaves_whole_rows(here, capsys):
    resource = pytest.importorskip("resource")
    compare("my.yaml", *WORDS[2:], "--limit", "1", "--keep", "0")
    path = here / "comparisons" / "my" / "rows.csv"
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    comparison = read_comparison(path.with_name("comparison.yaml"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        with pytest.raises(pnp.PnpError) as caught:
            pnp.compare(comparison, out=path.parent, device="cpu", keep=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "rows.csv: the row cannot be written" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("my.yaml",), "name a folder of images with --data"),
        (("my.yaml", "--data", "empty"), "there are no images in"),
        (("my.yaml", "--data", "nowhere"), "there are no images in"),
        (("my.yaml", "--data", "photos", "--sigma", "15"), "write 15/255 or 15% if that is meant"),
        (("my.yaml", "--data", "photos", "--kernel", "gausian:1"), "gausian:1"),
        (("my.yaml", "--data", "photos", "--protocol", "usrnt"), "did you mean 'usrnet'?"),
        (("hqs-tw", "--data", "photos"), "there is no pipeline called 'hqs-tw'"),
        (("my.yaml", "--small", "--data", "photos"), "--small and --base are for comparisons"),
        (("my.yaml", "--data", "photos", "--every", "0"), "every is 0"),
        (("my.yaml", "--data", "photos", "--keep", "-1"), "keep is -1, but should be"),
        (("my.yaml", "--data", "photos", "--limit", "-1"), "limit is -1, but should be"),
        (("table-1", "--data", "photos", "--set", "kernels.file=none.npy"), "with --kernels"),
        (("table-1", "my.yaml", "--data", "photos"), "table-1 is a comparison; run it alone"),
    ],
)
def test_bad_words_are_one_message(here, capsys, words, message):
    (here / "empty").mkdir()
    compare(*words, status=1)
    said = capsys.readouterr().err
    assert message in " ".join(said.split()) and "Traceback" not in said and "bug" not in said
    assert not list(here.glob("comparisons/*/rows*"))


def test_all_problems_of_a_file_are_told_at_once(here, capsys):
    (here / "wrong.yaml").write_text(
        "about: Wrong\ndata: {folder: photos}\nscales: 2\nsigmas: [0]\nmetrics: psnr\n"
        "kernels: {groups: {all: [1]}}\nbaseline: tv\nreference: 3\n"
        "methods:\n  tv: {pipeline: hqs-tv, external: photos}\n  none: {given: [k]}\n"
    )
    compare("wrong.yaml", status=1)
    said = capsys.readouterr().err
    for line in (3, 5, 6, 8, 10, 11):
        assert f"wrong.yaml:{line}: " in said


def test_the_problems_of_all_methods_and_kernels_are_told_at_once(here, capsys):
    text = (
        "about: Wrong\ndata: {folder: photos}\nscales: [2]\nsigmas: [0]\n"
        "kernels: {groups: {all: [gaussian:1]}}\nmethods:\n"
        "  one: {pipeline: hqs-tw}\n  two: {pipeline: hqs-tv, set: {repeet: 3}}\n"
        "  three: {external: nowhere}\n  four: {pipeline: hqs-tv, given: [k, sigma]}\n"
        "  five: {pipeline: my.yaml, given: [k]}\n  six: {call: none.py:f}\n"
    )
    for kernel, more in (("gaussian:1", []), ("gaussan:1", [5])):
        lines = [*more, 7, 8, 9, 11, 12]
        (here / "wrong.yaml").write_text(text.replace("gaussian:1", kernel))
        compare("wrong.yaml", status=1)
        said = capsys.readouterr().err
        assert all(f"wrong.yaml:{line}: " in said for line in lines), said
        assert not (here / "comparisons").exists()
    (here / "wrong.yaml").write_text(text)
    compare("wrong.yaml", "--only", "four")


@pytest.mark.parametrize("method", ["call: f.py:f", "external: photos, pattern: '{image}.png'"])
def test_methods_from_elsewhere_are_not_stale_at_once(here, capsys, method):
    (here / "f.py").write_text("def f(y, s):\n    return y\n")
    (here / "mine.yaml").write_text(
        "about: Mine\ndata: {folder: photos}\nscales: [1]\nsigmas: [2%]\n"
        f"methods: {{a: {{{method}}}, b: {{pipeline: my.yaml}}}}\n"
    )
    compare("mine.yaml", "--limit", "2")
    assert main(["report", "comparisons/mine", "--format", "markdown"]) == 0
    assert "stale" not in "".join(capsys.readouterr())
    compare("comparisons/mine/comparison.yaml", "--out", "comparisons/mine")
    assert len(rows_in("comparisons/mine")) == 8


def test_the_command_of_a_report_measures_the_same_rows(here):
    compare(*WORDS, "--out", "first", "--only", "my", "--limit", "2")
    for options in (" --limit 2 --only my", ""):
        comparison = read_comparison("first/comparison.yaml")
        command = command_of(comparison, Path("first"), Results("first"))
        assert command == "pnp compare first/comparison.yaml -o first" + options
        compare("first/comparison.yaml", "--out", "first")


def test_a_function_takes_part_and_its_failure_is_one_message(here, capsys):
    (here / "mine.py").write_text(
        "import torch\n"
        "def nearest(y, s, sigma):\n"
        "    if y.mean() > 0.6: raise ValueError('too bright')\n"
        "    x = y.repeat_interleave(s, -1).repeat_interleave(s, -2)\n"
        "    return {'x': x, 'k': torch.ones(1, 1, 1, 1), 'sigma': sigma / 2}\n"
    )
    write_image(here / "photos" / "bright.png", torch.ones(1, 3, 48, 64))
    (here / "mine.yaml").write_text(
        "about: Mine\ndata: {folder: photos}\nscales: [2]\nsigmas: [2%]\n"
        "methods: {mine: {call: mine.py:nearest, given: [sigma]}}\n"
    )
    compare("mine.yaml", status=1)
    assert "its function failed: ValueError: too bright" in " ".join(
        capsys.readouterr().err.split()
    )
    rows = rows_in("comparisons/mine")
    assert {r["sigma_estimated"] for r in rows} == {"0.01"} and len(rows) == 4
    assert {float(r["kernel_error"]) for r in rows} == {0.0}
    (here / "mine.yaml").write_text(
        (here / "mine.yaml").read_text().replace("mine.py:nearest", "mine.py:nearst")
    )
    compare("mine.yaml", "--out", "again", status=1)
    assert "there is no function 'nearst'" in " ".join(capsys.readouterr().err.split())


def test_the_kernels_of_a_file(here):
    np.save("three.npy", np.ones((3, 3, 3)) / 9)
    compare("my.yaml", "--data", "photos", "--every", "2", "--scale", "2", "--kernels", "three.npy")
    rows = rows_in("comparisons/my")
    assert {(r["image"], r["kernel"]) for r in rows} == {(i, k) for i in "ac" for k in "123"}


def test_files_that_are_read_are_not_replaced(here, capsys):
    compare("my.yaml", *WORDS[2:], "--limit", "1", "--keep", "1")
    folder = Path("comparisons/my")
    kept = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for name in (
        "rows.csv",
        "comparison.yaml",
        next(folder.rglob("truth.png")).relative_to(folder),
    ):
        words = ["report", str(folder), "--format", "markdown", "-o", str(folder / name)]
        assert main(words) == 1
        assert "would overwrite the file of the comparison; choose another name with --out" in (
            capsys.readouterr().err
        )
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == kept
    assert main(["report", str(folder)]) == 0 and main(["report", str(folder)]) == 0
    mine = here / "mine" / "comparison.yaml"
    mine.parent.mkdir()
    lines = (folder / "comparison.yaml").read_text().splitlines()[1:]
    mine.write_text("\n".join([*lines, "# my notes"]))
    before = mine.read_bytes()
    compare(str(mine), "-o", str(mine.parent), "--limit", "1", status=1)
    assert "would overwrite this file, which pnp compare did not write" in capsys.readouterr().err
    assert mine.read_bytes() == before and not list(mine.parent.glob("rows*"))
