"""Files that are no embedding: one sentence with the remedy each, and nothing in them is run."""

import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file

from diffusion.formats import load_embedding
from lab.errors import UserError


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def _zipped(path, content):
    torch.save(content, path)


def _legacy(path, content):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _bare(path, content):
    path.write_bytes(pickle.dumps(content, protocol=2))


def _text(path, content):
    path.write_bytes(pickle.dumps(content, protocol=0))


@pytest.mark.parametrize("write", [_zipped, _legacy, _bare, _text])
@pytest.mark.parametrize("suffix", ["pt", "bin", "ckpt", "safetensors"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, write, suffix):
    victim, path = tmp_path / "ran", tmp_path / f"bad.{suffix}"
    write(path, {"cat": torch.ones(1, 8), "x": Malicious(victim)})
    with pytest.raises(UserError, match="bad") as raised:
        load_embedding(path)
    assert not victim.exists()
    if write is not _text:
        assert "which is code" in str(raised.value)
    (pickle.loads if write in (_bare, _text) else _unsafe)(path.read_bytes())
    assert victim.exists()  # or the file would have been harmless


def _unsafe(data):
    import io

    torch.load(io.BytesIO(data), weights_only=False)


def _cut(path):
    save_file({"w": torch.ones(4, 768)}, path)
    path.write_bytes(path.read_bytes()[:500])


def _cut_header(path):
    save_file({"w": torch.ones(4, 768)}, path)
    path.write_bytes(path.read_bytes()[:20])


def _cut_zip(path):
    torch.save({"w": torch.ones(4, 768)}, path)
    path.write_bytes(path.read_bytes()[:5000])


def _cut_legacy(path):
    _legacy(path, {"w": torch.ones(4, 768)})
    path.write_bytes(path.read_bytes()[:5000])


def _nonsense_header(path):
    path.write_bytes(struct.pack("<Q", 12) + b"{not json at" + bytes(64))


def _tensors(**tensors):
    return lambda path: save_file(tensors, path)


LORA = "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight"
CHECKPOINT = "model.diffusion_model.input_blocks.0.0.weight"
ONE = torch.ones(1, 8)

BAD = {
    "git lfs pull": lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid x\n"),
    "cut off, 500 of 12,360 bytes": _cut,
    "cut off, 20 of": _cut_header,
    "cut off or damaged": _cut_zip,
    "may be cut off or damaged; download": _cut_legacy,
    "not a readable": _nonsense_header,
    "is empty": lambda p: p.write_bytes(b""),
    "a web page": lambda p: p.write_text("<!DOCTYPE html><html><body>Sign in</body></html>"),
    "a text file .'trigger word": lambda p: p.write_text("trigger word: wildsmith, by the author"),
    "readable embedding file": lambda p: p.write_bytes(bytes(range(128, 228))),
    "NaN": _tensors(w=torch.full((1, 768), torch.nan)),
    "infinity": _tensors(w=torch.full((1, 768), torch.inf)),
    "whole embedding table": _tensors(w=torch.ones(41538, 2)),
    r"shape \(2, 3, 8\)": _tensors(w=torch.ones(2, 3, 8)),
    r"shape \(0, 8\)": _tensors(w=torch.ones(0, 8)),
    "int64": _tensors(w=torch.ones(1, 8, dtype=torch.long)),
    r"2 tensors \(a, b\)": _tensors(a=torch.ones(1, 8), b=torch.ones(1, 8)),
    "a LoRA and no embedding": _tensors(**{LORA: ONE}),
    "a whole checkpoint and no embedding": _tensors(**{CHECKPOINT: ONE}),
    "a U-Net or VAE": _tensors(**{"down_blocks.0.resnets.0.conv1.weight": ONE}),
    "a whole text encoder": _tensors(**{"text_model.encoder.layers.0.mlp.fc1.weight": ONE}),
    "output vectors": _tensors(emp_params_out=ONE),
    "clip_l has 1 vectors but clip_g 2": _tensors(clip_l=ONE, clip_g=torch.ones(2, 8)),
    "the state of a training": lambda p: torch.save({"step": 1, "rows": ONE, "optimizer": {}}, p),
    "holds no vectors": lambda p: torch.save({"name": "cat"}, p),
    "string_to_param holds no": lambda p: torch.save({"string_to_param": {"*": "x"}}, p),
    "found 2 tensors": lambda p: torch.save({"string_to_param": {"a": ONE, "b": ONE}}, p),
    "this is a folder.*inside": lambda p: (p.mkdir(), save_file({"w": ONE}, p / "inside.bin")),
}


@pytest.mark.parametrize("sentence", BAD)
def test_what_is_wrong_with_a_file_is_said_in_one_sentence(tmp_path, sentence):
    path = tmp_path / "w.safetensors"
    BAD[sentence](path)
    with pytest.raises(UserError, match=sentence) as raised:
        load_embedding(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    assert ";" in str(raised.value) or ":" in str(raised.value)  # the remedy


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.pt.*no such"):
        load_embedding(tmp_path / "none.pt")


def test_a_checkpoint_is_known_by_its_names_alone(tmp_path):
    """Without its gigabytes being read."""
    names = [f"model.diffusion_model.input_blocks.{k}.weight" for k in range(100)]
    save_file({name: torch.ones(1) for name in names}, tmp_path / "v1.safetensors")
    with pytest.raises(UserError, match="a whole checkpoint"):
        load_embedding(tmp_path / "v1.safetensors")


@pytest.mark.parametrize("cut", range(0, 1200, 79))
def test_a_file_cut_anywhere_never_passes(tmp_path, cut):
    for name, write in (("a.safetensors", save_file), ("b.pt", lambda v, p: _zipped(p, v))):
        path = tmp_path / name
        write({"w": torch.ones(2, 256)}, path)
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(UserError):
            load_embedding(path)


def test_a_header_as_long_as_a_pickles_first_byte_is_no_pickle(tmp_path):
    """safetensors begins with its header's length, a pickle with 0x80."""
    path = tmp_path / "w.safetensors"
    for padding in range(8):
        save_file({"w": torch.ones(2, 8)}, path, metadata={"a": "x" * 8 * padding})
        if path.read_bytes()[:1] == b"\x80":
            break
    assert path.read_bytes()[:1] == b"\x80"
    assert load_embedding(path).vectors.shape == (2, 8)
