"""What benchmarks/speed.py measures: each thing is a call that can be repeated."""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import sweep_frame
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from full_table import Pictures, full_table_steps
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from training_step import WORD, own_copy
from transformers import CLIPTextConfig, CLIPTextModel

from cfg.batching import prediction_call
from cfg.config import Config as Sweeping
from diffusion.architecture import SD1
from diffusion.compiling import translated
from diffusion.pseudo_word import PseudoWord, training_rows
from diffusion.stable_diffusion import StableDiffusion, decode, load
from inversion.batches import Material, make_batch
from inversion.config import TEMPLATES, Config, Objective, Stop, Train
from inversion.data import Example
from inversion.initial import prepare_words
from inversion.latents import Latents
from inversion.objective import Objective as Measuring
from inversion.training import train
from lab.device import default_dtype, noise, set_attention
from lab.processes import Processes

Call = Callable[[], Any]
ENDLESS, PICTURES, VECTORS = 10**9, 12, 4
PRODUCT = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SIDES = {"cpu": 2048, "cuda": 8192}
CHANNELS = 256
CAPTION = "a cat on a wall, at night, number {}"


def of_real_size(device: str, dtype: str) -> StableDiffusion:
    """The shapes of Stable Diffusion 1.x with random weights; storybook's tokenizer, whose prompts
    are as long."""
    small = load("storybook", device, dtype)
    with default_dtype(small.dtype), torch.device(small.device):
        parts: list[Any] = [
            UNet2DConditionModel.from_config(SD1.unet),
            AutoencoderKL.from_config(SD1.vae),
            CLIPTextModel(CLIPTextConfig(**SD1.text_encoder)),
        ]
    unet, vae, text_encoder = (part.eval().requires_grad_(False) for part in parts)
    set_attention(unet, "auto")
    return dataclasses.replace(
        small, unet=unet, vae=vae, text_encoder=text_encoder, scheduler_config=SD1.scheduler,
        name="Stable Diffusion 1.x's shapes", fingerprint="random weights",
    )  # fmt: skip


def operations(sd: StableDiffusion) -> tuple[float, float]:
    """Floating-point operations of the U-Net for one prediction, and of decoding one picture: those
    of matrix products, convolutions and attention, two for each multiplication with its addition.
    """
    counted = []
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(sd.unet.config)
        vae: Any = AutoencoderKL.from_config(sd.vae.config)
        text = torch.empty(1, sd.tokenizer.model_max_length, unet.config["cross_attention_dim"])
        x, t = torch.empty(1, *sd.latent_shape()), torch.empty((), dtype=torch.long)
        for part, call in ((unet, lambda: unet(x, t, text)), (vae, lambda: vae.decode(x))):
            set_attention(part, "plain")  # the others hide their products from the counter
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                call()
            counted.append(float(counter.get_total_flops()))
    return counted[0], counted[1]


def product_call(device: torch.device, dtype: torch.dtype) -> tuple[Call, int, float]:
    """Products of two matrices of random numbers, how many, and the operations of each."""
    side = SIDES["cuda" if device.type == "cuda" else "cpu"]
    count = 20 if device.type == "cuda" else 1
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return lambda: [torch.mm(a, b, out=out) for _ in range(count)], count, 2.0 * side**3


def convolution_call(device: torch.device, dtype: torch.dtype) -> tuple[Call, int, float]:
    """3 x 3 convolutions of random numbers in the middle of a U-Net's sizes; as `product_call`."""
    pictures, count = (64, 20) if device.type == "cuda" else (4, 1)
    x = torch.randn(pictures, CHANNELS, 32, 32, device=device).to(dtype)
    conv = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, device=device, dtype=dtype)

    @torch.no_grad()
    def call() -> None:
        for _ in range(count):
            conv(x)

    return call, count, 2.0 * x.numel() * CHANNELS * 9


def evaluation_call(sd: StableDiffusion, count: int, times: int) -> Call:
    """`times` evaluations of the U-Net, each of `count` predictions."""
    predict = prediction_call(sd, count)

    def call() -> None:
        for _ in range(times):
            predict()

    return call


def decoding_call(sd: StableDiffusion, count: int) -> Call:
    """Decode so many pictures and fetch them."""
    latents = torch.stack([noise(sd.latent_shape(), 0, k) for k in range(count)]).to(sd.device)
    return lambda: decode(sd, latents)


def channels_last(sd: StableDiffusion) -> StableDiffusion:
    """The same model, its weights' channels last in memory; what it is given it lays out alike."""
    unet = cast(Any, copy.deepcopy(sd.unet)).to(memory_format=torch.channels_last)
    vae = cast(Any, copy.deepcopy(sd.vae)).to(memory_format=torch.channels_last)
    return dataclasses.replace(sd, unet=unet, vae=vae)


