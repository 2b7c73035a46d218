"""PNG files of 16 bits per channel.  Pillow would reduce those with colour to 8 bits."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by the header's colour type


def is_deep(head: bytes) -> bool:
    """True if a file that starts with these bytes is a PNG of 16 bits."""
    return head.startswith(SIGNATURE) and len(head) > 24 and head[24] == 16


def decode(data: bytes) -> np.ndarray:
    """The pixels of a PNG of 16 bits, uint16 (H, W, C).

    Raises ValueError if it is interlaced; a damaged file raises various exceptions.
    """
    width, height, _, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if interlaced:
        raise ValueError("interlaced PNGs of 16 bits are not supported; save without interlacing")
    size = 2 * _CHANNELS[colour]
    compressed, position = b"", 8
    while (kind := data[position + 4 : position + 8]) != b"IEND":
        (length,) = struct.unpack(">I", data[position : position + 4])
        body = data[position + 4 : position + 8 + length]
        (checksum,) = struct.unpack(">I", data[position + 8 + length : position + 12 + length])
        if zlib.crc32(body) != checksum:
            raise ValueError(f"wrong checksum in the chunk {kind!r}")
        compressed += body[4:] if kind == b"IDAT" else b""
        position += 12 + length
    stored = zlib.decompressobj().decompress(compressed, height * (1 + width * size))
    rows = np.frombuffer(stored, np.uint8).reshape(height, 1 + width * size)
    pixels = _unfilter(rows[:, 0], rows[:, 1:].reshape(height, width, size))
    return pixels.view(">u2").astype(np.uint16)


def encode(pixels: np.ndarray, profile: bytes | None = None) -> bytes:
    """A PNG of uint16 pixels (H, W) or (H, W, C), filtered by the differences between rows."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    colour = next(colour for colour, count in _CHANNELS.items() if count == channels)
    rows = np.ascontiguousarray(pixels, dtype=">u2").view(np.uint8).reshape(height, -1)
    rows = np.concatenate((rows[:1], rows[1:] - rows[:-1]))
    filtered = np.concatenate((np.full((height, 1), 2, np.uint8), rows), 1)
    parts = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))]
    if profile:
        parts.append(_chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile)))
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
