"""What we write, read by the rules of the programs that it is for, with equal bits.

The loaders here are those of the programs, cut down to what decides; the file names stand beside
them. diffusers' is the real one.
"""

import base64
import json
import pickle
import re
import zipfile
import zlib
from collections import OrderedDict

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

from diffusion import containers
from diffusion.formats import WRITERS, Embedding, convert, meaning_of
from diffusion.readers import READERS, refusals


class RestrictedUnpickler(pickle.Unpickler):
    """AUTOMATIC1111, modules/safe.py: the globals that it allows in an embedding."""

    def persistent_load(self, saved_id):
        assert saved_id[0] == "storage"
        return torch.storage.TypedStorage(_internal=True)

    def find_class(self, module, name):
        if module == "collections" and name == "OrderedDict":
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
            return getattr(torch._utils, name)
        if module == "torch" and name in ("FloatStorage", "HalfStorage"):
            return getattr(torch, name)
        raise ValueError(f"global '{module}/{name}' is forbidden")


def check_pt(path):
    """modules/safe.py, check_pt; the older form is five pickles."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if not re.match(r"^([^/]+)/((data/\d+)|version|(data\.pkl))$", name):
                    raise ValueError(f"bad file inside: {name}")
            (name,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
            with archive.open(name) as file:
                RestrictedUnpickler(file).load()
    except zipfile.BadZipfile:
        with path.open("rb") as file:
            unpickler = RestrictedUnpickler(file)
            for _ in range(5):
                unpickler.load()


def lcg():
    seed = 0
    while True:
        seed = (1664525 * seed + 1013904223) % 2**32
        yield seed % 255


def unscrambled(block):
    sequence = lcg()
    random = np.array([next(sequence) for _ in range(block.size)]).astype(np.uint8)
    return np.bitwise_xor(block.astype(np.uint8), random.reshape(block.shape) & 0x0F)


def data_of_pixels(image):
    """modules/textual_inversion/image_embedding.py, crop_black and extract_image_data_embed."""
    array = np.array(image.convert("RGB"))
    mask = (array > 0).all(2)
    columns, rows = mask.any(0), mask.any(1)
    array = array[
        rows.argmax() : len(rows) - rows[::-1].argmax(),
        columns.argmax() : len(columns) - columns[::-1].argmax(),
    ]
    low_bits = array & 0x0F
    (black,) = np.where(np.sum(low_bits, axis=(0, 2)) == 0)
    if len(black) < 2:
        return None
    lower = unscrambled(low_bits[:, : black.min(), :])
    upper = unscrambled(low_bits[:, black.max() + 1 :, :])
    text = zlib.decompress(((upper << 4) | lower).flatten().tobytes())
    return json.loads(text, object_hook=as_tensor)


def as_tensor(values):
    if "TORCHTENSOR" in values:
        return torch.from_numpy(np.array(values["TORCHTENSOR"]))
    return values


def automatic1111(path, pixels=False):
    """modules/textual_inversion/textual_inversion.py, load_from_file: name and vectors."""
    name, suffix = path.stem, path.suffix.upper()
    if suffix in (".PNG", ".WEBP"):
        image = Image.open(path)
        if not pixels and "sd-ti-embedding" in getattr(image, "text", {}):
            text = base64.b64decode(image.text["sd-ti-embedding"])
            data = json.loads(text, object_hook=as_tensor)
        else:
            data = data_of_pixels(image)
        name = data.get("name", name)
    elif suffix in (".BIN", ".PT"):
        check_pt(path)
        data = torch.load(path, map_location="cpu", weights_only=False)
    elif suffix == ".SAFETENSORS":
        data = load_file(path)
    else:
        raise ValueError("not looked at")
    if "string_to_param" in data:
        assert len(data["string_to_param"]) == 1
        vectors = next(iter(data["string_to_param"].values()))
    elif "clip_g" in data and "clip_l" in data:
        vectors = data["clip_l"]
    elif type(next(iter(data.values()))) is torch.Tensor:
        assert len(data) == 1, "multiple terms"
        vectors = next(iter(data.values()))
    else:
        raise ValueError("could not identify")
    return name, vectors.detach().to(torch.float32)


def loaded(path):
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def comfyui(path):
    """comfy/sd1_clip.py, load_embed; the prompt says embedding:STEM."""
    assert path.suffix in (".safetensors", ".pt", ".bin")
    data = loaded(path)
    if "string_to_param" in data:
        return path.stem, next(iter(data["string_to_param"].values()))
    return path.stem, data.get("clip_l", next(iter(data.values())))


def kohya(path):
    """kohya-ss/sd-scripts, train_textual_inversion.py, load_weights."""
    data = loaded(path)
    data = data.get("string_to_param", data)
    vectors = next(iter(data.values()))
    assert type(vectors) is torch.Tensor
    return path.stem, vectors if vectors.ndim > 1 else vectors[None]


def invokeai(path):
    """invokeai/backend/model_manager/model_probe.py, then backend/textual_inversion.py."""
    data = loaded(path)
    if "string_to_token" in data:
        width = next(iter(data["string_to_param"].values())).shape[-1]
    elif "emb_params" in data:
        width = data["emb_params"].shape[-1]
    elif "clip_g" in data:
        width = data["clip_g"].shape[-1]
    else:
        width = next(iter(data.values())).shape[0]
    assert width in (768, 1024, 1280), "unknown base model"
    if "string_to_param" in data:
        return path.stem, next(iter(data["string_to_param"].values()))
    return path.stem, data["emb_params"] if "emb_params" in data else data["clip_l"]


def onetrainer(path):
    """Nerogar/OneTrainer, modules/modelLoader/mixin/EmbeddingLoaderMixin.py; modelSetup."""
    try:
        data = torch.load(path, weights_only=True)
    except Exception:
        data = load_file(path)
    return path.stem, data["emp_params"] if "emp_params" in data else data["clip_l"]


LOADERS = {
    "AUTOMATIC1111": automatic1111,
    "ComfyUI": comfyui,
    "kohya": kohya,
    "InvokeAI": invokeai,
    "OneTrainer": onetrainer,
}
FOR = {
    "a1111": "AUTOMATIC1111",
    "a1111-png": "AUTOMATIC1111",
    "kohya": "kohya",
    "invokeai": "InvokeAI",
    "onetrainer": "OneTrainer",
    "diffusers": "ComfyUI",  # diffusers' own loader has its test below
}
FILES = [(to, suffix) for to, target in WRITERS.items() for suffix in target.suffixes]


@pytest.fixture(scope="module")
def word():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(4, 768, generator=generator) * 0.4
    vectors[0, :3] = torch.tensor([1e-30, -0.0, 1 / 3])
    about = {"model": "CompVis/stable-diffusion-v1-4", "steps": 4000, "model_fingerprint": "abc"}
    return Embedding("<wildsmith>", vectors, about)


@pytest.fixture(scope="module")
def files(word, tmp_path_factory):
    """Every file that we write, by target and suffix."""
    folder = tmp_path_factory.mktemp("files")
    written = {}
    for to, suffix in FILES:
        written[to, suffix] = folder / to / f"wildsmith{suffix}"
        convert(word, written[to, suffix], to)
    return written


@pytest.mark.parametrize(("to", "suffix"), FILES)
def test_the_program_reads_what_is_written_for_it(files, word, to, suffix):
    name, vectors = LOADERS[FOR[to]](files[to, suffix])
    assert name == "wildsmith"
    assert torch.equal(vectors, word.vectors)
    assert vectors.signbit().equal(word.vectors.signbit())  # minus zero too


@pytest.mark.parametrize(("to", "suffix"), FILES)
@pytest.mark.parametrize("program", LOADERS)
def test_what_inspect_says_of_a_program_is_what_its_loader_does(files, word, program, to, suffix):
    contents = containers.read(files[to, suffix])
    refused = READERS[program](contents, meaning_of(contents))
    try:
        _, vectors = LOADERS[program](files[to, suffix])
    except Exception:
        assert refused
    else:
        assert not refused and torch.equal(vectors, word.vectors)


@pytest.mark.parametrize("to", ["a1111", "diffusers", "kohya", "invokeai"])
def test_diffusers_own_loader_reads_it(word, tiny_sd_folder, tmp_path, to):
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd_folder, safety_checker=None)
    vectors = word.vectors[:, : pipeline.text_encoder.config.hidden_size].contiguous()
    for number, suffix in enumerate(WRITERS[to].suffixes):
        name = f"w{number}"
        path = tmp_path / f"{name}{suffix}"
        convert(Embedding(f"<{name}>", vectors), path, to)
        contents = containers.read(path)
        assert refusals(contents, meaning_of(contents))["diffusers"] == ""
        pipeline.load_textual_inversion(
            str(tmp_path), weight_name=path.name, token=f"<{name}>", local_files_only=True
        )
        tokens = [f"<{name}>", *(f"<{name}>_{k}" for k in range(1, 4))]
        ids = pipeline.tokenizer.convert_tokens_to_ids(tokens)
        learned = pipeline.text_encoder.get_input_embeddings().weight[ids]
        assert torch.equal(learned.detach(), vectors), suffix


def test_what_a_newer_torch_writes_is_refused_there_and_by_us_said_so(word, tmp_path):
    """The reason for our writing the older form."""
    path = tmp_path / "w.pt"
    torch.save({"string_to_param": {"*": word.vectors}, "name": "w"}, path)
    contents = containers.read(path)
    try:
        check_pt(path)
        accepted = True
    except ValueError:
        accepted = False
    refused = READERS["AUTOMATIC1111"](contents, meaning_of(contents))
    assert accepted == (not refused)
    assert refused or not any("format_version" in name for name in contents.entries)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_the_pixels_alone_carry_the_word(files, word, tmp_path, suffix):
    """Image hosts remove text chunks; their readers and ours then look at the pixels."""
    bare = tmp_path / "renamed.png"
    with Image.open(files["a1111-png", suffix]) as image:
        Image.fromarray(np.asarray(image.convert("RGB"))).save(bare)
    for path, pixels in ((files["a1111-png", suffix], True), (bare, False)):
        name, vectors = automatic1111(path, pixels)
        assert name == "wildsmith" and torch.equal(vectors, word.vectors)
    ours = meaning_of(containers.read(bare))
    assert torch.equal(ours.vectors, word.vectors) and ours.token == "wildsmith"


def test_an_automatic1111_file_keeps_what_it_says(word, files):
    data = torch.load(files["a1111", ".pt"], weights_only=True)
    assert set(data) == {
        "string_to_token", "string_to_param", "name", "step", "sd_checkpoint", "sd_checkpoint_name",
    }  # fmt: skip
    assert data["name"] == "wildsmith" and data["step"] == 4000
    assert data["sd_checkpoint_name"] == "CompVis/stable-diffusion-v1-4"
    assert meaning_of(containers.read(files["a1111", ".pt"])).metadata["step"] == 4000


def test_other_programs_extra_tensors_are_told(tmp_path):
    """OneTrainer may keep output vectors beside the ones that it learned."""
    path = tmp_path / "w.safetensors"
    save_file({"emp_params": torch.ones(1, 768), "emp_params_out": torch.zeros(1, 768)}, path)
    contents = containers.read(path)
    word = meaning_of(contents)
    assert torch.equal(word.vectors, torch.ones(1, 768))
    refused = refusals(contents, word)
    assert refused["AUTOMATIC1111"] == "it wants one tensor only" and not refused["OneTrainer"]
