"""Nothing is lost: given files are never replaced, results appear together, nothing is left over."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import pnp.files
from pnp.cli import main
from pnp.errors import PnpError, fitted
from pnp.files import atomic, hidden_folder, remove_leftovers, result_names, together

RUN = ["--set", "repeat=1", "--set", "modules.P.iterations=1", "-k", "k.npy"]
COMMANDS = {
    "run": ["run", "hqs-tv", "photo.png", *RUN, "--trace"],
    "degrade": ["degrade", "photo.png", "-k", "k.npy", "-s", "1"],
}
RESULTS = {
    "run": [".json", ".png", "_kernel.npy", "_kernel.png", "_trace.npz", "_trace.png"],
    "degrade": [".json", "_hr.png", "_kernel.npy", "_kernel.png", "_lr.npy", "_lr.png"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a photograph and a kernel, and a folder for results."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (12, 14, 3), np.uint8)
    Image.fromarray(pixels).save("photo.png")
    np.save("k.npy", np.full((3, 3), 1 / 9))
    (tmp_path / "out").mkdir()
    return tmp_path


def content(folder="out"):
    """Every file below a folder, hidden ones included."""
    return {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def run(*arguments):
    try:
        return main([str(a) for a in arguments])
    except SystemExit as e:
        return int(e.code or 0)


# ---------------------------------------------------------------- given files


def aliases(victim):
    """Names of one file."""
    yield victim
    yield Path("elsewhere") / ".." / victim
    for kind, link in (("soft", os.symlink), ("hard", os.link)):
        name = Path(kind).absolute() / f"{victim.stem}-{kind}{victim.suffix}"
        name.parent.mkdir()
        link(victim.absolute(), name)
        yield name
    os.symlink("out", "folder")
    yield Path("folder") / victim.name


GIVEN = [
    ("run", "reference", "photo_x1.png", "run denoise photo.png --reference {}"),
    ("run", "mask", "photo_x1.png", "run inpaint-tv photo.png --mask {}"),
    ("run", "observation", "photo_x1.png", "run denoise photo.png {}"),
    ("run", "kernel", "photo_x1_kernel.npy", "run hqs-tv photo.png -k {}"),
    ("run", "kernel", "photo_x1_kernel.npy", "run hqs-tv photo.png -k {}#1"),
    ("run", "kernel", "photo_x1_kernel.png", "run hqs-tv photo.png -k {}"),
    ("run", "kernel", "photo_x1_trace.npz", "run hqs-tv photo.png -k {} --trace"),
    ("run", "pipeline", "photo_x1.json", "run ./{} photo.png"),
    ("run", "pipeline", "photo_x1.json", "run denoise photo.png --with ./{}"),
    ("degrade", "kernel", "photo_x4_kernel.npy", "degrade photo.png -k {}"),
    ("degrade", "ground truth", "photo_x4_hr.png", "degrade photo.png {}"),
    ("degrade", "ground truth", "photo_x4_lr.npy", "degrade photo.png {}"),
]


@pytest.mark.parametrize("case", GIVEN, ids=lambda c: f"{c[0]} {c[1]} {c[2]}")
def test_a_result_never_replaces_a_given_file(case, capsys):
    _, role, name, command = case
    victim, kernel = Path("out") / name, np.full((1, 3, 3), 1 / 9)
    Path("elsewhere").mkdir()
    if name.endswith(".npz"):
        np.savez(victim, kernel[0])
    elif name.endswith(".npy"):
        np.save(victim, kernel if role == "kernel" else np.zeros((12, 14, 3), np.float32))
    elif name.endswith(".json"):
        victim.write_text("extends: denoise\n")
    else:
        Image.fromarray(np.eye(12, 14, dtype=np.uint8) * 255).save(victim)
    before = content()
    for alias in aliases(victim):
        assert run(*command.format(alias).replace(".//", "/").split(), "-o", "out") == 1
        err = capsys.readouterr().err
        assert f"the result of photo.png would overwrite the {role}; choose another" in err
        assert content() == before


def test_a_result_does_not_become_a_later_input(capsys):
    for other in ("out/photo_x1.png", "./out/../out/photo_x1.png"):
        assert run("run", "denoise", "photo.png", other, "-o", "out") == 1
        assert "would overwrite the observation" in capsys.readouterr().err and not content()


def test_results_of_two_inputs_are_not_one_file_anywhere(capsys):
    for images in (["a/photo.png", "b/photo.jpg"], ["a/photo.png", "b/Photo.png"]):
        with pytest.raises(PnpError, match=r"would both be called (P|p)hoto"):
            result_names(images)
    assert result_names(["a.png", "a_x1.png"]) == {"a.png": "a", "a_x1.png": "a_x1"}


def test_convert_does_not_replace_the_checkpoint_that_it_reads(capsys):
    safetensors.torch.save_file({"module.a": torch.ones(2)}, "a.safetensors")
    os.symlink("a.safetensors", "b.safetensors")
    before = content(".")
    for target in ("a.safetensors", "./a.safetensors", "b.safetensors"):
        assert run("convert", "a.safetensors", target) == 1
        assert "would overwrite the checkpoint; give another name" in capsys.readouterr().err
    assert content(".") == before


def test_training_replaces_nothing_that_it_reads(capsys):
    Path("photos").mkdir()
    shutil.copy("photo.png", "photos")
    common = ["train", "image-prior-mini", "--steps", "1", "--data", "photos"]
    weights = Path("out/weights.safetensors")
    weights.write_bytes(b"mine")
    assert run(*common, "-o", "out", "--start", "out/../out/weights.safetensors") == 1
    assert "the result of the training would overwrite the starting" in capsys.readouterr().err
    assert weights.read_bytes() == b"mine" and len(content()) == 1
    Path("out/samples").mkdir()
    for data, out in (("photos", "photos"), ("photos", "photos/run"), ("out/samples", "out")):
        assert run(*common[:4], "--data", data, "-o", out) == 1
        assert f"is inside the training images, {data}, so" in capsys.readouterr().err
    assert len(content("photos")) == 1


# ---------------------------------------------------------------- all or nothing


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("function", ["_make_hidden", "os.replace"])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_failed_write_leaves_no_part_of_a_result(command, function, earlier, monkeypatch, capsys):
    """Whichever of the files cannot be written, or be given its name."""
    holder, name = (os, "replace") if function == "os.replace" else (pnp.files, function)
    real = getattr(holder, name)
    if earlier:
        Path("other.png").write_bytes(Path("photo.png").read_bytes())
        assert run(*COMMANDS[command], "-o", "out") == 0
    before = content()
    for failing in range(6):
        left = iter(range(6 + failing))

        def fail(*arguments, left=left, failing=failing):
            if next(left, 0) == failing:
                raise OSError(28, "No space left on device")
            return real(*arguments)

        monkeypatch.setattr(holder, name, fail)
        assert run(*COMMANDS[command], "-o", "out", *(["--seed", "1"] if earlier else [])) == 1
        monkeypatch.setattr(holder, name, real)
        assert ": cannot be written: No space left on device" in capsys.readouterr().err
        assert content() == before and not list(Path("out").glob(".*"))
    assert run(*COMMANDS[command], "-o", "out") == 0
    assert sorted(p.name for p in content()) == ["photo_x1" + end for end in RESULTS[command]]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_leaves_no_part_of_a_result(command, capsys):
    """Every writer meets a real error of the system, at any byte of its file."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 10, 100, 300, 900, 3000, 10000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            status = run(*COMMANDS[command], "-o", "out")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert (status, len(content())) in ((1, 0), (0, 6)) and not list(Path("out").glob(".*"))
        assert status == 0 or "cannot be written: File too large" in capsys.readouterr().err
        for file in content():
            file.unlink()


