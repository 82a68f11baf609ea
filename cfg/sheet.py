"""What is made of the frames: the film with its scale, the contact sheet, the curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from cfg.config import Config
from cfg.sweep import Frame, plain
from lab.images import enlarge, font, grid, save_png
from lab.run import write_atomically

NIGHT, DIM, WHITE, ACCENT = (18, 18, 22), (120, 120, 130), (250, 250, 250), (255, 176, 64)


@dataclass(frozen=True)
class Strip:
    """The strip below the picture: the scale in large figures, and a line from first to last."""

    first: float
    last: float
    decimals: int
    """Of every number, so that the figures stand still while they change."""
    prompt: str

    @classmethod
    def of(cls, frames: Sequence[Frame], config: Config) -> "Strip":
        scales = [frame.scale for frame in frames]
        decimals = max(-int(scale.normalize().as_tuple().exponent) for scale in scales)
        return cls(float(min(scales)), float(max(scales)), max(0, decimals), config.prompt)

    def draw(self, frame: Frame, width: int) -> Image.Image:
        """The strip for one frame, `width` pixels wide."""
        height, edge = max(36, round(width * 0.15)), max(8, round(width * 0.035))
        strip = Image.new("RGB", (width, height), NIGHT)
        draw = ImageDraw.Draw(strip)
        middle = round(height * 0.4)
        x = self._figures(draw, f"{frame.scale:.{self.decimals}f}", edge, middle, height)
        small = font(height * 0.17)
        room = width - edge - (x + edge)
        prompt = _shortened(draw, self.prompt, room, small)
        draw.text((width - edge, middle), prompt, fill=DIM, font=small, anchor="rm")
        self._line(draw, float(frame.scale), edge, width - edge, round(height * 0.82))
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

        draw.rectangle((x0, y, x1, y + thick - 1), fill=(56, 56, 64))
        draw.rectangle((x0, y, max(x0, at(scale)), y + thick - 1), fill=ACCENT)
        for landmark in (0.0, 1.0):  # unconditional; conditional without exaggeration
            if self.first < landmark < self.last:
                place = at(landmark)
                draw.rectangle((place, y - 2 * thick, place + 1, y + 3 * thick - 1), fill=DIM)
        middle, radius = y + (thick - 1) / 2, thick * 1.8
        here = max(x0, min(x1, at(scale)))
        draw.ellipse((here - radius, middle - radius, here + radius, middle + radius), fill=ACCENT)


def film_frame(frame: Frame, size: int, strip: Strip | None) -> np.ndarray:
    """One frame of the film: the picture near `size` pixels wide, and the strip below it."""
    picture = enlarge(_read(frame), size)
    if strip is None:
        return np.asarray(picture)
    below = strip.draw(frame, picture.width)
    canvas = Image.new("RGB", (picture.width, picture.height + below.height))
    canvas.paste(picture, (0, 0))
    canvas.paste(below, (0, picture.height))
    return np.asarray(canvas)


def _shortened(draw: ImageDraw.ImageDraw, text: str, room: float, chosen) -> str:
    """The text with as many letters as fit into `room` pixels; none where hardly one would."""
    text = " ".join(text.split())
    if draw.textlength(text, font=chosen) <= room:
        return text
    while text and draw.textlength(text + "...", font=chosen) > room:
        text = text[:-1]
    return text.rstrip() + "..." if len(text) > 3 else ""


def _read(frame: Frame) -> Image.Image:
    with Image.open(frame.path) as image:
        return image.convert("RGB")


def choose(frames: Sequence[Frame], count: int) -> list[Frame]:
    """About `count` frames, evenly spaced, always with both ends and the scales 0 and 1."""
    if len(frames) <= count:
        return list(frames)
    even = {round(i * (len(frames) - 1) / (count - 1)) for i in range(count)}
    fixed = {0, len(frames) - 1, *(f.index for f in frames if f.scale in (0, 1))}
    for index in fixed - even:
        free = even - fixed
        if free:
            even.discard(min(free, key=lambda other: abs(other - index)))
        even.add(index)
    return [frames[index] for index in sorted(even)]


def save_contact_sheet(frames: Sequence[Frame], config: Config, path: Path) -> None:
    """A labelled selection of the sweep, with the prompt above it."""
    chosen = choose(frames, config.sheet.pictures)
    pictures = []
    for frame in chosen:
        picture = enlarge(_read(frame), 192)
        picture.thumbnail((256, 256), Image.Resampling.LANCZOS)
        pictures.append(picture)
    labels = [f"s = {plain(frame.scale)}" for frame in chosen]
    cells = grid(pictures, config.sheet.columns, labels)
    title, below = font(18), font(13)
    sheet = Image.new("RGB", (cells.width, cells.height + 56), "white")
    sheet.paste(cells, (0, 56))
    draw = ImageDraw.Draw(sheet)
    prompt = _shortened(draw, config.prompt, sheet.width - 16, title)
    draw.text((8, 8), prompt, fill="black", font=title)
    away = f", away from “{config.negative_prompt}”" if config.negative_prompt else ""
    about = f"seed {config.seed}, {config.steps} steps of {config.scheduler}, {config.model}{away}"
    draw.text((8, 33), _shortened(draw, about, sheet.width - 16, below), fill=DIM, font=below)
    save_png(sheet, path)


def measure(frames: Sequence[Frame]) -> list[dict[str, float | int | None]]:
    """A line for each frame, reading one after another.

    distance: root mean square difference to the frame before, of 8-bit channels, as a share of 255
    (null for the first). saturation: mean of max - min over the channels, 0..1. contrast: standard
    deviation of the luminance (ITU-R BT.601), 0..1.
    """
    lines: list[dict[str, float | int | None]] = []
    before: np.ndarray | None = None
    for frame in frames:
        pixels = np.asarray(_read(frame), np.float64) / 255
        distance = None if before is None else float(np.sqrt(((pixels - before) ** 2).mean()))
        luminance = pixels @ np.array([0.299, 0.587, 0.114])
        lines.append(
            {
                "index": frame.index,
                "guidance_scale": float(frame.scale),
                "distance": distance,
                "saturation": float((pixels.max(axis=2) - pixels.min(axis=2)).mean()),
                "contrast": float(luminance.std()),
            }
        )
        before = pixels
    return lines


def save_curve(
    measured: Sequence[dict[str, float | int | None]], config: Config, path: Path
) -> None:
    """Over the guidance scale: the distance between neighbours, saturation and contrast."""

    def column(name: str) -> np.ndarray:
        return np.array([np.nan if line[name] is None else line[name] for line in measured])

    scale = column("guidance_scale")
    marker = "." if len(scale) <= 120 else ""
    figure = Figure(figsize=(9, 5.5), dpi=110, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    upper.plot(scale, column("distance"), color="#b3541e", marker=marker, linewidth=1.2)
    upper.set_ylabel("distance to the scale before\n(RMS, share of the full range)")
    upper.set_title(config.prompt, loc="left", fontsize=11, wrap=True)
    for name, color in (("saturation", "#7a2e8e"), ("contrast", "#2b6a4d")):
        lower.plot(scale, column(name), color=color, marker=marker, linewidth=1.2, label=name)
    lower.legend(frameon=False)
    lower.set_xlabel("guidance scale s (0: unconditional, 1: conditional, above: exaggerated)")
    for axes in (upper, lower):
        axes.set_ylim(0, axes.get_ylim()[1])
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        for landmark in (0, 1):
            if np.min(scale) <= landmark <= np.max(scale):
                axes.axvline(landmark, color="#888888", linewidth=0.8, linestyle=":")
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png"))
