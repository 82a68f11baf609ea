"""The README.md of a trained model's folder: what it is, what it learned from, how to use it."""

from pathlib import Path
from typing import TYPE_CHECKING

from ddpm.config import Config, Schedule
from ddpm.data import Pictures
from lab.run import write_text

if TYPE_CHECKING:
    from ddpm.learning import Learned

_CARD = """\
---
library_name: diffusers
pipeline_tag: unconditional-image-generation
tags: [ddpm, unconditional-image-generation, pseudoword]
---

# Pictures of {size} px like {source}

An unconditional diffusion model ({parameters:,} parameters), {origin}, trained with pseudoword on
{trained:,} pictures ({source}). It knows nothing but pictures of this kind.

    from diffusers import DDPMPipeline
    image = DDPMPipeline.from_pretrained("THIS FOLDER")(num_inference_steps={timesteps}).images[0]
{note}
| | |
|---|---|
| pictures: training, validation, test | {trained:,}, {validation:,}, {test:,} |
| noise schedule | {schedule}, {timesteps} timesteps |
| loss | {loss}, {steps:,} steps of {batch} pictures, AdamW at {rate:g}, EMA {ema:g} |
| weights kept | of step {best:,} |
| validation loss there | {value} |
| seed | {seed} |
"""
_ANNOTATED = """
Its U-Net is not one of diffusers': the package pseudoword has to be installed where it is loaded.
"""


def write_card(
    path: Path, config: Config, pictures: Pictures, learned: "Learned", timesteps: int
) -> None:
    """Write the card of the model that `config` trained; `timesteps` are its schedule's."""
    assert config.train is not None and config.data is not None
    schedule, train = config.schedule, config.train
    if schedule is None and not config.model.pretrained:
        schedule = Schedule()
    value = learned.best_validation
    text = _CARD.format(
        size=config.data.size,
        source=config.data.source,
        parameters=learned.parameters,
        origin=(
            f"fine-tuned from {config.model.pretrained}"
            if config.model.pretrained
            else f"of the preset {config.model.preset}, from scratch"
        ),
        trained=len(pictures.train),
        validation=len(pictures.validation),
        test=len(pictures.test),
        schedule=schedule.name + (", scaled" if schedule.scaled else "") if schedule else "its own",
        timesteps=timesteps,
        note=_ANNOTATED if config.model.preset == "manga" and not config.model.pretrained else "",
        loss=train.loss,
        steps=learned.steps,
        batch=learned.batch_size,
        rate=train.learning_rate,
        ema=train.ema,
        best=learned.best_step,
        value="not measured" if value is None else f"{value:.4f}",
        seed=config.seed,
    )
    write_text(path, text)
