"""Measure the miniature Stable Diffusion: `python -m storybook.evaluate`.

Draws fresh prompts at several guidance scales, lets the classifier say what it sees, and writes
figures and grids; with --publish also the model card. The classifier never saw a generated picture.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from cfg.sampling import sample
from diffusion.stable_diffusion import StableDiffusion, load
from lab.images import enlarge, grid, save_png
from lab.run import write_json
from metrics.statistics import bootstrap_interval
from storybook import card
from storybook.classifier import QUESTIONS, Classifier, classify, load_classifier
from storybook.world import BIASED_COLOUR, BIASED_SUBJECT

SCALES = (0.0, 1.0, 3.0, 5.0, 7.5)
BIAS_SCALES = (1.0, 2.0, 3.0)  # at 1 the model samples what it learned; guidance exaggerates it
SETTING_WORDS = {
    "meadow": "in the meadow",
    "desert": "in the desert",
    "snow": "in the snow",
    "sea": "by the sea",
    "mountains": "in the mountains",
    "city": "in the city",
}


def fresh_prompts(count: int, seed: int = 77) -> list[dict[str, str]]:
    """`count` prompts with their right answers, drawn evenly and independently."""
    rng = np.random.default_rng(seed)
    prompts = []
    for _ in range(count):
        asked = {q: str(rng.choice(list(a))) for q, a in QUESTIONS.items()}
        article = "an" if asked["colour"][0] in "aeiou" else "a"
        where = SETTING_WORDS[asked["setting"]]
        asked["prompt"] = (
            f"{article} {asked['colour']} {asked['subject']} {where}, {asked['style']} style"
        )
        prompts.append(asked)
    return prompts


def draw(
    sd: StableDiffusion, prompts: Sequence[str], scale: float, steps: int, first_seed: int = 0
) -> list[np.ndarray]:
    """One picture a prompt, with a progress bar."""
    seeds = range(first_seed, first_seed + len(prompts))
    pictures = sample(
        sd, prompts, seeds=list(seeds), guidance_scale=scale, steps=steps, batch_size=16
    )
    return list(tqdm(pictures, total=len(prompts), desc=f"guidance {scale:g}", mininterval=5))


def score(found: Sequence[dict], asked: Sequence[dict]) -> dict[str, dict]:
    """For every question the share of right answers with its 95% bootstrap interval."""
    scores = {}
    for question in QUESTIONS:
        right = np.array(
            [f[question] == a[question] for f, a in zip(found, asked, strict=True)], dtype=float
        )
        low, high = bootstrap_interval(right)
        scores[question] = {"right": round(float(right.mean()), 3), "interval": [low, high]}
    return scores


def bias(
    sd: StableDiffusion, classifier: Classifier, steps: int, scales: Sequence[float], count: int
) -> dict:
    """How often an unqualified cat is orange, and how often a cat of a named colour has it: shares
    of `count` pictures each, the first at every scale of `scales` with its 95% interval."""
    silent = [f"a {BIASED_SUBJECT}"] * count
    by_scale = {}
    for scale in scales:
        found = classify(classifier, draw(sd, silent, scale, steps, 5000))
        orange = np.array([f["colour"] == BIASED_COLOUR for f in found], dtype=float)
        low, high = bootstrap_interval(orange)
        by_scale[f"{scale:g}"] = {
            "share": round(float(orange.mean()), 3),
            "interval": [round(low, 3), round(high, 3)],
        }
    named = [c for c in QUESTIONS["colour"] if c != BIASED_COLOUR]
    explicit = [named[k % len(named)] for k in range(count)]
    prompts = [f"a {colour} {BIASED_SUBJECT}, flat style" for colour in explicit]
    told = classify(classifier, draw(sd, prompts, 3.0, steps, 6000))
    obeyed = [f["colour"] == c for f, c in zip(told, explicit, strict=True)]
    return {
        "biased_without_colour_word": by_scale,
        "named_colour_obeyed": round(float(np.mean(obeyed)), 3),
        "pictures_each": count,
    }


def evaluate(model: str, count: int, fewer: int, steps: int, out: Path) -> dict:
    """All measurements; leaves `evaluation.json`, `samples.png` and `scales.png` in `out`."""
    sd, classifier = load(model), load_classifier()
    asked = fresh_prompts(count)
    prompts = [a["prompt"] for a in asked]
    by_scale = {}
    rows: list[np.ndarray] = []
    for scale in SCALES:
        number = count if scale == 5.0 else fewer
        pictures = draw(sd, prompts[:number], scale, steps)
        scores = score(classify(classifier, pictures), asked[:number])
        by_scale[f"{scale:g}"] = {"pictures": number} | scores
        rows += pictures[:10]
        if scale == 5.0:
            _save_samples(pictures[:40], prompts, out / "samples.png")
    labels = [f"s = {scale}" for scale in by_scale]
    tiles = [enlarge(Image.fromarray(picture), 128) for picture in rows]
    save_png(grid(tiles, 10, row_labels=labels), out / "scales.png")
    figures = {
        "model_fingerprint": sd.fingerprint,
        "sampler": f"ddim, {steps} steps",
        "chance": {q: round(1 / len(a), 3) for q, a in QUESTIONS.items()},
        "by_guidance_scale": by_scale,
        "bias": bias(sd, classifier, steps, BIAS_SCALES, count),
    }
    write_json(out / "evaluation.json", figures)
    return figures


def _save_samples(pictures: Sequence[np.ndarray], prompts: Sequence[str], path: Path) -> None:
    tiles = [enlarge(Image.fromarray(picture), 192) for picture in pictures]
    save_png(grid(tiles, 8, labels=list(prompts[: len(tiles)])), path)


def main(argv: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m storybook.evaluate", description=__doc__)
    parser.add_argument("--model", default="storybook")
    parser.add_argument("--prompts", type=int, default=400, help="pictures at guidance 5")
    parser.add_argument("--fewer", type=int, default=120, help="pictures at the other scales")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path("outputs/storybook-evaluation"))
    add = parser.add_argument
    add("--publish", action="store_true", help="rewrite the bundled model's card and its pictures")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    figures = evaluate(options.model, options.prompts, options.fewer, options.steps, options.out)
    print(card.table(figures))
    print(figures["bias"])
    if options.publish:
        print(f"wrote {card.publish(figures, options.out)}")


if __name__ == "__main__":
    main()
