"""The section `inversion:` of an experiment."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from diffusion.config import Memory, SchedulerName, UsesModel
from inversion import rates
from lab.captions import CaptionRules
from lab.config import Section
from lab.trackers import TrackerName

TEMPLATES = (
    "a picture of [filewords] in the style of [name]",
    "a painting of [filewords] by [name]",
    "[filewords], [name] style",
)

Positive = Annotated[int, Field(ge=1)]
Vectors = Annotated[int, Field(ge=1, le=75)]
Share = Annotated[float, Field(ge=0, le=1)]


class Train(Section):
    """How the vectors are learned."""

    steps: Positive = 300
    """Optimizer steps, at most: `stop` may end the training earlier."""
    batch_size: Positive = 8
    """Pictures a step, over all processes and accumulated parts together."""
    gradient_accumulation: Positive = 1
    """In how many parts a process computes its share of a step: more parts, less memory. Where
    memory runs out, the number is doubled until it suffices; the step stays the same step."""
    optimizer: Literal["adamw", "schedule_free"] = "adamw"
    """adamw (Loshchilov & Hutter 2019), or schedule_free (Defazio et al. 2024): AdamW whose result
    is an average over its path, which needs no falling rate at the end."""
    learning_rate: Annotated[float, Field(gt=0)] | str = 5e-3
    """The optimizer's rate. 5e-3 is usual for one to four vectors on Stable Diffusion 1.x. Or
    several with their last steps, as AUTOMATIC1111 writes them: "0.005:100, 1e-3:1000, 1e-5"."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Whether the rate stays or falls to zero along a half cosine over all steps."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate rises from zero."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """The optimizer's pull of the vectors towards zero."""
    min_snr_gamma: Annotated[float, Field(gt=0)] | None = None
    """Weigh a timestep by min(SNR, gamma), so that nearly clean ones do not dominate (Hang et al.
    2023, arXiv:2303.09556; gamma 5 there); absent: every timestep counts the same."""
    timesteps: tuple[Share, Share] = (0.0, 1.0)
    """The part of the noise schedule that is trained on, 0 the picture and 1 pure noise: [0.3, 1]
    leaves the nearly clean out, which say much about texture and nothing about what is drawn."""
    flip: bool = True
    """Mirror half of the pictures; turn off for writing, maps, or faces that are not symmetric."""
    gradient_checkpointing: Literal["auto"] | bool = "auto"
    """Compute the U-Net's inner values twice instead of keeping them: about a third slower, and
    far less memory. auto: where a step's part would not fit into `memory` otherwise. Where it does
    not fit even so, there are more parts."""
    compile: bool = False
    """Let torch.compile translate the U-Net: a minute or more at the start, then faster steps.
    Pays from some hundred steps on a GPU; refused where there is no compiler."""
    checkpoint_every: Positive = 50
    """Steps between checkpoints: the most that a killed run has to repeat."""
    keep_checkpoints: Positive = 2
    """How many of the newest checkpoints stay; the best word so far always does."""

    @model_validator(mode="after")
    def _rates_are_rates(self) -> "Train":
        if not self.timesteps[0] < self.timesteps[1]:
            raise ValueError(f"timesteps should rise, unlike {list(self.timesteps)}")
        if isinstance(self.learning_rate, str):
            rates.require_reach(rates.parse(self.learning_rate), self.steps)
            if self.schedule != "constant":
                raise ValueError("schedule should be constant where learning_rate lists its steps")
        return self


class Objective(Section):
    """The loss on the same pictures, prompts, timesteps and noises again and again: a curve without
    noise, where the loss of the training steps hides everything behind its own."""

    pictures: Positive = 16
    """How many of them (a picture may come more than once, each time with other noise)."""
    every: Annotated[int, Field(ge=0)] = 0
    """Training steps between two measurements; 0: so that they cost less than 5% of the training.
    """
    held_out: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the pictures that is not trained on but measured in the same way: where the curve
    of these rises, the word begins to learn the pictures by heart. The best word is the one of
    their lowest point; without them, of the objective's."""


