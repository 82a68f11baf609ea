"""Which pictures there are to draw, and which of them are there already.

A picture's file is named after everything that decides its pixels, so a run that was stopped
continues, one with another seed or word draws only what is new, and no picture is ever taken for
one of other settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusion.pseudo_word import mentions
from diffusion.words import WordFile
from lab.errors import UserError
from lab.run import Run
from sampling.config import Config

NAME = "[name]"
PLAIN = "none"  # the row of the prompt without a word


@dataclass(frozen=True)
class Row:
    """A prompt as it is drawn, and the words of it that were learned."""

    label: str
    prompt: str
    negative_prompt: str
    words: tuple[WordFile, ...]


@dataclass(frozen=True)
class Picture:
    """One picture to draw."""

    row: Row
    scale: float
    seed: int
    path: Path
    key: str
    """A hash of everything that decides the pixels."""
    place: int
    """Its place in every batch that it is drawn in."""


@dataclass(frozen=True)
class Sheet:
    """The pictures of one prompt of the configuration, [row, scale, seed]."""

    prompt: str
    name: str
    """Of its files."""
    rows: tuple[Row, ...]
    pictures: dict[tuple[int, float, int], Picture]


def rows_of(config: Config, number: int, words: Mapping[str, WordFile]) -> tuple[Row, ...]:
    """The rows of prompt `number`: without the word, if that is wanted, and with each word.

    Raises:
        UserError: there is no word for [name].
    """
    prompt, negative = config.prompts[number], config.negative_prompt

    def row(label: str, text: str, name: str) -> Row:
        text, away = text.replace(NAME, name), negative.replace(NAME, name).strip()
        used = tuple(word for word in words.values() if mentions(f"{text}\n{away}", word.token))
        return Row(label, text, away, used)

    rows: list[Row] = []
    if config.plain_prompts:
        plain = config.plain_prompts[number]
        rows.append(row(f"{PLAIN}: {plain}", plain, ""))
    if NAME not in prompt + negative:
        return (*rows, row("as written" if rows else "", prompt, ""))
    if not words:
        raise UserError(
            f"there is no word for {NAME} in the prompt {prompt!r}: run this experiment's "
            "inversion first, or name embedding files in sample.words"
        )
    for word in words.values():
        vectors = f"{word.count} vector{'s' if word.count > 1 else ''}"
        rows.append(row(f"{word.token} {vectors}", prompt, word.token))
    return tuple(rows)


def sheets_of(
    config: Config,
    words: Mapping[str, WordFile],
    folder: Path,
    settings: Mapping[str, Any],
    batch_size: int,
) -> list[Sheet]:
    """Every prompt's pictures; `settings` are what decides the pixels of all of them."""
    sheets: list[Sheet] = []
    for number, prompt in enumerate(config.prompts):
        rows = rows_of(config, number, words)
        pictures = {
            (index, scale, seed): _picture(row, scale, seed, folder, settings, batch_size)
            for index, row in enumerate(rows)
            for scale in config.guidance_scales
            for seed in config.seeds
        }
        name = slug(prompt)
        if name in [sheet.name for sheet in sheets]:
            name = f"{name}-{number + 1}"
        sheets.append(Sheet(prompt, name, rows, pictures))
    return sheets


def _picture(
    row: Row, scale: float, seed: int, folder: Path, settings: Mapping[str, Any], batch_size: int
) -> Picture:
    decisive = {
        **settings,
        "words": {word.token: word.sha256 for word in row.words},
        "prompt": row.prompt,
        "negative_prompt": row.negative_prompt,
        "guidance_scale": scale,
    }
    # Seeds that follow each other fill a batch, and rows begin at different places of it. A CPU may
    # round the last bit differently at another place, where its threads share a picture.
    place = (seed + int(Run.fingerprint(decisive)[:8], 16)) % batch_size
    key = Run.fingerprint({**decisive, "seed": seed, "batch_size": batch_size})
    name = f"{slug(row.prompt)}_s{scale:g}_seed{seed}_{key[:8]}.png"
    return Picture(row, scale, seed, folder / name, key, place)


def slug(text: str) -> str:
    """A text as part of a file's name: its letters and digits, with - between the words."""
    kept = "".join(letter if letter.isalnum() else " " for letter in text)
    return "-".join(kept.split())[:40].strip("-") or "prompt"


def all_of(sheets: Sequence[Sheet]) -> list[Picture]:
    """The different pictures of the sheets, in the order in which they are drawn: the same seed of
    all rows first, so that one can compare early."""
    found = [picture for sheet in sheets for picture in sheet.pictures.values()]
    return list({picture.key: picture for picture in found}.values())


def batch_size_for(latents: tuple[int, int, int], device: str, chosen: int | str) -> int:
    """Pictures computed at once: the chosen number, or for "auto" what suits the device.

    On CPU cores batching pays for small latents only (measured: 2.1 times faster for eight of 8x8,
    1.6 for eight of 16x16, slower for eight of 32x32). It depends on nothing but shape and device:
    the same file gives the same bytes, however busy the machine is.
    """
    if isinstance(chosen, int):
        return chosen
    cells, most = (2048, 8) if device == "cpu" else (65536, 64)
    return max(1, min(most, cells // (latents[1] * latents[2])))
