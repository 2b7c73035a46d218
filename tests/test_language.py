"""The pipeline language: what it means, and every message it gives (golden, against toy modules)."""

import textwrap

import pytest
import torch
from toys import toys  # noqa: F401 (a fixture)

import pnp
from pnp import step_values
from pnp.document import read_text
from pnp.language.emit import emit
from pnp.language.reader import read_spec
from pnp.language.spec import Variable
from pnp.language.steps import FORM

pytestmark = pytest.mark.usefixtures("toys")

GOOD = """\
about: a toy
given: [y, s = 1, k = G(y), sigma = 2%]
modules:
  U: {initializer: toy-repeat}
  G: {initializer: toy-dot}
  H: {estimator: toy-rise}
  D: {solver: toy-pull}
  P: {prior: toy-scale, factor: 1}
  B: {prior: toy-blind}
start:
  - x = U(y, s)
  - alpha, beta = H(sigma, s, n)
repeat: 3
steps:
  - z = D(y, x, k, alpha[i])
  - x = P(z, beta[i])
return: [x, sigma]
""".replace("sigma = 2%", "sigma = 2e-2")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file into the working folder; its name is what messages show."""
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        (tmp_path / name).write_text(textwrap.dedent(text))
        return name

    return write


def message(name, *overlays, **overrides):
    with pytest.raises(pnp.PnpError) as caught:
        pnp.load(name, *overlays, random_weights=True, **overrides)
    return str(caught.value)


def load(name, *overlays, **overrides):
    return pnp.load(name, *overlays, random_weights=True, **overrides)


Y = torch.zeros(1, 1, 2, 2)


# ---------------------------------------------------------------- meaning


def test_steps_run_in_order_with_the_levels_of_their_iteration(write):
    pipeline = load(write("good.yaml", GOOD))
    result = pipeline(y=Y, s=2)
    assert result.x.shape == (1, 1, 4, 4)
    assert (result.x == 1 + 2 + 3).all()
    assert result.sigma.item() == pytest.approx(0.02)
    assert list(result) == ["x", "sigma"]


def test_a_given_default_yields_to_what_the_caller_gives(write):
    pipeline = load(write("good.yaml", GOOD))
    assert pipeline(y=Y, sigma=0.1).sigma.item() == pytest.approx(0.1)
    assert pipeline(y=Y, sigma="5/255").sigma.item() == pytest.approx(5 / 255)


def test_extends_merges_modules_by_letter_and_replaces_other_keys(write):
    write("good.yaml", GOOD)
    child = load(
        write(
            "child.yaml",
            "extends: good.yaml\nmodules: {P: {factor: 2}, B: null}\nrepeat: 2\nafter: ['x = P(x, 0)']\n",
        )
    )
    assert child(y=Y).x.flatten()[0] == ((0 + 1) * 2 + 2) * 2 * 2
    assert "B" not in child.parts
    replaced = load(write("other.yaml", "extends: good.yaml\nmodules: {P: {prior: toy-blind}}\n"))
    assert replaced(y=Y).x.flatten()[0] == 6


def test_extends_finds_files_beside_the_one_that_extends(write, tmp_path):
    (tmp_path / "sub").mkdir()
    write("sub/base.yaml", GOOD)
    write("sub/mine.yaml", "extends: base.yaml\nrepeat: 1\n")
    assert load("sub/mine.yaml")(y=Y).x.flatten()[0] == 1


def test_swap_changes_its_iterations_and_no_others(write):
    for when, swapped in (("last 1", {2}), ("first 2", {0, 1}), ("1", {1}), ("0..1", {0, 1})):
        pipeline = load(write("good.yaml", GOOD + f"swap:\n  {when}: {{P: B}}\n"))
        seen: dict[int | None, str | None] = {}
        pipeline(
            y=Y,
            trace=lambda state, seen=seen: seen.update([(state.iteration, state.active.get("P"))]),
        )
        assert seen == {None: None} | {i: "B" if i in swapped else "P" for i in range(3)}


def test_several_stages_restart_and_count_their_own_iterations(write):
    text = (
        GOOD[: GOOD.index("start:")]
        + """\
before:
  - x = U(y, s)
stages:
  - start:
      - alpha, beta = H(sigma, s, n)
    repeat: 2
    steps:
      - x = D(y, x, k, alpha[i])
  - start:
      - x = U(y, s)
      - alpha, beta = H(sigma, s, n)
    repeat: 3
    steps:
      - x = D(y, x, k, alpha[i])
      - x = P(x, beta[i])
swap:
  last 1: {P: B}
