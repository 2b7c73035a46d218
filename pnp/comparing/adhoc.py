"""A comparison from the command line: pipelines on a folder of images, as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pnp.comparing.comparison import Comparison
from pnp.comparing.pictures import file_name
from pnp.comparing.reader import COMPARISONS, comparison_of, portable
from pnp.document import from_python, read_file, read_text
from pnp.errors import Origin, PnpError
from pnp.language.emit import emit
from pnp.language.reader import PIPELINES, read_spec


def is_comparison(name: str) -> bool:
    """True for the name or file of a comparison, False for those of a pipeline."""
    if not name.endswith((".yaml", ".yml")):
        return name in COMPARISONS.names()
    path = Path(name)
    if not path.is_file():
        return False
    keys = read_file(path).value
    if not isinstance(keys, dict) or set(keys) & (set(PIPELINES.keys) - set(COMPARISONS.keys)):
        return False
    if set(keys) & (set(COMPARISONS.keys) - set(PIPELINES.keys)):
        return True
    parent = keys.get("extends")
    above = parent.plain() if parent is not None else None
    return any(
        is_comparison(str(path.parent / one) if "/" in one or ".y" in one else one)
        for one in ([above] if isinstance(above, str) else above or [])
    )


def comparison_of_pipelines(
    pipelines: Sequence[str],
    overrides: Mapping[str, Any],
    out: str | Path | None = None,
    assignments: Sequence[str] = (),
) -> Comparison:
    """A comparison of pipelines by name or file; `compare` writes it to `comparison.yaml` in `out`.

    A pipeline receives the true values that it cannot do without.  The YAML says so, and may be
    edited; `pnp compare` on it measures the rest.

    Args:
        pipelines: Names, or YAML files.
        overrides: Keys of the comparison; `data` is needed.
        out: The folder; by default `comparisons/` and the pipelines' names.
        assignments: As of `--set`.

    Raises:
        PnpError: There is no such pipeline, or no folder of images was named.
    """
    if "data.folder" not in overrides:
        raise PnpError(
            "compare: name a folder of images with --data DIR "
            "(--data scikit-image: the photographs that come with scikit-image)"
        )
    names = [Path(p).stem for p in pipelines]
    methods = _methods(pipelines, names)
    document = from_python(
        {
            "about": f"{', '.join(methods)} on {Path(overrides['data.folder']).name}",
            "data": {"folder": overrides["data.folder"]},
            "kernels": {"groups": {"gaussian": ["gaussian:1.6"]}},
            "scales": [4],
            "sigmas": [0],
            "protocol": "exact",
            "metrics": ["psnr", "psnr_registered", "ssim"],
            "methods": methods,
        },
        Origin("compare"),
    )
    for key, value in overrides.items():
        document = COMPARISONS.override(
            document, key, from_python(value, Origin(f"--{_word(key)}"))
        )
    name = "-".join(map(file_name, names[:4]))
    folder = Path(out) if out is not None else Path("comparisons") / name
    path = folder / "comparison.yaml"
    comparison = comparison_of(document, path, name)
    comparison.images()
    lines = "\n".join(line for line, _ in emit(portable(comparison)))
    if path.is_file() and not _same(path, lines):
        raise PnpError(
            f"{path}: another comparison is there; run that one (pnp compare {path}), "
            "or choose another folder with --out"
        )
    return comparison_of(read_text(lines, str(path), folder), path, name)


def _methods(pipelines: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The entries of `methods`, under the pipelines' names if these are unique."""
    methods = {}
    for pipeline, name in zip(pipelines, names, strict=True):
        spec = read_spec(pipeline)
        needed = [g.name for g in spec.given if g.default is None and g.name in ("k", "sigma")]
        entry: dict[str, Any] = {"pipeline": pipeline} | ({"given": needed} if needed else {})
        methods[name if names.count(name) == 1 else pipeline] = entry
    return methods


def _same(path: Path, lines: str) -> bool:
    text = path.read_text(encoding="utf-8")
    return [t for t in text.splitlines() if not t.startswith("#")] == lines.splitlines()


def _word(key: str) -> str:
    return key.partition(".")[0].removesuffix("s")
