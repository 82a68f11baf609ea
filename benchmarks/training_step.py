"""Seconds and memory of a training step: our rows-only inversion against diffusers' example.

    python benchmarks/training_step.py [--model FOLDER] [--device cuda]

Both learn the same word from the same pictures on the same model, in float32, at the same batch
size. A few minutes on two cores.
"""

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clip_l
import measuring
import torch
from full_table import Pictures, full_table_steps, read
from measuring import megabytes, seconds, spread, times

from diffusion.pseudo_word import PseudoWord, training_rows
from diffusion.stable_diffusion import StableDiffusion, load, locate
from inversion.batches import Material, make_batch
from inversion.checks import shapes_of
from inversion.config import TEMPLATES, Config, Objective, Stop, Train
from inversion.data import Example, find_examples
from inversion.initial import prepare_words
from inversion.latents import Latents, encode_pictures
from inversion.training import train
from lab.device import pick_device
from lab.errors import UserError

WORD, SEED, ENDLESS = "<word>", 0, 10**9
OURS, THEIRS = "rows only (ours)", "full table, as the example does it"
READ, CACHED = "full table, files read once", "full table, latents kept"
METHODS = (OURS, THEIRS, READ, CACHED)
UNET, ENCODER = "U-Net, forward only", "text encoder, forward and backward"
WORD_OURS, WORD_THEIRS = "SD 1.x, rows only", "SD 1.x, full table"
BOTH = "AdamW and restoring"
MEMORY_STEPS = 3  # the optimizer's state is there after the first


def arguments():
    options = measuring.parser("A training step: our inversion against diffusers' example.")
    options.add_argument(
        "--pictures",
        default=str(measuring.HERE.parent / "datasets/patchwork"),
        help="folder of pictures to learn from",
    )
    options.add_argument("--batch-size", type=int, default=8, help="pictures a step")
    options.add_argument("--num-vectors", type=int, default=4, help="vectors of the word")
    options.add_argument("--rounds", type=int, default=25, help="steps of each variant")
    options.add_argument("--word-rounds", type=int, default=7, help="steps at SD 1.x's table size")
    return options.parse_args()


def read_pictures(examples: list[Example], side: int, batch_size: int, again: bool) -> Pictures:
    pixels = torch.stack([read(example.path, side) for example in examples])
    captions = [example.caption for example in examples]
    paths = [example.path for example in examples] if again else []
    return Pictures(pixels, captions, TEMPLATES, batch_size, paths)


def encoded(sd: StableDiffusion, examples: list[Example]) -> list[Latents]:
    """What `encode_pictures` returns after its reports of progress."""
    progress = encode_pictures(sd, examples, shapes_of(sd, Config(), examples))
    while True:
        try:
            next(progress)
        except StopIteration as end:
            return end.value


def settings_of(options) -> Config:
    train = Train(steps=ENDLESS, batch_size=options.batch_size)
    never = Objective(every=ENDLESS)  # measuring is counted apart
    return Config(
        word=WORD,
        num_vectors=options.num_vectors,
        seed=SEED,
        train=train,
        objective=never,
        stop=Stop(rule="never"),
    )


def ours(sd: StableDiffusion, examples: list[Example], options) -> Iterator[Any]:
    """`inversion`'s own loop; the pictures are encoded before its first step."""
    config = settings_of(options)
    words = prepare_words(sd, config)
    material = Material(examples, encoded(sd, examples), TEMPLATES, WORD)
    with training_rows(sd.text_encoder, words.token_ids, words.rows) as word:
        yield from train(sd, word, material, config, words.norms)


def theirs(sd: StableDiffusion, examples: list[Example], options, variant: str) -> Iterator[Any]:
    """The whole-table method; of its own repetitions `variant` leaves some out."""
    pictures = read_pictures(examples, sd.resolution, options.batch_size, variant == THEIRS)
    latents = encoded(sd, examples) if variant == CACHED else None
    config = settings_of(options)
    rows = prepare_words(own_copy(sd), config).rows
    rate = config.train.learning_rate
    assert isinstance(rate, float)
    yield from full_table_steps(sd, pictures, WORD, rows, rate, latents)


