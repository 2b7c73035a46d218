"""Errors for users.  A message states where, what was written, why it is wrong, and what to do.

`PnpError` is raised for every problem that the user can correct; the command line prints its
message without a stack trace.  `PipelineError` contains all problems of one pipeline file, each
with its line.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class PnpError(Exception):
    """A problem that the user can correct; its text is one clear message."""


@dataclass(frozen=True)
class Origin:
    """Where a value was written: file (or `--set`), line (from 1, or None), text of that line."""

    file: str
    line: int | None = None
    text: str = ""
    folder: Path | None = field(default=None, compare=False, repr=False)
    """The folder of the file, base of relative paths in it; None for the current folder."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line is not None else self.file


@dataclass(frozen=True)
class Problem:
    """One problem in a pipeline: where it is, what is wrong, how to correct it."""

    origin: Origin
    message: str
    cure: str = ""

    def __str__(self) -> str:
        lines = [f"{self.origin}: {self.message}"]
        number = "" if self.origin.line is None else f"{self.origin.line} "
        if self.origin.text.strip():
            lines.append(f"    {number}| {self.origin.text.strip()}")
        if self.cure:
            lines.append(f"    {' ' * len(number)}= {self.cure}")
        return "\n".join(lines)


class PipelineError(PnpError):
    """All problems of a document; `problems` are in file order."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(p) for p in self.problems))


@dataclass
class Findings:
    """The problems found so far by a reader, which records each and continues."""

    problems: list[Problem] = field(default_factory=list)
    incomplete: bool = False
    """True if a part that later checks need could not be read."""

    def say(self, origin: Origin, message: str, cure: str = "") -> None:
        """Record a problem."""
        self.problems.append(Problem(origin, message, cure))

    def raise_all(self) -> None:
        """Raise PipelineError with all problems in file order, if there are any."""
        if self.problems:
            self.problems.sort(key=lambda p: (p.origin.file, p.origin.line or 0))
            raise PipelineError(self.problems)


def fitted(text: str, widest: int = 200) -> str:
    """A message in lines of limited width: longer lines are continued, longer words are cut."""
    lines = []
    for line in printable(text).split("\n"):
        words = line.lstrip().split(" ")
        rest = " ".join(_cut(word, widest - 20) for word in words)
        indent = " " * (len(line) - len(line.lstrip()))
        deeper = indent + "    "
        while len(indent + rest) > widest:
            end = rest.rfind(" ", 0, widest - len(indent) + 1)
            lines.append(indent + rest[:end])
            rest, indent = rest[end + 1 :], deeper
        lines.append(indent + rest)
    return "\n".join(lines)


def tell(text: str) -> None:
    """Print a message on stderr, above a progress bar, in lines of limited width.

    Where stderr cannot be written (`2>/dev/full`), the message is lost, and nothing else.
    """
    from tqdm import tqdm

    with suppress(OSError):
        tqdm.write(fitted(text), file=sys.stderr)


def printable(text: str) -> str:
    """A text whose control characters, of a file's name for example, are written as escapes, so
    that they do not change the terminal; lines and tabs stay."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def shown(value: object, longest: int = 80) -> str:
    """A value as written, on one line and short enough for a message."""
    return _cut(" ".join(repr(value).split()), longest)


def _cut(text: str, longest: int) -> str:
    """The text with its middle left out if it is longer than that."""
    half = (longest - 3) // 2
    return text if len(text) <= longest else f"{text[:half]}...{text[-half:]}"


class OldSpelling(FutureWarning):
    """An old spelling that is accepted for one more release; the message states the new one."""


class Notice(UserWarning):
    """Something that was changed or chosen for the user, who may not expect it."""


def nearest(name: str, names: Iterable[str]) -> str:
    """'did you mean ...?' for a misspelt name, or an empty string if no name is similar."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        close = [n for n in names if n.lower() == name.lower()][:1]
    return f"did you mean '{close[0]}'?" if close else ""


def with_article(noun: str) -> str:
    """A noun with its article: 'a prior', 'an estimator'."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def hint(name: str, names: Iterable[str], what: str) -> str:
    """The cure for an unknown name: the nearest name, and the list of all names."""
    names = sorted(names)
    near = nearest(name, names)
    listed = f"{what}: {', '.join(names) if names else 'none'}"
    return f"{near} {listed}" if near else listed
