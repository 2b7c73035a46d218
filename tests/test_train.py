"""Training: every recipe runs, nothing is lost, several processes give what one gives, bad input is one clear error."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml

from pnp.building import build, load
from pnp.checkpoints import PRETRAINED, SUFFIXES, load_weights
from pnp.cli import main
from pnp.commands.train import usage
from pnp.errors import PipelineError, PnpError
from pnp.fingerprints import beside, fingerprint, read_fingerprints
from pnp.headers import CHECKSUMS, read_entry
from pnp.images import read_image, write_image
from pnp.language.reader import PIPELINES, read_spec
from pnp.trained_options import trained_modules
from pnp.training.recipe_reader import RECIPES, load_recipe
from pnp.training.run_folder import Run
from pnp.training.run_pipeline import pipeline_in_header
from pnp.training.shipping import PRE_DECAY_BYTES, PRE_DECAY_STATES, read_manifest, sha256, ship
from pnp.training.start import prepare
from pnp.training.trainer import Trainer, train

ROOT = Path(__file__).parent.parent
SMALL = [
    "precision=fp32",
    "batch=2",
    "crop=32",
    "validation.crop=32",
    "validation.images=1",
    "log=1",
    "schedule.warmup=5",
]
UNET = "[4,4,4,4]"
TINY: dict[str, dict[str, Any]] = {  # sizes with which a step takes milliseconds, by module
    "resunet": {"nc": UNET, "nb": 1},
    "drunet": {"nc": UNET, "nb": 1},
    "kernel-resunet": {"nc": UNET, "nb": 1},
    "kernel-update": {"nc": UNET},
    "kernel-encoder": {"features": 4},
    "kernel-corrector": {"features": 4},
    "residual-noise": {"features": 4},
    "scunet": {"dim": 8, "head_dim": 4, "config": "[1,1,1,1,1,1,1]", "window": 4},
    "scunet-level": {"dim": 8, "head_dim": 4, "config": "[1,1,1,1,1,1,1]", "window": 4},
}
MINI = [
    *SMALL,
    "save=0",
    "modules.P.nc=[16,16,16,16]",
    "modules.P.nb=1",
    "modules.H.n=2",
    "repeat=2",
]


def tiny(name: str) -> list[str]:
    """Assignments that make a recipe as small as a test wants it."""
    spec = load_recipe(name).spec
    changes = [
        f"modules.{m.symbol}.{k}={v}"
        for m in spec.modules.values()
        for k, v in TINY.get(m.name, {}).items()
    ]
    if spec.stages:
        repeat = 5 if any(stage.swap for stage in spec.stages) else 2
        several = "stages" in spec.document.value
        keys = [f"stages.{i}.repeat" for i in range(len(spec.stages))] if several else ["repeat"]
        changes += [f"modules.H.n={repeat}", *(f"{key}={repeat}" for key in keys)]
    return [*SMALL, *changes, *(LARGER if name == "blur-width" else [])]


LARGER = ["crop=64", "validation.crop=64", "degradations.size=25"]
"""Four copies, the smallest an eighth of the image, need more pixels."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six smooth coloured images."""
    return smooth_images(tmp_path_factory.mktemp("images"), (60, 52))


def smooth_images(folder: Path, size: tuple[int, int]) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(6):
        noise = torch.rand(1, 3, 9, 8, generator=torch.Generator().manual_seed(i))
        write_image(
            folder / f"{i}.png",
            torch.nn.functional.interpolate(noise, size, mode="bicubic").clamp(0, 1),
        )
    return folder


def random_start(name: str, changes: list[str], path: Path) -> Path:
    """A file of random weights for every network of a recipe's pipeline."""
    torch.manual_seed(1)
    state = build(load_recipe(name, changes).spec, random_weights=True).state_dict()
    safetensors.torch.save_file({k: v.clone() for k, v in state.items()}, path)
    return path


