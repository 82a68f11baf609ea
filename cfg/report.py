"""The report of a sweep: one page with a scrubber, curves, film strip, heat maps and tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cfg.analysis import (
    APPEARANCE,
    Group,
    Measured,
    common_scales,
    diversity_over_seeds,
    mean_over_seeds,
    settled_over_seeds,
    speeds,
)
from cfg.cells import Frame, Sweep, plain
from cfg.comparison import compare, rivals
from cfg.config import Config
from cfg.film import chosen_lines, labels
from cfg.frames import read_frame
from cfg.overview import COLOURS, about
from cfg.telemetry import read_telemetry
from lab.page import picture, settings_rows, write_page

TEMPLATE = Path(__file__).parent / "report.html"
POINTS = 240
"""Of a curve on the page."""
LINES = 24
"""On the page; the films have more."""
SHADED = {
    "difference": "|eps_cond − eps_uncond|, root mean square",
    "parallel": "its part along eps_cond",
    "orthogonal": "its part across eps_cond",
    "cosine": "cosine of eps_cond and eps_uncond",
    "range": "range of the predicted x₀",
}
"""The heat maps: telemetry of each step at each scale."""


def write_report(
    path: Path, config: Config, sweep: Sweep, groups: Sequence[Group], judges: dict[str, str]
) -> None:
    """Write the page; its size is bounded by `config.page`, however many frames there are."""
    measured = [one for group in groups for one in group.lines]
    most = max(1, min(LINES, config.page.pictures // 8))
    shown = chosen_lines(measured, most)
    names = labels([one.line for one in shown])
    per_line = max(2, config.page.pictures // len(shown))
    owner = {id(one): group for group in groups for one in group.lines}
    data = [
        _line_data(one, owner[id(one)], name or one.line.prompt, per_line, config.page.side)
        for one, name in zip(shown, names, strict=True)
    ]
    write_page(
        path,
        TEMPLATE,
        prompts=config.prompts,
        about=about(config),
        lines=data,
        facts=_facts(sweep, groups),
        heat=_heat(groups),
        groups=[_group_data(group) for group in groups],
        tradeoff=tradeoff_figure(groups),
        comparisons=[_comparison(some) for some in rivals(groups)],
        judges=judges,
        sweep=sweep,
        settings=settings_rows(config.model_dump(mode="json", by_alias=True)),
        limits=(float(min(sweep.scales)), float(max(sweep.scales))),
    )


def spread_out(one: Measured, count: int) -> list[Frame]:
    """About `count` frames of a line: more where the pictures change more, none forgotten where
    they do not, always both ends and the scales 0 and 1."""
    if len(one.frames) <= count:
        return list(one.frames)
    travelled = np.concatenate([[0.0], np.cumsum(one.perceptual)])
    along = (one.scales - one.scales[0]) / (one.scales[-1] - one.scales[0])
    place = (along + travelled / (travelled[-1] or 1.0)) / (1 + float(travelled[-1] > 0))
    targets = np.linspace(0, place[-1], max(2, count - 2))
    chosen = {int(np.abs(place - target).argmin()) for target in targets}
    chosen |= {0, len(one.frames) - 1}
    chosen |= {k for k, frame in enumerate(one.frames) if frame.scale in (0, 1)}
    return [one.frames[k] for k in sorted(chosen)]


def _line_data(one: Measured, group: Group, name: str, count: int, side: int) -> dict[str, Any]:
    frames = spread_out(one, count)
    return {
        "name": name,
        "prompt": one.line.prompt,
        "group": labels([group.line])[0] or str(group.line.rule),
        "seed": one.line.seed,
        "pictures": [
            {"scale": float(frame.scale), "said": plain(frame.scale), "src": _small(frame, side)}
            for frame in frames
        ],
        "curves": _curves(one, group),
        "own": [[t.at, t.low, t.high] for t in group.own[group.lines.index(one)]],
        "shared": [
            [s.transition.at, *s.interval] for s in group.shared if s.support >= 0.95
        ],
    }  # fmt: skip


def _small(frame: Frame, side: int) -> str:
    return picture(read_frame(frame), format="WEBP", quality=86, longest=side)


def _curves(one: Measured, group: Group) -> dict[str, list[list[float]]]:
    """Points [scale, value] of every quantity, at most POINTS of each."""
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    if len(one.scales) > 1:
        middles, speed = speeds([one], group.step)
        curves["speed"] = middles, np.exp(speed[0]) / group.step
    for name in ("match", "recognised"):
        if (values := getattr(one, name)) is not None:
            curves[name] = one.scales, values
    curves |= {name: (one.scales, one.appearance[name]) for name in APPEARANCE}
    return {
        name: [[round(float(x), 4), float(f"{y:.4g}")] for x, y in _thinned(*curve)]
        for name, curve in curves.items()
    }


def _thinned(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """At most POINTS points; each stands for its neighbourhood by the value furthest from the mean,
    so that no peak is lost."""
    if len(x) <= POINTS:
        return list(zip(x.tolist(), y.tolist(), strict=True))
    points = []
    for part in np.array_split(np.arange(len(x)), POINTS):
        k = part[np.abs(y[part] - y[part].mean()).argmax()]
        points.append((float(x[k]), float(y[k])))
    return points


def _facts(sweep: Sweep, groups: Sequence[Group]) -> list[tuple[str, str]]:
    """The four figures at the top: what one would ask first."""
    whole = len(sweep.scales) * len(sweep.lines)
    drawn = f"{len(sweep.frames):,}"
    facts = [(drawn if len(sweep.frames) == whole else f"{drawn} of {whole:,}", "pictures drawn")]
    first = groups[0]
    name = labels([group.line for group in groups])[0]
    of = f": {name}" if name else ""
    several = len(first.lines) > 2
    if several:
        sure = [s for s in first.shared if s.support >= 0.95]
        places = ", ".join(f"{s.transition.at:.2f}" for s in sure) or "none"
        facts.append((places, f"transitions that {len(first.lines)} seeds share{of}"))
        settled = settled_over_seeds(first)
        known = sum(scale is not None for scale in first.settled)
        if settled:
            facts.append((f"{settled[0]:.1f}", f"the scale from which nothing changes{of}"))
        else:
            facts.append((f"{known} of {len(first.lines)}", f"seeds whose pictures settle{of}"))
    else:
        own = ", ".join(f"{t.at:.2f}" for t in first.own[0][:5]) or "none"
        facts.append((own, f"transitions of seed {first.line.seed} alone{of}"))
        at = first.settled[0]
        facts.append(("never" if at is None else f"{at:g}", "the scale from which nothing changes"))
    facts.append((str(len(sweep.jumps)) if sweep.threshold else "–", "jumps of an adaptive sweep"))
    return facts


def _heat(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Heat maps of the first seed of up to six groups: a picture of steps x scales each."""
    names = labels([group.line for group in groups])
    heat = []
    for group, name in list(zip(groups, names, strict=True))[:6]:
        try:
            told = read_telemetry([frame.path for frame in group.lines[0].frames])
        except ValueError:  # frames that were put there by another program
            continue
        values = {n: getattr(told, n) for n in SHADED if n != "range"}
        values["range"] = told.x_0_high - told.x_0_low
        seed = group.line.seed
        heat.append(
            {
                "name": name or f"seed {seed}",
                "timesteps": [float(told.timesteps[0]), float(told.timesteps[-1])],
                "maps": [
                    {"name": n, "what": SHADED[n], **_shaded(values[n], group.lines[0].scales)}
                    for n in SHADED
                    if np.isfinite(values[n]).any()
                ],
            }
        )
    return heat


