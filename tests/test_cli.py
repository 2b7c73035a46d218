"""The command line, end to end: files written, their content, and every message."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pnp import __version__
from pnp.cli import _parser, main
from pnp.commands import catalogue
from pnp.commands.demo import demo
from pnp.files import write_json
from pnp.images import read_image

FAST = ["--set", "repeat=2", "--set", "modules.P.iterations=3"]
SMALL = [
    "--random-weights",
    "--set",
    "repeat=2",
    "--set",
    "modules.H={n: 2}",
    "--set",
    "modules.P={nc: [4, 4, 4, 4], nb: 1}",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with photographs of several kinds and a kernel."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.uniform(40, 215, (4, 6, 3)), np.ones((8, 8, 1)))
    Image.fromarray(smooth.astype(np.uint8)).save("photo.png")
    Image.fromarray(smooth[..., 0].astype(np.uint8)).save("grey.png")
    Image.fromarray((smooth[..., 0] * 257).astype(np.uint16)).save("deep.png")
    alpha = np.full((*smooth.shape[:2], 1), 100)
    Image.fromarray(np.concatenate([smooth, alpha], 2).astype(np.uint8)).save("alpha.png")
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    np.save("k.npy", kernel)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Run a command; (status, stdout, stderr)."""

    def run(*arguments):
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as e:
            status = int(e.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err and "unexpected" not in captured.err, captured.err
        return status, captured.out, captured.err

    return run


def files(folder="out"):
    return sorted(p.name for p in Path(folder).iterdir()) if Path(folder).is_dir() else []


# ---------------------------------------------------------------- run


def test_run_writes_image_kernel_and_record(run):
    status, out, err = run(
        "run",
        "hqs-tv",
        "photo.png",
        "-o",
        "out",
        "--scale",
        2,
        "-k",
        "k.npy",
        "--sigma",
        "1%",
        *FAST,
    )
    assert (status, err) == (0, "")
    assert files() == [
        "photo_x2.json",
        "photo_x2.png",
        "photo_x2_kernel.npy",
        "photo_x2_kernel.png",
    ]
    assert read_image("out/photo_x2.png").pixels.shape == (1, 3, 64, 96)
    assert np.load("out/photo_x2_kernel.npy").squeeze() == pytest.approx(np.load("k.npy"))
    record = json.loads(Path("out/photo_x2.json").read_text())
    assert (
        record["pipeline"] == "hqs-tv"
        and record["document"]["repeat"] == 2
        and record["size"] == [64, 96]
    )
    assert record["given"] == {"s": 2, "k": "k.npy", "sigma": "1%", "mask": None}
    assert record["set"] == FAST[1::2] and record["seed"] == 0
    assert record["estimates"] == {"sigma": [0.01]}
    assert (
        set(record["versions"]) >= {"pnp", "torch", "python"}
        and record["versions"]["pnp"] == __version__
    )
    assert record["seconds"]["run"] > 0 and record["quality"]["psnr_lr"] > 20
    assert sorted(p.split("/")[-1] for p in record["files"].values()) == files()
    assert out.startswith("photo.png: 96 x 64, ") and "out/photo_x2.png" in out


def test_run_without_a_scale_takes_that_of_the_pipeline(run):
    assert run("run", "usrnet-mini", "photo.png", "-o", "out", "-k", "k.npy")[0] == 0
    assert read_image("out/photo_x4.png").pixels.shape == (1, 3, 128, 192)
    record = json.loads(Path("out/photo_x4.json").read_text())
    assert record["size"] == [128, 192] and record["quality"]["psnr_lr"] > 20


@pytest.mark.parametrize(
    ("name", "mode"), [("grey.png", "L"), ("deep.png", "I;16"), ("alpha.png", "RGBA")]
)
def test_run_keeps_the_kind_of_an_image(run, name, mode):
    assert run("run", "hqs-tv", name, "-o", "out", "-k", "k.npy", *FAST)[0] == 0
    with Image.open(f"out/{name[:-4]}_x1.png") as written:
        assert written.mode == mode and written.size == (48, 32)
        if mode == "RGBA":
            assert set(np.asarray(written)[..., 3].ravel()) == {100}


def test_run_brings_grey_images_and_colour_networks_together(run):
    assert (
        run("run", "usrnet", "grey.png", "-o", "out", "-s", 2, "-k", "k.npy", "--sigma", 0, *SMALL)[
            0
        ]
        == 0
    )
    with Image.open("out/grey_x2.png") as written:
        assert written.mode == "L" and written.size == (96, 64)


def test_run_with_a_blind_pipeline_writes_what_it_estimates(run):
    small = ["--random-weights", "--set", "repeat=2", "--set", "modules.H={n: 2}"]
    small += ["--set", "modules.P={nc: [4, 4, 4, 4], nb: 1}", "--set", "modules.I={features: 4}"]
    assert run("run", "ikrnet", "photo.png", "-o", "out", "-s", 2, *small)[0] == 0
    assert np.load("out/photo_x2_kernel.npy").shape[-2:] == (21, 21)
    record = json.loads(Path("out/photo_x2.json").read_text())
    assert len(record["estimates"]["sigma"]) == 1 and record["given"]["k"] is None


def test_run_with_trace_stores_and_draws_every_iteration(run):
    more = ["--trace", "--trace-also", "z"]
    assert (
        run(
            "run",
            "hqs-tv",
            "photo.png",
            "-o",
            "out",
            "-s",
            2,
            "-k",
            "k.npy",
            "--sigma",
            "1%",
            *more,
            *FAST,
        )[0]
        == 0
    )
    assert {"photo_x2_trace.npz", "photo_x2_trace.png"} <= set(files())
    stored = np.load("out/photo_x2_trace.npz")
    assert stored["x"].shape == (3, 3, 64, 96) and stored["alpha"].shape == (3,)
    assert np.isnan(stored["z"][0]).all() and np.isfinite(stored["z"][1:]).all()
    with Image.open("out/photo_x2_trace.png") as drawn:
        assert min(drawn.size) > 200


def test_run_with_a_mask(run):
    mask = np.full((32, 48), 255, np.uint8)
    mask[5:12, 8:20] = 0
    Image.fromarray(mask).save("mask.png")
    assert (
        run(
            "run", "inpaint-tv", "photo.png", "-o", "out", "--mask", "mask.png", "--set", "repeat=2"
        )[0]
        == 0
    )
    assert "photo_x1.png" in files()


def test_run_says_what_was_gained_if_the_truth_is_known(run):
    assert (
        run("degrade", "photo.png", "-o", "lr", "-s", 2, "-k", "gaussian:1.2", "--sigma", "1%")[0]
        == 0
    )
    more = ["--reference", "lr/photo_x2_hr.png", "-k", "lr/photo_x2_kernel.npy", *FAST]
    more += ["--boundary", "periodic"]
    status, out, _ = run("run", "hqs-tv", "lr/photo_x2_lr.png", "-o", "out", "-s", 2, *more)
    assert status == 0 and re.search(r"PSNR \d+\.\d\d dB \(bicubic\) -> \d+\.\d\d dB", out)
    quality = json.loads(Path("out/photo_x2_lr_x2.json").read_text())["quality"]
    assert quality["psnr_after_registered"] >= quality["psnr_after"] - 1e-6


def test_run_goes_on_after_a_bad_image(run):
    Path("bad.png").write_text("not a picture")
    arguments = ["photo.png", "bad.png", "grey.png", "-o", "out", "-k", "k.npy", *FAST]
    status, _, err = run("run", "hqs-tv", *arguments)
    assert status == 1
    assert {"photo_x1.png", "grey_x1.png"} <= set(files()) and not [
        f for f in files() if f.startswith("bad")
    ]
    first, last = err.strip().splitlines()
    assert first.startswith("bad.png: ") and last == "1 of 3 images could not be restored"


def test_the_same_seed_gives_the_same_files(run):
    for out in ("a", "b"):
        run(
            "run",
            "usrnet",
            "photo.png",
            "-o",
            out,
            "-s",
            2,
            "-k",
            "k.npy",
            "--sigma",
            0,
            "--seed",
            3,
            *SMALL,
        )
    assert Path("a/photo_x2.png").read_bytes() == Path("b/photo_x2.png").read_bytes()


BAD_RUNS = [
    ("", 2, "the following arguments are required: IMAGE"),
    (
        "hqs-tv photo.png -o out",
        1,
        "the pipeline hqs-tv needs --kernel; it takes y, s (--scale), k (--kernel), sigma (--sigma)",
    ),
    ("hqs-tv missing.png -o out -k k.npy", 1, "missing.png"),
    ("hqs-tv photo.png -o out -k missing.npy", 1, "missing.npy"),
    ("hqs-tv photo.png -o out -k photo.txt", 1, "photo.txt"),
    ("hqs-tv photo.png -o out -k gaussian:wide", 1, "--kernel gaussian:wide: write gaussian:WIDTH"),
    (
        "hqs-tv photo.png -o out -k k.npy --sigma 15",
        1,
        "--sigma is '15', but should be a noise level on [0, 1]; write 15/255 or 15% if that is meant",
    ),
    (
        "hqs-tv photo.png -o out -k k.npy --sigma much",
        1,
        "--sigma is 'much', but should be a noise level on [0, 1]; write it as 0.02, 2% or 5/255",
    ),
    (
        "hqs-tv photo.png -o out -k k.npy --scale 2.5",
        2,
        "the scale is '2.5', but it must be a whole number from 1 to 16",
    ),
    ("hqs-tv photo.png -o out -k k.npy --scale 0", 2, "the scale is '0'"),
    ("hqs-tv photo.png -o out -k k.npy --device gpu7", 1, "--device gpu7: cannot be used here"),
    ("hqs-tv photo.png -o out -k k.npy --set repeat", 1, "--set repeat: write it as key=value"),
    ("hqs-tv photo.png -o out -k k.npy --set repaet=3", 1, "did you mean 'repeat'?"),
    (
        "hqs-tv photo.png -o out -k k.npy --mask mask.png",
        1,
        "does not use mask, so --mask cannot be given",
    ),
    (
        "hqs-tvv photo.png -o out -k k.npy",
        1,
        "there is no pipeline called 'hqs-tvv'; did you mean 'hqs-tv'?",
    ),
    ("./mine.yaml photo.png -o out", 1, "./mine.yaml: there is no such file"),
    (
        "ikrnet photo.png -o out -s 2 -k k.npy",
        1,
        "estimates the kernel itself, so --kernel cannot be given",
    ),
    ("usrnet photo.png -o out -k k.npy", 1, "but no weights are given"),
    (
        "usrnet photo.png -o out -k k.npy --set weights=none.pth",
        1,
        "none.pth: there is no such file",
    ),
    (
        "hqs-tv photo.png sub/photo.png -o out -k k.npy",
        1,
        "would both be called photo; run them separately, each with its own folder (--out)",
    ),
    (
        "hqs-tv photo.png grey.png -o out -k k.npy --reference photo.png",
        1,
        "--reference is the ground truth of one image",
    ),
    (
        "hqs-tv photo.png -o out -k k.npy -s 2 --reference photo.png --set repeat=1",
        1,
        "it is 32 x 48, but photo.png at scale 2 becomes 64 x 96",
    ),
    ("hqs-tv photo.png -o photo.png/out -k k.npy", 1, "--out photo.png/out: the folder cannot be"),
    ("hqs-tv photo.png -o result.png -k k.npy", 2, "'result.png' would be a folder"),
    ("denoise photo.png -o out -k k.npy", 1, "denoise uses no kernel, so --kernel cannot be given"),
    ("hqs-tv photo.png -o out -k big.npy --set repeat=1", 1, "kernel"),
    ("hqs-tv photo.png -o out -k nan.npy --set repeat=1", 1, "nan.npy"),
]


@pytest.mark.parametrize(
    ("command", "expected_status", "expected"), BAD_RUNS, ids=[c for c, _, _ in BAD_RUNS]
)
def test_bad_runs_say_why_and_write_nothing(run, command, expected_status, expected):
    Path("photo.txt").write_text("1 2 3")
    np.save("big.npy", np.full((65, 65), 1 / 65**2))
    np.save("nan.npy", np.full((3, 3), np.nan))
    status, out, err = run("run", *command.split())
    assert (status, out) == (expected_status, "")
    assert expected in err, err
    assert expected_status == 2 or len(err.strip().splitlines()) <= 6, err
    assert not [f for f in files() if f.startswith(("photo_", "."))]


def test_the_result_never_replaces_the_observation(run):
    before = Path("photo.png").read_bytes()
    os.rename("photo.png", "photo_x1.png")
    os.symlink("photo_x1.png", "photo.png")
    status, _, err = run("run", "hqs-tv", "photo.png", "-o", ".", "-k", "k.npy", *FAST)
    assert status == 1 and "the result would overwrite the observation" in err
    assert Path("photo_x1.png").read_bytes() == before


# ---------------------------------------------------------------- degrade


@pytest.mark.parametrize("protocol", ["exact", "usrnet", "ikrnet"])
def test_degrade_writes_a_pair_its_kernel_and_a_record(run, protocol):
    status, out, err = run(
        "degrade",
        "photo.png",
        "-o",
        "lr",
        "-s",
        2,
        "-k",
        "gaussian:2,1,30",
        "--sigma",
        "2%",
        "--protocol",
        protocol,
    )
    assert (status, err) == (0, "")
    expected = ["json", "hr.png", "kernel.npy", "kernel.png", "lr.npy", "lr.png"]
    assert files("lr") == [f"photo_x2{'.' if e == 'json' else '_'}{e}" for e in expected]
    assert read_image("lr/photo_x2_lr.png").pixels.shape == (1, 3, 16, 24)
    record = json.loads(Path("lr/photo_x2.json").read_text())
    assert record["protocol"] == protocol and record["sigma"] == 0.02 and record["scale"] == 2
    assert record["boundary"] == "periodic" and "pnp run --boundary periodic" in out
    assert np.load("lr/photo_x2_kernel.npy").sum() == pytest.approx(1, abs=1e-6)


def test_degrade_takes_folders_and_their_subfolders_but_not_its_own_results(run):
    Path("photos/more").mkdir(parents=True)
    for name in ("photos/a.png", "photos/more/b.png"):
        Path(name).write_bytes(Path("photo.png").read_bytes())
    for _ in range(2):
        assert run("degrade", "photos", "photo.png", "-o", "photos/lr", "-s", 2)[0] == 0
        assert len(files("photos/lr")) == 18
    Path("empty").mkdir()
    for words, message in {
        ("empty", "-o", "lr"): "empty: there are no images in this folder",
        ("photos", "-o", "./photos"): "--out photos: this is the folder of the images",
    }.items():
        status, _, err = run("degrade", *words)
        assert status == 1 and message in err


def test_degrade_repeats_its_noise_by_seed(run):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("degrade", "photo.png", "-o", out, "-s", 2, "--sigma", "2%", "--seed", seed)
    a, b, c = (np.load(f"{out}/photo_x2_lr.npy") for out in "abc")
    assert (a == b).all() and (a != c).any()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("photo.png -o lr -k motion:fast", "write motion:SEED with a whole number"),
        ("photo.png -o lr --sigma 15", "--sigma is '15', but should be a noise level"),
        ("missing.png -o lr", "missing.png"),
        ("photo.png -o lr -k nan.npy", "nan.npy"),
    ],
)
def test_bad_degradations(run, arguments, expected):
    np.save("nan.npy", np.full((3, 3), np.nan))
    status, out, err = run("degrade", *arguments.split())
    assert (status, out) == (1, "") and expected in err and not files("lr")


