"""`pnp schema`: JSON Schemas of pipelines, recipes and comparisons, for editors.

They are made from the registries and the dataclasses, so they hold the modules of plugins, and
options with their types, ranges and descriptions.  A schema knows one file, not those that it
extends: it tells names and values, `pnp check` whether a document can run.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Annotated, Any, TypeAlias

from pnp.commands.explain import read_docstring
from pnp.comparing.comparison import Comparison
from pnp.comparing.methods import Method
from pnp.comparing.reader import COMPARISONS
from pnp.interfaces import KINDS, Module, Noise, signature_of
from pnp.language.reader import PIPELINES
from pnp.language.spec import KIND_OF_NAME, LOOP_KEYS
from pnp.language.stages import MOST, MOST_TIMES
from pnp.language.steps import FORM, STEP_PATTERN, SYMBOL, VARIABLE
from pnp.options import Range, Rule, options_of
from pnp.registry import REGISTRIES
from pnp.trained_options import plain
from pnp.training.recipe import Loss, Measure, Recipe
from pnp.training.recipe_reader import RECIPES

Schema: TypeAlias = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
TEXT, NOTHING = {"type": "string"}, {"type": "null"}
_WEIGHTS = {**TEXT, "description": "A file of weights, a part of one (file#P), or a name."}
_RANGES = {
    "at_least": "minimum",
    "at_most": "maximum",
    "above": "exclusiveMinimum",
    "below": "exclusiveMaximum",
}
_SIMPLE = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null"}
_ABOUT = {
    "about": "One line about it, shown by pnp list.",
    "cite": "Keys of the bibliography, or BibTeX.",
    "extends": "The document that this one changes: a name, a file, or a base and overlays.",
    "variants": "What an overlay written for another structure changes here, by dotted key.",
    "given": "The variables that the caller gives: y, s, 'sigma = 2%', 'k = G(y)', 'guide: image'.",
    "modules": "The modules by symbol; null removes one, with the steps that call it.",
    "weights": "Weights of all networks that name none.",
    "freeze": "Modules that are not trained.",
    "before": "Steps before the loop.",
    "start": "Steps at the start of the loop.",
    "repeat": "Iterations of the loop.",
    "steps": "The steps of an iteration: out[, out] = Module(in[, in]).",
    "stages": "Several loops, each with start, repeat, steps, swap, times and while.",
    "times": "How often the loop is run, its start included.",
    "while": "'k changes': the loop is left out, and run no more, once its start keeps k.",
    "swap": "Other modules in some iterations: {last 4: {P: S}}, first 2, 3, 3..6.",
    "after": "Steps after the loop.",
    "return": "The variables that are returned.",
}


def schema(kind: str) -> Schema:
    """The JSON Schema (draft 7) of a kind of document: "pipeline", "recipe" or "comparison"."""
    definitions: dict[str, Schema] = {"pipeline": _pipeline(), "module": _module()}
    if kind == "recipe":
        definitions["recipe"] = _recipe()
    elif kind == "comparison":
        definitions |= {"comparison": _comparison(), "method": _method()}
    return {
        "$schema": DRAFT,
        "title": f"a {kind} of pnp",
        "allOf": [{"$ref": f"#/definitions/{kind}"}],
        "definitions": definitions,
    }


def of_type(annotation: Any) -> Schema:
    """The schema of the values that fit an annotation, as `pnp.options.convert` takes them."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _annotated(annotation, arguments)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [of_type(a) for a in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (list, tuple):
        members = [of_type(a) for a in arguments if a is not Ellipsis]
        if origin is tuple and Ellipsis not in arguments and members:
            size = len(members)
            return {"type": "array", "items": members, "minItems": size, "maxItems": size}
        return {"type": "array", **({"items": members[0]} if members else {})}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": of_type(arguments[1])}
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return _object(_keys_of(annotation), about=inspect.getdoc(annotation))
    return {"type": _SIMPLE[annotation]} if annotation in _SIMPLE else {}


