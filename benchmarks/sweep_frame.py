"""Seconds and memory of a sweep's frame: our cfg sweep against a loop over diffusers' pipeline.

    python benchmarks/sweep_frame.py [--model FOLDER] [--device cuda]

The same prompt, noise, scheduler, steps and scales on the same model; decoding and saving included.
Also against the bare evaluations that ours makes: what is above them is our overhead. Below four
minutes on two cores.
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

from cfg import batching
from cfg.cells import frames_of, lines_of, plain
from cfg.config import Config
from cfg.sweep import render, waves_of
from diffusion.prompts import encode_prompts
from diffusion.stable_diffusion import StableDiffusion, decode, load, locate, make_scheduler
from lab.device import noise
from lab.images import save_png

OURS, BARE, PIPELINE = "cfg sweep (ours)", "its evaluations alone", "loop over the pipeline"
VARIANTS = (OURS, BARE, PIPELINE)
SWEEP = (Decimal(0), Decimal(1), *(Decimal(k) * 20 / 32 for k in range(2, 33)))
BELOW = tuple(Decimal(k) / 8 for k in range(9))
DEMO_FRAMES = 121  # experiments/storybook.yaml: 0 to 30 by 0.25


def arguments():
    options = measuring.parser("A frame of a sweep: ours against a loop over the pipeline.")
    options.add_argument("--prompt", default="a picture of a house in the style of watercolour")
    options.add_argument("--steps", type=int, default=25)
    options.add_argument("--scheduler", default="ddim")
    options.add_argument("--rounds", type=int, default=3, help="times that each frame is drawn")
    options.add_argument("--batch-size", type=int, help="of ours; default: as the job measures it")
    options.add_argument("--text-rounds", type=int, default=7, help="encodings with CLIP-L")
    return options.parse_args()


def settings_of(options, steps: int | None = None) -> Config:
    return Config(
        prompt=options.prompt, model=options.model, scheduler=options.scheduler,
        steps=steps or options.steps, guidance_scales=(1.0,),
    )  # fmt: skip


class Evaluations:
    """Counts what ours asks of the model, and asks the same again without anything else."""

    def __init__(self, sd: StableDiffusion, batch_size: int):
        self._sd, self._batch_size = sd, batch_size
        self.predictions = self.decodings = 0
        sd.unet.register_forward_hook(self._predicted)
        sd.vae.decoder.register_forward_hook(self._decoded)
        self._counting = False

    def _predicted(self, *_) -> None:
        self.predictions += self._counting

    def _decoded(self, *_) -> None:
        self.decodings += self._counting

    def count(self, call: Callable[[], Any]) -> None:
        """Make the call and count the evaluations in it."""
        self.predictions = self.decodings = 0
        self._counting = True
        call()
        self._counting = False

    def repeat(self) -> None:
        """The evaluations that were counted last, on anything."""
        predict = batching.prediction_call(self._sd, self._batch_size)
        shape = (max(1, self._batch_size // 2), *self._sd.latent_shape())
        latents = noise(shape, 0, 0).to(self._sd.device)
        for _ in range(self.predictions):
            predict()
        for _ in range(self.decodings):
            decode(self._sd, latents)


def draw_ours(
    sd: StableDiffusion, config: Config, scales: Sequence[Decimal], folder: Path, batch_size: int
) -> None:
    """What the cfg job does between loading the model and showing the pictures."""
    (line,) = lines_of(config, ())
    for _ in render(sd, waves_of(frames_of(line, scales, folder, {}), batch_size), batch_size):
        pass


def pipeline_of(sd: StableDiffusion, config: Config) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline(
        vae=sd.vae, text_encoder=sd.text_encoder, tokenizer=sd.tokenizer, unet=sd.unet,
        scheduler=make_scheduler(sd, config.scheduler, config.step_counts[0]), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw_by_pipeline(
    sd: StableDiffusion, config: Config, scales: Sequence[Decimal], folder: Path
) -> None:
    """One call a scale, from the noise that ours starts from."""
    pipeline = pipeline_of(sd, config)
    latents = noise(sd.latent_shape(), config.seeds[0], 0)[None].to(sd.device, sd.dtype)
    for index, scale in enumerate(scales):
        drawn = pipeline(
            config.prompts[0], num_inference_steps=config.step_counts[0],
            guidance_scale=float(scale), latents=latents.clone(),
        )  # fmt: skip
        save_png(drawn.images[0], folder / f"{index:06}.png")  # type: ignore[union-attr]


def calls_for(
    sd: StableDiffusion, config: Config, scales: Sequence[Decimal], folder: Path, size: int
) -> dict[str, Callable[[], Any]]:
    """Draw these scales by each of the variants into a folder of its own."""
    evaluations = Evaluations(sd, size)
    places = {variant: folder / str(k) for k, variant in enumerate(VARIANTS)}
    return {
        OURS: lambda: evaluations.count(lambda: draw_ours(sd, config, scales, places[OURS], size)),
        BARE: evaluations.repeat,
        PIPELINE: lambda: draw_by_pipeline(sd, config, scales, places[PIPELINE]),
    }


def print_peak(options) -> None:
    """What a child process does: load, remember, draw, print bytes."""
    sd = load(options.model, options.device)
    config = settings_of(options, steps=2)  # a peak does not grow with the number of steps
    with tempfile.TemporaryDirectory() as folder:
        calls = calls_for(sd, config, SWEEP, Path(folder), options.batch_size)
        print(measuring.peak_of(sd.device, calls[options.memory_of]))


def draw_all(
    sd: StableDiffusion, options, size: int, folder: Path, scales: Sequence[Decimal] = SWEEP
) -> dict[str, list[float]]:
    """Variant -> seconds a frame, round by round."""
    for call in calls_for(
        sd, settings_of(options, steps=2), scales, folder / "warm", size
    ).values():
        call()
    calls = calls_for(sd, settings_of(options), scales, folder / "sweep", size)
    spent = measuring.interleaved(calls, options.rounds, 0, sd.device)
    return {variant: [t / len(scales) for t in values] for variant, values in spent.items()}


def differences(folder: Path) -> list[int]:
    """For each scale the largest difference of a channel, of 255, between ours and the pipeline."""
    ours = sorted((folder / str(VARIANTS.index(OURS))).rglob("*.png"))
    theirs = sorted((folder / str(VARIANTS.index(PIPELINE))).glob("*.png"))
    found = []
    for pair in zip(ours, theirs, strict=True):
        a, b = (np.asarray(Image.open(path).convert("RGB"), int) for path in pair)
        found.append(int(np.abs(a - b).max()))
    return found


def seconds_of_text(sd: StableDiffusion, options) -> dict[str, list[float]]:
    """Encoding the prompt and the empty prompt once, with a text encoder of SD 1.x's size."""
    large = dataclasses.replace(sd, text_encoder=clip_l.build(sd.device).to(sd.dtype))
    config = settings_of(options)
    pipeline = pipeline_of(large, config)
    calls: dict[str, Callable[[], Any]] = {
        OURS: lambda: encode_prompts(large, [*config.prompts, ""]),
        PIPELINE: lambda: pipeline.encode_prompt(config.prompts[0], sd.device, 1, True),
    }
    with torch.no_grad():
        return measuring.interleaved(calls, options.text_rounds, 1, sd.device)