# ---------------------------------------------------------------- list, show, check, diff, cite,
# convert


def test_list_has_a_section_for_each_kind(run):
    out = run("list")[1]
    sections = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert sections == [
        "pipelines",
        "solvers",
        "priors",
        "initializers",
        "estimators",
        "transforms",
    ]
    assert run("list", "priors")[1].count("tv ") == 1
    code, _, err = run("list", "networks")
    assert code == 1 and "there is no module called 'networks'" in err


def test_list_describes_a_module(run):
    out = run("list", "tv")[1]
    assert out.startswith("tv, a prior: (x, level) -> image\n\nTotal variation denoising")
    assert "  x: image (B, C, H, W)\n  level: level (B, 1, 1, 1)\n" in out
    assert "iterations: a whole number of at least 1, default 30\n" in out
    assert "      Number of gradient steps.\n" in out
    assert "Returns:\n  The denoised image" in out and "  @article{rudin1992tv," in out
    assert run("list", "identity")[1].count("Options:\n  none\n") == 1


def test_list_describes_all_modules_of_a_name(run):
    out = run("list", "flow-kernel")[1]
    assert "flow-kernel, a prior: " in out and "flow-kernel, a transform: " in out


def test_list_knows_names_that_are_near(run):
    assert "did you mean 'scunet'?" in run("list", "scunt")[2]
    assert "'usrnet' is a pipeline; pnp show usrnet" in run("list", "usrnet")[2]


