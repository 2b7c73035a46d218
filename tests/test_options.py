"""Options: ranges in annotations, constructors that check them, and the one reader from nodes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pytest

import pnp
from pnp.document import read_text
from pnp.errors import PnpError
from pnp.interfaces import Image, Level, Prior
from pnp.options import (
    Count,
    Fraction,
    Noise,
    Positive,
    Range,
    Rule,
    convert,
    describe,
    read_dataclass,
    read_fields,
)
from pnp.priors.tv import TotalVariation

Odd = Annotated[Count, Rule("that is odd", lambda n: n % 2)]

FITS = [
    (Count, 1, 1),
    (Count, np.int64(3), 3),
    (Positive, 2, 2.0),
    (Fraction, 1, 1.0),
    (Noise, "5/255", 5 / 255),
    (Noise, "2 %", 0.02),
    (Annotated[Noise, Range(above=0)], 0.5, 0.5),
    (Odd, 3, 3),
    (Count | None, None, None),
    (Literal["last", "zero"], "zero", "zero"),
    (tuple[Count, Count], [1, 2], (1, 2)),
    (tuple[Count, ...], [1, 2, 3], (1, 2, 3)),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (Mapping[str, int], {"a": "b"}, {"a": "b"}),
]


@pytest.mark.parametrize(("annotation", "value", "want"), FITS)
def test_values_that_fit(annotation, value, want):
    got = convert(annotation, value)
    assert got == want and type(got) is type(want)


REFUSED = [
    (Count, 0, "is 0, but should be a whole number of at least 1"),
    (Count, True, "is True, but should be a whole number of at least 1"),
    (Count, 2.5, "is 2.5, but should be a whole number of at least 1"),
    (Positive, 0, "is 0, but should be a number above 0"),
    (Positive, float("inf"), "is inf, but should be a number above 0"),
    (Positive, float("nan"), "is nan, but should be a number above 0"),
    (Fraction, 1.5, "is 1.5, but should be a number from 0 to 1"),
    (
        Annotated[float, Range(at_least=0, below=1)],
        1,
        "is 1, but should be a number of at least 0 and below 1",
    ),
    (
        Noise,
        15,
        "is 15, but should be a noise level on [0, 1]; write 15/255 or 15% if that is meant",
    ),
    (
        Annotated[Noise, Range(above=0)],
        0,
        "is 0, but should be a noise level on [0, 1] above 0; write it as 0.02, 2% or 5/255",
    ),
    (Odd, 4, "is 4, but should be a whole number of at least 1 that is odd"),
    (Count | None, 0, "is 0, but should be a whole number of at least 1 or null"),
    (Literal["last", "zero"], "first", "is 'first', but should be one of last, zero"),
    (
        tuple[Count, Count],
        [1, 0],
        "is [1, 0], but should be a list of 2, each entry a whole number of at least 1",
    ),
    (tuple[int, ...], 4, "is 4, but should be a list, each entry a whole number"),
    (bool, 1, "is 1, but should be true or false"),
    (str, None, "is None, but should be text"),
]


@pytest.mark.parametrize(("annotation", "value", "message"), REFUSED)
def test_values_that_do_not_fit_are_told_what_they_should_be(annotation, value, message):
    with pytest.raises(PnpError) as error:
        convert(annotation, value)
    assert str(error.value) == message


def test_descriptions():
    assert describe(float) == "a number"
    assert describe(tuple[int, str]) == "a list of 2"
    assert describe(Range) == "Range"


class Window(Prior):
    """A prior as a plugin writes it, not registered."""

    def __init__(self, size: Odd, share: Fraction = 0.5, name: str = "w"):
        super().__init__()
        self.size, self.share, self.name = size, share, name

    def forward(self, x: Image, level: Level | None = None) -> Image:
        return x


class Wider(Window):
    """Inherits the constructor."""


def test_a_constructor_checks_its_arguments_and_says_all_that_is_wrong_at_once():
    with pytest.raises(PnpError) as error:
        Window(2, share=3)
    assert str(error.value) == (
        "Window: size is 2, but should be a whole number of at least 1 that is odd; "
        "share is 3, but should be a number from 0 to 1"
    )
    assert (Window(3, 1).share, Wider(size=3).size) == (1.0, 3)
    with pytest.raises(PnpError, match="Wider: size is 2"):
        Wider(2)
    with pytest.raises(PnpError, match=r"^tv: iterations is 0, but should be .* at least 1$"):
        TotalVariation(iterations=0)
    with pytest.raises(TypeError, match="'size'"):
        Window()  # type: ignore[call-arg]
    assert list(inspect.signature(Window).parameters) == ["size", "share", "name"]


def test_build_takes_an_option_called_name(monkeypatch):
    registry = pnp.prior
    monkeypatch.setattr(registry, "_classes", {**registry._classes, "window": Window})
    monkeypatch.setattr(registry, "_discovered", True)
    assert registry.build("window", size=3, name="mine").name == "mine"
    with pytest.raises(PnpError, match=r"^window: there is no option 'siz'.*; .*'size' is missing"):
        registry.build("window", siz=3)


@dataclass(frozen=True)
class Inner:
    """A section."""

    lr: Positive = 1e-4


@dataclass(frozen=True)
class Outer:
    """A document."""

    batch: Count
    about: str = ""
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.batch == 13:
            raise PnpError("batch should not be 13")


def test_a_dataclass_is_read_from_a_document_with_the_line_of_each_problem():
    node = read_text("about: 3\nbatch: 2\ninner:\n  lr: 0\n  l: 1\nbatsh: 4\n", "a.yaml")
    values, problems = read_fields(Outer, node, noun="key")
    assert values == {"batch": 2}
    assert [(p.origin.line, p.message) for p in problems] == [
        (1, "about is 3, but should be text"),
        (4, "inner: lr is 0, but should be a number above 0"),
        (5, "inner: there is no key 'l'"),
        (6, "there is no key 'batsh'"),
    ]
    assert problems[-1].cure == "did you mean 'batch'? keys: about, batch, inner"


def test_a_dataclass_is_built_from_a_map_or_refused():
    def read(text):
        made, problems = read_dataclass(Outer, read_text(text, "a.yaml"), "outer")
        return made, [str(p).split("\n")[0] for p in problems]

    assert read("batch: 2\ninner: {lr: 1}\n") == (Outer(2, inner=Inner(1.0)), [])
    assert read("batch: 13\n") == (None, ["a.yaml:1: batch should not be 13"])
    assert read("about: x\n") == (None, ["a.yaml:1: outer: the key 'batch' is missing"])
    assert read("[1]\n") == (None, ["a.yaml:1: outer should be a map of keys"])


WRONG = """\
extends: hqs-tv
modules:
  D: {solver: cg-image, tolerance: 2, boundary: wrap}
  P:
    prior: tv
    iterations: 0
    strength: -1
"""


def test_all_wrong_options_of_all_modules_are_told_at_once_each_with_its_line(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    with pytest.raises(pnp.PipelineError) as error:
        pnp.load(path)
    assert [(p.origin.line, p.message) for p in error.value.problems] == [
        (3, "D: tolerance is 2, but should be a number above 0 and below 1"),
        (3, "D: boundary is 'wrap', but should be one of circular, replicate, reflect"),
        (6, "P: iterations is 0, but should be a whole number of at least 1"),
        (7, "P: strength is -1, but should be a number above 0"),
    ]
    assert error.value.problems[-1].cure == "P is the prior tv; see `pnp list tv`"


def test_what_depends_on_two_options_is_told_with_the_cure_and_the_name_once():
    changes: dict[str, Any] = {"modules.H.first": "1%", "modules.H.last": "2%"}
    with pytest.raises(pnp.PipelineError) as error:
        pnp.load("hqs-tv", **changes)
    [problem] = error.value.problems
    assert problem.message == "H: first is 0.01 and last is 0.02, but the level must not rise"
    assert problem.cure == "write last <= first"
