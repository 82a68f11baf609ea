"""Where to compute and in which numbers; randomness that belongs to a picture, not to a batch."""

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from lab.errors import UserError

Item = TypeVar("Item")

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_MASK = (1 << 64) - 1


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is this process's GPU where there is one, else the CPU.

    The other names are torch's: `cpu`, `cuda` (this process's), `cuda:1`, `mps`.

    Raises:
        UserError: when the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device {name} is unknown; use auto, cpu, cuda, cuda:1 or mps") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise UserError(
                f"device {name} is not here: torch finds no GPU; use device: cpu or auto"
            )
        if device.index is None:  # one process of `accelerate launch` for each GPU
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % count)
        if device.index >= count:
            raise UserError(f"device {name} is not here: there are {count} GPUs, counted from 0")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("device mps is not here; use device: cpu or auto")
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto` is fp16 on a GPU and fp32 elsewhere; or `fp32`, `fp16`, `bf16`.

    Raises:
        UserError: for another name, and for fp16 on a CPU, which computes it slowly or not at all.
    """
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in _DTYPES:
        raise UserError(f"dtype {name} is unknown; use auto, {', '.join(_DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise UserError("dtype fp16 is for GPUs; on the CPU use fp32, bf16 or auto")
    return _DTYPES[name]


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Inside, new modules and tensors are of `dtype` where nothing else is said."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16; where it does not, torch takes fp32 without a word."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def pick_autocast(name: str, device: torch.device, setting: str) -> torch.dtype:
    """What a network whose weights stay fp32 is computed in; `auto` is bf16 on a GPU that has it.

    Raises:
        UserError: naming the `setting`, for bf16 where it would silently be fp32.
    """
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and has_bf16(device) else torch.float32
    dtype = pick_dtype(name, device)
    if dtype == torch.bfloat16 and not has_bf16(device):
        raise UserError(f"{setting} bf16: {device} has no bf16 and would compute in fp32; use fp32")
    return dtype


def generator_for(seed: int, *indices: int) -> torch.Generator:
    """A CPU generator for one thing out of many, such as picture `index` of the run with `seed`.

    The state is a chain of SplitMix64 finalisers (Steele, Lea & Flood 2014, OOPSLA, sec. 5) over
    seed and indices, so neighbours share nothing and (seed, 1, 2) is not (seed, 2, 1).
    """
    state = _split_mix(seed & _MASK)
    for index in indices:
        state = _split_mix(state ^ (index & _MASK))
    # torch's CPU generator is seeded by the low 32 bits alone: fold the upper half into them.
    return torch.Generator("cpu").manual_seed((state ^ (state >> 32)) & 0xFFFFFFFF)


def _split_mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def noise(shape: Sequence[int], seed: int, index: int = 0) -> torch.Tensor:
    """Standard normal fp32 noise of `shape` on the CPU, for picture `index` of a seed.

    It depends on nothing else: not on the batch, the process, the device or the dtype.
    """
    return torch.randn(tuple(shape), generator=generator_for(seed, index), dtype=torch.float32)


def set_attention(model: Any, backend: str) -> None:
    """Choose how a diffusers model (UNet or VAE) computes attention.

    `auto` and `sdpa` are torch's own scaled_dot_product_attention, `plain` the formula spelled out,
    `xformers` the extra package. Pictures compare to the last bit under the same choice only.

    Raises:
        UserError: where xformers cannot run, and for another name.
    """
    from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

    if backend in ("auto", "sdpa"):
        model.set_attn_processor(AttnProcessor2_0())
    elif backend == "plain":
        model.set_attn_processor(AttnProcessor())
    elif backend == "xformers":
        _require_xformers(next(model.parameters()))
        model.enable_xformers_memory_efficient_attention()
    else:
        raise UserError(f"attention {backend} is unknown; use auto, sdpa, plain or xformers")


def _require_xformers(parameter: torch.Tensor) -> None:
    """Try it: xformers installs beside builds of torch that none of its operators runs on."""
    remedy = "use attention: auto"
    if importlib.util.find_spec("xformers") is None:
        raise UserError(
            f"attention xformers is not installed; {remedy} or `pip install pseudoword[xformers]`"
        )
    from xformers.ops import memory_efficient_attention  # pyright: ignore[reportMissingImports]

    query = torch.zeros(1, 8, 1, 32, device=parameter.device, dtype=parameter.dtype)
    try:
        memory_efficient_attention(query, query, query)
    except RuntimeError as error:  # "No operator found" is one of its kinds
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"attention xformers cannot run on {parameter.device} here ({reason}); {remedy}"
        ) from None


def finish(device: torch.device) -> None:
    """Return when the device has done what was queued for it; a CPU queues nothing."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def fetched_later(tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Queue the copy of a tensor to the computer's memory behind what its GPU is still at work on.

    The function that is returned waits for it, in any thread; so whoever queued it can go on.
    """
    if tensor.device.type != "cuda":
        return tensor.cpu
    # only memory that the system cannot move is written to by a GPU beside its other work
    kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    kept.copy_(tensor, non_blocking=True)
    copied = torch.cuda.Event(blocking=True)  # a thread that waits leaves the processor alone
    copied.record(torch.cuda.current_stream(tensor.device))

    def fetch() -> torch.Tensor:
        copied.synchronize()
        return kept

    return fetch


def padded_chunks(items: Sequence[Item], size: int) -> Iterator[tuple[list[Item], int]]:
    """Cut `items` into chunks of exactly `size`, with how many of each are real.

    The last chunk is filled up with its last item. At a constant batch size a result is bitwise
    independent of what else is in the batch; at a varying one it is not.
    """
    if size < 1:
        raise ValueError("a chunk has at least one item")
    for start in range(0, len(items), size):
        chunk = list(items[start : start + size])
        real = len(chunk)
        yield chunk + [chunk[-1]] * (size - real), real