class Stop(Section):
    """When it is enough, judged by the objective."""

    rule: Literal["never", "plateau", "dvar"] = "plateau"
    """plateau: the last `window` of the steps brought less than `tolerance` of the whole gain.
    dvar (Voronov et al. 2023, arXiv:2302.04841): the variance of the objective over the last
    `window` of the steps is below `tolerance` of its variance over all. never: all steps."""
    window: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """The share of the steps so far that the rule looks back on."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """How little is nothing: larger stops earlier."""
    patience: Positive = 2
    """How many measurements in a row have to say so."""
    earliest: Annotated[int, Field(ge=0)] = 40
    """Steps before which no rule is asked."""
    cooldown: Annotated[float, Field(ge=0, le=1)] = 0.25
    """When the rule has spoken, or at the end of `steps`, the rate falls to zero over this share of
    the steps so far; 0: it ends at once."""


class Tags(Section):
    """For captions that are lists of tags, "a cat, on a wall, night": order and number vary, so
    that the word is not tied to them."""

    shuffle: bool = False
    """Put the tags in another order every time."""
    drop: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Chance of each tag to be left out. Tags that hold the word stay."""
    keep: Annotated[int, Field(ge=0)] = 0
    """How many tags at the beginning are neither moved nor dropped."""


class Balance(Section):
    """What a word learns evenly of: every value of an attribute counts the same, whatever a folder
    holds of it. The prompts of training do not name the value, or it would be learned as theirs and
    not as the word's."""

    attribute: str
    """What is evened out: colour, gender. With `from: metadata`, the name of its column."""
    values: Annotated[tuple[str, ...], Field(min_length=2)]
    """The attribute's values. Each has to be there, and each picture has to have one of them."""
    from_: Literal["captions", "metadata"] = Field(default="captions", alias="from")
    """captions: the one of `values` that stands in the caption as a whole word; it is left out of
    the prompt. metadata: the column `attribute` of the folder's metadata.jsonl or crops.jsonl."""
    how: Literal["together", "subset", "weights"] = "together"
    """together: every step has a picture of each value, with the same noise, timestep and template,
    so that it tells what the values differ in and nothing else: fewest steps. subset: as many
    pictures of each value as of the rarest, drawn by the seed. weights: all pictures, and one's
    loss counts the more, the fewer there are of its value."""
    wanted: dict[str, Annotated[float, Field(gt=0)]] = {}
    """How often each value shall come, as proportions: {female: 2, male: 1}; those that are not
    listed count 1, and empty is evenly."""

    @model_validator(mode="after")
    def _wants_what_there_is(self) -> "Balance":
        if len({*self.values}) < len(self.values):
            raise ValueError("values should name each value once")
        if unknown := [name for name in self.wanted if name not in self.values]:
            raise ValueError(f"wanted has {unknown[0]!r}, which is not one of values")
        return self

    def share(self, value: str) -> float:
        """The part of the pictures, or of the loss, that a value is to have."""
        total = sum(self.wanted.get(name, 1.0) for name in self.values)
        return self.wanted.get(value, 1.0) / total


class Previews(Section):
    """Pictures drawn with the word while it is being learned, to see when it is enough."""

    every: Positive = 100
    """Steps between two rows of previews; the first row is drawn before training."""
    prompts: tuple[str, ...] = ("a picture of a house in the style of [name]",)
    """One column each; [name] stands for the word."""
    seed: int = 1
    """The first column's seed; the columns after it count on."""
    negative_prompt: str = ""
    """What the pictures are led away from; [name] stands for the word here too."""
    guidance_scale: float = 5.0
    """Classifier-free guidance, 1 = none."""
    steps: Positive = 25
    """Denoising steps."""
    scheduler: SchedulerName = "ddim"
    """Rule of the denoising steps; ddim_eta1, ddpm and euler_a draw noise at every step."""


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
    negative_prompt: str = ""
    """What the pictures are led away from; [name] stands for the word here too, and for nothing in
    the pictures without the word."""
    guidance_scale: float = 5.0
    """Classifier-free guidance, 1 = none."""
    steps: Positive = 25
    """Denoising steps."""
    scheduler: SchedulerName = "ddim"
    """Rule of the denoising steps; ddim_eta1, ddpm and euler_a draw noise at every step."""

    @model_validator(mode="after")
    def _names_the_word(self) -> "Evaluate":
        if "[name]" not in self.negative_prompt:
            _require_name(self.template)
        return self


