"""The cfg job: prompts, words, seeds, rules -> a frame for each scale -> what is shown of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from cfg.batching import batch_size_for, circumstances, kept_size
from cfg.cells import NAME, lines_of, listing, read_listing
from cfg.config import Config, ScaleRange, exact_scales
from cfg.forecast import predictions_of, seconds_for
from cfg.frames import missing
from cfg.judge import require_networks
from cfg.show import MADE, show
from cfg.study import Plan, draw
from diffusion.compiling import translated, why_not
from diffusion.fitting import Plan as Fitted
from diffusion.fitting import budget_of, plan_drawing
from diffusion.prompts import notes_of_cuts
from diffusion.pseudo_word import add_word, mentions
from diffusion.stable_diffusion import StableDiffusion, open_model, rest, what_computes
from diffusion.words import WordFile, require_words, words_in
from lab.device import pick_device
from lab.errors import UserError
from lab.forecast import duration
from lab.memory import enough_memory
from lab.processes import Processes
from lab.run import Progress, Run, write_json

VERSION = 2  # raised when the same configuration would give other pixels
LISTING = "sweep.json"


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Render the sweep of `config` into run.folder/frames, and show it.

    Raises:
        UserError: no such model, a word that nothing taught, a damaged embedding file, no network
            that the analysis names; found before anything is written.
    """
    words = find_words(config, run.sibling("inversion"))
    settings = what_decides_the_pixels(config, words)
    said = config.model_dump(mode="json", by_alias=True, exclude={"memory"})
    key = run.fingerprint({"settings": settings, "config": said})
    if run.read_manifest().get("key") != key:  # what began with it was found right then
        require_networks(config.analysis)
    processes = Processes(config.device)
    _forget_if_frames_are_gone(run.folder, run.is_main, processes)
    if run.is_complete(key, discard=[*MADE, LISTING]):
        return
    yield Progress("loading the model", 0, 1)
    sd = open_model(config)
    for word in words:
        add_word(sd, word.embedding.token, word.embedding.vectors)
    yield Progress("loading the model", 1, 1)
    size = _batch_size(config, run, sd, processes)
    if config.compile and (reason := why_not(sd.device)):
        run.note(f"compile: torch.compile cannot work on {sd.device} here ({reason}); left")
    elif config.compile:  # after the batch size was chosen: each size is translated anew
        sd = translated(sd)
    if budget_of(config.memory, sd.device) is not None:
        fitted = _fitted(config, sd, size)
        yield Progress("fitting into memory", 1, 1, fitted.sentence("predictions"))
        run.note(fitted.sentence("predictions"))
        run.manifest |= {"memory": fitted.facts()}
        if fitted.resting:
            rest(sd, fitted.resting)
    plan = plan_of(config, words, settings, size, run.folder / "frames")
    run.manifest |= _account(config, sd, plan)
    _note_cut_prompts(plan, sd, run)
    with enough_memory(f"set cfg.batch_size below {size}, or cfg.dtype to fp16"):
        sweep = yield from draw(plan, sd, run, processes)
    if run.is_main:
        write_json(run.folder / LISTING, listing(sweep, run.folder))
        yield from show(config, run, sweep)
        run.show(plan.folder, "every picture, unlabelled, as the model drew it")
        run.show(run.folder / LISTING, "which picture is which, for other programs")
    processes.wait()


def forecast(config: Config, run: Run) -> list[str]:
    """What `run` would draw and how long that takes here, in sentences; nothing is written."""
    notes = []
    try:
        words = find_words(config, run.sibling("inversion"))
    except UserError as problem:  # an earlier section of the experiment may be about to make it
        words = []
        notes.append(f"as it stands, {problem}")
    sd = open_model(config)
    about = circumstances(sd, config.memory)
    kept = kept_size(run.folder, about) if config.batch_size == "auto" else None
    size = kept or batch_size_for(sd, config.batch_size, None, config.memory, config.attention)
    settings = what_decides_the_pixels(config, words)
    plan = plan_of(config, words, settings, size, run.folder / "frames")
    every = missing([frame for line in plan.lines for frame in plan.frames(line)])
    counts = [every]
    if plan.threshold is not None:
        first = (plan.frames(line, indices) for line, indices in plan.first().items())
        coarse = {frame.key for frames in first for frame in frames}
        counts = [[frame for frame in every if frame.key in coarse], every]
    said = []
    for frames in counts:
        predictions = predictions_of(sd, frames)
        seconds = seconds_for(sd, predictions, len(frames), size)
        said.append(
            f"{len(frames):,} pictures, {predictions:,} predictions, about {duration(seconds)}"
        )
    whole = f"{len(plan.lines)} x {len(plan.scales):,} scales, batch size {size}"
    todo = said[0] if len(said) == 1 else f"at least {said[0]}; at most {said[1]}"
    memory = _fitted(config, sd, size).sentence("predictions")
    return [f"{whole}; to draw: {todo}; film and report not counted", memory, *notes]