def losses(folder: Path) -> dict[int, float]:
    """Step -> loss, from the log."""
    rows = (line.split(",") for line in (folder / "log.csv").read_text().splitlines()[1:])
    return {int(row[0]): float(row[2]) for row in rows if row[2]}


def weights(folder: Path, kind: str = "weights") -> dict[str, torch.Tensor]:
    newest = max(p for p in (folder / "checkpoints").iterdir() if p.name.isdigit())
    return safetensors.torch.load_file(newest / f"{kind}.safetensors")


def moments(folder: Path) -> list[torch.Tensor]:
    """The tensors of the optimiser in the newest checkpoint."""
    newest = max(p for p in (folder / "checkpoints").iterdir() if p.name.isdigit())
    state = torch.load(newest / "state.pt", weights_only=True)["optimiser"]["state"]
    return [v for entry in state.values() for v in entry.values() if isinstance(v, torch.Tensor)]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums are rounded in an order that depends on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", RECIPES.names())
def test_recipe_trains(name, images, tmp_path):
    if name == "blur-width":
        images = smooth_images(tmp_path / "larger", (72, 68))
    changes = tiny(name)
    start = random_start(name, changes, tmp_path / "start.safetensors")
    recipe = load_recipe(name, [*changes, f"start={start}", "recompute=false"])
    trainer = train(recipe, tmp_path / "run", [images], steps=12)
    assert sorted(losses(tmp_path / "run")) == list(range(1, 13))

    before = safetensors.torch.load_file(start)
    after = trainer.pipeline.state_dict()
    moved = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert moved, "nothing was learned"
    assert all(key.startswith(tuple(f"{t}." for t in recipe.train)) for key in moved), (
        "something frozen has moved"
    )
    assert {t for t in recipe.train if any(key.startswith(f"{t}.") for key in moved)} == set(
        recipe.train
    )

    for symbol in {
        t.partition(".")[0] for t in recipe.train
    }:  # what was written fits a pipeline again
        load_weights(
            trainer.pipeline.get_submodule(symbol),
            tmp_path / "run" / "weights.safetensors",
            symbol=symbol,
        )
    for file in (
        "curves.png",
        "samples/00000000.png",
        "samples/00000012.png",
        "pre-decay.safetensors",
        "weights.yaml",
    ):
        assert (tmp_path / "run" / file).stat().st_size > 0


def test_training_learns(tmp_path):
    recipe = load_recipe(
        "kernel-autoencoder", [*SMALL, "batch=32", "modules.A.size=9", "degradations.size=9"]
    )
    trainer = train(recipe, tmp_path, steps=150)
    first = yaml.safe_load((tmp_path / "weights.yaml").read_text())["measured"]["kernel"]
    started = float((tmp_path / "log.csv").read_text().splitlines()[1].split(",")[9])
    assert trainer.step == 150 and first < 0.5 * started


def test_kill_9_and_resume_gives_the_same_loss_curve(images, tmp_path, one_thread):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = [v for change in MINI for v in ("--set", change)]
    command = [
        sys.executable,
        "-m",
        "pnp",
        "train",
        "image-prior-mini",
        "-o",
        str(killed),
        "--data",
        str(images),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, *arguments, "--steps", "100000"], env=environment, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and len(list((killed / "checkpoints").glob("0*"))) < 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    reached = int(max(p.name for p in (killed / "checkpoints").glob("0*")))
    end = reached + 10
    train(load_recipe("image-prior-mini", MINI), whole, [images], steps=end)
    resumed = train(load_recipe("image-prior-mini", MINI), killed, [images], steps=end, resume=True)
    assert resumed.first > 0, "it did not continue from a checkpoint"
    assert losses(killed) == losses(whole)
    assert sorted(losses(killed)) == list(range(1, end + 1))
    for kind in ("weights", "ema"):  # bit for bit, as are the moments
        for key, value in weights(whole, kind).items():
            assert torch.equal(weights(killed, kind)[key], value), f"{kind}: {key}"
    assert all(map(torch.equal, moments(killed), moments(whole)))


