"""A comparison from the command line: pipelines on a folder of images, as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pnp.comparing.comparison import Comparison
from pnp.comparing.pictures import file_name
from pnp.comparing.reader import COMPARISONS, comparison_of, portable
from pnp.document import Node, from_python, read_file, read_text
from pnp.errors import Origin, PipelineError, PnpError, Problem
from pnp.language.emit import emit
from pnp.language.reader import PIPELINES, read_spec, spec_within
from pnp.language.values import read_assignment


def is_comparison(name: str, below: tuple[Path, ...] = ()) -> bool:
    """True for the name or file of a comparison, False for those of a pipeline.

    What a file extends is looked at if its keys do not tell; `below` are the files on the way.
    """
    if not name.endswith((".yaml", ".yml")):
        return name in COMPARISONS.names()
    path = Path(name)
    if not path.is_file() or path.resolve() in below:
        return False
    keys = read_file(path).value
    if not isinstance(keys, dict) or set(keys) & (set(PIPELINES.keys) - set(COMPARISONS.keys)):
        return False
    if set(keys) & (set(COMPARISONS.keys) - set(PIPELINES.keys)):
        return True
    parent = keys.get("extends")
    above = parent.plain() if parent is not None else []
    return any(
        is_comparison(
            str(path.parent / one) if "/" in one or ".y" in one else one, (*below, path.resolve())
        )
        for one in (above if isinstance(above, list) else [above])
        if isinstance(one, str)
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
        assignments: As of `--set`: keys of a comparison change the comparison, and keys of
            pipelines change each method.

    Raises:
        PnpError: There is no such pipeline, or it does not take a change, or no folder of images
            was named.
    """
    names = [Path(p).stem for p in pipelines]
    own, changes, problems = _sorted(assignments)
    methods = _methods(pipelines, names, changes, problems)
    if "data.folder" not in overrides:
        raise PnpError(
            "compare: name a folder of images with --data DIR "
            "(--data scikit-image: the photographs that come with scikit-image)"
        )
    about = f"{', '.join(methods.value)} on {Path(overrides['data.folder']).name}"
    document = from_python(
        {
            "about": about,
            "data": {"folder": overrides["data.folder"]},
            "kernels": {"groups": {"gaussian": ["gaussian:1.6"]}},
            "scales": [4],
            "sigmas": [0],
            "protocol": "exact",
            "metrics": ["psnr", "psnr_registered", "ssim"],
        },
        Origin("compare"),
    )
    document.value["methods"] = methods
    given = {key: from_python(v, Origin(f"--{_word(key)}")) for key, v in overrides.items()}
    for key, node in [*given.items(), *own.items()]:
        document = COMPARISONS.override(document, key, node)
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


def _sorted(
    assignments: Sequence[str],
) -> tuple[dict[str, Node], dict[str, Node], list[Problem]]:
    """The assignments that change the comparison, those that change its methods, and those that
    change neither.
    """
    own: dict[str, Node] = {}
    changes: dict[str, Node] = {}
    problems: list[Problem] = []
    for text in assignments:
        key, node = read_assignment(text)
        first = key.partition(".")[0]
        if first in _OF_FILES:
            message = f"{first} is for comparisons that are written down, such as table-7"
            cure = "keys of the pipelines are set as they are, for example --set repeat=8"
            problems.append(Problem(node.origin, message, cure))
        elif first in COMPARISONS.keys:
            own[key] = node
        elif first in PIPELINES.keys:
            changes[key] = node
        else:
            try:
                COMPARISONS.override(Node({}, node.origin), key, node)
            except PipelineError as e:
                problems += e.problems
    return own, changes, problems


_OF_FILES = ("base", "set", "small")


def _methods(
    pipelines: Sequence[str],
    names: Sequence[str],
    changes: dict[str, Node],
    problems: list[Problem],
) -> Node:
    """The map of methods, under the pipelines' names if these are unique; PipelineError with the
    `problems` and those of the changes.
    """
    here, methods = Origin("compare"), {}
    refused: list[Problem] = []
    for pipeline, name in zip(pipelines, names, strict=True):
        shown = name if names.count(name) == 1 else pipeline
        read_spec(pipeline)  # its own problems
        try:
            spec = spec_within(Node(pipeline, here), Node(changes, here), shown)
        except PipelineError as e:
            refused += [Problem(p.origin, f"{shown}: {p.message}", p.cure) for p in e.problems]
            continue
        needed = [g.name for g in spec.given if g.default is None and g.name in ("k", "sigma")]
        entry = from_python({"pipeline": pipeline} | ({"given": needed} if needed else {}), here)
        added = {"set": Node(changes, here)} if changes else {}
        methods[shown] = Node({**entry.value, **added}, here)
    if refused and methods:  # which take the change
        last, other = refused[-1], "or change one method: --set 'methods.NAME.set={KEY: VALUE}'"
        refused[-1] = replace(last, cure=f"{last.cure}; {other}" if last.cure else other)
    if problems or refused:
        raise PipelineError([*problems, *refused])
    return Node(methods, here)


def _same(path: Path, lines: str) -> bool:
    text = path.read_text(encoding="utf-8")
    return [t for t in text.splitlines() if not t.startswith("#")] == lines.splitlines()


def _word(key: str) -> str:
    return key.partition(".")[0].removesuffix("s")
