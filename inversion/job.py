"""The inversion job: crops -> latents -> training -> the word, previews and a measurement."""

from collections.abc import Iterator
from dataclasses import asdict

import torch

from diffusion.formats import save_embedding
from diffusion.prompts import cut_off
from diffusion.pseudo_word import PseudoWord, training_rows
from diffusion.stable_diffusion import StableDiffusion, fingerprint, load, locate
from inversion import checkpoints, data, evaluation, previews
from inversion.batches import Material
from inversion.config import Config
from inversion.curves import save_curves
from inversion.initial import prepare_words
from inversion.latents import Latents
from inversion.stopping import Measured
from inversion.training import TrainStep, train
from lab.device import pick_device
from lab.images import find_images
from lab.run import Progress, Run, file_hash, write_json

VERSION = 1  # raised when the same configuration would give another result
MADE = ["*.safetensors", "*.png", "style.json", "previews", "checkpoints"]


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Learn `config.word`; leaves WORD.safetensors, previews, curves and, if asked, style.json.

    Raises:
        UserError: no pictures, no model, a template without [name], before anything is written; a
            taken word or attention that cannot run here, which the manifest then says.
    """
    examples = data.find_examples(config, run.sibling("cropping"))
    templates = data.read_templates(config)
    key = run.fingerprint(_inputs(config, examples, templates))
    if run.is_complete(key, discard=MADE):
        return
    sd = load(config.model, config.device, pick_training_dtype(config), config.attention)
    words = prepare_words(sd, config)
    run.manifest |= {"model_fingerprint": sd.fingerprint, "device": str(sd.device)}
    run.manifest |= {"seed": config.seed, "pictures": len(examples)}
    _warn_of_cut_prompts(run, sd, config, examples, templates)

    side = config.resolution or sd.resolution
    latents = yield from data.encode_examples(sd, examples, side)
    pairs = zip(latents.mean, latents.std, strict=True)
    material = Material(examples, [Latents(*pair) for pair in pairs], templates, config.word)
    with training_rows(sd.text_encoder, words.token_ids, words.rows) as word:
        yield from _learn(config, run, sd, word, material, words.norms)
        if run.is_main:
            yield from _finish(config, run, sd, word, examples)


def _inputs(config: Config, examples, templates) -> dict:
    inputs = {
        "version": VERSION,
        "config": config.model_dump(mode="json"),
        "model": fingerprint(locate(config.model)),
        "examples": data.fingerprint(examples),
        "templates": templates,
    }
    if config.evaluate is not None:
        pictures = find_images(config.evaluate.pictures)
        inputs["evaluate"] = [file_hash(path) for path in pictures]
    return inputs


def pick_training_dtype(config: Config) -> str:
    """`auto` is bf16 on a GPU that has it and fp32 elsewhere: fp16 gradients vanish unscaled."""
    if config.dtype != "auto":
        return config.dtype
    device = pick_device(config.device)
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"


def _warn_of_cut_prompts(run: Run, sd: StableDiffusion, config: Config, examples, templates):
    for example in examples:
        for template in templates:
            prompt = data.fill(template, config.word, example.caption)
            if lost := cut_off(sd, prompt):
                run.note(f"a prompt is longer than 77 tokens, {lost!r} is cut from {prompt!r}")
                return


def _preview_steps(config: Config) -> list[int]:
    """0, every, 2 every, ..., and the last step."""
    steps = config.train.steps
    return sorted({*range(0, steps + 1, config.previews.every), steps})


def _learn(config: Config, run: Run, sd, word: PseudoWord, material: Material, norms):
    """Train from the last checkpoint on, with previews; `word` ends with the learned rows."""
    folder, settings = run.folder / "checkpoints", config.train
    found = checkpoints.newest(folder, sd.device)
    state = found[0] if found else None
    first = state.step if state else 0
    run.truncate_metrics("step", first)  # steps after the checkpoint are taken again
    if state is not None:
        with torch.no_grad():
            word.rows.copy_(state.rows)
    wanted = set(_preview_steps(config)) if run.is_main else set()
    if 0 in wanted and state is None:
        _preview(config, run, sd, 0)
    yield Progress("learning " + config.word, first, settings.steps)
    for step, reached in train(sd, word, material, config, norms, state):
        if isinstance(step, Measured):
            continue
        run.metric(**asdict(step))
        if run.is_main and step.step in wanted:
            _preview(config, run, sd, step.step)
        due = step.step % settings.checkpoint_every == 0 or step.step == settings.steps
        if run.is_main and due:
            checkpoints.save(folder, reached, {}, settings.keep_checkpoints)
        yield Progress("learning " + config.word, step.step, settings.steps, _said(step))


def _said(step: TrainStep) -> str:
    return f"loss {step.loss:.3f}, norm {step.norm:.2f}"


def _preview(config: Config, run: Run, sd: StableDiffusion, step: int) -> None:
    folder = run.folder / "previews"
    if config.previews.prompts and not previews.row_path(folder, step).exists():
        pictures = previews.draw_row(sd, config.previews, config.word)
        previews.save_row(folder, step, pictures)


def _finish(config: Config, run: Run, sd, word: PseudoWord, examples):
    """Save the word, the sheets and the measurement, and say where they are."""
    name = config.word.strip("<>")
    path = run.folder / f"{name}.safetensors"
    about = {"model": config.model, "model_fingerprint": sd.fingerprint}
    about |= {"steps": config.train.steps, "pictures": len(examples), "name": name}
    save_embedding(path, config.word, word.rows, about)
    run.show(path, f"the word {config.word}, for diffusers, AUTOMATIC1111 and ComfyUI")
    if config.previews.prompts:
        sheet = run.folder / "previews.png"
        previews.save_sheet(run.folder / "previews", config.previews, _preview_steps(config), sheet)
        run.show(sheet, "previews: how the word grew, step by step")
    save_curves(run.metrics(), run.folder / "curves.png")
    run.show(run.folder / "curves.png", "loss and norm of the vectors over the steps")
    if config.evaluate is not None:
        judge = evaluation.evaluate(sd, config.evaluate, config.word, config.seed, run.folder)
        report = yield from judge
        write_json(run.folder / "style.json", asdict(report))
        run.show(run.folder / "style.png", "the style, and prompts without and with the word")
        run.note(report.sentence())
