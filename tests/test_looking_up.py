"""`pnp list`, `show`, `check` and `diff`: what there is, what it needs, and whether it can run."""

from pathlib import Path

import pytest

from pnp.building import build
from pnp.checkpoints import manifest
from pnp.cli import main
from pnp.commands.catalogue import is_network, listing, needs, without_weights
from pnp.commands.documents import also_called, dialect_of
from pnp.comparing.reader import COMPARISONS
from pnp.language.reader import PIPELINES, read_spec
from pnp.registry import REGISTRIES
from pnp.training.recipe_reader import RECIPES


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        status = main(list(map(str, arguments)))
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


DOCUMENTS = {
    "pipeline": "extends: hqs-tv\nrepeat: 3\n",
    "recipe": "extends: denoise-drunet-small\nbatch: 3\n",
    "comparison": "extends: table-1\nscales: [2]\n",
    "recipe by its parent": "extends: denoise-drunet-small\nabout: mine\n",
    "comparison by its parent": "extends: table-1\nabout: mine\n",
    "recipe by the parent of its parent": "extends: recipe.yaml\nset: {modules.P.nb: 1}\n",
}


@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_file_is_what_its_keys_or_its_parents_say(run, what):
    for name, text in DOCUMENTS.items():
        Path(f"{name}.yaml").write_text(text)
    file, noun = f"{what}.yaml", what.split()[0]
    assert dialect_of(file)[0].noun == noun
    status, out, err = run("show", file, "--size", "32x32")
    assert status == 0, err
    assert f"# {file}:2" in out or "about: mine" in out or "set:" in out
    status, out, err = run("check", file)
    assert (status, err) == (0, "") and ": ok: " in out
    other = {"pipeline": "hqs-tv", "recipe": "denoise-drunet-small", "comparison": "table-1"}[noun]
    status, out, err = run("diff", file, other)
    assert status == 0 and out.startswith(f"--- {file}")


@pytest.mark.parametrize("dialect", [PIPELINES, RECIPES, COMPARISONS], ids=lambda d: d.noun)
def test_every_name_is_found_with_its_kind(dialect):
    assert dialect.names()
    for name in dialect.names():
        assert dialect_of(f"{dialect.noun}:{name}") == (dialect, name)
        others = also_called(name, dialect.noun)
        assert dialect_of(name)[0] is dialect or any(o.startswith("pipeline:") for o in others)


def test_things_of_one_name_are_told_apart(run):
    _, out, err = run("show", "bicubic", "--size", "32x32")
    assert "U: {initializer: bicubic}" in out and "pnp show initializer:bicubic" in err
    assert run("show", "initializer:bicubic")[1].startswith("bicubic, an initializer: ")
    assert run("list", "initializer:bicubic")[1] == run("show", "initializer:bicubic")[1]
    _, out, err = run("show", "recipe:ikrnet-small")
    assert "train:" in out and "pnp show pipeline:ikrnet-small" in err


def test_show_describes_a_module_as_list_does_with_its_weights(run):
    out = run("show", "scunet")[1]
    assert out == run("list", "scunet")[1]
    assert "weights: scunet-small (its P; " in out and "dim: 32" in out


def test_show_of_a_pipeline_ends_with_what_it_needs(run):
    out = run("show", "hqs-tv", "--size", "32x32")[1]
    assert out.splitlines()[-1] == f"# {needs(read_spec('hqs-tv'))}"


def test_show_of_an_unknown_name_names_the_nearest_of_any_kind(run):
    for name, told in {
        "scunett": "did you mean the prior 'scunet'?",
        "dpirr": "did you mean the pipeline 'dpir'?",
        "fft-imag": "did you mean the solver 'fft-image'?",
    }.items():
        status, _, err = run("show", name)
        assert status == 1 and told in err


def test_weights_of_another_module_are_named_in_one_line(run, tmp_path):
    (tmp_path / "s.yaml").write_text(
        "extends: dpir\nmodules:\n  P: {prior: scunet-level, weights: scunet-small}\n"
    )
    status, _, err = run("check", str(tmp_path / "s.yaml"))
    assert status == 1 and "P: scunet-small are no weights of the prior scunet-level" in err
    assert "scunet-small holds the weights of P: prior scunet" in err and "missing" not in err


def test_different_kinds_are_not_compared(run):
    status, _, err = run("diff", "hqs-tv", "joint")
    assert status == 1 and "hqs-tv is a pipeline and joint is a recipe" in err


