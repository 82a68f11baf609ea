"""What a training step is made of: which pictures, prompts, timesteps and noises.

All of it follows from (seed, step), so that a run that continues, or is divided over processes or
into parts, takes the same steps. `draw_items` says what a step has, in numbers; `assemble` makes
tensors of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from diffusion.prompts import tokenize
from diffusion.stable_diffusion import StableDiffusion
from inversion.config import Tags, Train
from inversion.data import Example
from inversion.latents import Latents
from inversion.templates import write_prompt
from lab.device import noise
from lab.order import picked

MOST_PROMPTS = 100_000  # whose token ids are kept: 60 MB


@dataclass(frozen=True)
class Batch:
    """A part of a step: pictures of one shape."""

    x_0: Tensor
    """Latents, float32 [b, C, h, w], drawn from the autoencoder's distribution."""
    timesteps: Tensor
    """int64 [b]."""
    eps: Tensor
    """Unit noise, float32 [b, C, h, w]."""
    token_ids: Tensor
    """Prompts, int64 [b, 77]."""
    weights: Tensor | None = None
    """What each latent cell counts, float32 [b, 1, h, w] with mean 1 over each picture, so that
    `(error**2 * weights).mean((1, 2, 3))` is a picture's weighted mean; None: all the same."""
    counts: Tensor | None = None
    """What each picture counts, float32 [b]; None: all the same."""


@dataclass(frozen=True)
class Item:
    """One place of a batch, in numbers."""

    picture: int
    """Index into the material's examples and latents."""
    mirrored: bool
    timestep: int
    prompt: str
    noise: int
    """Numbers its noise: those of training steps are step * batch_size + place, from 0 on; what is
    measured beside the training uses negative numbers."""


@dataclass(frozen=True)
class Material:
    """What steps are made from. For a part of the pictures `replace` both examples and latents."""

    examples: Sequence[Example]
    latents: Sequence[Latents]
    """One for each example, on the device."""
    templates: Sequence[str]
    word: str
    """What [name] stands for."""
    tags: Tags = field(default_factory=Tags)
    also: Sequence[str] = ()
    """Other words that are learned: no tag that holds one of them is dropped."""
    together: bool = False
    """Every step has equally many pictures of each value, those of a round with equal noise."""
    _token_ids: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)
    _prepared: dict[tuple, Batch] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The pictures by the shape of their latents: a batch has pictures of one group."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, latents in enumerate(self.latents):
            groups.setdefault(tuple(latents.mean.shape[-2:]), []).append(index)
        return tuple(tuple(groups[shape]) for shape in sorted(groups))

    @cached_property
    def pools(self) -> tuple[tuple[int, ...], ...]:
        """The pictures that places of a round are drawn from: those of each value, where they are
        learned together; else all of them."""
        pools: dict[str, list[int]] = {}
        for index, example in enumerate(self.examples):
            pools.setdefault(example.value if self.together else "", []).append(index)
        return tuple(map(tuple, pools.values()))


