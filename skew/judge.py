"""Who says what a picture shows: storybook's own classifier, or a CLIP and sentences."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from diffusion.sources import BUNDLED
from lab.errors import UserError
from metrics.features import PICTURES_AT_ONCE, Encoder, load_encoder, prepared, read, see
from metrics.skew import decided
from metrics.zero_shot import zero_shot
from storybook.classifier import QUESTIONS, Classifier, load_classifier
from storybook.train_clip import pixels

Sentences = Mapping[str, Sequence[str]]
"""Class -> what CLIP is asked for it; storybook's classifier knows the class itself."""
CLASSIFIER_SIDE = 64  # px of the pictures that storybook's classifier was trained on


@dataclass(frozen=True)
class Verdict:
    """What N pictures show."""

    values: list[str | None]
    """Of the attribute; None where it cannot be told."""
    subject: np.ndarray
    """bool [N]: whether the likeliest subject is the one that was asked for."""


@dataclass(frozen=True)
class Question:
    """What a judge is asked: the attribute, and whether the subject is there."""

    attribute: str
    values: Sentences
    subject: str
    subjects: Sentences
    """The subject and those that it might be taken for."""
    undecided: float
    """The likeliest value has to be so much likelier than the second one."""


Chances = Callable[[Sequence[np.ndarray], np.ndarray | None], tuple[np.ndarray, np.ndarray]]
"""Pictures, uint8 [H, W, 3], and what the judge's CLIP sees in them, [N, d], where that is known ->
probabilities of the answers, [N, answers], and of the subjects."""


@dataclass(frozen=True, eq=False)
class Judge:
    """A judge with its question."""

    name: str
    question: Question
    answers: tuple[str, ...]
    subjects: tuple[str, ...]
    chances: Chances
    clip: Encoder | None = None
    """The judge's network, if it is a CLIP."""

    def __call__(self, pictures: Sequence[np.ndarray], seen: np.ndarray | None = None) -> Verdict:
        """Judge pictures, uint8 [H, W, 3]; one verdict does not depend on the other pictures.
        `seen` is `see(self.clip, pictures)`, if that is at hand."""
        of_values, of_subjects = self.chances(pictures, seen)
        asked = self.question
        found = decided(of_values, self.answers, tuple(asked.values), asked.undecided)
        right = of_subjects.argmax(axis=1) == self.subjects.index(asked.subject)
        return Verdict(found, right)


def load_judge(name: str, question: Question, device: str | torch.device = "cpu") -> Judge:
    """The judge called `storybook`, or `clip:FOLDER` and `clip:HUB-ID`.

    Raises:
        UserError: no such judge, or one that does not know the attribute, a value or the subject.
    """
    if name == BUNDLED:
        return _storybook(question, device)
    if name.startswith("clip:"):
        return _clip(name, question, load_encoder(name.removeprefix("clip:"), device))
    raise UserError(
        f"skew.judge {name} is unknown: it is {BUNDLED}, or clip: and a folder or a hub id, such "
        "as clip:openai/clip-vit-large-patch14"
    )


def _storybook(question: Question, device: str | torch.device) -> Judge:
    check_storybook(question)
    classifier = load_classifier().to(device)

    def chances(pictures: Sequence[np.ndarray], _: object) -> tuple[np.ndarray, np.ndarray]:
        return _classified(classifier, pictures, question.attribute)

    answers, subjects = QUESTIONS[question.attribute], QUESTIONS["subject"]
    return Judge("storybook's classifier", question, answers, subjects, chances)


def check_storybook(question: Question) -> None:
    """Raise UserError where storybook's classifier cannot answer; it is not loaded for that."""
    known = [name for name in QUESTIONS if name != "subject"]
    if question.attribute not in known:
        raise UserError(
            f"storybook's classifier knows no {question.attribute}: set skew.attribute to one of "
            f"{', '.join(known)}, or skew.judge to a CLIP"
        )
    for value in question.values:
        if value not in QUESTIONS[question.attribute]:
            raise UserError(
                f"storybook's classifier knows no {question.attribute} {value}: skew.values may be "
                f"{', '.join(QUESTIONS[question.attribute])}"
            )
    if question.subject not in QUESTIONS["subject"]:
        raise UserError(
            f"storybook's classifier knows no {question.subject}: set skew.subject to one of "
            f"{', '.join(QUESTIONS['subject'])}"
        )


@torch.no_grad()
def _classified(
    classifier: Classifier, pictures: Sequence[np.ndarray], attribute: str
) -> tuple[np.ndarray, np.ndarray]:
    device = next(classifier.parameters()).device
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        some = [prepared(p, CLASSIFIER_SIDE) for p in pictures[start : start + PICTURES_AT_ONCE]]
        logits = classifier(pixels(np.stack(some), device))
        one, other = (logits[name].softmax(dim=1).cpu().numpy() for name in (attribute, "subject"))
        found.append((one, other))
    of_values, of_subjects = zip(*found, strict=True)
    return np.concatenate(of_values), np.concatenate(of_subjects)


def _clip(name: str, question: Question, encoder: Encoder) -> Judge:
    read(encoder, [question.subject])  # a network that knows no texts is refused now

    def chances(
        pictures: Sequence[np.ndarray], seen: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        seen = see(encoder, pictures) if seen is None else seen
        return (
            zero_shot(encoder, seen, question.values),
            zero_shot(encoder, seen, question.subjects),
        )

    names = tuple(question.values), tuple(question.subjects)
    return Judge(name, question, *names, chances, encoder)


def storybook_question(
    subject: str = "cat", attribute: str = "colour", undecided: float = 0.2
) -> Question:
    """All that storybook's classifier knows of an attribute."""
    values = dict.fromkeys(QUESTIONS.get(attribute, ()), ())
    subjects = dict.fromkeys(QUESTIONS["subject"], ())
    return Question(attribute, values, subject, subjects, undecided)
