"""The settings of a guidance sweep."""

from decimal import Decimal
from typing import Literal

from pydantic import Field, field_validator

from lab.config import Section

SchedulerName = Literal[
    "ddim", "ddim_eta1", "ddpm", "pndm", "euler", "euler_a", "heun", "dpm++", "unipc"
]
MOST_FRAMES = 100_000


class ScaleRange(Section):
    """Evenly spaced scales. The last one is the largest `from + i * step` that is not above
    `to`."""

    from_: float = Field(alias="from")
    """First guidance scale."""
    to: float
    """Upper end of the scales; itself one of them if a whole number of steps leads there."""
    step: float = Field(gt=0)
    """Distance between neighbouring scales."""


class Video(Section):
    """How the sweep is shown as a film."""

    fps: float = Field(default=14.0, gt=0, le=120)
    """Frames per second: each scale is shown for exactly one frame."""
    size: int = Field(default=512, ge=64, le=4096)
    """Side of the picture in the film, in pixels; smaller pictures are enlarged, none is
    reduced."""
    label: bool = True
    """Write the scale on a strip below the picture (the stored frames stay clean)."""
    format: Literal["mp4", "webm", "gif"] = "mp4"
    """Kind of file."""


class Sheet(Section):
    """A selection of the sweep as one picture."""

    columns: int = Field(default=6, ge=1, le=100)
    """Pictures in a row."""
    pictures: int = Field(default=24, ge=2, le=1000)
    """Number of scales shown: evenly spaced, and always the two ends, 0 and 1 if they are
    rendered."""


class Config(Section):
    """One prompt and one seed, drawn at many guidance scales: pictures, a film, a contact sheet."""

    prompt: str
    """What to draw. May contain the words that this experiment's inversion learned, such as
    <word>."""
    guidance_scales: ScaleRange | tuple[float, ...] = ScaleRange.model_validate(
        {"from": 0, "to": 20, "step": 0.25}
    )
    """Scales s of eps_uncond + s (eps_cond - eps_uncond), as a list or {from, to, step}: 0 ignores
    the prompt, 1 follows it without exaggeration, more exaggerates, negative scales avoid it."""
    negative_prompt: str = ""
    """The prompt that the guidance leads away from (and that s = 0 draws); empty: no prompt."""
    words: tuple[str, ...] = ()
    """Further embedding files whose words the prompts may use, beside those of `inversion`."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Fixes the noise that every picture of the sweep starts from."""
    steps: int = Field(default=25, ge=1, le=1000)
    """Denoising steps for each picture."""
    scheduler: SchedulerName = "ddim"
    """Rule of the denoising steps; ddim_eta1, ddpm and euler_a draw noise at every step."""
    batch_size: int | Literal["auto"] = "auto"
    """Scales computed at once; auto: what suits the size of the latents and the device. Frames of
    different batch sizes may differ in their last bits."""
    model: str = "storybook"
    """"storybook" (bundled), a diffusers folder, a .safetensors or .ckpt file, or a hub id."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """Numbers the model computes in; auto: fp32 on a CPU, fp16 on a GPU."""
    attention: Literal["auto", "sdpa", "xformers", "plain"] = "auto"
    """Implementation of attention; auto is PyTorch's own (sdpa)."""
    video: Video = Video()
    """The film."""
    sheet: Sheet = Sheet()
    """The contact sheet."""

    @field_validator("prompt")
    @classmethod
    def _prompt_is_final(cls, prompt: str) -> str:
        if "[name]" in prompt or "[filewords]" in prompt:
            raise ValueError("is a prompt, not a template: write the word itself, such as <word>")
        return prompt

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