def test_a_run_killed_before_its_first_checkpoint_resumes_from_the_start(images, tmp_path):
    recipe = load_recipe("image-prior-mini", MINI)
    train(recipe, tmp_path / "whole", [images], steps=3)
    train(recipe, tmp_path / "killed", [images], steps=2)
    for path in (
        tmp_path / "killed"
    ).iterdir():  # what is there before the first checkpoint: the log, a file half done
        if path.name != "log.csv":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (tmp_path / "killed" / "checkpoints" / ".pnp-01234567").mkdir(parents=True)
    trainer = train(recipe, tmp_path / "killed", [images], steps=3, resume=True)
    assert trainer.first == 0 and losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert not (tmp_path / "killed" / "checkpoints" / ".pnp-01234567").exists()
    (tmp_path / "at once" / "checkpoints").mkdir(parents=True)  # not even a log yet
    trainer = train(recipe, tmp_path / "at once", [images], steps=3, resume=True)
    assert trainer.first == 0 and losses(tmp_path / "at once") == losses(tmp_path / "whole")


def launches(machines: int) -> list[list[str]]:
    """How torchrun is started for two processes: once, or once on each of two machines (both of them this one)."""
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    if machines == 1:
        return [[*torchrun, "--standalone", "--nproc-per-node", "2"]]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = ["--master-addr", "127.0.0.1", "--master-port", str(s.getsockname()[1])]
    return [
        [*torchrun, "--nnodes", "2", "--node-rank", str(i), "--nproc-per-node", "1", *address]
        for i in (0, 1)
    ]


@pytest.mark.parametrize("machines", [pytest.param(1, marks=pytest.mark.long), 2])
def test_two_processes_give_the_result_of_one(images, tmp_path, machines):
    changes = [*MINI, "optimiser.method=adam"]  # Muon enlarges rounding differences
    settings = [v for change in changes for v in ("--set", change)]
    arguments = [
        "-o",
        str(tmp_path / "two"),
        "--data",
        str(images),
        "--steps",
        "6",
        "--device",
        "cpu",
        *settings,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [*launch, "-m", "pnp", "train", "image-prior-mini", *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for launch in launches(machines)
    ]
    try:
        for process in started:
            told = process.communicate(timeout=200)[1]
            assert process.returncode == 0, told
    finally:
        for process in started:
            process.kill()
    train(
        load_recipe("image-prior-mini", changes), tmp_path / "one", [images], steps=6, device="cpu"
    )
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=0, atol=1e-5)


def test_a_signal_ends_the_run_with_a_checkpoint(images, tmp_path, monkeypatch):
    learn = Trainer._learn

    def interrupted(self: Trainer) -> None:
        learn(self)
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_learn", interrupted)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    trainer = train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=10)
    assert (trainer.interrupt.name, trainer.step) == ("SIGTERM", 3)
    assert not (tmp_path / "weights.safetensors").exists(), "it was not finished"
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert (
        train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=5, resume=True).first
        == 3
    )
    assert (tmp_path / "weights.safetensors").exists()


def test_minutes_count_from_the_start_of_the_process(images, tmp_path):
    recipe = load_recipe("image-prior-mini", MINI)
    trainer = train(recipe, tmp_path, [images], minutes=10, began=time.monotonic() - 3600)
    assert trainer.step == 0 and (tmp_path / "weights.safetensors").exists()


def test_checkpoints_rotate(images, tmp_path):
    train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=5)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["00000004", "00000005"]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(images, tmp_path):
    train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=5)
    (tmp_path / "checkpoints" / "00000005" / "state.pt").write_bytes(b"half")
    assert (
        train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=6, resume=True).first
        == 4
    )


def test_state_holds_no_code(images, tmp_path):
    train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=1)
    state = torch.load(tmp_path / "checkpoints" / "00000001" / "state.pt", weights_only=True)
    assert state["step"] == 1