@pytest.mark.parametrize("name", PIPELINES.names())
def test_the_list_knows_networks_without_building_them(name):
    spec = read_spec(name)
    built = build(spec, random_weights=True)
    for symbol, module in spec.modules.items():
        learned = next(built.parts[symbol].parameters(), None) is not None
        assert is_network(module) == learned, symbol


def test_the_list_says_what_pipelines_need():
    assert needs(read_spec("hqs-tv")) == (
        "runs as installed; needs a kernel (-k); any scale (-s), 1 unless given"
    )
    assert needs(read_spec("denoise")) == "runs as installed; scale 1"
    assert needs(read_spec("bicubic")) == "runs as installed; needs a scale (-s; any scale)"
    assert needs(read_spec("spectral-usrnet")).endswith("scales 1, 2, 3, 4 (-s), 4 unless given")
    assert "needs the weights ikrnet/I, " in needs(read_spec("ikrnet"))
    assert "; ikrnet-small runs as installed; " in needs(read_spec("ikrnet"))
    small = "; ikrnet-small --with denoise-ikrnet runs as installed; "
    assert small in needs(read_spec("denoise-ikrnet"))
    assert "of H, P (--set weights=FILE)" in needs(read_spec("usrnet"))
    assert "needs a mask (--mask)" in needs(read_spec("inpaint-tv"))
    assert needs(read_spec("mri-tv")) == (
        "runs as installed; needs k-space and its mask (.npz); scale 1"
    )
    assert list(without_weights(read_spec("ikrnet-scunet"))) == ["I", "Pk", "F", "H", "P"]
    text = " ".join(listing("pipelines").split())
    assert f"({' '.join(needs(read_spec('usrnet')).split())})" in text


def test_recipes_comparisons_and_weights_are_listed(run):
    for what, names in (
        ("recipes", RECIPES.names()),
        ("comparisons", COMPARISONS.names()),
        ("weights", manifest()),
    ):
        lines = run("list", what)[1].splitlines()
        assert {line.split()[0] for line in lines if line[2] != " "} == set(names)


SCHEDULE = """\
given: [y, s = 2, k, sigma = 0.01]
modules:
  U: {initializer: nearest}
  H: {estimator: hqs-schedule}
  D: {solver: fft-image}
start:
  - x = U(y, s)
  - alpha, beta = H(sigma, s, 6)
repeat: 8
steps:
  - x = D(y, x, k, alpha[i])
return: [x]
"""
CHECKED = [
    (SCHEDULE, "alpha has 6 levels, but alpha[i] asks for number 6"),
    ("extends: hqs-tv\ncite: nobody2020\n", "mine.yaml:2: 'nobody2020' is not in references.bib"),
    ("extends: denoise\nmodules: {P: {weights: null}}\n", "but no weights are given"),
    ("extends: denoise\nmodules: {P: {weights: gone.pth}}\n", "gone.pth: there is no such file"),
    ("extends: denoise\nmodules: {P: {nb: 3}}\n", "P: nb is 3, but the weights drunet-small"),
]


@pytest.mark.parametrize(("text", "expected"), CHECKED)
def test_check_says_what_would_stop_a_run(run, text, expected):
    Path("mine.yaml").write_text(text)
    status, out, err = run("check", "mine.yaml")
    assert (status, out) == (1, "") and expected in err and "Traceback" not in err


def test_check_reports_weights_and_schedules_together(run):
    text = SCHEDULE.replace("  U:", "  N: {prior: drunet}\n  U:")
    Path("mine.yaml").write_text(text.replace("steps:\n", "steps:\n  - x = N(x, sigma)\n"))
    err = run("check", "mine.yaml")[2]
    assert "no weights are given" in err and "alpha has 6 levels" in err


def test_check_names_modules_that_no_step_calls(run):
    Path("mine.yaml").write_text("extends: hqs-tv\nmodules: {S: {prior: median}}\n")
    assert run("check", "mine.yaml")[1].endswith("; no step calls S\n")
    Path("mine.yaml").write_text(
        "extends: hqs-tv\nmodules: {S: {prior: median}}\nswap: {last 4: {P: S}}\n"
    )
    assert "no step calls" not in run("check", "mine.yaml")[1]


def test_check_of_a_recipe_finds_the_weights_that_it_starts_from(run):
    status, _, err = run("check", "joint", "image-prior-mini")
    assert status == 1 and "'pnp train initializer-kernels' makes it" in err


def test_a_role_before_a_name_is_a_module(run):
    assert set(REGISTRIES) >= {"prior", "solver"}
    assert run("check", "prior:tv")[0] == 1
    assert "a prior is a module" in run("check", "prior:tv")[2]
