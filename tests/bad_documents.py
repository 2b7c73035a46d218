"""The table of bad inputs: pipelines, recipes, weights, plugins."""

from __future__ import annotations

import torch
from bad_files import (
    PAGE,
    PIXELS,
    POINTER,
    checkpoint,
    folder,
    picture,
    program,
    quantised,
    safetensors_header,
    tensors,
    torchscript,
    zip_bomb,
    zipped,
)
from bad_inputs import Area, Content, Kind, note, ok

GOOD = "given: [y, s]\nmodules: {U: {initializer: bicubic}}\nstart: ['x = U(y, s)']\nreturn: x\n"


def document(given: str, text: str | bytes, says: str) -> Kind:
    """A file that is no good pipeline."""
    return Kind(given, "run a.yaml photo.png -s 2", says, {"a.yaml": text})


def changed(given: str, old: str, new: str, says: str) -> Kind:
    """A good pipeline with one text replaced."""
    assert old in GOOD
    return document(given, GOOD.replace(old, new), says)


def line(given: str, text: str, says: str) -> Kind:
    """`hqs-tv` with one line."""
    call = "run a.yaml photo.png -k k.npy"
    return Kind(given, call, says, {"a.yaml": f"extends: hqs-tv\n{text}\n"})


CHAIN = {f"{i}.yaml": f"extends: ./{i + 1}.yaml\n" for i in range(150)}

