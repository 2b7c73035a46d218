"""`pnp run --again RECORD`: the same bytes, or a message that says what is not the same."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pnp.checkpoints import sha256
from pnp.cli import main
from pnp.headers import tensors_digest
from pnp.images import write_image
from pnp.kernel_files import write_kernel
from pnp.priors import build as prior

PIPELINE = """\
given: [y, s = 1, k, sigma = E(y)]
modules:
  U: {initializer: nearest}
  E: {estimator: wavelet-noise}
  D: {solver: fft-image}
  P: {prior: drunet, nc: [4, 4, 4, 4], nb: 1, weights: w.safetensors}
start:
  - x = U(y, s)
repeat: 2
steps:
  - z = D(y, x, k, 0.1)
  - x = P(z, sigma)
return: [x, sigma]
"""
RECORD = "restored/a_x2.json"


def save_drunet(path, seed):
    torch.manual_seed(seed)
    save_file(prior("drunet", nc=[4, 4, 4, 4], nb=1).state_dict(), path)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A run of two images, and the command: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for seed, name in enumerate("ab"):
        x = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(seed))
        write_image(f"photos/{name}.png", x)
    write_kernel(Path("k.npy"), torch.rand(1, 1, 5, 5).softmax(-1) / 5)
    Path("mine.yaml").write_text(PIPELINE)
    save_drunet("w.safetensors", seed=0)

    def run(*words):
        status = main(["run", *words])
        said = capsys.readouterr()
        return status, said.out, said.err

    options = ["-s", "2", "-k", "k.npy", "--seed", "3", "--compare", "--set", "repeat=3"]
    assert run("mine.yaml", "photos", *options)[0] == 0
    return run


def record():
    return json.loads(Path(RECORD).read_text())


def test_the_record_says_what_the_result_was_made_with(run):
    told = record()
    command = "pnp run mine.yaml photos -s 2 -k k.npy --seed 3 --compare --set repeat=3"
    assert told["command"] == command and told["folder"] == str(Path.cwd())
    assert list(told["weights"].values()) == [tensors_digest(Path("w.safetensors"))]
    files = {"photos/a.png": "observation", "k.npy": "kernel", "mine.yaml": "pipeline"}
    assert {e["file"]: e["role"] for e in told["read"]} == files
    assert all(e["sha256"] == sha256(Path(e["file"])) for e in told["read"])
    assert told["seed"] == 3 and told["date"].endswith("Z") and told["plugins"] == {}


def test_the_run_of_a_record_gives_the_same_bytes(run):
    status, out, err = run("--again", RECORD)
    assert (status, err) == (0, "") and "byte for byte the same as restored/a_x2.png" in out
    made = {p.name for p in Path("again").iterdir()}
    assert made == {p.name for p in Path("restored").iterdir() if p.name.startswith("a_")}
    assert Path("again/a_x2.png").read_bytes() == Path("restored/a_x2.png").read_bytes()
    assert run("--again", "again/a_x2.json", "-o", "more")[0] == 0
    assert Path("more/a_x2.png").read_bytes() == Path("restored/a_x2.png").read_bytes()


def test_a_result_that_is_not_the_recorded_one_is_a_failure(run):
    write_image("restored/a_x2.png", torch.rand(3, 48, 64))
    status, _, err = run("--again", RECORD)
    assert status == 1 and "again/a_x2.png differs from restored/a_x2.png" in err


CHANGES = {
    "the observation photos/a.png is not the file that was read": lambda: write_image(
        "photos/a.png", torch.zeros(3, 24, 32)
    ),
    "the kernel k.npy is missing; it was read in ": lambda: Path("k.npy").unlink(),
    "the pipeline mine.yaml is not the file": lambda: Path("mine.yaml").write_text(
        PIPELINE.replace("0.1", "0.2")
    ),
    "w.safetensors are others (sha256 ": lambda: save_drunet("w.safetensors", seed=1),
}


@pytest.mark.parametrize("expected", CHANGES)
def test_what_is_not_the_same_is_named_and_nothing_is_written(run, expected):
    CHANGES[expected]()
    status, out, err = run("--again", RECORD)
    assert (status, out) == (1, "") and expected in err
    assert not list(Path().glob("again/*"))


def test_another_version_is_a_warning(run):
    told = record()
    told["versions"]["torch"] = "1.0"
    told["plugins"]["blurs"] = "0.3"
    Path(RECORD).write_text(json.dumps(told))
    status, _, err = run("--again", RECORD)
    assert status == 0
    assert f"torch is {torch.__version__} here, 1.0 in the record" in err
    assert "blurs is not installed here, 0.3 in the record" in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--again", "none.json"), "none.json: there is no such file"),
        (("--again", "mine.yaml"), "it is no JSON"),
        (("--again", "other.json"), "it has no 'command'"),
        (("--again", RECORD, "photos/b.png"), "leave photos/b.png out"),
    ],
)
def test_what_cannot_be_repeated_is_said(run, words, expected):
    Path("other.json").write_text("{}")
    status, out, err = run(*words)
    assert (status, out) == (1, "") and expected in err


def test_a_result_is_not_compared_with_itself(run):
    for record, words in ((RECORD, ["-o", "restored"]), ("again/a_x2.json", [])):
        before = Path(record).with_suffix(".png").read_bytes()
        status, _, err = run("--again", record, *words)
        assert status == 1 and "would replace the one that it is compared with" in err
        assert Path(record).with_suffix(".png").read_bytes() == before
        run("--again", RECORD)
