"""Who looks at the pictures: a CLIP for the prompt, and a network whose features are compared."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from cfg.showing import Analysis
from diffusion.config import UsesModel
from diffusion.sources import BUNDLED, locate
from diffusion.stable_diffusion import StableDiffusion, encode, open_model
from lab.device import pick_device
from metrics.features import PICTURES_AT_ONCE, Encoder, load_encoder, prepared, read, see
from storybook.classifier import QUESTIONS, load_classifier
from storybook.train_clip import pixels
from storybook.world import PLACES, PLURALS

# "in the style of <word>", "by <word>", ", <word> style": a CLIP does not know learned words
_LEARNED = re.compile(
    r"(,|\bby|\bin the style of|\bin)?\s*(\[name\]|<[^\s<>]+>)(\s*style\b)?", re.I
)
AROUND_STYLES = (("", " style"), ("style of ", ""), ("by ", ""), ("", " picture"))


@dataclass(frozen=True)
class Judgement:
    """Of N pictures; what nobody judged is None."""

    match: np.ndarray | None
    """[N] cosine of picture and prompt in the space of a CLIP."""
    recognised: np.ndarray | None
    """[N] the probability that storybook's classifier gives to what the prompt names, averaged over
    subject, setting, style and colour where they are named."""
    vectors: np.ndarray | None
    """[N, d] unit vectors, for the diversity of a set."""
    latents: np.ndarray | None = None
    """[N, C * h * w] what the model's autoencoder makes of the pictures."""


@dataclass(eq=False)
class Judge:
    """The networks that look; each may be missing. `names` says which they are."""

    clip: Encoder | None
    eye: Encoder | None
    classifier: Any | None
    names: dict[str, str]
    model: StableDiffusion | None = None
    """Whose autoencoder is asked for latents."""

    def look(self, pictures: Sequence[np.ndarray], prompt: str) -> Judgement:
        """Judge pictures, uint8 [H, W, 3], that were asked for by one prompt."""
        match = recognised = vectors = None
        seen = see(self.clip, pictures) if self.clip else None
        if self.clip and seen is not None:
            match = seen @ read(self.clip, [said_plainly(prompt)])[0]
        if self.eye is not None:
            same = self.eye is self.clip and seen is not None
            vectors = seen if same else see(self.eye, pictures)
        if self.classifier is not None:
            own, recognised = _classified(self.classifier, pictures, named(prompt))
            vectors = own if self.eye is None else vectors
        latents = _latents(self.model, pictures) if self.model else None
        return Judgement(match, recognised, vectors, latents)


def load_judge(config: Analysis, model: UsesModel) -> Judge:
    """The judge that `analysis` names, for pictures of `model`, on its device.

    Raises:
        UserError: a network that is not there.
    """
    offline, device = model.model == BUNDLED, pick_device(model.device)
    named_clip = str(locate(BUNDLED) / "clip") if offline else "none"
    source = named_clip if config.match == "auto" else config.match
    clip = load_encoder(source, device) if source != "none" else None
    eye = classifier = None
    names = {}
    if clip:
        names["match"] = "storybook's own CLIP" if source == named_clip else source
    if offline and "auto" in (config.features, config.match):
        classifier = load_classifier()
    if config.features not in ("auto", "none"):
        eye = load_encoder(config.features, device)
        names["features"] = config.features
    elif config.features == "auto" and classifier is None and clip:
        eye = clip
        names["features"] = names["match"]
    elif config.features == "auto" and classifier is not None:
        names["features"] = "storybook's classifier"
    opened = open_model(model) if config.latents else None
    return Judge(clip, eye, classifier, names, opened)


def require_networks(config: Analysis) -> None:
    """Open once what the settings name: to be asked before the sweep is drawn, not after it.

    Raises:
        UserError: a network that is not there, or one for prompts that knows no texts.
    """
    if config.match not in ("auto", "none"):
        read(load_encoder(config.match), ["a picture"])
    if config.features not in ("auto", "none"):
        load_encoder(config.features)


def said_plainly(prompt: str) -> str:
    """The prompt without learned words and what leads to them: `dove in the style of <w>` is
    `dove`."""
    plain = " ".join(_LEARNED.sub(" ", prompt).split()).strip(" ,")
    return plain or prompt


def named(prompt: str) -> dict[str, str]:
    """The answers to the classifier's questions that a prompt names, each in exactly one way."""
    words = f" {' '.join(re.findall(r'[a-z]+', said_plainly(prompt).lower()))} "

    def spellings(question: str, answer: str) -> Sequence[str]:
        if question == "subject":
            return (answer, PLURALS[answer])
        if question == "setting":
            return (*PLACES.get(answer, ()), answer)
        if question == "style":
            return tuple(f"{a}{answer}{b}" for a, b in AROUND_STYLES)
        return (answer,)

    found = {
        question: [a for a in answers if any(f" {s} " in words for s in spellings(question, a))]
        for question, answers in QUESTIONS.items()
    }
    return {question: said[0] for question, said in found.items() if len(said) == 1}


@torch.no_grad()
def _latents(sd: StableDiffusion, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """The means of the pictures' latents, a row for each picture."""
    seen = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return encode(sd, seen)[0].flatten(1).cpu().numpy()


@torch.no_grad()
def _classified(
    classifier: Any, pictures: Sequence[np.ndarray], asked: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Unit vectors [N, d] of the classifier's features, and the mean probability [N] of `asked`."""
    device = next(classifier.parameters()).device
    vectors, chances = [], []
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        some = [prepared(p, 64) for p in pictures[start : start + PICTURES_AT_ONCE]]
        features = classifier.body(pixels(np.stack(some), device))
        # [N, channels x 4 x 4] -> the mean over the places: what is there, wherever it is
        pooled = features.unflatten(1, (-1, 16)).mean(dim=2)
        vectors.append(F.normalize(pooled, dim=-1))
        right = [
            classifier.heads[q](features).softmax(dim=1)[:, QUESTIONS[q].index(answer)]
            for q, answer in asked.items()
        ]
        if right:
            chances.append(torch.stack(right).mean(dim=0))
    found = torch.cat(chances).cpu().numpy() if chances else None
    return torch.cat(vectors).cpu().numpy(), found
