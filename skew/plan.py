"""Which pictures are drawn, of what, and under which keys."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lab.run import Run
from skew.config import Config, replaced, with_value

Group = Literal["neutral", "explicit", "bystanders", "silent", "guidance"]


@dataclass(frozen=True)
class Wanted:
    """One picture to draw."""

    group: Group
    strength: float
    """Of the learned word; 0 is the model as it is."""
    scale: float
    prompt: str
    seed: int
    value: str | None = None
    """What the prompt asks for; None in neutral prompts."""

    @property
    def series(self) -> str:
        """The pictures that it is measured with, and their folder."""
        if self.group == "guidance":
            return f"guidance-{self.scale:g}"
        if self.group == "silent":
            return "silent"
        return f"{self.group}-{self.strength:g}"

    @property
    def name(self) -> str:
        """Of its file, in the folder of its series."""
        words = re.sub(r"\W+", "-", self.prompt).strip("-")
        return f"{self.seed}-{words[:60].strip('-')}.png"


def strengths_of(config: Config, learned: bool) -> list[float]:
    """The strengths that are drawn, in order: 0, those between, and 1 and more."""
    return sorted({0.0, 1.0, *config.sweep.strengths}) if learned else [0.0]


def plan(config: Config, values: Sequence[str], strengths: Sequence[float]) -> list[Wanted]:
    """All pictures, strength by strength: at 0 and 1 all of them, between fewer; the alternatives
    are drawn with the model as it is."""
    pictures: list[Wanted] = []
    for strength in strengths:
        end = strength in (0, 1)
        count = config.seeds.count if end else min(config.seeds.count, config.sweep.count)
        pictures += _neutral(config, "neutral", strength, config.guidance_scale, count)
        each = config.explicit.count if end else min(config.explicit.count, config.sweep.explicit)
        pictures += _explicit(config, strength, values, each)
        if end:
            pictures += _bystanders(config, strength)
        if strength == 0:
            pictures += _alternatives(config, values)
    return pictures


def _neutral(
    config: Config, group: Group, strength: float, scale: float, count: int
) -> Iterator[Wanted]:
    for k in range(count):
        prompt = config.prompts[k % len(config.prompts)]
        yield Wanted(group, strength, scale, prompt, config.seeds.start + k)


def _explicit(
    config: Config, strength: float, values: Sequence[str], each: int
) -> Iterator[Wanted]:
    prompts = config.explicit.prompts
    asked = [(k, value) for k in range(each) for value in values] if prompts else []
    for number, (k, value) in enumerate(asked):
        prompt = with_value(prompts[k % len(prompts)], value)
        seed = config.seeds.start + number
        yield Wanted("explicit", strength, config.guidance_scale, prompt, seed, value)


def _bystanders(config: Config, strength: float) -> Iterator[Wanted]:
    both = itertools.product(range(config.bystanders.count), config.bystanders.prompts)
    for number, (_, prompt) in enumerate(both):
        seed = config.seeds.start + number
        yield Wanted("bystanders", strength, config.guidance_scale, prompt, seed)


def _alternatives(config: Config, values: Sequence[str]) -> Iterator[Wanted]:
    count = min(config.seeds.count, config.compare.count)
    if config.compare.silent:
        in_turn = balanced(values, count, config.wanted, config.seeds.start)
        for one, value in zip(
            _neutral(config, "silent", 0.0, config.guidance_scale, count), in_turn, strict=True
        ):
            said = with_value(config.compare.silent, value).replace("[word]", config.word)
            prompt = replaced(one.prompt, config.word, said)
            yield Wanted(one.group, 0.0, one.scale, prompt, one.seed, value)
    for scale in config.compare.guidance_scales:
        yield from _neutral(config, "guidance", 0.0, scale, count)


def balanced(
    values: Sequence[str], count: int, weights: Mapping[str, float], seed: int
) -> list[str]:
    """`count` values, each as often as its weight says (all alike without weights), shuffled."""
    shares = np.array([weights.get(value, 1.0) if weights else 1.0 for value in values])
    exact = count * shares / shares.sum()
    numbers = np.floor(exact).astype(int)
    rest = np.argsort(numbers - exact, kind="stable")[: count - numbers.sum()]
    numbers[rest] += 1  # the largest remainders
    listed = [value for value, n in zip(values, numbers, strict=True) for _ in range(n)]
    return [listed[k] for k in np.random.default_rng(seed).permutation(count)]


@dataclass(frozen=True)
class Keyed:
    """A picture with its place among all pictures of an `outputs` folder."""

    wanted: Wanted
    key: str
    """A hash of everything that decides the pixels."""
    path: Path
    place: int
    """Its place in every batch that it is drawn in."""


def keyed(
    pictures: Sequence[Wanted],
    folder: Path,
    settings: Mapping[str, Any],
    word: tuple[str, str],
    batch_size: int,
) -> list[Keyed]:
    """The pictures' keys and files; `settings` decide the pixels of all, `word` is the token and
    the hash of what was learned for it.

    A picture of strength 0 has no trace of the word, whichever it is: other experiments have it,
    too. One that is drawn with the word loaded never passes for one that was not, even if its
    prompt is without the word: that they are equal has to be seen, not assumed.
    """
    common = hashlib.sha256(Run.fingerprint(settings).encode()).hexdigest()
    found = []
    for one in pictures:
        learned = [*word, one.strength] if one.strength else None
        key = Run.fingerprint([common, one.prompt, one.scale, one.seed, learned, batch_size])
        path = folder / key[:2] / f"{key}.png"
        # a CPU may round the last bit differently at another place of a batch
        found.append(Keyed(one, key, path, one.seed % batch_size))
    return found
