"""The model card of the bundled model: its measured quality, written by `storybook.evaluate`."""

import json
from pathlib import Path

from PIL import Image

from lab.run import write_atomically, write_text
from storybook import world
from storybook.classifier import QUESTIONS
from storybook.pretrain import FIGURES, PACKAGED

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"

CARD = """\
---
license: mit
library_name: diffusers
pipeline_tag: text-to-image
tags: [stable-diffusion, textual-inversion, synthetic]
---
# storybook

A miniature Stable Diffusion 1.x: the same classes (AutoencoderKL, CLIPTextModel, CLIPTokenizer,
UNet2DConditionModel; scaled-linear betas, epsilon prediction, 10% caption dropout), {size} in
float16, 64 px pictures. It was trained from nothing on pictures that pseudoword's illustrator
drew; no picture or caption of anybody else is in it. It exists so that textual inversion and
guidance can be studied offline, on a laptop.

    from diffusers import StableDiffusionPipeline
    pipeline = StableDiffusionPipeline.from_pretrained("storybook/model")

## What it knows

- subjects: {subjects}
- colours: {colours}
- settings: {settings}, by day, at sunset or at night; one, two or three of a kind
- styles: {styles}
- patterned grounds ({patterns}) in two or three colours, with bold, white or no outlines
- loose abstract shapes

Never trained on, and there to be inverted: *patchwork* (a known pattern, triangles, in fuchsia and
emerald, which never met in training, with bold outlines) and *stained glass* (nothing like it).

Built in on purpose: a {biased} whose colour is not named was {colour} in {bias:.0%} of the training
pictures.

## Measured

Fresh prompts that name subject, colour, setting and style; {sampler}; judged by a small CNN that
was trained on drawn pictures only and is right about {judge} of fresh drawings. Share of pictures
in which the judge finds what was asked for:

{table}

- "a {biased}", {pairs} pictures each: {colour} in {silent}. "A blue
  {biased}, flat style" and its like at guidance 3: the named colour in {told:.1%}.
- Autoencoder: {psnr:.1f} dB on held-out drawings.
- CLIP (in `clip/`, its text tower is the text encoder): finds a held-out picture's own caption
  among 100 in {matching:.0%}.
- U-Net: {samples:,} pictures seen.

Made by `python -m storybook.pretrain`, measured by `python -m storybook.evaluate --publish`.
Weights: fingerprint {fingerprint}.

![Samples at guidance 5](../../docs/pictures/storybook-samples.jpg)

## Not for

Anything but study. It knows a dozen things and draws them at 64 px.
"""


def table(figures: dict) -> str:
    """The figures as a Markdown table."""
    questions = list(QUESTIONS)
    lines = ["| guidance scale | " + " | ".join(questions) + " | pictures |"]
    lines.append("|---" * (len(questions) + 2) + "|")
    for scale, scores in figures["by_guidance_scale"].items():
        shares = [f"{scores[q]['right']:.0%}" for q in questions]
        lines.append(f"| {scale} | " + " | ".join(shares) + f" | {scores['pictures']} |")
    shares = [f"{figures['chance'][q]:.0%}" for q in questions]
    lines.append("| chance | " + " | ".join(shares) + " | |")
    return "\n".join(lines)


def _shares(by_scale: dict) -> str:
    """`90.2% (87% to 93%) at guidance 1, ...`"""
    parts = []
    for scale, found in by_scale.items():
        low, high = found["interval"]
        parts.append(f"{found['share']:.1%} ({low:.0%} to {high:.0%}) at guidance {scale}")
    return ", ".join(parts)


def _size(folder: Path) -> str:
    weights = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    return f"{weights / 1e6:.0f} MB"


def text(figures: dict, training: dict, folder: Path) -> str:
    """The card, as Markdown."""
    judge = ", ".join(f"{share:.0%} ({name})" for name, share in training["classifier"].items())
    return CARD.format(
        size=_size(folder),
        subjects=", ".join(QUESTIONS["subject"]),
        colours=", ".join(QUESTIONS["colour"]),
        settings=", ".join(QUESTIONS["setting"]),
        styles=", ".join(QUESTIONS["style"]),
        patterns=", ".join(world.PATTERNS),
        biased=world.BIASED_SUBJECT,
        colour=world.BIASED_COLOUR,
        bias=world.BIAS,
        sampler=figures["sampler"],
        judge=judge,
        table=table(figures),
        pairs=figures["bias"]["pictures_each"],
        silent=_shares(figures["bias"]["biased_without_colour_word"]),
        told=figures["bias"]["named_colour_obeyed"],
        psnr=training["autoencoder_psnr_db"],
        matching=training["clip_matching_among_100"],
        samples=training["unet_samples"],
        fingerprint=figures["model_fingerprint"],
    )


def publish(figures: dict, out: Path) -> Path:
    """Write the card beside the bundled model, and its pictures, as JPEG, into docs/pictures."""
    training = json.loads((PACKAGED / FIGURES).read_text(encoding="utf-8"))
    for name in ("samples", "scales"):
        with Image.open(out / f"{name}.png") as picture:
            plain = picture.convert("RGB")
        target = PICTURES / f"storybook-{name}.jpg"
        write_atomically(target, lambda p, plain=plain: plain.save(p, quality=88))
    write_text(PACKAGED / "README.md", text(figures, training, PACKAGED))
    return PACKAGED / "README.md"
