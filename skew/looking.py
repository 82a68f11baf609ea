"""Judges the pictures of a run, a few at a time, so that they need not fit into memory at once."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffusion.sources import BUNDLED, locate
from lab.run import Progress
from metrics.appearance import appearance
from metrics.features import PICTURES_AT_ONCE, Encoder, load_encoder, read, see
from skew.config import Config
from skew.judge import Judge, Question, check_storybook, load_judge, storybook_question


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen in the N pictures of one series."""

    values: list[str | None]
    """Of the attribute; None where it could not be told."""
    subject: np.ndarray
    """bool [N]: the word's subject is there."""
    match: np.ndarray | None
    """[N] cosine of picture and prompt in the space of a CLIP."""
    vectors: np.ndarray | None
    """[N, d] unit vectors, the same CLIP's."""
    sharpness: np.ndarray
    contrast: np.ndarray


def question_of(config: Config) -> Question:
    """What the judge is asked, with everything filled in.

    Raises:
        UserError: storybook's classifier does not know it.
    """
    values, subjects = config.sentences("values"), config.sentences("subjects")
    if config.judge != BUNDLED:
        return Question(config.attribute, values, config.the_subject, subjects, config.undecided)
    known = storybook_question(config.the_subject, config.attribute, config.undecided)
    question = Question(
        known.attribute, values or known.values, known.subject, known.subjects, known.undecided
    )
    check_storybook(question)
    return question


def load_eyes(config: Config, question: Question, device: str) -> tuple[Judge, Encoder | None]:
    """The judge, and the CLIP that says how well pictures fit their prompts, if there is one."""
    judge = load_judge(config.judge, question, device)
    if config.match == "auto":
        if judge.clip is not None or config.model != BUNDLED:
            return judge, judge.clip
        return judge, load_encoder(locate(BUNDLED) / "clip", device)
    if config.match == "none":
        return judge, None
    same = judge.clip is not None and judge.clip.name == config.match
    return judge, judge.clip if same else load_encoder(config.match, device)


def clip_name(clip: Encoder | None) -> str | None:
    """What the page calls it; a path of this machine would say nothing of the bundled one."""
    if clip is None:
        return None
    return "storybook's own CLIP" if clip.name == str(locate(BUNDLED) / "clip") else clip.name


def look(
    judge: Judge,
    clip: Encoder | None,
    series: Mapping[str, Sequence[Path]],
    asked: Mapping[str, Sequence[str]],
) -> Generator[Progress, None, dict[str, Seen]]:
    """Judge every series of pictures; `asked` has the prompt that each should fit."""
    total = sum(len(paths) for paths in series.values())
    done, found = 0, {}
    texts = sorted({text for prompts in asked.values() for text in prompts})
    said = dict(zip(texts, read(clip, texts), strict=True)) if clip else {}
    for name, paths in series.items():
        parts = []
        for start in range(0, len(paths), PICTURES_AT_ONCE):
            pictures = [pixels(path) for path in paths[start : start + PICTURES_AT_ONCE]]
            prompts = asked[name][start : start + PICTURES_AT_ONCE]
            parts.append(_seen(judge, clip, pictures, [said.get(text) for text in prompts]))
            done += len(pictures)
            yield Progress("judging", done, total)
        found[name] = _joined(parts)
    return found


def pixels(path: Path) -> np.ndarray:
    """A picture's file as uint8 [H, W, 3]."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _seen(
    judge: Judge,
    clip: Encoder | None,
    pictures: Sequence[np.ndarray],
    said: Sequence[np.ndarray | None],
) -> Seen:
    vectors = see(clip, pictures) if clip else None
    verdict = judge(pictures, vectors if clip is judge.clip else None)
    match = None if vectors is None else (vectors * np.stack(said)).sum(axis=1)  # type: ignore[arg-type]
    looks = [appearance(picture) for picture in pictures]
    return Seen(
        verdict.values, verdict.subject, match, vectors,
        np.array([one.sharpness for one in looks]), np.array([one.contrast for one in looks]),
    )  # fmt: skip


def _joined(parts: Sequence[Seen]) -> Seen:
    def whole(name: str) -> Any:
        some = [getattr(part, name) for part in parts]
        return None if some[0] is None else np.concatenate(some)

    values = [value for part in parts for value in part.values]
    names = ("subject", "match", "vectors", "sharpness", "contrast")
    return Seen(values, *(whole(name) for name in names))
