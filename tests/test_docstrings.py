"""The docstrings of registered modules say what a reader, `pnp list NAME` and tools need."""

from __future__ import annotations

import pytest

from pnp.commands.explain import explain, read_docstring
from pnp.interfaces import DataSolver
from pnp.options import convert, options_of
from pnp.registry import REGISTRIES

MODULES = {
    f"{role} {name}": registry.get(name)
    for role, registry in REGISTRIES.items()
    for name in registry.names()
}


@pytest.mark.parametrize("module", MODULES)
def test_every_option_is_described_and_every_description_names_an_option(module):
    cls = MODULES[module]
    assert list(read_docstring(cls).options) == list(options_of(cls))
    assert all(about.endswith(".") for about in read_docstring(cls).options.values())


@pytest.mark.parametrize("module", MODULES)
def test_every_docstring_says_what_it_returns(module):
    documentation = read_docstring(MODULES[module])
    assert documentation.sections.get("Returns"), "there is no section Returns:"
    assert not any(
        f"{heading}:" in documentation.body for heading in ("Options", "Arguments", "Errors")
    )
    if issubclass(MODULES[module], DataSolver):
        assert "argmin" in documentation.body.split("\n\n")[1]


@pytest.mark.parametrize("module", MODULES)
def test_every_default_is_a_value_of_its_option(module):
    for option in options_of(MODULES[module]).values():
        if option.default is not option.empty:
            assert convert(option.annotation, option.default) == option.default


@pytest.mark.parametrize("module", MODULES)
def test_every_module_knows_its_registered_name(module):
    name = module.split()[1]
    assert MODULES[module].registered == name
    assert f"{name}, a" in explain(name)
