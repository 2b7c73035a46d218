"""Pages of the API: what `pnp.__all__` names, by topic, and the modules beside it."""

from __future__ import annotations

from links import Pages

import pnp

TOPICS = {
    "restore": (
        "Restore images",
        "restore Restorer Restored load load_weights Pipeline Result State Recorder read_state",
    ),
    "interfaces": (
        "Interfaces",
        "DataSolver Prior Initializer Estimator Transform Image Complex Kernel Level Levels Number",
    ),
    "options": ("Options", "Count Fraction Noise Positive Range Rule"),
    "registries": ("Registries", "solver prior initializer estimator transform load_plugin"),
    "observations": (
        "Observations",
        "observe degrade Protocol add_protocol Operator Blur random_kernels Degradations ImagePool",
    ),
    "files": ("Files", "read_image write_image ImageFile read_kernel write_kernel"),
    "compare": ("Compare", "compare report figure"),
    "errors": ("Errors", "PnpError PipelineError"),
}
MODULES = {
    "metrics": "Metrics",
    "testing": "Checks of modules",
    "interop": "deepinv",
}
_BUILD = """\
The modules are in `pnp.solvers`, `pnp.priors`, `pnp.initializers`, `pnp.estimators` and
`pnp.transforms`.
`pnp.priors.build("drunet", nb=2)` constructs one by name, `pnp.priors.names()` lists them.
[Modules](../modules/index.md) has a page for each.
"""


def api_pages() -> Pages:
    """The pages; AssertionError for a public name that no topic has."""
    listed = {name for _, names in TOPICS.values() for name in names.split()}
    missing = set(pnp._NAMES) ^ listed
    assert not missing, f"docs/hooks/api_pages.py: put into a topic, or remove: {missing}"
    pages, index = {}, ["# API", "", "Everything public can be imported from `pnp`.", ""]
    for page, (title, names) in TOPICS.items():
        entries = [f"::: pnp.{pnp._NAMES[name]}.{name}" for name in names.split()]
        text = "\n\n".join([f"# {title}", *([_BUILD] if page == "registries" else []), *entries])
        pages[f"api/{page}.md"] = text
        index.append(f"- [{title}]({page}.md): {', '.join(f'`{n}`' for n in names.split())}")
    for name, title in MODULES.items():
        index.append(f"- [{title}]({name}.md): `pnp.{name}`")
        pages[f"api/{name}.md"] = f"# {title}\n\n::: pnp.{name}"
    pages = {"api/index.md": "\n".join(index), **pages}
    return {page: (text, f"docs/{page}") for page, text in pages.items()}
