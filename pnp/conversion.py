"""`pnp convert`: the tensors of any checkpoint, or of a part of it, as a .safetensors file."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch

from pnp.checkpoint_files import SUFFIXES, read_checkpoint
from pnp.checkpoints import find_weights, is_name, part_of
from pnp.errors import PnpError
from pnp.files import atomic, check_results
from pnp.headers import metadata_of, read_entry, read_metadata, with_metadata


def convert(source: str | Path, target: str | Path, part: str | None = None) -> None:
    """Write the tensors of any checkpoint as .safetensors (`pnp convert IN OUT`).

    Args:
        source: The checkpoint, or the name of pretrained weights.
        target: The file to write.
        part: Write only the tensors whose names begin with this word and a dot, without it, as
            programs expect them that know networks but no pipelines.
    """
    if Path(target).suffix != ".safetensors":
        raise PnpError(
            f"{target}: checkpoints are converted to .safetensors; give a name with that suffix"
        )
    path = Path(source)
    if not path.is_file() and not path.name.lower().endswith(SUFFIXES) and is_name(str(source)):
        path, _ = find_weights(source)
    check_results({str(path): [Path(target)]}, [(path, "checkpoint")], "give another name")
    # Two names may share one tensor, which the format does not allow: each gets its own copy.
    state = {
        key: value.detach().clone().contiguous()
        for key, value in part_of(read_checkpoint(path), part, str(source)).items()
    }
    with atomic(target) as temporary:
        temporary.write_bytes(with_metadata(safetensors.torch.save(state), _metadata(path, part)))


def _metadata(source: Path, part: str | None) -> dict[str, str]:
    """What the header of a .safetensors file says beside its tensors; of a part, without the
    pipeline, which needs all parts."""
    found = {"format": "pt", **read_metadata(source)}
    if part is not None and (entry := read_entry(source)):
        modules = {s: m for s, m in entry.get("modules", {}).items() if s == part.rstrip(".")}
        kept = {k: v for k, v in entry.items() if k not in ("name", "pipeline", "modules")}
        name = f"{entry.get('name', source.stem)} {part}"
        found = metadata_of(name, kept | ({"modules": modules} if modules else {}))
    return dict(sorted(found.items()))  # safetensors gives them in another order each time
