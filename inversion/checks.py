"""What is refused, and what is told, before anything is written."""

from collections.abc import Sequence

from torch import Tensor

from diffusion.prompts import cut_off, notes_of_cuts, whole_ids
from diffusion.pseudo_word import Word
from diffusion.stable_diffusion import StableDiffusion
from inversion.config import Config
from inversion.data import Example, upright_size
from inversion.initial import Words
from inversion.latents import read_weights
from inversion.shapes import choose_shapes
from inversion.templates import fill
from lab.errors import UserError

OFF_SQUARE = 1.02  # ratio of the sides from which it is worth saying that a picture is cut


def shapes_of(
    sd: StableDiffusion, config: Config, examples: Sequence[Example]
) -> list[tuple[int, int]]:
    """The shape (width, height) in px in which each picture is learned.

    Raises:
        UserError: the model cannot draw pictures of `config.resolution`.
    """
    side = config.resolution or sd.resolution
    sd.latent_shape(side, side)  # refuses sides that do not divide
    sizes = [example.size or upright_size(example.path) for example in examples]
    return choose_shapes(sizes, side, sd.side_multiple, config.buckets)


def note_of_shapes(
    examples: Sequence[Example], shapes: Sequence[tuple[int, int]], buckets: bool
) -> list[str]:
    """What the user should know of how the pictures are cut to their shapes, as sentences."""
    if buckets:
        counts = {shape: shapes.count(shape) for shape in sorted({*shapes})}
        told = ", ".join(f"{n} of {w} x {h}" for (w, h), n in counts.items())
        return [f"pictures by shape: {told} px"] if len(counts) > 1 else []
    uneven = [
        example.path.name
        for example in examples
        if example.size and max(example.size) > OFF_SQUARE * min(example.size)
    ]
    if not uneven:
        return []
    return [
        f"{len(uneven)} of {len(examples)} pictures are not square ({uneven[0]}), and only their "
        "middle is learned from: run cropping on them first, or set inversion.buckets to true"
    ]


def weights_of(
    sd: StableDiffusion,
    config: Config,
    examples: Sequence[Example],
    shapes: Sequence[tuple[int, int]],
) -> list[Tensor | None]:
    """What the masks say each latent cell of each picture counts (`latents.read_weights`)."""
    if not config.masks:
        return [None] * len(examples)
    return [read_weights(sd, *pair) for pair in zip(examples, shapes, strict=True)]


def check_prompts(
    sd: StableDiffusion,
    words: Words,
    config: Config,
    examples: Sequence[Example],
    templates: Sequence[str],
) -> list[str]:
    """Look at every prompt that training may use; returns what the user should know, as sentences.

    `words` are registered with `sd`.

    Raises:
        UserError: a word that no prompt holds, a prompt that holds no word, or one so long that
            the word itself is cut off.
    """
    room = sd.tokenizer.model_max_length - 1  # the last place is the end's
    seen: set[str] = set()
    cut: list[tuple[str, Example]] = []
    prompts: dict[str, Example] = {}
    for example in examples:
        for template in templates:
            prompts.setdefault(fill(template, config.word, example.caption), example)
    for prompt, example in prompts.items():
        token_ids = whole_ids(sd, prompt)
        ends = {word.token: _end_of(word, token_ids) for word in words.words}
        held = {token: end for token, end in ends.items() if end}
        if not held:
            raise UserError(
                f"the prompt {prompt!r} (of {example.path}) does not hold "
                f"{_named(words)}, so it would teach nothing: write [name] into the template, or "
                "the word into the caption"
            )
        for token, end in held.items():
            if end > room:
                raise UserError(
                    f"the prompt {prompt!r} (of {example.path}) is longer than 77 tokens and cuts "
                    f"{token}, a word of {_count(words, token)} vectors: put [name] earlier, "
                    "shorten the caption, or use fewer vectors"
                )
        seen |= {*held}
        if len(token_ids) > room + 1:
            cut.append((prompt, example))
    for word in words.words:
        if word.token not in seen:
            raise UserError(
                f"no caption or template holds {word.token}, so it cannot be learned: write it "
                "into the captions of its pictures, or drop it from inversion.also"
            )
    return [*_note_of_cut(sd, cut, len(prompts)), *notes_of_cuts(sd, drawn_prompts(config))]


def drawn_prompts(config: Config) -> list[str]:
    """The prompts of the previews and of the evaluation, with the word in them."""
    drawn = [*config.previews.prompts, config.previews.negative_prompt]
    if config.evaluate is not None:
        template = config.evaluate.template
        drawn += [template.replace("[filewords]", s) for s in config.evaluate.subjects]
        drawn.append(config.evaluate.negative_prompt)
    return [prompt.replace("[name]", config.word) for prompt in drawn]


def _end_of(word: Word, token_ids: Sequence[int]) -> int:
    """The place after the last of a word's ids in a prompt; 0 where the prompt does not hold it."""
    last = word.token_ids[-1]
    return max((k + 1 for k, token_id in enumerate(token_ids) if token_id == last), default=0)


def _named(words: Words) -> str:
    return " or ".join(word.token for word in words.words)


def _count(words: Words, token: str) -> int:
    return next(len(word.token_ids) for word in words.words if word.token == token)


def _note_of_cut(sd: StableDiffusion, cut: list[tuple[str, Example]], count: int) -> list[str]:
    if not cut:
        return []
    prompt, example = cut[0]
    return [
        f"{len(cut)} of {count} prompts are longer than 77 tokens and are cut: the first, of "
        f"{example.path.name}, loses {cut_off(sd, prompt)!r} of {prompt!r}"
    ]
