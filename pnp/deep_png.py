"""PNG files of 16 bits per channel.  Pillow would reduce those with colour to 8 bits."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from pnp.transparency import with_colour_key

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by the header's colour type
_PLAIN = ((0, 0, 1, 1),)  # first row and column, and steps, of each pass
_ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def depth(data: bytes) -> int:
    """Bits per channel of a PNG that starts with these bytes."""
    return data[24]


def is_deep(head: bytes) -> bool:
    """True if a file that starts with these bytes is a PNG of 16 bits."""
    return head.startswith(SIGNATURE) and len(head) > 24 and depth(head) == 16


def decode(data: bytes) -> np.ndarray:
    """The pixels of a PNG of 16 bits, uint16 (H, W, C), plain or interlaced (Adam7).

    A transparent colour (the chunk tRNS) becomes an alpha channel.  A damaged file raises various
    exceptions.
    """
    width, height, _, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    channels = _CHANNELS[colour]
    passes = [p for p in (_ADAM7 if interlaced else _PLAIN) if p[0] < height and p[1] < width]
    sizes = [(len(range(y, height, dy)), len(range(x, width, dx))) for y, x, dy, dx in passes]
    chunks = list(_chunks(data))
    compressed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    total = sum(rows * (1 + 2 * channels * columns) for rows, columns in sizes)
    stored = np.frombuffer(zlib.decompressobj().decompress(compressed, total), np.uint8)
    pixels, position = np.empty((height, width, channels), np.uint16), 0
    for (y, x, dy, dx), (rows, columns) in zip(passes, sizes, strict=True):
        length = rows * (1 + 2 * channels * columns)
        lines = stored[position : position + length].reshape(rows, -1)
        part = _unfilter(lines[:, 0], lines[:, 1:].reshape(rows, columns, 2 * channels))
        pixels[y::dy, x::dx] = part.view(">u2")
        position += length
    key = next((body for kind, body in chunks if kind == b"tRNS"), b"")
    if key and colour in (0, 2):
        pixels = with_colour_key(pixels, struct.unpack(f">{channels}H", key))
    return pixels


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk up to the end of the image."""
    position = 8
    while (kind := data[position + 4 : position + 8]) != b"IEND":
        (length,) = struct.unpack(">I", data[position : position + 4])
        body = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack(">I", data[position + 8 + length : position + 12 + length])
        if zlib.crc32(kind + body) != checksum:
            raise ValueError(f"wrong checksum in the chunk {kind!r}")
        yield kind, body
        position += 12 + length


def encode(
    pixels: np.ndarray,
    profile: bytes | None = None,
    more: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """A PNG of uint16 pixels (H, W) or (H, W, C), filtered by the differences between rows.

    `more`: kind and content of further chunks.
    """
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    colour = next(colour for colour, count in _CHANNELS.items() if count == channels)
    rows = np.ascontiguousarray(pixels, dtype=">u2").view(np.uint8).reshape(height, -1)
    rows = np.concatenate((rows[:1], rows[1:] - rows[:-1]))
    filtered = np.concatenate((np.full((height, 1), 2, np.uint8), rows), 1)
    parts = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))]
    if profile:
        parts.append(_chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile)))
    parts += [_chunk(kind, content) for kind, content in more]
    parts += [_chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)), _chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _unfilter(filters: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Undo the five row filters of PNG.

    A pixel depends on the pixels to its left, above, and above left.  So the pixels of one
    anti-diagonal are independent and are computed together.
    """
    if filters.max() > 4:
        raise ValueError("unknown row filter")
    height, width, size = stored.shape
    out = np.zeros((height + 1, width + 1, size), np.int16)  # a border of zeros above and left
    for diagonal in range(height + width - 1):
        r = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        c = diagonal - r
        left, up, corner = out[r + 1, c], out[r, c + 1], out[r, c]
        to_left, to_up = abs(up - corner), abs(left - corner)
        to_corner = abs(left + up - 2 * corner)
        nearest = np.where(to_up <= to_corner, up, corner)
        nearest = np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest)
        guess = np.choose(filters[r][:, None], (np.int16(0), left, up, (left + up) // 2, nearest))
        out[r + 1, c + 1] = (stored[r, c] + guess) & 255
    return np.ascontiguousarray(out[1:, 1:].astype(np.uint8))
