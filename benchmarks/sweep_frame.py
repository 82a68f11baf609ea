"""Seconds and memory of a sweep's frame: our cfg sweep against a loop over diffusers' pipeline.

    python benchmarks/sweep_frame.py [--model FOLDER] [--device cuda]

The same prompt, noise, scheduler, steps and scales on the same model; decoding and saving included.
A few minutes on two cores.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import clip_l
import measuring
import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from measuring import megabytes, seconds, spread, times
from PIL import Image

from cfg.config import Config
from cfg.sweep import batch_size_for, chunks_of, frames_of, plain, render
from diffusion.prompts import encode_prompts
from diffusion.stable_diffusion import StableDiffusion, load, locate, make_scheduler
from lab.device import noise
from lab.images import save_png

OURS, PIPELINE, ONE = "cfg sweep (ours)", "loop over the pipeline", "cfg sweep, batch size 1"
ABOVE, BELOW, ALL = "above 1", "from 0 to 1", "all of them"
VARIANTS = (OURS, PIPELINE, ONE)
DEMO_FRAMES = 121  # experiments/storybook.yaml: 0 to 30 by 0.25


def arguments():
    options = measuring.parser("A frame of a sweep: ours against a loop over the pipeline.")
    options.add_argument("--prompt", default="a picture of a house in the style of watercolour")
    options.add_argument("--steps", type=int, default=25)
    options.add_argument("--scheduler", default="ddim")
    options.add_argument("--rounds", type=int, default=3, help="times that each frame is drawn")
    options.add_argument("--text-rounds", type=int, default=7, help="encodings with CLIP-L")
    return options.parse_args()


def scales_for(batch_size: int) -> dict[str, list[Decimal]]:
    """Whole batches, so that no picture is padding: two above 1, up to 30, and one from 0 to 1."""
    above = [1 + Decimal(29 * (k + 1)) / (2 * batch_size) for k in range(2 * batch_size)]
    below = [Decimal(k) / max(1, batch_size - 1) for k in range(batch_size)]
    return {ABOVE: [round(s, 3) for s in above], BELOW: [round(s, 3) for s in below]}


def count_of(scales: dict[str, list[Decimal]], group: str) -> int:
    return sum(map(len, scales.values())) if group == ALL else len(scales[group])


def settings_of(options, steps: int | None = None) -> Config:
    return Config(
        prompt=options.prompt, model=options.model, scheduler=options.scheduler,
        steps=steps or options.steps, guidance_scales=(1.0,),
    )  # fmt: skip


def draw_ours(
    sd: StableDiffusion, config: Config, scales: Sequence[Decimal], folder: Path, batch_size: int
) -> None:
    """What the cfg job does between loading the model and the film."""
    chunks = chunks_of(frames_of(scales, folder, {}), batch_size)
    for _ in render(sd, chunks, config):
        pass


def pipeline_of(sd: StableDiffusion, config: Config) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline(
        vae=sd.vae, text_encoder=sd.text_encoder, tokenizer=sd.tokenizer, unet=sd.unet,
        scheduler=make_scheduler(sd, config.scheduler, config.steps), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw_by_pipeline(
    sd: StableDiffusion, config: Config, scales: Sequence[Decimal], folder: Path
) -> None:
    """One call a scale, from the noise that ours starts from."""
    pipeline = pipeline_of(sd, config)
    latents = noise(sd.latent_shape(), config.seed, 0)[None].to(sd.device, sd.dtype)
    for index, scale in enumerate(scales):
        drawn = pipeline(
            config.prompt, num_inference_steps=config.steps, guidance_scale=float(scale),
            latents=latents.clone(),
        )  # fmt: skip
        save_png(drawn.images[0], folder / f"{index:06}.png")  # type: ignore[union-attr]


def call_for(
    variant: str, sd: StableDiffusion, config: Config, scales: Sequence[Decimal], folder: Path
) -> Callable[[], Any]:
    """Draw these scales by one of the variants into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if variant == PIPELINE:
        return lambda: draw_by_pipeline(sd, config, scales, folder)
    size = 1 if variant == ONE else batch_size_for(sd.latent_shape(), sd.device, "auto")
    return lambda: draw_ours(sd, config, scales, folder, size)


