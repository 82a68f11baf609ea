"""How a loaded model draws a word: for scripts that try things out.

sd = load("storybook")
add_word(sd, "cat", rows)
judge = load_judge("storybook", storybook_question("cat", "colour"))
found = measure(sd, ["a cat", "a picture of a cat"], range(5000, 5200), judge)
print(found.distribution.kl, found.distribution.farthest, found.subject)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cfg.sampling import sample
from diffusion.stable_diffusion import StableDiffusion
from metrics.skew import Distribution, distribution
from skew.judge import Judge, Verdict


@dataclass(frozen=True, eq=False)
class Measured:
    """What a model drew, and what a judge saw in it."""

    distribution: Distribution
    subject: float
    """Share of the pictures that show the word's subject."""
    verdict: Verdict
    pictures: list[np.ndarray]


def measure(
    sd: StableDiffusion,
    prompts: Sequence[str],
    seeds: Sequence[int],
    judge: Judge,
    *,
    guidance_scale: float = 2.0,
    steps: int = 25,
    scheduler: str = "ddim",
    batch_size: int = 8,
) -> Measured:
    """Draw a picture for each seed, the prompts taking turns, and judge them."""
    asked = [prompts[k % len(prompts)] for k in range(len(seeds))]
    drawn = sample(
        sd, asked, seeds=list(seeds), guidance_scale=guidance_scale, steps=steps,
        scheduler=scheduler, batch_size=batch_size,
    )  # fmt: skip
    pictures = list(drawn)
    verdict = judge(pictures)
    found = distribution(verdict.values, tuple(judge.question.values))
    return Measured(found, float(verdict.subject.mean()), verdict, pictures)