def table_of_frames(frames: dict[str, list[float]], memory: dict[str, float]) -> str:
    rows = []
    for variant in VARIANTS:
        ratio = "1" if variant == OURS else times(measuring.ratios(frames[variant], frames[OURS]))
        more = measuring.how_much_more(memory[variant], memory[OURS]) if variant in memory else "-"
        kept = megabytes(memory[variant]) if variant in memory else "-"
        more = "1" if variant == OURS else more
        rows.append([variant, seconds(spread(frames[variant])), ratio, kept, more])
    return measuring.markdown(["method", "a frame", "x ours", "peak memory", "x ours"], rows)


def table_of_batches(spent: dict[int, float]) -> str:
    best = min(spent.values())
    rows = [
        [str(size), f"{1000 * t:.3g} ms", f"{t / best:.2f}"] for size, t in sorted(spent.items())
    ]
    return measuring.markdown(["batch size", "a prediction", "x the fastest"], rows)


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


def report(sd: StableDiffusion, options, facts, size, batches, frames, differ, text, memory) -> str:
    paragraph = measuring.paragraph
    how = paragraph(f"""Median (quartiles) of {options.rounds} rounds; in each, every method draws
        the {len(SWEEP)} scales 0, 1 and evenly on to 20, and the ratio is taken within the round.
        {measuring.name_of(sd)}, {sd.resolution} px, {options.steps} steps of {options.scheduler},
        {sd.dtype} on {sd.device.type}, our batch size: {size} predictions. Decoding and saving
        PNGs included, loading the model not. Memory beyond the model, each method in a process of
        its own. The evaluations alone are as many calls of the U-Net and the decoder as ours
        makes, on noise.""")
    over = measuring.ratios(frames[OURS], frames[BARE])
    wrong = sum(difference > 2 for difference in differ["below"])
    what = paragraph(f"""Ours needs {times(over)} times the time of its evaluations alone. At scales
        of 1 and above both draw the same pictures: no channel differs by more than
        {max(differ["sweep"][1:])} of 255. Below 1 the pipeline turns guidance off and draws s = 1:
        of the {len(BELOW)} scales from 0 to 1, {wrong} of its pictures differ from ours by more
        than 2 (at most by {max(differ["below"])}).""")
    measured = paragraph("""Seconds for a prediction by batch size, the fastest of three calls each:
        what the job measures where batch_size is auto.""")
    encoding = paragraph(f"""CLIP-L's text encoder with random weights; median (quartiles) of
        {options.text_rounds} encodings. The sweep of experiments/storybook.yaml has
        {DEMO_FRAMES} frames; ours encodes once, the pipeline for each.""")
    return "\n\n".join([
        "# A frame of a sweep", measuring.described(facts), how,
        table_of_frames(frames, memory), what,
        "## The batch size", measured, table_of_batches(batches),
        "## The text, at the size of Stable Diffusion 1.x", encoding, table_of_text(text),
    ]) + "\n"  # fmt: skip


