"""Kinds of input that are bad, or look so, and what is right for each.

`test_bad_inputs.py` tries them all.  `python tests/bad_inputs.py` writes them as the page
docs/bad-inputs.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Content = bytes | str | Callable[[Path], object]
"""Of a file: what it holds, or a function that makes it."""
PAGE = Path(__file__).parent.parent / "docs" / "bad-inputs.md"
WRITE = "python tests/bad_inputs.py"


@dataclass(frozen=True)
class Kind:
    """A kind of input."""

    given: str
    """The input, in words."""
    call: str
    """A command line without its `pnp`, or an expression in Python."""
    says: str
    """Part of the message, or of what is printed."""
    files: Mapping[str, Content] = field(default_factory=dict)
    """The files of the input, beside those that all kinds have."""
    answer: str = "refused"
    """Or "accepted", or "accepted with a note"."""
    made: tuple[str, ...] = ()
    """Files that there are afterwards."""

    @property
    def python(self) -> bool:
        """True for an expression in Python."""
        return "(" in self.call.split()[0]


@dataclass(frozen=True)
class Area:
    """A part of the table."""

    title: str
    about: str
    kinds: tuple[Kind, ...]


def ok(
    given: str, call: str, says: str, *made: str, files: Mapping[str, Content] | None = None
) -> Kind:
    """An input that is accepted, and what is printed on stdout or made."""
    return Kind(given, call, says, files or {}, "accepted", made)


def note(
    given: str, call: str, says: str, *made: str, files: Mapping[str, Content] | None = None
) -> Kind:
    """An input that is accepted with a note on stderr."""
    return Kind(given, call, says, files or {}, "accepted with a note", made)


HEAD = """\
# Bad inputs

What pnp does with inputs that are wrong, damaged or unusual: {count} kinds.
This page is made by `{write}` from [the table](../tests/bad_inputs.py) of a
[test](../tests/test_bad_inputs.py) that tries them all.

A kind that is refused has these properties, which the test checks:

- The exit status is 2 if the command line cannot be read, and 1 otherwise.
- The message is on stderr, without a stack trace, in lines of at most 200 characters.
- No file is written, and the given files are unchanged.

In Python, the same messages are those of `pnp.PnpError`.
In the commands, `photo.png` has 24 x 24 pixels, `k.npy` is a kernel of 3 x 3 taps, and `tv.yaml` is
`hqs-tv` with one iteration.
"""


def page(areas: tuple[Area, ...]) -> str:
    """The table as Markdown."""
    count = sum(len(area.kinds) for area in areas)
    lines = [HEAD.format(count=count, write=WRITE)]
    for area in areas:
        lines += [f"## {area.title}", "", area.about, ""]
        lines += ["| given | call | answer |", "|---|---|---|"]
        for kind in area.kinds:
            called = kind.call if kind.python else f"pnp {kind.call}"
            answer = f"{kind.answer}: {_code(kind.says)}" if kind.says else kind.answer
            lines.append(f"| {_cell(kind.given)} | {_code(called)} | {answer} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _code(text: str) -> str:
    printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    short = printable if len(printable) <= 120 else f"{printable[:60]} ... {printable[-20:]}"
    return f"`{_cell(short)}`"


if __name__ == "__main__":
    from bad_kinds import AREAS

    PAGE.write_text(page(AREAS), encoding="utf-8")
    print(f"{PAGE}: written")
