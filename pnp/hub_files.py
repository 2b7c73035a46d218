"""Files of a pipeline on the hub of huggingface_hub: `hf:owner/name`, `hf:owner/name@revision`.

Only two files are ever fetched: config.json with the pipeline, and model.safetensors.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from pnp.decoders import first_line
from pnp.errors import PnpError

HUB = "hf:"
FILES = ("config.json", "model.safetensors")
_FORM = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?", re.ASCII)


@functools.lru_cache(maxsize=16)
def fetch(name: str, **options: Any) -> Path:
    """The configuration of a pipeline, with its weights beside it, from the hub or its cache.

    Args:
        name: `hf:owner/name`, or with `@` and a branch, a tag or a commit.
        options: Of `huggingface_hub.snapshot_download`.
    Raises:
        PnpError: There is no such repository or revision, it holds no pipeline, or it is neither in
            the cache nor within reach.
    """
    if not _FORM.fullmatch(name.removeprefix(HUB)):
        raise PnpError(f"{name}: write hf:owner/name, or hf:owner/name@revision")
    import huggingface_hub
    from huggingface_hub import errors

    repository, _, revision = name.removeprefix(HUB).partition("@")
    try:
        found = huggingface_hub.snapshot_download(
            repository, revision=revision or None, allow_patterns=list(FILES), **options
        )
    except errors.RepositoryNotFoundError as e:
        told = "the hub has no such repository, or you have no access to it"
        raise PnpError(f"{name}: {told}; look at the name, or log in with `hf auth login`") from e
    except errors.RevisionNotFoundError as e:
        raise PnpError(f"{name}: the repository has no revision '{revision}'") from e
    except errors.HFValidationError as e:
        raise PnpError(f"{name}: {first_line(e)}; write hf:owner/name") from e
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError, OSError) as e:
        told = "the hub cannot be reached, and the pipeline is not in its cache"
        raise PnpError(f"{name}: {told}; look at the network, or at the name") from e
    missing = [file for file in FILES if not (Path(found) / file).is_file()]
    if missing:
        told = f"the repository holds no pipeline of pnp: it has no {' and no '.join(missing)}"
        raise PnpError(f"{name}: {told}; pnp.hub writes both")
    return Path(found) / FILES[0]
