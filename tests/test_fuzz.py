"""Arbitrary YAML gives a pipeline or messages of pnp's, never another exception."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_language import GOOD
from toys import toys  # noqa: F401 (a fixture)

import pnp
from pnp.building import build
from pnp.comparing.reader import COMPARISONS, read_comparison
from pnp.document import from_python, read_text
from pnp.errors import Origin
from pnp.language.emit import emit
from pnp.language.reader import PIPELINES, spec_of
from pnp.language.spec import KEYS
from pnp.training.recipe_reader import KEYS as RECIPE_KEYS
from pnp.training.recipe_reader import load_recipe

pytestmark = pytest.mark.usefixtures("toys")
LAX = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

words = st.sampled_from(
    [
        *KEYS,
        *GOOD.replace(",", " ").replace("{", " ").split(),
        "prior",
        "last 2",
        "0..1",
        "x = P(z, beta[i])",
        "k = G(y)",
        "i",
        "n",
        "toy-scale",
        "factor",
        "U(y, s)",
        "= (",
        "x[i]",
        "1e-2",
        "2%",
        "null",
        "~",
        "-1",
        "true",
        "",
        "é",
    ]
)
printable = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" "), max_size=8
)
scalars = words | st.integers() | st.floats() | st.booleans() | st.none() | printable
values = st.recursive(
    scalars,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(words | printable, v, max_size=4),
    max_leaves=12,
)


def survive(text: str) -> None:
    try:
        document = read_text(text, "fuzz.yaml")
        if document.is_map:
            build(spec_of(document, "fuzz.yaml"), random_weights=True)
    except pnp.PnpError as e:
        assert str(e)


@LAX
@given(st.text(max_size=200))
@example("? []\n: b")
@example("a: &a [*a]")
@example("[" * 500)
@example("\ufeff: 0")
@example("a: !<x> 1")
@example("%YAML 9.9\n---\na")
def test_any_text(text):
    survive(text)


@LAX
@given(values, st.sampled_from(KEYS), values)
def test_any_value_under_any_key(outer, key, value):
    document = read_text(GOOD, "fuzz.yaml")
    replaced = {**document.plain(), key: value}
    for candidate in (outer, replaced):
        node = from_python(candidate, Origin("fuzz.yaml", 1))
        if node.is_map:
            try:
                build(spec_of(node, "fuzz.yaml"), random_weights=True)
            except pnp.PnpError as e:
                assert str(e)


@LAX
@given(values, st.lists(words, min_size=1, max_size=3), values)
def test_any_layer_and_any_assignment(layer, path, value):
    document = read_text(GOOD, "fuzz.yaml")
    try:
        if isinstance(layer, dict):
            node = from_python(layer, Origin("layer.yaml", 1))
            document = PIPELINES.merge(document, node)
        key = ".".join(path)
        document = PIPELINES.override(document, key, from_python(value, Origin("--set")))
        build(spec_of(document, "fuzz.yaml"), random_weights=True)
    except pnp.PnpError as e:
        assert str(e)


RECIPE = """\
pipeline: hqs-tv
train: [P]
losses: [{l1: x, iterations: all}]
degradations: {scales: {2: 1}, noise: 2%}
optimiser: {lr: 1e-3}
"""
COMPARISON = """\
about: a comparison
data: {folder: images}
kernels: {file: kernels.npy, groups: {all: [1]}}
scales: [1, 2]
sigmas: [0, 2%]
protocol: usrnet
metrics: [psnr]
methods: {tv: {pipeline: hqs-tv, set: {repeat: 2}, given: [k]}}
published: {a: [1, 2, 3, 4]}
"""


@LAX
@given(st.data(), values, values)
def test_any_value_in_a_recipe_or_a_comparison(tmp_path, data, value, inner):
    for text, read, keys in (
        (RECIPE, load_recipe, RECIPE_KEYS),
        (COMPARISON, read_comparison, COMPARISONS.keys),
    ):
        document = read_text(text, "fuzz.yaml").plain()
        key = data.draw(st.sampled_from(keys))
        if isinstance(document.get(key), dict) and data.draw(st.booleans()):
            document[key][data.draw(st.sampled_from([*document[key]]))] = inner
        else:
            document[key] = value
        node = from_python(document, Origin("fuzz.yaml", 1))
        (tmp_path / "fuzz.yaml").write_text("\n".join(line for line, _ in emit(node)))
        try:
            read(tmp_path / "fuzz.yaml")
        except pnp.PnpError as e:
            assert str(e)


@LAX
@given(st.data())
def test_any_edit_of_a_good_file(data):
    lines = GOOD.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.lists(words | st.sampled_from(lines), max_size=2)
        )
        if not lines:
            break
    survive("\n".join(lines))


@LAX
@given(values)
@example({"about": [], "%": None})
def test_what_is_emitted_reads_back_the_same(value):
    node = from_python(value if isinstance(value, dict) else {"a": value}, Origin("fuzz.yaml", 1))
    text = "\n".join(line for line, _ in emit(node))
    assert repr(read_text(text, "again.yaml").plain()) == repr(node.plain())