def test_final_decays_to_zero_and_keeps_the_state_before(images, tmp_path):
    final = load_recipe(
        "image-prior-mini",
        [*MINI, "schedule.final=true", "schedule.decay=0.5", "schedule.warmup=0"],
    )
    train(final, tmp_path, [images], steps=8)
    rows = [r.split(",") for r in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    rates = [float(r[3]) / final.optimiser.lr for r in rows if r[2]]
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25], rel=1e-3)
    ended = (tmp_path / "pre-decay.safetensors").read_bytes()
    later = train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=9, resume=True)
    assert later.first == 5, "a later run continues from before the decay"
    assert (tmp_path / "pre-decay.safetensors").read_bytes() != ended


def test_stable_weights_alone_are_enough_to_go_on(images, tmp_path):
    train(load_recipe("image-prior-mini", MINI), tmp_path / "a", [images], steps=3)
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "pre-decay.safetensors").rename(tmp_path / "b" / "pre-decay.safetensors")
    expected = weights(tmp_path / "a")
    trainer = Trainer(
        load_recipe("image-prior-mini", MINI),
        tmp_path / "b",
        [images],
        device="cpu",
        resume=True,
    )
    for key, value in trainer.averaged.learned.items():
        torch.testing.assert_close(value.detach(), expected[key].half().float(), rtol=0, atol=0)


def test_bf16_is_for_the_networks_alone(images, tmp_path):
    trainer = train(
        load_recipe("image-prior-mini", [*MINI, "precision=bf16"]),
        tmp_path / "low",
        [images],
        steps=3,
    )
    assert trainer.pipeline.precision == torch.bfloat16
    assert all(p.dtype == torch.float32 for p in trainer.averaged.parameters)
    train(load_recipe("image-prior-mini", MINI), tmp_path / "full", [images], steps=3)
    low, full = losses(tmp_path / "low"), losses(tmp_path / "full")
    assert low == pytest.approx(full, rel=1e-2) and low != full