class NewWord(Section):
    """A word to learn."""

    word: str = "<style>"
    """The new word, in angle brackets so that it cannot be part of another; with `overwrite`, words
    of the vocabulary as they stand in prompts: doctor, housekeeper."""
    overwrite: bool = False
    """Learn anew what the model means by a word that it knows. Prompts without the word, those with
    its plural too, are drawn as before."""
    initial_words: str = ""
    """Words of the vocabulary to begin with, repeated to the number of vectors; empty: random, with
    the vocabulary's own mean and covariance."""
    initial_noise: Annotated[float, Field(ge=0)] = 0.0
    """How far from the initial words the vectors begin, each in another direction; 1 is as far as
    the vocabulary's words are from their mean."""
    initial_embedding: str = ""
    """An embedding file to go on from instead; it needs to have as many vectors."""

    @field_validator("word")
    @classmethod
    def _is_a_word(cls, word: str) -> str:
        inner = word[1:-1] if word.startswith("<") and word.endswith(">") else word
        if not inner or inner.strip() != inner:
            raise ValueError("should have letters, and no space at either end")
        spaced = " " if inner == word else ""
        if not all(letter.isalnum() or letter in "-_" + spaced for letter in inner):
            raise ValueError("should have only letters, digits, - and _ between its brackets")
        return word

    @model_validator(mode="after")
    def _is_new_or_overwritten(self) -> "NewWord":
        bracketed = self.word.startswith("<")
        if not bracketed and not self.overwrite:
            raise ValueError(
                f"word should stand in angle brackets, <{self.word}>; or, to learn anew what the "
                f"model means by {self.word}, set overwrite: true"
            )
        if bracketed and self.overwrite:
            raise ValueError(f"word {self.word} is new and overwrites nothing: drop overwrite")
        if self.initial_words and self.initial_embedding:
            raise ValueError("initial_words and initial_embedding exclude each other: drop one")
        return self


class OtherWord(NewWord):
    """A word that is learned in the same run: it stands in captions or templates as it is."""

    num_vectors: Vectors = 4
    """Vectors of this word."""


