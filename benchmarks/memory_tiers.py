"""What fits on a card of 6, 8, 12 or 24 GB, counted at the real shapes of Stable Diffusion 1.x.

    python benchmarks/memory_tiers.py

The plans are those that the jobs choose by themselves (diffusion/fitting.py). Nothing is computed:
tensors without content are led through the same calls, and the bytes that live at once are added up
(diffusion/footprint.py). Two minutes on one core, no GPU.
"""

from collections.abc import Iterator
from typing import Any

import measuring
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from cfg.batching import CANDIDATES
from diffusion.architecture import SD1
from diffusion.fitting import Plan, gigabytes, plan_drawing, plan_training
from diffusion.footprint import (
    GB,
    OVERHEAD,
    TEXT_ENCODER,
    Footprint,
    of_decoding,
    of_prediction,
    of_training,
)
from diffusion.stable_diffusion import StableDiffusion
from inversion.config import Previews, Train

CARDS = (4, 6, 8, 12, 24)
BATCHES = (1, 2, 4, 8, 16)
LATENTS = (4, 64, 64)
Chosen = tuple[str, int, str, Plan]
"""The task, the card's GB, the numbers, and how it is done."""
TRAINING, SWEEPING = "training, steps of {} pictures", "sweeping"


def tasks() -> Iterator[tuple[str, int, Footprint]]:
    """What is done, at how many pictures or predictions at once, and what that needs."""
    for checkpointing in (False, True):
        task = "training, checkpointed" if checkpointing else "training"
        for count in BATCHES:
            yield (
                task,
                count,
                of_training(
                    SD1.unet,
                    torch.bfloat16,
                    (count, *LATENTS),
                    gradient_checkpointing=checkpointing,
                    beside=TEXT_ENCODER,
                    text_encoder=SD1.text_encoder,
                ),
            )
    for count in (*BATCHES, 32):
        needed = of_prediction(SD1.unet, torch.float16, (count, *LATENTS), beside=TEXT_ENCODER)
        yield "predictions at once", count, needed
    yield "decoding", 1, of_decoding(SD1.vae, torch.float16, (1, *LATENTS))


def without_weights(dtype: torch.dtype) -> StableDiffusion:
    """The shapes of Stable Diffusion 1.x in these numbers, and nothing in them."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            unet: Any = UNet2DConditionModel.from_config(SD1.unet)
            vae: Any = AutoencoderKL.from_config(SD1.vae)
            text_encoder: Any = CLIPTextModel(CLIPTextConfig(**SD1.text_encoder))
    finally:
        torch.set_default_dtype(before)
    nobody: Any = None
    return StableDiffusion(
        tokenizer=nobody, text_encoder=text_encoder, vae=vae, unet=unet,
        scheduler_config=SD1.scheduler, device=torch.device("cpu"), dtype=dtype, name="SD 1.x",
        fingerprint="",
    )  # fmt: skip


def plans() -> Iterator[Chosen]:
    """What the jobs choose."""
    step, previews = Train().batch_size, len(Previews().prompts)
    for card in CARDS:
        sd = without_weights(torch.bfloat16)
        plan = plan_training(sd, LATENTS, step, int(card * 1e9), previews=previews)
        yield TRAINING.format(step), card, "bf16", plan
    for card in CARDS:
        sizes = [1, *CANDIDATES["cuda"]]
        plan = plan_drawing(without_weights(torch.float16), LATENTS, sizes, int(card * 1e9))
        yield SWEEPING, card, "fp16", plan


def table_of_plans(chosen: list[Chosen]) -> str:
    """A row for each task and card."""
    parts = {"": "nothing", "vae": "autoencoder", "text_encoder": "text encoder"}
    rows = [
        [f"{task}, {card} GB", numbers, str(plan.at_once), "yes" if plan.checkpointing else "no",
         "one picture", parts[plan.resting], gigabytes(plan.needed.total),
         "yes" if plan.fits else "no"]
        for task, card, numbers, plan in chosen
    ]  # fmt: skip
    return measuring.markdown(
        ["what, on a card of", "numbers", "at once", "checkpointing", "VAE at a time",
         "off the device", "counted", "fits"],
        rows,
    )  # fmt: skip


def table_of_tasks(found: list[tuple[str, int, Footprint]]) -> str:
    def size(number: float) -> str:
        return f"{number / GB:.2f}"

    rows = []
    for task, count, needed in found:
        fits = ["yes" if needed.total <= card * 1e9 else "no" for card in CARDS]
        parts = [size(needed.weights), size(needed.activations), size(needed.total)]
        rows.append([f"{task}, {count}", *parts, *fits])
    head = ["at 512 px", "weights", "activations", "in all", *(f"{card} GB" for card in CARDS)]
    return measuring.markdown(head, rows)


def report(chosen: list[Chosen], found: list[tuple[str, int, Footprint]]) -> str:
    about = measuring.paragraph(
        f"""At 512 px, counted and not measured: no GPU was at hand. A card of N GB is taken for N x
        10^9 bytes, of which {OVERHEAD / GB:.1f} GiB is allowed for what is not counted: the
        driver's context, workspaces, fragmentation, a desktop. Counted are the weights of all parts
        that stay on the device, and what the U-Net and, while training, the text encoder keep until
        the gradient has passed. *At once*: pictures of a training step's part, or predictions, of
        which a picture of the sweep takes two a step."""
    )
    parts = measuring.paragraph(
        """GiB in 16 bits. The weights are those of U-Net and text encoder, for decoding those of
        the autoencoder; checkpointed, only the values between blocks are kept."""
    )
    facts = measuring.described(measuring.machine("cpu"))
    return "\n\n".join([
        "# What fits on a card", facts, "## What is chosen", about, table_of_plans(chosen),
        "## What the parts need", parts, table_of_tasks(found),
    ]) + "\n"  # fmt: skip


def main() -> None:
    options = measuring.parser("What fits on a card of 6, 8, 12 or 24 GB.").parse_args()
    chosen, found = list(plans()), list(tasks())
    numbers: dict[str, Any] = {
        f"{task}, {count}": {"weights": needed.weights, "activations": needed.activations}
        for task, count, needed in found
    }
    numbers |= {f"{task}, {card} GB": plan.facts() for task, card, _, plan in chosen}
    measuring.keep(options.results, "memory_tiers", report(chosen, found), numbers)


if __name__ == "__main__":
    measuring.run(main)