def test_recomputing_iterations_changes_nothing_but_memory(images, tmp_path):
    results = []
    for recompute in ("false", "true"):
        changes = [*tiny("joint"), f"recompute={recompute}"]
        start = random_start("joint", changes, tmp_path / "start.safetensors")
        folder = tmp_path / recompute
        train(load_recipe("joint", [*changes, f"start={start}"]), folder, [images], steps=3)
        results.append(weights(folder))
    for key, value in results[0].items():
        torch.testing.assert_close(results[1][key], value, rtol=0, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_with_step_line_and_last_good_checkpoint(images, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: image-prior-mini\nlosses:\n  - {l2: x}\n")
    train(load_recipe(mine, MINI), tmp_path / "run", [images], steps=3)
    recipe = load_recipe(mine, [*MINI, "optimiser.lr=1e30", "optimiser.clip=1e30"])
    with pytest.raises(PipelineError) as caught:
        train(recipe, tmp_path / "run", [images], steps=20, resume=True)
    message = str(caught.value)
    assert "mine.yaml:3: training stops at step" in message and "- {l2: x}" in message
    good = Path(message.split("the last good checkpoint is ")[1].split(" ")[0])
    assert all(
        value.isfinite().all()
        for value in safetensors.torch.load_file(good / "weights.safetensors").values()
    )


def test_starts_from_a_checkpoint_of_the_stand_alone_trainer(tmp_path):
    recipe = load_recipe("image-prior-mini", MINI)
    state = build(recipe.spec, random_weights=True).state_dict()
    public = {f"{key[0].lower()}{key[1:]}": value for key, value in state.items()}
    torch.save(
        {"model": public, "ema": public, "opt": {"state": {}}, "step": 3}, tmp_path / "last.pt"
    )
    pipeline = prepare(load_recipe("image-prior-mini", [*MINI, f"start={tmp_path / 'last.pt'}"]))
    for key, value in pipeline.state_dict().items():
        assert torch.equal(value, state[key])


def test_weights_are_exported_in_half_precision_and_shipped_with_their_entry(
    images, tmp_path, capsys
):
    (tmp_path / "more.yaml").write_text("batch: 3\n")
    arguments = ["--with", str(tmp_path / "more.yaml")]
    arguments += [v for change in MINI if "batch" not in change for v in ("--set", change)]
    assert (
        main(
            [
                "train",
                "image-prior-mini",
                "-o",
                str(tmp_path / "run"),
                "--data",
                str(images),
                "--steps",
                "2",
                "--licence",
                "CC0-1.0",
                *arguments,
            ]
        )
        == 0
    )
    said = capsys.readouterr()
    assert "no limit is set" not in said.err
    command = said.out.split("to use it:\n")[1].strip()
    image = str(sorted(images.glob("*"))[0])
    for word, value in (("IMAGE", image), ("KERNEL", "gaussian:1")):
        assert word in command
        command = command.replace(word, value)
    given = ["-s", "2", "-o", str(tmp_path / "restored"), "--sigma", "0"]
    assert main([*shlex.split(command)[1:], *given]) == 0, "the printed command runs"
    entry = yaml.safe_load((tmp_path / "run" / "weights.yaml").read_text())
    assert entry["licence"] == "CC0-1.0"
    assert entry["trained"] == {"scales": [1, 2, 3, 4], "noise": 0.06}
    assert {"sha256", "data", "steps", "batch", "minutes", "machine", "licence", "measured"} <= set(
        entry
    )
    assert shlex.split(entry["recipe"]) == ["image-prior-mini", *arguments] and entry["batch"] == 3
    assert entry["precision"] == "half" and {"psnr", "bicubic", "D alone"} <= set(entry["measured"])
    header = read_entry(tmp_path / "run" / "weights.safetensors")
    del entry["sha256"]
    assert header == {"name": "image-prior-mini", **entry}
    command = ["run", str(tmp_path / "run" / "weights.safetensors"), image, "-k", "gaussian:1"]
    assert main([*command, "-s", "2", "-o", str(tmp_path / "alone"), "--sigma", "0"]) == 0
    stems = [next((tmp_path / folder).glob("*_x2.png")) for folder in ("restored", "alone")]
    assert stems[0].read_bytes() == stems[1].read_bytes(), "the header names the run's pipeline"
    before = read_entry(tmp_path / "run" / "pre-decay.safetensors")
    assert before["recipe"] == entry["recipe"] and before["licence"] == "CC0-1.0"
    (tmp_path / "pre_decay").mkdir()
    target = ship(tmp_path / "run", "test/mini", tmp_path / "shipped", tmp_path / "pre_decay")
    modules = trained_modules(str(target))
    assert list(modules) == ["H", "P"] and modules["P"]["nc"] == [16, 16, 16, 16]
    shipped = read_manifest(tmp_path / "shipped")["test/mini"]
    assert shipped["sha256"] == sha256(target)
    assert read_entry(target) == {
        "name": "test/mini",
        **{key: value for key, value in shipped.items() if key not in CHECKSUMS},
    }
    assert read_spec(str(target)).modules["P"].weights.value == str(target)  # type: ignore[union-attr]
    learnt = read_fingerprints(beside(target))
    shown = [fingerprint(read_image(path).pixels[0]) for path in sorted(images.glob("*"))]
    assert {f.pixels for f in learnt} < {f.pixels for f in shown}  # not those for validation
    assert len(learnt) == len(shown) - 1 and (tmp_path / "run" / "weights.images.txt").is_file()
    assert shipped["pre_decay"] == sha256(tmp_path / "pre_decay" / "test" / "mini.safetensors")
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(PnpError, match="is not the file that"):
        ship(tmp_path / "run", "test/mini", tmp_path / "shipped")


def test_a_header_names_only_a_pipeline_that_restores_without_other_files(tmp_path):
    def named(recipe: str, *changes: str) -> str | None:
        prepared = load_recipe(recipe, changes)
        pipeline = build(prepared.spec, random_weights=True)
        return pipeline_in_header(prepared, pipeline, ["P", "H", "I"])

    assert named("spectral-kernel", *tiny("spectral-kernel")) is None, "it gives a kernel alone"
    small = tiny("estimated-kernels-mini")
    text = named("estimated-kernels-mini", *small, "start.E=/mine/of/me.safetensors")
    assert text is not None and "model.safetensors" in text and "/" not in text.split("modules")[1]


def test_a_pre_decay_state_is_copied_where_there_is_room_for_it(
    images, tmp_path, caplog, monkeypatch
):
    train(load_recipe("image-prior-mini", MINI), tmp_path / "run", [images], steps=1)
    to, pre_decay = tmp_path / "shipped", tmp_path / "pre_decay"
    ship(tmp_path / "run", "mini", to, pre_decay)  # not in a checkout
    assert "pre_decay" not in read_manifest(to)["mini"] and not pre_decay.exists()
    pre_decay.mkdir()
    ship(tmp_path / "run", "mini", to, pre_decay)
    assert [p.name for p in pre_decay.iterdir()] == ["mini.safetensors"]
    monkeypatch.setattr("pnp.training.shipping.PRE_DECAY_BYTES", 1000)
    ship(tmp_path / "run", "mini", to, pre_decay)
    assert "pre_decay" not in read_manifest(to)["mini"] and not list(pre_decay.iterdir())
    assert re.search(r"pre-decay.safetensors: not copied", caplog.text)
    for name in ("../../evil", "/tmp/evil"):
        with pytest.raises(PnpError, match="a name is needed"):
            ship(tmp_path / "run", name, to, pre_decay)


def test_the_manifest_is_true():
    manifest, shipped = read_manifest(), set(PRETRAINED.rglob("*.safetensors"))
    assert {name for name, entry in manifest.items() if "sha256" in entry} == {
        p.relative_to(PRETRAINED).with_suffix("").as_posix() for p in shipped
    }
    assert sum(p.stat().st_size for p in shipped) <= 50e6
    assert all(p.stat().st_size <= 16e6 for p in shipped)
    for name, entry in manifest.items():
        assert entry["recipe"].split()[0] in RECIPES.names(), name
        if "sha256" in entry:
            assert sha256(PRETRAINED / f"{name}.safetensors") == entry["sha256"]
            assert {"data", "steps", "machine", "licence", "measured"} <= set(entry)
    states = list(PRE_DECAY_STATES.rglob("*.safetensors"))
    assert {
        p.relative_to(PRE_DECAY_STATES).with_suffix("").as_posix(): sha256(p) for p in states
    } == {name: entry["pre_decay"] for name, entry in manifest.items() if "pre_decay" in entry}
    assert sum(p.stat().st_size for p in states) <= PRE_DECAY_BYTES


def test_a_name_that_is_not_shipped_says_which_recipe_makes_it():
    manifest = read_manifest()
    holders = [
        holder
        for document in map(PIPELINES.read, PIPELINES.names())
        for holder in (document, *document.value["modules"].value.values())
    ]
    named = {str(holder.value["weights"].value) for holder in holders if "weights" in holder.value}
    assert {name for name in named if not name.endswith(SUFFIXES)} <= set(manifest)
    with pytest.raises(PnpError, match="train them with `pnp train kernel-prior`"):
        load_weights(torch.nn.Linear(1, 1), "ikrnet/Pk")


def test_bad_input_is_one_clear_error(images, tmp_path):
    def refused(
        match: str, changes: list[str] = MINI, data: tuple[Path, ...] = (images,), **more: Any
    ) -> None:
        with pytest.raises(PnpError, match=match):
            train(
                load_recipe("image-prior-mini", changes),
                tmp_path / "new",
                list(data),
                steps=1,
                **more,
            )

    (tmp_path / "empty").mkdir()
    refused("there are no images in this folder", data=(tmp_path / "empty",))
    refused("there is no such folder", data=(tmp_path / "nowhere",))
    refused("name folders of them with --data", data=())
    refused(
        "all 6 images are smaller than the crop of 64 pixels: 0.png, 1.png, 2.png ...; ",
        [*MINI, "crop=64"],
    )
    refused("holds no checkpoint; leave --resume out", resume=True)
    refused("--device gpu7: cannot be used here", device="gpu7")
    refused("'D' is to be trained, but it has no parameters", [*MINI, "train=[D]"])
    refused("there is no 'P.head' to train\n(.|\n)*m_head", [*MINI, "train=[P.head]"])
    refused(
        "P is frozen, but no weights are given for it\n(.|\n)*start: {P: FILE}",
        [*MINI, "pipeline=usrnet-tiny", "train=[H]"],
    )
    refused(
        "there is no such file\n.*'pnp train joint' makes it",
        [*MINI, "train=[H]", "start.P=runs/joint/w.pt"],
    )
    with pytest.raises(PnpError, match="so it needs a limit"):
        train(
            load_recipe("image-prior-mini", [*MINI, "schedule.final=true"]),
            tmp_path / "new",
            [images],
        )
    assert not (tmp_path / "new").exists(), "a run that could not begin leaves nothing"


def test_images_smaller_than_the_crop_are_left_out_with_one_line(images, tmp_path, caplog):
    data = tmp_path / "data"
    shutil.copytree(images, data)
    for name in ("wide.png", "tall.png"):
        write_image(data / name, torch.rand(3, *((31, 90) if name == "wide.png" else (90, 31))))
    recipe = load_recipe("image-prior-mini", MINI)
    train(recipe, tmp_path / "with", [data], steps=2)
    told = (
        "2 of 8 images are smaller than the crop of 32 pixels and are skipped: tall.png, wide.png"
    )
    assert caplog.messages.count(told) == 1
    caplog.clear()
    train(recipe, tmp_path / "without", [images], steps=2)
    assert losses(tmp_path / "with") == losses(tmp_path / "without")
    assert "skipped" not in caplog.text


def test_a_state_of_an_optimiser_of_an_older_version_is_one_clear_error(images, tmp_path):
    train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=1)
    path = tmp_path / "checkpoints" / "00000001" / "state.pt"
    state = torch.load(path, weights_only=True)
    groups = state["optimiser"]["param_groups"]
    state["optimiser"]["param_groups"] = [
        {**groups[0], "params": [n for group in groups for n in group["params"]]}
    ]
    torch.save(state, path)
    with pytest.raises(PnpError, match=r"written by another version of pnp.*--start .*weights.saf"):
        train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=2, resume=True)


