"""The settings of a guidance sweep."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_serializer, model_validator

from cfg.showing import Analysis, Page, Sheet, Video
from diffusion.config import Draws, SchedulerName
from lab.config import Section

RuleName = Literal["plain", "rescale", "apg", "cfg++", "zero_star", "threshold"]
ScheduleName = Literal["constant", "linear", "cosine", "falling"]
MOST_FRAMES = 100_000
THRESHOLD = 3.0

SETTINGS_OF_RULE: dict[str, tuple[str, ...]] = {
    "plain": (),
    "rescale": ("phi",),
    "apg": ("eta", "momentum", "largest"),
    "cfg++": (),
    "zero_star": (),
    "threshold": ("percentile",),
}
"""Which of the settings of a rule belong to which."""
RENOISES = frozenset({"ddim", "ddim_eta1", "euler", "euler_a"})
"""Schedulers whose step is a picture and a noise put together, as cfg++ needs it."""


class ScaleRange(Section):
    """Evenly spaced scales. The last one is the largest `from + i * step` that is not above
    `to`."""

    from_: float = Field(alias="from")
    """First guidance scale."""
    to: float
    """Upper end of the scales; itself one of them if a whole number of steps leads there."""
    step: float = Field(gt=0)
    """Distance between neighbouring scales."""
    adaptive: bool = False
    """Draw coarse scales first, and the scales between two of them only where their pictures differ
    visibly, down to `step`. A difference that stays at the smallest step is reported as a jump."""
    threshold: float = Field(default=THRESHOLD, gt=0)
    """For adaptive: the largest difference between neighbours that may stay, in just noticeable
    differences at the place of the picture where most happens (metrics/perceptual.py). 3 is plain
    to see side by side and little in a film; half of it needs about twice as many pictures."""


class Rule(Section):
    """How the predictions with and without the prompt become one, at every step."""

    name: RuleName = "plain"
    """plain: eps_uncond + s (eps_cond - eps_uncond). rescale: its contrast as without guidance.
    apg: without what only saturates. cfg++: noise put back without guidance, for s from 0 to 1.
    zero_star: the unconditional prediction scaled to fit. threshold: outliers pulled in."""
    schedule: ScheduleName = "constant"
    """How strong s - 1 is over the steps, 1 on average: constant, linear (0 to 2), cosine (0 to 2,
    slowly at both ends), falling (2 to 0)."""
    interval: tuple[float, float] | None = None
    """Guide only where the noise level sigma is above the first and not above the second number,
    such as [0.28, 5.42]; elsewhere the picture follows the prompt without exaggeration (s = 1)."""
    phi: float = Field(default=0.7, ge=0, le=1)
    """For rescale: the share of the rescaled prediction; 0 is plain guidance."""
    eta: float = Field(default=0.0, ge=0, le=1)
    """For apg: how much is kept of the part that is parallel to the conditional picture; 1: all."""
    momentum: float = Field(default=-0.5, gt=-1, lt=1)
    """For apg: how much of the last step's direction is added; negative values push away."""
    largest: float | None = Field(default=0.0586, gt=0)
    """For apg: longest direction, as root mean square over the values of the latents; null: any.
    0.0586 is the paper's 7.5 for latents of 4 x 64 x 64 and its 15 for 4 x 128 x 128."""
    percentile: float = Field(default=0.995, gt=0.5, le=1)
    """For threshold: the share of the picture's values that counts as no outlier."""

    @model_validator(mode="after")
    def _settings_belong_together(self) -> "Rule":
        for owner, names in SETTINGS_OF_RULE.items():
            for name in names:
                if name in self.model_fields_set and owner != self.name:
                    raise ValueError(f"{name} is a setting of the rule {owner}, not of {self.name}")
        if self.interval is not None and not 0 <= self.interval[0] < self.interval[1]:
            raise ValueError("interval should be two noise levels, the lower one first")
        if self.name == "cfg++" and (self.interval or self.schedule != "constant"):
            raise ValueError("cfg++ has neither schedule nor interval: it is unguided at no scale")
        return self

    @model_serializer
    def _as_it_may_be_written(self) -> dict[str, Any]:
        """Without the settings of other rules, which a file must not name."""
        own = SETTINGS_OF_RULE[self.name]
        others = {name for names in SETTINGS_OF_RULE.values() for name in names} - set(own)
        return {name: value for name, value in self if name not in others}

    def essence(self) -> dict[str, Any]:
        """What this rule does, as JSON: its name and the settings that count for it."""
        own = {name: getattr(self, name) for name in SETTINGS_OF_RULE[self.name]}
        if self.schedule != "constant":
            own["schedule"] = self.schedule
        if self.interval is not None:
            own["interval"] = list(self.interval)
        return {"name": self.name, **own}

    def __str__(self) -> str:
        """The rule in words for a label: `apg`, or `plain, interval 0.28 to 5.42`."""
        words = [self.name]
        for name, value in self.essence().items():
            if name == "interval":
                words.append(f"interval {value[0]:g} to {value[1]:g}")
            elif name == "schedule":
                words.append(str(value))
            elif name != "name" and value != type(self).model_fields[name].default:
                words.append(f"{name} {value}")
        return ", ".join(words)


Seed = Annotated[int, Field(ge=0, lt=2**63)]
Steps = Annotated[int, Field(ge=1, le=1000)]


