"""The section `skew:` of an experiment."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from diffusion.config import Draws, SchedulerName
from lab.config import Section

VALUE = "[value]"
Prompts = tuple[str, ...]
Share = Annotated[float, Field(gt=0)]
Strength = Annotated[float, Field(ge=0, le=2)]


class Seeds(Section):
    """The noise that pictures start from: one seed for each picture, counted on from the first."""

    start: int = Field(default=10_000, ge=0, lt=2**62)
    """The first seed. Figures that are published come from seeds that nothing was tuned on."""
    count: int = Field(default=400, ge=1, le=100_000)
    """Pictures of the neutral prompts, at strength 0 and 1 each. A share is known to about
    1 / sqrt(count): 400 pictures to 5 points or better."""


class Explicit(Section):
    """Prompts that say the value: they must still be obeyed."""

    prompts: Prompts = ()
    """Each with [value] in it, `a [value] cat`; drawn with every value in turn. Empty: not
    measured."""
    count: int = Field(default=20, ge=1, le=10_000)
    """Pictures for each value, the prompts taking turns."""


class Bystanders(Section):
    """Prompts without the word, such as its plural and other subjects: they must not change."""

    prompts: Prompts = ()
    """Drawn with and without the learned word and compared bit by bit. Empty: not compared."""
    count: int = Field(default=4, ge=1, le=10_000)
    """Pictures for each prompt."""


class Sweep(Section):
    """The strengths between the untouched word, 0, and the learned one, 1."""

    strengths: tuple[Strength, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """0 and 1 are always measured. A word whose number of vectors changed has nothing between."""
    count: int = Field(default=100, ge=1, le=100_000)
    """Pictures of the neutral prompts for each strength but 0 and 1: the first ones of the
    seeds."""
    explicit: int = Field(default=5, ge=0, le=10_000)
    """Pictures of the explicit prompts for each value and strength but 0 and 1."""


class Compare(Section):
    """What could be done without learning anything, measured on the same prompts and seeds."""

    silent: str = "[value] [word]"
    """What stands in the word's place in a prompt when values are added silently, each equally
    often and in turn (or as `wanted` says); empty: not compared."""
    guidance_scales: tuple[float, ...] = (1.0,)
    """Guidance scales at which the untouched model is measured as well; empty: none."""
    count: int = Field(default=200, ge=1, le=100_000)
    """Pictures for each of them: the first ones of the seeds."""


class Config(Draws):
    """Measure how evenly a word takes the values of an attribute, as the model is and with what
    inversion learned for it, and what else changed."""

    word: str
    """The word as prompts have it, such as cat or doctor."""
    embedding: str = ""
    """A file with vectors to overwrite the word with; empty: the word that this experiment's
    inversion learned. Without either, the model is measured as it is."""
    attribute: str = "colour"
    """What is uneven. storybook's classifier knows colour, setting and style; for a CLIP it is a
    heading, and `values` say what is meant."""
    judge: str = "storybook"
    """Who looks: storybook (its classifier), or clip:FOLDER or clip:HUB-ID, such as
    clip:openai/clip-vit-large-patch14, which is asked the sentences of `values`."""
    values: Prompts | dict[str, str | Prompts] = ()
    """The attribute's values: a list, of which a CLIP is asked `a photo of a [value] [word]`; or
    value: sentence or sentences for the CLIP, in pairs that differ in the value only. Empty: all
    that storybook's classifier knows."""
    wanted: dict[str, Share] = {}
    """Shares to aim at, as value: weight; empty: all values alike."""
    subject: str = ""
    """What should be seen in the pictures; empty: the word."""
    subjects: Prompts | dict[str, str | Prompts] = ()
    """The subject and what it might be taken for: a list, of which a CLIP is asked `a photo of a
    [subject]`, or subject: sentence or sentences. Empty: all that storybook's classifier knows."""
    undecided: float = Field(default=0.2, ge=0, lt=1)
    """A picture's value counts only if it is so much likelier than the second likeliest, from 0 to
    1; other pictures are counted as undecided."""
    prompts: Annotated[Prompts, Field(min_length=1)]
    """Neutral prompts: with the word, and without any of the values. Pictures take them in turn."""
    explicit: Explicit = Explicit()
    """Prompts that say the value."""
    bystanders: Bystanders = Bystanders()
    """Prompts without the word."""
    seeds: Seeds = Seeds()
    """How many pictures, and from which noise."""
    sweep: Sweep = Sweep()
    """Strengths between old and learned word."""
    compare: Compare = Compare()
    """Two simple alternatives."""
    match: str = "auto"
    """The CLIP that says how well a picture fits its prompt: a folder or hub id, none, or auto: the
    judge if it is one, storybook's own for its model, else none."""
    negative_prompt: str = ""
    """The prompt that the guidance leads away from; empty: no prompt."""
    guidance_scale: float = 2.0
    """Guidance scale of all pictures; guidance exaggerates what is uneven. Large models: 7.5."""
    steps: int = Field(default=25, ge=1, le=1000)
    """Denoising steps for each picture."""
    scheduler: SchedulerName = "ddim"
    """Rule of the denoising steps; ddim_eta1, ddpm and euler_a draw noise at every step."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Pictures computed at once. Pictures of different batch sizes may differ in their last
    bits."""

    @field_validator("word")
    @classmethod
    def _is_a_word(cls, word: str) -> str:
        if not word.strip() or word.strip() != word or "<" in word:
            raise ValueError("should be a word that the model knows, without brackets")
        return word

    @field_validator("judge")
    @classmethod
    def _is_a_judge(cls, judge: str) -> str:
        if judge != "storybook" and not re.fullmatch(r"clip:\S.*", judge):
            raise ValueError("should be storybook, clip:FOLDER or clip:HUB-ID")
        return judge

    @model_validator(mode="after")
    def _prompts_are_what_they_are_for(self) -> "Config":
        for prompt in self.prompts:
            if not holds(prompt, self.word):
                raise ValueError(f"prompts should have the word {self.word!r}, unlike {prompt!r}")
        for prompt in self.explicit.prompts:
            if not holds(prompt, self.word) or VALUE not in prompt:
                raise ValueError(
                    f"explicit.prompts should have {VALUE} and the word {self.word!r}, "
                    f"unlike {prompt!r}"
                )
        for prompt in self.bystanders.prompts:
            if holds(prompt, self.word):
                raise ValueError(
                    f"bystanders.prompts should not have the word {self.word!r}, unlike {prompt!r}"
                )
        if self.compare.silent and VALUE not in self.compare.silent:
            raise ValueError(f"compare.silent should have {VALUE} in it")
        return self

    @model_validator(mode="after")
    def _a_clip_is_asked_something(self) -> "Config":
        values = tuple(self.values)
        if self.judge != "storybook" and (len(values) < 2 or len(tuple(self.subjects)) < 2):
            raise ValueError("values and subjects should name two or more: a CLIP is asked them")
        if len(values) == 1 or len({*values}) < len(values):
            raise ValueError("values should be two or more, each once")
        if self.subjects and self.the_subject not in self.subjects:
            raise ValueError(f"subjects should have {self.the_subject!r} among them")
        if self.wanted and values and {*self.wanted} != {*values}:
            raise ValueError(f"wanted should have a weight for each of {', '.join(values)}")
        return self

    @property
    def the_subject(self) -> str:
        """What should be seen."""
        return self.subject or self.word

    def sentences(self, of: Literal["values", "subjects"]) -> dict[str, tuple[str, ...]]:
        """What a CLIP is asked for each value, or for each subject."""
        named: Any = getattr(self, of)
        if isinstance(named, dict):
            return {name: (s,) if isinstance(s, str) else tuple(s) for name, s in named.items()}
        word = f" {self.word}" if of == "values" else ""
        return {name: (with_value(f"a photo of a {VALUE}{word}", name),) for name in named}


def holds(prompt: str, word: str) -> bool:
    """Whether a prompt has a word as a whole one: "cat" in "a Cat's bed", not in "cats"."""
    return re.search(_whole(word), prompt, re.I) is not None


def replaced(prompt: str, word: str, by: str) -> str:
    """The prompt with `by` in the word's place, and the article before it put right."""
    return _put(by, _whole(word), prompt)


def with_value(prompt: str, value: str) -> str:
    """The prompt with a value in [value]'s place, and the article before it put right."""
    return _put(value, re.escape(VALUE), prompt)


def _put(text: str, pattern: str, prompt: str) -> str:
    article = "an" if text[:1].lower() in "aeiou" else "a"
    spoken = re.sub(rf"\ban? (?={pattern})", f"{article} ", prompt, flags=re.I)
    return re.sub(pattern, lambda _: text, spoken, flags=re.I)


def _whole(word: str) -> str:
    letter = r"[^\W\d_]"
    return rf"(?<!{letter}){re.escape(word)}(?!{letter})"
