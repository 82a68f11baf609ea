"""What fits on a card of 6, 8, 12 or 24 GB, counted at the real shapes of Stable Diffusion 1.x.

    python benchmarks/memory_tiers.py

Nothing is computed: tensors without content are led through the same calls, and the bytes that live
at once are added up (diffusion/footprint.py). A minute on one core, no GPU.
"""

from collections.abc import Iterator
from typing import Any

import measuring
import torch

from diffusion.architecture import SD1
from diffusion.footprint import (
    GB,
    OVERHEAD,
    TEXT_ENCODER,
    Footprint,
    of_decoding,
    of_prediction,
    of_training,
)

CARDS = (6, 8, 12, 24)
BATCHES = (1, 2, 4, 8, 16)
LATENTS = (4, 64, 64)


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
                ),
            )
    for count in (*BATCHES, 32):
        needed = of_prediction(SD1.unet, torch.float16, (count, *LATENTS), beside=TEXT_ENCODER)
        yield "predictions at once", count, needed
    yield "decoding", 1, of_decoding(SD1.vae, torch.float16, (1, *LATENTS))


def report(found: list[tuple[str, int, Footprint]]) -> str:
    def size(number: float) -> str:
        return f"{number / GB:.2f}"

    rows = []
    for task, count, needed in found:
        fits = ["yes" if needed.total <= card * 1e9 else "no" for card in CARDS]
        parts = [size(needed.weights), size(needed.activations), size(needed.total)]
        rows.append([f"{task}, {count}", *parts, *fits])
    head = ["at 512 px", "weights", "activations", "in all", *(f"{card} GB" for card in CARDS)]
    about = measuring.paragraph(
        f"""GiB in 16 bits, text encoder included, with {OVERHEAD / GB:.1f} GiB allowed for what is
        not counted: the driver's context, workspaces, fragmentation, a desktop. Counted, not
        measured: no GPU was at hand. A card of N GB is taken for N x 10^9 bytes. A picture of the
        guidance sweep takes two predictions a step; training holds a picture's activations until
        the gradient has passed them, checkpointed only those between blocks."""
    )
    table = measuring.markdown(head, rows)
    facts = measuring.described(measuring.machine("cpu"))
    return f"# What fits on a card\n\n{facts}\n\n{about}\n\n{table}\n"


def main() -> None:
    options = measuring.parser("What fits on a card of 6, 8, 12 or 24 GB.").parse_args()
    found = list(tasks())
    numbers: dict[str, Any] = {
        f"{task}, {count}": {"weights": needed.weights, "activations": needed.activations}
        for task, count, needed in found
    }
    measuring.keep(options.results, "memory_tiers", report(found), numbers)


if __name__ == "__main__":
    measuring.run(main)
