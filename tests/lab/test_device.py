"""Devices, and randomness that belongs to a picture."""

import itertools

import pytest
import torch
from diffusers import UNet2DConditionModel

from lab import device as devices
from lab.device import (
    generator_for,
    noise,
    padded_chunks,
    pick_device,
    pick_dtype,
    set_attention,
)
from lab.errors import UserError

CPU = torch.device("cpu")


def test_split_mix_is_the_published_one():
    """The first outputs of SplitMix64 seeded with 1234567 (Vigna's reference implementation)."""
    gamma, state, outputs = 0x9E3779B97F4A7C15, 1234567, []
    for _ in range(3):
        outputs.append(devices._split_mix(state))
        state = (state + gamma) % 2**64
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_noise_is_a_function_of_seed_and_index_alone():
    first = noise((4, 8, 8), seed=3, index=5)
    torch.manual_seed(0)
    noise((4, 8, 8), seed=1, index=1)
    assert torch.equal(first, noise((4, 8, 8), seed=3, index=5))
    assert first.dtype == torch.float32
    assert first.device == CPU


def test_drawing_noise_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    noise((4, 8, 8), seed=3)
    assert torch.equal(torch.rand(3), expected)


def test_neighbours_share_nothing():
    draws = torch.stack(
        [noise((64, 64), seed, index).flatten() for seed in range(4) for index in range(4)]
    )
    correlation = torch.corrcoef(draws) - torch.eye(len(draws))
    assert correlation.abs().max() < 5 / 64  # five standard errors
    assert draws.mean().abs() < 5 / draws.numel() ** 0.5
    assert draws.var() == pytest.approx(1, abs=0.03)


def test_every_tuple_of_indices_has_its_own_stream():
    keys = [
        key
        for length in range(1, 4)
        for key in itertools.product([0, 1, 2, 2**32, 2**63], repeat=length)
    ]
    assert len({generator_for(*key).initial_seed() for key in keys}) == len(keys)


def test_any_whole_number_is_a_seed():
    for seed in (-1, 0, 2**64 - 1, 2**80):
        assert noise((2,), seed).isfinite().all()


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 9])
def test_padded_chunks_have_one_size_and_lose_nothing(count):
    items = list(range(count))
    chunks = list(padded_chunks(items, 4))
    assert all(len(chunk) == 4 for chunk, _ in chunks)
    assert [item for chunk, real in chunks for item in chunk[:real]] == items
    assert len(chunks) == -(-count // 4)
    assert all(chunk[real:] == [items[-1]] * (4 - real) for chunk, real in chunks)


def test_a_chunk_has_items():
    with pytest.raises(ValueError, match="at least one"):
        list(padded_chunks([1], 0))


def test_auto_takes_the_gpu_of_this_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device() == torch.device("cuda", 1)
    assert pick_device("cuda:0") == torch.device("cuda", 0)
    assert pick_device("cpu") == CPU
    with pytest.raises(UserError, match="there are 2 GPUs"):
        pick_device("cuda:2")


def test_a_device_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == CPU
    for name in ("cuda", "cuda:3"):
        with pytest.raises(UserError, match=f"device {name} is not here"):
            pick_device(name)
    with pytest.raises(UserError, match="device mps is not here"):
        pick_device("mps")
    with pytest.raises(UserError, match="device gpu is unknown"):
        pick_device("gpu")


def test_dtypes():
    gpu = torch.device("cuda", 0)
    assert pick_dtype("auto", CPU) == torch.float32
    assert pick_dtype("auto", gpu) == torch.float16
    assert pick_dtype("bf16", CPU) == torch.bfloat16
    with pytest.raises(UserError, match="fp16 is for GPUs"):
        pick_dtype("fp16", CPU)
    with pytest.raises(UserError, match="dtype half is unknown"):
        pick_dtype("half", CPU)


@pytest.fixture(scope="module")
def unet():
    generator = generator_for(0)
    model = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=8,
        layers_per_block=1,
        norm_num_groups=8,
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def test_attention_backends_agree(unet):
    latents, text = noise((1, 4, 8, 8), 0), noise((1, 5, 16), 1)
    results = {}
    for backend in ("auto", "sdpa", "plain"):
        set_attention(unet, backend)
        with torch.no_grad():
            results[backend] = unet(latents, 10, text).sample
    assert torch.equal(results["auto"], results["sdpa"])
    torch.testing.assert_close(results["plain"], results["sdpa"], rtol=1e-4, atol=1e-4)
    processors = {type(p).__name__ for p in unet.attn_processors.values()}
    assert processors == {"AttnProcessor"}


def test_attention_that_cannot_run_is_said(unet):
    with pytest.raises(UserError, match="attention fast is unknown"):
        set_attention(unet, "fast")
    with pytest.raises(UserError, match=r"attention xformers .* use attention: auto"):
        set_attention(unet, "xformers")  # not installed, or without a CPU operator
