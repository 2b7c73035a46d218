"""Rows that another comparison has measured already, with the same method on the same observation.

The base of Table 1 is that of Table 9, so that one of them need not measure it:

    pnp compare table-9 --reuse comparisons/table-1
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from pnp.comparing.comparison import Case
from pnp.comparing.identity import stale_column
from pnp.comparing.rows import IDENTITY, KEY, Row, read_rows, written
from pnp.errors import PnpError

_OBSERVATION = tuple(name for name in KEY if name != "method")
_IDENTITY = tuple(name for name in IDENTITY if name not in ("pipeline", "set"))
"""`document` is a hash of the whole pipeline, whatever it is called."""


class Reused:
    """The rows in the folders of other comparisons.

    Args:
        folders: Where `pnp compare` wrote them.

    Raises:
        PnpError: A folder has no rows.
    """

    def __init__(self, folders: Iterable[str | Path] = ()):
        self._rows: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for folder in map(Path, folders):
            rows = read_rows(folder)
            if not rows:
                raise PnpError(
                    f"--reuse {folder}: there are no rows of a comparison (rows.csv); "
                    "name a folder that pnp compare wrote"
                )
            for row in rows:
                self._rows[_observation(row)].append(row)

    def find(self, case: Case, facts: Mapping[str, str], image_sha256: str) -> Row | None:
        """A row of this observation whose pipeline, weights, given values, protocol and precision
        are those of `facts`, whatever its method is called; None if there is none.
        """
        for row in self._rows.get(_observation(written("", case)), ()):
            same = stale_column(row, dict(facts), _IDENTITY) is None
            if same and row["image_sha256"] == image_sha256:
                return row
        return None


def _observation(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in _OBSERVATION)