def test_two_trainings_in_one_folder_are_refused(images, tmp_path):
    recipe = load_recipe("image-prior-mini", MINI)
    run = tmp_path / "run"
    train(recipe, run, [images], steps=1)
    with Run(run).locked(), pytest.raises(PnpError, match="another training is running"):
        train(recipe, run, [images], steps=2, resume=True)
    assert train(recipe, run, [images], steps=2, resume=True).step == 2


def test_a_run_is_not_overwritten_nor_resumed_by_another_recipe(images, tmp_path, caplog):
    train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=1)
    with pytest.raises(PnpError, match="contains a run already: --resume continues"):
        train(load_recipe("image-prior-mini", MINI), tmp_path, [images], steps=2)
    with pytest.raises(PnpError, match=r"another recipe; modules: P: nb: 1 there, 2 here"):
        train(
            load_recipe("image-prior-mini", [*MINI, "modules.P.nb=2"]),
            tmp_path,
            [images],
            steps=2,
            resume=True,
        )
    other = load_recipe(
        "image-prior-mini", [*MINI, "batch=3", "optimiser.lr=1e-5"]
    )  # another machine, other habits
    assert train(other, tmp_path, [images], steps=2, resume=True).step == 2
    other = load_recipe(
        "image-prior-mini", [*MINI, "optimiser.method=adam"]
    )  # its state is no use to the other one
    assert train(other, tmp_path, [images], steps=3, resume=True).step == 3
    assert "was trained by muon, the recipe says adam" in caplog.text
    resumed = train(
        other, tmp_path, [images], steps=4, resume=True
    )  # the new rise of the learning rate continues too
    assert resumed.rate.warm_from == 2 and resumed.optimiser.param_groups[0]["lr"] == pytest.approx(
        other.optimiser.lr * 2 / 5
    )


