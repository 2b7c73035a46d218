"""MATLAB files of version 5 to 7: their elements are checked before SciPy reads them.

An element is a tag (type and size) and its content; arrays hold elements in turn, packed elements
one that zlib has compressed.  SciPy unpacks without a limit, and it ends the process where an
array should hold numbers and holds something else.  Earlier versions are not packed, later ones
are HDF5.

Source:
    MathWorks, "MAT-File Format", version 5.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pnp.errors import PnpError
from pnp.limits import check_unpacked

_HEADER = 128
_ARRAY, _PACKED, _WORDS = 14, 15, 6
_NUMBERS = {*range(1, 8), 9, 12, 13}
"""Types of elements that hold numbers."""
_SPARSE, _UINT64 = 5, 15
"""The first and the last class of arrays of numbers."""
_COMPLEX = 0x800
_DEEPEST = 20


def check_matlab(path: Path) -> None:
    """Refuse a file that unpacks to too much, by unpacking up to the limit, or that is damaged."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if len(head) < _HEADER or 0 in head[:4]:  # version 4
            return
        order = "<" if head.endswith(b"IM") else ">"  # as SciPy reads these four bytes
        if head[125 if head[126:127] == b"I" else 124] != 1:
            return
        check_unpacked(path, _unpacked_sizes(file, order))
    content = memoryview(path.read_bytes())[_HEADER:]
    _check_inside(path, content, order)
    for kind, inside in _elements(content, order):
        if kind == _PACKED:
            _check_inside(path, memoryview(zlib.decompressobj().decompress(inside)), order)


def _unpacked_sizes(file: IO[bytes], order: str) -> Iterator[int]:
    """The sizes of the elements of a file; packed ones are unpacked piece by piece."""
    while len(tag := file.read(8)) == 8:
        kind, left = struct.unpack(f"{order}II", tag)
        if kind != _PACKED:
            yield left
            file.seek(left, os.SEEK_CUR)
            continue
        unpack = zlib.decompressobj()
        while (left or unpack.unconsumed_tail) and not unpack.eof:
            packed = unpack.unconsumed_tail
            if not packed:
                packed = file.read(min(left, 2**16))
                left = left - len(packed) if packed else 0
            yield len(unpack.decompress(packed, 2**22))
        file.seek(left, os.SEEK_CUR)


def _check_inside(path: Path, content: memoryview, order: str) -> None:
    """Refuse arrays that do not hold the entries that they state, or are nested too deep."""
    waiting = [(content, 0)]
    while waiting:
        outer, depth = waiting.pop()
        arrays = [inside for kind, inside in _elements(outer, order) if kind == _ARRAY]
        if depth > _DEEPEST or not all(_is_complete(inside, order) for inside in arrays):
            raise PnpError(
                f"{path}: the file is damaged: an array lacks some of its entries, or arrays are "
                f"nested more than {_DEEPEST} levels deep; save it again"
            )
        waiting += [(inside, depth + 1) for inside in arrays]


def _is_complete(array: memoryview, order: str) -> bool:
    """True if an array has elements with its class, size, name, and all of its numbers."""
    parts = list(_elements(array, order))
    if not parts:
        return True  # an empty array
    if parts[0][0] != _WORDS or len(parts[0][1]) != 8:
        return False
    (flags,) = struct.unpack_from(f"{order}I", parts[0][1])
    form = flags & 0xFF
    if len(parts) > 1 and form <= _UINT64 and form != _SPARSE:
        sizes = parts[1][1]
        count = math.prod(struct.unpack(f"{order}{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4]))
        if count > len(array):  # each entry takes a byte or more
            return False
    if not _SPARSE <= form <= _UINT64:
        return True  # text, cells, structures ...
    needed = (3 if form == _SPARSE else 1) + (1 if flags & _COMPLEX else 0)
    return len(parts) >= 3 + needed and all(kind in _NUMBERS for kind, _ in parts[3 : 3 + needed])


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each element; content of at most four bytes may be within the tag."""
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        if kind > 0xFFFF:
            yield kind & 0xFFFF, content[at + 4 : at + 8]
            at += 8
            continue
        yield kind, content[at + 8 : at + 8 + size]
        at += 8 + size + (0 if kind == _PACKED else -size % 8)
