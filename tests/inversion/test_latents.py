"""Pictures are encoded once for all runs, and what was kept is what encoding anew gives."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion.stable_diffusion import encode, load
from inversion import latents
from inversion.checks import weights_of
from inversion.config import Config
from inversion.data import Example
from inversion.latents import encode_pictures
from lab.processes import Processes


@pytest.fixture
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


@pytest.fixture
def examples(draw_noise):
    return [Example(path, "") for path in sorted(draw_noise(3, (40, 32)).iterdir())]


SHAPES = [(32, 32), (40, 24), (32, 32)]


def encoded(*arguments, **options):
    """The latents, and how many pictures passed the autoencoder."""
    steps = encode_pictures(*arguments, **options)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture
def kept(tmp_path):
    """An empty folder for encodings."""
    return tmp_path / "kept"


@pytest.fixture
def passes(monkeypatch):
    """The pictures that the autoencoder saw, one entry each."""
    seen = []

    def counted(sd, pixels):
        seen.append(pixels.shape)
        return encode(sd, pixels)

    monkeypatch.setattr(latents, "encode", counted)
    return seen


def same(ours, theirs):
    return all(
        torch.equal(a.mean, b.mean) and torch.equal(a.std, b.std)
        for a, b in zip(ours, theirs, strict=True)
    )


def test_what_is_kept_is_what_encoding_anew_gives(sd, examples, kept, passes):
    anew = encoded(sd, examples, SHAPES)
    first = encoded(sd, examples, SHAPES, cache=kept)
    assert len(passes) == 6
    again = encoded(sd, examples, SHAPES, cache=kept)
    assert len(passes) == 6
    assert same(anew, first) and same(anew, again)
    assert [tuple(one.mean.shape) for one in again] == [(2, 4, 8, 8), (2, 4, 6, 10), (2, 4, 8, 8)]


def test_the_second_of_each_pair_is_the_mirrored_picture(sd, examples):
    (ours,) = encoded(sd, examples[:1], [(40, 32)])
    pixels = np.array(Image.open(examples[0].path)).astype(np.float32) / 127.5 - 1
    both = torch.from_numpy(np.stack([pixels, pixels[:, ::-1]])).permute(0, 3, 1, 2)
    mean, std = encode(sd, both)
    assert torch.equal(ours.mean, mean) and torch.equal(ours.std, std)


def test_only_the_middle_of_an_uneven_picture_is_taken_and_nothing_is_squashed(sd):
    stripes = np.zeros((10, 30, 3), dtype=np.uint8)
    stripes[:, 10:20] = 255
    square = latents.fitted(Image.fromarray(stripes), (32, 32))
    assert np.asarray(square)[:, 4:-4].min() > 240  # the filter sees beyond the edges


def spoil(kind, path):
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "one bit":
        data[-5] ^= 1
        path.write_bytes(data)
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        other = next(p for p in path.parent.iterdir() if p.stat().st_size != len(data))
        path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("kind", ["truncated", "one bit", "empty", "another shape's"])
def test_a_damaged_file_is_made_anew(sd, examples, kept, passes, kind):
    anew = encoded(sd, examples, SHAPES, cache=kept)
    before = {path: path.read_bytes() for path in kept.glob("*.safetensors")}
    assert len(before) == 3
    for path in before:
        spoil(kind, path)
        passes.clear()
        assert same(encoded(sd, examples, SHAPES, cache=kept), anew)
        assert len(passes) == 1
    assert {path: path.read_bytes() for path in kept.glob("*.safetensors")} == before


def test_another_picture_size_model_or_dtype_is_another_file(sd, examples, kept, passes):
    one = examples[:1]
    encoded(sd, one, [(32, 32)], cache=kept)
    for count, (model, shape) in enumerate(
        [
            (dataclasses.replace(sd, dtype=torch.bfloat16), (32, 32)),
            (sd, (32, 24)),
        ],
        2,
    ):
        model.vae.to(model.dtype)
        encoded(model, one, [shape], cache=kept)
        sd.vae.float()
        assert len(list(kept.iterdir())) == count
    with torch.no_grad():
        next(sd.vae.encoder.parameters()).mul_(1.01)
    encoded(sd, one, [(32, 32)], cache=kept)
    Image.new("RGB", (40, 32)).save(one[0].path)
    encoded(sd, one, [(32, 32)], cache=kept)
    assert len(passes) == len(list(kept.iterdir())) == 5


def test_a_copy_of_a_picture_elsewhere_is_the_same_picture(sd, examples, kept, tmp_path, passes):
    encoded(sd, examples[:1], SHAPES[:1], cache=kept)
    copy = tmp_path / "another name.png"
    copy.write_bytes(examples[0].path.read_bytes())
    encoded(sd, [Example(copy, "x")], SHAPES[:1], cache=kept)
    assert len(passes) == 1
    (file,) = kept.iterdir()
    assert str(tmp_path).encode() not in file.read_bytes()
    assert examples[0].path.name.encode() not in file.read_bytes()


def test_processes_share_the_work_and_have_the_same_in_the_end(sd, examples, kept, passes):
    class Second(Processes):
        """Of two, the first of which has done its share."""

        def __init__(self):
            super().__init__()
            self.index, self.count = 1, 2

        def wait(self):
            encoded(sd, examples[::2], SHAPES[::2], cache=kept)

    anew = encoded(sd, examples, SHAPES)
    passes.clear()
    assert same(encoded(sd, examples, SHAPES, cache=kept, processes=Second()), anew)
    assert len(passes) == 3


def test_what_a_mask_weighs_comes_with_the_latents(sd, examples):
    mask = examples[2].path.with_name(f"{examples[2].path.stem}.mask.png")
    half = Image.new("L", (40, 32))
    half.paste(255, (0, 0, 20, 32))
    half.save(mask)
    weights = weights_of(sd, Config(), examples, SHAPES)
    found = encoded(sd, examples, SHAPES, weights)
    assert found[0].weights is found[1].weights is None
    assert found[2].weights[0, 0, 0].tolist() == [2.0] * 4 + [0.0] * 4
    assert weights_of(sd, Config(masks=False), examples, SHAPES) == [None] * 3