def sweep_calls(
    sd: StableDiffusion, steps: int, counts: tuple[int, int], size: int, folder: Path
) -> tuple[dict[str, Call], sweep_frame.Evaluations]:
    """Draw guided pictures by our sweep, and the first of them by a loop over diffusers' pipeline:
    so many by each; and make ours' bare evaluations. Also what counts them."""
    config = Sweeping(prompt="a picture of a house", steps=steps, guidance_scales=(1.0,))
    chosen = [2 + Decimal(k) / 4 for k in range(max(counts))]
    evaluations = sweep_frame.Evaluations(sd, size)
    ours, theirs = folder / "ours", folder / "theirs"
    return {
        sweep_frame.OURS: lambda: evaluations.count(
            lambda: sweep_frame.draw_ours(sd, config, chosen[: counts[0]], ours, size)
        ),
        sweep_frame.BARE: evaluations.repeat,
        sweep_frame.PIPELINE: lambda: sweep_frame.draw_by_pipeline(
            sd, config, chosen[: counts[1]], theirs
        ),
    }, evaluations


class Training:
    """A word that is learned from pictures that are random latents, by several ways."""

    def __init__(self, sd: StableDiffusion, batch_size: int):
        self._sd, self._batch_size = sd, batch_size
        shape = sd.latent_shape()
        pairs = [noise((2, *shape), 0, k).to(sd.device) for k in range(PICTURES)]
        self._latents = [Latents(mean, mean.abs() / 10) for mean in pairs]
        self._captions = [CAPTION.format(k) for k in range(PICTURES)]

    def _material(self) -> Material:
        examples = [Example(Path(f"{k}.png"), said) for k, said in enumerate(self._captions)]
        return Material(examples, self._latents, TEMPLATES, WORD)

    def config(self, compiled: bool = False, **objective: Any) -> Config:
        return Config(
            word=WORD, num_vectors=VECTORS, stop=Stop(rule="never"),
            train=Train(steps=ENDLESS, batch_size=self._batch_size, compile=compiled),
            objective=Objective(**({"every": ENDLESS, "pictures": 1} | objective)),
        )  # fmt: skip

    def ours(self, compiled: bool = False) -> Iterator[Any]:
        """The steps of the inversion job, after what it measures before them."""
        sd, config = own_copy(self._sd), self.config(compiled=compiled)
        words = prepare_words(sd, config)
        if compiled:
            sd = dataclasses.replace(sd, unet=copy.deepcopy(sd.unet))
        with training_rows(sd.text_encoder, words.token_ids, words.rows) as word:
            yield from train(sd, word, self._material(), config, words.norms)

    def full_table(self) -> Iterator[float]:
        """The steps of diffusers' example, its pictures in memory."""
        sd, config = own_copy(self._sd), self.config()
        rows = prepare_words(own_copy(sd), config).rows
        side = sd.resolution
        pixels = torch.rand(PICTURES, 3, side, side, generator=torch.Generator()) * 2 - 1
        pictures = Pictures(pixels, self._captions, TEMPLATES, self._batch_size)
        rate = config.train.learning_rate
        assert isinstance(rate, float)
        yield from full_table_steps(sd, pictures, WORD, rows, rate)

    def floor(self) -> tuple[Call, Call]:
        """The U-Net forward, and the text encoder forward and backward, of a step's pictures."""
        sd, config = own_copy(self._sd), self.config()
        words = prepare_words(sd, config)
        table: Any = sd.text_encoder.get_input_embeddings()
        sd.text_encoder.set_input_embeddings(PseudoWord(table, words.token_ids, words.rows))
        batch = make_batch(sd, self._material(), config.train, 0, 0, range(self._batch_size))
        x = batch.x_0.to(sd.dtype)
        with torch.no_grad():
            states: Tensor = sd.text_encoder(batch.token_ids)[0]

        @torch.no_grad()
        def unet() -> None:
            sd.unet(x, batch.timesteps, encoder_hidden_states=states)

        def encoder() -> None:
            sd.text_encoder(batch.token_ids)[0].float().square().mean().backward()

        return unet, encoder

    def measuring(self, held_out: float) -> tuple[Call, int]:
        """A measurement of the objective as the defaults have it, and the steps between two."""
        sd = own_copy(self._sd)
        default = Objective()
        config = self.config(every=0, pictures=default.pictures, held_out=held_out)
        words = prepare_words(sd, config)
        table: Any = sd.text_encoder.get_input_embeddings()
        sd.text_encoder.set_input_embeddings(PseudoWord(table, words.token_ids, words.rows))
        objective = Measuring(sd, self._material(), config, Processes.alone())
        return lambda: objective.measure(0), objective.every


def compiled(sd: StableDiffusion) -> StableDiffusion:
    """The same model, a copy of its U-Net translated as a sweep does it."""
    return translated(dataclasses.replace(sd, unet=copy.deepcopy(sd.unet)))