DOCUMENTS: Area = Area(
    "Pipelines",
    "Each problem is reported with its file and line, all of a file at once.",
    (
        document("an empty file", "", "a.yaml: the file is empty"),
        document("a comment alone", "# nothing\n", "the file is empty"),
        document("bytes", b"\xff\xfe\x00\x01", "not a text file: byte 0 is not UTF-8"),
        document("UTF-16", GOOD.encode("utf-16"), "not a text file"),
        document("a picture", picture(), "not a text file"),
        document("a control character", "about: \x07", "the character #x0007 is not allowed"),
        document("a NUL", "about: \0", "the character #x0000 is not allowed"),
        document("a word", "hello", "a pipeline is a map of keys"),
        document("a list", "- 1\n- 2\n", "a pipeline is a map of keys"),
        document("brackets that are not closed", "a: [1", "this is not YAML"),
        document("a tab as indentation", "modules:\n\tU: 1\n", "indent with spaces"),
        document("two documents", f"{GOOD}---\n{GOOD}", "a second document starts here"),
        document("a key twice", f"{GOOD}return: x\n", "'return' is written twice"),
        document("a list as key", "? [a]\n: b\n", "a key must be plain text"),
        document("an anchor", "a: &a 1\nb: *a\n", "anchors (&) and aliases (*) are not part"),
        document(
            "an object of Python", "a: !!python/object:os.system 1", "is not part of the language"
        ),
        document("values nested 100 deep", "a: " + "[" * 100, "nested more than 20 levels deep"),
        document("brackets nested 10000 deep", "[" * 10000, "nested more than 20 levels deep"),
        document("10 MB of keys", "key: 1\n" * 1_500_000, "has 10.5 MB, but the limit is 100 kB"),
        document("a key without a value", f"{GOOD}repeat:\n", "'repeat' has no value"),
        document(
            "a colon without a space after it",
            GOOD.replace("initializer: bicubic", "initializer:bicubic"),
            "write 'initializer: bicubic', with a space after ':'",
        ),
        document(
            "a step with a comma, without quotes, in a list in brackets",
            GOOD.replace("start: ['x = U(y, s)']", "stages:\n  - start: [x = U(y, s)]"),
            "inside [...] a comma ends a step",
        ),
        document("a key that does not exist", f"{GOOD}repaet: 2\n", "did you mean 'repeat'?"),
        document(
            "a number of 400 digits",
            f"{GOOD}repeat: {'9' * 400}\n",
            "repeat should be a whole number of at least 1, not inf",
        ),
        document(
            "a number of 5000 digits",
            f"{GOOD}repeat: {'9' * 5000}\n",
            "repeat should be a whole number of at least 1, not inf",
        ),
        changed(
            "nothing but what is given",
            "start: ['x = U(y, s)']\n",
            "",
            "'x' is returned, but no step gives it",
        ),
        changed("nothing returned", "return: x\n", "", "nothing is returned"),
        changed(
            "a variable that no step makes, returned",
            "return: x",
            "return: z",
            "'z' is returned, but no step gives it",
        ),
        changed(
            "a variable before it is made",
            "U(y, s)",
            "U(z, s)",
            "'z' is used before it has a value",
        ),
        changed("too few inputs", "U(y, s)", "U(y)", "U needs 2 inputs, but has 1 here"),
        changed("too many inputs", "U(y, s)", "U(y, s, s)", "U needs 2 inputs, but has 3 here"),
        changed(
            "inputs in the wrong order",
            "U(y, s)",
            "U(s, y)",
            "U needs image as 'y', but s is number",
        ),
        changed("a step that is no equation", "x = U(y, s)", "U(y, s)", "this is not a step"),
        changed("brackets in a step", "x = U(y, s)", "x = U(y, s", "this is not a step"),
        changed("Python in a step", "x = U(y, s)", 'x = __import__("os")', "this is not a step"),
        changed("a symbol without a module", "U(y, s)", "V(y, s)", "there is no module 'V'"),
        changed(
            "a module without a kind",
            "{initializer: bicubic}",
            "{bicubic: 1}",
            "U does not say what it is",
        ),
        changed(
            "a kind that does not exist",
            "initializer: bicubic",
            "initialiser: bicubic",
            "did you mean 'initializer'?",
        ),
        changed("a module that does not exist", "bicubic", "bicubicc", "did you mean 'bicubic'?"),
        changed(
            "a module of another kind",
            "initializer: bicubic",
            "prior: bicubic",
            "it is an initializer: write 'U: {initializer: bicubic}'",
        ),
        changed(
            "an option that does not exist",
            "bicubic",
            "bicubic, size: 3",
            "U: there is no option 'size'",
        ),
        changed("an empty module", "{initializer: bicubic}", "{}", "U does not say what it is"),
        changed("a given variable twice", "[y, s]", "[y, s, s]", "'s' is given twice"),
        changed(
            "a given variable of a wrong name",
            "[y, s]",
            "[y, s, 2z]",
            "'2z' is not the name of a variable",
        ),
        changed("no observation", "[y, s]", "[s]", "'y' is used before it has a value"),
        changed("an index without a loop", "U(y, s)", "U(y[i], s)", "'i' exists only in a loop"),
        line("no iterations", "repeat: 0", "repeat should be a whole number of at least 1, not 0"),
        line(
            "too many iterations",
            "repeat: 1000000000",
            "repeat should be a whole number of at most 1000000",
        ),
        line("no steps", "steps: []", "steps is empty"),
        line(
            "a swap without a range",
            "swap: {often: {P: P}}",
            "'often' does not say which iterations",
        ),
        line(
            "a swap beyond the iterations",
            "swap: {last 99: {P: D}}",
            "'last 99' exceeds the loop, which has 12 iterations",
        ),
        line("a removed module that is needed", "modules: {D: null}", "there is no module 'D'"),
        line(
            "an option out of range",
            "modules: {P: {strength: -1}}",
            "P: strength is -1, but should be a number above 0",
        ),
        line(
            "an option of the wrong type",
            "modules: {P: {iterations: many}}",
            "P: iterations is 'many', but should be a whole number",
        ),
        line("an infinite option", "modules: {P: {strength: .inf}}", "strength is inf"),
        line("an option of NaN", "modules: {P: {strength: .nan}}", "strength is nan"),
        line("a list as option", "modules: {P: {strength: [1]}}", "strength is [1]"),
        line("a citation that does not exist", "cite: nobody2020nothing", "nobody2020nothing"),
        line(
            "weights of a module that has none",
            "modules: {P: {weights: usrnet-mini}}",
            "usrnet-mini are no weights of the prior tv",
        ),
        Kind(
            "a pipeline that extends itself",
            "run a.yaml photo.png",
            "extends itself",
            {"a.yaml": "extends: ./a.yaml\n"},
        ),
        Kind(
            "two pipelines that extend each other",
            "run a.yaml photo.png",
            "extends itself",
            {"a.yaml": "extends: ./b.yaml\n", "b.yaml": "extends: ./a.yaml\n"},
        ),
        Kind(
            "a chain of 150 files",
            "run 0.yaml photo.png",
            "files extend each other through more than 50 files",
            CHAIN,
        ),
        Kind(
            "a base that does not exist",
            "run a.yaml photo.png",
            "there is no pipeline called 'nothing'",
            {"a.yaml": "extends: nothing\n"},
        ),
        Kind(
            "a base that is a recipe",
            "run a.yaml photo.png",
            "there is no pipeline called 'joint'",
            {"a.yaml": "extends: joint\n"},
        ),
        line("variants that are no map", "variants: 3", "'variants' should state for each overlay"),
        line(
            "variants of an overlay that does not exist",
            "variants: {nothing: {repeat: 8}}",
            "there is no pipeline called 'nothing'",
        ),
        Kind("a folder", "run a.yaml photo.png", "a.yaml", {"a.yaml": folder}),
        Kind(
            "weights outside of the package",
            "check a.yaml",
            "give a file that ends in",
            {"a.yaml": "extends: usrnet-mini\nweights: ../../../../etc/passwd\n"},
        ),
        Kind(
            "a recipe in place of a pipeline",
            "run a.yaml photo.png",
            "a pipeline has no key 'pipeline'",
            {"a.yaml": "pipeline: bicubic\ntrain: [U]\n"},
        ),
        Kind(
            "a comparison of nothing",
            "check a.yaml",
            "methods should be a map of pipelines",
            {"a.yaml": "methods: {}\n"},
        ),
        ok(
            "yes and no are text",
            "check a.yaml",
            "a.yaml: ok",
            files={"a.yaml": GOOD + "about: yes\n"},
        ),
        ok("a byte order mark", "check a.yaml", "a.yaml: ok", files={"a.yaml": "\ufeff" + GOOD}),
        ok(
            "line ends of Windows",
            "check a.yaml",
            "a.yaml: ok",
            files={"a.yaml": GOOD.replace("\n", "\r\n")},
        ),
    ),
)