def _shaded(values: np.ndarray, scales: np.ndarray) -> dict[str, Any]:
    """Values [scales, steps] as a picture, the scale evenly from left to right, steps downwards."""
    places = np.linspace(scales[0], scales[-1], min(POINTS, max(2, len(scales))))
    nearest = np.searchsorted(scales, places - 1e-9, side="left").clip(0, len(scales) - 1)
    chosen = values[nearest].T
    low, high = np.nanquantile(chosen, [0.01, 0.99])
    shares = (chosen - low) / ((high - low) or 1.0)
    colours = matplotlib.colormaps["magma"](np.clip(shares, 0, 1), bytes=True)[..., :3].copy()
    colours[~np.isfinite(chosen)] = 128
    return {"src": picture(colours, format="PNG"), "low": float(low), "high": float(high)}


def _group_data(group: Group) -> dict[str, Any]:
    return {
        "group": group,
        "settled": settled_over_seeds(group),
        "varies": len(group.lines) > 2,
        "calm": sum(not own for own in group.own),
    }


def tradeoff_figure(groups: Sequence[Group]) -> Figure | None:
    """Prompt match against diversity over the seeds, along the scale; None without three seeds and
    somebody who measures both."""
    drawn = [
        (group, match, varies)
        for group in groups
        if (match := mean_over_seeds(group, "match")) is not None
        and (varies := diversity_over_seeds(group)) is not None
    ]
    if not drawn:
        return None
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    said = labels([group.line for group, _, _ in drawn])
    for k, (group, match, varies) in enumerate(drawn):
        colour, scales = COLOURS[k % len(COLOURS)], common_scales(group.lines)
        axes.plot(match[:, 0], varies[:, 0], color=colour, linewidth=1.4, label=said[k])
        for scale in (0, 1, 2, 4, 7.5, 10, 15, 20, 30):
            at = int(np.abs(scales - scale).argmin())
            if abs(scales[at] - scale) > 0.26:
                continue
            axes.plot(match[at, 0], varies[at, 0], "o", color=colour, markersize=4)
            axes.errorbar(
                match[at, 0], varies[at, 0],
                xerr=np.abs(match[at, 1:] - match[at, 0])[:, None],
                yerr=np.abs(varies[at, 1:] - varies[at, 0])[:, None],
                color=colour, alpha=0.35, linewidth=0.8,
            )  # fmt: skip
            if k == 0:
                axes.annotate(f"{scale:g}", (match[at, 0], varies[at, 0]), xytext=(5, 5),
                              textcoords="offset points", fontsize=8)  # fmt: skip
    axes.set_xlabel("prompt match (CLIP cosine, mean over the seeds)")
    axes.set_ylabel("diversity (mean cosine distance\nof the seeds' features)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(drawn) > 1:
        axes.legend(frameon=False, fontsize=8)
    return figure


def _comparison(groups: Sequence[Group]) -> dict[str, Any]:
    return {"prompt": groups[0].line.prompt, "levels": compare(groups)}
