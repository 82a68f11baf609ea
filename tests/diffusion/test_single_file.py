"""Single files: the names are those of CompVis, and what is read back is what was written."""

import functools
import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import single_file_utils
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion import ldm, stable_diffusion, tokenizers
from diffusion.architecture import SD1, Architecture
from diffusion.single_file import read_checkpoint, read_vae
from diffusion.stable_diffusion import load
from lab.errors import UserError

close = torch.testing.assert_close


@pytest.fixture(scope="module")
def pipeline(tiny_sd_folder):
    return StableDiffusionPipeline.from_pretrained(str(tiny_sd_folder), safety_checker=None)


@pytest.fixture(scope="module")
def tiny(pipeline) -> Architecture:
    """The numbers of the miniature, in the place of Stable Diffusion's own."""
    return Architecture(
        dict(pipeline.unet.config),
        dict(pipeline.vae.config),
        pipeline.text_encoder.config.to_dict(),
        {"prediction_type": "epsilon"},
    )


@pytest.fixture
def state(pipeline, in_ldm_layout) -> dict[str, torch.Tensor]:
    return in_ldm_layout(pipeline)


def assert_equal_parts(part, original):
    theirs = original.state_dict()
    assert list(part.state_dict()) == list(theirs)
    for name, tensor in part.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


@pytest.fixture(scope="module")
def real_shapes():
    """Stable Diffusion's own U-Net and autoencoder, without memory for their weights."""
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(SD1.unet), AutoencoderKL.from_config(SD1.vae)


def test_the_names_of_the_real_unet_are_diffusers_own(real_shapes):
    unet, _ = real_shapes
    keys = ldm.unet_keys(unet.state_dict(), 2)
    assert len(set(keys.values())) == len(keys) == 686
    plain = {ldm.UNET + key: torch.tensor(float(k)) for k, key in enumerate(keys.values())}
    averaged = {ldm.ema_key(key): torch.tensor(-float(k)) for k, key in enumerate(keys.values())}
    convert = single_file_utils.convert_ldm_unet_checkpoint
    theirs = convert(dict(plain), dict(unet.config))
    assert {name: int(t) for name, t in theirs.items()} == {n: k for k, n in enumerate(keys)}
    theirs = convert(plain | averaged, dict(unet.config), extract_ema=True)
    assert {name: int(t) for name, t in theirs.items()} == {n: -k for k, n in enumerate(keys)}


