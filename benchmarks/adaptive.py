"""An adaptive sweep against every scale drawn: how many pictures, and what the others would show.

    python benchmarks/adaptive.py [--outputs FOLDER] [--seed 3] [--step 0.02]

Draws the published study's 1,001 scales densely and adaptively, compares the files of both byte for
byte, and every skipped picture with the one that a film shows in its place. Ten minutes on two
quiet cores; with --outputs a stopped run continues.
"""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import measuring
import numpy as np

from cfg import adaptive, batching, job
from cfg.cells import Frame, Sweep
from cfg.config import THRESHOLD, Config
from cfg.frames import read_frame
from cfg.study import draw
from diffusion.stable_diffusion import StableDiffusion, load
from lab.processes import Processes
from lab.run import Run
from metrics import perceptual

OTHERS = (THRESHOLD / 2, 2 * THRESHOLD)


@dataclass(frozen=True)
class Outcome:
    """What an adaptive sweep draws and what its film would hide."""

    threshold: float
    drawn: int
    jumps: int
    worst: float
    """Largest difference of a skipped picture from the one shown for it, in just noticeable
    differences."""
    median: float
    """Of the same over the skipped pictures."""


def arguments():
    options = measuring.parser("An adaptive sweep against every scale drawn.")
    options.add_argument("--prompt", default="a picture of a house in the style of watercolour")
    options.add_argument("--seed", type=int, default=3)
    options.add_argument("--to", type=float, default=20.0)
    options.add_argument("--step", type=float, default=0.02)
    options.add_argument("--steps", type=int, default=25)
    options.add_argument("--scheduler", default="ddim")
    options.add_argument("--batch-size", type=int, help="default: as the job measures it")
    options.add_argument("--outputs", type=Path, help="where pictures are kept for another run")
    return options.parse_args()


def settings_of(options, sparing: bool) -> Config:
    """The study, with every scale or adaptively."""
    scales = {"from": 0.0, "to": options.to, "step": options.step, "adaptive": sparing}
    return Config.model_validate_json(
        json.dumps({
            "prompt": options.prompt, "seed": options.seed, "steps": options.steps,
            "scheduler": options.scheduler, "model": options.model, "device": options.device,
            "guidance_scales": scales,
        })
    )  # fmt: skip


def drawn(
    sd: StableDiffusion, config: Config, batch_size: int, outputs: Path, name: str
) -> tuple[Sweep, float]:
    """Draw what the cfg job draws; the sweep and the seconds it took."""
    run = Run(outputs, name, "cfg")
    settings = job.what_decides_the_pixels(config, ())
    plan = job.plan_of(config, (), settings, batch_size, run.folder / "frames")
    work = draw(plan, sd, run, Processes(config.device))
    begin = time.monotonic()
    while True:
        try:
            progress = next(work)
        except StopIteration as ended:
            print(file=sys.stderr)
            return ended.value, time.monotonic() - begin
        print(f"\r{name}: {progress.done} of {progress.total}  ", end="", file=sys.stderr)


def outcome(
    frames: Sequence[Frame], chosen: Sequence[int], threshold: float, features: Sequence
) -> Outcome:
    """Judge the choice of some of all frames; a skipped one is shown as the drawn one below it."""

    def difference(a: int, b: int) -> float:
        return perceptual.between(features[a], features[b])

    shown = np.searchsorted(chosen, range(len(frames)), side="right") - 1
    hidden = [
        difference(chosen[k], index) for index, k in enumerate(shown) if chosen[k] != index
    ] or [0.0]
    jumps = len(adaptive.jumps(chosen, difference, threshold))
    return Outcome(threshold, len(chosen), jumps, max(hidden), float(np.median(hidden)))


def refined(scales, features: Sequence, threshold: float) -> list[int]:
    """The choice that an adaptive sweep makes at a threshold, from pictures that are all there."""

    def difference(a: int, b: int) -> float:
        return perceptual.between(features[a], features[b])

    chosen = adaptive.first_indices(scales)
    while more := adaptive.midpoints(chosen, difference, threshold):
        chosen = sorted({*chosen, *more})
    return chosen


