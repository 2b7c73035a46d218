"""Following the kinds of the variables through the steps, without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pnp.errors import Origin, Problem, hint, with_article
from pnp.interfaces import KINDS, Argument, Kind, Signature, signature_of
from pnp.language.spec import KIND_OF_NAME, ModuleSpec, Spec, Step, Variable, Watched
from pnp.registry import REGISTRIES


def check_kinds(spec: Spec, refused: frozenset[str]) -> tuple[Spec, list[Problem]]:
    """The spec with kinds and called symbols, and problems of names, arity, kinds and order.

    `refused` are symbols whose modules could not be read; the reader has reported them.
    """
    following = _Following(spec, refused)
    following.follow_all()
    kinds = following.left_out | following.kinds
    found = replace(spec, kinds=kinds, called=frozenset(following.called))
    return found, list(dict.fromkeys(following.misfits or following.problems))


def article(kind: Kind) -> str:
    """A kind with its article, as in 'an image'."""
    return "levels" if kind.name == "levels" else with_article(str(kind))


class _Following:
    """The kinds of the variables defined so far, while the steps are followed in their order."""

    def __init__(self, spec: Spec, refused: frozenset[str]):
        self.spec, self.refused = spec, refused
        self.kinds: dict[str, Kind] = {}
        self.left_out: dict[str, Kind] = {}
        self.called: set[str] = set()
        self.problems: list[Problem] = []
        self.misfits: list[Problem] = []
        steps = reversed(list(spec.steps()))
        self.defined_at = {out: step for step in steps for out in step.outputs}

    def say(self, origin: Origin, message: str, cure: str = "") -> None:
        self.problems.append(Problem(origin, message, cure))

    def follow_all(self) -> None:
        """Follow the whole pipeline in the order of a run."""
        self.follow_given()
        for step in self.spec.before:
            self.follow(step, "")
        for stage in self.spec.stages:
            known = dict(self.kinds)
            for step in stage.start:
                self.follow(step, "start")
            for step in stage.steps:
                self.follow(step, "steps")
            for swap in stage.swap:
                before = dict(self.kinds)
                for step in stage.steps:
                    if step.module in swap.replacements:
                        self.follow(step, "steps", swap.replacements)
                self.kinds = before
            if stage.watched:
                self.follow_watched(stage.watched, known)
        for step in self.spec.after:
            self.follow(step, "")
        for name in self.spec.returns:
            if name not in self.kinds:
                message = f"'{name}' is returned, but no step gives it"
                self.say(self.spec.line("return"), message, hint(name, self.kinds, "variables"))
        for symbol in self.spec.freeze:
            if symbol not in self.spec.modules and symbol not in self.refused:
                cure = hint(symbol, self.spec.modules, "modules")
                self.say(self.spec.line("freeze"), f"there is no module '{symbol}' to freeze", cure)

    def follow_given(self) -> None:
        """Variables that the caller gives, and the steps that are their defaults."""
        for given in self.spec.given:
            if isinstance(given.default, Step):
                self.follow(given.default, "")
            found = self.kinds.setdefault(given.name, given.kind)
            if found != given.kind:
                message = f"'{given.name}' is {article(given.kind)}, but its default gives {found}"
                self.say(given.origin, message)
                self.kinds[given.name] = given.kind

    def follow_watched(self, watched: Watched, known: dict[str, Kind]) -> None:
        """After a stage that may be left out: later steps read only what is known without it."""
        if watched.name not in known:
            message = f"'{watched.name}' has no value before this stage"
            self.say(watched.origin, message, hint(watched.name, known, "variables"))
        self.left_out |= self.kinds
        self.kinds = known

    def follow(self, step: Step, loop: str, stand_ins: Mapping[str, str] = {}) -> None:
        """One step; `loop` is '', 'start' or 'steps', `stand_ins` are the symbols of a swap."""
        symbol = stand_ins.get(step.module, step.module)
        self.called.add(symbol)
        module = self.spec.modules.get(symbol)
        if module is None:
            if symbol not in self.refused:
                cure = hint(symbol, self.spec.modules, "modules")
                self.say(step.origin, f"there is no module '{step.module}'", cure)
            for name in step.outputs:
                if name in KIND_OF_NAME:
                    self.kinds.setdefault(name, KINDS[KIND_OF_NAME[name]])
            return
        signature = signature_of(REGISTRIES[module.role].get(module.name))
        usage = f"{symbol} is the {module.role} {module.name}: {symbol}{signature}"
        if symbol != step.module:
            usage = f"{usage}; it replaces {step.module} in some iterations (swap)"
        before = len(self.problems)
        self.check_inputs(step, loop, symbol, signature, usage)
        self.check_outputs(step, symbol, signature, usage)
        base = self.spec.document.origin.file
        if len(self.problems) > before and step.origin.file == base != module.origin.file:
            self.say_misfit(step, module, usage)

    def say_misfit(self, step: Step, module: ModuleSpec, usage: str) -> None:
        """A module of a later layer does not fit a step of the base; what follows is left out."""
        symbol, where = module.symbol, step.origin
        message = f"this {symbol} replaces that of {where.file}, but does not fit its line "
        message += f"{where.line}, '{step}'"
        used = ", ".join(self.spec.modules)
        cure = f"{usage}; a new module needs a symbol of its own (in use: {used})"
        if all(p.origin != module.origin for p in self.misfits):
            self.misfits.append(Problem(module.origin, message, cure))

    def check_inputs(
        self, step: Step, loop: str, symbol: str, signature: Signature, usage: str
    ) -> None:
        """Number and kinds of a step's inputs."""
        least, most = sum(a.required for a in signature.inputs), len(signature.inputs)
        fits = least <= len(step.inputs) <= most
        if not fits:
            count = str(most) if least == most else f"{least} to {most}"
            plural = "" if count == "1" else "s"
            message = f"{symbol} needs {count} input{plural}, but has {len(step.inputs)} here"
            self.say(step.origin, message, usage)
        for argument, value in zip(signature.inputs, step.inputs, strict=False):
            found = self.kind_of(value, step, loop)
            if found is None or not fits or _accepts(argument, value, found):
                continue
            cure = usage
            if found.name == "levels" and argument.kind.name == "level":
                cure = f"write {value}[i] for the level of iteration i"
            message = f"{symbol} needs {argument.kind} as '{argument.name}', but {value} is {found}"
            self.say(step.origin, message, cure)

    def check_outputs(self, step: Step, symbol: str, signature: Signature, usage: str) -> None:
        """Number of a step's outputs, and that no variable changes its kind."""
        if len(step.outputs) != len(signature.outputs):
            gives = ", ".join(kind.name for kind in signature.outputs)
            message = (
                f"{symbol} gives {len(signature.outputs)} ({gives}), "
                f"but {len(step.outputs)} are left of '='"
            )
            self.say(step.origin, message, usage)
        for name, kind in zip(step.outputs, signature.outputs, strict=False):
            before = self.kinds.setdefault(name, kind)
            if before != kind:
                message = f"'{name}' was {before} before and would become {kind}"
                self.say(step.origin, message, "give it a name of its own")

    def kind_of(self, value: Variable | int | float, step: Step, loop: str) -> Kind | None:
        """The kind of an input, or None after a problem."""
        if not isinstance(value, Variable):
            return KINDS["number"] if isinstance(value, int) else KINDS["level"]
        counter = "i" if value.index == "i" else value.name
        if counter in ("i", "n"):
            if loop == "" or (loop == "start" and counter == "i"):
                message = f"'{counter}' exists only in a loop"
                self.say(step.origin, message, "i in 'steps'; n in 'start' and 'steps'")
                return None
            if value.name in ("i", "n"):
                return KINDS["number"]
        if value.name not in self.kinds:
            self.say(
                step.origin,
                f"'{value.name}' is used before it has a value",
                self.when_defined(value.name, step),
            )
            return None
        kind = self.kinds[value.name]
        if value.index is None:
            return kind
        if kind.name != "levels":
            message = f"'{value.name}' is {kind}: it has no element [{value.index}]"
            self.say(
                step.origin, message, f"only {KINDS['levels']} (one per iteration) are indexed"
            )
            return None
        return KINDS["level"]

    def when_defined(self, name: str, step: Step) -> str:
        """The cure for a variable that has no value yet."""
        later = self.defined_at.get(name)
        if later is None:
            return hint(name, self.kinds, "variables")
        if name in self.left_out:
            return f"'{later}' gives it, but its stage may be left out ('while')"
        if later is step:
            return "no step before this one gives it"
        return f"'{later}' gives it, on line {later.origin.line}, but that is later"


def _accepts(argument: Argument, value: Variable | int | float, found: Kind) -> bool:
    """True if the input has the argument's kind; 0.5 is a level, 2 a level or a number."""
    if found == argument.kind:
        return True
    if isinstance(value, Variable):
        return False
    kind = argument.kind.name
    return kind == "level" or (kind == "number" and isinstance(value, int))
