"""Files of weights say in their headers what they are, and run the pipeline that they name."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from weights_page import rename

import pnp
from pnp.cards import PAGE, TERMS, card, page
from pnp.checkpoints import PRETRAINED, manifest, sha256
from pnp.cli import main
from pnp.errors import PnpError
from pnp.headers import (
    CHECKSUMS,
    metadata_of,
    read_entry,
    read_metadata,
    tensors_digest,
    write_metadata,
)
from pnp.images import read_image, write_image
from pnp.language.reader import PIPELINES, read_spec
from pnp.training.shipping import describe_all, pipeline_with, read_manifest

ROOT = Path(__file__).parent.parent
SHIPPED = [name for name, entry in manifest().items() if "sha256" in entry]
WITHOUT_PIPELINE = ("blur-width",)
"""They restore nothing: `pnp.reduction` uses them."""
SMALL = "{prior: drunet, nc: [4, 4, 4, 4], nb: 1, weights: model.safetensors}"
EMBEDDED = f"given: [y]\nmodules:\n  P: {SMALL}\nafter:\n  - x = P(y, 0.1)\nreturn: [x]\n"
ENTRY: dict[str, Any] = {
    "version": "0.1.0",
    "recipe": "mine",
    "data": "one image",
    "steps": 3,
    "batch": "8, then 4",
    "minutes": 1,
    "licence": "CC0-1.0",
    "measured": {"psnr": 20.5},
    "trained": {"scales": [1], "noise": 0.1},
    "modules": {"P": {"prior": "drunet", "channels": 3, "nc": [4, 4, 4, 4], "nb": 1}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    return tmp_path


def made(file="w.safetensors", seed=0, **said):
    """A file with a small denoiser and what its header says."""
    torch.manual_seed(seed)
    network = pnp.priors.build("drunet", nc=[4] * 4, nb=1)
    state = {f"P.{key}": value for key, value in network.state_dict().items()}
    save_file(state, file, metadata=metadata_of("mine", ENTRY | said))
    return Path(file)


# ---------------------------------------------------------------- headers


def test_a_header_says_what_it_was_given_and_keeps_every_byte_of_the_tensors():
    path = made()
    before, digest = load_file(path), tensors_digest(path)
    tail = path.read_bytes()[-1000:]
    assert write_metadata(path, metadata_of("other", {**ENTRY, "sha256": "0", "pipeline": "ä\nb"}))
    assert read_entry(path) == {**ENTRY, "name": "other", "pipeline": "ä\nb"}
    after = load_file(path)
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    assert path.read_bytes()[-1000:] == tail and tensors_digest(path) == digest
    content = path.read_bytes()
    assert not write_metadata(path, metadata_of("other", {**ENTRY, "pipeline": "ä\nb"}))
    assert path.read_bytes() == content and (int.from_bytes(content[:8], "little") + 8) % 8 == 0


def test_the_digest_is_that_of_names_types_shapes_and_values():
    base = {"a": torch.zeros(2, 3), "b": torch.ones(2)}
    changes = {
        "value": base | {"b": torch.tensor([1.0, 2.0])},
        "name": {"a": base["a"], "c": base["b"]},
        "shape": base | {"a": torch.zeros(3, 2)},
        "type": base | {"a": torch.zeros(2, 3, dtype=torch.int32)},
        "none": dict(reversed(base.items())),
    }
    save_file(base, "base.safetensors")
    digests = {}
    for kind, tensors in changes.items():
        save_file(tensors, f"{kind}.safetensors", metadata={"said": kind})
        digests[kind] = tensors_digest(Path(f"{kind}.safetensors"))
    assert digests.pop("none") == tensors_digest(Path("base.safetensors"))
    assert len({*digests.values(), tensors_digest(Path("base.safetensors"))}) == 5
    torch.save(base, "a.pth")
    assert tensors_digest(Path("a.pth")) == sha256(Path("a.pth"))


@pytest.mark.parametrize("name", SHIPPED)
def test_headers_and_manifest_agree(name):
    path = PRETRAINED / f"{name}.safetensors"
    entry = {key: value for key, value in manifest()[name].items() if key not in CHECKSUMS}
    assert read_entry(path) == {"name": name, **entry}
    assert read_metadata(path) == metadata_of(name, manifest()[name])
    needed = {"version", "recipe", "data", "steps", "minutes", "licence", "measured"}
    needed |= set() if name in WITHOUT_PIPELINE else {"pipeline"}
    assert needed | {"trained", "modules"} <= set(entry)


def test_describing_writes_headers_and_checksums_and_then_nothing():
    folder = Path("weights")
    folder.mkdir()
    made("weights/denoise-mine.safetensors")
    other = {"recipe": "joint"}
    before: dict[str, Any] = {
        "denoise-mine": {"sha256": "0", **ENTRY, "licence": "MIT"},
        "ikrnet/P": other,
    }
    before["denoise-mine"].pop("modules")
    (folder / "manifest.yaml").write_text(yaml.safe_dump(before))
    assert describe_all(folder) == ["denoise-mine"]
    entry = read_manifest(folder)["denoise-mine"]
    path = folder / "denoise-mine.safetensors"
    assert entry["sha256"] == sha256(path) and entry["modules"] == ENTRY["modules"]
    assert read_entry(path)["licence"] == "MIT" and read_manifest(folder)["ikrnet/P"] == other
    content = (folder / "manifest.yaml").read_bytes()
    assert describe_all(folder) == [] and (folder / "manifest.yaml").read_bytes() == content
    assert describe_all() == [], "`make weights` writes them"


def test_rows_are_renamed_from_files_to_tensors(folder):
    rows = folder / "rows.csv"
    known = {"a" * 64: "b" * 64, "c" * 64: "d" * 64}
    rows.write_text(f"w v,{'a' * 12} {'c' * 12},{'e' * 12}\n{'a' * 64},{'f' * 64},{'a' * 13}\n")
    assert rename(rows, known) and not rename(rows, known)
    said = f"w v,{'b' * 12} {'d' * 12},{'e' * 12}\n{'b' * 64},{'f' * 64},{'a' * 13}\n"
    assert rows.read_text() == said


def test_the_pipeline_of_weights_is_one_that_reads_them():
    assert pipeline_with("usrnet-mini") == "usrnet-mini"
    assert pipeline_with("drunet-small") == "denoise"
    assert pipeline_with("nothing") is None


# ---------------------------------------------------------------- run, check, show


@pytest.mark.parametrize("name", [n for n in SHIPPED if n not in WITHOUT_PIPELINE])
def test_the_pipeline_of_each_shipped_file_reads_that_file(name):
    path = PRETRAINED / f"{name}.safetensors"
    spec = read_spec(str(path))
    sources = {m.weights.value for m in spec.modules.values() if m.weights is not None}
    sources |= {spec.weights.value} if spec.weights is not None else set()
    assert str(path) in sources and name not in sources


def test_a_file_runs_the_pipeline_that_it_names(capsys):
    """The same image as that of the pipeline with the file as its weights."""
    made(pipeline="denoise", name="drunet-small")
    sizes = ["--set", "modules.P.nc=[4,4,4,4]", "--set", "modules.P.nb=1"]
    network = "--set=modules.P={prior: drunet, nc: [4, 4, 4, 4], nb: 1, weights: w.safetensors}"
    assert main(["run", "w.safetensors", "photo.png", "-o", "a", *sizes]) == 0
    assert main(["run", "denoise", "photo.png", "-o", "b", network]) == 0
    images = [read_image(f"{f}/photo_x1.png").pixels for f in "ab"]
    assert torch.equal(*images)
    record = json.loads(Path("a/photo_x1.json").read_text())
    assert record["weights"] == {"w.safetensors": tensors_digest(Path("w.safetensors"))}
    capsys.readouterr()
    assert main(["check", "w.safetensors", *sizes]) == 0
    assert capsys.readouterr().out.startswith("w.safetensors: ok: (y, [sigma]) -> x, sigma")
    assert main(["run", "--again", "a/photo_x1.json"]) == 0
    write_metadata(
        Path("w.safetensors"), {**read_metadata(Path("w.safetensors")), "pnp.steps": "4"}
    )
    assert main(["check", "w.safetensors", *sizes]) == 0


def test_an_embedded_pipeline_runs_wherever_the_file_is(folder):
    made(pipeline=EMBEDDED)
    (folder / "elsewhere").mkdir()
    Path("w.safetensors").rename("elsewhere/renamed.safetensors")
    pipeline = pnp.load("elsewhere/renamed.safetensors")
    y = read_image("photo.png").pixels
    expected = pipeline.parts["P"](y, torch.full((1, 1, 1, 1), 0.1))
    assert torch.equal(pipeline(y=y).x, expected)
    Path("over.yaml").write_text("extends: elsewhere/renamed.safetensors\nafter: ['x = P(y, 0)']\n")
    assert not torch.equal(pnp.load("over.yaml")(y=y).x, expected)
    assert main(["check", "elsewhere/renamed.safetensors", "--set", "modules.P.nb=1"]) == 0


def test_parts_of_a_file_stay_parts():
    text = EMBEDDED.replace("model.safetensors", "'any.safetensors#P'")
    made(pipeline=text)
    spec = read_spec("w.safetensors")
    assert spec.modules["P"].weights is not None
    assert spec.modules["P"].weights.value == "w.safetensors#P"


def test_overlays_and_bases_of_a_named_pipeline_are_layers_once():
    path = PRETRAINED / "ikrnet-small.safetensors"
    spec = read_spec(str(path), overlays=["denoise-ikrnet"])
    same = read_spec("ikrnet-small", overlays=["denoise-ikrnet"])
    assert set(spec.modules) == set(same.modules) and spec.before == same.before


def test_show_prints_the_card_and_then_the_pipeline(capsys):
    made(pipeline=EMBEDDED)
    assert main(["show", "w.safetensors", "--size", "32x32"]) == 0
    out = capsys.readouterr().out
    assert "#   licence" in out and "CC0-1.0" in out and "noise up to 10 %" in out
    Path("shown.yaml").write_text(out)
    spec = read_spec("shown.yaml")
    assert spec.document.plain() == read_spec("w.safetensors").document.plain()
    made(pipeline=EMBEDDED, data="\x1b[31mred|green")
    assert "\x1b" not in card(Path("w.safetensors"))
    assert main(["show", "weights:ikrnet-small"]) == 0 and main(["show", "drunet-small"]) == 0
    assert "prior kernel-update" in " ".join(capsys.readouterr().out.split())
    made()
    assert main(["show", "w.safetensors"]) == 0
    assert capsys.readouterr().out.startswith("w: DRUNet")


# ---------------------------------------------------------------- bad headers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dpirr", "it names the pipeline 'dpirr', which is not here; did you mean 'dpir'?"),
        ("[1, 2]", "a pipeline is a map of keys, or a name"),
        ("extends: ./mine.yaml", "it extends './mine.yaml', which is no name of a pipeline"),
        ("extends: [denoise, ../x.yaml]", "it extends '../x.yaml', which is no name"),
        ("extends: w.safetensors", "it extends 'w.safetensors', which is no name"),
        ("extends: {a: 1}", "it extends {'a': 1}, which is no name"),
        (EMBEDDED.replace("model", "/other/model"), "/other/model.safetensors is another file"),
        (EMBEDDED.replace("model", "..\\model"), "model.safetensors is another file"),
        (EMBEDDED.replace("weights: model", "weights: a/b.pth#model"), "a/b.pth"),
        (
            EMBEDDED.replace(SMALL, "{prior: deepinv, denoiser: DRUNet, weights: m.safetensors}"),
            "P: the prior deepinv downloads or reads what its options name",
        ),
        ("extends: denoise\n", "reads no weights called 'mine'"),
        ("hqs-tv", "reads no weights called 'mine'"),
        ("given: &a [y]\n", "anchors (&) and aliases (*) are not part of the language"),
        ("about: !!python/name:os.system ''", "is not part of the language"),
        ("#" * 200_000, "its header has 200 kB of text, the limit is 100 kB"),
    ],
)
def test_pipelines_of_others_name_no_file_and_run_no_code(folder, text, expected):
    made(pipeline=text)
    (folder / "mine.yaml").write_text("extends: denoise\n")
    with pytest.raises(PnpError) as caught:
        pnp.load("w.safetensors")
    assert expected in str(caught.value) and "w.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("modules", "{"),
        ("modules", "[1]"),
        ("modules", '{"P": 1}'),
        ("steps", '"many"'),
        ("measured", '{"psnr": "high"}'),
        ("trained", '{"scales": 2}'),
        ("trained", '{"noise": "low"}'),
        ("batch", "null"),
        ("pipeline", " "),
        ("modules", "[" * 50_000),
    ],
)
def test_damaged_headers_are_one_message_and_the_weights_are_still_weights(key, text, capsys):
    made(pipeline=EMBEDDED)
    metadata = read_metadata(Path("w.safetensors"))
    write_metadata(Path("w.safetensors"), {**metadata, f"pnp.{key}": text})
    for command in (["run", "w.safetensors", "photo.png"], ["show", "w.safetensors"]):
        assert main(command) == 1
        err = capsys.readouterr().err
        assert f"w.safetensors: its header is damaged: pnp.{key}" in err
    module = pnp.priors.build("drunet", nc=[4] * 4, nb=1)
    pnp.load_weights(module, "w.safetensors", symbol="P")
    assert not Path("restored").exists()


# ---------------------------------------------------------------- cards


def test_the_page_of_the_weights_is_made_from_their_headers():
    text = page()
    assert (ROOT / "docs" / "weights.md").read_text() == text, "`make weights` writes it"
    assert text.startswith(PAGE.partition("\n")[0])
    assert all(f"\n## {name}\n" in text for name in SHIPPED)


def test_terms_of_the_images_are_on_the_card_of_what_was_trained_with_them():
    made(data="399 images of BSDS500", licence="MIT")
    text = " ".join(card(Path("w.safetensors")).split())
    assert "non-commercial research and education" in text
    assert "The licence of the weights, MIT, is for the numbers" in text
    made(data="my holidays")
    assert "non-commercial" not in card(Path("w.safetensors"))
    for name in SHIPPED:
        assert any(word in manifest()[name]["data"] for word in TERMS)


def test_every_pipeline_that_a_manifest_names_is_there():
    for name in SHIPPED:
        text = manifest()[name].get("pipeline", "")
        assert (text == "") == (name in WITHOUT_PIPELINE)
        assert text in PIPELINES.names() or "weights" in text or name in WITHOUT_PIPELINE


# ---------------------------------------------------------------- parts for other programs


def test_a_part_is_written_without_its_prefix(capsys):
    made(pipeline=EMBEDDED)
    assert main(["convert", "w.safetensors", "--part", "P", "-o", "p.safetensors"]) == 0
    network = pnp.priors.build("drunet", nc=[4] * 4, nb=1)
    part = load_file("p.safetensors")
    assert part.keys() == network.state_dict().keys()
    assert all(torch.equal(v, load_file("w.safetensors")[f"P.{k}"]) for k, v in part.items())
    entry = read_entry(Path("p.safetensors"))
    assert entry["licence"] == "CC0-1.0" and entry["modules"] == ENTRY["modules"]
    assert "pipeline" not in entry
    for options in ([], ["--part", "P"]):
        for target in ("1.safetensors", "2.safetensors"):
            assert main(["convert", "w.safetensors", target, *options]) == 0
        assert Path("1.safetensors").read_bytes() == Path("2.safetensors").read_bytes()
    capsys.readouterr()
    assert main(["convert", "usrnet-mini", "--part", "Q", "-o", "q.safetensors"]) == 1
    assert capsys.readouterr().err == "usrnet-mini: the file has no part 'Q'; its parts: H, P\n"
    assert main(["convert", "w.safetensors", "--part", "P"]) == 1
    assert main(["convert", "w.safetensors", "a.safetensors", "-o", "b.safetensors"]) == 1
    assert not [*Path().glob("[qab].safetensors")]


def test_spandrel_knows_the_denoiser_of_the_package():
    spandrel = pytest.importorskip("spandrel")
    assert main(["convert", "drunet-small", "--part", "P", "-o", "p.safetensors"]) == 0
    found = spandrel.ModelLoader().load_from_file("p.safetensors")
    assert found.architecture.id == "DRUNet" and found.scale == 1
