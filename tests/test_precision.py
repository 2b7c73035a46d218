"""bf16 is taken by default only where it was measured to change little."""

import csv
import json
from pathlib import Path

import pytest
import torch

import pnp
from pnp.cli import main
from pnp.images import write_image
from pnp.language.reader import read_spec
from pnp.precision import SAME_IN_BF16, chosen, has_bf16
from pnp.restoration import Restorer

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")


@pytest.fixture
def fast(monkeypatch):
    """A processor with AVX-512 bf16, or without."""

    def processor(has):
        able = {"avx512_bf16": has, "amx_bf16": False}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)

    return processor


def test_bf16_is_for_pipelines_that_it_changes_by_less_than_a_hundredth_of_a_dB():
    with (ROOT / "benchmarks" / "results" / "bf16.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    changed = {row["pipeline"] for row in rows if abs(float(row["difference"])) >= 0.01}
    assert {row["pipeline"] for row in rows} - changed == SAME_IN_BF16


def test_auto_is_bf16_where_the_processor_has_it_and_fp32_elsewhere(fast):
    fast(True)
    assert has_bf16(CPU) and chosen("auto", read_spec("usrnet-mini"), CPU) == "bf16"
    assert chosen("auto", read_spec("denoise"), CPU) == "fp32"
    assert chosen("bf16", read_spec("denoise"), CPU) == "bf16"
    assert chosen("fp32", read_spec("usrnet-mini"), CPU) == "fp32"
    fast(False)
    assert chosen("auto", read_spec("usrnet-mini"), CPU) == "fp32"


def test_changed_pipelines_and_those_of_users_get_fp32(fast, tmp_path):
    fast(True)
    (tmp_path / "usrnet-mini.yaml").write_text("extends: usrnet-mini\n")
    for name, changes, expected in (
        ("usrnet-mini", (), "bf16"),
        ("usrnet-mini", ("repeat=2",), "fp32"),
        (tmp_path / "usrnet-mini.yaml", (), "fp32"),
    ):
        restorer = Restorer(name, kernel="gaussian:1", assignments=changes)
        assert restorer.facts["dtype"] == expected


def test_a_run_is_repeated_in_its_own_precision(fast, tmp_path, monkeypatch, capsys):
    """Also on a processor on which `auto` is another one; the record says which it was."""
    monkeypatch.chdir(tmp_path)
    write_image("a.png", torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)))
    fast(True)
    command = ["run", "usrnet-mini", "a.png", "-k", "gaussian:1", "-s", "1"]
    assert main(command) == 0
    record = "restored/a_x1.json"
    assert json.loads(Path(record).read_text())["dtype"] == "bf16"
    fast(False)
    assert main(["run", "--again", record]) == 0
    assert "byte for byte the same" in capsys.readouterr().out
    assert main([*command, "-o", "full"]) == 0
    assert json.loads(Path("full/a_x1.json").read_text())["dtype"] == "fp32"


def test_the_library_computes_in_fp32_where_nothing_else_is_said():
    assert pnp.load("usrnet-mini").precision is None


def test_show_says_the_precision_of_its_memory(fast, capsys):
    for has, said in ((True, "in bf16: about"), (False, "in fp32: about")):
        fast(has)
        assert main(["show", "usrnet-mini", "--size", "64x64", "-s", "1"]) == 0
        assert said in capsys.readouterr().out
