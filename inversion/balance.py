"""Which pictures a word learns from, so that all values of an attribute count the same.

A word is as skewed as what it was learned from. The pictures of a folder are drawn from, or
weighted, until every value has its share; and the prompts do not name the value, since what a
prompt names is learned as the meaning of that name.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from inversion.config import Balance
from inversion.data import Example
from lab.errors import UserError


def balanced(examples: Sequence[Example], balance: Balance, seed: int) -> list[Example]:
    """The pictures to learn from, one value after the other in turn, and without the values in
    their captions; each with what it counts in the loss (1 in the mean).

    Raises:
        UserError: a picture without a value, or with one that is not listed, or a value without a
            picture.
    """
    by_value: dict[str, list[Example]] = {value: [] for value in balance.values}
    for example in examples:
        value, caption = READ[balance.from_](example, balance)
        by_value[value].append(replace(example, caption=caption, value=value))
    for value, found in by_value.items():
        if not found:
            raise UserError(
                f"none of the {len(examples)} pictures of {examples[0].path.parent} has the "
                f"{balance.attribute} {value}, so the word cannot learn it: add pictures of it, "
                "or take it from inversion.balance.values"
            )
    return in_turn(PLANS[balance.how](by_value, balance, seed), even=balance.how == "together")


def together(
    by_value: dict[str, list[Example]], balance: Balance, seed: int
) -> dict[str, list[Example]]:
    """All pictures: as every step has equally many of each value, a picture counts its share."""
    factor = {value: balance.share(value) * len(by_value) for value in by_value}
    return {
        value: [replace(one, counts=factor[value]) for one in found]
        for value, found in by_value.items()
    }


def subset(
    by_value: dict[str, list[Example]], balance: Balance, seed: int
) -> dict[str, list[Example]]:
    """As many of each value as its share of the largest set that all of them allow."""
    largest = min(len(found) / balance.share(value) for value, found in by_value.items())
    chosen = {}
    for place, (value, found) in enumerate(by_value.items()):
        rng = np.random.default_rng([seed & 0xFFFFFFFF, 0xBA1A, place])
        count = max(1, round(largest * balance.share(value)))
        order = rng.permutation(len(found))[:count]
        chosen[value] = [found[k] for k in sorted(order.tolist())]
    return chosen


def weighted(
    by_value: dict[str, list[Example]], balance: Balance, seed: int
) -> dict[str, list[Example]]:
    """All pictures; those of a value together count its share, however many they are."""
    total = sum(map(len, by_value.values()))
    return {
        value: [replace(one, counts=balance.share(value) * total / len(found)) for one in found]
        for value, found in by_value.items()
    }


PLANS: dict[str, Callable[[dict[str, list[Example]], Balance, int], dict[str, list[Example]]]] = {
    "together": together,
    "subset": subset,
    "weights": weighted,
}


def sentence(examples: Sequence[Example], balance: Balance) -> str:
    """What is learned from, in words."""
    counts = {v: sum(one.value == v for one in examples) for v in balance.values}
    weights = {v: next(one.counts for one in examples if one.value == v) for v in balance.values}
    weighed = any(weight != 1 for weight in weights.values())
    parts = [f"{n} {v}" + (f" x {weights[v]:.2f}" if weighed else "") for v, n in counts.items()]
    return f"learned from {len(examples)} pictures, by {balance.attribute}: {', '.join(parts)}"


def in_turn(by_value: dict[str, list[Example]], even: bool = False) -> list[Example]:
    """Spread over the whole, so that the first pictures are as the whole is (or `even`, as many of
    each value): the objective looks at the first ones again and again."""
    places = [
        (k if even else (k + 0.5) / len(found), place, one)
        for place, found in enumerate(by_value.values())
        for k, one in enumerate(found)
    ]
    return [one for _, _, one in sorted(places, key=lambda entry: entry[:2])]


def from_caption(example: Example, balance: Balance) -> tuple[str, str]:
    """The value that stands in a caption, and the caption without it."""
    found = [v for v in balance.values if re.search(_whole(v), example.caption, re.IGNORECASE)]
    if len(found) != 1:
        said = f"{' and '.join(found)}, and should name one" if found else "none of them"
        raise UserError(
            f"{example.path}: its caption {example.caption!r} should name its "
            f"{balance.attribute}, one of {', '.join(balance.values)}, but names {said}: mend the "
            "caption, or take the picture out"
        )
    return found[0], without(example.caption, found[0])


def from_metadata(example: Example, balance: Balance) -> tuple[str, str]:
    """The value in a list's column; the caption stays as it is."""
    value = example.columns.get(balance.attribute)
    if str(value) not in balance.values:
        said = "has none" if value is None else f"has {value}"
        raise UserError(
            f"{example.path} should have one of {', '.join(balance.values)} in the column "
            f"{balance.attribute!r} of its folder's metadata.jsonl, but {said}: write it there, "
            "or take the picture out of the list"
        )
    return str(value), example.caption


READ: dict[str, Callable[[Example, Balance], tuple[str, str]]] = {
    "captions": from_caption,
    "metadata": from_metadata,
}


def without(caption: str, value: str) -> str:
    """`an orange cat, orange sky` -> `a cat, sky`: the value is gone and the article fits."""

    def article(match: re.Match[str]) -> str:
        fitting = "an" if match["next"][0].lower() in "aeiou" else "a"
        return (fitting.capitalize() if match["article"][0].isupper() else fitting) + " "

    gone = re.compile(rf"\b(?P<article>an?)\s+{_whole(value)}\s+(?=(?P<next>\w))", re.IGNORECASE)
    caption = re.sub(_whole(value), "", gone.sub(article, caption), flags=re.IGNORECASE)
    return re.sub(r"\s+(?=,|$)", "", " ".join(caption.split())).strip(" ,")


def _whole(value: str) -> str:
    return rf"(?<!\w){re.escape(value)}(?!\w)"
