"""The cfg job: a prompt and a seed -> a frame for each scale -> film, contact sheet and curves."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cfg import sheet, sweep
from cfg.config import Config, exact_scales
from cfg.sweep import Frame
from diffusion.formats import Embedding, load_embedding
from diffusion.prompts import cut_off, require_known_words
from diffusion.pseudo_word import add_word
from diffusion.stable_diffusion import StableDiffusion, fingerprint, load, locate
from lab.device import pick_device, pick_dtype
from lab.errors import UserError
from lab.processes import Processes
from lab.run import Progress, Run, file_hash, write_json
from lab.video import write_video

VERSION = 1  # raised when the same configuration would give other pixels
MADE = ["guidance.*", "contact-sheet.png", "curve.png", "sweep.json"]


@dataclass(frozen=True)
class Word:
    """A learned word that the prompts use."""

    embedding: Embedding
    sha256: str


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Render the sweep of `config` into run.folder: frames/, film, contact sheet, curves.

    Raises:
        UserError: no such model, a word that nothing taught, a damaged embedding file; found before
            anything is written.
    """
    scales = exact_scales(config.guidance_scales)
    words = find_words(config, run.sibling("inversion"))
    settings = _what_decides_the_pixels(config, words)
    key = run.fingerprint({"settings": settings, "config": config})
    processes = Processes(config.device)
    film = run.folder / f"guidance.{config.video.format}"
    frames_folder = run.folder / "frames"
    # A finished sweep from which somebody removed frames is not finished.
    gone = [i for i in range(len(scales)) if not (frames_folder / f"{i:06}.png").exists()]
    processes.wait()
    if gone and run.is_main:
        film.unlink(missing_ok=True)
    processes.wait()
    if run.is_complete(key, discard=MADE):
        return
    yield Progress("loading the model", 0, 1)
    sd = load(config.model, config.device, config.dtype, config.attention)
    for word in words:
        add_word(sd, word.embedding.token, word.embedding.vectors)
    run.manifest |= _account(config, sd, words, len(scales))
    _note_cut_prompts(config, sd, run)
    yield Progress("loading the model", 1, 1)
    batch_size = sweep.batch_size_for(sd.latent_shape(), sd.device, config.batch_size)
    frames = sweep.frames_of(scales, frames_folder, {**settings, "batch_size": batch_size})
    yield from _render(config, run, sd, frames, batch_size, processes)
    if run.is_main:
        yield from _show(config, run, frames, film)
    processes.wait()


def find_words(config: Config, inversion: Path) -> list[Word]:
    """The words that the prompts use, from this experiment's inversion and from `words`.

    Raises:
        UserError: for two files with the same word, and for a <word> in a prompt that no file and
            not the model itself knows.
    """
    prompts = f"{config.prompt}\n{config.negative_prompt}"
    words: dict[str, tuple[Word, Path]] = {}
    for path in [*sorted(inversion.glob("*.safetensors")), *map(Path, config.words)]:
        word = Word(load_embedding(path), file_hash(path))
        token = word.embedding.token
        if token in words and words[token][0].sha256 != word.sha256:
            raise UserError(
                f"{path} and {words[token][1]} both hold the word {token}: name one of them only, "
                "or save one under another word"
            )
        words[token] = word, path
    unknown = [name for name in re.findall(r"<[^\s<>]+>", prompts) if name not in words]
    if unknown:  # the model may have words of its own
        sd = load(config.model, "cpu")
        require_known_words(sd, config.prompt, list(words))
        require_known_words(sd, config.negative_prompt, list(words))
    return [word for token, (word, _) in words.items() if token in prompts]


def _what_decides_the_pixels(config: Config, words: Sequence[Word]) -> dict[str, Any]:
    device = pick_device(config.device)
    return {
        "version": VERSION,
        "model": fingerprint(locate(config.model)),
        "words": {word.embedding.token: word.sha256 for word in words},
        "prompt": config.prompt,
        "negative_prompt": config.negative_prompt,
        "seed": config.seed,
        "steps": config.steps,
        "scheduler": config.scheduler,
        "device": device.type,
        "dtype": str(pick_dtype(config.dtype, device)),
        "attention": "sdpa" if config.attention == "auto" else config.attention,
        "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
    }


def _account(
    config: Config, sd: StableDiffusion, words: Sequence[Word], count: int
) -> dict[str, Any]:
    return {
        "model_fingerprint": sd.fingerprint,
        "device": str(sd.device),
        "dtype": str(sd.dtype),
        "seeds": [config.seed],
        "words": {word.embedding.token: word.sha256 for word in words},
        "frames": count,
    }


def _note_cut_prompts(config: Config, sd: StableDiffusion, run: Run) -> None:
    for name in ("prompt", "negative_prompt"):
        if lost := cut_off(sd, getattr(config, name)):
            run.note(f"{name} is longer than the model's 77 tokens; it does not see {lost!r}")


def _render(
    config: Config,
    run: Run,
    sd: StableDiffusion,
    frames: Sequence[Frame],
    batch_size: int,
    processes: Processes,
) -> Iterator[Progress]:
    """Render what is missing, this process its share of it; return when all frames are there."""
    if run.is_main:
        sweep.keep_what_fits(frames)
    processes.wait()
    todo = sweep.missing(frames)  # every process sees the same: nobody renders before all looked
    processes.wait()
    mine = processes.share(sweep.chunks_of(todo, batch_size))
    total = sum(frame is not None for chunk in mine for frame in chunk)
    there, stage = len(frames) - total, "drawing"
    if run.is_main and todo and len(todo) < len(frames):
        run.note(f"{len(frames) - len(todo)} of {len(frames)} frames were there already")
    yield Progress(stage, there, len(frames))
    for state in sweep.render(sd, mine, config):
        note = f"step {state.step} of {state.steps}" if state.steps else ""
        yield Progress(stage, there + state.done, len(frames), note)
    processes.wait()


def _show(config: Config, run: Run, frames: Sequence[Frame], film: Path) -> Iterator[Progress]:
    """Film, contact sheet, curves and sweep.json of the frames, which are all there."""
    measured = sheet.measure(frames)
    run.keep_metrics(lambda line: False)
    for line in measured:
        run.metric(**line)
    strip = sheet.Strip.of(frames, config) if config.video.label else None
    stage, fps = "filming", config.video.fps
    yield Progress(stage, 0, 1)
    write_video(
        lambda i: sheet.film_frame(frames[i], config.video.size, strip), len(frames), fps, film
    )
    yield Progress(stage, 1, 1)
    contact_sheet, curve = run.folder / "contact-sheet.png", run.folder / "curve.png"
    sheet.save_contact_sheet(frames, config, contact_sheet)
    sheet.save_curve(measured, config, curve)
    write_json(run.folder / "sweep.json", _listing(config, frames, film))
    run.show(film, f"the film: {len(frames)} guidance scales at {fps:g} frames a second")
    run.show(contact_sheet, "a selection of the scales, labelled")
    run.show(curve, "how far each picture is from its neighbour, over the scale")
    run.show(frames[0].path.parent, "every picture, unlabelled, as the model drew it")


def _listing(config: Config, frames: Sequence[Frame], film: Path) -> dict[str, Any]:
    """What sweep.json says: enough to read the frames without anything else."""
    about = config.model_dump(
        include={"prompt", "negative_prompt", "seed", "steps", "scheduler", "model"}
    )
    listed = [
        {"file": f"frames/{frame.path.name}", "guidance_scale": float(frame.scale)}
        for frame in frames
    ]
    return {**about, "film": film.name, "fps": config.video.fps, "frames": listed}
