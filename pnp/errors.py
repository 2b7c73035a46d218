"""Errors that users read: where, what was written, why, what next.

`PnpError` is raised for everything that a user can put right; the command line prints its message
without a stack trace.  `PipelineError` carries all the problems of one pipeline file, each with the
line it stands on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


class PnpError(Exception):
    """A problem that the user can put right; its text is one clear message."""


@dataclass(frozen=True)
class Origin:
    """Where a value was written: file (or `--set`), line (from 1, or None), text of that line."""

    file: str
    line: int | None = None
    text: str = ""
    folder: Path | None = field(default=None, compare=False, repr=False)
    """The folder of the file, from which relative paths in it start; None for the current one."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line is not None else self.file


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a pipeline: where it stands, why it is wrong, how to mend it."""

    origin: Origin
    message: str
    cure: str = ""

    def __str__(self) -> str:
        lines = [f"{self.origin}: {self.message}"]
        number = "" if self.origin.line is None else str(self.origin.line)
        margin = " " * (len(number) + 4)
        if self.origin.text.strip():
            lines.append(
                f"    {number} | {self.origin.text.strip()}"
                if number
                else f"    | {self.origin.text.strip()}"
            )
        if self.cure:
            lines.append(f"{margin} = {self.cure}" if number else f"    = {self.cure}")
        return "\n".join(lines)


class PipelineError(PnpError):
    """Everything that is wrong with a document at once; `problems` are in file order."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(p) for p in self.problems))


@dataclass
class Findings:
    """The problems found so far by a reader, which notes each and reads on."""

    problems: list[Problem] = field(default_factory=list)
    incomplete: bool = False
    """True when a part could not be read that later checks would miss."""

    def say(self, origin: Origin, message: str, cure: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(origin, message, cure))

    def raise_all(self) -> None:
        """Raise PipelineError with all problems in file order, if there are any."""
        if self.problems:
            self.problems.sort(key=lambda p: (p.origin.file, p.origin.line or 0))
            raise PipelineError(self.problems)


class OldSpelling(FutureWarning):
    """An old spelling that is read for one more release; tells the new one."""


def nearest(name: str, names: Iterable[str]) -> str:
    """'did you mean ...?' for a misspelt name, or an empty string when nothing is near."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        close = [n for n in names if n.lower() == name.lower()][:1]
    return f"did you mean '{close[0]}'?" if close else ""


def hint(name: str, names: Iterable[str], what: str) -> str:
    """The cure for an unknown name: the nearest one, and all there are."""
    names = sorted(names)
    near = nearest(name, names)
    listed = f"{what}: {', '.join(names) if names else 'none'}"
    return f"{near} {listed}" if near else listed
