"""Shared set-up: one thread per worker, hypothesis profiles."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # read when torch is imported; more threads than cores wait for each other
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported

ROOT = Path(__file__).parent.parent

settings.register_profile(
    "default", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def _folder(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable, ROOT.parent / "shared" / default))
    if not folder.is_dir():
        pytest.skip(
            f"{variable} is not set and {default}/ is not beside the project: this test needs it"
        )
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of test images and kernels (environment variable PNP_DATA)."""
    return _folder("PNP_DATA", "data")


@pytest.fixture(scope="session")
def parity() -> Path:
    """Folder of public weights and reference outputs (environment variable PNP_PARITY)."""
    return _folder("PNP_PARITY", "parity")


@pytest.fixture(autouse=True)
def _no_plugins_of_other_tests() -> Iterator[None]:
    """Plugin files that a test loads are not loaded for the next one."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("pnp_plugin_"):
            del sys.modules[name]
