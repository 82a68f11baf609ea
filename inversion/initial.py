"""The words of a run: their places in the tokenizer, what their vectors begin as, and their norms.

Several words are one matrix of rows, one word's after the other's, so that a training loop sees a
single Parameter however many words it learns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from diffusion.formats import load_embedding
from diffusion.pseudo_word import Word, ids_in_vocabulary, register, require_width
from diffusion.stable_diffusion import StableDiffusion
from inversion.config import Config, NewWord
from lab.device import generator_for
from lab.errors import UserError
from lab.run import file_hash

LONG = 0.99  # quantile of the vocabulary's norms above which `clip` shortens


@dataclass(frozen=True)
class Words:
    """The words that a run learns: the first is that of [name]."""

    words: tuple[Word, ...]
    rows: Tensor
    """What their vectors begin as, float32 [n, d]: one word's after the other's."""
    norms: "Norms"

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The ids that the rows answer for, in their order: for `training_rows`."""
        return tuple(i for word in self.words for i in word.token_ids)

    def split(self, rows: Tensor) -> dict[str, Tensor]:
        """Rows [n, d] by the token of the word that they belong to."""
        parts = rows.split([len(word.token_ids) for word in self.words])
        return {word.token: part for word, part in zip(self.words, parts, strict=True)}


@dataclass(frozen=True)
class Norms:
    """How long the vocabulary's vectors are."""

    mean: float
    long: float
    """99% of the vocabulary are shorter."""


def prepare_words(sd: StableDiffusion, config: Config) -> Words:
    """Register the words of `config` with `sd` and make their initial rows.

    Raises:
        UserError: a word is taken, an initial embedding is missing, damaged, or of another width
            or number of vectors, or initial words are not words.
    """
    assert isinstance(config.num_vectors, int)  # the job takes a list apart
    wanted: list[tuple[NewWord, int]] = [(config, config.num_vectors)]
    wanted += [(other, other.num_vectors) for other in config.also]
    rows = [
        initial_rows(sd, new, count, config.seed, index)
        for index, (new, count) in enumerate(wanted)
    ]
    words = tuple(register(sd, new.word, count) for new, count in wanted)
    return Words(words, torch.cat(rows), vocabulary_norms(sd))


def initial_rows(
    sd: StableDiffusion, new: NewWord, count: int, seed: int, index: int = 0
) -> Tensor:
    """The vectors that word number `index` begins with, float32 [count, d].

    From a previous embedding; else the rows of the initial words' tokens, repeated, with noise if
    that is asked for; else normal with the vocabulary's own mean and covariance.
    """
    if new.initial_embedding:
        return _previous(sd, new, count)
    table = _table(sd)
    if new.initial_words:
        ids = ids_in_vocabulary(sd, new.initial_words)
        rows = table[[ids[k % len(ids)] for k in range(count)]].clone()
        if not new.initial_noise:
            return rows
        return rows + new.initial_noise * _like_vocabulary(table, count, seed, index)
    return table.mean(0) + _like_vocabulary(table, count, seed, index)


def _like_vocabulary(table: Tensor, count: int, seed: int, index: int) -> Tensor:
    """Normal rows [count, d] of mean 0 and the covariance of the table [V, d].

    Sums of the centred vocabulary with V independent weights have its covariance exactly, and need
    no factorisation, which a vocabulary smaller than its width would not have.
    """
    weights = torch.randn(count, len(table), generator=generator_for(seed, -1, index))
    centred = table - table.mean(0)
    return weights.to(table.device) @ centred / (len(table) - 1) ** 0.5


def _previous(sd: StableDiffusion, new: NewWord, count: int) -> Tensor:
    vectors = load_embedding(new.initial_embedding).vectors
    require_width(sd, new.initial_embedding, vectors)
    if len(vectors) != count:
        raise UserError(
            f"{new.initial_embedding} has {len(vectors)} vectors and {new.word} is to have "
            f"{count}: set num_vectors to {len(vectors)}, or begin with initial_words"
        )
    return vectors.to(sd.device)


def embeddings_used(config: Config) -> list[str]:
    """Hashes of the embedding files that words go on from: what the result depends on.

    Raises:
        UserError: one of them is missing or damaged.
    """
    paths = [new.initial_embedding for new in (config, *config.also) if new.initial_embedding]
    for path in paths:
        load_embedding(path)
    return [file_hash(path) for path in paths]


def _table(sd: StableDiffusion) -> Tensor:
    return sd.text_encoder.get_input_embeddings().get_parameter("weight").detach().float()


def vocabulary_norms(sd: StableDiffusion) -> Norms:
    """The norms of the model's own words."""
    norms = _table(sd).norm(dim=1)
    return Norms(norms.mean().item(), norms.quantile(LONG).item())


@torch.no_grad()
def hold_norms(rows: Tensor, how: Literal["free", "clip", "project"], norms: Norms) -> None:
    """Change rows [n, d] in place, after each optimizer step, as `inversion.norm` asks."""
    if how == "free":
        return
    length = rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
    wanted = length.clamp(max=norms.long) if how == "clip" else norms.mean
    rows.mul_(wanted / length)


def file_name(token: str) -> str:
    """The file that a word is saved as: `patchwork.safetensors` for `<patchwork>`; for a word that
    is overwritten, the word, since AUTOMATIC1111 takes the file's name for the word in prompts."""
    return f"{token.strip('<>')}.safetensors"


def other_tokens(config: Config) -> Sequence[str]:
    """The tokens that are learned beside [name]'s."""
    return [other.word for other in config.also]
