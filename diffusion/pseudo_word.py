"""Pseudo-words: learned vectors inside a frozen text encoder (Gal et al. 2022, arXiv:2208.01618).

A pseudo-word of n vectors is n tokens, `<w>`, `<w>_1`, ... `<w>_{n-1}`, as in diffusers: the
prompt says `<w>` and `expand` writes out the rest. While it is learned, its rows live in one small
fp32 Parameter beside the frozen table, so that neither gradient nor optimizer ever sees the table.
"""

import re
from collections.abc import Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AddedToken, CLIPTextModel, CLIPTokenizer

from lab.errors import UserError


class PseudoWord(nn.Module):
    """A token embedding whose rows for a few ids are trained and whose other rows are frozen.

    Stands in for the text encoder's `nn.Embedding`; `rows` [n, d] float32 is the only Parameter.
    Gradient and output equal those of an enlarged table (tests/diffusion/test_pseudo_word.py), at
    the cost of n rows instead of tens of thousands.

    Args:
        base: the frozen embedding, [V, d].
        token_ids: the ids that the rows answer for; below V to overwrite words the model knows,
            V and above for new ones.
        rows: the initial vectors, [n, d].
    """

    table: torch.Tensor
    slot: torch.Tensor

    def __init__(self, base: nn.Embedding, token_ids: Sequence[int], rows: torch.Tensor):
        super().__init__()
        self.register_buffer("table", base.weight.detach(), persistent=False)
        self.rows = nn.Parameter(rows.detach().to(base.weight.device, torch.float32).clone())
        size = max(base.num_embeddings, max(token_ids) + 1)
        slot = torch.full((size,), -1, dtype=torch.long, device=base.weight.device)
        slot[list(token_ids)] = torch.arange(len(token_ids), device=base.weight.device)
        self.register_buffer("slot", slot, persistent=False)
        self.token_ids = tuple(token_ids)

    @property
    def weight(self) -> torch.Tensor:
        """The frozen table: transformers asks an embedding for its dtype and device."""
        return self.table

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """[B, T] ids -> [B, T, d]."""
        slot = self.slot[token_ids]
        known = self.table[token_ids.clamp(max=self.table.shape[0] - 1)]
        # not self.rows[...]: on a CPU several threads add up the gradient of an index in any order,
        # and the same seed would no longer give the same bits
        learned = F.embedding(slot.clamp(min=0), self.rows).to(known.dtype)
        return torch.where((slot >= 0)[..., None], learned, known)


@contextmanager
def training_rows(text_encoder: CLIPTextModel, token_ids: Sequence[int], rows: torch.Tensor):
    """Put a `PseudoWord` in the encoder's embedding's place; the old one returns at the end."""
    base = text_encoder.get_input_embeddings()
    word = PseudoWord(base, token_ids, rows)  # type: ignore[arg-type]
    text_encoder.set_input_embeddings(word)
    try:
        yield word
    finally:
        text_encoder.set_input_embeddings(base)


def tokens_of(token: str, count: int) -> list[str]:
    """The token strings of a word of `count` vectors: `<w>`, `<w>_1`, ..."""
    return [token, *(f"{token}_{k}" for k in range(1, count))]


def register(tokenizer: CLIPTokenizer, token: str, count: int) -> list[int]:
    """Add a word's tokens to the tokenizer and give their ids.

    Raises UserError when the vocabulary has the word already: its meaning would be lost silently.
    """
    names = tokens_of(token, count)
    taken = [name for name in names if name in tokenizer.get_vocab()]
    if taken:
        raise UserError(
            f"the word {taken[0]!r} is already in the model's vocabulary; "
            f"choose another, for instance '<{token.strip('<>')}-1>'"
        )
    # single_word: an added token would otherwise be found in the middle of longer words
    tokenizer.add_tokens([AddedToken(name, single_word=True, normalized=False) for name in names])
    ids = tokenizer.convert_tokens_to_ids(names)
    assert isinstance(ids, list)  # a list of names gives a list of ids
    return ids


@torch.no_grad()
def add_word(sd, token: str, vectors: torch.Tensor) -> None:
    """Teach a loaded model a finished word.

    Args:
        sd: a `diffusion.stable_diffusion.StableDiffusion`; its tokenizer and text encoder change.
        token: the placeholder token, `<patchwork>`.
        vectors: [n, d].

    Raises:
        UserError: the vectors' width is not the text encoder's, or the word is taken.
    """
    table = sd.text_encoder.get_input_embeddings().weight
    if vectors.shape[1] != table.shape[1]:
        raise UserError(
            f"the word {token} has vectors of width {vectors.shape[1]}, "
            f"but the text encoder of {sd.name} has width {table.shape[1]}: "
            "use it with the model family it was learned on"
        )
    ids = register(sd.tokenizer, token, len(vectors))
    rows = table.new_zeros((max(ids) + 1, table.shape[1]))
    rows[: len(table)] = table
    rows[ids] = vectors.to(rows)
    sd.text_encoder.set_input_embeddings(nn.Embedding.from_pretrained(rows, freeze=True))
    sd.text_encoder.config.vocab_size = len(rows)


def expand(prompt: str, tokenizer: CLIPTokenizer) -> str:
    """Write a multi-vector word out: `a <w>` -> `a <w> <w>_1 <w>_2` (diffusers' convention)."""
    vocabulary = tokenizer.get_added_vocab()
    for token in sorted(vocabulary, key=len, reverse=True):
        if f"{token}_1" not in vocabulary:
            continue
        count = 1
        while f"{token}_{count}" in vocabulary:
            count += 1
        written = " ".join(tokens_of(token, count))
        pieces = re.split(re.escape(token) + r"(?!_\d)", prompt)
        prompt = written.join(pieces)
    return prompt