class Config(NewWord, UsesModel):
    """Learn a pseudo-word: a new token whose vectors make the model draw what the pictures show."""

    num_vectors: Vectors | tuple[Vectors, ...] = 4
    """Vectors, and so tokens of the prompt, that the word takes: 1 is portable, 16 holds more.
    A list learns a word for each count from the same pictures, <word-1> and <word-16>."""
    also: tuple[OtherWord, ...] = ()
    """More words to learn at once, a style and an object; captions and templates hold them."""
    norm: Literal["free", "clip", "project"] = "free"
    """How long the vectors may become: free; clip: as the longest of the vocabulary (99% of it are
    shorter); project: always as long as the vocabulary's are in the mean."""
    data: str = ""
    """A folder of pictures to learn from; empty: the crops of this experiment's cropping section.
    A crops.jsonl or metadata.jsonl in it lists the pictures with their captions."""
    captions: CaptionRules = CaptionRules()
    """Where the captions of pictures come from that no list has captions for."""
    templates: tuple[str, ...] | str = TEMPLATES
    """Prompts, one drawn anew for every picture: [name] is the word, [filewords] the caption.
    A list, or a text file with one a line (AUTOMATIC1111's form)."""
    tags: Tags = Tags()
    """What happens to captions with commas in them."""
    balance: Balance | None = None
    """Learn evenly of all values of an attribute; absent: of the pictures as they are."""
    masks: bool = True
    """Do not learn what a mask excludes: transparent parts of a picture, or what is black in
    NAME-masklabel.png or NAME.mask.png beside NAME.png, or in the `mask` that a list names."""
    resolution: Annotated[int, Field(ge=0)] = 0
    """Side in px to which the pictures are resized; 0: what the model was trained on."""
    buckets: bool = False
    """Keep pictures that are not square wide or tall, in shapes of about the same area up to 2:1,
    a batch of one shape at a time; otherwise the square in their middle is learned from."""
    seed: int = 0
    """Fixes initial vectors, order, noise and timesteps: same seed, same machine, same bytes."""
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """Of the frozen model; the learned vectors are always fp32. auto: bf16 on GPUs that have it,
    else fp32. fp16 is for GPUs without bf16: the loss is scaled so that small gradients survive."""
    memory: Memory = "auto"
    """What training may take on the device, in GB: 6, 8, 12 or 24 to plan as for such a card; auto:
    what is free on the GPU, and on a CPU nothing is chosen by memory. The steps stay the same."""
    track: TrackerName = "none"
    """Show the curves in tensorboard, wandb (Weights & Biases, which sends them to its servers) or
    trackio as well; it has to be installed. metrics.jsonl holds them in any case."""
    train: Train = Train()
    """Training."""
    objective: Objective = Objective()
    """The measurement during training."""
    stop: Stop = Stop()
    """When training ends."""
    previews: Previews = Previews()
    """Pictures during training."""
    evaluate: Evaluate | None = None
    """Measurement after training; left out when absent."""

    @field_validator("num_vectors")
    @classmethod
    def _counts_differ(cls, counts: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if isinstance(counts, tuple) and (not counts or len({*counts}) < len(counts)):
            raise ValueError("should list at least one number of vectors, and each once")
        return counts

    @field_validator("templates")
    @classmethod
    def _name_the_word(cls, templates: tuple[str, ...] | str) -> tuple[str, ...] | str:
        if templates == ():
            raise ValueError("should have at least one template with [name] in it")
        return templates

    @model_validator(mode="after")
    def _words_are_told_apart(self) -> "Config":
        words = [self.word, *(other.word for other in self.also)]
        self._require_places_for_values()
        if isinstance(self.num_vectors, tuple) and (self.also or self.overwrite):
            raise ValueError("num_vectors should be one number with also or overwrite")
        if len({*words}) < len(words):
            raise ValueError("words should differ: each of word and also.word once")
        for template in self.templates if isinstance(self.templates, tuple) else ():
            # whether the captions hold the word is seen when they are read
            if not self.overwrite and not self.also:
                _require_name(template)
        return self

    def _require_places_for_values(self) -> None:
        if self.balance is None or self.balance.how != "together":
            return
        count = len(self.balance.values)
        if self.train.batch_size % count:
            raise ValueError(
                f"train.batch_size should be a multiple of the {count} values of balance, which "
                f"are learned together, not {self.train.batch_size}; or set balance.how to subset"
            )
        if self.buckets:
            raise ValueError("buckets should be off where balance.how is together: a step has one")


def variants(config: Config) -> list[Config]:
    """One configuration for each word that is learned after the other: where num_vectors is a list,
    `<word-16>` for 16 of `<word>`."""
    if isinstance(config.num_vectors, int):
        return [config]
    inner = config.word.strip("<>")
    return [
        config.model_copy(update={"word": f"<{inner}-{count}>", "num_vectors": count})
        for count in config.num_vectors
    ]


def _require_name(template: str) -> str:
    if "[name]" not in template:
        raise ValueError(f"should have [name], the word's place, in {template!r}")
    return template