@lru_cache(maxsize=4)
def _turns(seed: int, lap: int, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which group has its turn at each of sum(counts) steps, and how many turns it had before.

    A group of n pictures has n turns, spread evenly with a random shift each, so that every picture
    comes equally often, and the shapes alternate.
    """
    rng = np.random.default_rng([seed & 0xFFFFFFFF, 0xB0C4E7, lap])
    times = np.concatenate([(np.arange(n) + rng.random(n)) / n for n in counts])
    order = np.repeat(np.arange(len(counts)), counts)[np.argsort(times, kind="stable")]
    before = np.empty_like(order)
    for group in range(len(counts)):
        before[order == group] = np.arange(counts[group])
    return order, before


def _turn(seed: int, step: int, sizes: Sequence[int]) -> tuple[int, int]:
    """The group whose turn step number `step` is, and how many turns it has had."""
    if len(sizes) == 1:
        return 0, step
    divisor = math.gcd(*sizes)
    counts = tuple(size // divisor for size in sizes)
    lap, place = divmod(step, sum(counts))
    order, before = _turns(seed, lap, counts)
    group = int(order[place])
    return group, lap * counts[group] + int(before[place])


def draw_items(
    material: Material,
    settings: Train,
    seed: int,
    step: int,
    mine: Sequence[int],
    total: int = 1000,
) -> list[Item]:
    """The places `mine` (out of range(batch_size)) of step number `step`; `total`: timesteps of
    the noise schedule. The places of a round have equal timesteps, noises and templates; a round is
    one picture of each value where these are learned together, and else one place."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, 0, step])
    size = settings.batch_size
    low, high = settings.timesteps
    values = len(material.pools)
    rounds = math.ceil(size / values)
    # one timestep from every slice of the range: the same mean as independent draws, less variance
    levels = low + (high - low) * (np.arange(rounds) + rng.random(rounds)) / rounds
    mirrored = rng.integers(0, 2, rounds) if settings.flip else np.zeros(rounds, dtype=int)
    templates = rng.integers(0, len(material.templates), rounds)
    items = []
    for k in mine:
        turn, value = divmod(k, values)
        index = _index(material, seed, step, turn, value, rounds)
        number = step * size + turn * values
        prompt = write_prompt(
            material.templates[int(templates[turn])],
            material.word,
            material.examples[index].caption,
            material.tags,
            material.also,
            (seed, number),
        )
        timestep = min(int(levels[turn] * total), total - 1)
        items.append(Item(index, bool(mirrored[turn]), timestep, prompt, number))
    return items


def _index(material: Material, seed: int, step: int, turn: int, value: int, rounds: int) -> int:
    """The picture for a place of a step: of the shape, or of the value, whose turn it is."""
    if material.together:
        pool = material.pools[value]
        return pool[picked(seed, step * rounds + turn, len(pool), value)]
    group, turns = _turn(seed, step, [len(group) for group in material.groups])
    pictures = material.groups[group]
    return pictures[picked(seed, turns * rounds + turn, len(pictures), group)]


def assemble(sd: StableDiffusion, material: Material, seed: int, items: Sequence[Item]) -> Batch:
    """The tensors of items, whose pictures have one shape, on the model's device."""
    latents = [material.latents[item.picture] for item in items]
    sides = [int(item.mirrored) for item in items]
    mean = torch.stack([one.mean[side] for one, side in zip(latents, sides, strict=True)])
    std = torch.stack([one.std[side] for one, side in zip(latents, sides, strict=True)])
    shape = mean.shape[1:]
    drawn = torch.stack([noise(shape, seed, 2 * item.noise) for item in items]).to(mean.device)
    eps = torch.stack([noise(shape, seed, 2 * item.noise + 1) for item in items])
    weights = None
    if any(one.weights is not None for one in latents):
        even = torch.ones(1, *shape[1:], device=mean.device)
        weights = torch.stack([
            even if one.weights is None else one.weights[side]
            for one, side in zip(latents, sides, strict=True)
        ])  # fmt: skip
    token_ids = torch.cat([_ids_of(sd, material, item.prompt) for item in items])
    counts = [material.examples[item.picture].counts for item in items]
    return Batch(
        (mean + std * drawn).to(sd.device),
        torch.tensor([item.timestep for item in items]).to(sd.device),
        eps.to(sd.device),
        token_ids.to(sd.device),
        weights,
        None if {*counts} == {1.0} else torch.tensor(counts).to(sd.device),
    )


def make_batch(
    sd: StableDiffusion,
    material: Material,
    settings: Train,
    seed: int,
    step: int,
    mine: Sequence[int],
) -> Batch:
    """The places `mine` (out of range(batch_size)) of step number `step`."""
    prepared = material._prepared.pop((settings, seed, step, tuple(mine)), None)
    if prepared is not None:
        return prepared
    total = sd.scheduler_config.get("num_train_timesteps", 1000)
    return assemble(sd, material, seed, draw_items(material, settings, seed, step, mine, total))


def prepare_batch(
    sd: StableDiffusion,
    material: Material,
    settings: Train,
    seed: int,
    step: int,
    mine: Sequence[int],
) -> None:
    """Make a batch that will be asked for next, while the device is at work on another. No bit of
    it depends on that."""
    material._prepared.clear()
    batch = make_batch(sd, material, settings, seed, step, mine)
    material._prepared[settings, seed, step, tuple(mine)] = batch


def _ids_of(sd: StableDiffusion, material: Material, prompt: str) -> Tensor:
    if prompt not in material._token_ids:
        if len(material._token_ids) >= MOST_PROMPTS:
            material._token_ids.clear()
        material._token_ids[prompt] = tokenize(sd, prompt)
    return material._token_ids[prompt]
