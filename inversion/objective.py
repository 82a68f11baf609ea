"""The deterministic objective: the loss on one fixed set of pictures, prompts, timesteps, noises.

The loss of a training step says little: most of its changes come from the timesteps and noises that
happened to be drawn. On a fixed set only the word changes, so the curve is one of the word alone
(Voronov et al. 2023, arXiv:2302.04841).
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from diffusion.stable_diffusion import StableDiffusion
from inversion import config as settings
from inversion.batches import Batch, Item, Material, assemble
from inversion.loss import loss_of, timestep_weights
from inversion.stopping import Measured
from inversion.templates import write_prompt
from lab.processes import Processes

COST = 0.05  # most of the training's time that measuring may take
BACKWARD = 2.0  # forward passes that a training step costs: one, and as much again backward
FIRST = -2  # number of the first noise, counted down; training steps use those from 0 on


class Objective:
    """What is measured between the steps of a training, and `trained`, what is left for these."""

    def __init__(
        self,
        sd: StableDiffusion,
        material: Material,
        config: settings.Config,
        processes: Processes,
    ):
        self.every = interval(config.objective, config.train.batch_size)
        self.trained, unseen = split(material, config.objective.held_out, config.seed)
        self._sd, self._processes = sd, processes
        self.config = config
        self._timesteps = sd.scheduler_config.get("num_train_timesteps", 1000)
        self._fixed = self._batches(self.trained, FIRST)
        below = FIRST - config.objective.pictures
        self._unseen = None if unseen is None else self._batches(unseen, below)
        self._weights = timestep_weights(sd, config.train)

    def measure(self, step: int) -> Measured:
        """The losses with the rows that the text encoder has now; the same in every process."""
        began = time.perf_counter()
        held_out = None if self._unseen is None else self._mean(self._unseen)
        value = self._mean(self._fixed)
        return Measured(step, value, held_out, time.perf_counter() - began)

    def _batches(self, material: Material, first: int) -> list[Batch]:
        """This process's share of `pictures` places, in parts no larger than those of a step."""
        train = self.config.train
        places = range(self.config.objective.pictures)
        items = fixed_items(material, self.config, places, first, self._timesteps)
        size = max(1, train.batch_size // train.gradient_accumulation // self._processes.count)
        batches = []
        for group in material.groups:
            mine = self._processes.share([item for item in items if item.picture in group])
            for start in range(0, len(mine), size):
                part = mine[start : start + size]
                batches.append(assemble(self._sd, material, self.config.seed, part))
        return batches

    @torch.no_grad()
    def _mean(self, batches: Sequence[Batch]) -> float:
        total = torch.zeros((), device=self._sd.device)
        for batch in batches:
            total += loss_of(self._sd, batch, self._weights)
        return self._processes.sum(total).item() / self.config.objective.pictures


def interval(objective: settings.Objective, batch_size: int) -> int:
    """Steps between measurements: `every`, or as many as keep the cost below 5%. Counted in
    pictures that pass the U-Net and not in seconds, so that it is the same on every machine."""
    if objective.every:
        return objective.every
    pictures = objective.pictures * (2 if objective.held_out else 1)
    return max(1, math.ceil(pictures / (BACKWARD * batch_size * COST)))


def fixed_items(
    material: Material, config: settings.Config, places: Sequence[int], first: int, total: int
) -> list[Item]:
    """The pictures in their order, again from the start if there are fewer, each with its own noise
    (numbers `first`, `first` - 1, ..., which no training step uses), evenly spread timesteps, and
    templates in turn; values that are learned together have these in common."""
    items = []
    low, high = config.train.timesteps
    values = len(material.pools)
    for k in places:
        picture, turn = k % len(material.examples), k // values
        number = first - turn * values
        prompt = write_prompt(
            material.templates[turn % len(material.templates)],
            material.word,
            material.examples[picture].caption,
            material.tags,
            material.also,
            (config.seed, number),
        )
        # the golden ratio's multiples: evenly spread, and unrelated to the order of the pictures
        level = low + (high - low) * ((turn * 0.6180339887498949 + 0.5) % 1)
        mirrored = config.train.flip and turn % 2 == 1
        items.append(Item(picture, mirrored, int(level * total), prompt, number))
    return items


def split(material: Material, share: float, seed: int) -> tuple[Material, Material | None]:
    """What is trained on, and what is only measured: `share` of the pictures, but at least one on
    each side."""
    held = held_out(len(material.examples), share, seed)
    if not held:
        return material, None
    rest = [k for k in range(len(material.examples)) if k not in held]
    return _chosen(material, rest), _chosen(material, held)


def held_out(count: int, share: float, seed: int) -> list[int]:
    """Which of `count` pictures are held out."""
    held = min(max(1, round(share * count)), count - 1) if share else 0
    order = np.random.default_rng([seed & 0xFFFFFFFF, 0x5EED]).permutation(count)
    return sorted(order[:held].tolist())


def _chosen(material: Material, indices: Sequence[int]) -> Material:
    return replace(
        material,
        examples=[material.examples[k] for k in indices],
        latents=[material.latents[k] for k in indices],
    )
