"""Loading: from everywhere, or one sentence. Autoencoder: a picture does not see its neighbours."""

import json
import shutil

import numpy as np
import pytest
import torch

from diffusion import sources, stable_diffusion
from diffusion.config import Draws
from diffusion.stable_diffusion import (
    decode,
    encode,
    fingerprint,
    load,
    make_scheduler,
    open_model,
    what_computes,
)
from lab.device import noise
from lab.errors import UserError


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


def test_what_is_loaded_is_frozen_and_of_the_dtype_asked_for(tiny_sd_folder):
    sd = load(str(tiny_sd_folder), device="cpu", dtype="bf16")
    for part in (sd.unet, sd.vae, sd.text_encoder):
        assert not part.training
        assert {parameter.dtype for parameter in part.parameters()} == {torch.bfloat16}
        assert not any(parameter.requires_grad for parameter in part.parameters())
    assert sd.resolution == 32
    assert sd.latent_shape() == (4, 8, 8)
    assert sd.latent_shape(height=64, width=40) == (4, 16, 10)


def test_sides_that_do_not_divide_are_refused(sd):
    with pytest.raises(UserError, match="multiples of 8 px, not 36 x 32"):
        sd.latent_shape(height=32, width=36)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("nowhere/at/all", "is not there"),
        ("./missing", "is not there"),
        ("missing.safetensors", "is not there"),
        ("no-such-owner/no-such-model", "neither a folder here nor in the Hugging Face cache"),
    ],
)
def test_a_model_that_is_not_there(model, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        load(model, device="cpu")
    assert model in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_model_is_refused_with_a_remedy(tmp_path, tiny_sd_folder):
    with pytest.raises(UserError, match=r"no model_index\.json"):
        load(str(tmp_path), device="cpu")
    text = tmp_path / "model.txt"
    text.write_text("hello")
    with pytest.raises(UserError, match=r"must end in \.safetensors or \.ckpt"):
        load(str(text), device="cpu")
    broken = tmp_path / "broken"
    shutil.copytree(tiny_sd_folder, broken)
    (broken / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(UserError, match="cannot be loaded"):
        load(str(broken), device="cpu")
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(UserError, match=r"junk\.safetensors: this is a Git LFS pointer"):
        load(str(junk), device="cpu")


def test_the_bundled_model_has_a_remedy_when_it_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(sources.importlib.resources, "files", lambda _: tmp_path)
    with pytest.raises(UserError, match=r"python -m storybook\.pretrain"):
        load("storybook", device="cpu")


def test_the_fingerprint_is_of_the_weights_not_of_the_place(tmp_path, tiny_sd_folder):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_sd_folder, copy)
    assert fingerprint(copy) == fingerprint(tiny_sd_folder)
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert fingerprint(copy) != fingerprint(tiny_sd_folder)


def test_decoding_is_independent_of_the_neighbours(sd, monkeypatch):
    latents = torch.randn(5, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(stable_diffusion, "PIXELS_PER_CALL", 2 * 32 * 32)
    together = decode(sd, latents)
    assert together.shape == (5, 32, 32, 3)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(decode(sd, latents.flip(0))[::-1], together)
    alone = sd.vae.decode(latents[3:4] / sd.vae.config["scaling_factor"]).sample
    expected = ((alone[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1) * 255).round().numpy()
    assert np.abs(expected - together[3]).max() <= 1


def test_encoding_gives_the_distribution_that_the_unet_knows(sd, monkeypatch):
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mean, deviation = encode(sd, pixels)
    theirs = sd.vae.encode(pixels).latent_dist
    scale = sd.vae.config["scaling_factor"]
    torch.testing.assert_close(mean, theirs.mean * scale)
    torch.testing.assert_close(deviation, theirs.std * scale)
    monkeypatch.setattr(stable_diffusion, "PIXELS_PER_CALL", 2 * 32 * 32)
    in_twos, _ = encode(sd, pixels)
    torch.testing.assert_close(in_twos, mean)
    assert torch.equal(encode(sd, pixels.flip(0))[0].flip(0), in_twos)


@pytest.mark.parametrize("name", stable_diffusion.SCHEDULERS)
def test_every_scheduler_is_new_and_walks_from_noise_to_the_picture(sd, name):
    first, second = make_scheduler(sd, name, 5), make_scheduler(sd, name, 5)
    assert first is not second
    assert len(first.timesteps) >= 5
    assert float(first.timesteps[0]) > float(first.timesteps[-1])
    assert not first.config.get("clip_sample", False)


def test_schedulers_that_make_no_sense_are_refused(sd):
    with pytest.raises(UserError, match="choose one of ddim, "):
        make_scheduler(sd, "dimm", 5)
    with pytest.raises(UserError, match="between 1 and 1000, not 1001"):
        make_scheduler(sd, "ddim", 1001)


def test_the_folder_is_left_as_it_was(sd, tiny_sd_folder):
    index = json.loads((tiny_sd_folder / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"


@pytest.mark.parametrize(("dtype", "bound"), [("fp32", 1e-4), ("bf16", 0.05)])
def test_channels_last_is_the_same_model_within_rounding(tiny_sd_folder, dtype, bound):
    def drawn(channels_last):
        config = Draws(model=str(tiny_sd_folder), device="cpu", dtype=dtype,
                       channels_last=channels_last)  # fmt: skip
        sd = open_model(config)
        x, states = noise((2, 4, 8, 8), 0, 0).to(sd.dtype), noise((2, 77, 32), 0, 1).to(sd.dtype)
        with torch.no_grad():
            eps = sd.unet(x, torch.tensor(500), encoder_hidden_states=states).sample.float()
        pixels = decode(sd, noise((2, 4, 8, 8), 0, 2)).astype(int)
        last = sd.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
        return eps, pixels, last, what_computes(config)

    (plain, pictures, no, key), (other, others, yes, changed) = drawn(False), drawn(True)
    assert yes and not no
    assert (plain - other).norm() / plain.norm() < bound
    assert abs(pictures - others).mean() < 255 * bound
    # frames of the two are told apart
    assert changed == {**key, "channels_last": True}


def test_channels_are_last_by_themselves_only_where_that_was_measured_to_pay(tiny_sd_folder):
    def chosen(dtype):
        config = Draws(model=str(tiny_sd_folder), device="cpu", dtype=dtype)
        return what_computes(config).get("channels_last", False)

    assert [chosen(dtype) for dtype in ("fp32", "bf16")] == [False, True]
