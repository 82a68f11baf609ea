"""Pseudo-words: learned vectors inside a frozen text encoder (Gal et al. 2022, arXiv:2208.01618).

A pseudo-word of n vectors is n tokens, `<w>`, `<w>_1`, ... `<w>_{n-1}`, as in diffusers: the
prompt says `<w>` and `place` puts in the rest. A word that the vocabulary knows may be overwritten:
then its vectors take the place of the ids that it has, wherever it stands as a whole word.

While words are learned, their rows live in one small fp32 Parameter beside the frozen table, so
that neither gradient nor optimizer ever sees the table.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AddedToken, CLIPTextModel

from lab.errors import UserError

END_OF_WORD = "</w>"  # ends the name of each token that ends a word, in CLIP's vocabulary
OVERWRITTEN = "⟦", "⟧"  # around the names of tokens that nobody writes: see `register`


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


@dataclass(frozen=True)
class Word:
    """A word that a tokenizer was told of.

    Where the tokenizer gives `trigger` for a prompt, `token_ids` stand instead (`place`), one for
    each vector. The trigger of a new word, `<w>`, is the one id that was added for it; that of a
    word which the vocabulary knows, `doctor` or `housekeeper`, is the ids that it has there, one
    or several, which keep their own rows: they are pieces of other words too.
    """

    token: str
    trigger: tuple[int, ...]
    token_ids: tuple[int, ...]


def is_new(token: str) -> bool:
    """Whether a token is in angle brackets, `<w>`, and so new; others stand for words as they are
    written, and learning them overwrites what the text encoder knows of them."""
    return token.startswith("<") and token.endswith(">")


def mentions(text: str, token: str) -> bool:
    """Whether prompts may hold a word; the tokenizer does not tell "Doctor" from "doctor"."""
    return token in text if is_new(token) else token.lower() in text.lower()


def tokens_of(token: str, count: int) -> list[str]:
    """The token strings of a word of `count` vectors: `<w>`, `<w>_1`, ... as in diffusers."""
    return [token, *(f"{token}_{k}" for k in range(1, count))]


def register(sd, token: str, count: int) -> Word:
    """Tell the tokenizer of `sd` of a word of `count` vectors; their rows are up to the caller.

    A new word, `<w>`, gets tokens of its own. Any other is overwritten: where a prompt has it as a
    whole word, its vectors stand, and in longer words its pieces stay what they are. (Adding it as
    a token would rebind it, and it would be found in the middle of words.)

    Raises:
        UserError: the word was registered already, or its token is one of the model's own.
    """
    taken = [name for name in tokens_of(token, count) if name in sd.tokenizer.get_added_vocab()]
    if token in sd.words or taken:
        raise UserError(
            f"the word {(taken or [token])[0]!r} is already in the model's vocabulary; "
            f"choose another, for instance '<{token.strip('<>')}-1>'"
        )
    trigger = () if is_new(token) else ids_in_vocabulary(sd, token)
    names = tokens_of(token if is_new(token) else f"{OVERWRITTEN[0]}{token}{OVERWRITTEN[1]}", count)
    # single_word: an added token would otherwise be found in the middle of longer words
    sd.tokenizer.add_tokens([AddedToken(n, single_word=True, normalized=False) for n in names])
    ids = sd.tokenizer.convert_tokens_to_ids(names)
    sd.words[token] = Word(token, trigger or (ids[0],), tuple(ids))
    return sd.words[token]


def ids_in_vocabulary(sd, text: str) -> tuple[int, ...]:
    """The ids that the tokenizer has for a text, without start and end."""
    ids = tuple(sd.tokenizer(text, add_special_tokens=False).input_ids)
    if not ids:
        raise UserError(f"{text!r} is no word: give one with letters in it")
    return ids


def place(sd, token_ids: Sequence[int]) -> list[int]:
    """Token ids of a prompt with the registered words' ids in place of their triggers.

    At each place the longest trigger counts, as in AUTOMATIC1111; other than there, an overwritten
    word has to be a whole word: "doctor" is not overwritten in "witchdoctor". A word of several
    vectors that is written out already, `<w> <w>_1`, stays.
    """
    words = sorted(sd.words.values(), key=lambda word: len(word.trigger), reverse=True)
    placed: list[int] = []
    position = 0
    while position < len(token_ids):
        word = next((w for w in words if _stands_at(sd, w, token_ids, position)), None)
        if word is None:
            placed.append(token_ids[position])
            position += 1
            continue
        written_out = tuple(token_ids[position : position + len(word.token_ids)]) == word.token_ids
        placed += word.token_ids
        position += len(word.token_ids if written_out else word.trigger)
    return placed


def word_at(sd, token_ids: Sequence[int], position: int) -> Word | None:
    """The learned word whose vectors begin at a place of a prompt's ids."""
    for word in sd.words.values():
        if tuple(token_ids[position : position + len(word.token_ids)]) == word.token_ids:
            return word
    return None


def _stands_at(sd, word: Word, token_ids: Sequence[int], position: int) -> bool:
    if tuple(token_ids[position : position + len(word.trigger)]) != word.trigger:
        return False
    if position == 0 or is_new(word.token):
        return True
    before = token_ids[position - 1]  # a piece inside a word, or what ends one
    return before in sd.tokenizer.added_tokens_decoder or str(
        sd.tokenizer.convert_ids_to_tokens(before)
    ).endswith(END_OF_WORD)


@torch.no_grad()
def add_word(sd, token: str, vectors: torch.Tensor) -> Word:
    """Teach a loaded model a finished word, so that prompts use it.

    Args:
        sd: a `diffusion.stable_diffusion.StableDiffusion`; its tokenizer and text encoder change.
        token: the placeholder token, `<patchwork>`; or a word without brackets, which is
            overwritten: prompts that hold it mean the vectors, all others are encoded as before.
        vectors: [n, d].

    Raises:
        UserError: the vectors' width is not the text encoder's, or the word is taken.
    """
    table = sd.text_encoder.get_input_embeddings().weight
    require_width(sd, token, vectors)
    word = register(sd, token, len(vectors))
    rows = table.new_zeros((max(word.token_ids) + 1, table.shape[1]))
    rows[: len(table)] = table
    rows[list(word.token_ids)] = vectors.to(rows)
    sd.text_encoder.set_input_embeddings(nn.Embedding.from_pretrained(rows, freeze=True))
    sd.text_encoder.config.vocab_size = len(rows)
    return word


def require_width(sd, what: str, vectors: torch.Tensor) -> None:
    """Raise UserError where vectors [n, d] are not as wide as the text encoder's."""
    width = sd.text_encoder.get_input_embeddings().weight.shape[1]
    if vectors.shape[1] != width:
        raise UserError(
            f"the word {what} has vectors of width {vectors.shape[1]}, "
            f"but the text encoder of {sd.name} has width {width}: "
            "use it with the model family it was learned on"
        )
