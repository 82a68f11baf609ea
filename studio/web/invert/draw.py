"""Curves as small inline SVG, and what else the tab Invert shows, as HTML without any script."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from lab.forecast import duration
from studio.web.invert.read import Curve, Learning, Look, Vector, Word

WIDTH, HEIGHT = 440, 236
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 34
MOST_POINTS = 500
SMOOTHING = 25
"""Steps in the running mean of the loss."""


@dataclass(frozen=True)
class Line:
    """A curve of a chart, what it is called and how it is drawn (a class of invert.css)."""

    curve: Curve
    name: str
    look: str = "first"
    dots: bool = False


@dataclass(frozen=True)
class Mark:
    """Something to be seen at a step, or at a height."""

    at: float
    name: str
    upright: bool = True


def chart(
    title: str,
    lines: Sequence[Line],
    marks: Sequence[Mark] = (),
    *,
    zero: bool = False,
    until: int = 0,
) -> str:
    """A chart over the steps as <figure>: axes, curves, marks and a legend.

    `zero`: its heights begin with 0. `until`: the step up to which it reaches at least.
    """
    lines = [line for line in lines if line.curve]
    if not lines:
        return _figure(title, "", '<p class="pw-soft">Nothing is measured yet.</p>')
    level = [mark.at for mark in marks if not mark.upright]
    heights = [value for line in lines for _, value in line.curve] + level
    low, high = _range(heights, zero)
    last = max(1, until, *(step for line in lines for step, _ in line.curve))

    def place(step: float, value: float) -> tuple[float, float]:
        x = LEFT + step / last * (WIDTH - LEFT - RIGHT)
        return x, TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [_axes(place, low, high, last)]
    parts += [_mark(place, mark, low, high, last) for mark in marks]
    parts += [_line(place, line) for line in lines]
    told = "; ".join(f"{line.name} {number(line.curve[-1][1])}" for line in lines[:4])
    spoken = escape(f"{title}, at step {lines[0].curve[-1][0]}: {told}")
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{spoken}">'
        f"{''.join(parts)}</svg>"
    )
    return _figure(title, _legend(lines, marks), svg)


def _figure(title: str, legend: str, body: str) -> str:
    return f'<figure class="pw-chart"><h4>{escape(title)}</h4>{body}{legend}</figure>'


def _range(values: Sequence[float], zero: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    low = min(0.0, low) if zero else low
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return (low if zero else low - room), high + room


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them."""
    rough = (high - low) / count
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A number with as many digits as a person reads."""
    if value == 0:
        return "0"
    return f"{value:.4g}" if 1e-4 <= abs(value) < 1e5 else f"{value:.1e}"


def _axes(place, low: float, high: float, last: float) -> str:
    parts = []
    for value in ticks(low, high):
        _, y = place(0, value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text class="up" x="{LEFT - 7}" y="{y + 4:.1f}">{number(value)}</text>')
    for step in ticks(0, last):
        if step == round(step):
            x, _ = place(step, low)
            parts.append(f'<text class="along" x="{x:.1f}" y="{HEIGHT - 15}">{step:.0f}</text>')
    parts.append(f'<text class="along what" x="{WIDTH - RIGHT}" y="{HEIGHT - 1}">step</text>')
    return "".join(parts)


def _line(place, line: Line) -> str:
    points = [place(step, value) for step, value in thinned(line.curve)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    drawn = f'<polyline class="{line.look}" points="{path}"/>'
    if line.dots and len(points) <= 80:
        for (x, y), (step, value) in zip(points, thinned(line.curve), strict=True):
            said = escape(f"{line.name}, step {step}: {number(value)}")
            drawn += f'<circle class="{line.look}" cx="{x:.1f}" cy="{y:.1f}" r="3">'
            drawn += f"<title>{said}</title></circle>"
    return drawn


def _mark(place, mark: Mark, low: float, high: float, last: float) -> str:
    start, end = (
        ((mark.at, low), (mark.at, high)) if mark.upright else ((0, mark.at), (last, mark.at))
    )
    (x1, y1), (x2, y2) = place(*start), place(*end)
    look = "kept" if mark.upright else "level"
    return f'<line class="{look}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _legend(lines: Sequence[Line], marks: Sequence[Mark]) -> str:
    named = [(line.look, line.name) for line in lines if line.name]
    named += [("kept" if mark.upright else "level", mark.name) for mark in marks]
    keys = "".join(
        f'<span><i class="{look}"></i>{escape(name)}</span>' for look, name in dict.fromkeys(named)
    )
    return f'<figcaption class="pw-legend">{keys}</figcaption>' if len(named) > 1 else ""


def thinned(curve: Curve) -> Curve:
    """At most MOST_POINTS points of a curve, its ends among them."""
    if len(curve) <= MOST_POINTS:
        return curve
    step = math.ceil(len(curve) / MOST_POINTS)
    return (*curve[:-1:step], curve[-1])


def smoothed(curve: Curve) -> Curve:
    """The mean of the last SMOOTHING values at every step that has so many before it."""
    total, found = sum(value for _, value in curve[:SMOOTHING]), []
    for k in range(SMOOTHING, len(curve) + 1):
        found.append((curve[k - 1][0], total / SMOOTHING))
        if k < len(curve):
            total += curve[k][1] - curve[k - SMOOTHING][1]
    return tuple(found)


def main_charts(word: Word) -> str:
    """The objective and the lengths of the vectors, side by side where there is room."""
    said = "kept" if word.finished else "best so far"
    kept = [Mark(word.best_step, f"{said}, step {word.best_step}")] if word.best_step else []
    objective = [
        Line(word.objective, "trained on", "first", dots=True),
        Line(word.held_out, "held out", "second", dots=True),
    ]
    lengths = [Line(curve, "each", "thin") for curve in word.lengths]
    lengths.append(Line(word.norm, "mean", "first"))
    usual = (
        [Mark(word.vocabulary_norm, "the model's own words", False)] if word.vocabulary_norm else []
    )
    return _pair(
        chart("Objective: what the word still gets wrong", objective, kept, until=word.step),
        chart("Length of the vectors", lengths, usual, zero=True),
    )


def side_charts(word: Word) -> str:
    """The loss and the rate of the single steps."""
    loss = [
        Line(word.loss, "each step", "faint"),
        Line(smoothed(word.loss), f"mean of {SMOOTHING}"),
    ]
    return _pair(
        chart("Loss of the steps: other noise every time", loss),
        chart("Learning rate", [Line(word.rate, "rate", "second")], zero=True),
    )


def _pair(*charts: str) -> str:
    return f'<div class="pw-charts">{"".join(charts)}</div>'


def address(path: Path, version: int) -> str:
    """Where the page finds a file of outputs/."""
    return f"/gradio_api/file={quote(str(path.absolute()))}?v={version}"


def strip(looks: Sequence[Look], prompts: Sequence[str], token: str) -> str:
    """The previews over time: a row for each prompt, a column for each look."""
    if not looks or not prompts:
        return '<p class="pw-soft">The first previews are drawn before the first step.</p>'
    rows = []
    for k, prompt in enumerate(prompts):
        said = escape(prompt.replace("[name]", token))
        cells = "".join(_cell(look, k, len(prompts), said) for look in looks)
        rows.append(f'<div class="pw-prompt">{said}</div><div class="pw-row">{cells}</div>')
    about = 'tabindex="0" role="region" aria-label="previews over time" '
    about += f'style="--looks:{len(looks)}"'
    return f'<div class="pw-strip" {about}>{"".join(rows)}</div>'


def _cell(look: Look, index: int, count: int, said: str) -> str:
    kept = " pw-kept" if look.path.name == "best.png" else ""
    style = f"width:{100 * count}%;margin-left:{-100 * index}%"
    source = escape(address(look.path, look.version))
    image = f'<img src="{source}" alt="{said}, {look.label}" style="{style}" loading="lazy">'
    caption = f"<figcaption>{look.label}</figcaption>"
    return f'<figure class="pw-look{kept}"><div>{image}</div>{caption}</figure>'


def nearest(vectors: Sequence[Vector], vocabulary_norm: float | None) -> str:
    """A line for each vector: its length, and the words that it is near to."""
    if not vectors:
        return '<p class="pw-soft">Seen as soon as the objective is measured.</p>'
    rows = []
    for k, vector in enumerate(vectors, 1):
        words = "".join(
            f'<span class="pw-near" style="--near:{max(0.0, cosine):.2f}">{escape(word)} '
            f"<small>{cosine:.2f}</small></span>"
            for word, cosine in vector.nearest
        )
        rows.append(
            f'<tr><th scope="row">{k}</th><td>{number(vector.norm)}</td><td>{words}</td></tr>'
        )
    usual = f" The model's own words are {number(vocabulary_norm)} long." if vocabulary_norm else ""
    return (
        '<table class="pw-nearest"><tr><th>vector</th><th>length</th><th>near to (cosine; 1 is the '
        f'same)</th></tr>{"".join(rows)}</table><p class="pw-soft">{usual}</p>'
    )


def facts(learning: Learning, word: Word, rate: float | None, timed: bool = False) -> str:
    """The few figures that say how far it is; `timed`: with the time that is left."""
    cells = [(f"{word.step} of {word.planned}", "steps")]
    if len(word.objective) > 1:
        first = word.objective[0][1]
        now = dict(word.objective).get(word.best_step or 0, word.objective[-1][1])
        cells.append((f"{number(round(first, 4))} → {number(round(now, 4))}", "objective"))
    if word.best_step:
        cells.append((f"step {word.best_step}", "kept" if word.finished else "best so far"))
    if rate and learning.status == "running" and not word.finished:
        cells.append((f"{rate:.2f}" if rate < 10 else f"{rate:.0f}", "steps a second"))
        if timed:
            cells.append((duration((word.planned - word.step) / rate), "left, at most"))
    shown = "".join(f"<div><b>{escape(a)}</b>{escape(b)}</div>" for a, b in cells)
    return f'<div class="pw-facts">{shown}</div><p class="pw-verdict">{escape(word.verdict)}</p>'
