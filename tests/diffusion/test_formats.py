"""Embedding files: bits survive the round trip, bad files get one sentence and run nothing."""

import pickle

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from diffusion.formats import load_embedding, save_embedding
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


class _Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    victim = tmp_path / "ran"
    (tmp_path / "bad.pt").write_bytes(pickle.dumps({"cat": _Malicious(victim)}, protocol=2))
    torch.save({"cat": _Malicious(victim)}, tmp_path / "zip.pt")
    for name in ("bad.pt", "zip.pt"):
        with pytest.raises(UserError, match=name):
            load_embedding(tmp_path / name)
    assert not victim.exists()


def _truncated(path):
    save_file({"w": torch.ones(4, 768)}, path)
    path.write_bytes(path.read_bytes()[:500])


BAD = {
    "git lfs pull": lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid x\n"),
    "not a readable": _truncated,
    "NaN": lambda p: save_file({"w": torch.full((1, 768), torch.nan)}, p),
    "whole embedding table": lambda p: save_file({"w": torch.ones(41538, 2)}, p),
    "2 tensors": lambda p: save_file({"a": torch.ones(1, 8), "b": torch.ones(1, 8)}, p),
}


@pytest.mark.parametrize("sentence", BAD)
def test_what_is_wrong_with_a_file_is_said_in_one_sentence(tmp_path, sentence):
    path = tmp_path / "w.safetensors"
    BAD[sentence](path)
    with pytest.raises(UserError, match=sentence) as raised:
        load_embedding(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.pt.*no such"):
        load_embedding(tmp_path / "none.pt")