def main() -> None:
    options = arguments()
    measuring.quieten()
    if options.memory_of:
        print_peak(options)
        return
    locate(options.model)  # a missing model is said before any work
    sd = load(options.model, options.device)
    facts = measuring.machine(sd.device)
    batches = batching.measure(sd, batching.candidates_for(sd))
    size = options.batch_size or batching.choose(batches)
    with tempfile.TemporaryDirectory() as folder:
        frames = draw_all(sd, options, size, Path(folder))
        for variant, call in calls_for(
            sd, settings_of(options), BELOW, Path(folder) / "below", size
        ).items():
            if variant != BARE:
                call()
        differ = {group: differences(Path(folder) / group) for group in ("sweep", "below")}
    text = seconds_of_text(sd, options)
    memory = {v: measuring.in_own_process(v, f"--batch-size={size}") for v in (OURS, PIPELINE)}
    numbers = {
        "machine": facts, "model": sd.fingerprint, "steps": options.steps,
        "scheduler": options.scheduler, "prompt": options.prompt, "batch_size": size,
        "scales": [plain(s) for s in SWEEP], "seconds_per_frame": frames,
        "seconds_per_prediction": batches, "largest_differences": differ,
        "seconds_text_encoding": text, "peak_bytes": memory,
    }  # fmt: skip
    said = report(sd, options, facts, size, batches, frames, differ, text, memory)
    measuring.keep(options.results, "sweep_frame", said, numbers)


if __name__ == "__main__":
    measuring.run(main)
