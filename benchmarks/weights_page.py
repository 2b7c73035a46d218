"""Write what the manifest says into the headers of the pretrained weights, and docs/weights.md
(`make weights`).

Rows in results/ name weights by the sha256 of their tensors.  Rows that were measured by a version
of pnp that took the sha256 of the whole file are renamed, for all files that git knows.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from pnp.cards import write_page
from pnp.checkpoints import PRETRAINED, sha256
from pnp.headers import tensors_digest
from pnp.training.shipping import describe_all

HERE = Path(__file__).parent
ROOT = HERE.parent


def earlier_versions() -> dict[str, str]:
    """By the sha256 of a file of weights, that of its tensors, for all versions that git knows."""
    known: dict[str, str] = {}
    listed = _git("log", "--all", "--format=", "--raw", "--no-abbrev", "--", "*.safetensors")
    blobs = {line.split()[3] for line in listed.decode().splitlines()} - {"0" * 40}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.safetensors"
        for blob in sorted(blobs):
            path.write_bytes(_git("cat-file", "blob", blob))
            known[sha256(path)] = tensors_digest(path)
    return known


def rename(rows: Path, known: dict[str, str]) -> bool:
    """Replace checksums of files in rows, in full or their first 12 digits; True if any changed."""
    text = rows.read_text(encoding="utf-8")
    short = {file[:12]: tensors[:12] for file, tensors in known.items()}

    def tensors(match: re.Match[str]) -> str:
        return known.get(match[0]) or short.get(match[0]) or match[0]

    renamed = re.sub(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b", tensors, text)
    if renamed != text:
        rows.write_text(renamed, encoding="utf-8")
    return renamed != text


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


if __name__ == "__main__":
    known = earlier_versions()
    known |= {sha256(p): tensors_digest(p) for p in PRETRAINED.rglob("*.safetensors")}
    for name in describe_all():
        print(f"pnp/weights/{name}.safetensors: header written")
    for rows in sorted((HERE / "results").rglob("*.csv")):
        if rename(rows, known):
            print(f"{rows.relative_to(ROOT)}: checksums of tensors written")
    write_page(ROOT / "docs" / "weights.md")
