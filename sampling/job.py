"""The job `sample`: prompts x words x scales x seeds -> single pictures and labelled grids."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from cfg.forecast import seconds_for
from cfg.sampling import sample
from diffusion.fitting import budget_of, plan_drawing
from diffusion.prompts import notes_of_cuts
from diffusion.pseudo_word import add_word
from diffusion.sources import locate
from diffusion.stable_diffusion import StableDiffusion, open_model, rest, weights_of, what_computes
from diffusion.words import require_words, words_in
from lab.errors import UserError
from lab.forecast import duration
from lab.images import KEY, save_png
from lab.kept import is_there, placed_chunks
from lab.memory import enough_memory
from lab.processes import Processes
from lab.run import Progress, Run, file_hash, write_json
from sampling.config import Config
from sampling.parameters import parameters
from sampling.pictures import Picture, Sheet, all_of, batch_size_for, rows_of, sheets_of
from sampling.sheet import grids_of, save_grid

VERSION = 1  # raised when the same configuration would give other pixels
MADE = ["*.png", "pictures.json"]  # the single pictures know themselves what they are worth


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Draw what `config` asks for into run.folder: pictures/, a grid for each prompt and scale.

    Raises:
        UserError: no word for [name], a word that nothing taught or that does not fit the model, a
            damaged embedding file; all but the fit are found before anything is written.
    """
    words = words_in(run.sibling("inversion"), config.words)
    rows = [row for number in range(len(config.prompts)) for row in rows_of(config, number, words)]
    used = {word.token: word for row in rows for word in row.words}
    texts = [text for row in rows for text in (row.prompt, row.negative_prompt)]
    require_words(config, texts, words)
    settings = _what_decides_the_pixels(config)
    hashes = {token: word.sha256 for token, word in used.items()}
    said = config.model_dump(mode="json", by_alias=True, exclude={"memory"})
    key = run.fingerprint({"settings": settings, "config": said, "words": hashes})
    processes = Processes(config.device)
    processes.wait()
    if _something_is_gone(run):
        (run.folder / "pictures.json").unlink(missing_ok=True)
    processes.wait()
    if run.is_complete(key, discard=MADE):
        return
    yield Progress("loading the model", 0, 1)
    sd = open_model(config)
    for word in used.values():
        add_word(sd, word.token, word.embedding.vectors)
    run.manifest |= {"model_fingerprint": sd.fingerprint, "device": str(sd.device)}
    run.manifest |= {"dtype": str(sd.dtype), "seeds": list(config.seeds), "words": hashes}
    for sentence in notes_of_cuts(sd, texts):
        run.note(sentence)
    yield Progress("loading the model", 1, 1)
    batch_size = yield from _batch_size(config, run, sd)
    sheets = sheets_of(config, words, run.folder / "pictures", settings, batch_size)
    with enough_memory(f"set sample.batch_size below {batch_size}, or sample.dtype to fp16"):
        yield from _draw(config, run, sd, all_of(sheets), batch_size, processes)
    if run.is_main:
        yield from _show(config, run, sheets)
    processes.wait()


def forecast(config: Config, run: Run) -> list[str]:
    """What `run` would draw and how long that takes here, in sentences; nothing is written."""
    try:
        words = words_in(run.sibling("inversion"), config.words)
        sd = open_model(config)
        size = batch_size_for(sd.latent_shape(), sd.device.type, config.batch_size)
        settings = _what_decides_the_pixels(config)
        sheets = sheets_of(config, words, run.folder / "pictures", settings, size)
    except UserError as problem:  # an earlier section of the experiment may be about to make it
        return [f"as it stands, {problem}"]
    pictures = all_of(sheets)
    chunks = _chunks([picture for picture in pictures if not is_there(picture)], size)
    missing = sum(picture is not None for chunk in chunks for picture in chunk)
    predictions = len(chunks) * size * config.steps * 2
    seconds = seconds_for(sd, predictions, len(chunks) * size, size)
    return [f"{missing} of {len(pictures)} pictures to draw, about {duration(seconds)}"]


def _something_is_gone(run: Run) -> bool:
    """Whether somebody removed pictures from a finished folder: it is not finished then."""
    listed = run.read_manifest().get("pictures", [])
    return run.is_main and any(not (run.folder / name).exists() for name in listed)


def _what_decides_the_pixels(config: Config) -> dict[str, Any]:
    drawn = {"steps", "scheduler"}
    return {
        **config.model_dump(mode="json", include=drawn),
        "version": VERSION,
        **what_computes(config),
    }


