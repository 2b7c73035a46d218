"""The texts of `pnp list`: what there is, and what each pipeline needs."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterable

import torch

from pnp.checkpoints import PRETRAINED, find_weights, manifest
from pnp.commands.documents import DIALECTS
from pnp.errors import PnpError
from pnp.kspace import takes_kspace
from pnp.language.layers import Dialect
from pnp.language.reader import PIPELINES, read_spec
from pnp.language.spec import ModuleSpec, Spec
from pnp.registry import REGISTRIES
from pnp.trained_options import listed
from pnp.trained_range import scales_of, trained_range

FURTHER = ("recipes", "comparisons", "weights")
"""What `pnp list` prints only when it is asked for."""
LISTS = ("pipelines", *(f"{role}s" for role in REGISTRIES), *FURTHER)
_NEEDED = {"k": "a kernel (-k)", "mask": "a mask (--mask)", "sigma": "a noise level (--sigma)"}


def listing(what: str | None = None) -> str:
    """Pipelines and modules, one line each; or all of one kind, with what pipelines need."""
    if what in FURTHER:
        entries = _weights() if what == "weights" else _documents(DIALECTS[what[:-1]])
        return _printed([(what, entries, {})], titles=False)
    sections: list[tuple[str, dict[str, str], dict[str, str]]] = []
    if what in (None, "pipelines"):
        specs = {name: _readable(name) for name in PIPELINES.names()}
        marks = {n: needs(s) for n, s in specs.items() if isinstance(s, Spec)} if what else {}
        abouts = {n: s.about if isinstance(s, Spec) else s for n, s in specs.items()}
        sections.append(("pipelines", abouts, marks))
    for role, registry in REGISTRIES.items():
        if what in (None, role + "s"):
            modules = {n: _first_line(registry.get(n)) for n in registry.names()}
            sections.append((role + "s", modules, {}))
    return _printed(sections, titles=what is None)


def _readable(name: str) -> Spec | str:
    """A pipeline; in words if it cannot be read, for example for want of a plugin's modules."""
    try:
        return read_spec(name)
    except PnpError:
        return f"cannot be read; pnp check {name} says why"


def needs(spec: Spec) -> str:
    """What a pipeline needs before it runs, and its scales, in words."""
    missing = without_weights(spec)
    sources = dict.fromkeys(filter(None, missing.values()))
    recipes = dict.fromkeys(manifest().get(s, {}).get("recipe", "") for s in sources)
    parts = ["runs as installed"]
    if missing:
        which = ", ".join(sources) or f"of {', '.join(missing)} (--set weights=FILE)"
        trained = [recipe for recipe in recipes if recipe]
        made = f" (pnp train {', '.join(trained)})" if trained else ""
        parts = [f"needs the weights {which}{made}", *_small_one(spec, sources)]
    given = {g.name: g.default for g in spec.given}
    needed = _NEEDED
    if takes_kspace(spec):
        parts.append("needs k-space and its mask (.npz)")
        needed = {name: words for name, words in _NEEDED.items() if name != "mask"}
    parts += [f"needs {words}" for name, words in needed.items() if given.get(name, 0) is None]
    if "s" not in given:
        parts.append("scale 1")
    else:
        default, trained = given["s"], scales_of(spec)
        scales = f"scales {', '.join(map(str, trained))}" if trained else "any scale"
        if default is None:
            parts.append(f"needs a scale (-s; {scales.removeprefix('scales ')})")
        elif trained == [default]:
            parts.append(f"scale {default} alone")
        else:
            parts.append(f"{scales} (-s), {default} unless given")
    return "; ".join(parts)


def _small_one(spec: Spec, sources: Iterable[str]) -> list[str]:
    """How to run the same with small networks that have weights, if there are such."""
    for large in dict.fromkeys(source.partition("/")[0] for source in sources):
        if f"{large}-small" in PIPELINES.names():
            overlay = "" if spec.name == large else f" --with {spec.name}"
            return [f"{large}-small{overlay} runs as installed"]
    return []


def without_weights(spec: Spec) -> dict[str, str]:
    """The networks whose weights are not there: by symbol the source that is named, or ''."""
    missing = {}
    for symbol, m in spec.modules.items():
        source = m.weights or spec.weights
        if m.weights is None and not is_network(m):
            continue
        try:
            if source is None or not find_weights(source.value)[0].is_file():
                missing[symbol] = "" if source is None else source.value
        except PnpError:
            missing[symbol] = source.value if source is not None else ""
    return missing


def is_network(m: ModuleSpec) -> bool:
    """True if a module needs weights; it is built without memory for them."""
    try:
        with torch.device("meta"):
            return REGISTRIES[m.role].get(m.name)(**m.options).needs_weights
    except Exception:  # a constructor that computes, which networks of pnp do not
        return False


def _weights() -> dict[str, str]:
    """The pretrained weights by name, and those that a recipe makes."""
    known = manifest()
    files = sorted(PRETRAINED.rglob("*.safetensors"))
    names = [p.relative_to(PRETRAINED).with_suffix("").as_posix() for p in files]
    found = {
        n: f"{listed(n)}{_range(n)}; trained by {known.get(n, {}).get('recipe', '?')}"
        for n in names
    }
    for name, entry in known.items():
        if name not in found:
            found[name] = f"not in the package; pnp train {entry['recipe']} makes them"
    return found


def _range(name: str) -> str:
    """The scales and noise levels that weights were trained for, after a semicolon."""
    trained = trained_range(name)
    parts = [f"scales {', '.join(map(str, trained['scales']))}"] if "scales" in trained else []
    parts += [f"noise up to {100 * trained['noise']:.3g} %"] if "noise" in trained else []
    return "".join(f"; {part}" for part in parts)


def _documents(dialect: Dialect) -> dict[str, str]:
    texts = {}
    for name in dialect.names():
        about = dialect.read(name).value.get("about")
        texts[name] = str(about.value) if about is not None else ""
    return texts


def _printed(sections: list[tuple[str, dict[str, str], dict[str, str]]], *, titles: bool) -> str:
    width = max((len(name) for _, entries, _ in sections for name in entries), default=0)
    columns = max(shutil.get_terminal_size((120, 24)).columns, 60)
    lines = []
    for title, entries, marks in sections:
        lines += ["", title] if titles else []
        for name, about in entries.items():
            texts = [about, f"({marks[name]})"] if name in marks else [about]
            wrapped = [
                line
                for text in texts
                for line in textwrap.wrap(text, columns - width - 4, break_on_hyphens=False) or [""]
            ]
            lines.append(f"  {name:{width}}  {wrapped[0]}".rstrip())
            lines += [f"  {'':{width}}  {rest}" for rest in wrapped[1:]]
    return "\n".join(lines).strip("\n")


def _first_line(cls: type) -> str:
    paragraph = (inspect.getdoc(cls) or "").strip().split("\n\n")[0]
    return " ".join(paragraph.split()).rstrip(".")
