"""YAML with origins: every value keeps the file and the line on which it was written.

Reading never runs code and constructs no Python objects: YAML's node graph is turned into `Node`s,
with plain scalars only.  Differences from PyYAML's loader: duplicate keys, anchors, aliases and
tags are errors; `1e-2` is a number; `yes`, `no`, `on` and `off` are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pnp.errors import Origin, PipelineError, PnpError, Problem
from pnp.limits import LARGEST_TEXT

_INT = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_DEEPEST = 20


@dataclass(frozen=True)
class Node:
    """A value: a scalar, a list of nodes or a dict of nodes, and where it was written."""

    value: Any
    origin: Origin

    @property
    def is_map(self) -> bool:
        """True for a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """True for a sequence."""
        return isinstance(self.value, list)

    def plain(self) -> Any:
        """The value without origins: dicts, lists and scalars."""
        if self.is_map:
            return {k: v.plain() for k, v in self.value.items()}
        if self.is_list:
            return [v.plain() for v in self.value]
        return self.value


def read_file(path: Path, name: str | None = None) -> Node:
    """Read a YAML file; PipelineError if it is not one."""
    try:
        if (size := path.stat().st_size) > LARGEST_TEXT:
            raise PnpError(
                f"{name or path}: the file has {size / 1e6:.3g} MB, but the limit is "
                f"{LARGEST_TEXT // 1000} kB; is it a pipeline?"
            )
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as e:
        raise PnpError(
            f"{name or path}: not a text file: byte {e.start} is not UTF-8; "
            "pipelines are YAML files"
        ) from e
    except OSError as e:
        raise PnpError(f"{name or path}: cannot be read: {e.strerror or e}") from e
    return read_text(text, name or str(path), path.parent)


def read_text(text: str, name: str, folder: Path | None = None) -> Node:
    """Read YAML text; messages call it `name`, and relative paths in it start at `folder`."""
    source = _Source(text, name, folder)
    node = source.compose()
    if node is None:
        raise PipelineError([Problem(Origin(name), "the file is empty", _SEE)])
    document = source.convert(node)
    if source.problems:
        raise PipelineError(source.problems)
    return document


_SEE = "see docs/write-a-pipeline.md for the form of a pipeline"