def _annotated(annotation: Any, arguments: tuple[Any, ...]) -> Schema:
    limits = {
        _RANGES[f.name]: getattr(rule, f.name)
        for rule in arguments[1:]
        if isinstance(rule, Range)
        for f in fields(rule)
        if getattr(rule, f.name) is not None
    }
    rules = [str(rule) for rule in arguments[1:] if isinstance(rule, Rule)]
    told = {"description": f"A value {' '.join(rules)}."} if rules else {}
    if annotation.__metadata__[0] is Noise.__metadata__[0]:  # type: ignore[attr-defined]
        written = {**TEXT, "pattern": r"^\s*[\d.]+\s*(%|/\s*[\d.]+)?\s*$"}
        return {"anyOf": [{"type": "number", **limits}, written], **told}
    return {**of_type(arguments[0]), **limits, **told}


def _object(properties: Mapping[str, Schema], *, about: str | None = None) -> Schema:
    """A map with these keys and no others; any may be null, which removes what is below it."""
    removable = {k: {**_without(v), "anyOf": [v, NOTHING]} for k, v in properties.items()}
    told = {"description": about} if about else {}
    return {"type": "object", "properties": removable, "additionalProperties": False, **told}


def _without(value: Schema) -> Schema:
    """What an editor shows of a value."""
    return {k: v for k, v in value.items() if k in ("description", "default")}


def _map(entry: Schema, names: str | None = None) -> Schema:
    named = {} if names is None else {"propertyNames": {"pattern": f"^({names})$"}}
    return {"type": "object", "additionalProperties": {"anyOf": [entry, NOTHING]}, **named}


def _list(entry: Schema) -> Schema:
    return {"type": "array", "items": entry}


def _one_or_several(entry: Schema) -> Schema:
    return {"anyOf": [entry, _list(entry)]}


def _named(names: Iterable[str]) -> Schema:
    """A name, which editors complete, or a file."""
    return {"anyOf": [{"enum": sorted(names)}, TEXT]}


def _told(properties: Mapping[str, Schema]) -> dict[str, Schema]:
    """The keys of a document with the texts about them."""
    return {
        k: {**({"description": _ABOUT[k]} if k in _ABOUT else {}), **v}
        for k, v in properties.items()
    }


def _pipeline() -> Schema:
    # patternErrorMessage is what the yaml-language-server says in place of the pattern.
    step = {**TEXT, "pattern": f"^{STEP_PATTERN}$", "patternErrorMessage": FORM}
    steps = _list(step)
    symbols = {**TEXT, "pattern": f"^{SYMBOL}$"}
    swap = _map(_map(symbols), r"(first|last)\s+\d+|\d+(\s*\.\.\s*\d+)?")
    repeat = {"type": "integer", "minimum": 1, "maximum": MOST}
    own: dict[str, Schema] = {
        "times": {"type": "integer", "minimum": 1, "maximum": MOST_TIMES},
        "while": {**TEXT, "pattern": f"^{VARIABLE} changes$"},
    }
    loop = _told({"start": steps, "repeat": repeat, "steps": steps, "swap": swap})
    plain_names = "|".join(KIND_OF_NAME)
    given = {
        "anyOf": [
            {**TEXT, "pattern": rf"^\s*({plain_names})\s*(=.*)?$"},
            {**_map({"enum": sorted(KINDS)}, VARIABLE), "minProperties": 1, "maxProperties": 1},
        ]
    }
    keys = {
        "about": TEXT,
        "cite": _one_or_several(TEXT),
        "extends": _one_or_several(_named(PIPELINES.names())),
        "variants": _map({"type": "object", "minProperties": 1}),
        "given": _list(given),
        "modules": _map({"$ref": "#/definitions/module"}, SYMBOL),
        "weights": _WEIGHTS,
        "freeze": _one_or_several(symbols),
        "before": steps,
        **loop,
        "stages": _list(_object({key: loop[key] for key in LOOP_KEYS} | _told(own))),
        "after": steps,
        "return": _one_or_several({**TEXT, "pattern": f"^{VARIABLE}$"}),
    }
    return _object(_told({key: keys[key] for key in PIPELINES.keys}))


def _module() -> Schema:
    """A module: one of the registered ones with its options, or changes of one in another file."""
    classes = [
        (role, name, registry.get(name))
        for role, registry in REGISTRIES.items()
        for name in registry.names()
    ]
    known = {option for _, _, cls in classes for option in options_of(cls)}
    changes = {**{key: {} for key in sorted(known)}, "weights": _WEIGHTS}
    about = "Changes of a module of the file that this one extends."
    return {"anyOf": [*(_of_class(*c) for c in classes), _object(changes, about=about)]}


