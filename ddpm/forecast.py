"""What a run will cost, before it is begun: trainings, evaluations of the U-Net, time here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from ddpm.config import Config, Data
from ddpm.data import Pictures, Scan
from ddpm.denoising import denoise
from ddpm.guidance import guided_by
from ddpm.guide_config import Lead
from ddpm.guides import LOSSES
from ddpm.guiding import rows_of
from ddpm.learning import open_model
from ddpm.measuring import BLOCK
from ddpm.studies import WAYS, schedules_asked
from ddpm.training import Trainer, train
from ddpm.variants import asked_variants, schedule_of, variants
from lab.device import finish
from lab.forecast import duration, seconds_of
from lab.processes import Processes

TIMED = 2  # training steps after the first, in which much is made once


@dataclass(frozen=True)
class Drawing:
    """Calls of the U-Net that a stage makes, all of them with equally many pictures."""

    stage: str
    calls: int
    at_once: int
    """Pictures of a call."""
    scales: tuple[float, ...] = ()
    """Of the losses that lead; empty or all zero: nothing does."""
    lead: Lead | None = None

    @property
    def kind(self) -> tuple[int, str, tuple[int, ...]]:
        """Equal for calls that take equally long: so many pictures, led by these losses."""
        led = [k for k, scale in enumerate(self.scales) if scale]
        return self.at_once, self.stage if led else "", tuple(led)


def trainings(config: Config) -> int:
    """How many models are trained: the experiment's own, and one for each other schedule that the
    studies ask for."""
    if config.train is None:
        return 0
    others = {v.name for v in asked_variants(config) if schedule_of(config, v) != config.schedule}
    return 1 + len(others)


def drawings(config: Config, timesteps: int, measured: int) -> list[Drawing]:
    """What the stages draw.

    Args:
        timesteps: of the model's own schedule.
        measured: pictures that `measure` draws, where that is asked for.
    """
    sample = config.sample
    steps, size = sample.steps or timesteps, sample.batch_size
    found = [Drawing("samples", _batches(sample.count, size) * steps, size)]
    found += _of_studies(config, timesteps)
    if (guide := config.guide) is not None:
        batches = _batches(max(guide.pictures, guide.measured), size)
        for row in rows_of(guide.losses, guide.strengths):
            found.append(Drawing("guidance", batches * steps, size, row.scales, guide))
    if (film := config.film) is not None:
        found.append(Drawing("film", steps, film.pictures))
        if film.guide is not None:
            scales = tuple(loss.scale for loss in film.guide.losses)
            found.append(Drawing("film", steps, film.pictures, scales, film.guide))
    if config.measure is not None:
        blocks = [min(BLOCK, measured - start) for start in range(0, measured, BLOCK)]
        calls = sum(_batches(block, size) for block in blocks) * steps
        found.append(Drawing("measures", calls, size))
    return [each for each in found if each.calls]


def _of_studies(config: Config, timesteps: int) -> list[Drawing]:
    study, size = config.study, config.sample.batch_size
    calls: list[int] = []
    if study is not None and (asked := study.timesteps) is not None:
        batches = _batches(max(asked.pictures, asked.measured), size)
        calls += [batches * v.count for v in variants(config, asked.counts, asked.scaled)]
    if study is not None and (asked := study.randomness) is not None:
        batches = _batches(max(asked.pictures, asked.measured, 2), size)
        calls += [batches * timesteps * len(WAYS) for _ in schedules_asked(config, asked)]
    if study is not None and (asked := study.samplers) is not None:
        batches = _batches(max(asked.pictures, asked.measured), size)
        steps = dict.fromkeys(min(count, timesteps) for count in asked.steps)
        calls += [batches * sum(steps) * len(asked.samplers)]
    return [Drawing("studies", count, size) for count in calls]


def _batches(pictures: int, size: int) -> int:
    return math.ceil(pictures / size)


def seconds_of_training(
    config: Config, device: torch.device, dtype: torch.dtype, there: int
) -> float:
    """How long a training with `there` pictures takes here: a few of its steps are taken. That
    measuring a picture takes a third of learning from it is assumed."""
    assert config.train is not None and config.data is not None
    unet, scheduler = open_model(config, device)
    unet.requires_grad_(True)
    trainer = Trainer(unet, scheduler, _blank(config.data, there), config, dtype, Processes.alone())
    steps = train(trainer)
    _, state = next(steps)
    taken = min(TIMED, config.train.steps - 1)
    wait = partial(finish, device)
    step = seconds_of(lambda: next(steps), taken, wait) if taken else 0.0
    looks = config.train.steps // config.train.validate_every
    validated = min(config.train.validation_pictures, round(there * config.data.validation))
    return step * (config.train.steps + looks * validated / state.batch_size / 3)


def _blank(data: Data, count: int) -> Pictures:
    """So many black pictures to learn from."""
    pixels = np.broadcast_to(np.zeros((), np.uint8), (count, data.size, data.size, 3))
    size = (data.size, data.size)
    names, scan = ("",) * count, Scan(count, size, size, data.size, 0, 0)
    return Pictures(pixels, names, tuple(range(count)), (), (), scan)


def seconds_of_drawing(
    drawn: Sequence[Drawing], unet: Any, scheduler: Any, sampler: str, dtype: torch.dtype
) -> float:
    """How long the drawings take here: one call of each kind is timed."""
    device = next(unet.parameters()).device
    known: dict[tuple, float] = {}
    for each in drawn:
        if each.kind in known:
            continue
        losses = each.lead.losses if each.lead else ()
        guides = [LOSSES[loss.loss](loss, device) for loss in losses]
        guidance = None
        if each.lead is not None:
            led = list(zip(guides, each.scales, strict=True))
            guidance = guided_by(led, each.lead.form, each.lead.weight)

        def call(seeds=range(each.at_once), guidance=guidance):
            settings = {"sampler": sampler, "guidance": guidance, "dtype": dtype}
            next(denoise(unet, scheduler, seeds=seeds, **settings))

        known[each.kind] = seconds_of(call, wait=partial(finish, device))
    return sum(each.calls * known[each.kind] for each in drawn)


def sentences(
    config: Config, device: torch.device, dtype: torch.dtype, there: int | None
) -> list[str]:
    """What a run would do and how long that takes here. `there` are the pictures of the data; None:
    there are no data."""
    unet, scheduler = open_model(config, device)
    timesteps = int(scheduler.config["num_train_timesteps"])
    said = [] if there is None else [f"{there:,} pictures"]
    if (models := trainings(config)) and there is not None and config.data is not None:
        assert config.train is not None
        left = there - round(there * config.data.validation) - round(there * config.data.test)
        one = seconds_of_training(config, device, dtype, max(1, left))
        every = f"{models} trainings of " if models > 1 else "training: "
        said.append(
            f"{every}at most {config.train.steps:,} steps of {config.train.batch_size} pictures, "
            f"about {duration(models * one)}"
        )
    tested = round((there or 0) * config.data.test) if config.data else 0
    measured = (config.measure.count or tested // 2) if config.measure else 0
    drawn = drawings(config, timesteps, measured)
    if drawn:
        stages = ", ".join(dict.fromkeys(each.stage for each in drawn))
        calls = sum(each.calls for each in drawn)
        seconds = seconds_of_drawing(drawn, unet, scheduler, config.sample.sampler, dtype)
        said.append(
            f"drawing ({stages}): {calls:,} evaluations of the U-Net, about {duration(seconds)}"
        )
    return [*said, "films, tables and a VAE to compare with are not counted"]
