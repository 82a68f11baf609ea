"""A learned word on its way out: a file for another program, or onward to the tab Guidance.

Writing another program's file needs torch, so a short process of its own does it: `pseudoword
embedding convert`.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from cfg.config import Config as Sweep
from lab.errors import UserError
from lab.images import save_png
from lab.run import write_atomically
from studio.web.bench import Bench
from studio.web.invert.read import Learning, Word
from studio.web.places import STUDIO

PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Program:
    """A program that draws, and how it gets a word."""

    name: str
    use: str
    """What to do with the file; {stem} is its name, {token} the word, {prompt} what to write."""
    to: str = ""
    """As `pseudoword embedding convert --to` calls it; empty: the run's own file will do."""
    suffix: str = ".safetensors"


_FOLDER = "Copy the file into AUTOMATIC1111's folder embeddings and write {stem} in a prompt."
PROGRAMS = (
    Program("AUTOMATIC1111", _FOLDER),
    Program("AUTOMATIC1111, .pt", _FOLDER, "a1111", ".pt"),
    Program(
        "AUTOMATIC1111, a picture",
        "The picture holds the word: copy it into the folder embeddings and write {prompt}.",
        "a1111-png",
        ".png",
    ),
    Program("ComfyUI", "Copy the file into models/embeddings and write embedding:{stem}."),
    Program(
        "diffusers",
        'Call pipeline.load_textual_inversion("{stem}.safetensors"), then write {token}.',
    ),
    Program("kohya", "Name the file in --textual_inversion_embeddings; write {prompt}.", "kohya"),
    Program("InvokeAI", "Add the file in its model manager and write {prompt}.", "invokeai"),
    Program("OneTrainer", "Name the file as the embedding to begin with.", "onetrainer"),
)


@dataclass(frozen=True)
class Parcel:
    """A file to be downloaded, and what to do with it."""

    path: Path
    use: str


def program_of(name: str) -> Program:
    """The program of a name.

    Raises:
        UserError: there is none.
    """
    for program in PROGRAMS:
        if program.name == name:
            return program
    raise UserError(f"choose one of {', '.join(program.name for program in PROGRAMS)}")


def parcel(bench: Bench, learning: Learning, word: Word, name: str) -> Parcel:
    """The file of a word for a program, in a folder of the studio's own.

    Raises:
        UserError: the word is not there yet, or it cannot be written so.
    """
    program = program_of(name)
    if word.file is None:
        raise UserError(f"{word.token} has nothing to download yet: wait for the first checkpoint")
    source = bench.places.inside(str(word.file))
    stem = word.token.strip("<>")
    folder = bench.outputs / STUDIO / "words" / bench.places.name(learning.name)
    target = folder / (program.to or "as it is") / f"{stem}{program.suffix}"
    prompt = stem
    if program.to:
        picture = _picture(word, folder / f"{stem}.preview.png", len(learning.prompts))
        prompt = convert(source, target, program.to, picture) or stem
    else:
        write_atomically(target, lambda temporary: _copy(source, temporary))
    return Parcel(target, program.use.format(stem=stem, token=word.token, prompt=prompt))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def convert(source: Path, target: Path, to: str, picture: Path | None = None) -> str:
    """Write an embedding as another program keeps it; returns how a prompt names the word there.

    Raises:
        UserError: with the program's own sentence.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "studio", "embedding", "convert", str(source), str(target)]
    command += ["--to", to, "--force"]
    command += ["--picture", str(picture)] if picture and to == "a1111-png" else []
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise UserError("the file was not written in five minutes; try again later") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        said = lines[-1].removeprefix("error: ") if lines else "the file could not be written"
        raise UserError(said)
    return done.stdout.strip().rpartition("in a prompt: ")[2]


def _picture(word: Word, path: Path, count: int) -> Path | None:
    """The newest preview of the first prompt, for the card of AUTOMATIC1111's picture."""
    if not word.looks or not count:
        return None
    with Image.open(word.looks[-1].path) as row:
        save_png(row.crop((0, 0, row.width // count, row.height)), path)
    return path


def onward(learning: Learning, word: Word) -> dict[str, Any]:
    """A guidance sweep with a word: the configuration for the tab Guidance, its preview's prompt.

    Raises:
        UserError: the word is not there yet.
    """
    if word.file is None or not word.finished:
        raise UserError(f"{word.token} is not learned to its end yet: wait, or go on with it")
    config = learning.config
    prompt = learning.prompts[0] if learning.prompts else "a picture in the style of [name]"
    told = {key: getattr(config, key) for key in ("model", "revision", "vae", "tokenizer")}
    told |= {key: getattr(config.previews, key) for key in ("seed", "scheduler", "steps")}
    told |= {"prompt": prompt.replace("[name]", word.token), "words": [str(word.file)]}
    sweep = Sweep.model_validate_json(json.dumps(told))
    return {"name": learning.name, "cfg": sweep.model_dump(mode="json", by_alias=True)}