return: x
"""
    )
    pipeline = load(write("two.yaml", text), **{"modules.P.factor": 10, "stages.0.repeat": 1})
    trace: list[pnp.State] = []
    assert pipeline(y=Y, trace=trace.append).x.flatten()[0] == ((0 + 1) * 10 + 2) * 10 + 3
    assert [(t.stage, t.iteration, t.i) for t in trace if t.iteration is not None] == [
        (0, 0, 0),
        (1, 1, 0),
        (1, 2, 1),
        (1, 3, 2),
    ]


TIMES = """\
given: [y, s]
modules:
  U: {initializer: toy-repeat}
  T: {prior: toy-scale, factor: 3}
  M: {prior: toy-scale, factor: -2}
stages:
  - start:
      - x = U(y, s)
  - start:
      - x = M(x, 0.2)
    repeat: 2
    steps:
      - x = T(x, 0.1)
    times: 3
return: x
"""


def test_times_runs_a_stage_with_its_start_as_if_it_were_written_out(write):
    once = TIMES[TIMES.index("  - start:\n      - x = M") : TIMES.index("    times")]
    written = TIMES.replace(once + "    times: 3\n", 3 * once)
    times, apart = load(write("times.yaml", TIMES)), load(write("apart.yaml", written))
    seen: list[tuple[int | None, int | None]] = []
    y = torch.rand(1, 1, 4, 4)
    x = times(y=y, s=2, trace=lambda t: seen.append((t.stage, t.i))).x
    assert x.any() and torch.equal(x, apart(y=y, s=2).x) and times.spec.iterations == 6
    assert [t for t in seen if t[1] is not None] == [
        (stage, i) for stage in (1, 2, 3) for i in (0, 1)
    ]
    assert load(write("times.yaml", TIMES), **{"stages.1.times": 1}).spec.iterations == 2


@pytest.mark.parametrize("times", ["0", "0.5", "true", "many", "101"])
def test_times_is_a_whole_number(write, times):
    path = write("times.yaml", TIMES.replace("times: 3", f"times: {times}"))
    with pytest.raises(pnp.PnpError, match=r"times.yaml:14: times should be a whole number of at"):
        load(path)


def test_the_first_and_the_last_level_by_index(write):
    text = GOOD.replace("x = P(z, beta[i])", "x = P(z, beta[-1])")
    pipeline = load(write("last.yaml", text))
    beta = torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    for written, level in (("0", 0.1), ("-1", 0.3), ("-3", 0.1)):
        value = Variable("beta", int(written))
        found = step_values.read(value, {"beta": beta}, {"i": 1})
        assert found.shape == (1, 1, 1, 1) and found.item() == pytest.approx(level)
    with pytest.raises(pnp.PnpError, match=r"beta has 3 levels, but beta\[-4\] asks for"):
        step_values.read(Variable("beta", -4), {"beta": beta}, {"i": 1})
    assert [str(step) for step in pipeline.spec.stages[0].steps][-1] == "x = P(z, beta[-1])"


def test_freeze_stops_the_gradients_of_a_letter(write):
    free, frozen = (
        load(write("good.yaml", GOOD)),
        load(write("frozen.yaml", GOOD + "freeze: [P]\n")),
    )
    assert [p.requires_grad for p in free.parameters()] == [True]
    assert [p.requires_grad for p in frozen.parameters()] == [False]


def test_overrides_are_the_last_layer(write):
    name = write("good.yaml", GOOD)
    assert load(name, repeat=1)(y=Y).x.flatten()[0] == 1
    assert (
        load(name, **{"modules.P.factor": 0.5})(y=Y).x.flatten()[0]
        == ((0 + 1) / 2 + 2) / 2 / 2 + 3 / 2
    )
    assignments = ["repeat=2", "modules.P={prior: toy-blind}", "return=[x]"]
    spec = read_spec(name, assignments=assignments)
    assert spec.iterations == 2 and spec.modules["P"].name == "toy-blind" and spec.returns == ("x",)


def test_flattening_gives_the_same_pipeline_again(write):
    write("good.yaml", GOOD)
    child = write("child.yaml", "extends: good.yaml\nswap:\n  last 2: {P: B}\n")
    document = read_spec(child).document
    again = read_text("\n".join(line for line, _ in emit(document)), "again.yaml")
    assert again.plain() == document.plain()
    assert dict(emit(document))["swap:"].file == "child.yaml"
    assert dict(emit(document))["repeat: 3"].file == "good.yaml"


def test_a_pipeline_is_an_ordinary_module(write):
    pipeline = load(write("good.yaml", GOOD))
    assert set(pipeline.state_dict()) == {"P.factor"}
    pipeline(y=Y).x.sum().backward()
    assert pipeline.P.factor.grad != 0
    assert pipeline.double()(y=Y.double()).x.dtype == torch.float64


# ---------------------------------------------------------------- messages


def test_all_problems_of_a_file_at_once(write):
    bad = """\
    abuot: two letters swapped
    given: [y, s, t]
    modules:
      U: {initializer: toy-repeat}
      P: {prior: toy-scal, factor: 3}
      R: {prior: toy-scale, facto: 3, widths: 4, strength: 15}
      D: {prior: toy-pull}
      p: {prior: toy-blind}
    start:
      - x = U(y)
    repeat: 0
    steps:
      - z = D(y, x, k, alpha[i])
      - x = P(z, beta[j])
    swap:
      last 9: {P: U}
    return: [x, sigma]
    """
    assert message(write("bad.yaml", bad)) == textwrap.dedent(
        """\
        bad.yaml:1: a pipeline has no key 'abuot'
            1 | abuot: two letters swapped
              = did you mean 'about'? keys: about, after, before, cite, extends, freeze, given, modules, repeat, return, stages, start, steps, swap, variants, weights
        bad.yaml:2: the kind of 't' is not known
            2 | given: [y, s, t]
              = write 't: image'; kinds: image, complex, kernel, level, levels, number; names with a known kind: y, x, z, mask, k, w, sigma, alpha, beta, s
        bad.yaml:5: there is no prior called 'toy-scal'
            5 | P: {prior: toy-scal, factor: 3}
              = did you mean 'toy-scale'? priors: toy-blind, toy-narrow, toy-scale
        bad.yaml:6: R: there is no option 'facto'
            6 | R: {prior: toy-scale, facto: 3, widths: 4, strength: 15}
              = did you mean 'factor'? options: factor, strength, widths
        bad.yaml:6: R: widths is 4, but should be a list, each entry a whole number
            6 | R: {prior: toy-scale, facto: 3, widths: 4, strength: 15}
              = R is the prior toy-scale; see `pnp list toy-scale`
        bad.yaml:6: R: strength is 15, but should be a noise level on [0, 1]
            6 | R: {prior: toy-scale, facto: 3, widths: 4, strength: 15}
              = write 15/255 or 15% if that is meant
        bad.yaml:6: R: the option 'factor' is missing
            6 | R: {prior: toy-scale, facto: 3, widths: 4, strength: 15}
              = R is the prior toy-scale; see `pnp list toy-scale`
        bad.yaml:7: there is no prior called 'toy-pull'
            7 | D: {prior: toy-pull}
              = it is a solver: write 'D: {solver: toy-pull}'
        bad.yaml:8: 'p' cannot name a module
            8 | p: {prior: toy-blind}
              = modules begin with a capital letter, variables with a small one
        bad.yaml:11: repeat should be a whole number of at least 1, not 0
            11 | repeat: 0
        bad.yaml:14: 'j' is not an index
            14 | - x = P(z, beta[j])
               = an index is i or a number, for example alpha[i]; -1 is the last
        bad.yaml:16: 'last 9' exceeds the loop, which has 1 iterations (0..0), not 9
            16 | last 9: {P: U}"""
    )


STEPS = [
    (
        "z = D(y, k, x, alpha[i])",
        "D needs image as 'x', but k is kernel",
        "D is the solver toy-pull: D(y, x, k, weight) -> image",
    ),
    (
        "z = D(y, x, k)",
        "D needs 4 inputs, but has 3 here",
        "D is the solver toy-pull: D(y, x, k, weight) -> image",
    ),
    (
        "z = D(y, x, k, alpha)",
        "D needs level as 'weight', but alpha is levels",
        "write alpha[i] for the level of iteration i",
    ),
    (
        "z = D(y, x, k, s)",
        "D needs level as 'weight', but s is number",
        "D is the solver toy-pull: D(y, x, k, weight) -> image",
    ),
    (
        "z = B(y, x, 1)",
        "B needs 1 to 2 inputs, but has 3 here",
        "B is the prior toy-blind: B(x[, level]) -> image",
    ),
    (
        "z, w = B(x)",
        "B gives 1 (image), but 2 are left of '='",
        "B is the prior toy-blind: B(x[, level]) -> image",
    ),
    ("z = B(q)", "'q' is used before it has a value", "variables: alpha, beta, k, s, sigma, x, y"),
    (
        "z = B(sigm)",
        "'sigm' is used before it has a value",
        "did you mean 'sigma'? variables: alpha, beta, k, s, sigma, x, y",
    ),
    ("z = B(z)", "'z' is used before it has a value", "no step before this one gives it"),
    ("k = B(x)", "'k' was kernel before and would become image", "give it a name of its own"),
    (
        "z = B(x[i])",
        "'x' is image: it has no element [i]",
        "only levels (one per iteration) are indexed",
    ),
    ("z = Q(x)", "there is no module 'Q'", "modules: B, D, G, H, P, U"),
    (
        "z = b(x)",
        "this is not a step",
        "a step reads 'out[, out] = Module(in[, in])', for example 'z = D(y, x, k, alpha[i])'",
    ),
    ("x = P(z, beta[i]", "this is not a step", f"a ')' is missing; {FORM}"),
    ("x = P z, beta[i])", "this is not a step", f"a '(' is missing; {FORM}"),
    ("x = P(z, beta[i)", "'beta[i' is not an input", "a ']' is missing"),
    ("i = B(x)", "'i' cannot be assigned", "i is the index of the iteration and n their number"),
    ("z, z = B(x)", "an output is written twice", "give each a name of its own"),
    ("z = B(x.T)", "'x.T' is not an input", "an input is a variable, variable[i] or a number"),
    (
        "z = B(__import__('os'))",
        "'__import__('os')' is not an input",
        "an input is a variable, variable[i] or a number",
    ),
]


@pytest.mark.parametrize(("step", "reason", "cure"), STEPS, ids=[s[0] for s in STEPS])
def test_message_of_a_step(write, step, reason, cure):
    text = GOOD.replace("  - z = D(y, x, k, alpha[i])\n  - x = P(z, beta[i])", f"  - {step}")
    text = text.replace("return: [x, sigma]", "return: x")
    expected = f"one.yaml:15: {reason}\n    15 | - {step}"
    assert message(write("one.yaml", text)).startswith(
        expected + (f"\n       = {cure}" if cure else "")
    )


LINES = [
    (
        "repeat: 3",
        "repeat: many",
        "one.yaml:13: repeat should be a whole number of at least 1, not 'many'",
    ),
    ("repeat: 3", "repeat: 3\nrepeat: 4", "one.yaml:14: 'repeat' is written twice"),
    ("return: [x, sigma]", "return: [x, q]", "one.yaml:17: 'q' is returned, but no step gives it"),
    ("return: [x, sigma]", "freeze: Q\nreturn: x", "one.yaml:17: there is no module 'Q' to freeze"),
    (
        "return: [x, sigma]",
        "swap: {last 4: {P: B}}\nreturn: x",
        "one.yaml:17: 'last 4' exceeds the loop, which has 3 iterations (0..2), not 4",
    ),
    (
        "return: [x, sigma]",
        "swap: {2..1: {P: B}}\nreturn: x",
        "one.yaml:17: '2..1' contains no iteration",
    ),
    (
        "return: [x, sigma]",
        "swap: {last 4: {P: Q}}\nreturn: x",
        "one.yaml:17: there is no module 'Q'",
    ),
    (
        "return: [x, sigma]",
        "swap: {sometimes: {P: B}}\nreturn: x",
        "one.yaml:17: 'sometimes' does not say which iterations",
    ),
    (
        "return: [x, sigma]",
        "swap: {last 2: {P: B}, 1: {P: D}}\nreturn: x",
        "one.yaml:17: '1' swaps again what the swap on line 17 swaps in the same iterations",
    ),
    (
        "return: [x, sigma]",
        "swap: {last 2: {P: U}}\nreturn: x",
        "one.yaml:16: U needs number as 's', but beta[i] is level",
    ),
    ("return: [x, sigma]", "", "one.yaml:1: nothing is returned"),
    ("about: a toy", "about: [a, toy]", "one.yaml:1: about should be a line of text"),
    (
        "given: [y, s = 1, k = G(y), sigma = 2e-2]",
        "given:\n  - y\n  - s = 1\n  - k = U(y, s)\n  - sigma = 2e-2",
        "one.yaml:5: 'k' is a kernel, but its default gives image",
    ),
    ("k = G(y)", "k = G(x)", "one.yaml:2: 'x' is used before it has a value"),
    ("sigma = 2e-2", "sigma = 2e-2, sigma", "one.yaml:2: 'sigma' is given twice"),
    ("s = 1", "s = 1.5", "one.yaml:2: 's' is a number, so 1.5 cannot be its default"),
    ("  - x = U(y, s)", "  - x = U(y, i)", "one.yaml:11: 'i' exists only in a loop"),
    (
        "  - x = U(y, s)",
        "  x: U(y, s)",
        "one.yaml:12: this is not YAML: expected <block end>, but found '-'",
    ),
    (
        "P: {prior: toy-scale, factor: 1}",
        "P: {prior: toy-scale}",
        "one.yaml:8: P: the option 'factor' is missing",
    ),
    ("P: {prior: toy-scale, factor: 1}", "P: {factor: 1}", "one.yaml:8: P does not say what it is"),
    (
        "P: {prior: toy-scale, factor: 1}",
        "P: {prior: toy-scale, solver: toy-pull}",
        "one.yaml:8: P is both solver and prior",
    ),
    ("P: {prior: toy-scale, factor: 1}", "P: toy-scale", "one.yaml:8: P is not a module"),
    (
        "P: {prior: toy-scale, factor: 1}",
        "P: !!python/name:os.system x",
        "one.yaml:8: the tag 'tag:yaml.org,2002:python/name:os.system' is not part of the language",
    ),
    (
        "start:\n  - x = U(y, s)\n",
        "before: [x = U(y, s)]\nstart:\n",
        "one.yaml:10: this is not a step",
    ),
    (
        "about: a toy",
        "extends: one.yaml",
        "one.yaml:1: 'one.yaml' extends itself through this line",
    ),
    ("about: a toy", "extends: nothing.yaml", "one.yaml:1: nothing.yaml: there is no such file"),
]


@pytest.mark.parametrize(
    ("old", "new", "expected"), LINES, ids=[n[:40] or "no return" for _, n, _ in LINES]
)
def test_message_of_a_line(write, old, new, expected):
    assert old in GOOD
    said = message(write("one.yaml", GOOD.replace(old, new, 1)))
    assert said.startswith(expected), said


def test_weights_that_no_module_takes_are_refused(write):
    text = GOOD.replace("P: {prior: toy-scale, factor: 1}", "P: {prior: toy-blind}")
    said = message(write("one.yaml", text.replace("about: a toy", "weights: nothing.pth")))
    assert said.startswith("one.yaml:1: no module takes these weights")


def test_a_list_of_extends_is_a_base_and_overlays(write):
    write("good.yaml", GOOD)
    write("twice.yaml", "modules: {P: {factor: 2}}\n")
    write("short.yaml", "extends: good.yaml\nrepeat: 1\n")
    write("blind.yaml", "extends: good.yaml\nswap: {last 1: {P: B}}\n")
    both = load(write("both.yaml", "extends: [short.yaml, twice.yaml]\nafter: ['x = P(x, 0)']\n"))
    assert both(y=Y).x.flatten()[0] == 1 * 2 * 2
    # An overlay that extends what is below it acts with its own lines alone.
    blind = read_spec(write("c.yaml", "extends: [short.yaml, blind.yaml]\n"))
    assert blind.iterations == 1 and blind.stages[0].swap[0].replacements == {"P": "B"}
    assert load("good.yaml", "twice.yaml")(y=Y).x.flatten()[0] == ((0 + 1) * 2 + 2) * 2 * 2 + 3 * 2
    assert load("good.yaml", "twice.yaml", "short.yaml")(y=Y).x.flatten()[0] == 2
    assert read_spec("short.yaml", overlays=["blind.yaml"]).name == "short.yaml with blind.yaml"


VARIANTS = TIMES + "variants:\n  short.yaml: {stages.1.times: 1}\n  whole.yaml: {stages.1: null}\n"


def test_variants_stand_for_overlays_that_are_written_for_another_structure(write):
    """Of a base with several loops, for overlays of a single loop or whole pipelines."""
    write("short.yaml", "repeat: 8\n")
    write("whole.yaml", GOOD)
    write("loops.yaml", VARIANTS)
    plain = load("loops.yaml").spec.iterations
    for name, iterations in (("short.yaml", 2), ("whole.yaml", 0)):
        assert iterations < plain
        assert load("loops.yaml", name).spec.iterations == iterations
        child = write("child.yaml", "extends: loops.yaml\nmodules: {T: {factor: 2}}\n")
        assert load(child, name).spec.iterations == iterations
        assert (
            load(write("list.yaml", f"extends: [loops.yaml, {name}]\n")).spec.iterations
            == iterations
        )
    for given_up in ("null", "{whole.yaml: null}"):
        child = write("child.yaml", f"extends: loops.yaml\nvariants: {given_up}\n")
        assert "is a whole pipeline" in message(child, "whole.yaml")


@pytest.mark.parametrize(
    ("variants", "overlay", "expected"),
    [
        ("3", (), "'variants' should state for each overlay which values it changes here"),
        ("{}", (), "'variants' should state for each overlay"),
        ("{short.yaml: 8}", (), "'variants' should state for each overlay"),
        ("{shrot.yaml: {repeat: 1}}", (), "loops.yaml:16: shrot.yaml: there is no such file"),
        ("{short.yaml: {repaet: 1}}", ("short.yaml",), "a pipeline has no key 'repaet' to set"),
        ("{short.yaml: {stages.9: null}}", ("short.yaml",), "'stages' is a list of 2; '9' is not"),
    ],
)
def test_variants_that_are_wrong_are_told_with_their_line(write, variants, overlay, expected):
    write("short.yaml", "repeat: 8\n")
    said = message(write("loops.yaml", TIMES + f"variants: {variants}\n"), *overlay)
    assert said.startswith("loops.yaml:16: ") and expected in said


OVERLAYS = [
    ("steps:\n  - x = N(x, 0)\n", "over.yaml:2: there is no module 'N'"),
    (
        "modules:\n  N: {iterations: 5}\n",
        "over.yaml:2: there is no module 'N' to change\n    2 | N: {iterations: 5}\n      = modules:",
    ),
    ("modules:\n  N: null\n", "over.yaml:2: there is no module 'N' to remove"),
    ("modules: {P: null}\n", "good.yaml:16: there is no module 'P'"),
    ("swap: {last 9: {P: B}}\n", "over.yaml:1: 'last 9' exceeds the loop"),
    ("repaet: 3\n", "over.yaml:1: a pipeline has no key 'repaet'"),
    ("- x = N(x)\n", "over.yaml:1: a pipeline is a map of keys"),
    (GOOD, "over.yaml is a whole pipeline, not an overlay of good.yaml\n"),
    (
        "about: far\nextends: other.yaml\n",
        "over.yaml:2: other.yaml cannot be a second base: good.yaml is the base already",
    ),
]


@pytest.mark.parametrize(("text", "expected"), OVERLAYS, ids=[t[:40] for t, _ in OVERLAYS])
def test_an_overlay_that_does_not_fit_is_told_with_its_line(write, text, expected):
    write("good.yaml", GOOD)
    write("other.yaml", GOOD)
    write("over.yaml", text)
    for said in (
        message(write("both.yaml", "extends: [good.yaml, over.yaml]\n")),
        message("good.yaml", "over.yaml"),
    ):
        assert expected in said


@pytest.mark.parametrize("extends", ["[]", "{a: b}", "[good.yaml, [a]]", "3"])
def test_extends_is_a_name_or_a_list_of_names(write, extends):
    said = message(write("one.yaml", f"extends: {extends}\n"))
    assert said.startswith("one.yaml:1: extends should be a pipeline: a name, a file, or a list")


def test_a_cycle_through_another_folder_is_found(write, tmp_path):
    (tmp_path / "sub").mkdir()
    write("a.yaml", "extends: sub/../a.yaml\n")
    assert message("a.yaml").startswith("a.yaml:1: 'sub/../a.yaml' extends itself")


def test_an_assignment_is_the_last_layer_and_null_removes(write):
    name = write("good.yaml", GOOD)
    one = read_spec(name, assignments=["steps.1=null", "swap={last 1: {P: B}}", "swap=null"])
    assert [str(step) for step in one.stages[0].steps] == ["z = D(y, x, k, alpha[i])"]
    two = read_spec(name, assignments=["modules={P: {factor: 3}}", "modules.B=null"])
    assert two.modules["P"].options == {"factor": 3} and "B" not in two.modules
    three = read_spec(name, assignments=["return.0=z"])
    assert three.returns == ("z", "sigma")


def test_the_spec_keeps_kinds_and_called_letters(write):
    spec = read_spec(write("good.yaml", GOOD + "swap: {last 1: {P: B}}\n"))
    kinds = {name: kind.name for name, kind in spec.kinds.items()}
    assert kinds == {
        **dict.fromkeys(("y", "x", "z"), "image"),
        **{"s": "number", "k": "kernel", "sigma": "level"},
        **dict.fromkeys(("alpha", "beta"), "levels"),
    }
    assert spec.called == {"U", "G", "H", "D", "P", "B"}


def test_messages_about_overrides(write):
    name = write("good.yaml", GOOD)
    assert message(name, **{"modules.X.a": 1}).startswith(
        "load(modules.X.a=...): there is no module 'X'"
    )
    assert "did you mean 'repeat'?" in message(name, repaet=3)
    with pytest.raises(pnp.PnpError, match="write it as key=value"):
        read_spec(name, assignments=["repeat"])
    with pytest.raises(pnp.PnpError, match="list of 2; '7' is not an index"):
        read_spec(name, assignments=["return.7=x"])


def test_an_unknown_pipeline_is_answered_with_the_nearest(write):
    write("good.yaml", GOOD)
    assert "a file is written with its ending: good.yaml" in message("good")
    assert "there is no such file" in message("./missing.yaml")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, " needs y; it takes y, s, k, sigma"),
        ({"y": Y, "q": 1}, " does not take 'q'"),
        ({"y": Y * float("nan")}, ": y holds NaN or infinite values"),
        ({"y": Y + 200}, ": y has values up to 200, but images are on [0, 1]; divide an 8-bit"),
        ({"y": Y[0]}, ": y has shape (1, 2, 2); it needs four dimensions, (B, C, H, W)"),
        (
            {"y": Y.byte()},
            ": y is uint8; give floating point numbers; divide an 8-bit image by 255",
        ),
        ({"y": Y.numpy()}, ": y is of type ndarray; give a tensor"),
        ({"y": Y, "s": 2.5}, ": s is 2.5, but should be a whole number of at least 1"),
        ({"y": Y, "s": 0}, ": s is 0, but should be a whole number of at least 1"),
        (
            {"y": Y, "sigma": 15},
            ": sigma is 15, but should be a noise level on [0, 1]; write 15/255 or 15%",
        ),
        (
            {"y": Y, "sigma": torch.tensor(15.0)},
            ": sigma is 15, but should be a noise level on [0, 1]; divide levels on 0-255 by 255",
        ),
        (
            {"y": Y, "sigma": -0.1},
            ": sigma is -0.1, but should be a noise level on [0, 1]; write it as 0.02, 2% or 5/255",
        ),
        (
            {"y": Y, "sigma": "150%"},
            ": sigma is '150%', but should be a noise level on [0, 1]; write it as 0.02, 2% or 5/255",
        ),
        (
            {"y": Y, "sigma": 15},
            ": sigma is 15, but should be a noise level on [0, 1]; write 15/255 or 15% if that is meant",
        ),
        (
            {"y": Y, "k": torch.ones(1, 3, 5, 5)},
            ": k has 3 channels; all channels share one kernel: give k the shape (B, 1, K, K)",
        ),
        (
            {"y": Y, "k": torch.ones(5, 5) * 255},
            ": the kernel sums to 6375, but a blur kernel sums",
        ),
        ({"y": Y, "k": torch.ones(5, 5).double() / 25}, ": y is float32 but k is float64; convert"),
    ],
)
def test_bad_input_gets_one_clear_message(write, given, expected):
    pipeline = load(write("good.yaml", GOOD))
    with pytest.raises(pnp.PnpError) as caught:
        pipeline(**given)
    assert str(caught.value).startswith("good.yaml" + expected)


def test_a_failing_step_names_itself_its_iteration_and_shapes(write):
    pipeline = load(write("good.yaml", GOOD))
    pipeline.P.forward = lambda x, level: x @ torch.ones(3, 3)
    with pytest.raises(pnp.PnpError) as caught:
        pipeline(y=Y)
    said = str(caught.value)
    assert said.startswith(
        "good.yaml:16: the step 'x = P(z, beta[i])' failed (iteration 1 of 3): RuntimeError: "
    )
    assert "inputs: z (1, 1, 2, 2), beta[i] (1, 1, 1, 1)" in said


def test_a_module_whose_constructor_forgets_its_base_is_told(write, monkeypatch):
    name = write("good.yaml", GOOD)
    monkeypatch.setattr(pnp.prior.get("toy-blind"), "__init__", lambda self: None)
    assert message(name).startswith(
        "good.yaml:9: B: its constructor must begin with super().__init__()"
    )


def test_a_step_that_asks_for_a_level_too_many_names_itself(write):
    pipeline = load(write("good.yaml", GOOD.replace("alpha[i]", "alpha[9]")))
    with pytest.raises(pnp.PnpError) as caught:
        pipeline(y=Y)
    said = str(caught.value)
    assert said.startswith(
        "good.yaml:15: the step 'z = D(y, x, k, alpha[9])' failed (iteration 1 of 3): alpha has 3 "
    )
    assert said.endswith("inputs: y (1, 1, 2, 2), x (1, 1, 2, 2), k (1, 1, 1, 1)")


@pytest.mark.parametrize("gives", [None, (Y, Y)])
def test_a_step_that_gives_too_little_or_too_much_names_itself(write, gives):
    pipeline = load(write("good.yaml", GOOD))
    pipeline.U.forward = lambda y, s: gives
    with pytest.raises(
        pnp.PnpError,
        match=r"good.yaml:11: the step 'x = U\(y, s\)' failed .* a value for each of x",
    ):
        pipeline(y=Y)


def steps_of(spec):
    return [str(step) for stage in spec.stages for step in (*stage.start, *stage.steps)]


def test_a_removed_module_takes_its_steps_along(write):
    write("good.yaml", GOOD)
    told = "extends: good.yaml\ngiven: [y, s = 1, k = G(y), alpha: levels, beta: levels]\n"
    spec = read_spec(write("told.yaml", told + "modules: {H: null}\nreturn: [x]\n"))
    assert steps_of(spec) == ["x = U(y, s)", "z = D(y, x, k, alpha[i])", "x = P(z, beta[i])"]
    # Two at once, from stages as well as from a loop, by --set as well as by a layer.
    longer = GOOD.replace("  - z = D", "  - w = B(x)\n  - w = M(w)\n  - z = D")
    longer = longer.replace("  B: ", "  M: {prior: toy-blind}\n  B: ")
    write("longer.yaml", longer)
    for spec in (
        read_spec(write("two.yaml", "extends: longer.yaml\nmodules: {B: null, M: null}\n")),
        read_spec("longer.yaml", assignments=["modules={B: null, M: null}"]),
    ):
        assert steps_of(spec) == steps_of(read_spec("good.yaml"))


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("U", "'x' is used before it has a value"),
        ("H", "there is no module 'H'"),
        ("D", "there is no module 'D'"),
        ("P", "there is no module 'P'"),
    ],
)
def test_a_module_that_others_need_is_missed(write, symbol, message):
    """Its outputs would be read but not computed, or its inputs computed for nothing."""
    write("good.yaml", GOOD)
    with pytest.raises(pnp.PipelineError, match=message):
        read_spec(write("over.yaml", f"extends: good.yaml\nmodules: {{{symbol}: null}}\n"))


# ---------------------------------------------------------------- a layer that does not fit


def test_a_module_that_does_not_fit_the_steps_of_the_base_is_reported_where_it_is_written(write):
    write("good.yaml", GOOD)
    text = "extends: good.yaml\nmodules:\n  H: {prior: toy-blind}\n"
    said = message(write("child.yaml", text))
    expected = "child.yaml:3: this H replaces that of good.yaml, but does not fit its line 12, "
    assert said.startswith(expected + "'alpha, beta = H(sigma, s, n)'")
    assert "a new module needs a symbol of its own (in use: U, G, H, D, P, B)" in said
    assert said.count("good.yaml") == 1  # nothing of what follows from it


def test_stages_over_a_loop_and_a_loop_over_stages_say_what_removes_the_other(write):
    write("loop.yaml", GOOD)
    loop = "".join(GOOD.partition("start:\n")[1:]).partition("return:")[0]
    stages = "stages:\n  - " + textwrap.indent(loop, "    ").lstrip()
    write("stages.yaml", GOOD.replace(loop, stages))
    child = write("child.yaml", f"extends: loop.yaml\n{stages}")
    nulls = "'start: null', 'repeat: null', 'steps: null'"
    assert message(child) == (
        "child.yaml:2: 'stages' is written over the loop of loop.yaml (start, repeat, steps)\n"
        f"    2 | stages:\n      = write {nulls} beside it"
    )
    cured = f"extends: loop.yaml\n{stages}" + nulls.replace("'", "").replace(", ", "\n")
    assert load(write("cured.yaml", cured)).spec.iterations == 3
    over = "extends: stages.yaml\n" + loop
    cure = "write 'stages: null' beside it to replace the stages of stages.yaml"
    assert cure in message(write("over.yaml", over))
    assert load(write("cured.yaml", over + "stages: null")).spec.iterations == 3
    with pytest.raises(pnp.PnpError, match=r"name the stage: --set stages\.0\.repeat="):
        read_spec("stages.yaml", assignments=["repeat=2"])
    assert read_spec("stages.yaml", assignments=["stages.0.repeat=2"]).iterations == 2


def test_an_option_that_is_set_without_modules_says_how_it_is_written(write):
    with pytest.raises(pnp.PnpError, match=r"an option of a module is set as modules\.P\.factor"):
        read_spec(write("good.yaml", GOOD), assignments=["P.factor=2"])
