"""Prompts to the hidden states that the U-Net attends to."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion.pseudo_word import place, word_at
from diffusion.stable_diffusion import StableDiffusion, at_work
from diffusion.weights import chunks_of, encode_weighted, of_one_length
from lab.errors import UserError


@torch.no_grad()
def encode_prompts(sd: StableDiffusion, prompts: Sequence[str]) -> Tensor:
    """Hidden states [N, 77, d] of the prompts, in the model's dtype and on its device.

    A word of several vectors is written once in the prompt and stands for all of them. Each
    different prompt is encoded once and alone, so its encoding does not depend on the prompts
    beside it, in any bit. What exceeds the encoder's 77 tokens is cut, as everywhere: see
    `cut_off`. Where the model was opened with `prompt_weights`, brackets weigh, and a prompt of
    more than 77 tokens has as many states more: see `diffusion.weights`.
    """
    encoded: dict[str, Tensor] = {}
    for prompt in prompts:
        if prompt not in encoded:
            with at_work(sd, "text_encoder"):
                encoded[prompt] = _encoded(sd, prompt)
    return torch.cat(of_one_length([encoded[prompt] for prompt in prompts]))


def _encoded(sd: StableDiffusion, prompt: str) -> Tensor:
    if sd.prompt_weights:
        return encode_weighted(sd, prompt)
    return sd.text_encoder(tokenize(sd, prompt).to(sd.device))[0]


def tokenize(sd: StableDiffusion, prompt: str) -> Tensor:
    """Token ids [1, 77] of a prompt: start, words, end, padding."""
    length = sd.tokenizer.model_max_length
    token_ids = whole_ids(sd, prompt)
    if len(token_ids) > length:
        token_ids = [*token_ids[: length - 1], token_ids[-1]]
    padding = [sd.tokenizer.pad_token_id] * (length - len(token_ids))
    return torch.tensor([token_ids + padding])


def whole_ids(sd: StableDiffusion, prompt: str) -> list[int]:
    """Token ids of all of a prompt, however long, with learned words put in: start, words, end."""
    return place(sd, sd.tokenizer(prompt, verbose=False).input_ids)


def cut_off(sd: StableDiffusion, prompt: str) -> str:
    """The end of the prompt that does not fit into the encoder's 77 tokens; "" where all of it
    does.

    Where the end comes amid a word of several vectors, it says how many of them are lost:
    "<w> (3 of its 16 vectors) in the forest".
    """
    token_ids = whole_ids(sd, prompt)
    room = sd.tokenizer.model_max_length - 1  # the last place is the end token's
    if len(token_ids) <= room + 1:
        return ""
    lost: list[str] = []
    plain: list[int] = []
    position, end = 0, len(token_ids) - 1
    while position < end:
        word = word_at(sd, token_ids, position)
        count = len(word.token_ids) if word else 1
        missing = min(count, position + count - room)
        if word is None and missing > 0:
            plain.append(token_ids[position])
        elif word is not None and missing > 0:
            part = f" ({missing} of its {count} vectors)" if missing < count else ""
            lost += [str(sd.tokenizer.decode(plain)).strip(), word.token + part]
            plain = []
        position += count
    return " ".join(text for text in [*lost, str(sd.tokenizer.decode(plain)).strip()] if text)


def notes_of_cuts(sd: StableDiffusion, prompts: Sequence[str]) -> list[str]:
    """A sentence for each different prompt that is longer than the text encoder reads."""
    length = sd.tokenizer.model_max_length
    if sd.prompt_weights:
        for prompt in prompts:
            chunks_of(sd, prompt)  # nothing is cut; what cannot be read is refused
        return []
    return [
        f"the prompt {prompt!r} is longer than the model's {length} tokens; it does not see "
        f"{lost!r}"
        for prompt in dict.fromkeys(prompts)
        if (lost := cut_off(sd, prompt))
    ]


def require_known_words(sd: StableDiffusion, prompt: str, learned: Sequence[str] = ()) -> None:
    """Raise UserError where the prompt holds a <word> that is neither the model's nor `learned`."""
    known = {*sd.tokenizer.get_added_vocab(), *learned}
    for word in re.findall(r"<[^\s<>]+>", prompt):
        if word not in known:
            if word.strip("<>") in learned:
                raise UserError(
                    f"the prompt {prompt!r} uses {word}, but its file calls it "
                    f"{word.strip('<>')}: write it without brackets"
                )
            named = sorted(w for w in known if w.startswith("<") and "|" not in w)
            raise UserError(
                f"the prompt {prompt!r} uses {word}, which the model does not know: invert it "
                f"first, or name its file in words (known: {', '.join(named) or 'none'})"
            )
