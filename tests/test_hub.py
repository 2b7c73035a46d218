"""Pipelines in folders of huggingface_hub's form, and on its hub; nothing here needs a network."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import pnp
from pnp import hub_files
from pnp.cli import main
from pnp.errors import PnpError
from pnp.headers import read_entry
from pnp.hub import HubPipeline
from pnp.images import write_image

SMALL = """\
about: A small denoiser
given: [y, sigma = E(y)]
modules:
  E: {estimator: wavelet-noise}
  P: {prior: drunet, nc: [4, 4, 4, 4], nb: 1}
after:
  - x = P(y, sigma)
return: [x, sigma]
"""
Y = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    hub_files.fetch.cache_clear()
    return tmp_path


def small():
    torch.manual_seed(0)
    Path("small.yaml").write_text(SMALL)
    return pnp.load("small.yaml", random_weights=True).eval()


def saved(to="saved", **more):
    pipeline = small()
    HubPipeline.of(pipeline, **more).save_pretrained(to)
    return pipeline


def in_cache(repository: str, revision: str = "main", commit: str = "a" * 40) -> Path:
    """A pipeline where huggingface_hub keeps what it has fetched."""
    place = Path("cache") / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / revision).write_text(commit)
    saved(place / "snapshots" / commit)
    return place / "snapshots" / commit


def test_a_folder_gives_the_pipeline_back_with_its_weights():
    pipeline = saved(licence="MIT")
    expected = pipeline(y=Y).x
    assert sorted(p.name for p in Path("saved").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    again = HubPipeline.from_pretrained("saved")
    assert torch.equal(again(y=Y).x, expected) and not again.training
    shutil.move("saved", "moved")
    for name in ("moved", "moved/", "./moved", "moved/model.safetensors"):
        assert torch.equal(pnp.load(name).eval()(y=Y).x, expected)
    assert {key.partition(".")[0] for key in load_file("moved/model.safetensors")} == {"P"}
    entry, config = (
        read_entry(Path("moved/model.safetensors")),
        Path("moved/config.json").read_text(),
    )
    assert entry["pipeline"] == json.loads(config)["pipeline"] and entry["licence"] == "MIT"
    assert again.licence == "MIT" and again.name == "small"


def test_commands_take_a_folder(capsys):
    saved()
    write_image("photo.png", Y)
    assert main(["run", "saved", "photo.png", "-o", "out"]) == 0
    assert main(["check", "saved"]) == 0 and main(["show", "saved", "--size", "32x32"]) == 0
    assert "weights: saved/model.safetensors" in capsys.readouterr().out.replace("\\", "/")


def test_what_was_learnt_after_loading_is_saved():
    saved()
    again = HubPipeline.from_pretrained("saved")
    with torch.no_grad():
        again.P.m_tail.weight.add_(1)  # type: ignore[operator,union-attr]
    again.save_pretrained("more")
    third = pnp.load("more").eval()
    assert torch.equal(third(y=Y).x, again(y=Y).x)
    assert not torch.equal(third(y=Y).x, pnp.load("saved").eval()(y=Y).x)


def test_a_card_carries_the_terms_of_the_weights_it_is_made_of():
    made = HubPipeline.of(pnp.load("usrnet-mini"))
    made.save_pretrained("saved")
    entry, card = read_entry(Path("saved/model.safetensors")), Path("saved/README.md").read_text()
    assert entry["trained"] == {"scales": [1, 2, 3, 4], "noise": 0.06}
    assert "BSDS500" in entry["data"] and entry["licence"] == "Apache-2.0"
    assert "non-commercial research and education" in card and "license: apache-2.0" in card
    assert "pnp run hf:OWNER/usrnet-mini photo.png -k KERNEL" in card and "@inproceedings" in card
    Path("saved/README.md").write_text("mine")
    made.save_pretrained("saved")
    assert Path("saved/README.md").read_text() == "mine", "what a user wrote is kept"


def test_the_hub_is_read_from_its_cache(folder):
    in_cache("owner/name")
    main_weights = pnp.load("hf:owner/name").state_dict()
    other = in_cache("owner/name", "v1.0", "b" * 40)
    changed = HubPipeline.from_pretrained(other)
    with torch.no_grad():
        changed.P.m_tail.weight.zero_()  # type: ignore[operator,union-attr]
    changed.save_pretrained(other)
    assert pnp.load("hf:owner/name@v1.0").P.m_tail.weight.abs().sum() == 0  # type: ignore[operator,union-attr]
    assert pnp.load("hf:owner/name").P.m_tail.weight.abs().sum() > 0  # type: ignore[operator,union-attr]
    assert pnp.load(f"hf:owner/name@{'b' * 40}").P.m_tail.weight.abs().sum() == 0  # type: ignore[operator,union-attr]
    assert main_weights.keys() == pnp.load("hf:owner/name").state_dict().keys()
    found = HubPipeline.from_pretrained("owner/name", revision="v1.0")
    assert found.P.m_tail.weight.abs().sum() == 0  # type: ignore[operator,union-attr]
    assert main(["check", "hf:owner/name@v1.0"]) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf:owner/nothing", "the hub cannot be reached, and the pipeline is not in its cache"),
        ("hf:owner/nothing@v2", "the hub cannot be reached"),
        ("hf:owner", "write hf:owner/name, or hf:owner/name@revision"),
        ("hf:", "write hf:owner/name"),
        ("hf:../../etc/passwd", "write hf:owner/name"),
        ("hf:owner/name@", "write hf:owner/name"),
        ("hf:owner/na--me", "hf:owner/na--me: "),
    ],
)
def test_what_is_not_there_is_one_message(name, expected, capsys):
    for command in (["check", name], ["show", name], ["run", name, "photo.png"]):
        assert main(command) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"{name}: ") and expected in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("RepositoryNotFoundError", "the hub has no such repository, or you have no access to it"),
        ("GatedRepoError", "or you have no access to it"),
        ("RevisionNotFoundError", "the repository has no revision 'v1'"),
        ("HfHubHTTPError", "the hub cannot be reached"),
    ],
)
def test_what_the_hub_refuses_is_one_message(error, expected, monkeypatch):
    from huggingface_hub import errors

    def refuse(*_, **__):
        cls = getattr(errors, error)
        raise cls.__new__(cls)  # without a response of the hub, which the constructor needs

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(PnpError, match=expected):
        pnp.load("hf:owner/name@v1")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{", "config.json is no configuration of pnp"),
        ("[]", "it is no map with a 'pipeline'"),
        ('{"pipeline": 3}', "it is no map with a 'pipeline'"),
        (
            '{"model_type": "bert"}',
            "config.json names no pipeline of pnp; is it of another program?",
        ),
        (json.dumps({"pipeline": "#" * 200_000}), "the limit is 100"),
        (json.dumps({"pipeline": SMALL + "freeze: [Q]\n"}), "Q"),
        (
            json.dumps({"pipeline": SMALL.replace("nb: 1", "nb: 1, weights: ../w.safetensors")}),
            "../w.safetensors is another file",
        ),
        (json.dumps({"pipeline": "extends: /etc/x.yaml"}), "which is no name of a pipeline"),
        (json.dumps({"pipeline": SMALL}), "P: the prior drunet is a network, but no weights"),
    ],
)
def test_folders_of_others_are_read_safely(config, expected):
    saved()
    Path("saved/config.json").write_text(config)
    with pytest.raises(PnpError) as caught:
        pnp.load("saved")
    assert expected in str(caught.value) and str(caught.value).startswith("saved")


def test_folders_that_lack_a_file_are_one_message(folder):
    saved()
    Path("saved/model.safetensors").unlink()
    with pytest.raises(PnpError, match=r"saved: this folder has no config.json with model.safeten"):
        HubPipeline.from_pretrained("saved")
    with pytest.raises(PnpError, match=r"saved: this is a folder; name a pipeline file"):
        pnp.load("saved")
    (in_cache("owner/name") / "config.json").unlink()
    with pytest.raises(PnpError, match=r"holds no pipeline of pnp: it has no config.json"):
        pnp.load("hf:owner/name")
    Path("file").write_text("")
    with pytest.raises(PnpError, match="file"):
        HubPipeline.of(small()).save_pretrained("file")


def test_pushing_uploads_the_folder(monkeypatch):
    seen = {}

    def create(self, repo_id, **more):
        return type("Url", (), {"repo_id": repo_id})

    def upload(self, *, repo_id, folder_path, **more):
        seen[repo_id] = {p.name: p.read_bytes() for p in Path(folder_path).iterdir()}
        return "done"

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", create)
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", upload)
    pipeline = small()
    assert HubPipeline.of(pipeline).push_to_hub("owner/mine", private=True) == "done"
    assert b"pnp run hf:owner/mine photo.png" in seen["owner/mine"]["README.md"]
    Path("got").mkdir()
    for name, content in seen["owner/mine"].items():
        (Path("got") / name).write_bytes(content)
    assert torch.equal(pnp.load("got").eval()(y=Y).x, pipeline(y=Y).x)


def test_pushing_without_a_network_is_one_message():
    with pytest.raises(
        PnpError, match=r"hf:owner/mine: not pushed \(.*log in with `hf auth login`"
    ):
        HubPipeline.of(small()).push_to_hub("owner/mine")


def test_networks_of_other_programs_are_not_saved():
    pipeline = small()
    pipeline.P.adopt = None  # type: ignore[assignment]
    with pytest.raises(PnpError, match="P: the prior drunet is a network of another program"):
        HubPipeline.of(pipeline)
