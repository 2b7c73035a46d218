"""Type checkers see through the package: what is in `solvers/` and `priors/` has its types from outside."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OUTSIDE = """
import pnp
from pnp.solvers.fft_image import FftImage

reveal_type(FftImage())
reveal_type(pnp.priors.tv.TotalVariation())
from pnp.priors.tv import NoSuchName
pnp.no_such_name
"""
SEEN = (
    'Revealed type is "pnp.solvers.fft_image.FftImage"',
    'Revealed type is "pnp.priors.tv.TotalVariation"',
    'Module "pnp.priors.tv" has no attribute "NoSuchName"',
    'Module has no attribute "no_such_name"',
)
# torch is left out, so that this takes a second; the classes of pnp stay what they are
SETTINGS = """
[mypy]
python_version = 3.11
follow_imports = silent
[mypy-torch.*]
follow_imports = skip
"""


@pytest.mark.parametrize("how", ["checkout", "editable"])
def test_mypy_knows_the_types_of_leaves_from_outside(tmp_path, how):
    (tmp_path / "outside.py").write_text(OUTSIDE)
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    python, environment = sys.executable, {**os.environ, "MYPYPATH": str(ROOT)}
    if how == "editable":  # what an editable installation leaves: a path in site-packages
        del environment["MYPYPATH"]
        venv.create(tmp_path / "venv", symlinks=os.name != "nt", with_pip=False)
        site = next((tmp_path / "venv").glob("[Ll]ib/**/site-packages"))
        (site / "pnp.pth").write_text(f"{ROOT}\n")
        scripts = "Scripts" if os.name == "nt" else "bin"
        python = str(tmp_path / "venv" / scripts / "python")
    command = [sys.executable, "-m", "mypy", "--python-executable", python, "outside.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert not [words for words in SEEN if words not in done.stdout], done.stdout + done.stderr
