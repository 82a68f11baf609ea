"""The section `sample:` of an experiment."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from diffusion.config import Draws, SchedulerName

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Config(Draws):
    """Draw prompts with every learned word, from equal noise: labelled grids and single
    pictures."""

    prompts: Annotated[tuple[str, ...], Field(min_length=1)]
    """What to draw. [name] stands for each word in turn: those of this experiment's inversion and
    of `words`. A prompt without [name] is drawn once; it may name a word itself, as <word>."""
    plain_prompts: tuple[str, ...] = ()
    """The same prompts without the word, one for each of `prompts`, drawn from the same noise as a
    first row, `none`: what the model does on its own. Empty: no such row."""
    words: tuple[str, ...] = ()
    """Further embedding files (any program's), beside what `inversion` learned."""
    negative_prompt: str = ""
    """The prompt that the guidance leads away from; empty: no prompt. [name] stands for each word
    here too, and for nothing in the row without a word."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1, 2, 3, 4)
    """One column each. A seed fixes the noise that a picture starts from, the same for every word,
    prompt and scale: what differs along a column is what the words differ in."""
    guidance_scales: Annotated[tuple[float, ...], Field(min_length=1)] = (7.5,)
    """One grid each for every prompt; 1 is no guidance. Small models want less than 7.5."""
    steps: int = Field(default=25, ge=1, le=1000)
    """Denoising steps for each picture."""
    scheduler: SchedulerName = "ddim"
    """Rule of the denoising steps; ddim_eta1, ddpm and euler_a draw noise at every step."""
    cell: int = Field(default=192, ge=32, le=2048)
    """Longest side of a picture in the grids, in px; the single pictures keep their size."""
    batch_size: int | Literal["auto"] = "auto"
    """Pictures computed at once; auto: what suits the size of the latents and the device. Pictures
    of different batch sizes may differ in their last bits."""

    @field_validator("prompts", "plain_prompts", "negative_prompt")
    @classmethod
    def _prompts_are_whole(cls, prompts: tuple[str, ...] | str) -> tuple[str, ...] | str:
        for prompt in [prompts] if isinstance(prompts, str) else prompts:
            if "[filewords]" in prompt:
                raise ValueError("should be prompts: write what to draw in [filewords]'s place")
        return prompts

    @field_validator("prompts", "seeds", "guidance_scales")
    @classmethod
    def _each_once(cls, values: tuple) -> tuple:
        if twice := [value for i, value in enumerate(values) if value in values[:i]]:
            raise ValueError(f"should be named once each, but {twice[0]!r} is there again")
        return values

    @field_validator("batch_size")
    @classmethod
    def _batch_size_is_positive(cls, batch_size: int | str) -> int | str:
        if isinstance(batch_size, int) and not 1 <= batch_size <= 4096:
            raise ValueError("should be between 1 and 4096, or auto")
        return batch_size

    @model_validator(mode="after")
    def _plain_prompts_pair(self) -> "Config":
        if self.plain_prompts and len(self.plain_prompts) != len(self.prompts):
            raise ValueError(
                f"plain_prompts should be {len(self.prompts)}, one for each of the prompts, "
                f"not {len(self.plain_prompts)}"
            )
        if any("[name]" in prompt for prompt in self.plain_prompts):
            raise ValueError("plain_prompts should be without [name]: they are for comparison")
        return self