class Config(Draws):
    """A prompt and a seed, or several, drawn at many guidance scales: pictures, films, curves."""

    prompt: str | tuple[str, ...]
    """What to draw, or a list of it. May contain the words that this experiment's inversion
    learned, such as <word>; [name] stands for each of the words in turn."""
    guidance_scales: ScaleRange | tuple[float, ...] = ScaleRange.model_validate(
        {"from": 0, "to": 20, "step": 0.25}
    )
    """Scales s of eps_uncond + s (eps_cond - eps_uncond), as a list or {from, to, step}: 0 ignores
    the prompt, 1 follows it without exaggeration, more exaggerates, negative scales avoid it.
    With {from, to, step, adaptive: true} only as many are drawn as the eye can tell apart."""
    negative_prompt: str = ""
    """The prompt that the guidance leads away from (and that s = 0 draws); empty: no prompt."""
    words: tuple[str, ...] = ()
    """Further embedding files whose words the prompts may use, beside those of `inversion`."""
    seed: Seed | tuple[Seed, ...] = 0
    """Fixes the noise that every picture of the sweep starts from; a list: a sweep for each."""
    rule: RuleName | Rule | tuple[RuleName | Rule, ...] = "plain"
    """How the predictions with and without the prompt are combined: a name, or {name: apg, eta:
    0.5}; a list: a sweep for each. `pseudoword explain cfg.rule` has all of them."""
    steps: Steps | tuple[Steps, ...] = 25
    """Denoising steps for each picture; a list: a sweep for each."""
    scheduler: SchedulerName = "ddim"
    """Rule of the denoising steps; ddim_eta1, ddpm and euler_a draw noise at every step."""
    batch_size: int | Literal["auto"] = "auto"
    """Predictions computed at once, of which a picture needs two a step; auto: what a short
    measurement finds fastest here. Frames of different batch sizes may differ in their last
    bits."""
    compile: bool = False
    """Let torch.compile translate the U-Net, on a GPU into a CUDA graph: a minute or more at the
    start, then faster predictions. Pays from some hundred pictures on; where there is no compiler,
    it is said and left. Pictures differ in their last bits from those computed without."""
    video: Video = Video()
    """The film."""
    sheet: Sheet = Sheet()
    """The contact sheet."""
    analysis: Analysis = Analysis()
    """What is measured."""
    page: Page = Page()
    """The report."""

    @property
    def prompts(self) -> tuple[str, ...]:
        return (self.prompt,) if isinstance(self.prompt, str) else self.prompt

    @property
    def seeds(self) -> tuple[int, ...]:
        return (self.seed,) if isinstance(self.seed, int) else self.seed

    @property
    def rules(self) -> tuple[Rule, ...]:
        listed = self.rule if isinstance(self.rule, tuple) else (self.rule,)
        return tuple(rule if isinstance(rule, Rule) else Rule(name=rule) for rule in listed)

    @property
    def step_counts(self) -> tuple[int, ...]:
        return (self.steps,) if isinstance(self.steps, int) else self.steps

    @field_validator("prompt", "seed", "rule", "steps")
    @classmethod
    def _lists_name_something_once(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            if not value:
                raise ValueError("should name at least one")
            if twice := [item for i, item in enumerate(value) if item in value[:i]]:
                raise ValueError(f"should name each once, but {twice[0]} is there again")
        return value

    @field_validator("prompt")
    @classmethod
    def _prompt_is_final(cls, prompt: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if "[filewords]" in str(prompt):
            raise ValueError("is a prompt, not a template: write what to draw, not [filewords]")
        return prompt

    @model_validator(mode="after")
    def _cfg_plus_plus_can_renoise(self) -> "Config":
        if self.scheduler not in RENOISES and any(rule.name == "cfg++" for rule in self.rules):
            fitting = ", ".join(sorted(RENOISES))
            raise ValueError(f"the rule cfg++ needs a scheduler out of {fitting}")
        return self

    @field_validator("batch_size")
    @classmethod
    def _batch_size_is_positive(cls, batch_size: int | str) -> int | str:
        if isinstance(batch_size, int) and not 1 <= batch_size <= 4096:
            raise ValueError("should be between 1 and 4096, or auto")
        return batch_size

    @field_validator("guidance_scales")
    @classmethod
    def _scales_can_be_rendered(
        cls, scales: "ScaleRange | tuple[float, ...]"
    ) -> "ScaleRange | tuple[float, ...]":
        if isinstance(scales, ScaleRange):
            if scales.to < scales.from_:
                raise ValueError(f"to ({scales.to:g}) should not be below from ({scales.from_:g})")
            if (scales.to - scales.from_) / scales.step >= MOST_FRAMES:
                raise ValueError(f"are more than {MOST_FRAMES:,} frames: choose a larger step")
        elif not scales:
            raise ValueError("should name at least one scale")
        elif twice := [f"{s:g}" for i, s in enumerate(scales) if s in scales[:i]]:
            raise ValueError(f"should name each scale once, but {twice[0]} is there again")
        return scales


def exact_scales(scales: ScaleRange | tuple[float, ...]) -> tuple[Decimal, ...]:
    """The scales as the decimals that were written: `i * 0.02` is often not the float it looks
    like."""
    if not isinstance(scales, ScaleRange):
        return tuple(_decimal(scale) for scale in scales)
    first, last, step = _decimal(scales.from_), _decimal(scales.to), _decimal(scales.step)
    return tuple(first + i * step for i in range(int((last - first) / step) + 1))


def _decimal(number: float) -> Decimal:
    return Decimal(repr(float(number))) + 0  # there is no scale of minus zero
