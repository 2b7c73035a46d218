"""The comparisons that come with pnp: Tables 1 to 9 of the paper, for any base."""

import pytest
import torch
from safetensors.torch import save_file

import pnp
from pnp.comparing.page import section
from pnp.comparing.reader import COMPARISONS, read_comparison
from pnp.errors import PnpError

TABLES = [name for name in COMPARISONS.names() if name != "paper"]


def test_there_is_a_comparison_for_each_table_of_the_paper():
    assert {f"table-{i}" for i in range(1, 10)} | {"denoise-or-ikr"} <= set(TABLES)
    names = [m.shown for m in read_comparison("denoise-or-ikr").methods.values()]
    assert names == [m.shown for m in read_comparison("table-7").methods.values()]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("base", [None, "ikrnet", "blind-dpir"])
def test_every_table_can_be_read_over_every_base(name, base):
    overrides = {"base": base} if base else {}
    comparison = read_comparison(name, overrides=overrides)
    if base == "blind-dpir" and name in ("table-8", "table-9"):
        with pytest.raises(PnpError, match=r"ikrnet.yaml cannot be a second base"):
            [method.specs() for method in comparison.methods.values()]
        return
    for method in comparison.methods.values():
        method.specs()
        if base == "ikrnet":  # the variants of the paper, not stand-ins
            fits = ("ikrnet", "bicubic", "blind-", "usrnet-mini")
            assert method.shown.startswith(fits) and "then" not in method.shown
    assert comparison.reference and comparison.cite == ["ates2023ikrnet"]


@pytest.mark.parametrize("name", TABLES)
def test_the_small_form_needs_no_download_and_is_small(name):
    comparison = read_comparison(name, small=True)
    assert comparison.name == f"{name}-small" and comparison.kernel_file() is None
    cases = list(comparison.cases())
    assert len({case.image for case in cases}) == 5 and len(cases) <= 15
    assert all(method.has_weights() for method in comparison.methods.values())


@pytest.mark.parametrize("name", TABLES)
def test_the_published_averages_are_those_of_their_rows(name):
    """A digit that was copied wrongly would show; the paper rounds, and is off by one digit."""
    for reference in read_comparison(name).reference:
        if reference.columns[-1] == "Av.":
            for row, (*values, average) in reference.rows.items():
                assert abs(sum(values) / len(values) - average) < 0.012, (reference.about, row)


def test_a_base_of_ones_own_and_changes_of_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: spectral-usrnet\nabout: Mine\n")
    comparison = read_comparison(
        "table-6", ["modules.T.iterations=3"], overrides={"base": str(tmp_path / "mine.yaml")}
    )
    method = comparison.methods["zero"]
    assert method.shown.endswith("mine.yaml") and method.told() == {"sigma": 0}
    assert method.spec().modules["T"].options["iterations"] == 3
    with pytest.raises(PnpError, match="there is no pipeline called 'ikrnett'"):
        read_comparison("table-8", overrides={"base": "ikrnett"})


@pytest.mark.parametrize("name", ["table-1", "table-6", "table-7", "table-9"])
def test_weights_of_ones_own_for_the_base(name, tmp_path):
    save_file({"P.m_head.weight": torch.zeros(1)}, tmp_path / "mine.safetensors")
    weights = f"weights={tmp_path / 'mine.safetensors'}"
    for assignments, expected in (([], False), ([weights], True)):
        comparison = read_comparison(name, assignments, overrides={"base": "ikrnet"})
        methods = [m for m in comparison.methods.values() if m.shown.startswith("ikrnet")]
        assert methods and all(method.has_weights() == expected for method in methods)


def test_denoise_or_ikr_runs(tmp_path):
    """Its four methods, on a corner of one photograph and one kernel."""
    changes = ["data.crop=48", "data.first=1", "kernels.groups={gaussian: ['gaussian:1.2']}"]
    compared = pnp.compare(
        "denoise-or-ikr", small=True, assignments=changes, out=tmp_path, device="cpu", keep=0
    )
    rows = compared.results.rows.values()
    assert not compared.failures and len(rows) == 4
    assert len({row["document"] for row in rows}) == 4 and all(row["psnr"] for row in rows)
    shown = {row["method"]: row["pipeline"] for row in rows}
    assert shown["Denoise+IKR"] == "ikrnet-small with denoise-ikrnet"
    assert shown["IKR+Denoise"] == "ikrnet-small with ikrnet-denoise"
    assert shown["SCUNet in the last 4 iterations"] == "ikrnet-small with ikrnet-scunet"
    assert shown["original"] == "ikrnet-small"
    text = "\n".join(section(compared.comparison, compared.results, tmp_path))
    assert "| Original IKR-Net, *published* | **25.00** |" in text