def floor(sd: StableDiffusion, examples: list[Example], options) -> dict[str, Callable[[], Any]]:
    """What no step can do without: the U-Net forward (and as much again backward, since no weight
    has a gradient), the text encoder forward and backward; of one batch, in float32."""
    config = settings_of(options)
    words = prepare_words(sd, config)
    material = Material(examples, encoded(sd, examples), TEMPLATES, WORD)
    word = PseudoWord(sd.text_encoder.get_input_embeddings(), words.token_ids, words.rows)  # type: ignore[arg-type]
    sd.text_encoder.set_input_embeddings(word)
    batch = make_batch(sd, material, config.train, SEED, 0, range(options.batch_size))
    with torch.no_grad():
        hidden_states = sd.text_encoder(batch.token_ids)[0]

    def unet() -> None:
        with torch.no_grad():
            sd.unet(batch.x_0, batch.timesteps, encoder_hidden_states=hidden_states)

    def encoder() -> None:
        sd.text_encoder(batch.token_ids)[0].square().mean().backward()

    return {UNET: unet, ENCODER: encoder}


def own_copy(sd: StableDiffusion) -> StableDiffusion:
    """Shares the big parts, but has its own words."""
    return dataclasses.replace(
        sd,
        tokenizer=copy.deepcopy(sd.tokenizer),
        text_encoder=copy.deepcopy(sd.text_encoder),
        words={},
    )


def steps_of(variant: str, sd: StableDiffusion, options) -> Iterator[Any]:
    """The endless training of one variant; its first step prepares what it needs."""
    examples = find_examples(Config(data=options.pictures), Path())
    if len(examples) < options.batch_size:
        raise UserError(
            f"{options.pictures} has {len(examples)} pictures, fewer than the batch size of "
            f"{options.batch_size}: choose a smaller --batch-size"
        )
    if variant == OURS:
        return ours(own_copy(sd), examples, options)
    return theirs(own_copy(sd), examples, options, variant)


def print_peak(options) -> None:
    """What a child process does: load, remember, train a few steps, print bytes."""
    device, variant = pick_device(options.device), options.memory_of
    if variant in (WORD_OURS, WORD_THEIRS):
        encoder = clip_l.build(device)
        train_word = clip_l.rows_only if variant == WORD_OURS else clip_l.full_table
        steps: Iterator[Any] = train_word(encoder, options.num_vectors)
    else:
        sd = load(options.model, str(device), "fp32")
        steps = steps_of(variant, sd, options)
    print(measuring.peak_of(device, lambda: [next(steps) for _ in range(MEMORY_STEPS)]))


def seconds_of_steps(sd: StableDiffusion, options) -> tuple[dict[str, list[float]], float]:
    """Each variant's steps, and the seconds that ours takes once to encode the pictures."""
    variants: dict[str, Callable[[], Any]] = {}
    examples = find_examples(Config(data=options.pictures), Path())
    for variant in METHODS:
        variants[variant] = steps_of(variant, sd, options).__next__
    variants |= floor(own_copy(sd), examples, options)
    start = time.perf_counter()
    encoded(sd, examples)
    once = measuring.clock(sd.device) - start
    return measuring.interleaved(variants, options.rounds, 3, sd.device), once


def seconds_of_words(device: torch.device, options) -> dict[str, dict[str, list[float]]]:
    """Variant -> part of a step -> seconds, at the size of Stable Diffusion 1.x."""
    parts: dict[str, dict[str, list[float]]] = {WORD_OURS: {}, WORD_THEIRS: {}}

    def one_step(variant: str, steps: Iterator[dict[str, float]]) -> None:
        for part, value in next(steps).items():
            parts[variant].setdefault(part, []).append(value)

    step_of = {
        WORD_OURS: clip_l.rows_only(clip_l.build(device), options.num_vectors),
        WORD_THEIRS: clip_l.full_table(clip_l.build(device), options.num_vectors),
    }
    calls = {name: lambda name=name, s=s: one_step(name, s) for name, s in step_of.items()}
    measuring.interleaved(calls, options.word_rounds, 1, device)
    return {
        name: {part: values[1:] for part, values in each.items()} for name, each in parts.items()
    }


def table_of_steps(durations: dict[str, list[float]], memory: dict[str, float]) -> str:
    rows = []
    for variant in METHODS:
        ratio = measuring.ratios(durations[variant], durations[OURS])
        more = measuring.how_much_more(memory[variant], memory[OURS])
        rows.append([
            variant, seconds(spread(durations[variant])), times(ratio) if variant != OURS else "1",
            megabytes(memory[variant]), more if variant != OURS else "1",
        ])  # fmt: skip
    head = ["method", "a step", "x ours", "peak memory beyond the model", "x ours"]
    return measuring.markdown(head, rows)