def test_a_folder_in_the_place_of_a_result_is_kept(capsys):
    for end in RESULTS["run"]:
        taken = Path(f"out/photo_x1{end}")
        taken.mkdir()
        assert run(*COMMANDS["run"], "-o", "out") == 1
        assert "there is a folder of this name" in capsys.readouterr().err
        assert not content()
        taken.rmdir()


def test_files_of_a_block_appear_at_its_end(folder):
    with together():
        for name in ("a.txt", "b.txt"):
            with atomic(folder / name) as temporary:
                temporary.write_text(name)
        assert not list(folder.glob("?.txt"))
    assert {p.name for p in folder.glob("?.txt")} == {"a.txt", "b.txt"}
    with pytest.raises(KeyboardInterrupt), together():
        with atomic(folder / "c.txt") as temporary:
            temporary.write_text("c")
        raise KeyboardInterrupt
    assert not list(folder.glob("c.txt")) and not list(folder.glob(".pnp*"))


# ---------------------------------------------------------------- what killed commands leave

CHILD = """
import os, signal, sys
from pnp.files import atomic
with atomic("out/photo_x1.png") as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    sys.stdin.readline()
"""


def writer():
    """A process that is writing a file, and goes on until it is told."""
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=pipe, stdout=pipe, text=True)
    assert child.stdout is not None and child.stdout.readline() == "writing\n"
    return child


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_the_next_command_removes_what_a_dead_one_left_and_only_that(capsys):
    dead, alive = writer(), writer()
    dead.kill()
    dead.wait()
    assert dead.returncode == -signal.SIGKILL
    mine = [Path("out/.photo_x1.1234abcd.png"), Path("out/.pnp-notes"), Path("out/.pnp-12345678")]
    for file in mine:
        file.write_text("of the user")
    with hidden_folder(Path("out")) as own:
        assert len(list(Path("out").glob(".pnp-????????"))) == 4
        assert run(*COMMANDS["degrade"], "-o", "out") == 0
        assert len(list(Path("out").glob(".pnp-????????"))) == 3 and own.is_dir()
    assert all(file.read_text() == "of the user" for file in mine)
    alive.communicate("end\n")
    assert alive.returncode == 0 and Path("out/photo_x1.png").read_text() == "half"
    assert len(list(Path("out").glob(".pnp-????????"))) == 1  # the user's file


