"""What fits into a device's memory, chosen before the work begins by counting what it needs.

Plans are tried in the order of what they cost: first everything stays on the device, then what is
not used waits elsewhere, then the U-Net's inner values are computed twice, then there are smaller
parts. Nothing here changes a result by more than rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from diffusion.footprint import Footprint, bytes_of, of_decoding, of_prediction, of_training
from diffusion.stable_diffusion import PIXELS_PER_CALL, StableDiffusion


def budget_of(
    memory: float | Literal["auto"], device: torch.device, *, whole: bool = False
) -> int | None:
    """The bytes that work may take: `memory` in GB (10^9 bytes); for "auto" what is free on the GPU
    or is this process's already, with `whole` all that the GPU has. None, on a CPU: no matter."""
    if memory != "auto":
        return int(memory * 1e9)
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    return total if whole else free + torch.cuda.memory_reserved(device)


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest of 1..most that fits, by bisection (what fits, fits when smaller); 0: none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True)
class Plan:
    """How work is done so that it fits."""

    needed: Footprint
    budget: int | None
    """Bytes; None: there was nothing to fit into."""
    at_once: int
    """Pictures of a training step, or predictions of a sweep."""
    checkpointing: bool = False
    resting: str = ""
    """The part of the model that waits in the computer's memory while unused; empty: none."""

    @property
    def fits(self) -> bool:
        """Whether what was counted is within the budget."""
        return self.budget is None or self.needed.total <= self.budget

    def sentence(self, what: str) -> str:
        """What was chosen; `what` is done at once: pictures, predictions."""
        how = [f"{self.at_once} {what if self.at_once > 1 else what.removesuffix('s')} at once"]
        how += ["with gradient checkpointing"] if self.checkpointing else []
        names = {"vae": "the autoencoder", "text_encoder": "the text encoder"}
        how += [f"{names[self.resting]} off the device while unused"] if self.resting else []
        takes = f"{', '.join(how)}: {gigabytes(self.needed.total)} counted"
        if self.budget is None:
            return f"memory: {takes}"
        end = "" if self.fits else ", which is too little: it is tried nevertheless"
        return f"memory: {takes}, {gigabytes(self.budget)} to be had{end}"

    def facts(self) -> dict[str, Any]:
        """The same, as JSON for a manifest."""
        return {
            "counted_bytes": self.needed.total,
            "budget_bytes": self.budget,
            "at_once": self.at_once,
            "gradient_checkpointing": self.checkpointing,
            "off_the_device": self.resting,
        }


def gigabytes(count: int) -> str:
    """Bytes in words: `5.7 GB`, of 10^9 bytes as on a card's box."""
    return f"{count / 1e9:.1f} GB"


def plan_training(
    sd: StableDiffusion,
    latents: Sequence[int],
    most: int,
    budget: int | None,
    checkpointing: bool | Literal["auto"] = "auto",
    *,
    attention: str = "auto",
    previews: int = 0,
) -> Plan:
    """How a step's part of at most `most` pictures with latents [c, h, w] is computed.

    Where nothing fits, the plan that needs least. `previews` are drawn at once between the steps:
    they are counted, but no plan makes them need less.
    """
    counted: dict[tuple[bool, int], Footprint] = {}
    drawing = of_drawing(sd, latents, previews, attention) if previews else None

    def plan(twice: bool, resting: str, count: int) -> Plan:
        if (twice, count) not in counted:
            counted[twice, count] = of_training(
                sd.unet.config,
                sd.dtype,
                (count, *latents),
                gradient_checkpointing=twice,
                attention=attention,
                text_encoder=sd.text_encoder.config,
            )
        there = _weights(sd, resting)
        needed = Footprint(there, counted[twice, count].activations)
        if drawing is not None and drawing.total > needed.total:
            needed = drawing
        return Plan(needed, budget, count, twice, resting)

    ways = [False, True] if checkpointing == "auto" else [checkpointing]
    for twice in ways:
        for resting in ("", "vae"):
            if (whole := plan(twice, resting, most)).fits:
                return whole
    count = largest(lambda count: plan(ways[-1], "vae", count).fits, most)
    return plan(ways[-1], "vae", count or 1)


def of_drawing(
    sd: StableDiffusion, latents: Sequence[int], count: int, attention: str, resting: str = ""
) -> Footprint:
    """Predictions at `count` places, and decoding what comes of them."""
    step = of_prediction(sd.unet.config, sd.dtype, (count, *latents), attention=attention)
    pixels = latents[-2] * latents[-1] * sd.vae_factor**2
    pictures = max(1, min(count, PIXELS_PER_CALL // pixels))
    end = of_decoding(sd.vae.config, sd.dtype, (pictures, *latents))
    return Footprint(_weights(sd, resting), max(step.activations, end.activations))


def plan_drawing(
    sd: StableDiffusion,
    latents: Sequence[int],
    sizes: Sequence[int],
    budget: int | None,
    *,
    attention: str = "auto",
) -> Plan:
    """How predictions are made, at the largest of the `sizes` that fits; where none does, at the
    smallest."""
    sizes = sorted(sizes)
    counted: dict[int, Footprint] = {}

    def plan(count: int, resting: str) -> Plan:
        if count not in counted:
            counted[count] = of_drawing(sd, latents, count, attention)
        return Plan(
            Footprint(_weights(sd, resting), counted[count].activations),
            budget,
            count,
            resting=resting,
        )

    place = largest(lambda place: plan(sizes[place - 1], "text_encoder").fits, len(sizes))
    size = sizes[max(place, 1) - 1]
    whole = plan(size, "")
    return whole if whole.fits else plan(size, "text_encoder")


def _weights(sd: StableDiffusion, resting: str) -> int:
    parts: dict[str, nn.Module] = {
        "unet": sd.unet,
        "vae": sd.vae,
        "text_encoder": sd.text_encoder,
    }
    return sum(bytes_of(module) for name, module in parts.items() if name != resting)
