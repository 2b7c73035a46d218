"""What lies in the place of a file that was not downloaded: a pointer, or a web page."""

from __future__ import annotations

from pathlib import Path

from pnp.errors import PnpError

_POINTERS = {
    b"version https://git-lfs": "Git LFS, not the file itself; git lfs pull fetches it",
    b"/annex/objects/": "git-annex, not the file itself; git annex get fetches it",
}
_PAGES = (b"<!doctype html", b"<html", b"<head")


def check_downloaded(path: Path) -> None:
    """PnpError if a file is a pointer to a file elsewhere, or a web page about it."""
    with path.open("rb") as file:
        head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for begin, rest in _POINTERS.items():
        if head.startswith(begin):
            raise PnpError(f"{path}: this is a pointer of {rest}")
    if head.startswith(_PAGES):
        raise PnpError(f"{path}: this is a web page; download the file itself")