COMPARED: dict[str, Content] = {"images/a.png": picture()}


def comparison(
    given: str, says: str, keys: str = "", methods: str = "b: {pipeline: bicubic}"
) -> Kind:
    """A comparison of nearly nothing, with other keys or methods."""
    own = {"data": "{folder: images}", "scales": "[2]", "sigmas": "[0]"}
    base = "".join(f"{k}: {v}\n" for k, v in own.items() if not keys.startswith(f"{k}:"))
    text = f"about: mine\n{base}{keys}\nmethods: {{{methods}}}\n"
    return Kind(given, "compare a.yaml", says, {"a.yaml": text, **COMPARED})


def extending(given: str, value: str, says: str) -> Kind:
    """A file that extends something else than a comparison."""
    return Kind(given, "compare a.yaml", says, {"a.yaml": f"extends: {value}\n", **COMPARED})


COMPARISONS: Area = Area(
    "Comparisons",
    "Descriptions for `pnp compare`, and `--set` without one.",
    (
        extending("a comparison that extends itself", "./a.yaml", "extends itself"),
        extending("a number as base", "3", "extends should be a pipeline: a name, a file, or a"),
        extending("a list of numbers as base", "[3]", "extends should be a pipeline: a name"),
        comparison("no scales", "scales is empty", "scales: []"),
        comparison("no noise levels", "sigmas is empty", "sigmas: []"),
        comparison("no metrics", "metrics is empty", "metrics: []"),
        comparison("no groups of kernels", "kernels: groups is empty", "kernels: {groups: {}}"),
        comparison(
            "a group without kernels beside another",
            "kernels: the group 'none' is empty",
            "kernels: {groups: {one: [delta], none: []}}",
        ),
        comparison("changes that are a number", "set is 3, but should be a map", "set: 3"),
        comparison(
            "a name as otherwise",
            "a: otherwise should be a map of keys",
            methods="a: {pipeline: bicubic, otherwise: hqs-tv}",
        ),
        comparison(
            "a pattern with an attribute",
            "words in braces: image, scale, kernel, sigma",
            methods="a: {external: images, pattern: '{image.stem}.png'}",
        ),
        comparison(
            "a pattern with a word that there is not",
            "pattern '{group}.png' cannot be used",
            methods="a: {external: images, pattern: '{group}.png'}",
        ),
        Kind(
            "a change of neither a comparison nor a pipeline",
            "compare tv.yaml --data images --set nonsense=1",
            "neither a comparison nor a pipeline has a key 'nonsense'",
            COMPARED,
        ),
        Kind(
            "a change that one of the pipelines does not take",
            "compare tv.yaml bicubic --data images --set modules.P.strength=1",
            "bicubic: there is no module 'P' to change",
            COMPARED,
        ),
    ),
)