def test_show_gives_each_line_its_origin_and_the_cost(run):
    out = run("show", "usrnet-tiny", "--size", "480x320", "--set", "modules.P.nb=1")[1]
    assert re.search(r"n: 6 +# usrnet-tiny.yaml:\d", out) and re.search(
        r"U: .* +# usrnet.yaml:\d", out
    )
    assert re.search(r"nb: 1 +# --set modules.P.nb=1", out)
    assert "480 x 320" in out and re.search(r"# P +[\d,]+ parameters", out) and "memory" in out
    status, _, err = run("show", "usrnet-tiny", "--size", "480")
    assert status == 1 and err == "--size 480: write height and width, for example 480x320\n"


def test_show_counts_the_public_networks(run):
    out = run("show", "usrnet-tiny", "--size", "64x64")[1]
    assert re.search(r"# all +590,332 parameters", out)


def test_check_reports_every_file(run, folder):
    (folder / "good.yaml").write_text("extends: hqs-tv\nrepeat: 3\n")
    (folder / "bad.yaml").write_text("extends: hqs-tv\nrepeat: 0\nabuot: x\n")
    status, out, err = run("check", "good.yaml", "bad.yaml", "hqs-tv")
    assert status == 1
    assert [line.split(":")[0] for line in out.splitlines()] == ["good.yaml", "hqs-tv"]
    assert (
        "bad.yaml:2: repeat should be" in err and "bad.yaml:3: a pipeline has no key 'abuot'" in err
    )