def unequal(sparing: Sweep, dense: Sweep) -> int:
    """How many files of the adaptive sweep are not, byte for byte, those of the dense one."""
    return sum(
        frame.path.read_bytes() != dense.frames[frame.index].path.read_bytes()
        for frame in sparing.frames
    )


def table(outcomes: Sequence[Outcome], count: int) -> str:
    rows = [
        [f"{o.threshold:g}", str(o.drawn), f"{o.drawn / count:.1%}", f"{o.worst:.2f}",
         f"{o.median:.2f}", str(o.jumps)]
        for o in outcomes
    ]  # fmt: skip
    head = ["threshold", "drawn", "of all", "worst skipped", "median skipped", "jumps"]
    return measuring.markdown(head, rows)


def report(sd, options, facts, size, outcomes, count, differing, seconds) -> str:
    paragraph = measuring.paragraph
    how = paragraph(f"""{count:,} scales from 0 to {options.to:g} by {options.step:g},
        "{options.prompt}", seed {options.seed}, {options.steps} steps of {options.scheduler}.
        {measuring.name_of(sd)}, {sd.resolution} px, batch size {size}. Differences are just
        noticeable ones at the place of the picture where most happens (metrics/perceptual.py);
        skipped is compared with shown: a film shows the drawn picture below.""")
    default = next(o for o in outcomes if o.threshold == THRESHOLD)
    what = paragraph(f"""Drawn at the default threshold, {default.threshold:g}: {default.drawn} of
        {count:,} pictures in {seconds["adaptive"]:.0f} s; all of them in {seconds["dense"]:.0f} s.
        {differing} of the {default.drawn} files differ in a byte from those of the dense sweep.
        Other thresholds were judged on the dense pictures.""")
    return "\n\n".join(
        ["# Adaptive sweeps", measuring.described(facts), how, table(outcomes, count), what]
    ) + "\n"  # fmt: skip


def main() -> None:
    options = arguments()
    measuring.quieten()
    sd = load(options.model, options.device)
    facts = measuring.machine(sd.device)
    with _folder(options.outputs) as outputs:
        size = batching.batch_size_for(sd, options.batch_size or "auto", outputs)
        seconds = {}
        sparing, seconds["adaptive"] = drawn(
            sd, settings_of(options, True), size, outputs, "adaptive"
        )
        dense, seconds["dense"] = drawn(sd, settings_of(options, False), size, outputs, "dense")
        differing = unequal(sparing, dense)
        features = [perceptual.features(read_frame(frame)) for frame in dense.frames]
    outcomes = []
    for threshold in sorted({*OTHERS, THRESHOLD}):
        chosen = refined(dense.scales, features, threshold)
        if threshold == THRESHOLD:
            chosen = [frame.index for frame in sparing.frames]
        outcomes.append(outcome(dense.frames, chosen, threshold, features))
    numbers = {
        "machine": facts, "model": sd.fingerprint, "prompt": options.prompt, "seed": options.seed,
        "steps": options.steps, "scheduler": options.scheduler, "batch_size": size,
        "scales": len(dense.scales), "seconds": seconds, "unequal_files": differing,
        "outcomes": [vars(o) for o in outcomes],
        "drawn": [frame.index for frame in sparing.frames],
        "jumps": [[float(j.below), float(j.above), j.distance] for j in sparing.jumps],
    }  # fmt: skip
    said = report(sd, options, facts, size, outcomes, len(dense.scales), differing, seconds)
    measuring.keep(options.results, "adaptive", said, numbers)


@contextlib.contextmanager
def _folder(outputs: Path | None) -> Iterator[Path]:
    if outputs is not None:
        outputs.mkdir(parents=True, exist_ok=True)
        yield outputs
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


if __name__ == "__main__":
    measuring.run(main)
