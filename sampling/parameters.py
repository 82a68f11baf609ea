"""What a picture says of itself in AUTOMATIC1111's words, so that its PNG Info can read it.

The form is that of AUTOMATIC1111/stable-diffusion-webui, modules/processing.py, create_infotext:
the prompt, the negative prompt, and one line of `Name: value`, quoted where a value has a comma,
a colon or a line break.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from diffusion.words import WordFile

SAMPLERS = {
    "ddim": "DDIM",
    "ddim_eta1": "DDIM",
    "ddpm": "DDPM",
    "pndm": "PLMS",
    "euler": "Euler",
    "euler_a": "Euler a",
    "heun": "Heun",
    "dpm++": "DPM++ 2M",
    "unipc": "UniPC",
}
"""Our scheduler -> AUTOMATIC1111's sampler."""


def parameters(
    prompt: str,
    negative_prompt: str,
    words: Sequence[WordFile],
    *,
    steps: int,
    scheduler: str,
    guidance_scale: float,
    seed: int,
    size: tuple[int, int],
    model_hash: str,
    model: str,
    prompt_weights: bool = False,
) -> str:
    """The text of the PNG chunk `parameters`; `size` is (width, height) in px.

    Words stand without their brackets, under the names of their files: so AUTOMATIC1111 knows them.
    Brackets that were literal are so there too, by a backslash; with `prompt_weights` they weigh in
    both programs.
    """
    if not prompt_weights:
        prompt, negative_prompt = _literal(prompt), _literal(negative_prompt)
    hashes = ", ".join(f"{word.path.stem}: {word.sha256[:12]}" for word in words)
    values: dict[str, Any] = {
        "Steps": steps,
        "Sampler": SAMPLERS[scheduler],
        "CFG scale": f"{guidance_scale:g}",
        "Seed": seed,
        "Size": f"{size[0]}x{size[1]}",
        "Model hash": model_hash,
        "Model": model,
        "Eta DDIM": "1.0" if scheduler == "ddim_eta1" else None,
        "TI hashes": hashes or None,
        "Version": "pseudoword",
    }
    lines = [_named_by_file(prompt, words)]
    if negative_prompt:
        lines.append(f"Negative prompt: {_named_by_file(negative_prompt, words)}")
    return "\n".join([*lines, _line(values)])


def _line(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}: {_quoted(v)}" for k, v in values.items() if v is not None)


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(c in text for c in ",:\n") else text


def _literal(prompt: str) -> str:
    return re.sub(r"[\\()\[\]]", r"\\\g<0>", prompt)


def _named_by_file(prompt: str, words: Sequence[WordFile]) -> str:
    for word in words:
        prompt = prompt.replace(word.token, word.path.stem)
    return prompt
