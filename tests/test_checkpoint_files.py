"""Checkpoints of any program: the right set of weights is taken, averaged ones first, and it is said."""

import warnings
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

import pnp
from pnp import checkpoints, limits
from pnp.checkpoint_files import read_checkpoint
from pnp.checkpoints import load_weights
from pnp.cli import main
from pnp.errors import Notice, PnpError
from pnp.language.reader import read_spec


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3))


RIGHT = network(0).state_dict()
WRONG = {key: torch.zeros_like(value) for key, value in RIGHT.items()}
OTHER = nn.Linear(7, 5).state_dict()


def under(prefix, state):
    return {f"{prefix}.{key}": value for key, value in state.items()}


def optimiser(state):
    model = network(3)
    model.load_state_dict(state)
    adam = torch.optim.Adam(model.parameters())
    model(torch.rand(1, 3, 8, 8)).sum().backward()
    adam.step()
    return adam.state_dict()


averaged_model = AveragedModel(network(0)).state_dict()

ONE_SET = {
    "model_state_dict": {
        "epoch": 3,
        "model_state_dict": RIGHT,
        "optimizer_state_dict": optimiser(WRONG),
    },
    "netG": {"netG": RIGHT},
    "netG and netD": {"netG": RIGHT, "netD": OTHER, "optimizer_G": optimiser(WRONG)},
    "generator": {"generator": RIGHT, "discriminator": WRONG},
    "network": {"network": RIGHT, "iteration": torch.tensor(7)},
    "net": {"net": under("module", RIGHT), "loss": {"l1": torch.tensor([1.0, 2.0])}},
    "any one name": {"denoiser": RIGHT, "step": 3},
    "two names, one fits": {"denoiser": RIGHT, "classifier": OTHER},
    "nested": {"model": {"network": {"state_dict": RIGHT}}},
    "AveragedModel": averaged_model,
    "AveragedModel, wrapped": {"swa_model": averaged_model},
    "AveragedModel, compiled": under("_orig_mod", averaged_model),
    "AveragedModel, parallel": under("module", averaged_model),
    "Lightning": {"state_dict": under("net", RIGHT), "callbacks": {}, "loops": {"a": {"b": 1}}},
    "tensors beside a dictionary": RIGHT | {"extra": {"scale": torch.ones(3)}},
}

AVERAGED = {
    "params_ema": {"params": WRONG, "params_ema": RIGHT},
    "state_dict_ema": {"state_dict": WRONG, "state_dict_ema": under("module", RIGHT)},
    "ema": {"model": WRONG, "ema": RIGHT},
    "ema, nested": {"model": WRONG, "ema": {"decay": 0.999, "shadow": RIGHT}},
    "model_ema": {"model": WRONG, "model_ema": RIGHT},
    "ema_state_dict": {"ema_state_dict": RIGHT, "model_state_dict": WRONG},
    "EMA": {"EMA": RIGHT, "net": WRONG},
    "modelEma": {"model": WRONG, "modelEma": RIGHT},
    "netG_ema": {"netG": WRONG, "netG_ema": RIGHT, "netD": OTHER},
    "swa_model": {"model": WRONG, "swa_model": averaged_model},
    "averaged": {"averaged": RIGHT, "denoiser": WRONG},
    "in the names": under("online_model", WRONG)
    | under("ema_model", RIGHT)
    | {"initted": torch.ones(())},
    "in the names of one": WRONG | under("ema", RIGHT),
    "Lightning": {"state_dict": under("net", WRONG) | under("net_ema", RIGHT)},
}