def test_overlays_are_put_over_a_pipeline(run, folder):
    (folder / "less.yaml").write_text("modules: {P: {iterations: 2}}\n")
    out = run("check", "hqs-tv", "--with", "less.yaml", "--set", "repeat=3")[1]
    assert out.startswith("hqs-tv with less.yaml: ok: ") and "3 iterations" in out
    out = run("show", "hqs-tv", "--with", "less.yaml", "--size", "32x32")[1]
    assert re.search(r"iterations: 2.*# less.yaml:1", out)
    status, _, err = run("check", "hqs-tv", "--with", "nowhere.yaml")
    assert status == 1 and err.startswith(
        "--with nowhere.yaml: nowhere.yaml: there is no such file"
    )


def test_diff_shows_what_differs_and_nothing_else(run):
    out = run("diff", "usrnet", "usrnet-tiny")[1]
    changed = [line for line in out.splitlines() if re.match(r"[-+](?![-+])", line)]
    assert "-repeat: 8" in changed and "+repeat: 6" in changed
    assert not any("nearest" in line for line in changed)
    assert run("diff", "usrnet", "usrnet")[1] == "usrnet and usrnet are the same\n"


def test_cite_prints_each_entry_once(run):
    out = run("cite", "ikrnet-scunet")[1]
    keys = re.findall(r"^@\w+\{(\w+),", out, re.M)
    assert {"ates2023ikrnet", "zhang2023scunet", "zhao2016fast"} <= set(keys) and len(keys) == len(
        set(keys)
    )


