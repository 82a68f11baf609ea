"""Drawing a whole sweep: what is planned, what is there, who draws the rest, where to refine."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from cfg import adaptive
from cfg.cells import Frame, Jump, Line, Sweep, frames_of
from cfg.frames import missing, read_frame, remove_others
from cfg.sweep import render, waves_of
from diffusion.pseudo_word import mentions
from diffusion.stable_diffusion import StableDiffusion
from lab.processes import Processes
from lab.run import Progress, Run
from metrics import perceptual


@dataclass(frozen=True)
class Plan:
    """What a sweep consists of, before any of it is drawn."""

    lines: tuple[Line, ...]
    scales: tuple[Decimal, ...]
    folder: Path
    """Where the frames are."""
    settings: Mapping[str, Any]
    """What decides the pixels beside line, scale and batch size. `words` has the hash of the file
    of each learned word; a line is decided by those that it uses."""
    batch_size: int
    threshold: float | None
    """Of an adaptive sweep; None: every scale is drawn."""

    def frames(self, line: Line, indices: Sequence[int] | None = None) -> tuple[Frame, ...]:
        """The frames of a line at some indices of the range, or at all of them."""
        said = f"{line.prompt}\n{line.negative_prompt}"
        words = {w: sha for w, sha in self.settings["words"].items() if mentions(said, w)}
        settings = {**self.settings, "words": words, "batch_size": self.batch_size}
        return frames_of(line, self.scales, self.folder, settings, indices)

    def first(self) -> dict[Line, list[int]]:
        """For each line the indices that are drawn in any case, in the order of drawing."""
        adapting = self.threshold is not None
        choose = adaptive.first_indices if adapting else adaptive.coarse_first
        return {line: choose(self.scales) for line in self.lines}


def draw(
    plan: Plan, sd: StableDiffusion, run: Run, processes: Processes
) -> Generator[Progress, None, Sweep]:
    """Draw what is missing of a sweep, this process its share; return when everything is there.

    Frames of the same range that are there already are used and kept, all others are removed.
    """
    if run.is_main:
        remove_others([f for line in plan.lines for f in plan.frames(line)], plan.folder)
    processes.wait()
    chosen, new = plan.first(), plan.first()
    looked = {line: _Differences(plan, line) for line in plan.lines}
    coarse = set(adaptive.first_indices(plan.scales))
    drawn = 0
    while any(new.values()):
        frames = [f for line, indices in new.items() for f in plan.frames(line, indices)]
        frames.sort(key=lambda f: f.index not in coarse)  # first a few scales of every line
        drawn += yield from _draw_missing(frames, drawn, plan.batch_size, sd, processes)
        if plan.threshold is None:
            break
        for line, indices in chosen.items():
            new[line] = adaptive.midpoints(indices, looked[line], plan.threshold)
            chosen[line] = sorted({*indices, *new[line]})
    frames = tuple(
        f for line, indices in chosen.items() for f in plan.frames(line, sorted(indices))
    )
    there = len(frames) - drawn
    if there and drawn:
        run.note(f"{there} of {len(frames)} frames were there already")
    jumps = []
    if plan.threshold is not None:
        for line, indices in chosen.items():
            for a, b, distance in adaptive.jumps(indices, looked[line], plan.threshold):
                jumps.append(Jump(line, plan.scales[a], plan.scales[b], round(distance, 4)))
        run.note(
            f"{len(frames)} of {len(plan.scales) * len(plan.lines)} pictures are drawn: between "
            f"these nothing changes by more than {plan.threshold:g} just noticeable differences"
            + (f", but at {len(jumps)} jumps, which sweep.json lists" if jumps else "")
        )
    return Sweep(plan.lines, plan.scales, frames, plan.batch_size, plan.threshold, tuple(jumps))


def _draw_missing(
    frames: Sequence[Frame], before: int, batch_size: int, sd: StableDiffusion, processes: Processes
) -> Generator[Progress, None, int]:
    """Draw those of the frames that are not there; how many these were, in all processes."""
    todo = missing(frames)  # every process sees the same: nobody draws before all have looked
    processes.wait()
    mine = processes.share(waves_of(todo, batch_size))
    there, total = before + len(frames) - sum(map(len, mine)), before + len(frames)
    yield Progress("drawing", there, total)
    for state in render(sd, mine, batch_size):
        note = f"step {state.step} of {state.steps}" if state.steps else ""
        yield Progress("drawing", there + state.done, total, note)
    processes.wait()
    return len(todo)


class _Differences:
    """How different two frames of a line look; each pair is compared once."""

    def __init__(self, plan: Plan, line: Line):
        self._features = lru_cache(64)(
            lambda index: perceptual.features(read_frame(plan.frames(line, [index])[0]))
        )
        self._known: dict[tuple[int, int], float] = {}

    def __call__(self, a: int, b: int) -> float:
        if (a, b) not in self._known:
            self._known[a, b] = perceptual.between(self._features(a), self._features(b))
        return self._known[a, b]
