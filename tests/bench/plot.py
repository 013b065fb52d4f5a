"""The bars of docs/performance.svg: one panel a quantity, one bar a function. Its length is the median, on a scale of
the panel's own that begins at zero; a line across the end of the bar shows the quartiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from spread import Spread

_WIDTH, _LEFT, _RIGHT = 720, 130, 110
_BAR, _GAP, _HEAD, _FOOT = 18, 6, 30, 14
_INK = "#1f2328"
# Told apart without colour, too: by their order and names.
_COLOURS = ("#1a7f37", "#bf8700", "#0969da")


@dataclass(frozen=True)
class Panel:
    title: str
    unit: str
    digits: int
    bars: Sequence[tuple[str, Spread]]


def svg(title: str, panels: Sequence[Panel]) -> str:
    parts, top = [], 40
    for panel in panels:
        parts += _panel(panel, top)
        top += _HEAD + len(panel.bars) * (_BAR + _GAP) + _FOOT
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        f'font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="{escape(title)}">'
    )
    background = f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>'
    caption = f'<text x="16" y="24" font-size="15" font-weight="600" fill="{_INK}">{escape(title)}</text>'
    return "\n".join([head, background, caption, *parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: int) -> list[str]:
    scale = (_WIDTH - _LEFT - _RIGHT) / max(spread.upper for _, spread in panel.bars)
    parts = [f'<text x="16" y="{top + 20}" font-weight="600" fill="{_INK}">{escape(panel.title)}</text>']
    for index, (name, spread) in enumerate(panel.bars):
        y = top + _HEAD + index * (_BAR + _GAP)
        lower, median, upper = (scale * value for value in (spread.lower, spread.median, spread.upper))
        around = f"M{_LEFT + lower:.1f} {y + _BAR / 2}H{_LEFT + upper:.1f}"
        text = f"{spread.median:,.{panel.digits}f} {panel.unit}"
        colour = _COLOURS[index % len(_COLOURS)]
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end" fill="{_INK}">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{median:.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<path d="{around}" stroke="{_INK}" stroke-width="2"/>',
            f'<text x="{_LEFT + upper + 8:.1f}" y="{y + 14}" fill="{_INK}">{text}</text>',
        ]
    return parts
