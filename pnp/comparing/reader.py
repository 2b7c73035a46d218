"""From a YAML document to a `Comparison`, or to all of its problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pnp.checkpoints import split_source
from pnp.comparing.comparison import METRICS, Comparison
from pnp.comparing.methods import BASE, Method
from pnp.comparing.observing import named_kernel
from pnp.comparing.places import FOLDERS
from pnp.document import Node, from_python
from pnp.errors import Findings, Origin, PipelineError, PnpError, hint
from pnp.language.layers import Dialect, Merge, merge_maps
from pnp.language.reader import PIPELINES
from pnp.language.values import read_assignment
from pnp.options import convert, read_fields
from pnp.protocols import protocol

_NOT_KEYS = ("path", "document", "name")
_OF_METHODS = ("name", "document", "base", "changes", "otherwise")
_NEVER_EMPTY = {"scales": "[2, 4]", "sigmas": "[0, 2%]", "metrics": "[psnr]"}
"""Lists of a comparison, each with an example."""


def _merge(base: Node, layer: Node) -> Node:
    """Merge a comparison over another: maps by key, methods by option; other values replace."""
    return merge_maps(base, layer, lambda key: _merge_methods if key == "methods" else merge_maps)


def _merge_methods(base: Node, layer: Node) -> Node:
    def within(name: str) -> Merge | None:
        entry = layer.value[name]
        whole = {"pipeline", "external", "call"}
        return None if entry.is_map and whole & set(entry.value) else merge_maps

    return merge_maps(base, layer, within)


COMPARISONS = Dialect(
    noun="comparison",
    keys=("extends", *(f.name for f in fields(Comparison) if f.name not in _NOT_KEYS), "small"),
    group="pnp.comparisons",
    merge=_merge,
    complete=("data", "scales", "sigmas", "methods"),
    package="pnp.comparing.comparisons",
    dotted=("set",),
    inner=PIPELINES,
)


def read_comparison(
    name: str | Path,
    assignments: Iterable[str] = (),
    *,
    small: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Comparison:
    """The comparison in a YAML file, or of a name; PipelineError with all its problems.

    Args:
        name: A name, or the path of a file.
        assignments: Texts 'key.key=value', as of `--set`; keys of pipelines change the base.
        small: True for its `small` form.
        overrides: Values by key, from Python or from the options of the command.
    """
    path, shown = COMPARISONS.find(str(name))
    document = COMPARISONS.read(str(name))
    title = path.stem if path.stem != "comparison" else path.resolve().parent.name
    form = document.value.get("small")
    if small:
        if form is None or not form.is_map:
            raise PnpError(f"{shown}: this comparison has no small form; leave --small out")
        document, title = COMPARISONS.merge(document, form), f"{title}-small"
    document = Node({k: v for k, v in document.value.items() if k != "small"}, document.origin)
    for key, value in (overrides or {}).items():
        origin = Origin(f"--{key.partition('.')[0]}")
        document = COMPARISONS.override(document, key, from_python(value, origin))
    for text in assignments:
        document = COMPARISONS.override(document, *read_assignment(text))
    return comparison_of(document, path, title)


def comparison_of(document: Node, path: Path, name: str) -> Comparison:
    """The `Comparison` of a merged document; PipelineError with every problem found."""
    findings = Findings(COMPARISONS.unknown_keys(document))
    known = {key: node for key, node in document.value.items() if key in COMPARISONS.keys}
    skip = (*_NOT_KEYS, "methods", "published", "reference")
    here = Node(known, document.origin)
    values, problems = read_fields(Comparison, here, noun="key", skip=skip)
    findings.problems += problems
    for key, example in _NEVER_EMPTY.items():
        if values.get(key) == []:
            findings.say(known[key].origin, f"{key} is empty", f"for example '{key}: {example}'")
    if "protocol" in values:
        try:
            protocol(values["protocol"])
        except PnpError as e:
            message, _, cure = str(e).partition("; ")
            findings.say(known["protocol"].origin, message, cure)
    for metric in values.get("metrics", ()):
        if metric not in METRICS:
            cure = hint(metric, METRICS, "metrics")
            findings.say(known["metrics"].origin, f"there is no metric '{metric}'", cure)
    values["methods"] = _read_methods(document, findings)
    if (baseline := values.get("baseline")) and baseline not in values["methods"]:
        cure = hint(baseline, values["methods"], "methods")
        findings.say(known["baseline"].origin, f"there is no method '{baseline}'", cure)
    columns = len(values.get("scales", ())) * len(values.get("sigmas", ()))
    values["published"] = _read_published(known.get("published"), columns, findings)
    values["reference"] = _read_references(known.get("reference"), findings)
    _check_kernels(known.get("kernels"), findings)
    if findings.problems:  # else the methods that are measured are checked by `compare`
        for method in values["methods"].values():
            findings.problems += method.problems()
    findings.raise_all()
    return Comparison(path, document, **values, name=name)


def _read_methods(document: Node, findings: Findings) -> dict[str, Method]:
    node = document.value.get("methods")
    if node is None or not node.is_map or not node.value:
        cure = "for example 'methods: {tv: {pipeline: hqs-tv}}'"
        findings.say((node or document).origin, "methods should be a map of pipelines", cure)
        return {}
    methods = {}
    if (named := document.value.get("base")) is not None and isinstance(named.value, str):
        try:
            PIPELINES.find(named.value, named.origin.folder)
        except PnpError as e:
            message, _, cure = str(e).partition("; ")
            findings.say(named.origin, message, cure)
            return {}
    base, changes = document.value.get("base"), document.value.get("set")
    if changes is not None and not changes.is_map:
        changes = None  # which is reported with the other keys
    for name, entry in node.value.items():
        forms = list(_forms(name, entry, findings))
        read = [_read_method(name, form, base, changes, findings) for form in forms]
        if found := [method for method in read if method is not None]:
            methods[name] = _first(found)
    return methods


def _forms(name: str, entry: Node, findings: Findings) -> Iterator[Node]:
    """The entry of a method, then that of its `otherwise`, and so on."""
    shown, key, form = name, name, entry
    while form is not None:
        if not form.is_map:
            cure = f"for example '{key}: {{pipeline: hqs-tv}}'"
            findings.say(form.origin, f"{shown} should be a map of keys", cure)
            return
        yield form
        shown, key, form = f"{name}: otherwise", "otherwise", form.value.get("otherwise")


def _read_method(
    name: str, entry: Node, base: Node | None, changes: Node | None, findings: Findings
) -> Method | None:
    values, problems = read_fields(Method, entry, f"{name}: ", noun="key", skip=_OF_METHODS)
    sources = [key for key in ("pipeline", "external", "call") if key in entry.value]
    if len(sources) != 1 and not problems:
        what = "the key 'pipeline' is missing" if not sources else f"has {' and '.join(sources)}"
        cure = "a method has one of pipeline, external (a folder of results), call (a function)"
        findings.say(entry.origin, f"{name}: {what}", cure)
        return None
    if BASE in (values.get("pipeline"), *_listed(values.get("pipeline"))) and base is None:
        cure = "write the key 'base' with the name of a pipeline, or use --base"
        findings.say(entry.origin, f"{name}: the comparison has no base", cure)
        return None
    findings.problems += problems
    if problems:
        return None
    method = Method(name, entry, base, changes, **values)
    try:
        method.file_name("image", 2, "gaussian:1.6", 0.02)
    except PnpError as e:
        message, _, cure = str(e).partition("; ")
        findings.say(entry.value["pattern"].origin, f"{name}: {message}", cure)
    return method


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else []


def _first(methods: list[Method]) -> Method:
    """Of a method and what `otherwise` names, the first that fits its base; if none does, the
    method, whose error says why."""
    return next(filter(_fits, methods), methods[0]) if len(methods) > 1 else methods[0]


def _fits(method: Method) -> bool:
    if method.external is not None or method.call is not None:
        return True
    try:
        method.spec()
    except PipelineError:
        return False
    return True


def _check_kernels(node: Node | None, findings: Findings) -> None:
    """No group is empty, and numbers of kernels need a file."""
    groups = node.value.get("groups") if node is not None and node.is_map else None
    if groups is None or not groups.is_map or node is None:
        return
    if not groups.value:
        cure = (
            "for example 'groups: {gaussian: [gaussian:1.6]}'; without 'kernels' there is no blur"
        )
        findings.say(groups.origin, "kernels: groups is empty", cure)
    for name, group in groups.value.items():
        if group.is_list and not group.value:
            cure = "write its kernels, for example gaussian:1.6, or leave it out"
            findings.say(group.origin, f"kernels: the group '{name}' is empty", cure)
    named = [k for g in groups.value.values() if g.is_list for k in g.value]
    for kernel in named:
        if not isinstance(kernel.value, str) or kernel.value.isdecimal():
            continue
        try:
            named_kernel(kernel.value, 2)
        except PnpError as e:
            message, _, cure = str(e).partition("; ")
            findings.say(kernel.origin, message, cure)
    if "file" in node.value:
        return
    numbers = [kernel.value for kernel in named if isinstance(kernel.value, int)]
    if numbers:
        message = f"kernel {numbers[0]} is a number, but no file of kernels is named"
        findings.say(groups.origin, message, "add 'file', or write words such as gaussian:1.6")


def _read_published(node: Node | None, columns: int, findings: Findings) -> dict[str, list[float]]:
    if node is None:
        return {}
    if not node.is_map:
        cure = "for example 'published: {BM3D: [30.1]}'"
        findings.say(node.origin, "published should be a map of lists", cure)
        return {}
    published = {}
    for name, numbers in node.value.items():
        try:
            published[name] = convert(list[float], numbers.plain())
        except PnpError:
            published[name] = []
        if columns and len(published[name]) != columns:
            message = f"{name} should be a list of {columns} PSNR values"
            cure = "write one value for each noise level of the first scale, then of the next"
            findings.say(numbers.origin, message, cure)
    return published


def _read_references(node: Node | None, findings: Findings) -> list[Any]:
    from pnp.comparing.comparison import Reference
    from pnp.options import read_dataclass

    if node is None:
        return []
    if not node.is_list:
        cure = "each has about, columns and rows"
        findings.say(node.origin, "reference should be a list of published tables", cure)
        return []
    tables = []
    for item in node.value:
        table, problems = read_dataclass(Reference, item, "reference")
        findings.problems += problems
        if table is None:
            continue
        for row, numbers in table.rows.items():
            if len(numbers) != len(table.columns):
                message = f"reference: {row} has {len(numbers)} numbers"
                findings.say(item.origin, message, f"there are {len(table.columns)} columns")
        tables.append(table)
    return tables


def portable(comparison: Comparison) -> Node:
    """Its document with paths that do not depend on where the file is; without `extends`."""
    return _absolute(comparison.document, ())


def _absolute(node: Node, within: tuple[str, ...]) -> Node:
    if node.is_map:
        return Node({k: _absolute(v, (*within, k)) for k, v in node.value.items()}, node.origin)
    if node.is_list:
        return Node([_absolute(v, within) for v in node.value], node.origin)
    text = node.value
    key = within[-1].rpartition(".")[2] if within else ""  # of 'modules.P.weights'
    if not isinstance(text, str) or key not in _PATHS:
        return node
    file, rest = text, ""
    if key == "call":
        file = text.partition(":")[0]
        rest = text.removeprefix(file)
    elif key == "weights":
        file = split_source(text)[0]
        rest = text.removeprefix(file)
    if file.partition("/")[0] in FOLDERS or not file:
        return node
    if key in _PIPELINES and "/" not in file and ".y" not in file:
        return node  # a name
    path = (node.origin.folder or Path()) / Path(file).expanduser()
    return Node(f"{path.resolve()}{rest}", node.origin) if path.exists() else node


_PIPELINES = ("pipeline", "first", "then", "base", "extends")
_PATHS = (*_PIPELINES, "folder", "file", "weights", "external", "call")
"""Keys whose values may be paths."""
