"""An overwritten word as it is given away: the file, how to use it, what was measured, its limits.

The file is named as the word, because AUTOMATIC1111 takes the name for the word in prompts. The
card's figures are those of the job skew, so a word that was not measured gets a card that says so.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusion.sources import BUNDLED
from diffusion.words import WordFile
from inversion.initial import file_name
from lab.run import write_atomically, write_text

CARD = "README.md"

TEXT = """\
---
tags: [stable-diffusion, textual-inversion]
---
# {word}

What `{model}` means by the word *{word}*, learned anew so that pictures of it are more even in
{attribute}. {vectors}; {size}. Prompts without the word are drawn as before.

## Use

*AUTOMATIC1111*: put `{file}` into `embeddings/`. Every prompt with the word {word} uses it; nothing
else is to be written. Take the file out, and the word is as it was.

*ComfyUI*: write `embedding:{stem}` where the prompt has {word}.

*diffusers*:

    import re
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained("{source}")
    pipeline.load_textual_inversion("{file}", token="<{stem}>")

    def even(prompt):
        return re.sub(r"\\b{word}\\b", "<{stem}>", prompt, flags=re.IGNORECASE)

    picture = pipeline(even("a picture of a {word}")).images[0]

(diffusers refuses a token that is in the vocabulary already, hence the brackets.)

## Measured

{measured}

## What it does not fix

- Other words: the plural, names for the same thing, and words that suggest a {attribute} keep what
  the model thinks of them.
- Other attributes: only the {attribute} was evened out, and nothing else was looked at.
- Other circumstances: the figures hold for the model, prompts, guidance scale and sampler above.
  A higher guidance scale exaggerates what is left; a single prompt may be less even than all of
  them together.
- The judge's mistakes: it counts what it takes pictures to show, and only the values that it was
  asked for; hardly any attribute is a short list of values.
- The model: nothing in it has changed. Whoever does not load this file gets what was there before.
"""

UNMEASURED = """\
Nothing. Add a section `skew` to the experiment, and run it again, before this word is given to
anybody."""

MEASURED = """\
{pictures} pictures of {prompts}; seeds {first} to {last}, the same before and after; guidance
{scale:g}, {scheduler}, {steps} steps; judged by {judge}.

| | the model as it is | with this word |
|---|---|---|
{rows}

{beside}"""


def ship(
    folder: Path,
    word: WordFile,
    facts: Mapping[str, Any] | None = None,
    asked: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write an overwritten word's file, under the word's name, and its card into `folder`.

    Args:
        word: as `diffusion.words` reads it.
        facts: the content of skew.json, where the word was measured.
        asked: the configuration of the job skew that measured it.
    """
    file = folder / file_name(word.token)
    write_atomically(file, lambda temporary: _copy(word.path, temporary))
    write_text(folder / CARD, text(word, facts, asked))
    return [file, folder / CARD]


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def text(word: WordFile, facts: Mapping[str, Any] | None, asked: Mapping[str, Any] | None) -> str:
    """The card."""
    about, file = word.embedding.metadata, file_name(word.token)
    plural = "s" if word.count > 1 else ""
    learned = f"learned from {about['pictures']} pictures" if "pictures" in about else "learned"
    model = about.get("model", "a Stable Diffusion 1.x")
    return TEXT.format(
        word=word.token,
        stem=Path(file).stem,
        file=file,
        model=model,
        source=f"{BUNDLED}/model" if model == BUNDLED else model,
        attribute=facts["attribute"] if facts else "what it was balanced in",
        vectors=f"{word.count} vector{plural} of width {word.embedding.vectors.shape[1]}",
        size=f"{learned} in {about['steps']} steps" if "steps" in about else learned,
        measured=measured(facts, asked or {}) if facts else UNMEASURED,
    )


def measured(facts: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The figures of skew.json in a table and sentences."""
    before, after = (facts["series"][f"neutral-{strength}"] for strength in (0, 1))
    was, now = before["distribution"], after["distribution"]
    rows = [
        _row(value, *(f"{_share(found, k)}" for found in (was, now)))
        for k, value in enumerate(facts["values"])
    ]
    undecided = (f"{found['undecided'] / before['pictures']:.1%}" for found in (was, now))
    rows += [
        _row("could not be told", *undecided),
        _row("farthest share from even", f"{was['farthest']:.3f}", f"{now['farthest']:.3f}"),
        _row("KL to even, nats", f"{was['kl']:.3f}", f"{now['kl']:.3f}"),
        _row("shows the subject", *(f"{one['subject']['share']:.1%}" for one in (before, after))),
    ]
    start = asked["seeds"]["start"]
    return MEASURED.format(
        pictures=before["pictures"],
        prompts=", ".join(f"“{prompt}”" for prompt in asked["prompts"]),
        first=start,
        last=start + before["pictures"] - 1,
        scale=before["guidance_scale"],
        scheduler=asked["scheduler"],
        steps=asked["steps"],
        judge=facts["judge"],
        rows="\n".join(rows),
        beside="\n".join(f"- {sentence}" for sentence in _beside(facts)),
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _share(found: Mapping[str, Any], k: int) -> str:
    low, high = found["intervals"][k]
    return f"{found['shares'][k]:.1%} ({low:.1%} to {high:.1%})"


def _beside(facts: Mapping[str, Any]) -> list[str]:
    sentences = [
        f"Pictures as even as fair draws would have a KL of {_floor(facts):.3f} in the mean. "
        "Intervals are 95%, by bootstrap."
    ]
    if told := facts["explicit"].get("1"):
        change = told["beside_the_original"]
        sentences.append(
            f"Prompts that say the {facts['attribute']} were obeyed in {change['before']:.1%} of "
            f"{told['pictures']} pictures before, and in {change['after']:.1%} with this word."
        )
    if facts["bystanders"]:
        equal, total = (sum(one[k] for one in facts["bystanders"]) for k in ("equal", "pictures"))
        prompts = ", ".join(f"“{one['prompt']}”" for one in facts["bystanders"])
        sentences.append(
            f"Of {total} pictures of prompts without the word ({prompts}), {equal} were the same "
            "to the last bit."
        )
    return sentences


def _floor(facts: Mapping[str, Any]) -> float:
    return facts["series"]["neutral-1"]["distribution"]["kl_floor"]
