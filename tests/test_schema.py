"""What editors and other programs read: JSON Schemas, problems as JSON and for GitHub, completion."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import subprocess
import sys
from typing import Any, Literal

import pytest
from toys import toys  # noqa: F401 (a fixture)

from pnp.cli import main
from pnp.commands.documents import DIALECTS
from pnp.commands.schema import of_type, schema
from pnp.document import read_file
from pnp.errors import PnpError
from pnp.options import Noise, convert, options_of
from pnp.registry import REGISTRIES

without = importlib.util.find_spec("jsonschema") is None
validated = pytest.mark.skipif(without, reason="jsonschema is not installed (extra 'test')")
with_shtab = pytest.mark.skipif(
    importlib.util.find_spec("shtab") is None, reason="shtab is not installed"
)
DOCUMENTS = [(kind, name) for kind, dialect in DIALECTS.items() for name in dialect.names()]
OPTIONS = {
    f"{name}.{option}": parameter
    for registry in REGISTRIES.values()
    for name in registry.names()
    for option, parameter in options_of(registry.get(name)).items()
}
VALUES: list[Any] = [
    *(None, True, False, -1, 0, 1, 2, 3, 12, 10**6, -0.5, 0.02, 0.5, 1.5, "", "x", "5/255", "2%"),
    *("3 / 255", "circular", "replicate", "last", "zero", "db2", [], [1], [1, 2], [0.1, 0.2]),
    *([4, 4, 8, 8], [1] * 7, ["a"], {}, {"a": 1}, {"a": [1, 2]}),
]


@functools.cache
def validator(kind):
    import jsonschema

    jsonschema.Draft7Validator.check_schema(schema(kind))
    return jsonschema.Draft7Validator(schema(kind))


def fits(value, annotation):
    try:
        convert(annotation, value)
    except PnpError:
        return False
    return True


@validated
@pytest.mark.parametrize("kind", DIALECTS)
def test_all_documents_of_the_package_validate_as_written_and_merged(kind):
    checks, dialect = validator(kind), DIALECTS[kind]
    assert dialect.names()
    for name in dialect.names():
        for document in (read_file(*dialect.find(name)), dialect.read(name)):
            problems = [e.message for e in checks.iter_errors(document.plain())]
            assert not problems, name


@validated
@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("pipeline", {"modules": {"P": {"prior": "tv", "iterations": 0}}}),
        ("pipeline", {"modules": {"P": {"prior": "tv", "iteration": 3}}}),
        ("pipeline", {"modules": {"P": {"prior": "fft-image"}}}),
        ("pipeline", {"modules": {"P": {"prior": "tv", "solver": "fft-image"}}}),
        ("pipeline", {"modules": {"p": {"prior": "tv"}}}),
        ("pipeline", {"modules": {"P": {"iteratons": 3}}}),
        ("pipeline", {"steps": ["z = D(y, x"]}),
        ("pipeline", {"stages": [{"steps": ["D(y)"]}]}),
        ("pipeline", {"given": ["guide"]}),
        ("pipeline", {"given": [{"guide": "picture"}]}),
        ("pipeline", {"swap": {"late 4": {"P": "S"}}}),
        ("pipeline", {"repeat": 0}),
        ("pipeline", {"wights": "a.pth"}),
        ("pipeline", {"variants": {"ikrnet-8": 8}}),
        ("recipe", {"optimiser": {"method": "sgd"}}),
        ("recipe", {"batch": 0}),
        ("recipe", {"losses": [{"weight": 2}]}),
        ("recipe", {"losses": [{"l1": "x", "iterations": "first"}]}),
        ("recipe", {"pipeline": {"steps": ["no step"]}}),
        ("recipe", {"degradations": {"scale": [2]}}),
        ("comparison", {"scales": [0]}),
        ("comparison", {"sigmas": ["loud"]}),
        ("comparison", {"methods": {"a": {"pipelines": "hqs-tv"}}}),
        ("comparison", {"methods": {"a": {"pipeline": "x", "otherwise": {"given": ["s"]}}}}),
    ],
)
def test_mistakes_are_found(kind, document):
    assert list(validator(kind).iter_errors(document))


@validated
@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("pipeline", {"modules": {"P": {"nb": 1}, "Q": None, "R": {"prior": "tv"}}}),
        ("pipeline", {"given": ["y", "s = 1", "k = G(y)", {"guide": "image"}], "steps": None}),
        ("pipeline", {"swap": {"last 4": {"P": "S"}, "0": {"P": "T"}, "3..6": {"P": "S"}}}),
        ("recipe", {"degradations": {"scales": {"1": 0.1, "2": 0.9}, "noise": "2%"}}),
        ("recipe", {"pipeline": ["usrnet", "mine.yaml"], "losses": [{"kernel": "k"}]}),
        ("comparison", {"sigmas": ["3%", 0, "5/255"], "small": {"scales": [2]}}),
    ],
)
def test_what_the_language_allows_validates(kind, document):
    assert not [e.message for e in validator(kind).iter_errors(document)]


@validated
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_fits_its_schema_just_if_it_can_be_read(option):
    import jsonschema

    annotation, default = OPTIONS[option].annotation, OPTIONS[option].default
    checks = jsonschema.Draft7Validator(of_type(annotation))
    found = {repr(v): checks.is_valid(v) for v in VALUES}
    read = {repr(v): fits(v, annotation) for v in VALUES}
    if "Rule" in str(annotation):  # a condition that no schema can say
        assert all(found[value] for value, holds in read.items() if holds)
    else:
        assert found == read
    if default is not OPTIONS[option].empty:
        assert checks.is_valid(json.loads(json.dumps(default)))


def test_annotations():
    assert of_type(int | None) == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert of_type(Literal["a", 2]) == {"enum": ["a", 2]}
    assert of_type(dict[str, list[int]])["additionalProperties"]["items"] == {"type": "integer"}
    number, text = of_type(Noise)["anyOf"]
    assert number == {"type": "number", "minimum": 0, "maximum": 1} and text["type"] == "string"


def module_of(kind, name):
    entries = schema(kind)["definitions"]["module"]["anyOf"]
    return next(e for e in entries if e.get("title") == name)


def test_the_schema_tells_options_ranges_defaults_and_docstrings():
    tv = module_of("recipe", "prior: tv")
    option = tv["properties"]["iterations"]
    assert option["anyOf"][0]["minimum"] == 1 and option["default"] == option["anyOf"][0]["default"]
    assert option["description"] and "total variation" in tv["description"].lower()


@pytest.mark.usefixtures("toys")
def test_modules_of_plugins_are_in_the_schema():
    scale = module_of("pipeline", "prior: toy-scale")
    assert set(scale["properties"]) == {"prior", "factor", "widths", "strength", "weights"}


@pytest.mark.parametrize("kind", DIALECTS)
def test_the_command_prints_it(kind, capsys):
    assert main(["schema", kind]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(schema(kind)))


BAD = "extends: hqs-tv\nrepeat: 0\nmodules:\n  P: {prior: tv, iterations: -3, a: '50%, x'}\n"


def test_problems_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text(BAD)
    assert main(["check", "bad.yaml", "hqs-tv", "--format", "json"]) == 1
    bad, good = json.loads(capsys.readouterr().out)
    assert (good["name"], good["ok"], good["problems"]) == ("hqs-tv", True, [])
    assert "hqs-tv: ok" in good["verdict"] and not bad["ok"]
    assert [(p["file"], p["line"]) for p in bad["problems"]] == [("bad.yaml", n) for n in (2, 4, 4)]
    assert bad["problems"][0]["message"].startswith("repeat should be a whole number")
    assert "pnp list tv" in bad["problems"][1]["cure"]


def test_problems_for_github_are_one_line_each(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b.yaml").write_text(BAD.replace("-3", "'100%'"))
    assert main(["check", "a,b.yaml", "hqs-tv", "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("::error file=a%2Cb.yaml,line=") for line in lines)
    assert any("'100%25'" in line and "%0A= " in line for line in lines)
    assert main(["check", "hqs-tv", "--format", "github"]) == 0
    assert capsys.readouterr().out == ""


def test_a_trial_run_that_fails_has_its_line_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = "extends: dpir\nrepeat: 9\nmodules:\n  H: {estimator: hqs-schedule}\n"
    (tmp_path / "mine.yaml").write_text(text + "steps:\n  - z = D(y, x, k, alpha[40])\n")
    assert main(["check", "mine.yaml", "--format", "json"]) == 1
    (entry,) = json.loads(capsys.readouterr().out)
    assert {p["line"] for p in entry["problems"]} <= {2, 4, 6} and entry["problems"]
    assert main(["check", "nothing", "--format", "json"]) == 1
    (entry,) = json.loads(capsys.readouterr().out)
    assert "no pipeline" in entry["problems"][0]["message"]
    assert entry["problems"][0]["file"] is None


def test_completion_without_shtab_is_one_message(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert "pip install 'pnp-imaging[completion]'" in capsys.readouterr().err


@with_shtab
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run usrnet-m", ["usrnet-mini"]),
        ("train image-prior-sm", ["image-prior-small"]),
        ("sche", ["schema"]),
        ("check --for", ["--format"]),
        ("list recip", ["recipes"]),
        ("convert drunet", ["drunet-small"]),
        ("show fft-im", ["fft-image"]),
        ("train joint --with joint-s", ["joint-scunet"]),
        ("run usrnet-small plain.png a", ["a photo.png"]),
        ("run usrnet-small -k a", ["a photo.png"]),
        ("degrade a", ["a photo.png"]),
    ],
)
def test_a_shell_completes_commands_options_and_names(words, expected, tmp_path, capsys):
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "a photo.png").touch()
    typed = ["pnp", *words.split()]
    ask = (
        f"source ./script; COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}; _shtab_pnp"
    )
    done = subprocess.run(
        ["bash", "-c", f'{ask}; printf "%s\\n" "${{COMPREPLY[@]}}"'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == expected


@with_shtab
def test_zsh_completes_every_word_of_arguments_with_several(capsys):
    assert main(["completion", "zsh"]) == 0
    script = capsys.readouterr().out
    assert '"(*)' not in script  # completes only the first
    for option in ("YAML files or names", "a comparison", "the ground truth x", "a pipeline"):
        assert re.search(rf'^ *"\*:{option}.*:_(pnp_[a-z_]+|files)"$', script, re.MULTILINE), option
