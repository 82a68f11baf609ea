"""The inversion job: pictures -> latents -> training -> words, previews, measurements, a report."""

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffusion.fitting import budget_of
from diffusion.formats import save_embedding
from diffusion.pseudo_word import PseudoWord, is_new, training_rows
from diffusion.stable_diffusion import StableDiffusion, open_model, rest, weights_of
from inversion import checks, data, evaluation, previews, report
from inversion.balance import balanced, sentence
from inversion.batches import Material
from inversion.config import Config, variants
from inversion.curves import save_curves
from inversion.data import Example
from inversion.initial import Words, embeddings_used, file_name, other_tokens, prepare_words
from inversion.latents import FOLDER, encode_pictures
from inversion.learning import learn
from inversion.neighbours import VECTORS, describe, vocabulary_of
from inversion.speed import fitted, plan_for, require_compiler, seconds_of_step
from inversion.stopping import how_it_ended, planned_ending
from inversion.templates import read_templates
from inversion.training import State
from lab.device import pick_device, pick_dtype
from lab.errors import UserError
from lab.forecast import duration
from lab.images import find_images
from lab.memory import peak_memory
from lab.run import Progress, Run, file_hash, process_count, write_json
from lab.trackers import FOLDER as TRACKED
from lab.trackers import require_tracker

VERSION = 2  # raised when the same configuration would give another result
LEARNED, COST, STYLE, REPORT = "learned.json", "cost.json", "style.json", "report.html"
MADE = ["*.safetensors", "*.png", "previews", "checkpoints", "words", VECTORS]
MADE += [LEARNED, COST, STYLE, REPORT, TRACKED]


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Learn `config.word`; leaves WORD.safetensors, report.html, previews, curves and, if asked,
    style.json. Where num_vectors is a list, a word for each count, its details in words/WORD/.

    Raises:
        UserError: no pictures, none of a value that is to be evened out, no model, prompts without
            the word, a word, width, dtype or attention that does not fit: all of it before anything
            is written.
    """
    require_tracker(config.track)
    examples = data.find_examples(config, run.sibling("cropping"))
    if config.balance is not None:
        examples = balanced(examples, config.balance, config.seed)
    templates = read_templates(config)
    key = run.fingerprint(_inputs(config, examples, templates))
    # what began with the same key was found right then: to see that it is done needs no model
    begun = run.read_manifest().get("key") == key
    opened = None if begun else _open(config, examples, templates)
    if run.is_complete(key, discard=MADE):
        return
    sd, prepared, shapes, weights, notes = opened or _open(config, examples, templates)
    run.manifest |= {"model_fingerprint": sd.fingerprint, "device": str(sd.device)}
    run.manifest |= {"seed": config.seed, "pictures": len(examples)}
    notes += [sentence(examples, config.balance)] if config.balance else []
    for note in notes:
        run.note(note)
    cache = run.folder.parent.parent / FOLDER
    taught = yield from _fitted(config, run, sd, shapes)
    latents = yield from encode_pictures(sd, examples, shapes, weights, cache)
    for variant, words in zip(variants(taught), prepared, strict=True):
        folder = report.folder_of(run.folder, config, variant)
        if not (run.continues and (folder / LEARNED).exists()):
            others = other_tokens(config)
            material = Material(
                examples, latents, templates, variant.word, config.tags, others,
                together=config.balance is not None and config.balance.how == "together",
            )  # fmt: skip
            yield from _one(variant, run, folder, sd, words, material)
        if run.is_main:
            _show(run, folder, variant)
    if run.is_main:
        report.save(run, config, examples, templates, run.folder / REPORT)
        run.show(run.folder / REPORT, "how the word was learned, on one page")


def forecast(config: Config, run: Run) -> list[str]:
    """What `run` would learn from, how long that takes here and in what memory, in sentences;
    nothing is written."""
    sd = open_model(config, pick_training_dtype(config))
    side = config.resolution or sd.resolution
    try:
        examples = data.find_examples(config, run.sibling("cropping"))
        shapes, said = checks.shapes_of(sd, config, examples), f"{len(examples)} pictures"
    except UserError as problem:  # an earlier section of the experiment may be about to make them
        shapes, said = [(side, side)], f"as it stands, {problem}"
    plan = plan_for(sd, config, shapes, process_count())
    count = config.train.steps * len(variants(config))
    seconds = count * seconds_of_step(sd, config, shapes, plan.at_once) / process_count()
    steps = f"at most {count:,} steps of {config.train.batch_size} pictures"
    steps += f", about {duration(seconds)}; previews and evaluation not counted"
    return [said, steps, plan.sentence("pictures")]


def _fitted(
    config: Config, run: Run, sd: StableDiffusion, shapes: Sequence[tuple[int, int]]
) -> Generator[Progress, None, Config]:
    """The configuration with what the device's memory leaves open, told to the user."""
    if budget_of(config.memory, sd.device) is None:
        return config
    plan = plan_for(sd, config, shapes, process_count())
    yield Progress("fitting into memory", 1, 1, plan.sentence("pictures"))
    run.note(plan.sentence("pictures"))
    run.manifest |= {"memory": plan.facts()}
    if plan.resting:
        rest(sd, plan.resting)  # whoever encodes or decodes fetches it
    return fitted(config, plan, process_count())


class Opened(NamedTuple):
    """The model, and what was found to be right before anything is written."""

    sd: StableDiffusion
    words: list[Words]
    """For each variant of the configuration."""
    shapes: list[tuple[int, int]]
    weights: list[Tensor | None]
    notes: list[str]