def _batch_size(config: Config, run: Run, sd: StableDiffusion) -> Generator[Progress, None, int]:
    """What suits the device, or less where that does not fit; told to the user. It depends on the
    whole of a GPU's memory, so that the same file gives the same bytes however busy it is."""
    latents = sd.latent_shape()
    size = batch_size_for(latents, sd.device.type, config.batch_size)
    budget = budget_of(config.memory, sd.device, whole=True)
    if budget is None:
        return size
    sizes = range(1, size + 1) if config.batch_size == "auto" else [size]
    plan = plan_drawing(sd, latents, sizes, budget, attention=config.attention)
    yield Progress("fitting into memory", 1, 1, plan.sentence("predictions"))
    run.note(plan.sentence("predictions"))
    run.manifest |= {"memory": plan.facts()}
    if plan.resting:
        rest(sd, plan.resting)
    return plan.at_once


def _draw(
    config: Config,
    run: Run,
    sd: StableDiffusion,
    pictures: Sequence[Picture],
    batch_size: int,
    processes: Processes,
) -> Iterator[Progress]:
    """Draw what is missing, this process its share of it; return when all pictures are there."""
    if run.is_main and pictures:
        wanted = {picture.path for picture in pictures}
        for path in pictures[0].path.parent.glob("*.png"):
            if path not in wanted:
                path.unlink()
    processes.wait()
    todo = [picture for picture in pictures if not is_there(picture)]
    processes.wait()  # every process sees the same: nobody draws before all looked
    mine = processes.share(_chunks(todo, batch_size))
    total = sum(picture is not None for chunk in mine for picture in chunk)
    done = len(pictures) - total
    if run.is_main and todo and len(todo) < len(pictures):
        run.note(f"{len(pictures) - len(todo)} of {len(pictures)} pictures were there already")
    model_hash = _model_hash(config)
    yield Progress("drawing", done, len(pictures))
    for chunk in mine:
        _draw_chunk(config, sd, chunk, model_hash)
        done += sum(picture is not None for picture in chunk)
        yield Progress("drawing", done, len(pictures))
    processes.wait()


def _chunks(pictures: Sequence[Picture], batch_size: int) -> list[list[Picture | None]]:
    return placed_chunks(pictures, batch_size, lambda picture: picture.row.negative_prompt)


def _draw_chunk(
    config: Config, sd: StableDiffusion, chunk: Sequence[Picture | None], model_hash: str
) -> None:
    padding = next(picture for picture in chunk if picture)
    filled = [picture or padding for picture in chunk]
    _, latent_height, latent_width = sd.latent_shape()
    size = latent_width * sd.vae_factor, latent_height * sd.vae_factor
    drawn = sample(
        sd,
        [picture.row.prompt for picture in filled],
        seeds=[picture.seed for picture in filled],
        guidance_scale=[picture.scale for picture in filled],
        negative_prompt=padding.row.negative_prompt,
        steps=config.steps,
        scheduler=config.scheduler,
        batch_size=len(filled),
    )
    for picture, pixels in zip(chunk, drawn, strict=True):
        if picture is None:
            continue
        about = parameters(
            picture.row.prompt,
            picture.row.negative_prompt,
            picture.row.words,
            steps=config.steps,
            scheduler=config.scheduler,
            guidance_scale=picture.scale,
            seed=picture.seed,
            size=size,
            model_hash=model_hash,
            model=Path(config.model).stem,
            prompt_weights=config.prompt_weights,
        )
        text = {"parameters": about, "prompt": picture.row.prompt, KEY: picture.key}
        save_png(Image.fromarray(pixels), picture.path, text)


def _model_hash(config: Config) -> str:
    """AUTOMATIC1111's short hash of a checkpoint file; of a folder the fingerprint that we use."""
    source = locate(config.model, config.revision)
    return (file_hash(source) if source.is_file() else weights_of(config))[:10]


def _show(config: Config, run: Run, sheets: Sequence[Sheet]) -> Iterator[Progress]:
    """The grids of the pictures, which are all there, and a list of them."""
    grids = [made for sheet in sheets for made in grids_of(sheet, config, run.folder)]
    for done, made in enumerate(grids):
        yield Progress("putting into grids", done, len(grids))
        save_grid(made, config.cell)
        run.show(made.path, f"“{made.title}”: {made.about.partition(',')[0]}")
    yield Progress("putting into grids", len(grids), len(grids))
    listing = [_line(picture, run.folder) for picture in all_of(sheets)]
    write_json(run.folder / "pictures.json", listing)
    run.manifest |= {"pictures": [line["file"] for line in listing]}
    run.show("pictures", "every picture, at its own size, with AUTOMATIC1111's parameters in it")
    run.show("pictures.json", "what each of them is")


def _line(picture: Picture, folder: Path) -> dict[str, Any]:
    return {
        "file": picture.path.relative_to(folder).as_posix(),
        "prompt": picture.row.prompt,
        "words": {word.token: word.count for word in picture.row.words},
        "guidance_scale": picture.scale,
        "seed": picture.seed,
    }
