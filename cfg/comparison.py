"""Rules of guidance compared where they follow the prompt equally well.

A rule that merely guides less is no better: at the same scale it would look less saturated and
match less. So each rule is read off at the scale at which it reaches a given prompt match.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cfg.analysis import APPEARANCE, Group, common_scales, diversity_over_seeds, mean_over_seeds
from cfg.config import Rule

LEVELS = 4


@dataclass(frozen=True)
class AtMatch:
    """One rule where its mean prompt match first reaches a level."""

    rule: Rule
    match: float
    scale: float
    appearance: dict[str, float]
    diversity: float | None
    seeds: int


def rivals(groups: Sequence[Group]) -> list[tuple[Group, ...]]:
    """The groups that differ in nothing but their rule, two or more together."""
    together: dict[object, list[Group]] = {}
    for group in groups:
        key = replace(group.line, seed=0, rule=Rule())
        together.setdefault(key, []).append(group)
    return [tuple(some) for some in together.values() if len(some) > 1]


def first_reaching(scales: np.ndarray, curve: np.ndarray, level: float) -> float | None:
    """The smallest scale at which a curve, linear between its points, is at `level` or above."""
    at = np.flatnonzero(curve >= level)
    if not len(at):
        return None
    k = int(at[0])
    if k == 0:
        return float(scales[0])
    share = (level - curve[k - 1]) / (curve[k] - curve[k - 1])
    return float(scales[k - 1] + share * (scales[k] - scales[k - 1]))


def levels_of(matches: Sequence[np.ndarray], count: int = LEVELS) -> np.ndarray:
    """Levels of prompt match that every rule reaches: evenly from where the last of them begins to
    the lowest of their maxima. Empty where there is no such range."""
    low, high = max(m[0] for m in matches), min(m.max() for m in matches)
    return low + (high - low) * (np.arange(count) + 1) / count if high > low else np.zeros(0)


def compare(groups: Sequence[Group]) -> list[list[AtMatch]]:
    """For each level of prompt match, every rule at the scale where it reaches it.

    Empty where nobody measured the match.
    """
    matches = [mean_over_seeds(group, "match") for group in groups]
    known = [match[:, 0] for match in matches if match is not None]
    if len(known) < len(groups):
        return []
    return [
        [_at(group, curve, float(level)) for group, curve in zip(groups, known, strict=True)]
        for level in levels_of(known)
    ]


def _at(group: Group, match: np.ndarray, level: float) -> AtMatch:
    scales = common_scales(group.lines)
    scale = first_reaching(scales, match, level)
    assert scale is not None  # levels_of chose what every rule reaches
    varies = diversity_over_seeds(group)
    looks = {name: mean_over_seeds(group, name) for name in APPEARANCE}
    return AtMatch(
        group.line.rule,
        level,
        scale,
        {
            name: float(np.interp(scale, scales, curve[:, 0]))
            for name, curve in looks.items()
            if curve is not None
        },
        None if varies is None else float(np.interp(scale, scales, varies[:, 0])),
        len(group.lines),
    )