def loaded(source):
    module = network(5)
    load_weights(module, source)
    return module.state_dict()


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("kind", ONE_SET)
def test_the_only_weights_are_found_in_any_wrapping(tmp_path, kind):
    torch.save(ONE_SET[kind], tmp_path / "w.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert equal(loaded(tmp_path / "w.pth"), RIGHT)


@pytest.mark.parametrize("name", ["w.pth", "w.bin", "w.ckpt"])
def test_safetensors_are_read_whatever_their_name(tmp_path, name):
    save_file(RIGHT, tmp_path / name)
    assert equal(loaded(tmp_path / name), RIGHT)


@pytest.mark.parametrize("kind", AVERAGED)
def test_averaged_weights_are_taken_and_it_is_said(tmp_path, kind):
    torch.save(AVERAGED[kind], tmp_path / "w.pth")
    with pytest.warns(Notice, match=r"w.pth: the averaged weights '.*' are taken, not .*") as told:
        assert equal(loaded(tmp_path / "w.pth"), RIGHT)
    (notice,) = {str(w.message) for w in told}
    if "append #" in notice:
        part = notice.partition("append #")[2].partition(" ")[0]
        assert equal(loaded(f"{tmp_path / 'w.pth'}#{part}"), WRONG)
    else:
        assert kind == "in the names of one"


def test_averaged_weights_without_names_are_not_taken_and_it_is_said(tmp_path):
    """As torch-ema stores them."""
    ema = {"decay": 0.99, "shadow_params": list(WRONG.values()), "collected_params": None}
    torch.save({"model": RIGHT, "ema": ema}, tmp_path / "w.pth")
    with pytest.warns(Notice, match="'ema' have no names, so the others are taken"):
        assert equal(loaded(tmp_path / "w.pth"), RIGHT)


def test_the_command_says_it_once(tmp_path, capsys):
    image = tmp_path / "a.png"
    pnp.write_image(image, torch.rand(1, 3, 24, 24))
    nets = pnp.priors.build("drunet", nc=[4] * 4, nb=1).state_dict()
    torch.save({"params": nets, "params_ema": nets}, tmp_path / "w.pth")
    small = "modules.P={prior: drunet, nc: [4, 4, 4, 4], nb: 1}"
    more = ["--set", small, "--set", f"weights={tmp_path / 'w.pth'}", "-o", str(tmp_path / "out")]
    assert main(["run", "denoise", str(image), *more]) == 0
    told = capsys.readouterr().err
    assert told.count("note: ") == 1 and "'params_ema' are taken, not params" in told.replace(
        "\n    ", " "
    )


def test_several_sets_that_fit_are_never_guessed(tmp_path):
    torch.save({"first": RIGHT, "second": WRONG}, tmp_path / "w.pth")
    with pytest.raises(PnpError, match=r"several sets of weights.*'#first', '#second'"):
        loaded(tmp_path / "w.pth")
    assert equal(loaded(f"{tmp_path / 'w.pth'}#second"), WRONG)


def test_optimisers_and_other_states_are_not_weights(tmp_path):
    state = optimiser(RIGHT)
    for content in ({"optimizer": state}, {"optim": {"exp_avg": RIGHT}}, {"scheduler": RIGHT}):
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(PnpError, match="no named tensors"):
            read_checkpoint(tmp_path / "w.pth")


# ---------------------------------------------------------------- names of files


@pytest.mark.parametrize("suffix", [".pth.tar", ".pt.tar", ".bin", ".PTH", ".ckpt"])
@pytest.mark.parametrize("folder", ["run#3", "a#b.pth#c", "plain"])
def test_usual_suffixes_and_folders_with_a_number_sign(tmp_path, monkeypatch, suffix, folder):
    (tmp_path / folder).mkdir()
    file = tmp_path / folder / f"best{suffix}"
    torch.save(under("P", RIGHT) | under("Q", WRONG), file)
    assert equal(loaded(f"{file}#P"), RIGHT) and equal(loaded(f"{file}#Q"), WRONG)
    torch.save(RIGHT, file)
    assert equal(loaded(file), RIGHT) and equal(loaded(str(file)), RIGHT)
    pipeline = "given: [y]\nmodules:\n  P: {prior: dncnn, weights: '%s'}\nsteps: [x = P(y)]\nrepeat: 1\nreturn: x"
    (tmp_path / "p.yaml").write_text(pipeline % f"{folder}/best{suffix}")
    monkeypatch.chdir("/")
    spec = read_spec(str(tmp_path / "p.yaml"))
    assert spec.modules["P"].weights is not None and spec.modules["P"].weights.value == str(file)


# ---------------------------------------------------------------- pretrained weights


@pytest.mark.parametrize(
    "source",
    ["../../../../etc/passwd", "/etc/passwd", "usrnet-small/../x", "nothing", ".hidden", "#"],
)
@pytest.mark.parametrize("key", ["weights", "modules.P.weights"])
def test_check_refuses_what_cannot_be_weights(capsys, source, key):
    assert main(["check", "usrnet-small", "--set", f"{key}={source!r}"]) == 1
    assert "give a file that ends in .safetensors" in capsys.readouterr().err


def test_check_says_which_weights_are_not_there(capsys):
    assert main(["check", "usrnet-small", "--set", "weights=nowhere.pth"]) == 1
    said = capsys.readouterr().err
    assert "H: nowhere.pth: there is no such file" in said and "P: nowhere.pth" in said
    assert main(["check", "ikrnet", "usrnet-mini"]) == 1  # names of the manifest
    said = capsys.readouterr()
    assert "usrnet-mini: ok: " in said.out and "train them with `pnp train joint`" in said.err
    assert main(["check", "usrnet-tiny", "--random-weights"]) == 0
    assert capsys.readouterr().out.strip().endswith("; without weights: H, P")


def test_a_pretrained_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PRETRAINED", tmp_path)
    save_file(RIGHT, tmp_path / "ours.safetensors")
    digest = checkpoints.sha256(tmp_path / "ours.safetensors")
    (tmp_path / "manifest.yaml").write_text(f"ours:\n  sha256: {digest}\n")
    before = checkpoints._sha256_of.cache_info().misses
    for _ in range(3):
        assert equal(loaded("ours"), RIGHT)
    assert checkpoints._sha256_of.cache_info().misses == before + 1, "once for each file"
    save_file(WRONG, tmp_path / "ours.safetensors")
    for source in ("ours", tmp_path / "ours.safetensors"):
        with pytest.raises(PnpError, match="not the one that the package describes"):
            loaded(source)


def test_the_pretrained_weights_are_those_of_the_manifest():
    files = sorted(checkpoints.PRETRAINED.rglob("*.safetensors"))
    assert len(files) > 5
    for path in files:
        checkpoints.check_pretrained(path)


# ---------------------------------------------------------------- hostile files


def test_a_file_that_unpacks_to_too_much_is_refused_by_its_table(tmp_path, monkeypatch):
    import zipfile

    monkeypatch.setattr(limits, "LARGEST_UNPACKED", 10_000)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("the file was read"))
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000))
    with pytest.raises(PnpError, match=r"w.pth: the file of .* MB unpacks to 0\.05 MB or more"):
        read_checkpoint(tmp_path / "w.pth")


