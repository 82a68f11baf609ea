"""Train what storybook/drawn/ ships: `python -m storybook.train_drawn` (minutes on two cores).

DrawnNet learns the family and the words of the caption from the picture; the small CLIP learns to
tell which caption belongs to which picture. Both see drawn pictures only, blurred and noisy ones
among them, of seeds that no data set uses unless told to. A killed run continues.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPModel, CLIPTokenizer

from lab.device import pick_device
from lab.run import Progress, write_atomically, write_json, write_text
from metrics.features import load_encoder, read, see
from storybook import architecture as parts
from storybook import drawn
from storybook.classifier import disturb
from storybook.dataset import Dataset
from storybook.drawn import DrawnNet, load_drawnnet, save_drawnnet
from storybook.families import FAMILIES, draw
from storybook.pretrain import show
from storybook.train_clip import matching_accuracy, pixels, train_clip
from storybook.training import Plan, fit, step_rng

PICTURES, SEED = 7_700, 20_261_121
NET = Plan(700, 64, 2e-3, decay=0.5, ema=0.99)
CONTRAST = Plan(600, 96, 1e-3, ema=0.99)
EYE = {"hidden_size": 72, "num_hidden_layers": 3, "image_size": drawn.SIDE, "patch_size": 4}
ASKED = {
    "flowers": "a flower",
    "faces": "a face",
    "nouns": "a pixel character",
    "trees": "a tree",
    "houses": "a house",
    "prints": "a woodblock print",
    "manga": "a manga face",
}
"""What the CLIP is asked for each family when it has to tell them apart."""

CARD = """\
---
license: mit
tags: [clip, synthetic]
---
# Two small networks that know the drawn families

Made by `python -m storybook.train_drawn` from {trained:,} pictures of `storybook/families.py`
({families}), drawn at 32 px;
tried on {held:,} others. No picture or caption of anybody else is in them.

- `drawnnet.safetensors`: DrawnNet, {net:,} parameters, 64 features and the family.
  Right about the family of {accuracy:.1%} of the held-out pictures.
- `clip/`: a CLIPModel with its tokenizer, {clip:,} parameters. Zero-shot ("a flower", "a face",
  "a pixel character" ...) it names the family of {zero:.1%} of the held-out pictures, and finds a
  picture's own caption among 100 in {matching:.1%} (chance: 1 %, equal captions count). It learned
  with shifted, blurred and noisy pictures, so that it can lead a diffusion model.

They judge and guide offline. A distance in DrawnNet's features is printed as FD-drawn64 and is no
FID; a cosine of this CLIP is no CLIP score.
"""


def draw_data(folder: Path, count: int) -> Iterator[Progress]:
    """Draw `count` pictures, the families by turns, into `folder`, unless they are there."""
    path = folder / "pictures.npz"
    if path.exists():
        return
    names, drawings = tuple(FAMILIES), []
    for k in range(count):
        index, which = divmod(k, len(names))
        drawings.append(draw(names[which], index, size=drawn.SIDE, seed=SEED))
        if k % 50 == 49 or k + 1 == count:
            yield Progress("drawing pictures", k + 1, count)
    pictures, captions = np.stack([d[0] for d in drawings]), [d[1] for d in drawings]
    write_atomically(path, lambda p: _savez(p, pictures, np.array(captions)))


def _savez(path: Path, pictures: np.ndarray, captions: np.ndarray) -> None:
    with path.open("wb") as file:  # numpy would add a suffix to a name
        np.savez(file, pictures=pictures, captions=captions)


def load_data(folder: Path) -> Dataset:
    """What `draw_data` has drawn; a scene is the family's number."""
    stored = np.load(folder / "pictures.npz")
    captions = [str(c) for c in stored["captions"]]
    scenes = [{"family": k % len(FAMILIES)} for k in range(len(captions))]
    return Dataset(stored["pictures"], captions, scenes)


def _words(captions: list[str], least: int) -> np.ndarray:
    """Which of the words that occur `least` times each caption says: float32 [N, words]."""
    said = [set(re.findall(r"[a-z]+", caption.lower())) for caption in captions]
    every, counts = np.unique([word for words in said for word in words], return_counts=True)
    known = every[counts >= least].tolist()
    return np.array([[word in words for word in known] for words in said], dtype=np.float32)


