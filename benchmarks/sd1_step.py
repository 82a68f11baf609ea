"""One training step at the real size of Stable Diffusion 1.x, with random weights.

    python benchmarks/sd1_step.py [--device cuda]

860 million weights of U-Net, 123 of text encoder, 84 of autoencoder, one picture of 512 px: what a
step costs with the word's rows alone, and with the whole table as diffusers' example does it. On
two CPU cores some minutes and 9 GB.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clip_l
import measuring
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from full_table import WEIGHT_DECAY, restore
from measuring import clock
from torch import Tensor, nn

from diffusion.architecture import SD1
from diffusion.pseudo_word import training_rows
from lab.device import pick_device

ENCODE, FORWARD, ENCODER = "VAE, encoding", "U-Net, forward", "text encoder, forward"
BACKWARD, ADAMW, RESTORE = "backward through both", "AdamW", "restoring the rows"
PARTS = (ENCODE, ENCODER, FORWARD, BACKWARD, ADAMW, RESTORE)
ROWS, TABLE = "rows only (ours)", "full table"


def built(make: Callable[[], nn.Module], device: torch.device, dtype: torch.dtype) -> Any:
    """A frozen network with random weights."""
    return make().to(device, dtype).eval().requires_grad_(False)


class Step:
    """The three networks, one picture, and a clock."""

    def __init__(self, device: torch.device, dtype: torch.dtype, count: int):
        self.device, self.dtype, self.count = device, dtype, count
        self.encoder = clip_l.build(device).to(dtype)
        self.unet = built(lambda: UNet2DConditionModel.from_config(SD1.unet), device, dtype)
        self.vae = built(lambda: AutoencoderKL.from_config(SD1.vae), device, dtype)
        self.pixels = torch.rand(1, 3, 512, 512, device=device, dtype=dtype) * 2 - 1
        self.latents = torch.randn(1, 4, 64, 64, device=device, dtype=dtype)
        self.eps = torch.randn_like(self.latents)
        self.t = torch.tensor([500], device=device)

    def seconds(self, optimizer: torch.optim.Optimizer, encode: bool) -> dict[str, float]:
        """Seconds of the parts of one step."""
        spent: dict[str, float] = {}

        def timed(part: str, work: Callable[[], Any]) -> Any:
            start = clock(self.device)
            found = work()
            spent[part] = clock(self.device) - start
            return found

        x_0 = self.latents
        if encode:
            x_0 = timed(ENCODE, lambda: self.vae.encode(self.pixels).latent_dist.sample().detach())
        ids = clip_l.prompt(self.count, self.device)
        hidden_states = timed(ENCODER, lambda: self.encoder(ids)[0])
        x_t = 0.7 * x_0 + 0.7 * self.eps
        predicted = timed(FORWARD, lambda: self.unet(x_t, self.t, hidden_states).sample)
        loss = (predicted - self.eps).float().square().mean()
        timed(BACKWARD, loss.backward)
        timed(ADAMW, lambda: (optimizer.step(), optimizer.zero_grad()))
        return spent


def rows_only(step: Step) -> Callable[[], dict[str, float]]:
    """A step that trains the rows beside the frozen table; its latents are there already."""
    ids = range(clip_l.TOKENS, clip_l.TOKENS + step.count)
    rows = torch.randn(step.count, clip_l.WIDTH, device=step.device) * 0.02

    def one() -> dict[str, float]:
        with training_rows(step.encoder, ids, rows) as word:
            return step.seconds(torch.optim.AdamW([word.rows]), encode=False)

    return one


def full_table(step: Step) -> Callable[[], dict[str, float]]:
    """A step that encodes its picture, trains the enlarged table and restores it."""
    ids = range(clip_l.TOKENS, clip_l.TOKENS + step.count)

    def one() -> dict[str, float]:
        if step.encoder.get_input_embeddings().weight.shape[0] == clip_l.TOKENS:
            step.encoder.resize_token_embeddings(clip_l.TOKENS + step.count, mean_resizing=False)
        table: Tensor = step.encoder.get_input_embeddings().weight.requires_grad_(True)
        original = table.detach().clone()
        optimizer = torch.optim.AdamW([table], weight_decay=WEIGHT_DECAY)
        spent = step.seconds(optimizer, encode=True)
        start = clock(step.device)
        restore(table, original, ids)
        spent[RESTORE] = clock(step.device) - start
        return spent

    return one


def table_of(parts: dict[str, list[dict[str, float]]]) -> str:
    """The parts of a step of both methods, and the ratio of the whole."""
    rows = []
    middle = {
        name: {
            part: measuring.spread([one[part] for one in each]) for part in PARTS if part in each[0]
        }
        for name, each in parts.items()
    }
    for part in PARTS:
        said = [
            measuring.seconds(middle[name][part]) if part in middle[name] else "-"
            for name in (ROWS, TABLE)
        ]
        rows.append([part, *said])
    whole = {name: [sum(one.values()) for one in each] for name, each in parts.items()}
    rows.append(["a step", *(measuring.seconds(measuring.spread(whole[n])) for n in (ROWS, TABLE))])
    ratio = measuring.times(measuring.ratios(whole[TABLE], whole[ROWS]))
    head = ["part of a step", ROWS, TABLE]
    return f"{measuring.markdown(head, rows)}\n\nThe full table's step takes {ratio} times ours."


def main() -> None:
    options = argparse.ArgumentParser(description="A step at Stable Diffusion 1.x's real size.")
    options.add_argument("--device", default="auto")
    options.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    options.add_argument("--num-vectors", type=int, default=4)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--results", type=Path, default=measuring.HERE / "results")
    chosen = options.parse_args()
    measuring.quieten()
    device = pick_device(chosen.device)
    facts = measuring.machine(device)
    began = time.perf_counter()
    step = Step(device, getattr(torch, chosen.dtype), chosen.num_vectors)
    built_in = time.perf_counter() - began
    parts: dict[str, list[dict[str, float]]] = {ROWS: [], TABLE: []}
    methods = {ROWS: rows_only(step), TABLE: full_table(step)}
    for number in range(-1, chosen.rounds):  # the first warms up: fresh memory is slow
        for name, one in methods.items():
            spent = one()
            print(name, spent, flush=True)
            if number >= 0:
                parts[name].append(spent)
    how = measuring.paragraph(f"""{chosen.rounds} step(s) of each method at batch size 1 and 512 px,
        {chosen.dtype}, {device.type}, {chosen.num_vectors} vectors, random weights of Stable
        Diffusion 1.x's shapes (built in {built_in:.0f} s), after one step of each that is not
        counted. Ours has its latents from the cache; the full table's method encodes its picture in
        every step. The rows' memory is {4 * chosen.num_vectors * clip_l.WIDTH / 1e3:.0f} kB, and
        thrice that with AdamW's; the table's {4 * clip_l.TOKENS * clip_l.WIDTH / 1e6:.0f} MB, its
        gradient's, AdamW's two and the copy to restore from as much each.""")
    title = "# A training step at the size of Stable Diffusion 1.x"
    text = "\n\n".join([title, measuring.described(facts), how, table_of(parts)]) + "\n"
    measuring.keep(chosen.results, "sd1_step", text, {"machine": facts, "seconds": parts})


if __name__ == "__main__":
    measuring.run(main)