TRAINED = """\
given: [y]
modules: {P: {prior: dncnn, channels: 3, depth: 2, features: 2}}
start: ['x = P(y)']
return: x
"""
IMAGES: dict[str, Content] = {"images/a.png": picture(), "images/b.png": picture(255 - PIXELS)}


def recipe(given: str, text: str, says: str) -> Kind:
    """A recipe that trains the network of net.yaml, with one line."""
    base = "pipeline: ./net.yaml\ntrain: [P]\nlosses: [{l1: x}]\n"
    files = {"net.yaml": TRAINED, "a.yaml": base + text + "\n"}
    return Kind(given, "train a.yaml --data images --steps 1", says, {**files, **IMAGES})


def training(given: str, text: str, says: str, files: dict[str, Content] | None = None) -> Kind:
    """A training that is started wrongly."""
    base = "pipeline: ./net.yaml\ntrain: [P]\nlosses: [{l1: x}]\ncrop: 24\nvalidation: {crop: 24}\n"
    made = {"net.yaml": TRAINED, "a.yaml": base, **IMAGES, **(files or {})}
    return Kind(given, f"train a.yaml {text}", says, made)


RECIPES: Area = Area(
    "Recipes and training",
    "`a.yaml` trains a network of two layers.",
    (
        Kind(
            "a recipe that does not exist",
            "train jiont",
            "there is no recipe called 'jiont'; did you mean 'joint'?",
        ),
        Kind(
            "a pipeline in place of a recipe",
            "train a.yaml",
            "there is no recipe called 'bicubic'",
            {"a.yaml": "extends: bicubic\n"},
        ),
        recipe("a key that does not exist", "btach: 3", "did you mean 'batch'?"),
        recipe("a key twice", "losses: [{l2: x}]", "'losses' is written twice"),
        recipe(
            "a batch of nothing",
            "batch: 0",
            "batch is 0, but should be a whole number of at least 1",
        ),
        recipe(
            "a learning rate below 0",
            "optimiser: {lr: -1}",
            "lr is -1, but should be a number above 0",
        ),
        recipe(
            "an optimiser that does not exist",
            "optimiser: {method: sgd}",
            "method is 'sgd', but should be one of adam, muon",
        ),
        recipe(
            "kernels of an even size",
            "degradations: {size: 4}",
            "size should be odd, so that kernels have a middle, but is 4; write 5",
        ),
        recipe(
            "more than all", "degradations: {grey: 2}", "grey should be between 0 and 1, but is 2"
        ),
        recipe(
            "a scale of 0",
            "degradations: {scales: {0: 1}}",
            "scales should be whole numbers of at least 1, but are (0,)",
        ),
        recipe(
            "noise of 0-255",
            "degradations: {noise: 15}",
            "noise is 15, but should be a noise level on [0, 1]",
        ),
        recipe(
            "a seed of 30 digits",
            f"seed: {'9' * 30}",
            "but should be a whole number from 0 to 4294967295",
        ),
        recipe("a seed below 0", "seed: -1", "seed is -1, but should be a whole number from 0"),
        recipe(
            "crops larger than the images", "crop: 96", "all 2 images are smaller than the crop"
        ),
        recipe("crops of half a pixel", "crop: 0.5", "crop is 0.5"),
        recipe("validation of nothing", "validation: {images: 0}", "images is 0"),
        recipe(
            "starting weights that are not there",
            "start: {P: none.pth}",
            "none.pth: there is no such file",
        ),
        recipe(
            "starting weights of nothing",
            "start: {Q: none.pth}",
            "there is no module 'Q' to start from weights",
        ),
        training(
            "no images",
            "--steps 1",
            "the recipe learns from images: name folders of them with --data DIR",
        ),
        training(
            "images that are not there",
            "--steps 1 --data none",
            "--data none: there is no such folder",
        ),
        training(
            "a file in place of a folder",
            "--steps 1 --data photo.png",
            "--data photo.png: this is a file",
        ),
        training(
            "a folder without images",
            "--steps 1 --data empty",
            "there are no images in this folder",
            {"empty": folder},
        ),
        training(
            "one image", "--steps 1 --data one", "there is only one image", {"one/a.png": picture()}
        ),
        training(
            "a damaged image",
            "--steps 1 --data images",
            "cannot be read; is it damaged",
            {"images/c.png": picture()[:200]},
        ),
        training("no steps", "--steps 0 --data images", "the number of steps is '0'"),
        training(
            "no minutes",
            "--minutes 0 --data images",
            "the time is '0', but it must be a number above 0",
        ),
        training("NaN minutes", "--minutes nan --data images", "the time is 'nan'"),
        training(
            "a device without float64",
            "--steps 1 --data images --device mps",
            "--device mps: the random data of training need float64",
        ),
        training(
            "a device that does not exist",
            "--steps 1 --data images --device gpu7",
            "--device gpu7: cannot be used here",
        ),
        training(
            "nothing to continue",
            "--steps 1 --data images --resume",
            "--resume: runs/a holds no checkpoint",
        ),
        training(
            "results among the images",
            "--steps 1 --data images -o images",
            "is inside the training images",
        ),
        training(
            "results in a file",
            "--steps 1 --data images -o k.npy",
            "--out k.npy: the folder cannot be created",
        ),
        training(
            "a log that is damaged",
            "--steps 1 --data images --resume",
            "runs/a/log.csv: the log is damaged",
            {"runs/a/log.csv": b"\xff\xfe\0"},
        ),
        training(
            "a log of something else",
            "--steps 1 --data images --resume",
            "runs/a/log.csv: the log is damaged",
            {"runs/a/log.csv": "a,b\n1,2\n3,4\n"},
        ),
        note(
            "an image smaller than the crop",
            "pnp.training.data.read_images(['images'], 3, 24)",
            "1 of 3 images are smaller than the crop of 24 pixels and are skipped: c.png",
            files={**IMAGES, "images/c.png": picture(PIXELS[:9])},
        ),
        training(
            "a name of weights outside of the package",
            "--steps 1 --data images --ship ../../../evil",
            "--ship ../../../evil: a name is needed",
        ),
        training(
            "a name of weights that begins with a slash",
            "--steps 1 --data images --ship /evil",
            "--ship /evil: a name is needed",
        ),
    ),
)


