"""From the form of the guidance tab to an experiment: what it says, and how much that is."""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from cfg.config import Config, RuleName, ScaleRange
from diffusion.config import SchedulerName
from lab.errors import UserError
from lab.forecast import duration
from studio.web.guidance.words import Word, newest

NAME = "[name]"
RULES: tuple[str, ...] = get_args(RuleName)
SAMPLERS: tuple[str, ...] = get_args(SchedulerName)
FORMATS = ("mp4", "webm", "gif")
MOST_PICTURES = 10_000
"""That the page draws of one order; the terminal draws as many as one likes."""
MOST_SEEDS = 64


@dataclass(frozen=True)
class Form:
    """What the form says, as it comes from the page: any value may be missing or wrong."""

    prompt: Any = ""
    negative_prompt: Any = ""
    seeds: Any = "0"
    rules: Any = ("plain",)
    first: Any = 0
    last: Any = 20
    step: Any = 0.5
    adaptive: Any = False
    name: Any = ""
    model: Any = "storybook"
    steps: Any = 25
    scheduler: Any = "ddim"
    width: Any = 0
    height: Any = 0
    phi: Any = 0.7
    batch_size: Any = 0
    prompt_weights: Any = False
    words: Any = field(default_factory=list)
    """Files of words that [name] stands for, one after another."""
    fps: Any = 14
    film: Any = ("mp4",)


def experiment_of(
    form: Form,
    words: Sequence[Word] = (),
    seconds_a_step: Callable[[str], float | None] = lambda model: None,
) -> dict[str, Any]:
    """The section `cfg:` that the form means, without what is as it is by default.

    `words` are those that there are; files of the ones that the prompt uses are named.
    `seconds_a_step` tells how fast a model is here, where that is known.

    Raises:
        UserError: a sentence for the first field that says nothing usable, or for more pictures
            than the page draws.
    """
    prompts = [" ".join(line.split()) for line in _text(form.prompt, "the prompt").splitlines()]
    prompts = list(dict.fromkeys(prompt for prompt in prompts if prompt))
    if not prompts:
        raise UserError("write a prompt: what shall be drawn?")
    away = " ".join(_text(form.negative_prompt, "the negative prompt").split())
    section: dict[str, Any] = {
        "prompt": _one_or_more(prompts),
        "negative_prompt": away,
        "seed": _one_or_more(seeds_of(form.seeds)),
        "rule": _one_or_more(_rules(form)),
        "guidance_scales": _scales(form),
        "steps": _whole(form.steps, "steps", 1, 1000),
        "scheduler": _choice(form.scheduler, "the sampler", SAMPLERS),
        "model": _text(form.model, "the model").strip() or "storybook",
        "width": _whole(form.width, "the width", 0, 4096),
        "height": _whole(form.height, "the height", 0, 4096),
        "batch_size": _whole(form.batch_size, "the batch size", 0, 4096) or "auto",
        "prompt_weights": bool(form.prompt_weights),
        "words": _word_files(form, "\n".join([*prompts, away]), words),
        "video": {"fps": _rate(form.fps), "format": _formats(form.film)},
    }
    _refuse_too_many(section, seconds_a_step(section["model"]))
    plain = Config.model_construct()
    kept = {
        key: value
        for key, value in section.items()
        if key == "guidance_scales"
        or (value != getattr(plain, key, None) and value not in ("", []))
    }
    if section["video"] == {"fps": 14.0, "format": "mp4"}:
        del kept["video"]
    return kept


