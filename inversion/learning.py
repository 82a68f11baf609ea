"""A word is learned: from the last checkpoint on, with previews, and its best rows at the end."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from diffusion.formats import save_embedding
from diffusion.pseudo_word import PseudoWord
from diffusion.stable_diffusion import StableDiffusion
from inversion import checkpoints, previews
from inversion.batches import Material
from inversion.config import Config
from inversion.initial import Words, file_name
from inversion.neighbours import describe, forget_vectors, note_vectors, vocabulary_of
from inversion.optimizing import showing
from inversion.stopping import Measured
from inversion.training import State, TrainStep, train
from lab.run import Progress, Run
from lab.trackers import tracked, within

BEST = "best-{}"  # beside the checkpoints: the best word so far, as a file that programs load


def learn(
    config: Config,
    run: Run,
    folder: Path,
    sd: StableDiffusion,
    words: Words,
    word: PseudoWord,
    material: Material,
) -> Iterator[Progress]:
    """Train to the end; returns the last State and the seconds that steps and previews took.

    `word` ends with the best rows. Checkpoints and previews are kept in `folder`.
    """
    kept, settings = folder / "checkpoints", config.train
    before, spent = checkpoints.newest(kept, sd.device) or (None, {"steps": 0.0, "previews": 0.0})
    first = before.step if before else 0
    run.keep_metrics(  # steps after the checkpoint are taken again
        lambda line: line["word"] != config.word or (before is not None and line["step"] <= first)
    )
    if run.is_main:
        forget_vectors(folder, after=first if before else None)
    vocabulary = vocabulary_of(sd, word)
    yield Progress(f"learning {config.word}", first, settings.steps)
    state, clock = before, time.perf_counter()
    tracking = tracked(config.track, run, config.word, config, continued=first > 0)
    for done, state in within(tracking, train(sd, word, material, config, words.norms, before)):
        run.metric(**line_of(config.word, done))
        spent["steps"] += time.perf_counter() - clock
        clock = time.perf_counter()
        if run.is_main and (isinstance(done, Measured) or done.measured):
            vectors = describe(vocabulary, state.result, words.rows)
            note_vectors(folder, done.step, words.norms.mean, vectors)
        if run.is_main and done.step % config.previews.every == 0:
            _preview(config, folder, sd, word, state)
        spent["previews"] += time.perf_counter() - clock
        last = state.step == state.ending.last
        if run.is_main and (last or done.step % settings.checkpoint_every == 0):
            _save(kept, config, state, spent, words)
        clock = time.perf_counter()
        yield Progress(f"learning {config.word}", state.step, state.ending.last, _said(done))
    assert state is not None
    with torch.no_grad():
        word.rows.copy_(state.best)
    return state, spent


def line_of(word: str, done: TrainStep | Measured) -> dict[str, Any]:
    """A line of metrics.jsonl."""
    if isinstance(done, Measured):
        step, measured = {"step": done.step}, done
    else:
        step = {"step": done.step, "loss": done.loss, "norm": done.norm}
        step |= {"learning_rate": done.learning_rate}
        measured = done.measured
    if measured is not None:
        step |= {"objective": measured.objective}
        step |= {} if measured.held_out is None else {"held_out": measured.held_out}
    return {"word": word, **step}


def _save(kept: Path, config: Config, state: State, spent: dict[str, float], words: Words) -> None:
    about = {"steps": state.best_measured.step, "model": config.model}
    if state.step:
        for token, rows in words.split(state.best).items():
            save_embedding(kept / BEST.format(file_name(token)), token, rows, about)
    checkpoints.save(kept, state, spent, config.train.keep_checkpoints)


def _said(done: TrainStep | Measured) -> str:
    if isinstance(done, Measured):
        return f"objective {done.objective:.4f}"
    measured = f"objective {done.measured.objective:.4f}, " if done.measured else ""
    return f"{measured}loss {done.loss:.3f}, norm {done.norm:.2f}"


def _preview(
    config: Config, folder: Path, sd: StableDiffusion, word: PseudoWord, state: State
) -> None:
    path = previews.row_path(folder / "previews", state.step)
    if config.previews.prompts and not path.exists():
        with showing(word.rows, state.result):
            previews.save_row(path, previews.draw_row(sd, config.previews, config.word))
