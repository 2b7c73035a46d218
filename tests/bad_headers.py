"""The table of bad inputs: headers of weights, parts of them, folders of the hub."""

from __future__ import annotations

import json

import safetensors.torch
import torch
from bad_inputs import Area, Kind, ok

STATE = {"P.a": torch.ones(2), "H.b": torch.ones(2)}
BICUBIC = "given: [y, s]\nmodules: {U: {initializer: bicubic}}\nstart: ['x = U(y, s)']\nreturn: x\n"
NETWORK = "extends: denoise\nmodules:\n  P: {prior: drunet, weights: %s}\n"


def file(**said: str) -> bytes:
    """A .safetensors file whose header says this, by key of pnp."""
    metadata = {f"pnp.{key}": text for key, text in said.items()}
    return safetensors.torch.save(STATE, metadata=metadata)


def header(given: str, says: str, **said: str) -> Kind:
    """A file of weights that is run as a pipeline."""
    files = {"w.safetensors": file(**said)}
    return Kind(given, "run w.safetensors photo.png", says, files)


def pipeline(given: str, text: str, says: str) -> Kind:
    """A pipeline in a header."""
    return header(given, says, name="mine", pipeline=text)


def saved(config: str) -> dict[str, str | bytes]:
    """A folder of huggingface_hub's form."""
    return {"folder/config.json": config, "folder/model.safetensors": file()}


def hub(given: str, config: str, says: str) -> Kind:
    """A folder whose configuration is bad."""
    return Kind(given, "run folder photo.png", says, saved(config))


HEADERS: Area = Area(
    "Headers of weights, and the hub",
    "A file of weights is run as its header says. Headers and folders may be written by others: "
    "they run no code and name no other file. The hub is out of reach here.",
    (
        header("weights without a header", "its header names no pipeline of pnp; write: pnp run"),
        Kind(
            "weights of another program",
            "run w.safetensors photo.png",
            "its header names no pipeline of pnp; write: pnp run PIPELINE IMAGE --set weights=w",
            {"w.safetensors": safetensors.torch.save(STATE, metadata={"modelspec.title": "a"})},
        ),
        Kind(
            "weights that have no header",
            "run w.pth photo.png",
            "only the header of a .safetensors file can name a pipeline",
            {"w.pth": lambda path: torch.save(STATE, path)},
        ),
        Kind(
            "weights that are not there",
            "run w.safetensors photo.png",
            "w.safetensors: there is no such file of weights",
        ),
        Kind(
            "a header that is cut off",
            "run w.safetensors photo.png",
            "w.safetensors: not a readable checkpoint",
            {"w.safetensors": file(pipeline="denoise")[:40]},
        ),
        header(
            "modules without a pipeline",
            "its header names no pipeline, only modules (prior 'drunet')",
            modules=json.dumps({"P": {"prior": "drunet"}}),
        ),
        header(
            "modules that are no JSON",
            "its header is damaged: pnp.modules is '{'",
            pipeline="denoise",
            modules="{",
        ),
        header(
            "steps that are a word",
            "its header is damaged: pnp.steps is",
            pipeline="denoise",
            steps='"a"',
        ),
        header(
            "a range that is a number",
            "its header is damaged: pnp.trained is '3'",
            pipeline="denoise",
            trained="3",
        ),
        header("200 kB of text", "its header has 200 kB of text", pipeline="#" * 200_000),
        pipeline(
            "an unknown pipeline", "denoisee", "it names the pipeline 'denoisee', which is not"
        ),
        pipeline("a pipeline that does not read the weights", "hqs-tv", "reads no weights called"),
        pipeline("a list as pipeline", "[1]", "a pipeline is a map of keys, or a name"),
        pipeline("a tag that would run code", "a: !!python/name:os.system x", "the tag"),
        pipeline("a mistake", BICUBIC + "weights: m.safetensors\nretrun: x\n", "'retrun'"),
        pipeline(
            "a pipeline that extends a file", "extends: ./tv.yaml", "which is no name of a pipeline"
        ),
        pipeline(
            "weights in another folder",
            NETWORK % "../a.safetensors",
            "../a.safetensors is another file, which a pipeline in a header",
        ),
        pipeline(
            "a prior that reads what its options name",
            NETWORK.replace("drunet", "deepinv, denoiser: DRUNet") % "a.safetensors",
            "downloads or reads what its options name",
        ),
        pipeline("weights that do not fit", NETWORK % "a.safetensors", "do not fit DRUNet"),
        Kind(
            "a card of weights that say nothing",
            "show w.safetensors",
            "its header says nothing of pnp, so there is no card",
            {"w.safetensors": file()},
        ),
        Kind("a card of nothing", "show weights:nothing", "the package has no weights called"),
        Kind(
            "a part that is not there",
            "convert w.safetensors --part Q -o q.safetensors",
            "w.safetensors: the file has no part 'Q'; its parts: H, P",
            {"w.safetensors": file()},
        ),
        Kind(
            "no target",
            "convert w.safetensors --part P",
            "give the name of the file once",
            {"w.safetensors": file()},
        ),
        Kind(
            "two targets",
            "convert w.safetensors a.safetensors -o b.safetensors",
            "give the name of the file once",
            {"w.safetensors": file()},
        ),
        hub("a configuration that is cut off", "{", "config.json is no configuration of pnp"),
        hub("a configuration of another program", '{"a": 1}', "names no pipeline of pnp"),
        hub(
            "a configuration whose pipeline is a number",
            '{"pipeline": 1}',
            "it is no map with a 'pipeline'",
        ),
        hub("200 kB of configuration", json.dumps({"a": "b" * 200_000}), "the limit is 100"),
        hub(
            "a configuration that names another file",
            json.dumps({"pipeline": NETWORK % "/a.safetensors"}),
            "/a.safetensors is another file",
        ),
        ok(
            "a folder with a good configuration",
            "check folder",
            "folder: ok",
            files=saved(json.dumps({"pipeline": BICUBIC})),
        ),
        Kind("a repository out of reach", "run hf:a/b photo.png", "the hub cannot be reached"),
        Kind("half a name of a repository", "run hf:a photo.png", "write hf:owner/name, or"),
        Kind("a repository that is a path", "check hf:../../etc", "write hf:owner/name, or"),
        Kind("a revision that is empty", "check hf:a/b@", "write hf:owner/name, or"),
        Kind(
            "a folder without weights",
            "pnp.hub.HubPipeline.from_pretrained('folder')",
            "this folder has no config.json with model.safetensors beside it",
            {"folder/config.json": "{}"},
        ),
        Kind(
            "a push without a network",
            "pnp.hub.HubPipeline.of(pnp.load('tv.yaml')).push_to_hub('a/b')",
            "hf:a/b: not pushed",
        ),
        Kind(
            "a folder to save in that is a file",
            "pnp.hub.HubPipeline.of(pnp.load('tv.yaml')).save_pretrained(Path('k.npy'))",
            "k.npy",
        ),
    ),
)
