"""The section `inversion:` of an experiment."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from lab.config import Section

TEMPLATES = (
    "a picture of [filewords] in the style of [name]",
    "a painting of [filewords] by [name]",
    "[filewords], [name] style",
)

Positive = Annotated[int, Field(ge=1)]


class Train(Section):
    """How the vectors are learned."""

    steps: Positive = 300
    """Optimizer steps."""
    batch_size: Positive = 8
    """Pictures a step, over all processes and accumulated parts together."""
    gradient_accumulation: Positive = 1
    """In how many parts a process computes its share of a step: more parts, less memory."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-3
    """AdamW's rate. 5e-3 is usual for one to four vectors on Stable Diffusion 1.x."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Whether the rate stays or falls to zero along a half cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's pull of the vectors towards zero."""
    flip: bool = True
    """Mirror half of the pictures; turn off for writing, maps, or faces that are not symmetric."""
    checkpoint_every: Positive = 50
    """Steps between checkpoints: the most that a killed run has to repeat."""


class Previews(Section):
    """Pictures drawn with the word while it is being learned, to see when it is enough."""

    every: Positive = 100
    """Steps between two rows of previews; the first row is drawn before training."""
    prompts: tuple[str, ...] = ("a picture of a house in the style of [name]",)
    """One column each; [name] stands for the word."""
    seed: int = 1
    """The first column's seed; the columns after it count on."""
    guidance_scale: float = 5.0
    """Classifier-free guidance, 1 = none."""
    steps: Positive = 25
    """Denoising steps."""
    scheduler: str = "ddim"
    """The sampler; see `pseudoword explain cfg.scheduler`."""


class Evaluate(Section):
    """Measure, after training, how near the word comes to pictures of the style it has not seen."""

    pictures: str
    """A folder of pictures in the style that are not trained on: the reference."""
    subjects: tuple[str, ...]
    """What is drawn, in place of [filewords]; best subjects that are not in the training data."""
    template: str = "a picture of [filewords] in the style of [name]"
    """The prompt with the word."""
    plain_template: str = "a picture of [filewords]"
    """The same prompt without the word, drawn from the same noise for comparison."""
    seeds: Positive = 4
    """Pictures of each subject."""
    guidance_scale: float = 5.0
    """Classifier-free guidance, 1 = none."""
    steps: Positive = 25
    """Denoising steps."""
    scheduler: str = "ddim"
    """The sampler; see `pseudoword explain cfg.scheduler`."""

    @field_validator("template")
    @classmethod
    def _names_the_word(cls, template: str) -> str:
        return _require_name(template)


class Config(Section):
    """Learn a pseudo-word: a new token whose vectors make the model draw what the pictures show."""

    word: str = "<style>"
    """The new word, in angle brackets so that it cannot be part of another."""
    num_vectors: Annotated[int, Field(ge=1, le=75)] = 4
    """Vectors, and so tokens of the prompt, that the word takes: 1 is portable, 16 holds more."""
    initial_words: str = ""
    """Words of the vocabulary to begin with, repeated to the number of vectors; empty: random."""
    model: str = "storybook"
    """The Stable Diffusion 1.x to teach: storybook (bundled), a folder, a file, or a hub id."""
    data: str = ""
    """A folder of pictures to learn from; empty: the crops of this experiment's cropping section.
    Captions are the .txt beside each picture, else its file name without leading numbers."""
    templates: tuple[str, ...] | str = TEMPLATES
    """Prompts, one drawn anew for every picture: [name] is the word, [filewords] the caption.
    A list, or a text file with one a line (AUTOMATIC1111's form)."""
    resolution: Annotated[int, Field(ge=0)] = 0
    """Side in px to which the pictures are resized; 0: what the model was trained on."""
    seed: int = 0
    """Fixes initial vectors, order, noise and timesteps: same seed, same machine, same bytes."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the frozen model; the learned vectors are always fp32. auto: bf16 on GPUs that have it."""
    attention: Literal["auto", "sdpa", "plain", "xformers"] = "auto"
    """auto is torch's scaled_dot_product_attention."""
    train: Train = Train()
    """Training."""
    previews: Previews = Previews()
    """Pictures during training."""
    evaluate: Evaluate | None = None
    """Measurement after training; left out when absent."""

    @field_validator("word")
    @classmethod
    def _bracketed(cls, word: str) -> str:
        inner = word[1:-1]
        if not (word.startswith("<") and word.endswith(">") and inner):
            raise ValueError(f"should stand in angle brackets, <{word.strip('<>') or 'style'}>")
        if not all(letter.isalnum() or letter in "-_" for letter in inner):
            raise ValueError("should have only letters, digits, - and _ between its brackets")
        return word

    @field_validator("templates")
    @classmethod
    def _name_the_word(cls, templates: tuple[str, ...] | str) -> tuple[str, ...] | str:
        if templates == ():
            raise ValueError("should have at least one template with [name] in it")
        for template in templates if isinstance(templates, tuple) else ():
            _require_name(template)
        return templates


def _require_name(template: str) -> str:
    if "[name]" not in template:
        raise ValueError(f"should have [name], the word's place, in {template!r}")
    return template
