"""Links of the repository's Markdown as links between the pages of the site."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

ROOT = Path(__file__).parents[2]
Pages = dict[str, tuple[str, str]]
"""The text of each page, and the place in the repository from which its links lead."""
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Markdown outside of docs/, and the pages that it becomes."""
LANGUAGES = {
    **{".py": "python", ".yaml": "yaml", ".yml": "yaml", ".cff": "yaml", ".toml": "toml"},
    **{".md": "markdown", ".txt": "text", ".js": "js", ".css": "css", "": "text"},
}
"""The suffixes of texts, which are shown as pages."""
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")
_INFO = re.compile(r"^``` ?([a-z]+) .*$", re.MULTILINE)


class Site:
    """The pages so far."""

    def __init__(self, files: Any, config: Any):
        self.files, self.config = files, config

    def add(self, page: str, text: str, path: str) -> None:
        """Add a page; its links are relative to `path`, a file of the repository."""
        self._put(page, self.converted(text, page, path))

    def _put(self, page: str, content: str | bytes) -> None:
        from mkdocs.structure.files import File

        known = self.files.get_file_from_path(page)
        if known is not None:
            self.files.remove(known)
        self.files.append(File.generated(self.config, page, content=content))

    def converted(self, text: str, page: str, path: str) -> str:
        """The text with links of the site; info strings keep the language only."""

        def link(match: re.Match[str]) -> str:
            target = normpath(PurePosixPath(path).parent / match[1])
            goal = relpath(self._page_of(target), PurePosixPath(page).parent)
            return f"]({goal}{match[2] or ''})"

        parts = _CODE.split(text)
        parts[::2] = [_LINK.sub(link, part) for part in parts[::2]]
        return _INFO.sub(r"```\1", "".join(parts))

    def _page_of(self, target: str) -> str:
        """The page or file of the site that shows a file or a folder of the repository."""
        source = ROOT / target
        if target in PAGES:
            return PAGES[target]
        if target.startswith("docs/") and not target.startswith("docs/hooks"):
            page = target.removeprefix("docs/")
            index = "README.md" if (source / "README.md").is_file() else "index.md"
            return f"{page}/{index}" if source.is_dir() else page
        if re.fullmatch(r"pipelines/[\w-]+\.yaml", target):
            return target.replace(".yaml", ".md")
        if not source.exists():
            return target  # which mkdocs reports
        page = f"source/{target.lstrip('.')}"  # mkdocs leaves hidden files out
        if source.is_dir():
            page += "/index.md"
        elif source.suffix in LANGUAGES:
            page += ".md"
        if self.files.get_file_from_path(page) is None:
            self._put(page, "")  # folders may hold each other
            self._put(page, self._shown(source, target, page))
        return page

    def _shown(self, source: Path, target: str, page: str) -> str | bytes:
        """A text as a page, any other file as it is, a folder as the list of its texts."""
        if source.is_file() and source.suffix not in LANGUAGES:
            return source.read_bytes()
        head = f"---\nsearch: {{exclude: true}}\nhide: [navigation]\n---\n# {target}\n\n"
        if source.is_dir():
            shown = [p for p in source.iterdir() if p.is_dir() or p.suffix in (*LANGUAGES, ".csv")]
            names = sorted(p.name for p in shown if not p.name.startswith(("__", ".")))
            items = "".join(f"- [{name}]({source.name}/{name})\n" for name in names)
            return head + self.converted(items, page, target)
        text = source.read_text(encoding="utf-8")
        return f"{head}````{LANGUAGES[source.suffix]}\n{text}````\n"
