"""The strip below a film's picture: the scale in large figures, a line, a curve with a mark."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from PIL import Image, ImageDraw

from lab.images import font

NIGHT, DIM, WHITE, ACCENT = (18, 18, 22), (120, 120, 130), (250, 250, 250), (255, 176, 64)
TRACK = (56, 56, 64)


@dataclass(frozen=True)
class Strip:
    """The scale in large figures beside the prompt, and a line from the first scale to the last."""

    first: float
    last: float
    decimals: int
    """Of every number, so that the figures stand still while they change."""
    prompt: str

    @classmethod
    def of(cls, scales: Sequence[Decimal], prompt: str) -> "Strip":
        decimals = max(-int(scale.normalize().as_tuple().exponent) for scale in scales)
        return cls(float(min(scales)), float(max(scales)), max(0, decimals), prompt)

    def written(self, scale: Decimal) -> str:
        """A scale with the decimals of this strip."""
        return f"{scale:.{self.decimals}f}"

    def draw(self, scale: Decimal, width: int) -> Image.Image:
        """The strip for one scale, `width` pixels wide."""
        height, edge = _height(width), _edge(width)
        strip = Image.new("RGB", (width, height), NIGHT)
        draw = ImageDraw.Draw(strip)
        middle = round(height * 0.4)
        x = self._figures(draw, self.written(scale), edge, middle, height)
        small = font(height * 0.17)
        room = width - edge - (x + edge)
        prompt = shortened(draw, self.prompt, room, small)
        draw.text((width - edge, middle), prompt, fill=DIM, font=small, anchor="rm")
        self._line(draw, float(scale), edge, width - edge, round(height * 0.82))
        return strip

    @staticmethod
    def _figures(draw: ImageDraw.ImageDraw, number: str, x: int, middle: int, height: int) -> int:
        """Write `s = number`, every digit in a cell of one width; return where it ends."""
        large, label = font(height * 0.5), font(height * 0.27)
        draw.text((x, middle), "s =", fill=DIM, font=label, anchor="lm")
        cell = max(draw.textlength(digit, font=large) for digit in "0123456789")
        position = x + draw.textlength("s =", font=label) + cell * 0.3
        baseline = middle + height * 0.18
        for character in number:
            width = cell if character.isdigit() else draw.textlength(character, font=large)
            place = (position + width / 2, baseline)
            draw.text(place, character, fill=WHITE, font=large, anchor="ms")
            position += width
        return round(position)

    def _line(self, draw: ImageDraw.ImageDraw, scale: float, x0: int, x1: int, y: int) -> None:
        span = (self.last - self.first) or 1.0
        thick = max(2, (x1 - x0) // 200)

        def at(value: float) -> float:
            return x0 + (x1 - x0) * (value - self.first) / span

        draw.rectangle((x0, y, x1, y + thick - 1), fill=TRACK)
        draw.rectangle((x0, y, max(x0, at(scale)), y + thick - 1), fill=ACCENT)
        for landmark in (0.0, 1.0):  # unconditional; conditional without exaggeration
            if self.first < landmark < self.last:
                place = at(landmark)
                draw.rectangle((place, y - 2 * thick, place + 1, y + 3 * thick - 1), fill=DIM)
        middle, radius = y + (thick - 1) / 2, thick * 1.8
        here = max(x0, min(x1, at(scale)))
        draw.ellipse((here - radius, middle - radius, here + radius, middle + radius), fill=ACCENT)


def _height(width: int) -> int:
    return min(96, max(36, round(width * 0.15)))


def _edge(width: int) -> int:
    return max(8, round(min(width, 700) * 0.035))


def curve_panel(
    scales: Sequence[Decimal], middles: np.ndarray, curves: np.ndarray, width: int
) -> Image.Image:
    """Log-speed curves [lines, gaps] over the scale, faint, and their mean, bright."""
    height, edge = max(40, min(110, round(width * 0.13))), _edge(width)
    panel = Image.new("RGB", (width, height), NIGHT)
    draw = ImageDraw.Draw(panel)
    first, last = float(min(scales)), float(max(scales))
    low, high = np.quantile(curves, 0.005), curves.max()
    span, room = (last - first) or 1.0, height - 22

    def points(curve: np.ndarray) -> list[tuple[float, float]]:
        x = edge + (width - 2 * edge) * (middles - first) / span
        share = (np.clip(curve, low, high) - low) / ((high - low) or 1.0)
        return list(zip(x.tolist(), (6 + room * (1 - share)).tolist(), strict=True))

    for curve in curves if len(curves) > 1 else ():
        draw.line(points(curve), fill=(50, 50, 60), width=1)
    mean = points(curves.mean(axis=0))
    draw.line(mean, fill=(214, 150, 90), width=2, joint="curve")
    said = "how fast the pictures change (log)"
    draw.text((width - edge, height - 7), said, fill=DIM, font=font(11), anchor="rm")
    return panel


def mark_scale(panel: Image.Image, scales: Sequence[Decimal], scale: Decimal) -> Image.Image:
    """The panel with a mark at a scale."""
    marked, edge = panel.copy(), _edge(panel.width)
    first, last = float(min(scales)), float(max(scales))
    x = edge + (panel.width - 2 * edge) * (float(scale) - first) / ((last - first) or 1.0)
    ImageDraw.Draw(marked).line((x, 4, x, panel.height - 14), fill=ACCENT, width=2)
    return marked


def shortened(draw: ImageDraw.ImageDraw, text: str, room: float, chosen) -> str:
    """The text with as many letters as fit into `room` pixels; none where hardly one would."""
    text = " ".join(text.split())
    if draw.textlength(text, font=chosen) <= room:
        return text
    while text and draw.textlength(text + "...", font=chosen) > room:
        text = text[:-1]
    return text.rstrip() + "..." if len(text) > 3 else ""
