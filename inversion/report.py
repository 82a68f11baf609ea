"""The page of a run: what was learned, from what, how well, and what it cost."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from inversion import previews
from inversion.config import Config, variants
from inversion.curves import curves
from inversion.data import Example
from inversion.evaluation import StyleReport
from inversion.objective import held_out
from inversion.stopping import how_it_ended
from lab.images import enlarge, read_image
from lab.page import settings_rows, write_page
from lab.run import Run

TEMPLATE = Path(__file__).with_name("report.html")
THUMB, PREVIEW = 160, 192  # px
MOST_PICTURES = 60  # of the data that are shown


def folder_of(folder: Path, config: Config, variant: Config) -> Path:
    """Where the details of one of the words of `config` are."""
    alone = isinstance(config.num_vectors, int)
    return folder if alone else folder / "words" / variant.word.strip("<>")


def save(
    run: Run, config: Config, examples: Sequence[Example], templates: Sequence[str], path: Path
) -> None:
    """Write the report of a run whose words are learned."""
    words = [_word(run, folder_of(run.folder, config, one), one) for one in variants(config)]
    captions = [example.caption for example in examples]
    write_page(
        path,
        TEMPLATE,
        words=words,
        pictures=[_thumbnail(example) for example in examples[:MOST_PICTURES]],
        captions=captions,
        held_out=held_out(len(examples), config.objective.held_out, config.seed),
        hidden=max(0, len(examples) - MOST_PICTURES),
        prompts=[
            (prompt, asks_for_more(prompt, config, captions, templates))
            for prompt in config.previews.prompts
        ],
        settings=settings_rows(config.model_dump(mode="json", by_alias=True)),
        name=run.name,
        model=config.model,
    )


def _word(run: Run, folder: Path, config: Config) -> dict[str, Any]:
    facts, cost = (_read(folder / name) for name in ("learned.json", "cost.json"))
    lines = [line for line in run.metrics() if line["word"] == config.word]
    style = _read(folder / "style.json") if (folder / "style.json").exists() else None
    count = len(config.previews.prompts)
    rows = previews.saved_rows(folder / "previews", facts["best_step"]) if count else []
    best = next(line for line in facts["history"] if line[0] == facts["best_step"])
    return {
        "facts": facts,
        "cost": cost,
        "sentence": how_it_ended(facts),
        "first": facts["history"][0],
        "best": best,
        "curves": curves(lines, facts["best_step"], facts["stopped"]),
        "previews": [
            (name, [enlarge(tile, PREVIEW) for tile in previews.tiles(row, count)])
            for name, row in rows
        ],
        "style": style and StyleReport(**style),
        "style_picture": folder / "style.png" if style else None,
        "rate": cost["steps"] / cost["training_seconds"] if cost["training_seconds"] else None,
        "share": cost["measuring_seconds"] / max(1e-9, _sum_of(cost)),
    }


def _sum_of(cost: dict[str, Any]) -> float:
    return cost["training_seconds"] + cost["measuring_seconds"]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _thumbnail(example: Example) -> Image.Image:
    image = read_image(example.path)
    image.thumbnail((THUMB, THUMB), Image.Resampling.LANCZOS)
    return image


def asks_for_more(
    prompt: str, config: Config, captions: Sequence[str], templates: Sequence[str]
) -> bool:
    """Whether a prompt has a word that training neither says nor shows: what it asks for was not
    in the data."""
    values = config.balance.values if config.balance else ()
    return not _words(prompt) <= _words(" ".join([*captions, *templates, *values, config.word]))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.replace("[name]", " ").casefold()))
