"""Prompt weights as AUTOMATIC1111 reads and computes them: (word), (word:1.3), [word], BREAK.

Source: AUTOMATIC1111/stable-diffusion-webui 1.10, modules/prompt_parser.py (the notation),
sd_hijack_clip.py (chunks of 75 tokens), sd_emphasis.py (the weights). The library compel has
another notation and other mathematics: it moves the encoding away from that of the empty prompt
and restores no mean.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffusion.pseudo_word import place, word_at
from lab.errors import UserError

if TYPE_CHECKING:
    from diffusion.stable_diffusion import StableDiffusion

BRACKET = 1.1
"""What a pair of round brackets multiplies by, and a pair of square ones divides by."""
NEAR = 20
"""A chunk of 75 tokens ends at its last comma where that is among its last 20 tokens."""
_PIECE = re.compile(
    r"\\[\\()\[\]]|\\|[()\[\]]|:(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\)|[^\\()\[\]:]+|:"
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_EDITING = re.compile(r"(?<!\\)\[[^\[\]]*(?:\||:\s*[\d.]+\s*\])|\bAND\b")

Part = tuple[str, float]
Chunk = list[tuple[int, float]]


def parse(prompt: str) -> list[list[Part]]:
    r"""The parts of a prompt with their weights; a new list after each BREAK.

    Brackets multiply: ((a)) has 1.21, [a] 1 / 1.1, ((a:1.5)) 1.65. A bracket that is never closed
    reaches to the end; one that is only closed is text, and so is \( and its like.

    Raises:
        UserError: AUTOMATIC1111's prompt editing [a:b:0.5], alternation [a|b], or AND, which are
            not weights of one prompt.
    """
    if found := _EDITING.search(prompt):
        raise UserError(
            f"the prompt {prompt!r} has {found.group()!r}: prompt editing, alternation and AND are "
            "not read here; write a prompt for each, or a backslash before a bracket that is text"
        )
    parts: list[tuple[str | None, float]] = []  # None is BREAK
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def multiply(begin: int, factor: float) -> None:
        parts[begin:] = [(text, weight * factor) for text, weight in parts[begin:]]

    for piece in _PIECE.finditer(prompt):
        text, weight = piece.group(), piece["weight"]
        if text.startswith("\\"):
            parts.append((text[1:], 1.0))
        elif text in opened:
            opened[text].append(len(parts))
        elif weight is not None and opened["("]:
            multiply(opened["("].pop(), float(weight))
        elif text == ")" and opened["("]:
            multiply(opened["("].pop(), BRACKET)
        elif text == "]" and opened["["]:
            multiply(opened["["].pop(), 1 / BRACKET)
        else:
            for number, part in enumerate(_BREAK.split(text)):
                parts += [(None, 1.0)] * (number > 0) + [(part, 1.0)]
    for bracket, factor in (("(", BRACKET), ("[", 1 / BRACKET)):
        for begin in opened[bracket]:
            multiply(begin, factor)
    return _merged(parts)


def _merged(parts: Sequence[tuple[str | None, float]]) -> list[list[Part]]:
    """Neighbours of one weight as one text: it is tokenized as a whole."""
    stretches: list[list[Part]] = [[]]
    for text, weight in parts:
        last = stretches[-1]
        if text is None:
            stretches.append([])
        elif last and last[-1][1] == weight:
            last[-1] = (last[-1][0] + text, weight)
        else:
            last.append((text, weight))
    return stretches


def chunks_of(sd: "StableDiffusion", prompt: str) -> list[Chunk]:
    """The prompt's (token id, weight) in chunks of at most 75; no learned word is torn apart."""
    room = sd.tokenizer.model_max_length - 2  # start and end
    comma = sd.tokenizer.get_vocab().get(",</w>")
    chunks: list[Chunk] = []
    for stretch in parse(prompt):
        chunk: Chunk = []
        last_comma: int | None = None
        for unit in _units(sd, stretch):
            if unit[0][0] == comma:
                last_comma = len(chunk)
            elif len(chunk) == room and last_comma is not None and room - last_comma <= NEAR:
                chunks.append(chunk[: last_comma + 1])
                chunk, last_comma = chunk[last_comma + 1 :], None
            if len(chunk) + len(unit) > room:
                chunks.append(chunk)
                chunk, last_comma = [], None
            chunk += unit
        chunks.append(chunk)
    if len(chunks) > 1 and not chunks[-1]:
        chunks.pop()  # nothing follows the last BREAK
    return chunks


def _units(sd: "StableDiffusion", stretch: Sequence[Part]) -> Iterator[Chunk]:
    """What stays together: single tokens, and all vectors of a learned word."""
    for text, weight in stretch:
        token_ids = place(sd, sd.tokenizer(text, add_special_tokens=False, verbose=False).input_ids)
        position = 0
        while position < len(token_ids):
            word = word_at(sd, token_ids, position)
            count = len(word.token_ids) if word else 1
            yield [(token_id, weight) for token_id in token_ids[position : position + count]]
            position += count


def encode_weighted(sd: "StableDiffusion", prompt: str) -> Tensor:
    """Hidden states [1, 77 n, d] of a prompt that takes n chunks."""
    tokenizer = sd.tokenizer
    states = []
    for chunk in chunks_of(sd, prompt):
        token_ids = [tokenizer.bos_token_id, *(i for i, _ in chunk), tokenizer.eos_token_id]
        missing = tokenizer.model_max_length - len(token_ids)
        token_ids += [tokenizer.pad_token_id] * missing
        plain = sd.text_encoder(torch.tensor([token_ids]).to(sd.device))[0]
        states.append(emphasise(plain, [1.0, *(w for _, w in chunk), *[1.0] * (missing + 1)]))
    return torch.cat(states, dim=1)


def emphasise(states: Tensor, weights: Sequence[float]) -> Tensor:
    """States [1, n, d] times their weights [n], then all of them times what restores the mean.

    An encoder whose last layer norm was never trained has a mean of nothing but rounding: then it
    is left alone.
    """
    if all(weight == 1.0 for weight in weights):
        return states
    exact = states.float()
    weighted = exact * torch.tensor(weights, device=states.device)[:, None]
    if min(exact.mean().abs(), weighted.mean().abs()) > 1e-5 * exact.abs().mean():
        weighted = weighted * (exact.mean() / weighted.mean())
    return weighted.to(states.dtype)


def of_one_length(states: Sequence[Tensor]) -> list[Tensor]:
    """Each prompt's states [1, 77 n, d] repeated to the length of all.

    Attention to keys and values that are all there k times is attention to them once, so a prompt
    is drawn as if it were alone, but for the last bits.
    """
    length = math.lcm(*(state.shape[1] for state in states))
    return [state.repeat(1, length // state.shape[1], 1) for state in states]
