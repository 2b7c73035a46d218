"""`while: k changes`: a stage ends with the first start that keeps k."""

import re

import pytest
import torch
from toys import toys  # noqa: F401 (a fixture)

import pnp
from pnp.interfaces import Kernel, Prior
from pnp.registry import REGISTRIES


class Positive(Prior):
    """Negative taps are zero, and the sum is one."""

    def forward(self, w: Kernel) -> Kernel:
        taps = w.clamp(min=0)
        return taps / taps.sum()


@pytest.fixture
def write(tmp_path, monkeypatch, request):
    """Write a file into the working folder; its name is what messages show."""
    request.getfixturevalue("toys")
    monkeypatch.chdir(tmp_path)
    priors = REGISTRIES["prior"]
    monkeypatch.setattr(priors, "_classes", priors._classes | {"toy-positive": Positive})

    def write(text):
        (tmp_path / "settling.yaml").write_text(text)
        return "settling.yaml"

    return write


SETTLING = """\
given: [y, s, k]
modules:
  U: {initializer: toy-repeat}
  T: {prior: toy-scale, factor: 3}
  Pk: {prior: toy-positive}
stages:
  - start:
      - x = U(y, s)
  - times: 4
    while: k changes
    start:
      - x = T(x, 0.1)
      - k = Pk(k)
    repeat: 2
    steps:
      - x = T(x, 0.1)
  - start:
      - x = T(x, 0.1)
return: [x, k]
"""


@pytest.mark.parametrize(("taps", "done"), [([0.25, 0.5, 0.25], 0), ([1.5, 0.5, -1.0], 1)])
def test_a_stage_is_left_out_and_not_repeated_once_its_start_keeps_the_variable(write, taps, done):
    """A projection changes a kernel once; what the start did to x in vain is undone."""
    pipeline = pnp.load(write(SETTLING), random_weights=True)
    k = torch.tensor(taps).reshape(1, 1, 1, 3)
    y = torch.rand(1, 1, 4, 4)
    seen: list[int | None] = []
    with torch.no_grad():
        result = pipeline(y=y, s=1, k=k, trace=lambda t: seen.append(t.iteration))
    assert [i for i in seen if i is not None] == list(range(2 * done))
    torch.testing.assert_close(result.x, 3.0 ** (3 * done + 1) * y)


def test_a_variable_with_a_gradient_counts_as_changed(write):
    pipeline = pnp.load(write(SETTLING), random_weights=True)
    k = torch.tensor([0.25, 0.5, 0.25]).reshape(1, 1, 1, 3).requires_grad_()
    y = torch.rand(1, 1, 4, 4)
    torch.testing.assert_close(pipeline(y=y, s=1, k=k).x, 3.0**13 * y)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("k changes", "k", "settling.yaml:10: while names one variable that changes, not 'k'"),
        ("k changes", "[k]", "settling.yaml:10: while names one variable that changes"),
        ("k changes", "m changes", "settling.yaml:10: 'm' has no value before this stage"),
        (
            "      - x = T(x, 0.1)\nreturn",
            "      - x = T(u, 0.1)\nreturn",
            "settling.yaml:19: 'u' is used before it has a value",
        ),
    ],
)
def test_while_names_a_variable_and_later_stages_read_what_exists_without_it(
    write, old, new, message
):
    text = SETTLING.replace("      - k = Pk(k)", "      - u = T(x, 0.1)\n      - k = Pk(k)")
    assert text.count(old) == 1
    with pytest.raises(pnp.PnpError, match=re.escape(message)):
        pnp.load(write(text.replace(old, new)), random_weights=True)
