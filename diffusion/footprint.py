"""How much memory a model will need, counted beforehand without needing it.

Tensors that have a shape and no content (torch's FakeTensorMode) are led through the same calls,
and the bytes of those that are alive at once are added up. What a GPU's libraries take for
themselves (its context, their workspaces, fragmentation) is not seen: `OVERHEAD` stands for it.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import CLIPTextConfig, CLIPTextModel

from lab.device import default_dtype, set_attention

GB = 2**30
OVERHEAD = 1.0 * GB
"""Bytes beside tensors: an allowance, since it differs between cards, drivers and desktops."""
TEXT_ENCODER = 2 * 123_060_480
"""Bytes of Stable Diffusion 1.x's text encoder in 16 bits."""


class Counting(TorchDispatchMode):
    """Adds up the bytes of tensors that operations make within it; `peak` is the most that lived at
    once. Tensors made before it are not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for given in tree_leaves((args, kwargs)):
            self._hold(given, counted=False)  # what is not known by now was there before
        made = func(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            self._hold(value, counted=True)
        return made

    def _hold(self, value: Any, *, counted: bool) -> None:
        if not isinstance(value, Tensor):
            return
        storage = value.untyped_storage()  # a view has the storage of what it looks at
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes() if counted else 0
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def peak_of(work: Callable[[], Any]) -> int:
    """Bytes of tensors that live at once, at most, while `work` is done; its arguments not
    counted."""
    with Counting() as counting:
        made = work()
    del made
    return counting.peak


@dataclass(frozen=True)
class Footprint:
    """What a task needs, in bytes."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        """With the allowance for what is not counted."""
        return self.weights + self.activations + int(OVERHEAD)


def bytes_of(module: nn.Module) -> int:
    """What a module's parameters and buffers take."""
    tensors: Iterable[Tensor] = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def of_training(
    unet: Any,
    dtype: torch.dtype,
    latents: Sequence[int],
    *,
    gradient_checkpointing: bool = False,
    beside: int = 0,
    attention: str = "auto",
    text_encoder: Any = None,
) -> Footprint:
    """A step of textual inversion: U-Net forward and backward to the text, weights frozen.

    `unet` is the configuration of a UNet2DConditionModel, `latents` their shape [b, 4, h, w],
    `beside` the bytes of what else lies on the device. `text_encoder` is the configuration of the
    CLIPTextModel that the gradient passes on its way to the rows: what it keeps is counted, its
    weights are not (they are `beside`).
    """
    with _imagined(unet, dtype, attention) as model:
        if gradient_checkpointing:
            model.enable_gradient_checkpointing()
            model.train()  # diffusers checkpoints in training only
        x = torch.empty(tuple(latents), dtype=dtype)
        text = torch.empty(latents[0], 77, unet["cross_attention_dim"], dtype=dtype)
        text.requires_grad_()
        encode = (lambda: text) if text_encoder is None else _encoder(text_encoder, dtype, len(x))

        def step() -> None:
            eps = model(x, 500, encoder_hidden_states=encode()).sample
            eps.float().square().mean().backward()

        return Footprint(bytes_of(model) + beside, peak_of(step))


def of_prediction(
    unet: Any,
    dtype: torch.dtype,
    latents: Sequence[int],
    *,
    beside: int = 0,
    attention: str = "auto",
) -> Footprint:
    """One evaluation of the U-Net without gradients; parameters as in `of_training`."""
    with _imagined(unet, dtype, attention) as model, torch.no_grad():
        x = torch.empty(tuple(latents), dtype=dtype)
        text = torch.empty(latents[0], 77, unet["cross_attention_dim"], dtype=dtype)
        work = peak_of(lambda: model(x, 500, encoder_hidden_states=text).sample)
        return Footprint(bytes_of(model) + beside, work)


def of_decoding(vae: Any, dtype: torch.dtype, latents: Sequence[int]) -> Footprint:
    """The autoencoder's decoder; `vae` is the configuration of an AutoencoderKL."""
    with FakeTensorMode(), default_dtype(dtype), torch.no_grad():
        model: Any = AutoencoderKL.from_config(vae)
        model.eval()
        x = torch.empty(tuple(latents), dtype=dtype)
        return Footprint(bytes_of(model), peak_of(lambda: model.decode(x).sample))


@contextmanager
def _imagined(unet: Any, dtype: torch.dtype, attention: str) -> Iterator[Any]:
    with FakeTensorMode():
        with default_dtype(dtype):  # what has no content cannot be converted afterwards
            model: Any = UNet2DConditionModel.from_config(unet)
        if attention == "plain":  # the others keep no large matrices
            set_attention(model, attention)
        yield model.eval().requires_grad_(False)


def _encoder(config: Any, dtype: torch.dtype, count: int) -> Callable[[], Tensor]:
    """The text encoder on `count` prompts, with a gradient to its table of words."""
    given = config if isinstance(config, CLIPTextConfig) else CLIPTextConfig(**config)
    with default_dtype(dtype):
        model = CLIPTextModel(given).eval().requires_grad_(False)
    length = given.max_position_embeddings or 77
    rows = torch.empty(count, length, given.hidden_size or 768, dtype=dtype).requires_grad_()
    token_ids = torch.zeros(count, length, dtype=torch.long)
    table: Any = model.get_input_embeddings()
    table.register_forward_hook(lambda *_: rows * 1)  # instead of a gradient of the whole table
    return lambda: model(token_ids)[0]
