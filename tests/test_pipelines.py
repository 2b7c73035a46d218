"""Laws over every pipeline of the package, each with small networks: it loads, runs, keeps shapes and differentiates."""

import functools
from typing import Any

import pytest
import torch

import pnp
from pnp.commands.catalogue import listing
from pnp.commands.check import of_pipeline
from pnp.language.reader import PIPELINES, read_spec
from pnp.priors.kernel_update import KernelUpdate

SMALL: dict[str, dict[str, Any]] = {
    "resunet": {"nc": [4, 4, 4, 4], "nb": 1},
    "resunet-blind": {"nc": [4, 4, 4, 4], "nb": 1},
    "drunet": {"nc": [4, 4, 4, 4], "nb": 1},
    "dncnn": {"depth": 3, "features": 4},
    "scunet": {"config": [1] * 7, "dim": 8, "head_dim": 4, "window": 4},
    "scunet-level": {"config": [1] * 7, "dim": 8, "head_dim": 4, "window": 4},
    "kernel-resunet": {"nb": 1},
    "kernel-update": {"nc": [4, 4, 4, 4], "least": 0.0},
    "kernel-encoder": {"features": 4},
    "kernel-corrector": {"features": 4},
    "residual-noise": {"features": 4},
    "srresnet": {"features": 4, "blocks": 1},
    "flow-kernel": {"steps": 2, "width": 8},
    "tv": {"iterations": 5},
    "cg-image": {"iterations": 5},
}
"""Options that make a module small; everything else about a pipeline stays as it is."""

SIDE = 36
"""Height and width of results: a kernel of 25 fits in, scales 1 to 4 divide it."""

FIXED_SCALE = {"dpsr": 4}
"""Pipelines that a network ties to one scale."""

NO_GRADIENT = {"ikrnet-authors": ["I"]}
"""Modules that a pipeline cuts off from its results: the authors' code lets no gradient pass from D
to the kernel, and pulls w to zero, so that I learns in a stage of its own."""

NEW = ("blind-dpir", "denoise-usrnet", "fkp-dpir", "usrnet-tv-start")
"""Combinations that are in no paper: they need no Python."""


def small(name, **more):
    """The overrides that shrink a pipeline: networks, and 2 iterations where no swap needs more."""
    spec = read_spec(name)
    document = spec.document.value
    repeats = [2 + max((w.last - w.first for w in stage.swap), default=0) for stage in spec.stages]
    overrides = {"repeat": repeats[0]} if "repeat" in document else {}
    if "stages" in document:
        for i, stage in enumerate(document["stages"].value):
            if "steps" in stage.value:
                overrides |= {f"stages.{i}.repeat": max(repeats)}
            if "times" in stage.value:
                overrides |= {f"stages.{i}.times": 2}
    for symbol, module in spec.modules.items():
        options = dict(SMALL.get(module.name, {}))
        if module.name == "hypanet":
            options = {"n": max(repeats), "width": 8}
        overrides |= {f"modules.{symbol}.{option}": value for option, value in options.items()}
    return overrides | more


def load(name, **more):
    torch.manual_seed(0)
    return pnp.load(name, random_weights=True, **small(name, **more))


def scale_of(name, s=2):
    takes_s = any(g.name == "s" for g in read_spec(name).given)
    return FIXED_SCALE.get(name, s) if takes_s else 1


def given(pipeline, s, batch=1, dtype=torch.float32):
    """What the pipeline needs and may be given, random but reproducible."""
    generator = torch.Generator().manual_seed(1)
    side = SIDE // s

    def rand(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64).to(dtype)

    kernel = rand(batch, 1, 5, 5)
    values = {
        "y": rand(batch, channels(pipeline), side, side),
        "s": s,
        "k": kernel / kernel.sum((-2, -1), keepdim=True),
        "sigma": torch.full((batch, 1, 1, 1), 0.02, dtype=dtype),
        "mask": (rand(batch, 1, side, side) > 0.3).to(dtype),
    }
    return {g.name: values[g.name] for g in pipeline.spec.given}


def channels(pipeline):
    """Of y: two for a complex image."""
    return 2 if pipeline.spec.kinds["y"].name == "complex" else 3


