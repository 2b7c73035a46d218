"""Lines over iterations as SVG, for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from matplotlib.ticker import MaxNLocator

COLOURS = ("#0b66c3", "#c4420b", "#1a7f37", "#8250df", "#946200", "#bf2f7b", "#0a7a80", "#57606a")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 520, 220, 62, 34, 10


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], title: str) -> str:
    """An SVG drawing of named lines; an empty text if there are none."""
    if not lines:
        return ""
    points = [point for line in lines.values() for point in line]
    right = max(x for x, _ in points) or 1.0
    low, high = min(y for _, y in points), max(y for _, y in points)
    if low == high:
        low, high = low - abs(low) / 2 - 1e-9, high + abs(high) / 2 + 1e-9
    marks = [float(value) for value in MaxNLocator(5).tick_values(low, high)]
    low, high = min(low, marks[0]), max(high, marks[-1])

    def place(x: float, y: float) -> str:
        across = LEFT + (WIDTH - LEFT - 10) * x / right
        down = TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle">iteration</text>',
    ]
    for value in marks:
        y = place(0, value).partition(",")[2]
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - 10}"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    for x in _ticks(right):
        across = place(x, low).partition(",")[0]
        parts.append(
            f'<text x="{across}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{x:g}</text>'
        )
    for (name, line), colour in zip(lines.items(), COLOURS * len(lines), strict=False):
        path = " ".join(place(x, y) for x, y in line)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2">'
            f"<title>{escape(name)}</title></polyline>"
        )
    names = "".join(
        f'<span style="color:{colour}">{escape(name)}</span>'
        for name, colour in zip(lines, COLOURS * len(lines), strict=False)
    )
    return "".join(parts) + f'</svg><p class="legend">{names}</p>'


def _ticks(right: float) -> list[int]:
    step = max(1, round(right / 8))
    return list(range(0, int(right) + 1, step))
