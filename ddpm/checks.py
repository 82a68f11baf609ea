"""What the stages after the training will need, asked for before it: hours later is too late."""

import re
from pathlib import Path
from typing import Any

import torch

from ddpm.config import Config
from ddpm.data import Pictures
from ddpm.denoising import stepper_of
from ddpm.distance import pictures_to_compare
from ddpm.extractors import load_extractor
from ddpm.guide_config import Loss
from ddpm.guides import BUNDLED, LOSSES, open_clip
from ddpm.measuring import FOLDER, pictures_to_measure, read_scores
from ddpm.variants import asked_variants
from lab.errors import UserError
from lab.wording import suggest
from storybook.drawn import load_drawnnet


def require_parts(config: Config, scheduler: Any, device: torch.device) -> None:
    """Open once what the stages will open.

    Raises:
        UserError: schedules that cannot be trained, more steps than timesteps, a family that
            DrawnNet does not know, a CLIP or an extractor that is not there, no figures of a run
            to stand beside.
    """
    asked_variants(config)
    stepper_of(scheduler, config.sample.sampler, config.sample.steps)
    for loss in _losses(config):
        _require_family(loss)
        LOSSES[loss.loss](loss, device)
    asked = [config.measure and config.measure.extractor, config.study and config.study.extractor]
    for extractor in filter(None, asked):
        load_extractor(extractor, device)
    for other in config.measure.beside if config.measure else ():
        read_scores(Path(other) / FOLDER)


def require_pictures(config: Config, pictures: Pictures | None) -> None:
    """See that there are test pictures for what is to be compared with them.

    Raises:
        UserError: there are not.
    """
    if config.measure is not None:
        pictures_to_measure(config.measure, pictures)
    if config.study is not None and config.study.extractor:
        pictures_to_compare(pictures)


def notes_of_texts(config: Config) -> list[str]:
    """A sentence for each text with words that the bundled CLIP has never read: it cannot lead to
    what they mean. The words of its captions are whole in its vocabulary, others are spelled."""
    notes = []
    for loss in _losses(config):
        if loss.loss == "text" and loss.clip == BUNDLED:
            tokenizer: Any = open_clip(BUNDLED).tokenizer
            words = re.findall(r"[^\W\d_]+", loss.target.casefold())
            strange = [word for word in words if len(tokenizer.tokenize(word)) > 1]
            if strange:
                notes.append(
                    f"the text {loss.target!r}: the bundled CLIP has never read "
                    f"{' and '.join(strange)}, and cannot lead to that; take another clip, or "
                    "words of the drawn pictures"
                )
    return list(dict.fromkeys(notes))


def _losses(config: Config) -> list[Loss]:
    leads = [config.guide, config.film and config.film.guide]
    return [loss for lead in leads if lead is not None for loss in lead.losses]


def _require_family(loss: Loss) -> None:
    known = load_drawnnet().families if loss.family else ()
    if loss.family and loss.family not in known:
        close = suggest(loss.family, list(known))
        hint = f"did you mean {close}?" if close else f"it knows {', '.join(known)}"
        raise UserError(f"DrawnNet, which counts the pictures, knows no {loss.family}; {hint}")
