"""How many predictions to compute at once: measured once in a run's folder, then kept.

Frames are comparable to the last bit at one batch size only, so the choice must not depend on how
noisy a later measurement is: it is written down beside the frames, and whoever continues reads it.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from diffusion.config import Memory
from diffusion.fitting import budget_of, plan_drawing
from diffusion.stable_diffusion import StableDiffusion
from lab.device import finish, noise
from lab.memory import is_out_of_memory
from lab.run import write_json

FILE = "batch-size.json"
CANDIDATES = {"cpu": (1, 2, 4, 8, 16), "cuda": (4, 8, 16, 32, 64)}
CELLS = {"cpu": 16 * 16 * 16, "cuda": 64 * 64 * 64}
"""Latent cells, h x w x batch, beyond which nothing is tried: memory, and no gain was ever seen."""
ROUNDS = 3
WORTH = 0.97
"""A larger batch must need less than this share of the time; it costs memory and padding."""


def batch_size_for(
    sd: StableDiffusion,
    chosen: int | str,
    folder: Path | None = None,
    memory: Memory = "auto",
    attention: str = "auto",
) -> int:
    """Predictions computed at once: the chosen number; for "auto" the one kept in `folder`, else
    what a measurement finds fastest of the sizes that fit into `memory`, which is then kept there.

    A size is only taken where a row comes out the same, bit by bit, at every place in the batch:
    with unusual shapes and numbers of threads it may not, and the size is 1 then at worst.
    """
    if isinstance(chosen, int):
        return chosen
    about = circumstances(sd, memory)
    if folder is not None and (kept := kept_size(folder, about)):
        return kept
    spent = measure(sd, candidates_for(sd, memory, attention))
    best = choose(spent)
    if folder is not None:
        write_json(
            folder / FILE, {**about, "batch_size": best, "seconds_per_prediction": dict(spent)}
        )
    return best


def circumstances(sd: StableDiffusion, memory: Memory = "auto") -> dict[str, Any]:
    """What a measurement holds for, as JSON.

    Not the number of threads, though it may change what is fastest: `accelerate launch` gives each
    of its processes another one, and frames of a sweep that is continued by more or fewer processes
    would all be drawn anew.
    """
    name = torch.cuda.get_device_name(sd.device) if sd.device.type == "cuda" else "cpu"
    return {
        "model": sd.fingerprint,
        "shape": list(sd.latent_shape()),
        "device": name,
        "dtype": str(sd.dtype),
        **({} if memory == "auto" else {"memory": memory}),
    }


def kept_size(folder: Path, about: dict[str, Any]) -> int | None:
    """The batch size that was chosen in `folder` under these circumstances, if one was."""
    try:
        said = json.loads((folder / FILE).read_text(encoding="utf-8"))
        fits = all(said[key] == value for key, value in about.items())
        return int(said["batch_size"]) if fits else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def candidates_for(
    sd: StableDiffusion, memory: Memory = "auto", attention: str = "auto"
) -> list[int]:
    """The batch sizes worth trying for the model's latents on its device: where its memory is
    counted, those that fit."""
    _, height, width = sd.latent_shape()
    kind = "cuda" if sd.device.type == "cuda" else "cpu"
    fitting = [size for size in CANDIDATES[kind] if size * height * width <= CELLS[kind]]
    fitting = fitting or [1]
    budget = budget_of(memory, sd.device)
    if budget is None:
        return fitting
    found = plan_drawing(sd, sd.latent_shape(), [1, *fitting], budget, attention=attention)
    return [size for size in fitting if size <= found.at_once] or [found.at_once]


def measure(
    sd: StableDiffusion, sizes: list[int], clock: Callable[[], float] = time.perf_counter
) -> dict[int, float]:
    """Seconds for a prediction at each batch size whose places agree, the fastest of some rounds.

    The rounds take turns, so that a machine that is slow for a while is slow for every size.
    """
    calls = {size: prediction_call(sd, size) for size in sizes}
    agreeing = [size for size, call in calls.items() if _fits_and_agrees(call)] or [1]
    spent = dict.fromkeys(agreeing, float("inf"))
    for _ in range(ROUNDS):
        for size in agreeing:
            begin = clock()
            calls[size]()
            finish(sd.device)
            spent[size] = min(spent[size], (clock() - begin) / size)
    return spent


def choose(spent: dict[int, float]) -> int:
    """The smallest size that no larger one beats clearly."""
    best = min(spent)
    for size in sorted(spent):
        if spent[size] < WORTH * spent[best]:
            best = size
    return best


def prediction_call(sd: StableDiffusion, size: int) -> Callable[[], torch.Tensor]:
    """One evaluation of the model on `size` equal rows."""
    width = sd.unet.config["cross_attention_dim"]
    x = noise(sd.latent_shape(), 0, 0).to(sd.device, sd.dtype).repeat(size, 1, 1, 1)
    length = sd.tokenizer.model_max_length
    text = noise((length, width), 0, 1).to(sd.device, sd.dtype).repeat(size, 1, 1)
    t = torch.tensor(500, device=sd.device)

    @torch.no_grad()
    def call() -> torch.Tensor:
        return sd.unet(x, t, encoder_hidden_states=text).sample

    return call


def _fits_and_agrees(call: Callable[[], torch.Tensor]) -> bool:
    try:
        return _rows_agree(call())
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            return False
        raise


def _rows_agree(rows: torch.Tensor) -> bool:
    return all(torch.equal(row, rows[0]) for row in rows)