def train_net(net: DrawnNet, data: Dataset, plan: Plan, folder: Path, device):
    """Learn the family, and by a head that is thrown away the words of the caption: what a feature
    extractor learns from families alone cannot tell a red house from a blue one."""
    words = torch.from_numpy(_words(data.captions, max(2, len(data.captions) // 200)))
    family = torch.tensor([scene["family"] for scene in data.scenes])
    both = nn.ModuleDict({"net": net, "words": nn.Linear(net.num_features, words.shape[1])})
    both.to(device).train()

    def loss_of(step: int) -> torch.Tensor:
        rng = step_rng(plan, step)
        index = rng.choice(data.trained, plan.batch_size, replace=False)
        features = net(disturb(pixels(data.pictures[index], device), rng))
        told = F.binary_cross_entropy_with_logits(
            both["words"](features), words[index].to(device), reduction="none"
        )
        return (
            F.cross_entropy(net.head(features), family[index].to(device)) + told.sum(1).mean() / 8
        )

    yield from fit("DrawnNet", both, plan, loss_of, folder / "drawnnet.pt")
    net.eval()


def roughen(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Pictures as a diffusion model sees them half-way: shifted, blurred, some under much noise.

    A CLIP that guides has to judge such pictures, and what was trained under noise has gradients
    that look like its classes, where others have them that look like noise.
    """
    x, y = rng.integers(-3, 4, 2).tolist()
    images = F.pad(images, (3, 3, 3, 3), mode="replicate")
    images = images[..., 3 + y : 3 + y + drawn.SIDE, 3 + x : 3 + x + drawn.SIDE]
    if rng.random() < 0.5:
        small = F.interpolate(images, scale_factor=float(rng.uniform(0.2, 0.9)), mode="area")
        images = F.interpolate(small, size=images.shape[-2:], mode="bilinear")
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    share = torch.rand((len(images), 1, 1, 1), generator=generator).to(images.device)
    return images + 0.6 * share**2 * noise


@torch.no_grad()
def net_accuracy(net: DrawnNet, data: Dataset) -> float:
    """Share of the held-out pictures whose family the network names."""
    kept = slice(data.trained, None)
    named = net.classify(pixels(data.pictures[kept], "cpu"))
    asked = [net.families[scene["family"]] for scene in data.scenes[kept]]
    return float(np.mean([a == b for a, b in zip(named, asked, strict=True)]))


def zero_shot(folder: Path, data: Dataset) -> float:
    """Share of the held-out pictures whose family's sentence fits best in the CLIP's eyes."""
    encoder = load_encoder(folder)
    kept = slice(data.trained, None)
    cosines = see(encoder, list(data.pictures[kept])) @ read(encoder, list(ASKED.values())).T
    right = [list(FAMILIES).index(list(ASKED)[k]) for k in cosines.argmax(1)]
    return float(np.mean([k == s["family"] for k, s in zip(right, data.scenes[kept], strict=True)]))


def save_clip(clip: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """A CLIP's folder: float16 weights, tokenizer, and what its pictures have to be."""
    clip.cpu().half().save_pretrained(folder)
    source = Path(tokenizer.name_or_path)
    for name in ("vocab.json", "merges.txt"):
        write_text(folder / name, (source / name).read_text(encoding="utf-8"))
    tokenizer.save_pretrained(folder)
    side, halves = {"height": drawn.SIDE, "width": drawn.SIDE}, [0.5, 0.5, 0.5]
    processor: dict[str, Any] = {"image_processor_type": "CLIPImageProcessor", "do_resize": True}
    processor |= {"size": {"shortest_edge": drawn.SIDE}, "crop_size": side}
    write_json(
        folder / "preprocessor_config.json", processor | {"image_mean": halves, "image_std": halves}
    )


def train(work: Path, out: Path, device, count: int, net_plan: Plan, clip_plan: Plan):
    """All stages; yields Progress; leaves networks, figures and card in `out`."""
    yield from draw_data(work, count)
    data = load_data(work)
    out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(0)
    net = DrawnNet(tuple(FAMILIES))
    yield from train_net(net, data, net_plan, work, device)
    save_drawnnet(net.cpu(), out / drawn.DRAWNNET.name)

    if not (work / "tokenizer" / "merges.txt").exists():
        parts.train_tokenizer(data.captions[: data.trained], work / "tokenizer", merges=160)
    tokenizer = parts.load_tokenizer(work / "tokenizer")
    torch.manual_seed(1)
    clip = parts.build_clip(tokenizer, width=64, layers=3, eye=EYE, shared=64)
    yield from train_clip(clip, tokenizer, data, clip_plan, work, device, prepare=roughen)
    matching = matching_accuracy(clip, tokenizer, data, device)
    save_clip(clip, tokenizer, out / drawn.CLIP.name)

    figures = {
        "trained": data.trained,
        "held": len(data.captions) - data.trained,
        "net": sum(p.numel() for p in net.parameters()),
        "clip": sum(p.numel() for p in clip.parameters()),
        "accuracy": net_accuracy(load_drawnnet(out / drawn.DRAWNNET.name), data),
        "zero": zero_shot(out / drawn.CLIP.name, data),
        "matching": matching,
    }
    write_json(out / "figures.json", figures)
    write_text(out / "README.md", CARD.format(families=", ".join(FAMILIES), **figures))


def main(argv: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m storybook.train_drawn",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--work", type=Path, default=Path("outputs/storybook-drawn"), help="where all is kept")
    add("--out", type=Path, default=Path(drawn.__file__).parent, help="where the networks go")
    add("--device", default="auto", help="cpu, cuda or auto")
    add("--pictures", type=int, default=PICTURES, help="how many pictures are drawn")
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    device = pick_device(options.device)
    show(train(options.work, options.out, device, options.pictures, NET, CONTRAST))
    print(f"The networks, their figures and their card are in {options.out}")


if __name__ == "__main__":
    main()