def print_peak(options) -> None:
    """What a child process does: load, remember, draw, print bytes."""
    sd = load(options.model, options.device)
    config = settings_of(options, steps=2)  # a peak does not grow with the number of steps
    scales = scales_for(batch_size_for(sd.latent_shape(), sd.device, "auto"))[ABOVE]
    with tempfile.TemporaryDirectory() as folder:
        call = call_for(options.memory_of, sd, config, scales, Path(folder))
        print(measuring.peak_of(sd.device, call))


def draw_all(
    sd: StableDiffusion, options, scales: dict[str, list[Decimal]], folder: Path
) -> dict[str, dict[str, list[float]]]:
    """Variant -> group of scales -> seconds a frame, round by round."""
    for variant in VARIANTS:  # warm up, with a few steps only
        call_for(variant, sd, settings_of(options, steps=2), scales[ABOVE], folder / "warm")()
    calls = {}
    for group in (ABOVE, BELOW):
        for variant in VARIANTS:
            name = f"{variant}/{group}"
            place = folder / str(VARIANTS.index(variant)) / group.replace(" ", "-")
            calls[name] = call_for(variant, sd, settings_of(options), scales[group], place)
    spent = measuring.interleaved(calls, options.rounds, 0, sd.device)
    frames: dict[str, dict[str, list[float]]] = {}
    for variant in VARIANTS:
        parts = {group: spent[f"{variant}/{group}"] for group in (ABOVE, BELOW)}
        whole = [sum(both) for both in zip(*parts.values(), strict=True)]
        sizes = {group: len(scales[group]) for group in parts} | {
            ALL: sum(map(len, scales.values()))
        }
        frames[variant] = {
            group: [t / sizes[group] for t in spent_on]
            for group, spent_on in {**parts, ALL: whole}.items()
        }
    return frames


def differences(folder: Path, group: str) -> list[int]:
    """For each scale the largest difference of a channel, of 255, between ours and the pipeline."""
    sides = [folder / str(VARIANTS.index(v)) / group.replace(" ", "-") for v in (OURS, PIPELINE)]
    found = []
    for path in sorted(sides[0].glob("*.png")):
        pair = [np.asarray(Image.open(side / path.name).convert("RGB"), int) for side in sides]
        found.append(int(np.abs(pair[0] - pair[1]).max()))
    return found


def seconds_of_text(sd: StableDiffusion, options) -> dict[str, list[float]]:
    """Encoding the prompt and the empty prompt once, with a text encoder of SD 1.x's size."""
    large = dataclasses.replace(sd, text_encoder=clip_l.build(sd.device).to(sd.dtype))
    config = settings_of(options)
    pipeline = pipeline_of(large, config)
    calls: dict[str, Callable[[], Any]] = {
        OURS: lambda: encode_prompts(large, [config.prompt, ""]),
        PIPELINE: lambda: pipeline.encode_prompt(config.prompt, sd.device, 1, True),
    }
    with torch.no_grad():
        return measuring.interleaved(calls, options.text_rounds, 1, sd.device)


def table_of_frames(frames, scales, memory: dict[str, float]) -> str:
    rows = []
    for group in (ABOVE, BELOW, ALL):
        count = count_of(scales, group)
        for variant in VARIANTS:
            values, own = frames[variant][group], frames[OURS][group]
            ratio = "1" if variant == OURS else times(measuring.ratios(values, own))
            rows.append([f"{group} ({count})", variant, seconds(spread(values)), ratio])
    kept = []
    for variant in VARIANTS:
        more = measuring.how_much_more(memory[variant], memory[OURS])
        kept.append([variant, megabytes(memory[variant]), "1" if variant == OURS else more])
    drawn = measuring.markdown(["scales", "method", "a frame", "x ours"], rows)
    peaks = measuring.markdown(["method", "peak memory beyond the model", "x ours"], kept)
    return f"{drawn}\n\n{peaks}"