def test_convert(run):
    torch.save({"params": {"module.a": torch.ones(2)}}, "in.pth")
    assert run("convert", "in.pth", "out.safetensors")[:2] == (0, "out.safetensors: written\n")
    for arguments, expected in (
        (("none.pth", "o.safetensors"), "none.pth: there is no such file"),
        (("in.pth", "o.pth"), "o.pth: "),
    ):
        status, _, err = run("convert", *arguments)
        assert status == 1 and err.startswith(expected) and err.count("\n") == 1


# ---------------------------------------------------------------- the command itself


def test_without_a_command_it_helps(run):
    assert run()[1].startswith("usage: pnp") and run("--version")[1] == f"pnp {__version__}\n"
    assert run("restore")[0] == 2


def test_debug_shows_where_an_error_comes_from():
    from pnp import PnpError

    with pytest.raises(PnpError):
        main(["show", "nothing", "--debug"])


def test_a_fault_of_pnps_is_said_to_be_one(capsys, monkeypatch):
    monkeypatch.setattr(catalogue, "listing", lambda what: 1 / 0)
    assert main(["list"]) == 1
    assert capsys.readouterr().err.startswith(
        "pnp: unexpected error: ZeroDivisionError: division by zero\n"
    )


def test_an_interruption_is_one_line(capsys, monkeypatch):

    def interrupt(what):
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "listing", interrupt)
    assert main(["list"]) == 130
    assert "interrupted; files already written are complete" in capsys.readouterr().err
    monkeypatch.setattr("pnp.commands.compare.compare_files", interrupt)
    assert main(["compare", "table-7", "--small"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("redirected", "status"),
    [("2>&-", 0), (">&-", 0), ("2>/dev/full", 0), (">/dev/full", 1), (">/dev/full 2>/dev/full", 1)],
)
def test_output_that_cannot_be_printed_costs_no_result(redirected, status):
    command = f"{sys.executable} -m pnp run bicubic photo.png -s 2 -o out {redirected}"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert ended.returncode == status, ended.stderr
    assert read_image("out/photo_x2.png").pixels.shape == (1, 3, 64, 96)
    assert "bug" not in ended.stderr and "Traceback" not in ended.stderr
    if redirected == ">/dev/full":
        assert ended.stderr == "output: cannot be written: No space left on device; make room\n"


def test_several_signals_end_it_as_one_does():
    program = (
        "import sys, time\nfrom pnp.cli import main\nfrom pnp.commands import catalogue\n"
        "def wait(what):\n    print('waits', flush=True)\n    time.sleep(60)\n"
        "catalogue.listing = wait\nsys.argv = ['pnp', 'list']\nsys.exit(main())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout and running.stderr
        assert running.stdout.readline() == "waits\n"
        running.send_signal(signal.SIGINT)
        assert running.stderr.readline() == "\n"  # from here on it ends, whatever comes
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            running.send_signal(number)
        said = running.stderr.read()
        assert running.wait() == 130
    assert said == "interrupted; files already written are complete\n"


def test_notes_are_lines_of_limited_width_without_control_characters(capsys):
    frames = [Image.new("RGB", (24, 24), colour) for colour in ("red", "blue")]
    name = "x" * 150 + "\x1b[31m.gif"
    deep = Path("y" * 100) / name
    deep.parent.mkdir()
    frames[0].save(deep, save_all=True, append_images=frames[1:])
    assert main(["run", "bicubic", str(deep), "-s", "2"]) == 0
    said = capsys.readouterr().err
    assert "the first of 2 frames is used" in " ".join(said.split())
    assert "\x1b" not in said and max(map(len, said.splitlines())) <= 200


def test_a_record_is_json_even_where_a_figure_is_infinite(tmp_path):
    write_json(tmp_path / "r.json", {"psnr": float("inf"), "levels": [0.5, float("nan")]})
    text = (tmp_path / "r.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"psnr": None, "levels": [0.5, None]}


def test_the_demo_is_commands_that_can_be_typed_wherever_its_folder_is(tmp_path, capsys):
    typed: list[list[str]] = []

    def run(arguments: list[str]) -> int:
        typed.append(arguments)
        return 3 if arguments[0] == "run" else 0

    assert demo(str(tmp_path / "a 'folder' of mine"), run) == 3
    printed = [shlex.split(line[2:]) for line in capsys.readouterr().out.splitlines()]
    assert printed == [["pnp", *arguments] for arguments in typed]
    degraded, restored = (_parser().parse_args(arguments) for arguments in typed)
    assert Path(degraded.out) == Path(restored.words[1]).parent
    assert restored.boundary == "periodic"