class _Source:
    """The text of a document; composes it with PyYAML and turns its nodes into `Node`s."""

    def __init__(self, text: str, name: str, folder: Path | None):
        self.text, self.name, self.folder = text, name, folder
        self.lines = text.splitlines()
        self.problems: list[Problem] = []

    def origin(self, mark: yaml.Mark | None) -> Origin:
        """File, number and text of the line of a mark."""
        if mark is None:
            return Origin(self.name, folder=self.folder)
        line = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Origin(self.name, mark.line + 1, line, self.folder)

    def compose(self) -> yaml.Node | None:
        """The document as PyYAML's nodes; PipelineError if it is not YAML or not allowed."""
        loader = None
        try:
            loader = _Loader(self.text)
            found: yaml.Node | None = loader.get_single_node()
            return found
        except _RefusedError as e:
            raise self.refused(e.mark, e.message, e.cure) from None
        except yaml.MarkedYAMLError as e:
            if e.problem == "but found another document":
                where, cure = e.problem_mark, "one pipeline per file"
                raise self.refused(where, "a second document starts here", cure) from None
            cure = "indent with spaces" if "\\t" in (e.problem or "") else _SEE
            where, message = e.problem_mark or e.context_mark, e.problem or e.context
            raise self.refused(where, f"this is not YAML: {message}", cure) from None
        except yaml.reader.ReaderError as e:
            line = Origin(self.name, self.text.count("\n", 0, e.position) + 1)
            code = f"#x{ord(self.text[e.position]):04x}"
            message = f"this is not YAML: the character {code} is not allowed"
            raise PipelineError([Problem(line, message)]) from None
        finally:
            if loader is not None:
                loader.dispose()

    def refused(self, mark: yaml.Mark | None, message: str, cure: str = "") -> PipelineError:
        """The error for a text that cannot be read further."""
        return PipelineError([Problem(self.origin(mark), message, cure)])

    def convert(self, node: yaml.Node) -> Node:
        """Turn a node of PyYAML into a `Node`; keys that cannot be used become `problems`."""
        here = self.origin(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return Node(self.convert_map(node), here)
        if isinstance(node, yaml.SequenceNode):
            for item in filter(_is_empty, node.value):
                where = self.origin(item.start_mark)
                self.problems.append(Problem(where, "an entry of this list has no value"))
            return Node([self.convert(item) for item in node.value], here)
        assert isinstance(node, yaml.ScalarNode)
        return Node(scalar(node.value, quoted=node.style in ("'", '"', "|", ">")), here)

    def convert_map(self, node: yaml.MappingNode) -> dict[str, Node]:
        """The entries of a mapping."""
        result: dict[str, Node] = {}
        first: dict[str, Origin] = {}
        for key_node, value_node in node.value:
            here, key = self.origin(key_node.start_mark), key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                cure = "is a pair of quotes or a space after ':' missing?"
                self.problems.append(Problem(here, "a key must be plain text", cure))
                continue
            if key in result:
                cure = f"the first is on line {first[key].line}; keep one"
                self.problems.append(Problem(here, f"'{key}' is written twice", cure))
                continue
            if _is_empty(value_node):
                cure = "write the value, or null to remove what a file below has"
                if ":" in key:
                    cure = f"write '{key.replace(':', ': ', 1)}', with a space after ':'"
                self.problems.append(Problem(here, f"'{key}' has no value", cure))
            value = self.convert(value_node)
            # For the user, a mapping or list on the lines below belongs to the line of its key.
            if value.origin.line != here.line and not isinstance(value_node, yaml.ScalarNode):
                value = Node(value.value, here)
            result[key], first[key] = value, here
        return result


def _is_empty(node: yaml.Node) -> bool:
    """True where nothing is written, which YAML reads as null."""
    return isinstance(node, yaml.ScalarNode) and not node.value and node.style is None


def scalar(text: str, quoted: bool = False) -> str | int | float | bool | None:
    """The meaning of a plain scalar: null, true, false, a number, else the text itself."""
    if quoted:
        return text
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if text in (".inf", "-.inf", ".nan"):
        return float(text.replace(".", ""))
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def from_python(value: Any, origin: Origin) -> Node:
    """A Python value (as given to `pnp.load`) as a node; PnpError if YAML cannot express it."""
    if isinstance(value, Path):
        value = str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return Node(value, origin)
    if isinstance(value, (list, tuple)):
        return Node([from_python(v, origin) for v in value], origin)
    if isinstance(value, dict):
        return Node({str(k): from_python(v, origin) for k, v in value.items()}, origin)
    raise PnpError(
        f"{origin}: {type(value).__name__} is not a value that a pipeline can hold; "
        "use numbers, text, lists and dicts"
    )


def relocated(node: Node, origin: Origin) -> Node:
    """The same node, with one origin for everything in it."""
    if node.is_map:
        return Node({k: relocated(v, origin) for k, v in node.value.items()}, origin)
    return Node([relocated(v, origin) for v in node.value] if node.is_list else node.value, origin)


class _RefusedError(Exception):
    def __init__(self, mark: yaml.Mark, message: str, cure: str):
        self.mark, self.message, self.cure = mark, message, cure


class _Loader(yaml.SafeLoader):
    """Composes nodes only; rejects YAML features that expand small files or construct objects."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _RefusedError(
                mark,
                "anchors (&) and aliases (*) are not part of the language",
                "write the value out, or use 'extends'",
            )
        if getattr(event, "tag", None):
            raise _RefusedError(
                mark,
                f"the tag '{event.tag}' is not part of the language",
                "remove it: a pipeline holds only text, numbers, lists and maps",
            )
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _RefusedError(
                mark,
                f"values are nested more than {_DEEPEST} levels deep",
                "a pipeline needs three levels",
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node