def weights(given: str, says: str, content: Content, name: str = "a.pth") -> Kind:
    """A file that holds no good weights."""
    return Kind(given, f"convert {name} b.safetensors", says, {name: content})


def loaded(given: str, says: str, content: Content | None, name: str = "a.pth") -> Kind:
    """Weights that do not fit a network."""
    pipeline = TRAINED.replace("depth", f"weights: {name}, depth")
    files: dict[str, Content] = {"net.yaml": pipeline}
    files |= {} if content is None else {name.partition("#")[0]: content}
    return Kind(given, "run net.yaml photo.png", says, files)


RIGHT = {
    "model.0.weight": torch.ones(2, 3, 3, 3),
    "model.0.bias": torch.ones(2),
    "model.2.weight": torch.ones(3, 2, 3, 3),
    "model.2.bias": torch.ones(3),
}
WEIGHTS: Area = Area(
    "Weights",
    "No code in a file is run. `net.yaml` is a network of two layers.",
    (
        Kind("no such file", "convert a.pth b.safetensors", "a.pth: there is no such file"),
        weights("a folder", "a.pth: this is a folder", folder),
        weights("an empty file", "a.pth: not a readable checkpoint", b""),
        weights(
            "text",
            "not read: the file is damaged, or holds Python objects",
            "not read: the file is damaged, or holds Python objects",
        ),
        weights("a pointer of Git LFS", "git lfs pull fetches it", POINTER),
        weights("a web page", "this is a web page", PAGE, "a.safetensors"),
        weights("a TorchScript archive", "this is a program (TorchScript)", torchscript()),
        weights("a picture", "not read: the file is damaged, or holds Python objects", picture()),
        weights("a file that is cut off", "not a readable checkpoint", checkpoint(RIGHT)[:500]),
        weights("a pickle that would run code", "which could run any code when read", program()),
        weights(
            "a pickle that would run code, in an archive",
            "not a readable checkpoint",
            zipped("archive/data.pkl", program()),
        ),
        weights(
            "an archive that unpacks to 4 GB",
            "unpacks to 4.29e+03 MB",
            zip_bomb("archive/data.pkl"),
        ),
        weights(
            "a tensor that states more values than are stored",
            "states more values than are stored",
            checkpoint({"a": torch.ones(1).expand(10**9)}),
        ),
        weights("no tensors", "the file holds no named tensors", checkpoint({"epoch": 3})),
        weights(
            "one tensor without a name",
            "the file holds no named tensors",
            checkpoint(torch.ones(3)),
        ),
        weights("a list", "no named tensors", checkpoint([1, 2])),
        weights(
            "a sparse tensor",
            "a is a sparse tensor",
            checkpoint({"a": torch.ones(2, 2).to_sparse()}),
        ),
        weights(
            "complex numbers",
            "a is a complex tensor",
            checkpoint({"a": torch.ones(2, dtype=torch.complex64)}),
        ),
        weights(
            "a quantised tensor",
            "a is a quantised tensor",
            checkpoint({"a": quantised()}),
        ),
        weights(
            "a safetensors file that is cut off",
            "not a readable checkpoint",
            tensors(a=torch.ones(9))[:-9],
            "a.safetensors",
        ),
        weights(
            "a safetensors header of 8 EB",
            "header too large",
            safetensors_header(b"{}", 2**63),
            "a.safetensors",
        ),
        weights(
            "a safetensors header that is no JSON",
            "invalid JSON in header",
            safetensors_header(b"nothing"),
            "a.safetensors",
        ),
        weights(
            "a suffix that is unknown",
            "a.txt: this is not read as weights",
            checkpoint(RIGHT),
            "a.txt",
        ),
        Kind(
            "a target of another suffix",
            "convert a.pth b.pth",
            "give a name with that suffix",
            {"a.pth": checkpoint(RIGHT)},
        ),
        Kind(
            "the source as target",
            "convert a.safetensors a.safetensors",
            "would overwrite the checkpoint",
            {"a.safetensors": tensors(a=torch.ones(1))},
        ),
        Kind(
            "a target in a folder that is not there",
            "convert a.pth none/b.safetensors",
            "none/b.safetensors: cannot be written",
            {"a.pth": checkpoint(RIGHT)},
        ),
        loaded("no weights", "there is no such file", None),
        loaded(
            "a name that the package has not",
            "the package has no weights called 'nothing'",
            None,
            "nothing",
        ),
        loaded(
            "a name outside of the package", "give a file that ends in", None, "../../../etc/passwd"
        ),
        loaded(
            "weights in a file whose ending is unknown",
            "a.weights: this is not read as weights",
            checkpoint(RIGHT),
            "a.weights",
        ),
        loaded(
            "a part that the file has not",
            "a.pth#q: the file has no part 'q'",
            checkpoint(RIGHT),
            "a.pth#q",
        ),
        loaded(
            "weights of another network",
            "these weights do not fit",
            checkpoint({"a": torch.ones(2)}),
        ),
        loaded(
            "weights of another size",
            "wrong shape: model.0.weight",
            checkpoint(RIGHT | {"model.0.weight": torch.ones(4, 3, 3, 3)}),
        ),
        loaded(
            "weights that lack a tensor",
            "missing: model.2.bias",
            checkpoint({k: v for k, v in RIGHT.items() if k != "model.2.bias"}),
        ),
        loaded(
            "NaN",
            "model.0.bias holds NaN or infinity",
            checkpoint(RIGHT | {"model.0.bias": torch.full((2,), torch.nan)}),
        ),
        loaded(
            "whole numbers",
            "wrong type: model.0.bias is int32, expected float32",
            checkpoint(RIGHT | {"model.0.bias": torch.ones(2, dtype=torch.int)}),
        ),
        loaded(
            "two networks",
            "several sets of weights in the file match",
            checkpoint({f"{n}.{k}": v for n in "ab" for k, v in RIGHT.items()}),
        ),
        Kind(
            "a manifest that is damaged",
            "pnp.manifest.read_entries(Path('a.yaml'))",
            "a.yaml: the file is damaged",
            {"a.yaml": "a: [1"},
        ),
        Kind(
            "a manifest that is a list",
            "pnp.manifest.read_entries(Path('a.yaml'))",
            "the file is damaged (it is no map)",
            {"a.yaml": "- 1\n"},
        ),
        Kind(
            "an entry of a manifest that is a number",
            "pnp.manifest.read_entries(Path('a.yaml'))",
            "(an entry is no map)",
            {"a.yaml": "a: 1\n"},
        ),
        Kind(
            "a network without weights",
            "run net.yaml photo.png",
            "no weights are given",
            {"net.yaml": TRAINED},
        ),
    ),
)

