"""Embedding files: bits survive the round trip, and every program's files are read."""

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from diffusion.formats import WRITERS, convert, load_embedding, read_embedding, save_embedding
from lab.errors import UserError


def test_bits_survive_the_round_trip(tmp_path):
    vectors = torch.randn(4, 768)
    save_embedding(tmp_path / "w.safetensors", "<w>", vectors, {"steps": 300, "name": "w"})
    loaded = load_embedding(tmp_path / "w.safetensors")
    assert loaded.token == "<w>" and loaded.metadata["steps"] == 300
    assert torch.equal(loaded.vectors, vectors)


def test_the_same_word_is_the_same_bytes(tmp_path):
    for name in "ab":
        notes = dict.fromkeys("qwertyuiop", 1)
        save_embedding(tmp_path / name, "<w>", torch.ones(1, 8), notes)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_file_follows_the_rule_of_automatic1111_and_kohya(tmp_path):
    """Exactly one tensor, two-dimensional, fp32; the first value is the word."""
    save_embedding(tmp_path / "w.safetensors", "<w>", torch.randn(2, 768))
    tensors = load_file(tmp_path / "w.safetensors")
    assert list(tensors) == ["<w>"]
    assert tensors["<w>"].dtype == torch.float32 and tensors["<w>"].shape == (2, 768)


def test_diffusers_loads_what_we_write(tmp_path, tiny_sd_folder):
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd_folder, safety_checker=None)
    width = pipeline.text_encoder.config.hidden_size
    vectors = torch.randn(3, width)
    save_embedding(tmp_path / "w.safetensors", "<w>", vectors)
    pipeline.load_textual_inversion(tmp_path, weight_name="w.safetensors", local_files_only=True)
    ids = pipeline.tokenizer.convert_tokens_to_ids(["<w>", "<w>_1", "<w>_2"])
    learned = pipeline.text_encoder.get_input_embeddings().weight[ids]
    assert torch.equal(learned.float(), vectors.to(learned.dtype).float())


@pytest.mark.parametrize(
    "content",
    [
        {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(2, 8)}, "name": "cat"},
        {"cat": torch.ones(2, 8)},
    ],
)
def test_files_of_automatic1111_and_diffusers_are_read(tmp_path, content):
    torch.save(content, tmp_path / "cat.pt")
    loaded = load_embedding(tmp_path / "cat.pt")
    assert loaded.token == "cat" and torch.equal(loaded.vectors, torch.ones(2, 8))


def test_one_dimensional_vectors_of_old_files_are_one_vector(tmp_path):
    torch.save({"cat": torch.ones(8)}, tmp_path / "cat.bin")
    assert load_embedding(tmp_path / "cat.bin").vectors.shape == (1, 8)


def test_the_first_programs_parameter_dict_is_read(tmp_path):
    """rinongal/textual_inversion pickled a torch.nn.ParameterDict."""
    parameters = torch.nn.ParameterDict({"*": torch.nn.Parameter(torch.randn(2, 8))})
    content = {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": parameters}
    torch.save(content, tmp_path / "cat.pt")
    loaded = load_embedding(tmp_path / "cat.pt")
    assert loaded.token == "cat" and torch.equal(loaded.vectors, parameters["*"].detach())


def test_a_parameter_dict_of_torch_before_1_12_is_read(tmp_path):
    parameters = torch.nn.ParameterDict()
    vectors = torch.nn.Parameter(torch.randn(1, 8))
    parameters.__dict__["_parameters"] = {"*": vectors}
    parameters.__dict__["_keys"] = {}
    torch.save({"string_to_param": parameters}, tmp_path / "cat.pt")
    assert torch.equal(load_embedding(tmp_path / "cat.pt").vectors, vectors.detach())


@pytest.mark.parametrize("key", ["emb_params", "emp_params", "*"])
def test_a_key_that_names_no_word_gives_way_to_the_files_name(tmp_path, key):
    save_file({key: torch.ones(2, 8)}, tmp_path / "cat.safetensors")
    assert load_embedding(tmp_path / "cat.safetensors").token == "<cat>"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_exactly(tmp_path, dtype):
    vectors = torch.randn(2, 8).to(dtype)
    save_file({"<w>": vectors}, tmp_path / "w.safetensors")
    loaded = load_embedding(tmp_path / "w.safetensors")
    assert loaded.stored == ("fp16" if dtype == torch.float16 else "bf16")
    assert torch.equal(loaded.vectors, vectors.float())


def test_a_file_is_known_by_its_contents_and_not_by_its_suffix(tmp_path):
    save_file({"<w>": torch.ones(1, 8)}, tmp_path / "w.pt")
    assert load_embedding(tmp_path / "w.pt").token == "<w>"
    for zipped in (True, False):
        content = {"<w>": torch.ones(1, 8)}
        path = tmp_path / "w.safetensors"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        assert load_embedding(path).token == "<w>"


@pytest.mark.parametrize("to", WRITERS)
def test_any_layout_leads_to_any_other_with_the_same_bits(tmp_path, to):
    save_embedding(tmp_path / "w.safetensors", "<w>", torch.randn(16, 96), {"steps": 300})
    original = read_embedding(tmp_path / "w.safetensors")
    for suffix in WRITERS[to].suffixes:
        there = tmp_path / f"there{suffix}"
        convert(original, there, to)
        arrived = read_embedding(there)
        assert torch.equal(arrived.vectors, original.vectors), suffix
        nameless = to in ("kohya", "invokeai") and suffix != ".safetensors"
        assert arrived.name == ("there" if nameless else "w")
        back = tmp_path / "back.safetensors"
        convert(arrived, back, "diffusers")
        assert torch.equal(load_embedding(back).vectors, original.vectors)


@pytest.mark.parametrize("to", [to for to in WRITERS if to != "a1111-png"])
def test_both_encoders_of_stable_diffusion_xl_are_kept(tmp_path, to):
    both = {"clip_l": torch.randn(2, 768), "clip_g": torch.randn(2, 1280)}
    save_file(both, tmp_path / "w.safetensors")
    original = read_embedding(tmp_path / "w.safetensors")
    there = tmp_path / f"there{WRITERS[to].suffixes[0]}"
    convert(original, there, to)
    arrived = read_embedding(there)
    assert arrived.clip_g is not None and torch.equal(arrived.clip_g, both["clip_g"])
    assert torch.equal(arrived.vectors, both["clip_l"])
    with pytest.raises(UserError, match="Stable Diffusion XL"):
        load_embedding(there)


def test_a_suffix_that_the_program_does_not_read_is_refused(tmp_path):
    save_embedding(tmp_path / "w.safetensors", "<w>", torch.ones(1, 8))
    embedding = load_embedding(tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"a1111-png files end in \.png or \.webp.*w\.png"):
        convert(embedding, tmp_path / "w.jpg", "a1111-png")
    assert not (tmp_path / "w.jpg").exists()
