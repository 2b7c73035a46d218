"""The page of results: tables of all comparisons of a folder, made from their CSV files."""

from pathlib import Path


def write_page(folder: Path, page: Path) -> None:
    """Write the page."""
