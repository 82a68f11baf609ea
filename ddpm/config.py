"""The section `ddpm:` of an experiment. Studies, guidance and measures have theirs in files of
their own: study_config.py, guide_config.py, measure_config.py."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ddpm.guide_config import Guide
from ddpm.measure_config import Measure
from ddpm.study_config import Film, Schedules, Study
from lab.config import Section
from lab.trackers import TrackerName

Positive = Annotated[int, Field(ge=1)]


class Data(Section):
    """The pictures to learn from, and how they are made equal in size and divided."""

    source: str = "drawn:flowers"
    """A folder of pictures (any format, any size, folders in it too); drawn:FAMILY, pictures that
    are drawn here and now (drawn:flowers+faces mixes families; see storybook/families.py); or the
    hub id of a data set, which needs the package datasets."""
    size: Annotated[int, Field(ge=8, le=1024, multiple_of=4)] = 32
    """Side of the square pictures that are learned, in pixels."""
    count: Positive = 2000
    """How many pictures of each family are drawn; of a hub's data set, how many are taken at most.
    A folder is taken whole."""
    crop: Literal["centre", "squash", "pad"] = "centre"
    """How an oblong picture becomes a square: centre, its middle square; squash, all of it, in
    wrong proportions; pad, all of it, with its mean border colour beside it."""
    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of the pictures whose loss is measured beside the training, and decides when it is
    enough. Equal files fall into the same part."""
    test: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of the pictures that nothing sees before the measures at the end."""


class Model(Section):
    """The U-Net: a new one of some size, or one that has learned pictures already."""

    preset: Literal["small", "manga", "cifar10"] = "small"
    """The size of a new U-Net. small: 1.1 million parameters, for two CPU cores; manga: 16 x (1, 2,
    4, 8) features and 2,430,595 parameters, that of the study of manga faces; cifar10: 35.7
    million, that of Ho et al. 2020 for 32 px."""
    channels: tuple[Annotated[int, Field(ge=4, multiple_of=4)], ...] = ()
    """Features of each resolution in place of the preset's, the finest first: [32, 64, 64]. Each
    resolution after the first halves the picture."""
    prediction: Literal["epsilon", "v_prediction"] = "epsilon"
    """What a new U-Net learns to tell: epsilon, the noise (Ho et al. 2020); v_prediction, v =
    sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 (Salimans & Ho 2022). In nearly pure noise a small
    error of epsilon is a large one of the picture, and small U-Nets then draw all in one tint; v is
    there the picture itself. A pretrained model keeps its own."""
    pretrained: str = ""
    """A model to start from in place of a new one: drawn, which comes with this program (32 px), as
    do drawn:flowers and drawn:faces, of one family each; the folder of a DDPMPipeline, such as
    outputs/NAME/ddpm/model; or a hub id such as google/ddpm-celebahq-256. Without `train` it is
    used as it is."""


class Schedule(Section):
    """How fast a picture turns into noise: beta_t is the variance of the noise that step t adds,
    and alpha_bar_t = (1 - beta_1) ... (1 - beta_t) what is left of the picture's."""

    name: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = "squaredcos_cap_v2"
    """linear: Ho et al. 2020; scaled_linear: linear in the square root, as Stable Diffusion's;
    squaredcos_cap_v2: alpha_bar falls like a squared cosine (Nichol & Dhariwal 2021)."""
    timesteps: Annotated[int, Field(ge=2)] = 200
    """T, the number of steps from picture to noise."""
    beta_start: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    """beta of the first step; not for squaredcos_cap_v2."""
    beta_end: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """beta of the last step; not for squaredcos_cap_v2."""
    scaled: bool = False
    """Multiply beta_start and beta_end, which are made for T = 1000, by 1000 / T, so that x_T is
    noise for a smaller T too: with linear 1e-4..0.02 at T = 200 and without it, sqrt(alpha_bar_T)
    is 0.364, and a third of the picture shines through the last x_T of the training."""

    @model_validator(mode="after")
    def _betas_are_variances(self) -> "Schedule":
        if self.name != "squaredcos_cap_v2" and self.scaled:
            largest = max(self.beta_start, self.beta_end) * 1000 / self.timesteps
            if largest >= 1:
                raise ValueError(
                    f"scaled makes beta {largest:g} at {self.timesteps} timesteps, where it should "
                    "stay below 1: take more timesteps, smaller betas, or squaredcos_cap_v2"
                )
        return self