def _of_class(role: str, name: str, cls: type[Module]) -> Schema:
    documentation = read_docstring(cls)
    about = f"{name}{signature_of(cls)}\n\n{documentation.body}"
    options = {}
    for option, parameter in options_of(cls).items():
        value = of_type(parameter.annotation)
        text = " ".join(filter(None, [documentation.options.get(option), value.get("description")]))
        value = {**value, **({"description": text} if text else {})}
        if parameter.default is not parameter.empty:
            value["default"] = plain(parameter.default)
        options[option] = value
    made = _object({**options, "weights": _WEIGHTS}, about=about)
    made["properties"] = {role: {"const": name, "description": about}, **made["properties"]}
    return {**made, "required": [role], "title": f"{role}: {name}"}


def _recipe() -> Schema:
    texts = _one_or_several(TEXT)
    loss = _keys_of(Loss, but=("measure", "output", "origin"))
    measures = typing.get_args(Measure)
    of_what = {
        m: {**TEXT, "description": "The compared variable of the pipeline."} for m in measures
    }
    losses = {**_object({**of_what, **loss}), "anyOf": [{"required": [m]} for m in measures]}
    own = _keys_of(Recipe)
    scales = own["degradations"]["properties"]["scales"]["anyOf"]
    scales.append(_map({"type": "number", "minimum": 0}, "[0-9]+"))
    keys = {
        **own,
        "extends": _one_or_several(_named(RECIPES.names())),
        "pipeline": {
            "description": "A name, a file, a base and overlays, or a pipeline written out.",
            "anyOf": [
                _one_or_several(_named(PIPELINES.names())),
                {"$ref": "#/definitions/pipeline"},
            ],
        },
        "set": {"type": "object", "description": "Changes of the pipeline, as of --set."},
        "train": {**texts, "description": "The modules that learn, or parts of them (I.encoder)."},
        "freeze": {**texts, "description": "Modules that do not learn."},
        "start": {
            "description": "Initial weights of all networks, or by symbol.",
            "anyOf": [TEXT, _map(TEXT)],
        },
        "losses": {**_list(losses), "description": inspect.getdoc(Loss) or ""},
    }
    return _object(_told({key: keys[key] for key in RECIPES.keys}))


def _comparison() -> Schema:
    own = _keys_of(Comparison, but=("path", "document", "name"))
    keys = {
        **own,
        "extends": _one_or_several(_named(COMPARISONS.names())),
        "base": _named(PIPELINES.names()),
        "methods": _map({"$ref": "#/definitions/method"}),
    }
    keys = {key: keys[key] for key in COMPARISONS.keys if key != "small"}
    small = {**_object(_told(keys)), "description": "Changes for --small."}
    return _object(_told({**keys, "small": small}))


def _method() -> Schema:
    own = _keys_of(Method, but=("name", "document", "base", "changes"))
    pipelines = _one_or_several(_named(["base", *PIPELINES.names()]))
    otherwise = {
        "description": "What is measured if the base does not fit.",
        "allOf": [{"$ref": "#/definitions/method"}],
    }
    return _object({**own, "pipeline": pipelines, "otherwise": otherwise}, about="A row.")


def _keys_of(cls: type[Any], but: Iterable[str] = ()) -> dict[str, Schema]:
    """The schemas of the fields of a dataclass, with the texts below them in its source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)
    texts = {}
    for line, after in pairwise(tree.body):
        if isinstance(line, ast.AnnAssign) and isinstance(after, ast.Expr):
            text = ast.literal_eval(after.value)
            texts[ast.unparse(line.target)] = " ".join(str(text).split())
    hints = typing.get_type_hints(cls, include_extras=True)
    found = {}
    for field in fields(cls):
        if field.name not in but:
            value = of_type(hints[field.name])
            told = {"description": texts[field.name]} if field.name in texts else {}
            default = plain(field.default)
            shown = isinstance(default, (bool, int, float, str, list))
            found[field.name] = {**value, **told, **({"default": default} if shown else {})}
    return found