def _open(config: Config, examples: Sequence[Example], templates: Sequence[str]) -> Opened:
    """Load the model and look at everything that can be wrong with words, prompts and masks."""
    sd = open_model(config, pick_training_dtype(config))
    require_compiler(sd.device, config.train)
    notes: list[str] = []
    words = []
    for variant in variants(config):
        words.append(prepare_words(sd, variant))
        notes += checks.check_prompts(sd, words[-1], variant, examples, templates)
    shapes = checks.shapes_of(sd, config, examples)
    weights = checks.weights_of(sd, config, examples, shapes)
    notes += checks.note_of_shapes(examples, shapes, config.buckets)
    return Opened(sd, words, shapes, weights, notes)


def _inputs(config: Config, examples: Sequence[Example], templates: Sequence[str]) -> dict:
    said = config.model_dump(mode="json", exclude={"track", "memory"})
    said["train"]["gradient_checkpointing"] = False  # it changes no bit
    inputs = {
        "version": VERSION,
        "config": said,
        "model": weights_of(config),
        "examples": data.fingerprint(examples),
        "templates": templates,
        "initial_embeddings": embeddings_used(config),
    }
    if config.evaluate is not None:
        pictures = find_images(config.evaluate.pictures)
        inputs["evaluate"] = [file_hash(path) for path in pictures]
    return inputs


def pick_training_dtype(config: Config) -> str:
    """`auto` is bf16 on a GPU that has it and fp32 elsewhere.

    Raises:
        UserError: for a dtype that the device has not, where torch would compute in another.
    """
    device = pick_device(config.device)
    has_bf16 = device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    if config.dtype == "auto":
        return "bf16" if device.type == "cuda" and has_bf16 else "fp32"
    pick_dtype(config.dtype, device)
    if config.dtype == "bf16" and not has_bf16:
        raise UserError(
            f"inversion.dtype bf16: {torch.cuda.get_device_name(device)} has no bf16 and would "
            "compute in fp32, slowly; use fp16 or fp32"
        )
    return config.dtype


def _one(
    config: Config, run: Run, folder: Path, sd: StableDiffusion, words: Words, material: Material
) -> Iterator[Progress]:
    """Learn one word (and those of `also`) and keep what there is to say about it; the last file,
    learned.json, says that it is done."""
    with training_rows(sd.text_encoder, words.token_ids, words.rows) as word:
        state, spent = yield from learn(config, run, folder, sd, words, word, material)
        if not run.is_main:
            return
        best = state.best_measured.step
        about = {"model": config.model, "model_fingerprint": sd.fingerprint, "steps": best}
        about |= {"pictures": len(material.examples)}
        for token, rows in words.split(word.rows).items():
            path = run.folder / file_name(token)
            save_embedding(path, token, rows, about | {"name": path.stem})
        if config.previews.prompts:
            row = previews.draw_row(sd, config.previews, config.word)
            previews.save_row(previews.best_path(folder / "previews"), row)
            sheet = folder / "previews.png"
            previews.save_sheet(folder / "previews", config.previews, best, sheet)
        facts = _facts(config, sd, words, word, state)
        lines = [line for line in run.metrics() if line["word"] == config.word]
        save_curves(lines, best, facts["stopped"], folder / "curves.png")
        if config.evaluate is not None:
            judge = evaluation.evaluate(sd, config.evaluate, config.word, config.seed, folder)
            write_json(folder / STYLE, asdict((yield from judge)))
        write_json(folder / COST, _cost(state, spent, sd))
        write_json(folder / LEARNED, facts)


def _facts(
    config: Config, sd: StableDiffusion, words: Words, word: PseudoWord, state: State
) -> dict[str, Any]:
    """What was learned, for learned.json and the report."""
    early = state.ending != planned_ending(config.train, config.stop)
    vectors = iter(describe(vocabulary_of(sd, word), word.rows, words.rows))
    return {
        "word": config.word,
        "steps": state.step,
        "planned": config.train.steps,
        "stopped": state.ending.first if early else None,
        "best_step": state.best_measured.step,
        "history": [[m.step, m.objective, m.held_out] for m in state.history],
        "vectors": {
            known.token: [asdict(next(vectors)) for _ in known.token_ids] for known in words.words
        },
        "vocabulary_norm": words.norms.mean,
        "vocabulary_long": words.norms.long,
    }


def _cost(state: State, spent: dict[str, float], sd: StableDiffusion) -> dict[str, Any]:
    measuring = sum(measured.seconds for measured in state.history)
    return {
        "training_seconds": spent["steps"] - measuring,
        "measuring_seconds": measuring,
        "preview_seconds": spent["previews"],
        "steps": state.step,
        "peak_bytes": peak_memory(sd.device),
        "part_size": state.part_size,
        "device": str(sd.device),
    }


def _show(run: Run, folder: Path, config: Config) -> None:
    """Name the files to look at, and say how it went."""
    facts = json.loads((folder / LEARNED).read_text(encoding="utf-8"))
    for token in facts["vectors"]:
        programs = "diffusers, AUTOMATIC1111 and ComfyUI"
        if not is_new(token):
            programs = "AUTOMATIC1111, which lets it stand for that word in prompts"
        what = f"the word {token}, for {programs}"
        run.show(run.folder / file_name(token), what)
    if config.previews.prompts:
        run.show(folder / "previews.png", "previews: how the word grew, step by step")
    run.show(folder / "curves.png", "objective, loss, norm and rate over the steps")
    run.note(how_it_ended(facts))
    if (folder / STYLE).exists():
        style = evaluation.StyleReport(**json.loads((folder / STYLE).read_text(encoding="utf-8")))
        run.show(folder / "style.png", "the style, and prompts without and with the word")
        run.note(f"{config.word}: {style.sentence()}")