def seeds_of(text: Any) -> list[int]:
    """`7`, `1, 2, 5` or `1-4` as seeds.

    Raises:
        UserError: anything else, a seed twice, or more than MOST_SEEDS.
    """
    said = str(int(text)) if isinstance(text, float) and text.is_integer() else str(text or "")
    seeds: list[int] = []
    for part in filter(None, re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", said.strip()))):
        found = re.fullmatch(r"([0-9]{1,19})(?:-([0-9]{1,19}))?", part)
        if not found or int(found[1]) >= 2**63:
            raise UserError(
                f"{_shown(part)} is no seed; write a whole number from 0 on, several as 1, 2, 5 "
                "or as 1-4"
            )
        low, high = int(found[1]), int(found[2] or found[1])
        if high < low:
            raise UserError(f"{part}: write the smaller seed first")
        if len(seeds) + high - low >= MOST_SEEDS:
            raise UserError(f"more than {MOST_SEEDS} seeds are too many to see; choose fewer")
        seeds += range(low, high + 1)
    if not seeds:
        raise UserError("write a seed, such as 0; several as 1, 2, 5 or as 1-4")
    return list(dict.fromkeys(seeds))


def scale_of(value: Any) -> Decimal:
    """A scale as the page sends it.

    Raises:
        UserError: where it is no number.
    """
    try:
        scale = Decimal(str(value))
    except InvalidOperation:
        raise UserError(f"{_shown(value)} is no guidance scale") from None
    if not scale.is_finite() or abs(scale) > 10_000:
        raise UserError(f"{_shown(value)} is no guidance scale")
    return scale


def counted(section: Mapping[str, Any]) -> tuple[int, int]:
    """How many lines and how many scales a section asks for, [name] counted by its words."""
    scales = section["guidance_scales"]
    if isinstance(scales, Mapping):
        low, high, step = (_decimal(scales[key]) for key in ("from", "to", "step"))
        count = int((high - low) / step) + 1
    else:
        count = len(scales)
    many = [_list(section.get(key, default)) for key, default in
            (("seed", 0), ("rule", "plain"), ("steps", 25))]  # fmt: skip
    away = section.get("negative_prompt", "")
    prompts = sum(
        max(1, len(section.get("words", ()))) if NAME in prompt + away else 1
        for prompt in _list(section["prompt"])
    )
    return prompts * math.prod(map(len, many)), count


def forecast(section: Mapping[str, Any], seconds_a_step: float | None) -> str:
    """What a section asks for, in a sentence: `2 films of 41 scales: 82 pictures, about 40 s`."""
    lines, scales = counted(section)
    pictures = lines * scales
    adaptive = isinstance(section["guidance_scales"], Mapping) and section[
        "guidance_scales"
    ].get("adaptive")  # fmt: skip
    films = "" if lines == 1 else f"{lines:,} x {scales:,} scales: "
    said = f"{films}{'at most ' if adaptive else ''}{pictures:,} picture{'s' * (pictures != 1)}"
    if seconds_a_step is None:
        return said
    steps = _list(section.get("steps", 25))
    return f"{said}, about {duration(pictures * sum(steps) / len(steps) * seconds_a_step)} here"


def _scales(form: Form) -> dict[str, Any]:
    low = _number(form.first, "the first scale")
    high = _number(form.last, "the last scale")
    step = _number(form.step, "the step")
    if step <= 0:
        raise UserError("the step between two scales should be above 0, such as 0.5")
    if high < low:
        raise UserError(f"the last scale ({high:g}) should not be below the first ({low:g})")
    if max(abs(low), abs(high)) > 1000:
        raise UserError("scales beyond 1000 draw nothing but noise; 0 to 30 is usual")
    scales: dict[str, Any] = {"from": low, "to": high, "step": step}
    return scales | {"adaptive": True} if form.adaptive else scales


def _rules(form: Form) -> list[Any]:
    chosen = _list(form.rules)
    if not chosen:
        raise UserError("choose a rule of guidance; plain is the usual one")
    phi = _number(form.phi, "how much is rescaled")
    if not 0 <= phi <= 1:
        raise UserError("how much is rescaled should be from 0 to 1")
    rules: list[Any] = []
    for rule in dict.fromkeys(chosen):
        name = _choice(rule, "the rule", RULES)
        changed = name == "rescale" and phi != 0.7
        rules.append({"name": name, "phi": phi} if changed else name)
    if "cfg++" in chosen and form.scheduler not in ("ddim", "ddim_eta1", "euler", "euler_a"):
        raise UserError("the rule cfg++ needs a sampler out of ddim, ddim_eta1, euler, euler_a")
    return rules


def _word_files(form: Form, text: str, words: Sequence[Word]) -> list[str]:
    """The files of the words in a prompt; where it says [name], those that were chosen for it."""
    chosen = [str(path) for path in _list(form.words)]
    if NAME in text and not chosen:
        raise UserError(
            f"the prompt says {NAME}: choose the words that it stands for, under More settings"
        )
    tokens = {word.token for word in words if str(word.path) in chosen}
    said = [
        str(word.path)
        for token, word in newest(list(words)).items()
        if token not in tokens and re.search(rf"(?<!\w){re.escape(token)}(?!\w)", text)
    ]
    return [*(chosen if NAME in text else _used(chosen, words, text)), *sorted(said)]


def _used(chosen: Sequence[str], words: Sequence[Word], text: str) -> list[str]:
    return [str(w.path) for w in words if str(w.path) in chosen and w.token in text]


def _formats(film: Any) -> Any:
    chosen = [_choice(each, "the film's format", FORMATS) for each in _list(film)]
    if not chosen:
        raise UserError("choose a format for the film; mp4 plays everywhere")
    return _one_or_more([name for name in FORMATS if name in chosen])


def _refuse_too_many(section: Mapping[str, Any], seconds_a_step: float | None) -> None:
    lines, scales = counted(section)
    pictures = lines * scales
    if pictures <= MOST_PICTURES:
        return
    seconds = pictures * max(_list(section["steps"])) * (seconds_a_step or 0.01)
    how = "here" if seconds_a_step else "if a step took a hundredth of a second"
    raise UserError(
        f"that would be {pictures:,} pictures, about {duration(seconds)} {how}; choose a larger "
        f"step or fewer seeds (the page draws up to {MOST_PICTURES:,}, the terminal any number)"
    )


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        if value is None:
            return ""
        raise UserError(f"{what} should be text, not {_shown(value)}")
    if len(value) > 8000:
        raise UserError(f"{what} is too long; a model reads some 75 words of it")
    return "".join(c for c in value if c.isprintable() or c.isspace())


def _number(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise UserError(f"{what} should be a number, not {_shown(value)}")
    return number


def _whole(value: Any, what: str, low: int, high: int) -> int:
    number = _number(value, what)
    if not number.is_integer() or not low <= number <= high:
        raise UserError(f"{what} should be a whole number from {low} to {high}, not {number:g}")
    return int(number)


def _rate(value: Any) -> float:
    rate = _number(value, "frames a second")
    if not 0 < rate <= 50:
        raise UserError(f"frames a second should be above 0 and at most 50, not {rate:g}")
    return rate


def _choice(value: Any, what: str, among: Sequence[str]) -> str:
    if value not in among:
        raise UserError(f"{what} should be one of {', '.join(among)}, not {_shown(value)}")
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _one_or_more(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _decimal(number: float) -> Decimal:
    return Decimal(repr(float(number)))


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def range_of(scales: ScaleRange | tuple[float, ...]) -> tuple[float, float, float, bool]:
    """First, last, step and whether it is adaptive, for the form, of what a run was told."""
    if isinstance(scales, ScaleRange):
        return scales.from_, scales.to, scales.step, scales.adaptive
    listed = sorted(scales)
    gaps = [b - a for a, b in itertools.pairwise(listed)]
    return listed[0], listed[-1], min(gaps, default=0.5), False