PRIOR = """\
import pnp
from pnp import Image, Level

@pnp.prior("mine")
class Mine(pnp.Prior):
    \"\"\"Mine.\"\"\"
    def forward(self, x: Image, level: Level | None = None) -> Image:
        return x
"""
USED = "given: [y]\nmodules: {P: {prior: mine}}\nstart: ['x = P(y)']\nreturn: x\n"


def plugin(given: str, text: Content, says: str, name: str = "a.py") -> Kind:
    """A file that is no good plugin."""
    files = {"mine.yaml": USED, name: text}
    return Kind(given, f"run mine.yaml photo.png --plugin {name}", says, files)


def prior(given: str, old: str, new: str, says: str) -> Kind:
    """A plugin with one text replaced."""
    assert old in PRIOR
    return plugin(given, PRIOR.replace(old, new), says)


PLUGINS: Area = Area(
    "Plugins",
    "`a.py` registers a prior, which `mine.yaml` uses.",
    (
        Kind("no such file", "list priors --plugin a.py", "--plugin a.py: there is no such file"),
        plugin("a folder", folder, "--plugin a.py: this is a folder"),
        plugin("another suffix", PRIOR, "not a Python file", "a.txt"),
        plugin("an error of syntax", "def", "SyntaxError"),
        plugin("bytes", b"\xff\xfe\x00", "--plugin a.py: "),
        plugin(
            "an import that fails",
            "import nothing_at_all",
            "No module named 'nothing_at_all'; repair the file",
        ),
        plugin("a program that ends", "import sys; sys.exit(3)", "SystemExit: 3; repair the file"),
        plugin("an error of several lines", "raise ValueError('a\\n' * 50)", "ValueError: a"),
        prior("a name of another module", '"mine"', '"tv"', "two priors are called 'tv'"),
        prior("a name that is no text", '"mine"', "3", "the name of a prior is text, not 3"),
        prior("an empty name", '"mine"', '""', "the name of a prior is text"),
        prior(
            "another interface", "pnp.Prior", "pnp.Estimator", "so it must derive from pnp.Prior"
        ),
        prior(
            "no types of inputs", "x: Image", "x", "annotate its parameter 'x' with one of Image"
        ),
        prior("no type of the output", " -> Image", "", "annotate what it returns"),
        prior(
            "a type that does not exist",
            "x: Image",
            "x: Picture",
            "NameError: name 'Picture' is not defined",
        ),
        prior(
            "an option called weights",
            "    def forward",
            "    def __init__(self, weights: int = 1):\n        super().__init__()\n    def forward",
            "'weights' is a key of every module",
        ),
        prior(
            "an option called as a kind",
            "    def forward",
            "    def __init__(self, prior: int = 1):\n        super().__init__()\n    def forward",
            "'prior' is a key of every module",
        ),
        prior(
            "a citation that does not exist",
            "    def forward",
            "    cite = ('nobody2020nothing',)\n    def forward",
            "nobody2020nothing",
        ),
        prior(
            "a citation as text",
            "    def forward",
            "    cite = 'rudin1992tv'\n    def forward",
            "`cite` is a tuple",
        ),
        prior(
            "an error when it is built",
            "    def forward",
            "    def __init__(self):\n        raise ValueError('no')\n    def forward",
            "mine cannot be built: ValueError: no",
        ),
        prior("an error when it runs", "return x", "return 1 / 0", "ZeroDivisionError"),
        prior(
            "a program that ends when it runs",
            "return x",
            "raise SystemExit(0)",
            "a plugin ended the program",
        ),
        prior("another shape", "return x", "return x[..., 1:]", "but a prior keeps the shape"),
        prior(
            "another type",
            "return x",
            "return None",
            "it gave (None), but should give a value for each of x",
        ),
        prior(
            "NaN",
            "return x",
            "return x / 0 - x / 0",
            "the image holds NaN or infinite values, so it was not written",
        ),
        prior(
            "complex numbers",
            "return x",
            "return x + 0j",
            "it gave (complex64), but should give a value for each of x",
        ),
        ok(
            "an option called name",
            "run mine.yaml photo.png --plugin a.py",
            "24 x 24",
            "restored/photo_x1.png",
            files={
                "mine.yaml": USED,
                "a.py": PRIOR.replace(
                    "    def forward",
                    "    def __init__(self, name: str = 'a'):\n        super().__init__()\n    def forward",
                ),
            },
        ),
    ),
)