def table_of_text(text: dict[str, list[float]]) -> str:
    own, other = spread(text[OURS]), spread(text[PIPELINE])
    whole = other.median * DEMO_FRAMES / own.median
    rows = [
        ["one encoding of prompt and empty prompt", seconds(own), seconds(other),
         times(measuring.ratios(text[PIPELINE], text[OURS]))],
        ["encodings in a sweep", "1", str(DEMO_FRAMES), str(DEMO_FRAMES)],
        ["the product of both", f"{measuring.three_digits(own.median)} s",
         f"{measuring.three_digits(other.median * DEMO_FRAMES)} s",
         measuring.three_digits(whole)],
    ]  # fmt: skip
    return measuring.markdown(["text encoding", OURS, PIPELINE, "x ours"], rows)


def report(sd: StableDiffusion, options, facts, scales, frames, differ, text, memory) -> str:
    paragraph = measuring.paragraph
    batch_size = batch_size_for(sd.latent_shape(), sd.device, "auto")
    how = paragraph(f"""Median (quartiles) of {options.rounds} rounds; in each, every method draws
        every scale, and the ratio is taken within the round. {measuring.name_of(sd)},
        {sd.resolution} px, {options.steps} steps of {options.scheduler}, {sd.dtype}
        on {sd.device.type}, our batch size there: {batch_size}. Decoding and saving PNGs included,
        loading the model not. Memory: each method in a process of its own.""")
    wrong = sum(difference > 2 for difference in differ[BELOW])
    what = paragraph(f"""Above 1 both draw the same pictures: no channel differs by more than
        {max(differ[ABOVE])} of 255. From 0 to 1 the pipeline turns guidance off, draws s = 1 at
        every scale and so needs half of the evaluations: {wrong} of its {len(scales[BELOW])}
        pictures differ from ours there by more than 2 (the largest difference is
        {max(differ[BELOW])}). A sweep that steps evenly from 0 to 30 has a thirtieth of its
        scales there, not a third as the rows of all scales have.""")
    encoding = paragraph(f"""CLIP-L's text encoder with random weights; median (quartiles) of
        {options.text_rounds} encodings. The sweep of experiments/storybook.yaml has
        {DEMO_FRAMES} frames; ours encodes once, the pipeline for each.""")
    return "\n\n".join([
        "# A frame of a sweep", measuring.described(facts), how,
        table_of_frames(frames, scales, memory), what,
        "## The text, at the size of Stable Diffusion 1.x", encoding, table_of_text(text),
    ]) + "\n"  # fmt: skip


def main() -> None:
    options = arguments()
    measuring.quieten()
    if options.memory_of:
        print_peak(options)
        return
    locate(options.model)  # a missing model is said before any work
    memory = {variant: measuring.in_own_process(variant) for variant in VARIANTS}
    sd = load(options.model, options.device)
    facts = measuring.machine(sd.device)
    scales = scales_for(batch_size_for(sd.latent_shape(), sd.device, "auto"))
    with tempfile.TemporaryDirectory() as folder:
        frames = draw_all(sd, options, scales, Path(folder))
        differ = {group: differences(Path(folder), group) for group in scales}
    text = seconds_of_text(sd, options)
    numbers = {
        "machine": facts, "model": sd.fingerprint, "steps": options.steps,
        "scheduler": options.scheduler, "prompt": options.prompt,
        "scales": {group: [plain(s) for s in some] for group, some in scales.items()},
        "seconds_per_frame": frames, "largest_differences": differ,
        "seconds_text_encoding": text, "peak_bytes": memory,
    }  # fmt: skip
    said = report(sd, options, facts, scales, frames, differ, text, memory)
    measuring.keep(options.results, "sweep_frame", said, numbers)


if __name__ == "__main__":
    measuring.run(main)
