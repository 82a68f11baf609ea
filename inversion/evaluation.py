"""Does the word carry the style? Measured on pictures of the style that it was not learned from."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cfg.sampling import sample
from diffusion.stable_diffusion import StableDiffusion
from inversion.config import Evaluate
from lab.images import enlarge, find_images, grid, read_image, save_png
from lab.run import Progress
from metrics.statistics import bootstrap_interval
from metrics.style import StyleDistance, style_distance, style_floor

SHOWN = 8  # columns of the comparison picture
SIDE = 128  # px of a picture in it


@dataclass(frozen=True)
class StyleReport:
    """Mean style distances to the held-out pictures (0 = same, 1 = nothing in common)."""

    without_word: dict[str, float]
    with_word: dict[str, float]
    floor: dict[str, float]
    """What pictures of the style itself reach against each other."""
    reduction: float
    """Mean fall of the total distance from the prompt without the word to that with it."""
    reduction_interval: tuple[float, float]
    """95% bootstrap interval of that fall, over pairs drawn from the same noise."""
    pairs: int
    reference_pictures: int

    def sentence(self) -> str:
        """The report in words."""
        low, high = self.reduction_interval
        before, after, floor = (
            part["total"] for part in (self.without_word, self.with_word, self.floor)
        )
        return (
            f"style distance to {self.reference_pictures} held-out pictures: "
            f"{before:.3f} without the word, {after:.3f} with it (fall {self.reduction:.3f}, "
            f"95% interval {low:.3f} to {high:.3f}, {self.pairs} pairs; "
            f"pictures of the style itself: {floor:.3f})"
        )


def read_reference(folder: str, side: int) -> list[np.ndarray]:
    """The held-out pictures, cropped to their middle square and resized to `side` px."""
    pictures = []
    for path in find_images(folder):
        image = read_image(path)
        short = min(image.size)
        left, top = (image.width - short) / 2, (image.height - short) / 2
        box = (left, top, left + short, top + short)
        pictures.append(np.asarray(image.resize((side, side), Image.Resampling.LANCZOS, box=box)))
    return pictures


def _draw(
    sd: StableDiffusion, settings: Evaluate, prompts: list[str], seeds: list[int], word: str
) -> Generator[Progress, None, list[np.ndarray]]:
    """Pictures of the prompts; progress is yielded, the pictures are returned. `word` stands for
    [name] in the negative prompt; it may be empty."""
    drawn: list[np.ndarray] = []
    stage = "drawing with the word" if word else "drawing without the word"
    yield Progress(stage, 0, len(prompts))
    pictures = sample(
        sd,
        prompts,
        seeds=seeds,
        guidance_scale=settings.guidance_scale,
        negative_prompt=settings.negative_prompt.replace("[name]", word).strip(),
        steps=settings.steps,
        scheduler=settings.scheduler,
        batch_size=min(8, len(prompts)),
    )
    for picture in pictures:
        drawn.append(picture)
        yield Progress(stage, len(drawn), len(prompts))
    return drawn


def evaluate(
    sd: StableDiffusion, settings: Evaluate, word: str, seed: int, folder: Path
) -> Generator[Progress, None, StyleReport]:
    """Draw every subject with and without the word from the same noise, compare both with the
    held-out pictures, and save `style.png`; returns a StyleReport."""
    reference = read_reference(settings.pictures, sd.resolution)
    subjects = [subject for subject in settings.subjects for _ in range(settings.seeds)]
    seeds = [seed + 1000 + k for k in range(len(subjects))]
    without = [settings.plain_template.replace("[filewords]", s) for s in subjects]
    named = settings.template.replace("[name]", word)
    with_word = [named.replace("[filewords]", s) for s in subjects]
    plain = yield from _draw(sd, settings, without, seeds, "")
    styled = yield from _draw(sd, settings, with_word, seeds, word)
    _save_comparison(reference, plain, styled, subjects, folder / "style.png")
    return compare(plain, styled, reference)


def _means(distance: StyleDistance) -> dict[str, float]:
    values = {"palette": distance.palette, "texture": distance.texture, "total": distance.total}
    return {name: round(float(value.mean()), 4) for name, value in values.items()}


def compare(
    plain: Sequence[np.ndarray], styled: Sequence[np.ndarray], reference: Sequence[np.ndarray]
) -> StyleReport:
    """Judge pairs of pictures, uint8 [H, W, 3] each, drawn without and with a word."""
    before, after = style_distance(plain, reference), style_distance(styled, reference)
    fall = before.total - after.total
    low, high = bootstrap_interval(fall)
    return StyleReport(
        without_word=_means(before),
        with_word=_means(after),
        floor=_means(style_floor(reference)),
        reduction=round(float(fall.mean()), 4),
        reduction_interval=(round(low, 4), round(high, 4)),
        pairs=len(fall),
        reference_pictures=len(reference),
    )


def _save_comparison(reference, plain, styled, subjects: list[str], path: Path) -> None:
    """Three rows: pictures of the style, prompts without the word, the same prompts with it."""
    spread = np.linspace(0, len(plain) - 1, min(SHOWN, len(plain))).round().astype(int)
    chosen = [reference[k % len(reference)] for k in range(len(spread))]
    rows = [chosen, [plain[k] for k in spread], [styled[k] for k in spread]]
    tiles = [enlarge(Image.fromarray(picture), SIDE) for row in rows for picture in row]
    said = [subjects[k] for k in spread]
    labels = [""] * len(spread) + said + said
    names = ["the style (held out)", "without the word", "with the word"]
    save_png(grid(tiles, len(spread), labels=labels, row_labels=names), path)
