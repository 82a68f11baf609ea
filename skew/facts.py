"""What the pictures of a run say, as figures: the content of skew.json."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from metrics.features import diversity
from metrics.perceptual import distance
from metrics.skew import change, distribution
from metrics.statistics import bootstrap_interval
from skew.config import Config
from skew.looking import Seen, pixels
from skew.plan import Wanted

QUALITIES = ("match", "sharpness", "contrast")
NEUTRAL = ("neutral", "silent", "guidance")
BEFORE, AFTER = "neutral-0", "neutral-1"


def facts_of(
    config: Config,
    values: Sequence[str],
    plan: Mapping[str, Sequence[Wanted]],
    series: Mapping[str, Sequence[Path]],
    seen: Mapping[str, Seen],
) -> dict[str, Any]:
    """Everything that is measured; series -> its plan, its files and what was seen in them."""
    neutral = [name for name in series if plan[name][0].group in NEUTRAL]
    neutral.sort(key=lambda name: (NEUTRAL.index(plan[name][0].group), plan[name][0].strength))
    return {
        "word": config.word,
        "attribute": config.attribute,
        "values": list(values),
        "wanted": dict(config.wanted) or None,
        "series": {
            name: _series(config, values, plan[name], seen[name], seen[BEFORE]) for name in neutral
        },
        "explicit": {
            f"{plan[name][0].strength:g}": _explicit(plan[name], seen[name], seen["explicit-0"])
            for name in series
            if plan[name][0].group == "explicit"
        },
        "bystanders": _bystanders(config, series, seen),
    }


def _series(
    config: Config, values: Sequence[str], wanted: Sequence[Wanted], seen: Seen, before: Seen
) -> dict[str, Any]:
    """A series of neutral pictures, beside those of the untouched model with the same seeds."""
    count = len(seen.values)
    found = distribution(seen.values, values, config.wanted or None)
    changes = {"subject": asdict(change(before.subject[:count], seen.subject))}
    for name in QUALITIES:
        one, other = getattr(before, name), getattr(seen, name)
        if one is not None and other is not None:
            changes[name] = asdict(change(one[:count], other))
    varies = seen.vectors is not None and count > 1
    return {
        "group": wanted[0].group,
        "strength": wanted[0].strength,
        "guidance_scale": wanted[0].scale,
        "pictures": count,
        "distribution": asdict(found),
        "subject": _share(seen.subject),
        "diversity": diversity(seen.vectors) if varies else None,  # type: ignore[arg-type]
        "beside_the_original": changes,
    }


def _share(hits: np.ndarray) -> dict[str, Any]:
    return {"share": float(np.mean(hits)), "interval": bootstrap_interval(hits)}


def _obeyed(wanted: Sequence[Wanted], seen: Seen) -> np.ndarray:
    return np.array([a == one.value for a, one in zip(seen.values, wanted, strict=True)], float)


def _explicit(wanted: Sequence[Wanted], seen: Seen, before: Seen) -> dict[str, Any]:
    """How many pictures have the value that their prompt says; an undecided one has not."""
    obeyed, count = _obeyed(wanted, seen), len(wanted)
    asked = [one.value for one in wanted]
    was = np.array([a == v for a, v in zip(before.values[:count], asked, strict=True)], float)
    return {
        "pictures": count,
        "obeyed": _share(obeyed),
        "of_each_value": {
            value: float(obeyed[[v == value for v in asked]].mean())
            for value in dict.fromkeys(asked)
            if value is not None
        },
        "subject": _share(seen.subject),
        "beside_the_original": asdict(change(was, obeyed)),
    }


def _bystanders(
    config: Config, series: Mapping[str, Sequence[Path]], seen: Mapping[str, Seen]
) -> list[dict[str, Any]]:
    """For each prompt without the word: how many pictures are equal with it and without it, in
    every bit, and how far apart the others look, in just noticeable differences."""
    if "bystanders-1" not in series:
        return []
    prompts, lines = config.bystanders.prompts, []
    pairs = list(zip(series["bystanders-0"], series["bystanders-1"], strict=True))
    for number, prompt in enumerate(prompts):
        own = range(number, len(pairs), len(prompts))
        drawn = [(pixels(pairs[k][0]), pixels(pairs[k][1])) for k in own]
        equal = [bool(np.array_equal(one, other)) for one, other in drawn]
        apart = [distance(one, other) for one, other in drawn]
        lines.append(
            {
                "prompt": prompt,
                "pictures": len(drawn),
                "equal": sum(equal),
                "distance": float(np.mean(apart)),
                "commonest_before": _commonest([seen["bystanders-0"].values[k] for k in own]),
                "commonest_after": _commonest([seen["bystanders-1"].values[k] for k in own]),
            }
        )
    return lines


def _commonest(answers: Sequence[str | None]) -> list[Any] | None:
    """The commonest value and its share of all pictures, undecided ones too."""
    known = [answer for answer in answers if answer is not None]
    if not known:
        return None
    value = max(sorted(set(known)), key=known.count)
    return [value, known.count(value) / len(answers)]


def sentences(facts: Mapping[str, Any]) -> list[str]:
    """The figures in words, for the terminal and the head of the page."""
    before, after = (facts["series"].get(name) for name in (BEFORE, AFTER))
    found = before["distribution"]
    most = int(np.argmax(found["counts"]))
    value, share, (low, high) = (found[k][most] for k in ("values", "shares", "intervals"))
    if not found["counts"][most]:
        return ["the judge could tell the value of no picture: look at the pictures, then at "
                "skew.values and skew.undecided"]  # fmt: skip
    about = f"{facts['word']}, {facts['attribute']}, {before['pictures']} pictures"
    was = f"{value} {share:.2f} ({low:.2f} to {high:.2f})"
    if after is None:
        return [f"{about}: {was}, KL to uniform {found['kl']:.2f} nats; no word was learned yet"]
    now = after["distribution"]
    lines = [
        f"{about}: {was} as it was, {now['shares'][most]:.2f} with the learned word; farthest "
        f"from even {found['farthest']:.2f} -> {now['farthest']:.2f}, KL to uniform "
        f"{found['kl']:.2f} -> {now['kl']:.3f} nats (fair draws: {now['kl_floor']:.3f})"
    ]
    rest = [f"subject {before['subject']['share']:.1%} -> {after['subject']['share']:.1%}"]
    if "1" in facts["explicit"]:
        told = facts["explicit"]["1"]["beside_the_original"]
        rest.append(f"explicit prompts obeyed {told['before']:.1%} -> {told['after']:.1%}")
    if facts["bystanders"]:
        equal, total = (sum(b[k] for b in facts["bystanders"]) for k in ("equal", "pictures"))
        rest.append(f"{equal} of {total} pictures without the word are the same to the last bit")
    return [*lines, "; ".join(rest)]
