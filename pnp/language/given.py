"""The variables that the caller gives, with their kinds and defaults: the key `given`."""

from __future__ import annotations

import re
from math import inf

from pnp.document import Node, scalar
from pnp.errors import Findings, Problem, shown
from pnp.interfaces import KINDS, Kind
from pnp.language.kinds import article
from pnp.language.spec import KIND_OF_NAME, Given, Step
from pnp.language.steps import VARIABLE, read_step


class GivenReader:
    """Reads `given` of a document."""

    def __init__(self, document: Node, findings: Findings):
        self.document, self.findings, self.say = document, findings, findings.say

    def read(self) -> tuple[Given, ...]:
        """The variables that the caller gives."""
        node = self.document.value.get("given")
        if node is None or not node.is_list:
            if node is None:
                cure = "add a line such as 'given: [y, s]'"
                message = "the pipeline does not say what it is given"
                self.say(self.document.origin, message, cure)
            else:
                cure = "for example 'given: [y, s, k, sigma]'"
                self.say(node.origin, "given should be a list", cure)
            self.findings.incomplete = True
            return ()
        result: dict[str, Given] = {}
        for item in node.value:
            one = self.one_given(item)
            if one is None:
                self.findings.incomplete = True
            elif one.name in result:
                self.say(item.origin, f"'{one.name}' is given twice")
            else:
                result[one.name] = one
        return tuple(result.values())

    def one_given(self, item: Node) -> Given | None:
        """A variable: 'y', 'guide: image', 's = 1' or 'k = G(y)'."""
        if item.is_map and len(item.value) == 1:
            ((name, kind),) = item.value.items()
            if re.fullmatch(VARIABLE, name) and isinstance(kind.value, str) and kind.value in KINDS:
                return Given(name, KINDS[kind.value], None, item.origin)
            message = f"'{name}: {kind.plain()}' is not a variable and its kind"
            self.say(item.origin, message, f"kinds: {', '.join(KINDS)}")
            return None
        if not isinstance(item.value, str):
            cure = "for example 'given: [y, s, k = G(y), sigma = 2e-2]'"
            self.say(item.origin, f"given should hold names, not {shown(item.plain())}", cure)
            return None
        name, equals, value = (part.strip() for part in item.value.partition("="))
        if name not in KIND_OF_NAME:
            self.say_unknown_kind(name, item)
            return None
        kind = KINDS[KIND_OF_NAME[name]]
        if not equals:
            return Given(name, kind, None, item.origin)
        default = self.default(name, kind, value, item)
        return None if default is None else Given(name, kind, default, item.origin)

    def say_unknown_kind(self, name: str, item: Node) -> None:
        """Report a name in `given` that has no kind."""
        if re.fullmatch(VARIABLE, name):
            known = f"kinds: {', '.join(KINDS)}; names with a known kind: {', '.join(KIND_OF_NAME)}"
            message = f"the kind of '{name}' is not known"
            self.say(item.origin, message, f"write '{name}: image'; {known}")
        else:
            cure = "variables begin with a small letter"
            self.say(item.origin, f"'{name}' is not the name of a variable", cure)

    def default(self, name: str, kind: Kind, value: str, item: Node) -> Step | int | float | None:
        """The default of a given variable: a number, or a step; None after a problem."""
        number = scalar(value)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            counts = isinstance(number, int) and number >= 1
            fits = counts if kind.name == "number" else kind.name == "level" and 0 <= number < inf
            if not fits:
                message = f"'{name}' is {article(kind)}, so {value} cannot be its default"
                self.say(item.origin, message)
            return number if fits else None
        step = read_step(item)
        if isinstance(step, Problem):
            self.findings.problems.append(step)
            return None
        return step