def table_of_floor(durations: dict[str, list[float]], options) -> str:
    """How near a step is to the work that no step can do without."""
    least = [
        2 * unet + encoder
        for unet, encoder in zip(durations[UNET], durations[ENCODER], strict=True)
    ]
    above = times(measuring.ratios(durations[OURS], least))
    rows = [[name, seconds(spread(durations[name]))] for name in (UNET, ENCODER)]
    rows.append(["2 x the U-Net + the text encoder", seconds(spread(least))])
    rows.append(["a step (ours)", seconds(spread(durations[OURS]))])
    size = options.batch_size
    head = measuring.markdown(["the floor of a step", f"{size} pictures"], rows)
    return f"{head}\n\nA step is {above} times its floor."


def table_of_words(parts: dict[str, dict[str, list[float]]], memory: dict[str, float]) -> str:
    own, other = dict(parts[WORD_OURS]), dict(parts[WORD_THEIRS])
    whole = [_sums(list(each.values())) for each in (own, other)]
    own[BOTH] = own[clip_l.OPTIMIZER]
    other[BOTH] = _sums([other[clip_l.OPTIMIZER], other[clip_l.RESTORE]])
    own["all of it"], other["all of it"] = whole
    rows = []
    for part, values in other.items():
        mine = own.get(part)
        ratio = times(measuring.ratios(values, mine)) if mine else "-"
        mine_said = seconds(spread(mine)) if mine else "nothing to restore"
        rows.append([part, mine_said, seconds(spread(values)), ratio])
    more = measuring.how_much_more(memory[WORD_THEIRS], memory[WORD_OURS])
    rows.append([
        "peak memory beyond the encoder", megabytes(memory[WORD_OURS]),
        megabytes(memory[WORD_THEIRS]), more,
    ])  # fmt: skip
    return measuring.markdown(["part of a step", "rows only (ours)", "full table", "x ours"], rows)


def _sums(lists: list[list[float]]) -> list[float]:
    return [sum(values) for values in zip(*lists, strict=True)]


def report(sd: StableDiffusion, options, facts, durations, once, parts, memory) -> str:
    pictures = len(find_examples(Config(data=options.pictures), Path()))
    table = sd.text_encoder.get_input_embeddings().get_parameter("weight")
    vocabulary, width = table.shape
    paragraph = measuring.paragraph
    how = paragraph(f"""Median (quartiles) of {options.rounds} steps of each method, taken in turn;
        the ratio is taken within each turn. {measuring.name_of(sd)}, {sd.resolution} px, batch size
        {options.batch_size}, {options.num_vectors} vectors, float32, {sd.device.type}. Memory: each
        method in a process of its own, {MEMORY_STEPS} steps, preparations included.""")
    what = paragraph(f"""*Full table* is the method of diffusers' examples/textual_inversion,
        written anew: the whole table of {vocabulary:,} x {width} is trained and restored, and every
        step reads its {options.batch_size} picture files, resizes them and encodes them with the
        VAE. *Files read once* spares it the reading, *latents kept* the VAE as well; what is then
        left over ours is the table. Ours encodes the {pictures} pictures once, mirrored as well:
        {once:.2f} s, not part of the steps.""")
    word = paragraph(f"""CLIP-L's text encoder with random weights, table {clip_l.TOKENS:,} x
        {clip_l.WIDTH}, one prompt; median (quartiles) of {options.word_rounds} steps. The U-Net,
        the same for both, is left out.""")
    return "\n\n".join([
        "# A training step", measuring.described(facts), how, table_of_steps(durations, memory),
        what, table_of_floor(durations, options),
        "## The word itself, at the size of Stable Diffusion 1.x", word,
        table_of_words(parts, memory),
    ]) + "\n"  # fmt: skip


def main() -> None:
    options = arguments()
    measuring.quieten()
    if options.memory_of:
        print_peak(options)
        return
    locate(options.model)  # a missing model is said before any work
    variants = (*METHODS, WORD_OURS, WORD_THEIRS)
    device = pick_device(options.device)
    facts = measuring.machine(device)
    memory = {variant: measuring.in_own_process(variant) for variant in variants}
    sd = load(options.model, str(device), "fp32")
    durations, once = seconds_of_steps(sd, options)
    parts = seconds_of_words(device, options)
    text = report(sd, options, facts, durations, once, parts, memory)
    numbers = {
        "machine": facts, "model": sd.fingerprint, "batch_size": options.batch_size,
        "num_vectors": options.num_vectors, "seconds": durations, "encoding_once": once,
        "seconds_sd1_word": parts, "peak_bytes": memory,
    }  # fmt: skip
    measuring.keep(options.results, "training_step", text, numbers)


if __name__ == "__main__":
    measuring.run(main)
