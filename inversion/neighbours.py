"""What learned vectors are like: their lengths, and the words of the vocabulary nearest to them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffusion.pseudo_word import END_OF_WORD, PseudoWord
from diffusion.stable_diffusion import StableDiffusion
from lab.run import write_text

VECTORS = "vectors.jsonl"
"""A line for each look at the objective: what the vectors were like then."""


@dataclass(frozen=True)
class Vector:
    """One vector of a word."""

    norm: float
    start_norm: float
    moved: float
    """How far it is from where it began."""
    nearest: tuple[tuple[str, float], ...]
    """Words of the vocabulary with their cosine, the nearest first."""


@dataclass(frozen=True)
class Vocabulary:
    """The model's own words: made once, since there are tens of thousands."""

    table: Tensor
    """[V, d], of length 1, on the CPU."""
    names: list[str | None]


def vocabulary_of(sd: StableDiffusion, word: PseudoWord) -> Vocabulary:
    """The words to compare the rows of `word` with."""
    names = readable(sd.tokenizer.convert_ids_to_tokens(list(range(len(word.table)))))
    return Vocabulary(unit(word.table.detach().cpu().float()), names)


@torch.no_grad()
def describe(
    vocabulary: Vocabulary, rows: Tensor, start: Tensor, count: int = 5
) -> tuple[Vector, ...]:
    """Each of the rows of a word [n, d], which began as `start` [n, d]."""
    rows, start = rows.detach().cpu().float(), start.cpu().float()
    cosines = torch.nn.functional.normalize(rows, dim=1) @ vocabulary.table.T
    names = vocabulary.names
    cosines[:, [name is None for name in names]] = -2
    found = []
    for k, row in enumerate(rows):
        values, ids = cosines[k].topk(min(count, len(names)))
        pairs = zip(ids.tolist(), values.tolist(), strict=True)
        nearest = tuple((str(names[i]), round(value, 3)) for i, value in pairs)
        moved = (row - start[k]).norm().item()
        found.append(Vector(row.norm().item(), start[k].norm().item(), moved, nearest))
    return tuple(found)


def note_vectors(
    folder: Path, step: int, vocabulary_norm: float, vectors: Sequence[Vector]
) -> None:
    """Append what the vectors are like after `step` steps to vectors.jsonl, for who watches."""
    line = {"step": step, "vocabulary_norm": vocabulary_norm, "vectors": [*map(asdict, vectors)]}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / VECTORS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def forget_vectors(folder: Path, after: int | None) -> None:
    """Drop the lines of steps above `after`, which will be taken again; None: all lines."""
    path = folder / VECTORS
    if not path.exists():
        return
    whole = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
    kept = [
        f"{line}\n"
        for line in whole.splitlines()
        if after is not None and json.loads(line)["step"] <= after
    ]
    write_text(path, "".join(kept))


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
