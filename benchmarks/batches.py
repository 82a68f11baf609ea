"""What the making of batches takes of a training step.

    python benchmarks/batches.py [--model FOLDER] [--device cuda]

A batch is latents and noise of its pictures, timesteps and token ids; the step is the rest: text
encoder and U-Net forward and backward. On a GPU batches are made while it works on the step before.
"""

import measuring
from measuring import seconds, spread

from diffusion.pseudo_word import training_rows
from diffusion.stable_diffusion import StableDiffusion, load
from inversion.batches import Material, make_batch
from inversion.config import TEMPLATES, Config, Tags, Train
from inversion.data import Example
from inversion.initial import prepare_words
from inversion.latents import Latents
from inversion.loss import loss_of
from lab.device import noise, pick_device

PLAIN, MIXED, STEP = "batch", "batch, tags shuffled and dropped", "the rest of a step"
LARGE, LARGE_SHAPE = "batch of 512 px pictures (64 x 64 latents)", (4, 64, 64)
CAPTION = "a cat {}, on a wall, at night, seen from above"
PICTURES, WARMUPS = 100, 60  # after which most prompts were seen, as in a long training


def arguments():
    options = measuring.parser("What the making of batches takes of a training step.")
    options.add_argument("--batch-size", type=int, default=8, help="pictures a step")
    options.add_argument("--rounds", type=int, default=25, help="steps that are measured")
    return options.parse_args()


def material(sd: StableDiffusion, config: Config, shape: tuple[int, ...], tags: Tags) -> Material:
    pairs = [noise((2, *shape), 0, k).to(sd.device) for k in range(PICTURES)]
    latents = [Latents(mean, mean.abs()) for mean in pairs]
    examples = [Example(measuring.HERE / f"{k}.png", CAPTION.format(k)) for k in range(PICTURES)]
    return Material(examples, latents, TEMPLATES, config.word, tags)


def variants(sd: StableDiffusion, config: Config, word):
    """Calls that make the batch of the next step each time, and one that computes a step's rest."""
    count = iter(range(10**9))
    mine = range(config.train.batch_size)

    def maker(shape: tuple[int, ...], tags: Tags):
        source = material(sd, config, shape, tags)
        return lambda: make_batch(sd, source, config.train, 0, next(count), mine)

    shape = sd.latent_shape()
    fixed = maker(shape, Tags())()

    def rest() -> None:
        word.rows.grad = None
        loss_of(sd, fixed).backward()

    mixed = Tags(shuffle=True, drop=0.1)
    return {PLAIN: maker(shape, Tags()), MIXED: maker(shape, mixed), STEP: rest,
            LARGE: maker(LARGE_SHAPE, Tags())}  # fmt: skip


def report(sd: StableDiffusion, options, facts, durations) -> str:
    step = spread(durations[STEP]).median
    rows = []
    for name, values in durations.items():
        share = f"{100 * spread(values).median / step:.2f}%"
        rows.append([name, seconds(spread(values)), "" if name in (STEP, LARGE) else share])
    text = measuring.paragraph(f"""Median (quartiles) of {options.rounds} steps, in turn, after
        {WARMUPS}. {measuring.name_of(sd)}, {sd.resolution} px, batch size {options.batch_size},
        float32, {sd.device.type}; {PICTURES} pictures, {len(TEMPLATES)} templates.""")
    head = ["part", "seconds", "share of the rest of a step"]
    described = measuring.described(facts)
    table = measuring.markdown(head, rows)
    return "\n\n".join(["# The making of batches", described, text, table]) + "\n"


def main() -> None:
    options = arguments()
    measuring.quieten()
    device = pick_device(options.device)
    facts = measuring.machine(device)
    sd = load(options.model, str(device), "fp32")
    config = Config(word="<w>", train=Train(batch_size=options.batch_size))
    words = prepare_words(sd, config)
    with training_rows(sd.text_encoder, words.token_ids, words.rows) as word:
        calls = variants(sd, config, word)
        for name in (PLAIN, MIXED, LARGE):
            for _ in range(WARMUPS):
                calls[name]()
        durations = measuring.interleaved(calls, options.rounds, 2, device)
    numbers = {"machine": facts, "model": sd.fingerprint, "seconds": durations}
    measuring.keep(options.results, "batches", report(sd, options, facts, durations), numbers)


if __name__ == "__main__":
    measuring.run(main)