@pytest.mark.long
def test_compiled_networks_train(images, tmp_path):
    recipe = load_recipe("image-prior-mini", [*MINI, "compile=true", "degradations.scales=[2]"])
    train(recipe, tmp_path / "compiled", [images], steps=3)
    train(
        load_recipe("image-prior-mini", [*MINI, "degradations.scales=[2]"]),
        tmp_path / "plain",
        [images],
        steps=3,
    )
    assert losses(tmp_path / "compiled") == pytest.approx(losses(tmp_path / "plain"), rel=1e-4)


@pytest.mark.parametrize("limits", [[], ["--steps", "1"], ["--minutes", "1"]])
def test_a_training_without_a_limit_says_that_it_runs_until_stopped(limits, monkeypatch, capsys):
    def stop(*_, **__):
        raise PnpError("stopped here")

    monkeypatch.setattr("pnp.training.train", stop)
    assert main(["train", "image-prior-mini", "--data", "photographs", *limits]) == 1
    said = "no limit is set: it trains until it is stopped" in capsys.readouterr().err
    assert said == (not limits)


@pytest.mark.parametrize("name", RECIPES.names())
def test_every_recipe_says_how_its_weights_are_used(name):
    recipe = load_recipe(name)
    said = usage(recipe, "runs/mine")
    if said.startswith("pnp run"):
        assert shlex.split(said)[:4] == ["pnp", "run", "runs/mine", "IMAGE"]
        options = {"k": "-k", "sigma": "--sigma", "s": "-s", "mask": "--mask"}
        needed = {g.name for g in recipe.spec.given if g.default is None} - {"y"}
        assert {word for word in said.split() if word[0] == "-"} == {options[g] for g in needed}
    else:  # no image, or from its ground truth
        assert "x" in recipe.given or "x" not in recipe.spec.returns
        for symbol in {part.partition(".")[0] for part in recipe.train}:
            assert f"{symbol}: {{" in said and "weights: runs/mine/weights.safetensors}" in said


