"""A small CNN that says what a storybook picture shows: the judge of what the model draws.

It is trained on the illustrator's own labels and never sees a generated picture. Blur and noise
are added in training, so that it judges the subject and not the sharpness of an autoencoder.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from lab.run import Progress, write_atomically
from storybook.dataset import Dataset
from storybook.settings import SETTINGS
from storybook.styles import STYLES
from storybook.subjects import SUBJECTS
from storybook.train_clip import pixels
from storybook.training import Plan, fit, step_rng
from storybook.world import COLOURS

QUESTIONS: dict[str, tuple[str, ...]] = {
    "subject": tuple(SUBJECTS),
    "setting": tuple(SETTINGS),
    "style": tuple(STYLES),
    "colour": tuple(COLOURS),
}
NO_ANSWER = -100  # what torch's cross entropy leaves out
PACKAGED = Path(__file__).parent / "classifier.safetensors"


class Classifier(nn.Module):
    """Pictures [B, 3, 64, 64] in -1..1 -> a dict of logits, one entry a question."""

    def __init__(self, width: int = 48):
        super().__init__()
        sizes = [3, width, 2 * width, 3 * width, 3 * width]
        layers: list[nn.Module] = []
        for into, out in itertools.pairwise(sizes):
            layers += [
                nn.Conv2d(into, out, 3, stride=2, padding=1),
                nn.GroupNorm(8, out),
                nn.SiLU(),
            ]
            layers += [nn.Conv2d(out, out, 3, padding=1), nn.GroupNorm(8, out), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2))
        features = sizes[-1] * 16
        self.heads = nn.ModuleDict({q: nn.Linear(features, len(a)) for q, a in QUESTIONS.items()})

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.body(images)
        return {question: head(features) for question, head in self.heads.items()}


def answers(scene: dict) -> list[int]:
    """The right answers' indices; NO_ANSWER where a scene has none, as patterned grounds have no
    setting."""
    return [a.index(scene[q]) if scene[q] in a else NO_ANSWER for q, a in QUESTIONS.items()]


def disturb(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Half of the batches blurred as an autoencoder would, all of them a little noisy."""
    if rng.random() < 0.5:
        small = F.interpolate(images, scale_factor=float(rng.uniform(0.4, 0.9)), mode="area")
        images = F.interpolate(small, size=images.shape[-2:], mode="bilinear")
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    noise = torch.randn(images.shape, generator=generator) * rng.uniform(0, 0.12)
    return images + noise.to(images.device)


def train_classifier(
    classifier: Classifier, data: Dataset, plan: Plan, folder: Path, device
) -> Iterator[Progress]:
    """Learn the four questions at once from the drawn pictures."""
    shown = [k for k in range(data.trained) if data.scenes[k]["subject"] is not None]
    labels = {k: answers(data.scenes[k]) for k in shown}

    def loss_of(step: int) -> torch.Tensor:
        rng = step_rng(plan, step)
        index = rng.choice(shown, plan.batch_size, replace=False)
        target = torch.tensor([labels[int(k)] for k in index], device=device)
        logits = classifier(disturb(pixels(data.pictures[index], device), rng))
        losses = [F.cross_entropy(logits[q], target[:, k]) for k, q in enumerate(QUESTIONS)]
        return torch.stack(losses).mean()

    classifier.to(device).train()
    yield from fit("classifier", classifier, plan, loss_of, folder / "classifier.pt")
    classifier.eval()


@torch.no_grad()
def classify(classifier: Classifier, pictures: Sequence[np.ndarray]) -> list[dict[str, str]]:
    """What each picture shows: uint8 [64, 64, 3] -> {"subject": ..., "setting": ..., ...}."""
    device = next(classifier.parameters()).device
    found: list[dict[str, str]] = []
    for start in range(0, len(pictures), 100):
        logits = classifier(pixels(np.stack(pictures[start : start + 100]), device))
        best = {q: values.argmax(1).tolist() for q, values in logits.items()}
        count = len(best["subject"])
        found += [{q: QUESTIONS[q][best[q][k]] for q in QUESTIONS} for k in range(count)]
    return found


def accuracy(classifier: Classifier, data: Dataset) -> dict[str, float]:
    """Share of right answers on the pictures kept from training, for each question."""
    kept = [k for k in range(data.trained, len(data.scenes)) if data.scenes[k]["subject"]]
    found = classify(classifier, [data.pictures[k] for k in kept])
    shares = {}
    for question, known in QUESTIONS.items():
        asked = [(f, data.scenes[k]) for f, k in zip(found, kept, strict=True)]
        right = [f[question] == s[question] for f, s in asked if s[question] in known]
        shares[question] = float(np.mean(right))
    return shares


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write the weights in float16."""
    tensors = {k: v.half().contiguous() for k, v in classifier.state_dict().items()}
    write_atomically(path, lambda p: save_file(tensors, p))


def load_classifier(path: Path = PACKAGED) -> Classifier:
    """The packaged judge, on the CPU."""
    classifier = Classifier()
    classifier.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return classifier.eval()