def near(a, b, tolerance):
    return float((a - b).abs().max()) <= tolerance * max(float(b.abs().max()), 1.0)


@functools.cache
def trained(name):
    """Symbols of a pipeline whose modules have parameters."""
    return [
        symbol
        for symbol, module in load(name).parts.items()
        if next(module.parameters(), None) is not None
    ]


every_pipeline = pytest.mark.parametrize("name", PIPELINES.names())
networks = [name for name in PIPELINES.names() if trained(name)]


@every_pipeline
def test_it_checks_and_has_a_line_in_the_list(name):
    assignments = [f"{key}={value}" for key, value in small(name).items()]
    spec = read_spec(name, assignments=assignments)
    assert of_pipeline(spec, random_weights=True).startswith(f"{name}: ok: ")
    about = read_spec(name).about
    assert 20 <= len(about) <= 95, "pnp list gives a pipeline one line"


def test_the_list_gives_one_line_to_each(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    lines = listing().splitlines()
    assert [line.split()[0] for line in lines[1 : lines.index("")]] == PIPELINES.names()


@every_pipeline
def test_what_no_later_step_needs_is_dropped_and_the_result_is_the_same(name):
    pipeline = load(name).eval()
    seen = []

    class Hook:
        variables = ("x",)

        def __call__(self, state):
            seen.append(set(state.variables))

    with torch.no_grad():
        y = given(pipeline, scale_of(name, 2))
        result = pipeline(**y, trace=Hook())
        everything = pipeline(**y, trace=lambda state: seen.append(set(state.variables)))
        again = pipeline(**y)
    assert all(torch.equal(value, result[n]) for n, value in everything.items())
    assert all(torch.equal(value, result[n]) for n, value in again.items())
    half = len(seen) // 2
    assert all(fewer <= more for fewer, more in zip(seen[:half], seen[half:], strict=True))


def test_images_are_freed_when_their_last_step_has_run():
    alive = []

    class Hook:
        variables = ()

        def __call__(self, state):
            alive.append((state.stage, set(state.variables)))

    pipeline = pnp.load("ikrnet-small")
    images = {n for n, kind in pipeline.spec.kinds.items() if kind.name == "image"}
    assert images >= {"b", "u", "x", "y", "z"}
    with torch.no_grad():
        pipeline(y=torch.rand(1, 3, 32, 32), s=1, trace=Hook())
    for stage, variables in alive[1:]:  # z and x of an iteration; u in the last loop alone
        last = stage == len(pipeline.spec.stages) - 2
        assert variables & images <= {"x", "y", "z"} | ({"u"} if last else set())


@every_pipeline
@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_it_returns_what_it_says_with_one_set_of_weights_for_all_scales(name, s):
    if s != scale_of(name, s):
        pytest.skip(f"{name} works at scale {scale_of(name, s)} alone")
    pipeline = load(name).eval()
    with torch.no_grad():
        result = pipeline(**given(pipeline, s))
    assert tuple(result) == pipeline.spec.returns
    assert result.x.shape == (1, channels(pipeline), SIDE, SIDE)
    assert all(bool(value.isfinite().all()) for value in result.values())
    if "k" in result:
        assert result.k.shape[:2] == (1, 1) and float(result.k.sum()) == pytest.approx(1, abs=1e-3)
    if "sigma" in result:
        assert result.sigma.shape == (1, 1, 1, 1) and float(result.sigma) >= 0


@every_pipeline
def test_what_has_a_default_need_not_be_given(name):
    pipeline = load(name).eval()
    generator = torch.Generator().manual_seed(2)
    y = torch.rand(1, channels(pipeline), SIDE, SIDE, generator=generator)
    required = {g.name for g in pipeline.spec.given if g.default is None}
    values = {
        key: value for key, value in given(pipeline, scale_of(name)).items() if key in required
    }
    mask = {"mask": torch.ones(1, 1, SIDE, SIDE)} if "mask" in values else {}
    with torch.no_grad():
        assert bool(pipeline(**values | {"y": y} | mask).x.isfinite().all())


@pytest.mark.parametrize("name", networks)
def test_it_back_propagates_to_every_trainable_module(name):
    pipeline = load(name).train()
    generator = torch.Generator().manual_seed(3)
    for module in pipeline.modules():
        if isinstance(module, KernelUpdate):  # before training it does not look at its inputs
            torch.nn.init.normal_(module.m_tail.weight, std=0.3, generator=generator)
    result = pipeline(**given(pipeline, scale_of(name), batch=2))
    parts = [torch.rand(value.shape, generator=generator) * value for value in result.values()]
    sum(part.mean() for part in parts).backward()
    for symbol in trained(name):
        gradients = {n: p.grad for n, p in getattr(pipeline, symbol).named_parameters()}
        if symbol in NO_GRADIENT.get(name, []):
            assert all(g is None for g in gradients.values())
            continue
        assert not [n for n, g in gradients.items() if g is None], (
            f"parameters of {symbol} have no gradient"
        )
        assert all(bool(g.isfinite().all()) for g in gradients.values()), (
            f"gradients of {symbol} are not finite"
        )
        assert any(bool(g.any()) for g in gradients.values()), f"gradients of {symbol} are all zero"


@pytest.mark.parametrize("name", networks)
def test_frozen_letters_stay_and_the_others_learn(name):
    for symbol in trained(name):
        pipeline = load(name, freeze=[symbol])
        frozen = {n.split(".")[0] for n, p in pipeline.named_parameters() if not p.requires_grad}
        assert frozen == {symbol}
    pipeline = load(name, freeze=trained(name)[:1])
    free = [p for p in pipeline.parameters() if p.requires_grad]
    if free:
        result = pipeline(**given(pipeline, scale_of(name)))
        sum(value.mean() for value in result.values()).backward()
        assert all(p.grad is None for p in pipeline.parameters() if not p.requires_grad)
        assert any(p.grad is not None for p in free)


@every_pipeline
def test_it_runs_in_float64_and_agrees_with_float32(name):
    pipeline = load(name).eval()
    with torch.no_grad():
        single = pipeline(**given(pipeline, scale_of(name)))
        double = pipeline.double()(**given(pipeline, scale_of(name), dtype=torch.float64))
    assert all(value.dtype == torch.float64 for value in double.values())
    assert near(single.x.double(), double.x, 2e-3)


@every_pipeline
def test_images_of_a_batch_do_not_touch_each_other(name):
    pipeline = load(name).double().eval()
    both = given(pipeline, scale_of(name), batch=2, dtype=torch.float64)
    with torch.no_grad():
        together = pipeline(**both)
        for i in (0, 1):
            alone = pipeline(**{n: v if n == "s" else v[i : i + 1] for n, v in both.items()})
            for variable in together:
                assert near(together[variable][i : i + 1], alone[variable], 1e-8), variable


swapping = [
    name for name in PIPELINES.names() if any(stage.swap for stage in read_spec(name).stages)
]


@pytest.mark.parametrize("name", swapping)
def test_a_swap_changes_its_iterations_and_no_others(name):
    pipeline, plain = load(name).eval(), load(name, swap=None).eval()
    plain.load_state_dict(pipeline.state_dict())
    (stage,) = pipeline.spec.stages
    (swap,) = stage.swap
    states: list[tuple] = []
    plain_states: list[tuple] = []
    with torch.no_grad():
        for p, seen in ((pipeline, states), (plain, plain_states)):
            p(
                **given(p, scale_of(name)),
                trace=lambda t, seen=seen: seen.append((t.i, dict(t.active), t.variables["x"])),
            )
    for (i, active, x), (_, plain_active, plain_x) in zip(states, plain_states, strict=True):
        if i is None:
            continue
        swapped = swap.first <= i < swap.last
        expected = {
            symbol: swap.replacements.get(symbol, symbol) if swapped else symbol
            for symbol in plain_active
        }
        assert active == expected
        assert torch.equal(x, plain_x) == (i < swap.first), (
            "until the swap begins the two runs are one"
        )
    assert {"ikrnet-scunet", "usrnet-tv-start"} <= set(swapping)


def test_new_combinations_are_yaml_alone():
    for name in NEW:
        assert "in no paper" in read_spec(name).about
        assert read_spec(name).stages != read_spec("ikrnet").stages
