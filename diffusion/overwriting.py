"""A word of the vocabulary between what it meant and what was learned for it.

An overwritten word has ids of its own where it stands as a whole word (`pseudo_word.register`), so
its vectors may be anything between its old ones and the learned ones, after training and without
it; every other prompt is encoded as before, to the last bit.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffusion.pseudo_word import Word, add_word, ids_in_vocabulary, is_new, require_width
from diffusion.stable_diffusion import StableDiffusion
from lab.errors import UserError


@dataclass(frozen=True)
class Overwriting:
    """An overwritten word of a loaded model."""

    word: Word
    old: Tensor
    """What the word's own ids stand for in the model, [m, d]."""
    learned: Tensor
    """[n, d], of the table's dtype and device."""


def at_strength(old_rows: Tensor, learned_rows: Tensor, strength: float) -> Tensor:
    """The rows [n, d] at `strength`: 0 the old ones, 1 the learned ones, both to the last bit,
    between them the straight line, and beyond 1 further on along it."""
    return torch.lerp(old_rows, learned_rows, strength)


def own_rows(sd: StableDiffusion, token: str) -> Tensor:
    """The vectors [m, d] that a word of the vocabulary has, one for each of its ids."""
    table = sd.text_encoder.get_input_embeddings().get_parameter("weight").detach()
    return table[list(ids_in_vocabulary(sd, token))].clone()


def overwrite(sd: StableDiffusion, token: str, vectors: Tensor) -> Overwriting:
    """Teach a loaded model what was learned for a word that it knows; it begins at strength 1.

    Raises:
        UserError: the word is a new one, in angle brackets, or the vectors do not fit the model.
    """
    if is_new(token):
        raise UserError(
            f"the word {token} is new and overwrites nothing: it has no strength between what it "
            "meant and what was learned; name the file of a word that was learned with overwrite"
        )
    require_width(sd, token, vectors)
    old = own_rows(sd, token)
    return Overwriting(add_word(sd, token, vectors), old, vectors.to(old))


@torch.no_grad()
def set_strength(sd: StableDiffusion, overwriting: Overwriting, strength: float) -> None:
    """Let the word mean its rows at `strength` from now on; at 0 the model is as it was.

    Raises:
        UserError: between 0 and 1, where the word has not as many vectors as it had.
    """
    word, old, learned = overwriting.word, overwriting.old, overwriting.learned
    if strength not in (0, 1) and len(old) != len(learned):
        raise UserError(
            f"the word {word.token} has {len(old)} vectors in the model and {len(learned)} were "
            "learned, so there is nothing between them: learn it with "
            f"num_vectors: {len(old)}, or ask for the strengths 0 and 1 only"
        )
    # its own ids where it is not to be overwritten: right for any number of vectors
    sd.words[word.token] = word if strength else replace(word, token_ids=word.trigger)
    rows = learned if strength in (0, 1) else at_strength(old, learned, strength)
    table = sd.text_encoder.get_input_embeddings().get_parameter("weight")
    table[list(word.token_ids)] = rows