@pytest.mark.skipif(sys.platform == "win32", reason="locks")
def test_a_folder_whose_process_died_before_locking_it_is_a_leftover(folder):
    (folder / ".pnp-0123abcd").mkdir()
    remove_leftovers(folder)
    assert not (folder / ".pnp-0123abcd").exists()


# ---------------------------------------------------------------- names


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
@pytest.mark.parametrize("command", COMMANDS)
def test_names_that_are_not_utf8_are_restored_and_escaped(command, capsys):
    name = os.fsdecode(b"caf\xe9")
    shutil.copy("photo.png", f"{name}.png")
    shutil.copy("k.npy", f"{name}.npy")
    arguments = [
        a.replace("photo", name).replace("k.npy", f"{name}.npy") for a in COMMANDS[command]
    ]
    sys.stdout.reconfigure(errors="strict")  # type: ignore[union-attr]
    assert run(*arguments, "-o", f"out/{name}") == 0
    assert "caf\\udce9_x1" in capsys.readouterr().out
    records = list(Path(f"out/{name}").glob("*.json"))
    assert len(records) == 1 and len(content()) == 6
    record = json.loads(records[0].read_text(encoding="utf-8"))
    assert record["input"] == f"{name}.png" and all(map(os.path.isfile, record["files"].values()))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("length", [200, 230, 244, 250])
def test_a_long_name_is_restored_or_refused_before_the_work(command, length, capsys):
    name = "n" * length + ".png"
    shutil.copy("photo.png", name)
    arguments = [a.replace("photo.png", name) for a in COMMANDS[command]]
    status, err = run(*arguments, "-o", "out"), capsys.readouterr().err
    fits = length + len("_x1_kernel.png") <= 255
    assert (status, len(content())) == ((0, 6) if fits else (1, 0))
    assert fits or ("File name too long; rename" in err and max(map(len, err.split("\n"))) <= 200)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "name", ["..png", "...png", ".png", "a.b.png", "-.png", "ü.png", "a\nb.png"]
)
def test_results_of_any_name_lie_in_the_folder(command, name, folder, capsys):
    shutil.copy("photo.png", name)
    before = set(folder.iterdir())
    arguments = [a.replace("photo.png", f"./{name}") for a in COMMANDS[command]]
    assert run(*arguments, "-o", "out") == 0
    assert len(content()) == 6 and set(folder.iterdir()) == before


def test_messages_have_lines_of_at_most_200_characters():
    text = "x.yaml:1: " + "word " * 90 + "w" * 300 + "\n    12| short\n    = a  b\n"
    lines = fitted(text).split("\n")
    assert max(map(len, lines)) <= 200 and lines[-3:] == ["    12| short", "    = a  b", ""]
    assert "".join(lines).count("word") == 90 and "..." in fitted(text)