def test_large_files_that_are_not_packed_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LARGEST_UNPACKED", 10)
    torch.save(RIGHT, tmp_path / "w.pth")
    assert equal(read_checkpoint(tmp_path / "w.pth"), RIGHT)


def test_tensors_that_state_more_values_than_are_stored_are_refused(tmp_path):
    torch.save({"0.weight": torch.zeros(1).expand(10**12)}, tmp_path / "w.pth")
    with pytest.raises(PnpError, match=r"0\.weight states more values than are stored"):
        read_checkpoint(tmp_path / "w.pth")


def test_dictionaries_within_dictionaries_end(tmp_path):
    """One that holds itself, a deep one, and one that is wide at every level."""
    itself: dict[str, Any] = {"weight": torch.ones(2, 2)}
    itself["model"] = itself
    deep: dict[str, Any] = {"weight": torch.ones(2, 2)}
    wide: dict[str, Any] = {"weight": torch.ones(2, 2)}
    for _ in range(200):
        deep = {"model": deep}
    for _ in range(12):
        wide = {f"part{i}": wide for i in range(12)}
    for content in (itself, deep, wide):
        torch.save(content, tmp_path / "w.pth")
        try:
            read_checkpoint(tmp_path / "w.pth")
        except PnpError as e:
            assert "w.pth" in str(e)