def _fitted(config: Config, sd: StableDiffusion, size: int) -> Fitted:
    """How `size` predictions at once fit on the device; counted only where somebody asks."""
    budget = budget_of(config.memory, sd.device)
    return plan_drawing(sd, sd.latent_shape(), [size], budget, attention=config.attention)


def plan_of(
    config: Config,
    words: Sequence[WordFile],
    settings: dict[str, Any],
    batch_size: int,
    folder: Path,
) -> Plan:
    """The lines and scales of a configuration, with its frames in `folder`."""
    lines = lines_of(config, [word.embedding.token for word in words])
    chosen = config.guidance_scales
    threshold = None
    if isinstance(chosen, ScaleRange) and chosen.adaptive:
        threshold = chosen.threshold
    return Plan(lines, exact_scales(chosen), folder, settings, batch_size, threshold)


def _forget_if_frames_are_gone(folder: Path, is_main: bool, processes: Processes) -> None:
    """A finished sweep from which somebody removed frames is not finished."""
    try:
        gone = not all(frame.path.exists() for frame in read_listing(folder).frames)
    except (OSError, ValueError, LookupError, TypeError):
        gone = True
    processes.wait()
    if gone and is_main:
        (folder / LISTING).unlink(missing_ok=True)
    processes.wait()


def _batch_size(config: Config, run: Run, sd: StableDiffusion, processes: Processes) -> int:
    """The same for all processes: the first one chooses, and tells the others."""
    size = 0
    if run.is_main:
        size = batch_size_for(sd, config.batch_size, run.folder, config.memory, config.attention)
    return int(processes.sum(torch.tensor(size, device=sd.device)))


def find_words(config: Config, inversion: Path) -> list[WordFile]:
    """The words that the prompts use, from this experiment's inversion and from `words`.

    A prompt with [name] uses all of them.

    Raises:
        UserError: for two files with the same word, for a <word> in a prompt that no file and not
            the model itself knows, and for a [name] without any word.
    """
    words = words_in(inversion, config.words)
    every = [*config.prompts, config.negative_prompt]
    prompts = "\n".join(every)
    if NAME in prompts and not words:
        raise UserError(
            f"a prompt says {NAME}, but there is no word to stand for it: invert one first, or "
            "name its file in words"
        )
    require_words(config, every, words)
    return [word for token, word in words.items() if NAME in prompts or mentions(prompts, token)]


def what_decides_the_pixels(config: Config, words: Sequence[WordFile]) -> dict[str, Any]:
    """What decides the pixels of a sweep beside its lines, scales and batch size, as JSON."""
    return {
        "version": VERSION,
        "words": {word.embedding.token: word.sha256 for word in words},
        **({"compile": True} if config.compile and not why_not(pick_device(config.device)) else {}),
        **what_computes(config),
    }


def _account(config: Config, sd: StableDiffusion, plan: Plan) -> dict[str, Any]:
    return {
        "model_fingerprint": sd.fingerprint,
        "device": str(sd.device),
        "dtype": str(sd.dtype),
        "batch_size": plan.batch_size,
        "seeds": list(config.seeds),
        "words": plan.settings["words"],
        "lines": len(plan.lines),
        "scales": len(plan.scales),
    }


def _note_cut_prompts(plan: Plan, sd: StableDiffusion, run: Run) -> None:
    prompts = (prompt for line in plan.lines for prompt in (line.prompt, line.negative_prompt))
    for sentence in notes_of_cuts(sd, list(prompts)):
        run.note(sentence)
