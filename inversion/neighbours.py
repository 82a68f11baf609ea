"""What learned vectors are like: their lengths, and the words of the vocabulary nearest to them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.pseudo_word import END_OF_WORD, PseudoWord
from diffusion.stable_diffusion import StableDiffusion


@dataclass(frozen=True)
class Vector:
    """One vector of a word."""

    norm: float
    start_norm: float
    moved: float
    """How far it is from where it began."""
    nearest: tuple[tuple[str, float], ...]
    """Words of the vocabulary with their cosine, the nearest first."""


@torch.no_grad()
def describe(
    sd: StableDiffusion, word: PseudoWord, start: Tensor, count: int = 5
) -> tuple[Vector, ...]:
    """Each of the rows of `word` [n, d], which began as `start` [n, d]."""
    rows, start = word.rows.detach().cpu().float(), start.cpu().float()
    table = word.table.cpu().float()
    cosines = torch.nn.functional.normalize(rows, dim=1) @ unit(table).T
    names = readable(sd.tokenizer.convert_ids_to_tokens(list(range(len(table)))))
    cosines[:, [name is None for name in names]] = -2
    found = []
    for k, row in enumerate(rows):
        values, ids = cosines[k].topk(min(count, len(names)))
        pairs = zip(ids.tolist(), values.tolist(), strict=True)
        nearest = tuple((str(names[i]), round(value, 3)) for i, value in pairs)
        moved = (row - start[k]).norm().item()
        found.append(Vector(row.norm().item(), start[k].norm().item(), moved, nearest))
    return tuple(found)


def unit(table: Tensor) -> Tensor:
    """The rows of a table [V, d] at length 1."""
    return torch.nn.functional.normalize(table, dim=1)


def readable(tokens: Sequence[str]) -> list[str | None]:
    """What a person sees of tokens: whole words as words, pieces with a hyphen; None for those that
    are no text (start, end, other learned words, bytes)."""
    shown: list[str | None] = []
    for token in tokens:
        text = token.removesuffix(END_OF_WORD)
        if not text.isascii() or not text.isprintable() or text.startswith("<"):
            shown.append(None)
        else:
            shown.append(text if token.endswith(END_OF_WORD) else f"{text}-")
    return shown
