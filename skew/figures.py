"""The figures of the page: shares as bars, and what the strength does."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from skew.facts import AFTER, BEFORE

OLD, NEW, SILENT, GUIDANCE, RULE = "#8a8478", "#b4501e", "#2f6f8f", "#6a8f2f", "#23211d"


def bars(facts: Mapping[str, Any]) -> Figure:
    """The share of each value before and after, with 95% intervals, and the even share."""
    shown = [(BEFORE, "as the model is", OLD), (AFTER, "with the learned word", NEW)]
    shown = [one for one in shown if one[0] in facts["series"]]
    values = facts["values"]
    figure = Figure(figsize=(max(6.5, 0.9 * len(values) + 2), 3.2), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(shown)
    for number, (name, label, colour) in enumerate(shown):
        found = facts["series"][name]["distribution"]
        at = np.arange(len(values)) + (number - (len(shown) - 1) / 2) * width
        shares = np.array(found["shares"], float)
        reach = np.abs(np.array(found["intervals"], float).T - shares)
        axes.bar(at, shares, width * 0.94, label=label, color=colour)
        axes.errorbar(at, shares, reach, fmt="none", ecolor=RULE, elinewidth=1, capsize=2)
    axes.axhline(1 / len(values), color=RULE, linewidth=1, linestyle=":")
    axes.text(len(values) - 0.45, 1 / len(values), " even", va="bottom", ha="right", fontsize=8)
    if facts["wanted"]:
        total = sum(facts["wanted"].values())
        for k, value in enumerate(values):
            axes.hlines(facts["wanted"][value] / total, k - 0.45, k + 0.45, NEW, linestyle="--")
    axes.set_xticks(range(len(values)), values)
    axes.set_ylabel("share of the pictures")
    axes.set_ylim(0, 1)
    _clean(axes)
    axes.legend(frameon=False)
    return figure


def strength_curve(facts: Mapping[str, Any]) -> Figure | None:
    """Skew and side effects over the strength; None where there is only one strength."""
    line = sorted(
        (one for one in facts["series"].values() if one["group"] == "neutral"),
        key=lambda one: one["strength"],
    )
    if len(line) < 2:
        return None
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    x = [one["strength"] for one in line]
    found = [one["distribution"] for one in line]
    _curve(left, x, [d["kl"] for d in found], [d["kl_interval"] for d in found], NEW, "KL, nats")
    floor = [d["kl_floor"] for d in found]
    left.plot(x, floor, color=RULE, linewidth=1, linestyle=":", label="KL of fair draws")
    far = [d["farthest_interval"] for d in found]
    _curve(left, x, [d["farthest"] for d in found], far, SILENT, "farthest share from even")
    _curve(
        right, x, [one["subject"]["share"] for one in line],
        [one["subject"]["interval"] for one in line], OLD, "subject is there", 5,
    )  # fmt: skip
    told = sorted((float(s), one["obeyed"]) for s, one in facts["explicit"].items())
    if told:
        _curve(right, [s for s, _ in told], [o["share"] for _, o in told],
               [o["interval"] for _, o in told], NEW, "explicit value obeyed")  # fmt: skip
    left.set_title("skew", fontsize=10, loc="left")
    right.set_title("side effects", fontsize=10, loc="left")
    right.set_ylim(0, 1.06)
    right.set_ylabel("share of the pictures")
    left.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("strength: 0 as it was, 1 learned")
        axes.legend(frameon=False, fontsize=8)
        _clean(axes)
    return figure


def trade(facts: Mapping[str, Any]) -> Figure:
    """Every way of drawing as a point: how uneven it is, and how many pictures show the subject."""
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.subplots()
    colours = {"neutral": NEW, "silent": SILENT, "guidance": GUIDANCE}
    names = {"neutral": "strength", "silent": "words added silently", "guidance": "guidance alone"}
    for group, colour in colours.items():
        some = [one for one in facts["series"].values() if one["group"] == group]
        some.sort(key=lambda one: one["strength"])
        if not some:
            continue
        x = [one["distribution"]["farthest"] for one in some]
        y = [one["subject"]["share"] for one in some]
        style = "-" if group == "neutral" else ""
        axes.plot(x, y, f"o{style}", color=colour, label=names[group], alpha=0.9, linewidth=1)
        for k, (one, at) in enumerate(zip(some, zip(x, y, strict=True), strict=True)):
            said = {"neutral": f"{one['strength']:g}", "guidance": f"s={one['guidance_scale']:g}"}
            axes.annotate(said.get(group, ""), at, (4, 5 + 9 * (k % 3)),
                          textcoords="offset points", fontsize=8)  # fmt: skip
    axes.set_xlabel("farthest share from even (0 is even)")
    axes.set_ylabel("pictures that show the subject")
    axes.margins(x=0.06, y=0.25)
    axes.set_ylim(min(0.85, axes.get_ylim()[0]), max(1.04, axes.get_ylim()[1]))
    axes.legend(frameon=False, fontsize=8)
    _clean(axes)
    return figure


def _curve(
    axes: Any, x: Sequence[float], y: Sequence[float], interval: Sequence[Sequence[float]],
    colour: str, label: str, width: float = 1.5,
) -> None:  # fmt: skip
    low, high = np.array(interval, float).T
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, y, "o-", color=colour, label=label, markersize=width + 2.5, linewidth=width)


def _clean(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
