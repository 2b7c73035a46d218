"""The hook of mkdocs: writes the pages that no file in docs/ holds.

Every page is Markdown whose links are those of a plain view of the repository.  `Site.add` turns
them into links of the site; a file of the repository that is no page becomes one (source/...).
"""

from __future__ import annotations

from typing import Any

from api_pages import api_pages
from example_pages import example_pages, figures
from links import PAGES, ROOT, Site
from mkdocs.structure.files import File
from module_pages import module_pages
from pipeline_pages import pipeline_pages


def on_files(files: Any, config: Any) -> Any:
    """Add all pages; mkdocs calls this after it has listed docs/."""
    site = Site(files, config)
    for path, page in PAGES.items():
        head = "---\nhide: [navigation]\n---\n" if page == "index.md" else ""
        site.add(page, head + (ROOT / path).read_text(encoding="utf-8"), path)
    for file in [f for f in files.documentation_pages() if f.generated_by is None]:
        path = f"docs/{file.src_uri}"
        site.add(file.src_uri, (ROOT / path).read_text(encoding="utf-8"), path)
    for pages in (pipeline_pages, module_pages, api_pages, example_pages):
        for page, (text, path) in pages().items():
            site.add(page, text, path)
    for place, picture in figures().items():
        files.append(File.generated(config, place, content=picture))
    config.nav = _listed(config.nav, files)
    return files


def _listed(nav: Any, files: Any) -> Any:
    """The navigation with the pages of a folder in place of `folder/`, in the order of `files`."""
    if isinstance(nav, dict):
        return {title: _listed(part, files) for title, part in nav.items()}
    if isinstance(nav, list):
        return [_listed(part, files) for part in nav]
    if not nav.endswith("/"):
        return nav
    return [f.src_uri for f in files if f.src_uri.startswith(nav) and f.is_documentation_page()]