def test_the_folder_of_a_run_is_the_pipeline_with_the_trained_weights(tmp_path, images, capsys):
    train(load_recipe("image-prior-mini", MINI), tmp_path / "run", [images], steps=1)
    folder = str(tmp_path / "run")
    assert main(["check", folder]) == 0 and "run: ok: " in capsys.readouterr().out
    trained = safetensors.torch.load_file(tmp_path / "run" / "weights.safetensors")
    loaded = load(folder).state_dict()
    assert set(trained) == set(loaded)
    assert all(torch.equal(loaded[name], value.float()) for name, value in trained.items())
    assert (
        main(["run", folder]) == 1 and f"write: pnp run {folder} IMAGE" in capsys.readouterr().err
    )


def test_frozen_modules_of_a_run_keep_their_weights(tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = [*MINI, "train=[P]", "freeze=[H]"]
    train(load_recipe("image-prior-mini", MINI), "first", [images], steps=1)
    second = load_recipe("image-prior-mini", [*changes, "start.H=first/weights.safetensors"])
    train(second, "second", [images], steps=1)
    monkeypatch.chdir("/")
    first, then = (load(tmp_path / name).state_dict() for name in ("first", "second"))
    same = {name for name in first if torch.equal(first[name], then[name])}
    assert {name for name in first if name.startswith("H.")} <= same
    assert any(name.startswith("P.") for name in {*first} - same)


def test_the_folder_of_an_unfinished_run_says_so(tmp_path, capsys):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "log.csv").write_text("")
    for command in (["check", str(tmp_path / "run")], ["run", str(tmp_path / "run"), "photo.png"]):
        assert main(command) == 1
        assert "this training has not ended" in capsys.readouterr().err