def test_the_names_of_the_real_autoencoder_are_diffusers_own(real_shapes):
    _, vae = real_shapes
    keys = ldm.vae_keys(vae.state_dict(), 4)
    assert len(set(keys.values())) == len(keys) == 248
    state = {
        ldm.VAE + key: torch.full((1, 1, 1, 1) if ldm.is_projection(name) else (1,), float(k))
        for k, (name, key) in enumerate(keys.items())
    }
    theirs = single_file_utils.convert_ldm_vae_checkpoint(state, dict(vae.config))
    assert {name: int(t) for name, t in theirs.items()} == {n: k for k, n in enumerate(keys)}
    assert {n for n, t in theirs.items() if t.dim() == 2} == {
        n for n in keys if ldm.is_projection(n)
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_model_is_read_back_to_the_bit(tmp_path, state, pipeline, tiny, suffix):
    path = tmp_path / f"model{suffix}"
    if suffix == ".ckpt":
        torch.save({"state_dict": state, "global_step": 7}, path)
    else:
        save_file(state, path)
    parts = read_checkpoint(path, torch.float32, tiny)
    assert_equal_parts(parts.unet, pipeline.unet)
    assert_equal_parts(parts.vae, pipeline.vae)
    assert_equal_parts(parts.text_encoder, pipeline.text_encoder)
    ids = torch.arange(77)[None]
    with torch.no_grad():
        text = parts.text_encoder(ids)[0]
        x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        eps = parts.unet(x, 500, encoder_hidden_states=text).sample
        close(text, pipeline.text_encoder(ids)[0])
        # equal weights at other places in memory may add up in another order
        close(eps, pipeline.unet(x, 500, encoder_hidden_states=text).sample)
        close(parts.vae.decode(x).sample, pipeline.vae.decode(x).sample)


def test_halves_are_read_as_the_dtype_asked_for(tmp_path, state, tiny):
    save_file({key: tensor.half() for key, tensor in state.items()}, tmp_path / "half.safetensors")
    parts = read_checkpoint(tmp_path / "half.safetensors", torch.float32, tiny)
    assert {p.dtype for p in parts.unet.parameters()} == {torch.float32}
    expected = state[ldm.UNET + "input_blocks.0.0.weight"].half().float()
    assert torch.equal(parts.unet.conv_in.weight, expected)


def test_the_average_is_taken_where_there_is_one(tmp_path, state, tiny):
    average = {
        ldm.ema_key(key.removeprefix(ldm.UNET)): tensor + 1
        for key, tensor in state.items()
        if key.startswith(ldm.UNET)
    }
    save_file(state | average, tmp_path / "full.safetensors")
    parts = read_checkpoint(tmp_path / "full.safetensors", torch.float32, tiny)
    assert torch.equal(parts.unet.conv_in.bias, state[ldm.UNET + "input_blocks.0.0.bias"] + 1)


def test_a_text_encoder_whose_names_lost_a_level(tmp_path, state, pipeline, tiny):
    shorter = {key.replace(".text_model.", "."): tensor for key, tensor in state.items()}
    save_file(shorter, tmp_path / "merged.safetensors")
    parts = read_checkpoint(tmp_path / "merged.safetensors", torch.float32, tiny)
    assert_equal_parts(parts.text_encoder, pipeline.text_encoder)


def test_what_the_unet_predicts_is_told_by_marker_metadata_or_the_file_beside(
    tmp_path, state, tiny
):
    def predicted(path: Path) -> dict[str, Any]:
        return read_checkpoint(path, torch.float32, tiny).scheduler_config

    path = tmp_path / "model.safetensors"
    save_file(state, path)
    assert predicted(path)["prediction_type"] == "epsilon"
    (tmp_path / "model.yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert predicted(path)["prediction_type"] == "v_prediction"
    (tmp_path / "model.yaml").write_text('model:\n  params:\n    parameterization: "eps"\n')
    assert predicted(path)["prediction_type"] == "epsilon"
    save_file(state, path, {"modelspec.prediction_type": "v"})
    assert predicted(path)["prediction_type"] == "v_prediction"
    save_file(state | {"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}, path)
    assert predicted(path)["prediction_type"] == "v_prediction"
    assert predicted(path)["rescale_betas_zero_snr"]


@pytest.mark.parametrize("layout", ["ldm", "bare", "diffusers"])
def test_an_autoencoder_in_a_file_of_its_own(tmp_path, state, pipeline, tiny, layout):
    vae = {key: tensor for key, tensor in state.items() if key.startswith(ldm.VAE)}
    if layout == "bare":
        vae = {key.removeprefix(ldm.VAE): tensor for key, tensor in vae.items()}
    if layout == "diffusers":
        vae = pipeline.vae.state_dict()
    save_file(vae, tmp_path / "vae.safetensors")
    assert_equal_parts(read_vae(tmp_path / "vae.safetensors", torch.float32, tiny), pipeline.vae)


@pytest.fixture
def shared(tmp_path, state, tiny, tiny_sd_folder, monkeypatch) -> Path:
    """The miniature as a single file with its tokenizer beside it; loading expects its shapes."""
    shutil.copytree(tiny_sd_folder / "tokenizer", tmp_path / "tokenizer")
    for name in ("read_checkpoint", "read_vae"):
        reader = functools.partial(getattr(stable_diffusion, name), architecture=tiny)
        monkeypatch.setattr(stable_diffusion, name, reader)
    save_file(state, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_single_file_and_its_folder_are_the_same_model(shared, tiny_sd_folder):
    one, folder = load(str(shared), device="cpu"), load(str(tiny_sd_folder), device="cpu")
    assert one.tokenizer("a house").input_ids == folder.tokenizer("a house").input_ids
    assert_equal_parts(one.unet, folder.unet)
    assert not one.unet.training
    assert one.resolution == folder.resolution


def test_another_autoencoder_takes_the_place_of_the_models_own(shared, state, tmp_path):
    own = load(str(shared), device="cpu")
    other = {k: t + 1 for k, t in state.items() if k.startswith(ldm.VAE)}
    save_file(other, tmp_path / "other.vae.safetensors")
    changed = load(str(shared), device="cpu", vae=str(tmp_path / "other.vae.safetensors"))
    expected = own.vae.encoder.conv_in.bias + 1
    assert torch.equal(changed.vae.encoder.conv_in.bias, expected)
    assert_equal_parts(changed.unet, own.unet)
    assert changed.fingerprint != own.fingerprint
    changed.vae.save_pretrained(tmp_path / "folder")
    again = load(str(shared), device="cpu", vae=str(tmp_path / "folder"))
    assert_equal_parts(again.vae, changed.vae)
    with pytest.raises(UserError, match=r"nowhere\.safetensors is not there"):
        load(str(shared), device="cpu", vae="nowhere.safetensors")


def test_a_file_without_an_autoencoder_asks_for_one(shared, state, tmp_path):
    save_file(without(state, ldm.VAE), shared)
    with pytest.raises(UserError, match="no autoencoder in this file; name one as vae"):
        load(str(shared), device="cpu")
    vae = {key: tensor for key, tensor in state.items() if key.startswith(ldm.VAE)}
    save_file(vae, tmp_path / "vae.safetensors")
    assert load(str(shared), device="cpu", vae=str(tmp_path / "vae.safetensors")).vae is not None


def test_tokenizers_that_are_not_there_or_do_not_fit(shared, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no tokenizer for model\.safetensors in this folder"):
        load(str(shared), device="cpu", tokenizer=str(tmp_path / "empty"))
    (tmp_path / "tokenizer").rename(tmp_path / "elsewhere")
    # this machine may have one in its cache, so another name; transformers 5 is known to make an
    # empty tokenizer where it finds none
    monkeypatch.setattr(tokenizers, "_CACHED", (("no-such-owner/no-such-model", ""),))
    monkeypatch.setattr(tokenizers, "HUB", "no-such-owner/no-such-model")
    with pytest.raises(UserError, match=r"put vocab\.json and merges\.txt"):
        load(str(shared), device="cpu")
    assert load(str(shared), device="cpu", tokenizer=str(tmp_path / "elsewhere")).words == {}
    with pytest.raises(UserError, match="knows 10 tokens, but the tokenizer has"):
        tokenizers.find_tokenizer(str(tmp_path / "elsewhere"), shared, 10)


@pytest.mark.parametrize(
    ("hub_id", "folder"),
    [("openai--clip-vit-large-patch14", "."), ("CompVis--stable-diffusion-v1-4", "tokenizer")],
)
def test_the_tokenizer_in_the_hub_cache_is_found(shared, tmp_path, monkeypatch, hub_id, folder):
    repository = tmp_path / "hub" / f"models--{hub_id}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    place = repository / "snapshots" / ("0" * 40) / folder
    shutil.copytree(tmp_path / "tokenizer", place)
    (tmp_path / "tokenizer").rename(tmp_path / "elsewhere")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    found = tokenizers.find_tokenizer("", shared, 10**6)
    expected = tokenizers.find_tokenizer(str(tmp_path / "elsewhere"), shared, 10**6)
    assert found("a house").input_ids == expected("a house").input_ids
    assert len(found) > 500


def without(state, start):
    return {key: tensor for key, tensor in state.items() if not key.startswith(start)}


def of_first(state, *shape):
    return state | {ldm.UNET + "input_blocks.0.0.weight": torch.zeros(shape)}


def of_width(state, width):
    key = next(key for key in state if key.endswith("attn2.to_k.weight"))
    return {k: t for k, t in state.items() if "attn2.to_k" not in k} | {key: torch.zeros(16, width)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s | {"conditioner.embedders.0.x": torch.zeros(1)}, "a Stable Diffusion XL, and"),
        (
            lambda s: s | {"cond_stage_model.model.ln.x": torch.zeros(1)},
            "a Stable Diffusion 2, and",
        ),
        (lambda s: {"double_blocks.0.x": torch.zeros(1)}, "a Flux model"),
        (lambda s: s | {"control_model.x": torch.zeros(1)}, "a ControlNet"),
        (lambda s: {"lora_unet_x.alpha": torch.zeros(1)}, "a LoRA"),
        (lambda s: of_first(s, 16, 9, 3, 3), "an inpainting model"),
        (lambda s: of_first(s, 16, 8, 3, 3), "takes 8 channels, SD 1.x takes 4"),
        (lambda s: of_width(s, 1024), "a Stable Diffusion 2 for text of width 1024"),
        (lambda s: without(s, "cond_stage_model."), "without its text encoder"),
        (lambda s: without(without(s, ldm.UNET), "cond_"), "an autoencoder; name it as vae"),
        (
            lambda s: {f"down_blocks.{k}": torch.zeros(1) for k in range(9)},
            "one part of a diffusers",
        ),
        (lambda s: {"<patchwork>": torch.zeros(4, 32)}, "an embedding"),
        (lambda s: without(s, ldm.UNET + "out.2.bias"), r"1 of its tensors are missing"),
        (lambda s: of_first(s, 24, 4, 3, 3), r"this is another model"),
    ],
)
def test_what_is_no_sd1_is_refused_by_its_name(tmp_path, state, tiny, change, sentence):
    path = tmp_path / "other.safetensors"
    save_file(change(state), path)
    with pytest.raises(UserError, match=sentence) as error:
        read_checkpoint(path, torch.float32, tiny)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


class Code:
    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_damaged_files_and_code_are_refused(tmp_path, state, tiny, capsys):
    def refusal(path: Path) -> str:
        with pytest.raises(UserError) as error:
            read_checkpoint(path, torch.float32, tiny)
        return str(error.value)

    pointer = tmp_path / "pointer.safetensors"
    pointer.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "git lfs pull" in refusal(pointer)
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    save_file(state, whole)
    cut.write_bytes(whole.read_bytes()[:-100])
    assert "cut off or damaged" in refusal(cut)
    torch.save({"state_dict": state, "callbacks": Code()}, tmp_path / "code.ckpt")
    assert re.search(r"holds .*print, which is code", refusal(tmp_path / "code.ckpt"))
    assert "never be printed" not in capsys.readouterr().out
    torch.save({"state_dict": state}, tmp_path / "cut.ckpt")
    content = (tmp_path / "cut.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(content[: len(content) // 2])
    assert "may be cut off" in refusal(tmp_path / "cut.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    assert "no model in this file" in refusal(tmp_path / "list.ckpt")


@pytest.mark.real_size
def test_a_model_of_the_real_size(tmp_path, in_ldm_layout):
    """860 million weights there and back: 4.3 GB of memory and disk, about a minute."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DConditionModel.from_config(SD1.unet)
        vae = AutoencoderKL.from_config(SD1.vae)
        encoder = CLIPTextModel(CLIPTextConfig(**SD1.text_encoder))

    class Model:
        pass

    model: Any = Model()
    model.unet, model.vae, model.text_encoder = unet.eval(), vae.eval(), encoder.eval()
    save_file(in_ldm_layout(model), tmp_path / "sd1.safetensors")
    assert len(load_file(tmp_path / "sd1.safetensors")) == 686 + 248 + 196
    parts = read_checkpoint(tmp_path / "sd1.safetensors", torch.float32)
    ids = torch.arange(77)[None]
    with torch.no_grad():
        text = parts.text_encoder(ids)[0]
        close(text, encoder(ids)[0])
        x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
        eps = parts.unet(x, 500, encoder_hidden_states=text).sample
        close(eps, unet(x, 500, encoder_hidden_states=text).sample)
        close(parts.vae.decode(x).sample, vae.decode(x).sample)