class Train(Section):
    """How the U-Net learns to tell the noise in a picture."""

    steps: Positive = 600
    """Optimizer steps, at most: `patience` may end the training earlier."""
    batch_size: Positive | Literal["auto"] = 32
    """Pictures a step, over all processes and accumulated parts together. auto: as many as fit into
    memory, found by trying at the start (32 on a CPU and 256 on a GPU at most); another machine may
    find another number, and so learn another model."""
    gradient_accumulation: Positive | Literal["auto"] = "auto"
    """In how many parts a process computes its share of a step: more parts, less memory, the same
    step. auto: as few as fit into memory. A number is raised where memory runs out."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """AdamW's rate. 1e-3 for a small new U-Net, 1e-4 for a large one, 1e-5 to fine-tune one."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's pull of the weights towards zero."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate rises from zero."""
    decay: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The last share of the steps, over which the rate falls to zero along half a cosine."""
    loss: Literal["mse", "l1"] = "mse"
    """What a wrong guess of the noise costs: its square (Ho et al. 2020), or its size (the manga
    study)."""
    clip_gradient: Annotated[float, Field(gt=0)] | None = 1.0
    """The gradient's norm is not let above this; null: it is left as it is."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.995
    """Pictures are drawn with an average of the weights over the steps, in which each step's weigh
    this much less than the next one's. It is measured, kept and saved; 0: the weights themselves.
    """
    flip: bool = True
    """Mirror half of the pictures."""
    validate_every: Positive = 50
    """Steps between two measurements of the validation loss: all of these pictures, or the first
    `validation_pictures`, each time with the same noise at the same timesteps."""
    validation_pictures: Positive = 128
    """Pictures, at most, that are measured."""
    patience: Annotated[int, Field(ge=0)] = 0
    """End when so many measurements in a row brought no better one; 0: take all steps. The weights
    of the best measurement are the ones that are saved, in either case."""
    checkpoint_every: Positive = 100
    """Steps between checkpoints: the most that a killed run has to repeat."""


class Sample(Section):
    """The pictures that are drawn when the model is ready."""

    count: Annotated[int, Field(ge=0)] = 16
    """How many; 0: none, where a film or a study is all that is wanted."""
    seed: int = 0
    """The first one's seed; the others count on. A seed's picture does not depend on the others."""
    sampler: Literal["ddpm", "ddim", "dpm++"] = "ddpm"
    """ddpm: a step back with fresh noise (Ho et al. 2020); ddim: without, or with `eta` of it (Song
    et al. 2021); dpm++: two steps' guesses together, for few steps (Lu et al. 2022)."""
    steps: Annotated[int, Field(ge=0)] = 0
    """Denoising steps; 0: all of the schedule's timesteps."""
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much of ddpm's noise ddim adds."""
    batch_size: Positive = 16
    """Pictures computed at once; the last batch is filled up, so that every one has this size."""


class Config(Section):
    """Train, fine-tune and study an unconditional diffusion model: one that turns noise into
    pictures of the kind it was shown."""

    data: Data | None = None
    """The pictures; needed to train and to measure."""
    model: Model = Model()
    """What is trained or studied."""
    schedule: Schedule | None = None
    """The noise schedule; absent: the pretrained model's own, or, for a new model, 200 steps of
    squaredcos_cap_v2."""
    train: Train | None = None
    """Train the model on the data; absent: use it as it is."""
    sample: Sample = Sample()
    """The pictures that are drawn."""
    schedules: Schedules | None = None
    """Draw noise schedules beside each other, and pictures that disappear in them."""
    study: Study | None = None
    """Compare timesteps, sources of randomness, samplers."""
    guide: Guide | None = None
    """Lead the sampling by a loss: towards a colour, towards a text."""
    film: Film | None = None
    """Film how the pictures come out of the noise."""
    measure: Measure | None = None
    """Measure how near the drawn pictures are to those of the data, beside baselines."""
    seed: int = 0
    """Decides the new weights, the splits, and every step's pictures, timesteps and noises."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, or auto: the GPU where there is one."""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """The numbers that the U-Net is computed in, while its weights stay fp32; auto: bf16 on a GPU
    that has it and fp32 elsewhere. bf16 also pays on CPUs that have it (AVX-512 BF16, AMX)."""
    track: TrackerName = "none"
    """Show the curves in tensorboard, wandb (Weights & Biases, which sends them to its servers) or
    trackio as well; it has to be installed. metrics.jsonl holds them in any case."""

    @model_validator(mode="after")
    def _says_what_to_learn(self) -> "Config":
        if self.train is not None and self.data is None:
            raise ValueError("data is missing: train needs pictures, such as {source: drawn:faces}")
        if self.train is None and not self.model.pretrained:
            raise ValueError(
                "there is nothing to learn and no model: give train and data, or model.pretrained"
            )
        return self
